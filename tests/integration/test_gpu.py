"""A real GPU, where there is one: the same source, the real library."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.canary import marker_of
from agent.cuda_canary import PAGE, Looked, Planted
from agent.cuda_copy import Copied
from agent.cuda_fill import PATTERNS, Filled
from agent.device_memory import CudaMemory
from agent.device_nodes import DEV
from agent.machine import model_of
from api.embedded.nats import Nats
from contracts import enrolment
from contracts.signing import public_hex
from domain import identity, node, node_facts
from domain.bandwidth import falls_short
from domain.canary import CanaryLooked
from domain.device import DeviceProbed
from domain.words import Gpu
from evidence.ids import new_id
from tests.agent_world import PRIVATE, AgentProgram, Front, World, now_us, story
from tests.conftest import Database
from tests.nvml.library import ROOT, Asker

pytestmark = pytest.mark.gpu
PLACES = (
    Path("/usr/lib/x86_64-linux-gnu"),
    Path("/usr/lib/aarch64-linux-gnu"),
    Path("/usr/lib64"),
    Path("/usr/local/nvidia/lib64"),
    Path("/usr/local/nvidia/lib"),
)


def library(name: str) -> Path | None:
    """Where the driver's library of this name lies on this machine."""
    return next((place / name for place in PLACES if (place / name).exists()), None)


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    """A process with the machine's own NVML; absent is a named skip."""
    nvml = library("libnvidia-ml.so.1")
    if nvml is None or not (DEV / "nvidiactl").exists():
        pytest.skip("this machine has no NVIDIA GPU (no libnvidia-ml.so.1 or no /dev/nvidiactl)")
    with Asker(nvml, tmp_path / "unused", "") as one:
        assert one.opened == "open"
        yield one


def idle_gpu(asker: Asker) -> tuple[Path, dict[str, Any]]:
    """The CUDA library and the first unit that nobody works on; a named skip where there is none."""
    cuda = library("libcuda.so.1")
    if cuda is None:
        pytest.skip("this machine has no libcuda.so.1")
    unit: dict[str, Any] = asker.ask("inventory")[0]
    if asker.ask("occupants", unit["parent"] or unit["uuid"]) != []:
        pytest.skip("somebody works on the GPU")
    return cuda, unit


def test_a_real_gpu_is_described_and_read(asker: Asker) -> None:
    """Uuid, product, memory and a node in /dev for each; a reading with memory and without fault;
    occupants and events answer.
    """
    units: list[dict[str, Any]] = asker.ask("inventory")
    assert units
    for unit in units:
        assert unit["uuid"].startswith(("GPU-", "MIG-"))
        assert unit["memory_bytes"] > 1 << 30
        gpu = unit["parent"] or unit["uuid"]
        read = asker.ask("read", gpu)
        assert read["memory_total_bytes"] >= unit["memory_bytes"]
        assert read["fault"] == ""
        assert isinstance(asker.ask("occupants", gpu), list)
    assert asker.ask("events") == []
    nodes = asker.ask("nodes", "/dev", "/proc/driver/nvidia/capabilities")
    assert all(Path(path).exists() for one in nodes for path in one["paths"])


def test_a_real_gpu_agrees_with_the_drivers_own_tool(asker: Asker) -> None:
    """`nvidia-smi -L` names the same uuids as our inventory."""
    listed = subprocess.run(["nvidia-smi", "-L"], check=True, capture_output=True, text=True).stdout
    for unit in asker.ask("inventory"):
        assert unit["uuid"] in listed


def test_a_real_gpus_memory_is_filled_and_read_back(asker: Asker) -> None:
    """Nine tenths of an idle GPU's memory at least are covered and verified, both ways at more than
    1 GB/s: a bus that is slower than any PCIe link of this century is a fault to see.
    """
    cuda, unit = idle_gpu(asker)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "agent.cuda_fill", str(cuda)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": unit["uuid"]},
        check=True,
        capture_output=True,
        cwd=ROOT,
    )
    seconds = time.monotonic() - began
    filled = msgspec.json.decode(done.stdout, type=Filled)
    assert filled.differing_bytes == 0
    assert filled.covered_bytes >= unit["memory_bytes"] * 9 // 10
    assert len(PATTERNS) * filled.covered_bytes / seconds > 1e9


def test_a_real_gpu_is_as_fast_as_its_model(asker: Asker) -> None:
    """A copy within its memory is no slower than the floor of what it says it is, long enough to
    count, and faster than any bus: 50 GB/s at least.
    """
    cuda, unit = idle_gpu(asker)
    copied = asyncio.run(CudaMemory(cuda).copy(unit["uuid"]))
    assert isinstance(copied, Copied), copied
    assert copied.duration_us >= 100_000
    assert copied.moved_bytes // copied.duration_us > 50_000
    model = model_of(unit["product"])
    assert not falls_short(model, copied.moved_bytes, copied.duration_us), (model, copied)


def test_a_real_gpu_keeps_no_canary_over_a_fill(asker: Asker) -> None:
    """Planted in nine tenths of its pages at least; after a fill another context looks at as many
    and finds none; planting and looking take less time than the fill.
    """
    cuda, unit = idle_gpu(asker)
    memory, marker, uuid = CudaMemory(cuda), marker_of("node-test", time.time_ns()), unit["uuid"]

    async def around() -> tuple[Any, Any, Any, float, float]:
        began = time.monotonic()
        planted = await memory.plant(uuid, marker)
        then = time.monotonic()
        filled = await memory.fill(uuid)
        after = time.monotonic()
        looked = await memory.look(uuid, marker)
        took = then - began + time.monotonic() - after
        return planted, filled, looked, took, after - then

    planted, filled, looked, canary_s, fill_s = asyncio.run(around())
    assert isinstance(planted, Planted), planted
    assert isinstance(filled, Filled), filled
    assert isinstance(looked, Looked), looked
    assert planted.places >= unit["memory_bytes"] * 9 // 10 // PAGE
    assert 10 * looked.places >= 9 * planted.places
    assert looked.found == 0
    assert canary_s < fill_s


@pytest.mark.slow
def test_a_real_node_enrols_probes_and_wipes_its_gpu(
    asker: Asker, database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """The whole agent over the real libraries, into the real log: the inventory it enrols with is
    the driver's, its probe says the model's speed, an ordered wipe covers nine tenths of the memory
    at least, is verified, and no canary stays.
    """
    cuda, unit = idle_gpu(asker)
    nvml = library("libnvidia-ml.so.1")
    assert nvml is not None

    async def law(world: World, tmp: Path) -> None:
        token = enrolment.new_token(new_id("node"), public_hex(world.key))
        enrolling: list[enrolment.EnrolRequest] = []

        def answer(request: enrolment.EnrolRequest) -> tuple[int, bytes]:
            enrolment.check_proof(request)
            enrolling.append(request)
            return 200, msgspec.json.encode(world.reply(token.node))

        def facts(kind: type[Any]) -> list[Any]:
            return [e.fact for e in world.entries() if isinstance(e.fact, kind)]

        real = ("--devices", "nvml", "--nvml-library", str(nvml), "--cuda-library", str(cuda))
        front = Front(answer)
        agent = AgentProgram(tmp / "a", "--api", front.url, *real, token=token.text())
        agent.start()
        try:
            async with asyncio.timeout(60):
                while not enrolling:  # noqa: ASYNC110  another program asks
                    await asyncio.sleep(0.1)
            front.close()
            [said] = enrolling
            assert not said.simulated
            assert unit["uuid"] in {gpu.uuid for gpu in said.gpus}
            gpus = tuple(Gpu(gpu.index, gpu.uuid) for gpu in said.gpus)
            await world.write(
                token.node,
                node.Invited(PRIVATE, said.model, "0" * 64, now_us() + 10**9, now_us()),
                node.Enrolled(said.key, said.model, False, gpus, said.serial, now_us()),
                identity.Certified(str(said.nkey), "0" * 64, "0" * 64, 0, now_us() + 10**12),
            )
            await world.until(token.node, "node.device_probed", within_s=60)
            probed = facts(DeviceProbed)[0]
            assert not falls_short(said.model, probed.bytes, probed.duration_us)
            asked = await world.write(
                token.node, node_facts.SanitizeRequested((0,), "test", now_us())
            )
            await world.until(token.node, "node.sanitized", within_s=200)
            [receipt] = facts(node_facts.Sanitized)
            assert (receipt.method, receipt.residual_processes) == ("cuda_fill_verify", 0)
            assert receipt.bytes_covered >= unit["memory_bytes"] * 9 // 10
            [canary] = facts(CanaryLooked)
            assert (canary.command, canary.found) == (asked.last, 0)
            assert 10 * canary.looked >= 9 * canary.planted > 0
            assert facts(node_facts.Quarantined) == []
            assert agent.end() == (0, "")
        finally:
            if agent.child is not None and agent.child.poll() is None:
                agent.kill()

    story(law, database, nats_server, tmp_path)
