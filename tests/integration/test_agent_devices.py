"""An agent whose SIMULATED device falls ill, against the real log, NATS and ingest."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.identity import event_key
from agent.simulated_devices import SimulatedDevices
from api.embedded.nats import Nats
from contracts.signing import public_hex
from domain import device, node_facts, runtime
from domain.node_facts import SanitizationRequired
from tests.agent_world import AgentProgram, World, audited, enrolled_program, story
from tests.conftest import Database

pytestmark = pytest.mark.slow


@asynccontextmanager
async def anchored(
    world: World, state: Path
) -> AsyncIterator[tuple[str, AgentProgram, SimulatedDevices]]:
    """A node whose agent runs, and the outside world of its devices; both are gone afterwards."""
    name, agent = await enrolled_program(world, state)
    agent.start()
    outside = SimulatedDevices(
        state / "simulated-devices.db", public_hex(event_key(state)), 8, "T4"
    )
    try:
        await world.until(name, "node.anchored", within_s=90)
        yield name, agent, outside
        assert agent.end() == (0, "")
    finally:
        if agent.child is not None and agent.child.poll() is None:
            agent.kill()
        outside.close()


def test_a_suspect_device_is_tested_and_comes_back(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """XID 48 -> reported and in quarantine -> tested -> returned, each once, over a kill -9; the
    XID is counted; an auditor believes every word.
    """

    async def law(world: World, tmp: Path) -> None:
        async with anchored(world, tmp / "a") as (name, agent, outside):
            gpu = outside.inventory()[3].uuid
            outside.raise_xid(gpu, 31)
            outside.raise_xid(gpu, 48)
            await world.until(name, "node.quarantined", within_s=120)
            agent.kill()
            agent.start()
            await world.until(name, "node.returned", within_s=120)
            said = [e.fact for e in world.entries() if e.stream == name]
            [report] = [fact for fact in said if isinstance(fact, device.DeviceReported)]
            assert (report.devices, report.xid, report.state) == ((3,), 48, "suspect")
            xids = [fact for fact in said if isinstance(fact, device.DeviceXid)]
            assert [(one.xid, one.count) for one in xids] == [(31, 1), (48, 1)]
            [test] = [fact for fact in said if isinstance(fact, device.DeviceTested)]
            assert (test.passed, test.method) == (True, "SIMULATED")
            assert (await world.tags(name)).count("node.device_test_requested") == 1
        audited(world)

    story(law, database, nats_server, tmp_path)


def test_a_device_that_owes_a_receipt_is_wiped_first(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """A process left on it spoils the first receipt; without it the next is clean and the device
    comes back.
    """

    async def law(world: World, tmp: Path) -> None:
        async with anchored(world, tmp / "a") as (name, _agent, outside):
            await world.write(name, SanitizationRequired(1))
            gpu = outside.inventory()[0].uuid
            outside.occupy(gpu, 4242)
            outside.raise_xid(gpu, 48)
            await world.until(name, "node.sanitized", within_s=120)
            outside.leave(gpu)
            await world.until(name, "node.returned", within_s=120)
            said = [e.fact for e in world.entries() if isinstance(e.fact, node_facts.Sanitized)]
            assert (said[0].bytes_covered, said[0].residual_processes) == (0, 1)
            assert (said[-1].method, said[-1].residual_processes) == ("SIMULATED", 0)
            assert said[-1].bytes_covered == 16 << 30
        audited(world)

    story(law, database, nats_server, tmp_path)


def test_nothing_starts_where_somebody_else_still_is(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """A foreign process and memory that is left: each launch is refused, signed, by its code, and
    ends at no cost; the device goes into quarantine, fails its test while it is so, and comes back
    when it is clean.
    """

    async def law(world: World, tmp: Path) -> None:
        async with anchored(world, tmp / "a") as (name, _agent, outside):
            first, second = (one.uuid for one in outside.inventory()[:2])
            outside.occupy(first, 4242)
            outside.fill(second, 1 << 30)
            for index, code in ((0, "device.occupied"), (1, "device.memory_left")):
                launched = await world.launch(name, index)
                await world.until(launched, "runtime.stopped", within_s=60)
                facts = [entry.fact for entry in await world.log.read_stream(launched)]
                reasons = [one.reason for one in facts if isinstance(one, runtime.Stopping)]
                assert reasons == [code]
                assert not any(isinstance(one, runtime.Usable) for one in facts)
            said = [e.fact for e in world.entries() if e.stream == name]
            barred = [one for one in said if isinstance(one, node_facts.Quarantined)]
            assert [(one.devices, one.reason) for one in barred] == [
                ((0,), "health.device.occupied"), ((1,), "health.device.memory_left"),
            ]  # fmt: skip
            await world.until(name, "node.device_tested", times=2, within_s=60)
            outside.leave(first)
            outside.fill(second, 0)
            world.offset_us += 2 * device.RETRY_US
            await world.until(name, "node.returned", times=2, within_s=60)
            tests = [e.fact for e in world.entries() if isinstance(e.fact, device.DeviceTested)]
            assert [one.passed for one in tests] == [False, False, True, True]
            again = await world.launch(name, 0)
            await world.until(again, "runtime.usable", within_s=60)
        audited(world)

    story(law, database, nats_server, tmp_path)
