"""`GET /v1/metrics`: what the views know, in Prometheus' text format; nothing that nobody said.

Devices carry three spellings: dcgm-exporter's names of old (`DCGM_FI_DEV_FB_TOTAL`, MiB), those of
DCGM 4.7 (`DCGM_FI_DEV_FB_CAPACITY_BYTES`), and OpenTelemetry's `hw.*` as Prometheus writes them.
XIDs are counters, never the last value (dcgm-exporter#500). SIMULATED devices say so by label.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import psycopg
from litestar import Response, get
from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.body import FrontRequest
from api.edge import now_us
from api.services import services_of
from projections import devices_read, metrics_read
from projections.readiness import Readiness, readiness

# The text format 0.0.4: what every scraper reads.
MEDIA: Final = "text/plain; version=0.0.4"  # the framework names the charset
_MIB: Final = 2**20
_DEVICE: Final = ("gpu", "UUID", "modelName", "Hostname", "simulated")
_OTEL: Final = ("hw_id", "hw_name", "hw_type", "simulated")


class Known(Struct, frozen=True):
    """One snapshot of everything that is told."""

    ready: Readiness
    gpus: list[metrics_read.Gpu]
    nodes: list[metrics_read.Nodes]
    runtimes: list[metrics_read.Runtimes]
    sessions: list[metrics_read.Sessions]
    hardware: list[devices_read.Hardware]
    unhealthy: list[devices_read.DeviceHealth]
    xids: list[devices_read.XidCount]


@get("/v1/metrics", media_type=MEDIA)
async def metrics(request: FrontRequest) -> Response[bytes]:
    """For a scraper with a token of the platform: it names nodes and devices, no tenant."""
    known = await services_of(request).reads.ask(_known, now_us())
    registry = CollectorRegistry()
    heard = services_of(request).payments.heard
    registry.register(_Once([*_told(known), _payments(heard)]))
    return Response(generate_latest(registry), media_type=MEDIA)


def _payments(heard: Mapping[tuple[str, str], int]) -> Metric:
    """Since this process began; types that mean nothing here are one."""
    family = CounterMetricFamily(
        "gpuaas_payment_events", "Events of the payment provider.", labels=("type", "became")
    )
    for labels, count in sorted(heard.items()):
        family.add_metric(labels, count)
    return family


def _known(conn: psycopg.Connection[Any], at_us: int) -> Known:
    return Known(
        ready=readiness(conn, at_us),
        gpus=metrics_read.gpus(conn),
        nodes=metrics_read.nodes(conn),
        runtimes=metrics_read.runtimes(conn),
        sessions=metrics_read.sessions(conn),
        hardware=devices_read.hardware(conn),
        unhealthy=devices_read.unhealthy(conn),
        xids=devices_read.xids(conn),
    )


class _Once(Collector):
    """Families made before; the registry asks for them once."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _told(known: Known) -> Iterator[Metric]:
    yield from _platform(known.ready)
    yield _gauge("gpuaas_nodes", "Enrolled nodes.", ("reachable", "simulated"), (
        ((str(one.reachable).lower(), str(one.simulated).lower()), one.count)
        for one in known.nodes
    ))  # fmt: skip
    yield _gauge("gpuaas_runtimes", "Runtimes by state, ended ones too.", ("state",), (
        ((one.state,), one.count) for one in known.runtimes
    ))  # fmt: skip
    yield _counter("gpuaas_ssh_sessions", "SSH sessions opened.", ("gateway",), (
        ((one.gateway,), one.opened) for one in known.sessions
    ))  # fmt: skip
    yield _gauge("gpuaas_ssh_sessions_open", "SSH sessions open now.", ("gateway",), (
        ((one.gateway,), one.open) for one in known.sessions
    ))  # fmt: skip
    yield from _devices(known)


def _platform(ready: Readiness) -> Iterator[Metric]:
    yield _gauge("gpuaas_ready", "1 when ready.", (), [((), int(ready.ready))])
    yield _counter("gpuaas_log_entries", "Entries of the log.", (), [((), ready.log_size)])
    lag = GaugeMetricFamily("gpuaas_views_lag_seconds", "Age of the oldest entry not in the views.")
    lag.add_metric((), ready.lag_us / 1_000_000)
    yield lag
    yield _gauge("gpuaas_component_ok", "What a part last said of itself.", ("component",), (
        ((one.name,), int(one.ok)) for one in ready.components
    ))  # fmt: skip
    yield _counter("gpuaas_refused_messages", "Agents' messages refused.", ("kind",), (
        ((one.name,), one.count) for one in ready.refused
    ))  # fmt: skip


def _devices(known: Known) -> Iterator[Metric]:
    gpus = {one.uuid: one for one in known.gpus}
    sizes = [(gpus[one.uuid], one.memory_bytes) for one in known.hardware if one.uuid in gpus]
    counted = [(gpus[one.uuid], one) for one in known.xids if one.uuid in gpus]
    states = {one.uuid: one.state for one in known.unhealthy}
    yield _gauge("DCGM_FI_DEV_FB_TOTAL", "GPU memory (MiB).", _DEVICE, (
        (_device(gpu), size // _MIB) for gpu, size in sizes
    ))  # fmt: skip
    yield _gauge("DCGM_FI_DEV_FB_CAPACITY_BYTES", "GPU memory (bytes).", _DEVICE, (
        (_device(gpu), size) for gpu, size in sizes
    ))  # fmt: skip
    yield _gauge("hw_gpu_memory_limit_bytes", "hw.gpu.memory.limit", _OTEL, (
        (_otel(gpu), size) for gpu, size in sizes
    ))  # fmt: skip
    yield _counter("DCGM_EXP_XID_ERRORS", "XIDs seen since enrolment.", (*_DEVICE, "xid"), (
        ((*_device(gpu), str(one.xid)), one.count) for gpu, one in counted
    ))  # fmt: skip
    yield _counter("hw_errors", "hw.errors", (*_OTEL, "error_type"), (
        ((*_otel(gpu), f"xid-{one.xid}"), one.count) for gpu, one in counted
    ))  # fmt: skip
    yield _gauge("hw_status", "hw.status: 1 for the state it is in.", (*_OTEL, "hw_state"), (
        ((*_otel(gpu), _state(states.get(gpu.uuid))), 1) for gpu in known.gpus
    ))  # fmt: skip


def _state(said: str | None) -> str:
    """OpenTelemetry's word for what the node attested; a device nobody spoke ill of is ok."""
    if said is None:
        return "ok"
    return "failed" if said == "failed" else "degraded"


def _device(gpu: metrics_read.Gpu) -> tuple[str, ...]:
    return (str(gpu.device), gpu.uuid, gpu.model, gpu.node, str(gpu.simulated).lower())


def _otel(gpu: metrics_read.Gpu) -> tuple[str, ...]:
    return (gpu.uuid, gpu.model, "gpu", str(gpu.simulated).lower())


type _Samples = Iterable[tuple[tuple[str, ...], int]]


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: _Samples) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, amount in samples:
        family.add_metric(values, amount)
    return family


def _counter(name: str, text: str, labels: tuple[str, ...], samples: _Samples) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, amount in samples:
        family.add_metric(values, amount)
    return family
