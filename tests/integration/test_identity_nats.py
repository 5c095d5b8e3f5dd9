"""What one node may say and hear on a real nats-server, and how fast a barred one is cut off."""

import asyncio
import time
from pathlib import Path

import nats.errors
import nats.js.errors
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import UNSET
from nats.aio.client import Client

from api.embedded.nats import Nats
from contracts import fleet, nkeys
from domain import identity
from evidence.ids import new_id
from tests.agent_world import Hand, World, entered, hand_of, story
from tests.conftest import Database

pytestmark = pytest.mark.slow


async def refusals(client: Client) -> list[str]:
    """What the server said no to, once everything sent before has been answered."""
    said: list[str] = []

    async def keep(error: Exception) -> None:
        said.append(str(error).lower())

    client._error_cb = keep
    return said


def test_a_node_says_and_hears_exactly_what_is_its_own(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Every other subject is refused by the server: another node's, the platform's, the API's."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand, hand_of(world) as other:
            said = await refusals(hand.client)
            mine, theirs = hand.node, other.node
            forbidden = (
                *(fleet.subject(theirs, leaf) for leaf in ("evt", "hb", "lease", "cmd")),
                fleet.subject(mine, "cmd"),
                fleet.receipt_subject(theirs),
                f"gpuaas.v1.node.{theirs}.term.access-1.out",
                f"gpuaas.v1.node.{theirs}.logs.said",
                f"gpuaas.v1.node.{mine}.logs.ask",
                f"gpuaas.v1.node.{mine}.term.access-1.in",
                f"$JS.API.CONSUMER.MSG.NEXT.{fleet.CMD_STREAM}.{theirs}",
                f"$JS.ACK.{fleet.CMD_STREAM}.{theirs}.1.1.1.1.0",
                f"$JS.ACK.{fleet.EVT_STREAM}.ingest.1.1.1.1.0",
                f"$JS.API.CONSUMER.MSG.NEXT.{fleet.EVT_STREAM}.ingest",
                f"$JS.API.CONSUMER.DELETE.{fleet.CMD_STREAM}.{theirs}",
                f"$JS.API.STREAM.PURGE.{fleet.CMD_STREAM}",
                f"$JS.API.STREAM.MSG.GET.{fleet.CMD_STREAM}",
                f"$JS.API.DIRECT.GET.{fleet.CMD_STREAM}.{fleet.subject(theirs, 'cmd')}",
                "$SYS.REQ.USER.AUTH",
                "$SYS.REQ.SERVER.PING.CONNZ",
                "gpuaas.v1.log.head",
                "gpuaas.v1.facts.x.y",
            )
            for subject in forbidden:
                await hand.client.publish(subject, b"x", reply=hand.client.new_inbox())
            hearing = (
                *(">", "gpuaas.>", "_INBOX.>", "$JS.>", "$SYS.>", "gpuaas.v1.log.head"),
                *(fleet.subject(theirs, "cmd"), fleet.subject(mine, "cmd")),
                *(f"{fleet.inbox_prefix(theirs)}.>", f"gpuaas.v1.node.{theirs}.term.*.in"),
                *(f"gpuaas.v1.node.{theirs}.logs.ask", f"gpuaas.v1.node.{mine}.logs.said"),
            )
            for subject in hearing:
                await hand.client.subscribe(subject)
            await hand.client.flush(10)
            # The client tells each refusal in a task of its own, later than it answers the flush.
            refused = len(forbidden) + len(hearing)
            for _ in range(1_000):
                if len(said) >= refused:
                    break
                await asyncio.sleep(0.02)
            for subject in forbidden:
                assert any(f'publish to "{subject}"'.lower() in one for one in said), subject
            for subject in hearing:
                assert any(f'subscription to "{subject}"'.lower() in one for one in said), subject
            assert len(said) == refused
            await hand.say(hand.word(1, fleet.ANCHORED))
            assert (await hand.receipt(1)).position is not None
            await hand.beat()
            await hand.client.subscribe(f"gpuaas.v1.node.{mine}.term.*.in")
            await hand.client.publish(f"gpuaas.v1.node.{mine}.term.access-1.out", b"x")
            await hand.client.flush(10)
            await asyncio.sleep(0.2)
            assert len(said) == refused

    story(law, database, nats_server, tmp_path)


def test_another_node_s_orders_are_neither_read_nor_acknowledged_away(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """A neighbour who knows every subject pulls and acknowledges: the order reaches its node."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand, hand_of(world) as thief:
            await hand.say(hand.word(1, fleet.ANCHORED))
            await hand.receipt(1)
            name = await world.launch(hand.node)
            await world.until(name, "runtime.starting")
            stolen = await thief.client.jetstream().pull_subscribe_bind(
                durable=hand.node, stream=fleet.CMD_STREAM
            )
            with pytest.raises((TimeoutError, nats.errors.Error)):
                await stolen.fetch(1, timeout=2)
            for sequence in range(1, 200):
                ack = f"$JS.ACK.{fleet.CMD_STREAM}.{hand.node}.1.{sequence}.{sequence}.0.0"
                await thief.client.publish(ack, b"+ACK")
            await thief.client.flush(10)
            mine = await hand.client.jetstream().pull_subscribe_bind(
                durable=hand.node, stream=fleet.CMD_STREAM
            )
            (message,) = await mine.fetch(1, timeout=10)
            order = fleet.open_command(message.data, world.reply(name).command_key)
            assert order.node == hand.node

    story(law, database, nats_server, tmp_path)


@pytest.mark.parametrize("who", ["a stranger", "a neighbour", "no key at all", "the nobody"])
def test_nobody_enters_as_a_node_without_its_key(
    who: str, database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """The name in CONNECT is a claim; only a signature of the server's nonce opens the door."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand, hand_of(world) as other:
            key = {"a stranger": Ed25519PrivateKey.generate(), "a neighbour": other.nats_key}
            name = new_id("node") if who == "the nobody" else hand.node
            seed = nkeys.seed(key.get(who, hand.nats_key), nkeys.USER)
            options = {} if who == "no key at all" else {"nkeys_seed_str": seed}
            with pytest.raises((nats.errors.Error, OSError)):
                await entered(world.node_url, name, 10, **options)

    story(law, database, nats_server, tmp_path)


async def barred(world: World, hand: Hand, fact: identity.IdentityEvent) -> float:
    """Seconds from the fact to the end of the node's connection."""
    ended = asyncio.Event()

    async def over() -> None:
        ended.set()

    hand.client._closed_cb = over
    await world.write(hand.node, fact)
    began = time.monotonic()
    await asyncio.wait_for(ended.wait(), 20)
    return time.monotonic() - began


def test_a_revoked_node_is_cut_off_and_let_in_no_more(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Its live connection ends, its key opens nothing, and its neighbour notices nothing."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand, hand_of(world) as other:
            await hand.say(hand.word(1, fleet.ANCHORED))
            await hand.receipt(1)
            took_s = await barred(world, hand, identity.Revoked("operator", 1))
            print(f"cut off after {took_s * 1000:.0f} ms")
            with pytest.raises((nats.errors.Error, OSError)):
                await hand.connect()
            await other.say(other.word(1, fleet.ANCHORED))
            assert (await other.receipt(1)).position is not None

    story(law, database, nats_server, tmp_path)


def test_a_nonce_that_is_not_the_last_bars_both(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Two agents with one identity: a fact, no lease for either, and both are cut off."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand:
            await hand.say(hand.word(1, fleet.ANCHORED))
            await hand.receipt(1)
            stale = hand.word(2, fleet.LEASE_RENEWED, said={"runtimes": []})
            answer = await hand.ask(stale, "0" * 32)
            assert (answer.code, answer.granted) == ("lease.nonce", UNSET)
            (fact,) = [
                one.fact for one in await world.log.read_stream(hand.node)
                if isinstance(one.fact, identity.Doubled)
            ]  # fmt: skip
            assert fact.sign == "lease.nonce"
            with pytest.raises((nats.errors.Error, OSError)):
                await hand.ask(hand.word(3, fleet.LEASE_RENEWED, said={"runtimes": []}))

    story(law, database, nats_server, tmp_path)


def test_two_machines_with_one_identity_are_heard(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """A boot that beats again after another one did is a second machine, not a reboot."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand:
            await hand.say(hand.word(1, fleet.ANCHORED))
            await hand.receipt(1)
            first, second = hand.boot, "5" * 32
            for boot in (first, first, second, second):
                hand.boot = boot
                await hand.beat()
            await hand.client.flush(10)
            await asyncio.sleep(1)
            assert "node.doubled" not in await world.tags(hand.node)
            hand.boot = first
            await hand.beat()
            await world.until(hand.node, "node.doubled")

    story(law, database, nats_server, tmp_path)
