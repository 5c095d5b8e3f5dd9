"""An agent on a machine with an NVML (a stub of the library, the real binding) and a CUDA library."""

import asyncio
import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.embedded.nats import Nats
from contracts import enrolment
from contracts.signing import public_hex
from domain import device, identity, node, node_facts, runtime
from domain.canary import CanaryLooked
from domain.words import Gpu
from evidence.ids import new_id
from tests.agent_world import PRIVATE, AgentProgram, Front, World, now_us, story
from tests.conftest import Database
from tests.nvml.library import SOURCE, compiled

pytestmark = pytest.mark.slow
MARKER = b"the former tenant's secret"
TWO = """\
driver 550.54.15
gpu 0 GPU-00000000-aaaa 3 85899345920 NVIDIA_H100_80GB_HBM3 1650001
gpu 1 GPU-11111111-bbbb 4 85899345920 NVIDIA_H100_80GB_HBM3 1650002
set 0 recovery 0
set 1 recovery 0
"""


async def eventually(seen: Callable[[], bool], within_s: float = 120) -> None:
    async with asyncio.timeout(within_s):
        while not seen():  # noqa: ASYNC110  what is waited for happens in another program
            await asyncio.sleep(0.1)


def test_a_real_node_enrols_describes_wipes_and_falls_ill(
    database: Database, nats_server: Nats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enrolment carries the real inventory; each device describes itself with the library's digest,
    and says how fast it is: one too slow for an H100 is barred. An ordered wipe leaves no marker
    and says how many bytes, after its canary was looked for; a lost GPU is reported, the other
    goes on, and the agent lives. On a device with a foreign process nothing starts.
    """
    library = compiled(tmp_path)
    cuda = tmp_path / "libcuda.so.1"
    source = SOURCE.with_name("cuda.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(cuda), str(source)], check=True)
    memory, state = tmp_path / "memory", tmp_path / "nvml.txt"
    memory.write_bytes((MARKER + bytes(1000)) * 4100)
    state.write_text(TWO)
    monkeypatch.setenv("STUB_NVML", str(state))
    monkeypatch.setenv("STUB_CUDA", str(memory))
    monkeypatch.setenv("STUB_CUDA_SLOW", "GPU-11111111-bbbb")

    async def law(world: World, tmp: Path) -> None:
        token = enrolment.new_token(new_id("node"), public_hex(world.key))
        name = token.node
        enrolling: list[enrolment.EnrolRequest] = []

        def answer(request: enrolment.EnrolRequest) -> tuple[int, bytes]:
            enrolment.check_proof(request)
            enrolling.append(request)
            return 200, msgspec.json.encode(world.reply(name))

        def facts(kind: type[Any]) -> list[Any]:
            return [e.fact for e in world.entries() if isinstance(e.fact, kind)]

        real = ("--devices", "nvml", "--nvml-library", str(library), "--cuda-library", str(cuda))
        front = Front(answer)
        agent = AgentProgram(tmp / "a", "--api", front.url, *real, token=token.text())
        agent.start()
        try:
            await eventually(lambda: bool(enrolling))
            front.close()
            said = enrolling[0]
            assert (said.simulated, said.model) == (False, "H100")
            uuids = ["GPU-00000000-aaaa", "GPU-11111111-bbbb"]
            assert [gpu.uuid for gpu in said.gpus] == uuids
            gpus = tuple(Gpu(gpu.index, gpu.uuid) for gpu in said.gpus)
            await world.write(
                name,
                node.Invited(PRIVATE, "H100", "0" * 64, now_us() + 10**9, now_us()),
                node.Enrolled(said.key, "H100", False, gpus, said.serial, now_us()),
                identity.Certified(str(said.nkey), "0" * 64, "0" * 64, 0, now_us() + 10**12),
            )
            await eventually(lambda: len(facts(device.DeviceDescribed)) == 2)
            first, _ = facts(device.DeviceDescribed)
            assert first.library == hashlib.sha256(library.read_bytes()).hexdigest()
            assert (first.product, first.memory_bytes) == ("NVIDIA H100 80GB HBM3", 80 << 30)
            await eventually(lambda: len(facts(device.DeviceProbed)) == 2)
            fast, slow = facts(device.DeviceProbed)
            assert (fast.uuid, fast.method, slow.uuid) == (uuids[0], "cuda_copy", uuids[1])
            assert fast.bytes // fast.duration_us > 20 * slow.bytes // slow.duration_us
            [barred] = facts(node_facts.Quarantined)
            assert (barred.devices, barred.reason) == ((1,), "differs.bandwidth")
            asked = await world.write(name, node_facts.SanitizeRequested((0,), "test", now_us()))
            await world.until(name, "node.sanitized", within_s=120)
            [receipt] = facts(node_facts.Sanitized)
            assert (receipt.method, receipt.residual_processes) == ("cuda_fill_verify", 0)
            assert receipt.bytes_covered == 4 << 20
            [canary] = facts(CanaryLooked)
            assert (canary.devices, canary.command, canary.method) == (
                (0,),
                asked.last,
                "cuda_marker",
            )
            assert (canary.planted, canary.looked, canary.found) == (2, 2, 0)
            assert len(facts(device.DeviceProbed)) == 3
            assert MARKER not in memory.read_bytes()[: receipt.bytes_covered]
            lost = state.with_suffix(".lost")
            lost.write_text(TWO + "error * 1 15\n")
            lost.replace(state)
            await eventually(lambda: len(facts(device.DeviceReported)) == 1)
            [report] = facts(device.DeviceReported)
            assert (report.devices, report.state, report.cause) == ((1,), "failed", "gpu.lost")
            assert len(facts(node_facts.Quarantined)) == 1
            occupied = state.with_suffix(".occupied")
            occupied.write_text(TWO + "error * 1 15\nrun 0 compute 4242 1024\n")
            occupied.replace(state)
            launched = await world.launch(name, 0)
            await world.until(launched, "runtime.stopped", within_s=60)
            [why] = facts(runtime.Stopping)
            assert why.reason == "device.occupied"
            assert facts(node_facts.Quarantined)[1].devices == (0,)
            assert agent.end() == (0, "")
        finally:
            if agent.child is not None and agent.child.poll() is None:
                agent.kill()

    story(law, database, nats_server, tmp_path)
