"""The metrics endpoint: parsed as a scraper would, against what the log says."""

import uuid
from pathlib import Path

import pytest
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from domain import device
from evidence.append import Append, Write
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.gateway_world import WORD

pytestmark = pytest.mark.slow

GIB = 2**30


def samples(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            found.setdefault(one.name, []).append((dict(one.labels), one.value))
    return found


async def say(stage: Stage, node: str, *facts: Struct) -> None:
    log = stage.services.log
    version = len(await log.read_stream(node))
    write = Write(node, "-", version, facts)
    await log.append(Append((write,), "system-test", f"cmd:{uuid.uuid4().hex * 2}"))


def test_metrics_say_what_the_views_know(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Devices under DCGM's old and new names and OpenTelemetry's, SIMULATED by label; XIDs count
    up; only the platform's readers may scrape.
    """

    async def scene(stage: Stage) -> None:
        node = await stage.node(gpus=2)
        tenant = await stage.tenant()
        body = {"project": tenant["project"], "name": "r", "devices": 1, "gpu_milli": 500}
        assert (await stage.post("/v1/runtimes", body)).status_code == 201
        gpu = f"GPU-{node}-1"
        described, xid = facts_of(gpu)
        await say(stage, node, described, xid)
        await stage.views()
        for role in ("member", "admin"):
            token = stage.token(role, tenant["org"])
            assert (await stage.get("/v1/metrics", token=token)).status_code == 403
        answer = await stage.get("/v1/metrics", token=stage.token("auditor", None))
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        found = samples(answer.text)
        assert found["gpuaas_log_entries_total"] == [({}, await stage.size())]
        assert found["gpuaas_nodes"] == [({"reachable": "true", "simulated": "true"}, 1)]
        assert found["gpuaas_runtimes"] == [({"state": "allocated"}, 1)]
        labels = {
            "gpu": "1", "UUID": gpu, "modelName": "T4", "Hostname": node, "simulated": "true",
        }  # fmt: skip
        assert found["DCGM_FI_DEV_FB_TOTAL"] == [(labels, 16 * 1024)]
        assert found["DCGM_FI_DEV_FB_CAPACITY_BYTES"] == [(labels, 16 * GIB)]
        assert found["DCGM_EXP_XID_ERRORS_total"] == [({**labels, "xid": "79"}, 3)]
        otel = {"hw_id": gpu, "hw_name": "T4", "hw_type": "gpu", "simulated": "true"}
        assert found["hw_gpu_memory_limit_bytes"] == [(otel, 16 * GIB)]
        assert found["hw_errors_total"] == [({**otel, "error_type": "xid-79"}, 3)]
        assert {one["hw_state"] for one, _ in found["hw_status"]} == {"ok"}
        assert len(found["hw_status"]) == 2
        assert tenant["org"] not in answer.text

    play(database, nats_url, tmp_path, scene)


def facts_of(gpu: str) -> tuple[Struct, Struct]:
    """A device described, and an XID seen on it three times, as its node would attest."""
    lib = "00" * 32
    return (
        device.DeviceDescribed((1,), gpu, "Tesla T4", 16 * GIB, "s", "570.1", lib, 1, 1, WORD),
        device.DeviceXid((1,), gpu, 79, 3, 1, 1, WORD),
    )
