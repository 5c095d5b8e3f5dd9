"""Runtimes: what was asked, what runs and where, its state: since when, why, what happens next;
and the images they may name.
"""

from typing import Final

from domain import image, runtime
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, json, text

SHAPES: Final = (
    Shape(
        "runtime",
        ("runtime",),
        "runtime, from_position, to_position, organization, department, project, account, name, "
        "devices, gpu_milli, models, requested_us, actor",
    ),
    Shape(
        "runtime_place",
        ("runtime",),
        "runtime, from_position, to_position, allocation, node, model, devices, epoch, "
        "allocated_us",
    ),
    Shape(
        "runtime_state",
        ("runtime",),
        "runtime, from_position, to_position, version, state, since_us, why, actor, organization",
    ),
    Shape(
        "runtime_config",
        ("runtime",),
        "runtime, from_position, to_position, version, image, digest, cpu_milli, memory_bytes, "
        "pids, restarts",
    ),
    Shape(
        "runtime_route",
        ("runtime",),
        "runtime, from_position, to_position, version, address, port, host_key",
    ),
    Shape("runtime_region", ("runtime",), "runtime, from_position, to_position, version, region"),
    Shape("runtime_spot", ("runtime",), "runtime, from_position, to_position, version"),
    Shape(
        "image",
        ("reference",),
        "reference, from_position, to_position, image, digest, registered_us",
        hashed=True,
    ),
)

# What a person is told to expect next (PRODUCT.md: each state says what happens next).
NEXT: Final[dict[str, str]] = {
    "requested": "placed on a node in the same step",
    "allocated": "the node is told to start it",
    "starting": "usable when SSH answers and the GPU is seen inside; billing starts then",
    "usable": "billed until it stops",
    "degraded": "not billed; usable again when the GPU answers, or failed",
    "stopping": "stopped when the node says so",
    "stopped": "ended; its time is charged",
    "failed": "ended; time while it was usable is charged",
    "lost": "ended; its node is gone, time is billed up to the last attestation",
    "cancelled": "ended before it was usable; costs nothing",
}


def _state(b: Batch, e: Entry, state: str, since_us: int, why: str = "") -> None:
    tail = f"{e.version}\t{state}\t{since_us}\t{text(why)}\t{text(e.actor)}\t{e.org}"
    head = f"{e.stream}\t{e.position}"
    b["runtime_state"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _requested(b: Batch, e: Entry, f: runtime.Requested) -> None:
    tail = (
        f"{e.org}\t{text(f.department)}\t{text(f.project)}\t{text(f.account)}\t"
        f"{text(f.name.private)}\t{f.devices}\t{f.gpu_milli}\t{json(f.models)}\t"
        f"{f.requested_us}\t{text(e.actor)}"
    )
    b["runtime"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail, new=e.version == 1)
    if e.version == 1:
        b["runtime_place"].absent(e.stream)
    _state(b, e, "requested", f.requested_us)


def _allocated(b: Batch, e: Entry, f: runtime.Allocated) -> None:
    tail = (
        f"{text(f.allocation)}\t{text(f.node)}\t{text(f.model)}\t{json(f.devices)}\t{f.epoch}\t"
        f"{f.allocated_us}"
    )
    head = f"{e.stream}\t{e.position}"
    b["runtime_place"].open(e.stream, e.position, head, tail, new=e.version == 1)
    _state(b, e, "allocated", f.allocated_us)


def _configured(b: Batch, e: Entry, f: runtime.Configured) -> None:
    tail = (
        f"{e.version}\t{text(f.image)}\t{text(f.digest)}\t{f.cpu_milli}\t{f.memory_bytes}\t"
        f"{f.pids}\t{f.restarts}"
    )
    head = f"{e.stream}\t{e.position}"
    b["runtime_config"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _asked(b: Batch, e: Entry, f: runtime.RegionAsked) -> None:
    head = f"{e.stream}\t{e.position}"
    tail = f"{e.version}\t{text(f.region)}"
    b["runtime_region"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _spot(b: Batch, e: Entry, _: runtime.Spot) -> None:
    head = f"{e.stream}\t{e.position}"
    b["runtime_spot"].open(e.stream, e.position, head, str(e.version), new=e.version == 1)


def _routed(b: Batch, e: Entry, f: runtime.Routed) -> None:
    tail = f"{e.version}\t{text(f.address)}\t{f.port}\t{text(f.host_key)}"
    head = f"{e.stream}\t{e.position}"
    b["runtime_route"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _registered(b: Batch, e: Entry, f: image.Registered) -> None:
    tail = f"{e.stream}\t{text(f.digest)}\t{f.registered_us}"
    head = f"{text(f.reference)}\t{e.position}"
    b["image"].open(f.reference, e.position, head, tail)


def _starting(b: Batch, e: Entry, f: runtime.Starting) -> None:
    _state(b, e, "starting", f.decided_us)


def _usable(b: Batch, e: Entry, f: runtime.Usable) -> None:
    _state(b, e, "usable", f.usable_us)


def _degraded(b: Batch, e: Entry, f: runtime.Degraded) -> None:
    _state(b, e, "degraded", f.degraded_us)


def _stopping(b: Batch, e: Entry, f: runtime.Stopping) -> None:
    _state(b, e, "stopping", f.decided_us, f.reason)


def _stopped(b: Batch, e: Entry, f: runtime.Stopped) -> None:
    _state(b, e, "stopped", f.stopped_us)


def _failed(b: Batch, e: Entry, f: runtime.Failed) -> None:
    _state(b, e, "failed", f.failed_us, f.code)


def _cancelled(b: Batch, e: Entry, f: runtime.Cancelled) -> None:
    _state(b, e, "cancelled", f.decided_us, f.reason)


def _lost(b: Batch, e: Entry, f: runtime.Lost) -> None:
    _state(b, e, "lost", f.lost_us, "the node stopped answering")


APPLY: Final[dict[type, Apply]] = {
    runtime.Requested: _requested,
    runtime.Allocated: _allocated,
    runtime.RegionAsked: _asked,
    runtime.Spot: _spot,
    runtime.Configured: _configured,
    runtime.Starting: _starting,
    runtime.Routed: _routed,
    runtime.Usable: _usable,
    runtime.Degraded: _degraded,
    runtime.Stopping: _stopping,
    runtime.Stopped: _stopped,
    runtime.Failed: _failed,
    runtime.Cancelled: _cancelled,
    runtime.Lost: _lost,
    image.Registered: _registered,
}
