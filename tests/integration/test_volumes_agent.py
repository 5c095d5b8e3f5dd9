"""Orders about volumes from the log to a SIMULATED node and back, against the real NATS and ingest."""

import asyncio
from pathlib import Path

import pytest

from api.embedded.nats import Nats
from contracts import fleet, volumes
from contracts.signing import public_hex
from domain import stray, volume
from evidence.ids import new_id
from tests.agent_world import ORG, PRIVATE, Hand, World, enrolled_program, hand_of, now_us, story
from tests.conftest import Database

pytestmark = pytest.mark.slow


def created(node: str, size_mib: int = 64) -> volume.Created:
    return volume.Created(
        "project-1", "department-1", "account-1", node, PRIVATE, size_mib, now_us()
    )


def test_a_volume_is_made_grown_copied_restored_and_wiped(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Each request is answered by one attested word, over a kill -9 of the agent and of ingest;
    SIMULATED says so; the auditor's own code believes every word.
    """

    async def law(world: World, tmp: Path) -> None:
        node, agent = await enrolled_program(world, tmp / "a")
        agent.start()
        try:
            await world.until(node, "node.anchored", 60)
            name, snapshot = new_id("volume"), new_id("snapshot")
            await world.write(name, created(node), org=ORG)
            await world.until(name, "volume.formatted", 30)
            agent.kill()
            await world.write(name, volume.GrowRequested(128, now_us()), org=ORG)
            agent.start()
            await world.until(name, "volume.grown", 60)
            await world.stop_ingest()
            await world.write(name, volume.SnapshotRequested(snapshot, now_us()), org=ORG)
            world.start_ingest()
            await world.until(name, "volume.snapshotted", 60)
            await world.write(name, volume.RestoreRequested(snapshot, now_us()), org=ORG)
            await world.until(name, "volume.restored", 30)
            await world.write(name, volume.WipeRequested(now_us()), org=ORG)
            await world.until(name, "volume.deleted", 30)
            facts = [entry.fact for entry in await world.log.read_stream(name)]
            methods = [one.method for one in facts if isinstance(one, volume.Formatted)]
            assert methods == ["SIMULATED"]
            words = (
                "created formatted grow_requested grown snapshot_requested snapshotted"
                " restore_requested restored wipe_requested wiped deleted"
            )
            assert await world.tags(name) == [f"volume.{word}" for word in words.split()]
            assert agent.end() == (0, "")
        finally:
            if agent.child is not None and agent.child.poll() is None:
                agent.kill()

    story(law, database, nats_server, tmp_path)


async def ordered(world: World, hand: Hand, number: int) -> None:
    """Returns when the node was sent the order of that number, signed."""
    pulled = await hand.client.jetstream().pull_subscribe_bind(
        durable=hand.node, stream=fleet.CMD_STREAM
    )
    while True:
        for message in await pulled.fetch(8, timeout=30):
            await message.ack()
            if fleet.open_command(message.data, public_hex(world.key)).number == number:
                await pulled.unsubscribe()
                return


def test_a_node_that_lies_about_a_volume_is_not_believed(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Another size, another's order, another node's volume, rubbish, a receipt that covers less:
    each is answered and none becomes a fact. A refusal ends the order by its code.
    """

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand, hand_of(world) as other:
            for one in (hand, other):
                await one.say(one.word(1, fleet.ANCHORED))
                await one.receipt(1)
            name = new_id("volume")
            await world.write(name, created(hand.node), org=ORG)
            at = next(e.position for e in world.entries() if e.stream == name)
            made: fleet.Said = {"command": at, "method": "ext4_loop", "bytes": 64 * volumes.MIB}
            await other.say(other.word(2, volumes.FORMATTED, name, made))
            assert (await other.receipt(2)).code == "volume.foreign_node"
            lies: list[tuple[str, fleet.Said, str]] = [
                (volumes.FORMATTED, {**made, "bytes": volumes.MIB}, "volume.not_asked"),
                (volumes.FORMATTED, {**made, "command": at + 1}, "volume.not_asked"),
                (volumes.FORMATTED, {**made, "more": 1}, "event.malformed"),
                (volumes.FORMATTED, {**made, "method": "<script>"}, "event.malformed"),
                (volumes.GROWN, {"command": at, "size_mib": 128}, "volume.not_asked"),
            ]
            for seq, (tag, said, code) in enumerate(lies, 2):
                await hand.say(hand.word(seq, tag, name, said))
                assert (await hand.receipt(seq)).code == code
            await hand.say(hand.word(7, volumes.FORMATTED, name, made))
            assert (await hand.receipt(7)).position is not None
            await world.write(name, volume.GrowRequested(128, now_us()), org=ORG)
            asked = max(e.position for e in world.entries() if e.stream == name)
            await ordered(world, hand, asked)
            refusal: fleet.Said = {
                "command": asked, "code": "volume.no_space", "sha256": "0" * 64,
            }  # fmt: skip
            await hand.say(hand.word(8, fleet.COMMAND_REFUSED, hand.node, refusal))
            await world.until(name, "volume.order_refused")
            await world.write(name, volume.WipeRequested(now_us()), org=ORG)
            asked = max(e.position for e in world.entries() if e.stream == name)
            await ordered(world, hand, asked)
            short: fleet.Said = {
                "command": asked, "method": "zero", "bytes_covered": 1, "duration_us": 1,
            }  # fmt: skip
            await hand.say(hand.word(9, volumes.WIPED, name, short))
            assert (await hand.receipt(9)).code == "volume.receipt_short"
            assert "volume.wiped" not in await world.tags(name)

    story(law, database, nats_server, tmp_path)


async def lists(hand: Hand, *names: str) -> None:
    """A heartbeat that says what lies on its disk."""
    beat = fleet.Beat("gpuaas-beat/1", hand.node, hand.boot, hand.boottime_us(), names)
    message = fleet.beat_message(hand.key, beat)
    await hand.client.publish(fleet.subject(hand.node, "hb"), message)


def test_only_what_the_log_gives_to_nobody_is_wiped(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """A node lists what is its own, another's, lost, deleted and unheard of: it is told to wipe the
    lost and the deleted, once each. What it answers for anything else is no fact.
    """

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand, hand_of(world) as other:
            for one in (hand, other):
                await one.say(one.word(1, fleet.ANCHORED))
                await one.receipt(1)
            mine, theirs, lost, gone = (new_id("volume") for _ in range(4))
            for name, node in ((mine, hand), (theirs, other), (lost, other), (gone, hand)):
                await world.write(name, created(node.node), org=ORG)
            await world.write(lost, volume.Lost(now_us(), now_us()), org=ORG)
            await world.write(gone, volume.Deleted(now_us()), org=ORG)
            for _ in range(2):
                await lists(hand, mine, theirs, lost, gone, new_id("volume"))
            asked: dict[str, int] = {}
            for _ in range(600):
                asked = {
                    entry.fact.volume: entry.position
                    for entry in world.entries()
                    if isinstance(entry.fact, stray.VolumeWipeRequested)
                }
                if len(asked) == 2:
                    break
                await asyncio.sleep(0.05)
            assert sorted(asked) == sorted((lost, gone))
            await ordered(world, hand, asked[lost])
            said: fleet.Said = {
                "volume": lost, "command": asked[lost], "method": "zero", "bytes_covered": 7,
                "duration_us": 1,
            }  # fmt: skip
            lies: list[tuple[fleet.Said, str, str]] = [
                ({**said, "volume": mine}, hand.node, "volume.not_asked"),
                ({**said, "command": asked[gone]}, hand.node, "volume.not_asked"),
                (said, lost, "event.malformed"),
                ({**said, "more": 1}, hand.node, "event.malformed"),
            ]
            for seq, (word, stream, code) in enumerate(lies, 2):
                await hand.say(hand.word(seq, volumes.STRAY_WIPED, stream, word))
                assert (await hand.receipt(seq)).code == code
            await hand.say(hand.word(6, volumes.STRAY_WIPED, hand.node, said))
            assert (await hand.receipt(6)).position is not None
            refusal: fleet.Said = {
                "command": asked[gone], "code": "volume.busy", "sha256": "0" * 64,
            }  # fmt: skip
            await hand.say(hand.word(7, fleet.COMMAND_REFUSED, hand.node, refusal))
            await world.until(hand.node, "node.volume_wipe_refused")
            tags = [tag for tag in await world.tags(hand.node) if "volume" in tag]
            assert tags == [
                *["node.volume_wipe_requested"] * 2,
                *("node.volume_wiped", "node.volume_wipe_refused"),
            ]
            assert not [tag for tag in await world.tags(other.node) if "volume" in tag]

    story(law, database, nats_server, tmp_path)
