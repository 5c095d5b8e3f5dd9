"""Ingest against real NATS and PostgreSQL, with an agent moved by hand."""

import asyncio
from pathlib import Path

import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.embedded.nats import Nats
from api.fleet import records as ingest_records
from api.fleet.leases import Timing
from api.fleet.words import Ending
from contracts import fleet
from domain import node, runtime
from domain.errors import DomainError
from evidence.log import Append, Appended
from tests.agent_world import Hand, World, hand_of, story
from tests.conftest import Database

pytestmark = pytest.mark.slow


async def anchored(hand: Hand) -> None:
    await hand.say(hand.word(1, fleet.ANCHORED))
    assert (await hand.receipt(1)).position is not None


async def usable(world: World, hand: Hand, seq: int = 2) -> str:
    """A runtime launched and said to be usable."""
    name = await world.launch(hand.node)
    await world.until(name, "runtime.starting")
    await hand.say(hand.word(seq, fleet.USABLE, name))
    await world.until(name, "runtime.usable")
    return name


def test_duplicates_and_reorders_change_nothing(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Words in any order, any number of times: each fact once, in order of their numbers."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand:
            anchor = hand.word(1, fleet.ANCHORED)
            await hand.say(anchor)
            await hand.receipt(1)
            name = await world.launch(hand.node)
            await world.until(name, "runtime.starting")
            words = [
                hand.word(2, fleet.USABLE, name),
                hand.word(3, fleet.DEGRADED, name),
                hand.word(4, fleet.USABLE, name),
                hand.word(5, fleet.STOPPED, name),
            ]
            for number in (3, 1, 2, 0, 3, 2, 1, 0):
                await hand.say(words[number])
            await hand.say(anchor)
            await world.until(name, "runtime.stopped")
            tags = await world.tags(name)
            assert tags[3:] == [
                "runtime.usable", "runtime.degraded", "runtime.usable", "runtime.stopped",
            ]  # fmt: skip
            for seq in (1, 2, 3, 4, 5):
                first, second = await hand.receipt(seq), await hand.receipt(seq, times=2)
                assert first.position == second.position
                assert first.position is not None
            assert (await world.tags(hand.node)).count("node.anchored") == 1

    story(law, database, nats_server, tmp_path)


def test_a_crash_between_append_and_receipt_is_answered_as_a_repeat(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """The word is in the log once; the redelivery gets the position of that one time."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand:
            await world.stop_ingest()
            committed: list[Appended] = []
            died = asyncio.Event()

            async def append_and_die(append: Append) -> Appended:
                committed.append(await world.log.append(append))
                died.set()
                raise ConnectionResetError

            world.appended = append_and_die
            world.start_ingest()
            word = hand.word(1, fleet.ANCHORED)
            await hand.say(word)
            await died.wait()
            await world.stop_ingest()
            assert hand.receipts == []
            world.appended = world.log.append
            world.start_ingest()
            await hand.say(word)
            receipt = await hand.receipt(1)
            assert receipt.position == committed[0].last
            assert (await world.tags(hand.node)).count("node.anchored") == 1

    story(law, database, nats_server, tmp_path)


def test_words_without_a_true_author_are_refused_and_counted(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Another key, another node's subject, an unknown node, noise: nothing reaches the log."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand, hand_of(world) as other:
            true_key, hand.key = hand.key, Ed25519PrivateKey.generate()
            await hand.say(hand.word(1, fleet.ANCHORED))
            hand.key = true_key
            forged = msgspec.structs.replace(hand.word(1, fleet.ANCHORED), sig="A" * 86 + "==")
            await hand.say(forged)
            await other.say(hand.word(1, fleet.ANCHORED), fleet.subject(other.node, "evt"))
            await hand.client.jetstream().publish(fleet.subject(hand.node, "evt"), b"noise")
            beat = fleet.Beat("gpuaas-beat/1", hand.node, hand.boot, 1)
            await hand.client.publish(
                fleet.subject(hand.node, "hb"), fleet.beat_message(other.key, beat)
            )
            await anchored(hand)
            counted = dict(
                world.rows("SELECT code, times FROM fleet.refused_message WHERE node <> '-'")
            )
            assert counted == {
                "attest.key_unknown": 1,
                "attest.signature": 1,
                "attest.wrong_node": 1,
                "attest.malformed": 1,
                "beat.forged": 1,
            }
            assert "node.anchored" not in await world.tags(other.node)

    story(law, database, nats_server, tmp_path)


def test_other_words_under_a_used_number_are_told_so(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Two agents with one identity, or a state rolled back: the second is not believed."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand:
            await anchored(hand)
            await hand.say(hand.word(1, fleet.ANCHORED))
            reused = await hand.receipt(1, times=2)
            assert (reused.position, reused.code) == (None, "event.seq_reused")
            assert (await world.tags(hand.node))[-1] == "node.doubled"

    story(law, database, nats_server, tmp_path)


def test_a_lease_is_renewed_in_the_log_before_it_is_granted(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """One fact for all runtimes; a repeat is the same reply; what it does not hold is revoked."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand:
            await anchored(hand)
            name = await usable(world, hand)
            word = hand.word(3, fleet.LEASE_RENEWED, said={"runtimes": [name]})
            nonce = hand.nonce
            asked_us = fleet.open_attested(word, word.key).boottime_us
            granted = await hand.ask(word)
            assert granted.granted == fleet.Granted(asked_us, asked_us + fleet.LEASE_US)
            (fact,) = [
                e for e in await world.log.read_stream(hand.node)
                if isinstance(e.fact, node.LeaseRenewed)
            ]  # fmt: skip
            assert fact.position == granted.position
            assert fact.fact.runtimes == (name,)  # type: ignore[attr-defined]
            assert await hand.ask(word, nonce) == granted
            assert hand.nonce != nonce
            foreign = hand.word(4, fleet.LEASE_RENEWED, said={"runtimes": [name, name + "x"]})
            refused = await hand.ask(foreign)
            assert (refused.code, refused.revoked) == ("lease.revoked", (name + "x",))
            again = hand.word(5, fleet.LEASE_RENEWED, said={"runtimes": [name]})
            assert (await hand.ask(again)).position is not None

    story(law, database, nats_server, tmp_path)


def test_a_silent_node_loses_its_runtimes_only_when_nothing_can_run_there(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Not before lease + drift + stop latency; billed to the last renewal that said usable."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand:
            await anchored(hand)
            name = await usable(world, hand)
            waiting = await world.launch(hand.node, 1)
            await world.until(waiting, "runtime.starting")
            granted = await hand.ask(hand.word(3, fleet.LEASE_RENEWED, said={"runtimes": [name]}))
            world.offset_us = fleet.LEASE_US + fleet.STOP_LATENCY_US
            await world.until(hand.node, "node.unreachable")
            await asyncio.sleep(0.5)
            assert "runtime.lost" not in await world.tags(name)
            world.offset_us += fleet.DRIFT_US + 5_000_000
            await world.until(name, "runtime.lost")
            await world.until(waiting, "runtime.lost")
            lost = (await world.log.read_stream(name))[-1].fact
            renewed = next(e.fact for e in world.entries() if e.position == granted.position)
            assert isinstance(lost, runtime.Lost)
            assert isinstance(renewed, node.LeaseRenewed)
            assert lost.lost_us == renewed.renewed_us
            assert (await world.tags(hand.node)).count("node.released") == 2
            late = await hand.ask(hand.word(4, fleet.LEASE_RENEWED, said={"runtimes": [name]}))
            assert (late.code, late.revoked) == ("lease.revoked", (name,))
            await hand.say(hand.word(5, fleet.STOPPED, name))
            assert (await hand.receipt(5)).code == "runtime.not_on_node"

    story(law, database, nats_server, tmp_path)


def test_a_reboot_ends_what_ran_before_it(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """A new boot's signed anchor proves that nothing of the old one still runs."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand:
            await anchored(hand)
            name = await usable(world, hand)
            old_boot, hand.boot, hand.booted_us = hand.boot, "5" * 32, hand.boottime_us()
            hand.receipts.clear()
            await anchored(hand)
            await world.until(name, "runtime.lost")
            hand.boot = old_boot
            await hand.say(hand.word(3, fleet.DEGRADED, name))
            assert (await hand.receipt(3)).code == "event.old_boot"

    story(law, database, nats_server, tmp_path)


def test_an_end_decided_on_an_older_state_is_decided_again(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """The admission writer knew better: ingest decides anew at once, and counts no refusal."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand:
            await world.stop_ingest()
            asked: list[str] = []

            async def stale_at_first(ending: Ending) -> Appended:
                asked.append(ending.runtime)
                if asked.count(ending.runtime) == 1:
                    raise DomainError("runtime.end_stale", "its node has moved: decide again")
                return await world.end(ending)

            world.ended = stale_at_first
            world.start_ingest()
            await anchored(hand)
            stopped = await usable(world, hand)
            lost = await world.launch(hand.node, 1)
            await world.until(lost, "runtime.starting")
            await hand.say(hand.word(3, fleet.STOPPED, stopped))
            assert (await hand.receipt(3)).position is not None
            hand.boot, hand.booted_us = "5" * 32, hand.boottime_us()
            hand.receipts.clear()
            await anchored(hand)
            await world.until(lost, "runtime.lost")
            assert sorted(asked) == sorted([stopped, stopped, lost, lost])
            with psycopg.connect(database.app_url) as conn:
                assert ingest_records.refused(conn) == {}

    story(law, database, nats_server, tmp_path)


def test_only_changes_of_reachability_reach_the_log(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Beats are heard, not written: silence and return are one fact each."""

    async def law(world: World, _tmp: Path) -> None:
        await world.stop_ingest()
        world.pace = msgspec.structs.replace(world.pace, timing=Timing(unreachable_us=400_000))
        world.start_ingest()
        async with hand_of(world) as hand:
            await anchored(hand)
            for _ in range(10):
                await hand.beat()
                await asyncio.sleep(0.1)
            await world.until(hand.node, "node.unreachable")
            for _ in range(10):
                await hand.beat()
                await asyncio.sleep(0.1)
            tags = await world.tags(hand.node)
            assert tags[3:] == ["node.anchored", "node.unreachable", "node.reachable"]

    story(law, database, nats_server, tmp_path)
