"""A crowd of SIMULATED agents on the real log, ingest and NATS, disturbed from a seed."""

import asyncio
import time
from pathlib import Path

import pytest

from agent.simulator.crowd import FAULTS, Crowd, until
from agent.simulator.enrolling import key_of
from agent.simulator.member import Habits, Identity, Member
from api.embedded.nats import Nats
from contracts import nkeys
from contracts.signing import public_hex
from tests.agent_world import World, story
from tests.conftest import Database

pytestmark = pytest.mark.slow

MEMBERS, SEED, DISTURBED = 40, 3, 16
HABITS = Habits(gpus=1, usable_after_us=100_000, heartbeat_us=1_000_000, renew_us=3_000_000)


async def crowd_of(world: World) -> Crowd:
    who = []
    for at in range(MEMBERS):
        event, nats = key_of(SEED, at, "event"), key_of(SEED, at, "nats")
        name = await world.enrol(public_hex(event), gpus=1, nkey=nkeys.public(nats, nkeys.USER))
        who.append((Identity(name, event, nats, world.reply(name).command_key), world.node_url))
    return Crowd(who, HABITS, SEED)


def renewed_since(members: list[Member], when: float) -> bool:
    return all(one.renewed_at > when for one in members)


def test_a_disturbed_crowd_keeps_its_leases_and_its_words(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Cuts, kills, reboots and silences from a seed: whoever did not reboot still runs and renews,
    whoever did has lost exactly its runtime, nobody is taken for two, the log audits.
    """

    async def law(world: World, _tmp: Path) -> None:
        crowd = await crowd_of(world)
        crowd.start()
        try:
            assert await until(lambda: crowd.entered() == MEMBERS, 60)
            runtimes = {one.who.node: await world.launch(one.who.node) for one in crowd.members}
            assert await until(lambda: len(crowd.living()) == MEMBERS, 60)
            faults = []
            for _ in range(DISTURBED):
                faults.append(crowd.disturb())
                await asyncio.sleep(0.2)
            assert {fault for fault, _ in faults} == set(FAULTS)
            rebooted = {member.who.node for fault, member in faults if fault == "reboot"}
            quiet = {member.who.node for fault, member in faults if fault == "silence"}
            calm = time.monotonic()
            steady = [one for one in crowd.members if one.who.node not in rebooted | quiet]
            assert await until(lambda: renewed_since(steady, calm), 60)
            for member in crowd.members:
                if member.who.node in rebooted:
                    await world.until(runtimes[member.who.node], "runtime.lost", 60)
                else:
                    assert member.lives()
                tags = await world.tags(member.who.node)
                assert tags.count("node.anchored") == member.boots
                assert "node.doubled" not in tags
            living = crowd.storm()
            assert len(living) == MEMBERS - len(rebooted)
            loud = [one for one in living if not one.silent]
            assert await until(lambda: all(one.renewed_at for one in loud), 60)
        finally:
            crowd.stop()
            await asyncio.sleep(0.1)
        strange = set(crowd.figures.counts) - {"cmd_done", *(f"fault_{one}" for one in FAULTS)}
        assert not strange, crowd.figures.counts

    story(law, database, nats_server, tmp_path)
