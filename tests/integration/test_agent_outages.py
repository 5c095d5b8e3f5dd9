"""Servers die under the agent and under ingest; a flooding node hurts only itself."""

import asyncio
import time
from pathlib import Path

import msgspec
import nats.js.errors
import psycopg
import pytest

from api.embedded.nats import Nats
from contracts import fleet
from tests.agent_world import World, enrolled_program, hand_of, story
from tests.conftest import Database

pytestmark = pytest.mark.slow

WHOLE = [
    "runtime.requested", "runtime.allocated", "runtime.starting",
    "runtime.usable", "runtime.stopping", "runtime.stopped",
]  # fmt: skip


@pytest.fixture
def own_nats(servers_dir: Path) -> Nats:
    """A server of this test's own: it is killed here, and others must not notice."""
    return Nats(servers_dir / f"nats-{time.time_ns()}")


def test_nats_killed_in_the_middle_loses_nothing(
    database: Database, own_nats: Nats, tmp_path: Path
) -> None:
    """Kill -9 of NATS between usable and stop: the agent's spool bridges it."""

    async def law(world: World, tmp: Path) -> None:
        name, agent = await enrolled_program(world, tmp / "a")
        agent.start()
        await world.until(name, "node.anchored")
        one = await world.launch(name)
        await world.until(one, "runtime.starting")
        own_nats.kill()
        await world.stop(one)
        two = await world.launch(name, 1)
        await asyncio.to_thread(own_nats.restart)
        await world.until(two, "runtime.usable", within_s=90)
        await world.until(one, "runtime.stopped", within_s=90)
        await world.stop(two)
        await world.until(two, "runtime.stopped", within_s=90)
        assert await world.tags(two) == WHOLE
        assert (await world.tags(one)).count("runtime.stopped") == 1
        assert agent.end()[0] == 0

    try:
        story(law, database, own_nats, tmp_path)
    finally:
        own_nats.close()


def test_ingest_resumes_after_its_database_session_is_cut(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """A lost connection ends the session, not the deployment: a new one begins from the log."""

    async def law(world: World, tmp: Path) -> None:
        name, agent = await enrolled_program(world, tmp / "a")
        agent.start()
        await world.until(name, "node.anchored")
        one = await world.launch(name)
        await world.until(one, "runtime.usable")
        with psycopg.connect(database.superuser_url, autocommit=True) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        await world.stop(one)
        await world.until(one, "runtime.stopped", within_s=90)
        assert await world.tags(one) == WHOLE
        assert world.task is not None
        assert not world.task.done()
        assert agent.end()[0] == 0

    story(law, database, nats_server, tmp_path)


def test_a_flooding_node_fills_only_its_own_subject(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """While ingest is away, one node's noise is refused at its limit; another is heard."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as loud, hand_of(world) as quiet:
            await world.stop_ingest()
            stream = loud.client.jetstream()
            subject = fleet.subject(loud.node, "evt")
            refused = 0
            for _ in range(11):
                answers = await asyncio.gather(
                    *(stream.publish(subject, b"noise") for _ in range(100)),
                    return_exceptions=True,
                )
                refused += sum(isinstance(one, nats.js.errors.APIError) for one in answers)
            assert refused == 100
            await quiet.say(quiet.word(1, fleet.ANCHORED))
            world.start_ingest()
            assert (await quiet.receipt(1, within_s=90)).position is not None

    story(law, database, nats_server, tmp_path)


def test_two_ingests_never_work_at_once(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """The second waits for the first, then takes over with the same numbers."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand:
            await hand.say(hand.word(1, fleet.ANCHORED))
            await hand.receipt(1)
            first = world.task
            world.start_ingest()
            second = world.task
            name = await world.launch(hand.node)
            await world.until(name, "runtime.starting")
            assert first is not None
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await hand.say(hand.word(2, fleet.USABLE, name))
            await world.until(name, "runtime.usable", within_s=90)
            assert (await world.tags(name)).count("runtime.starting") == 1
            assert second is not None
            assert not second.done()

    story(law, database, nats_server, tmp_path)


def test_an_order_nobody_answers_is_sent_again(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Acknowledged away by a stranger or lost: the same number comes again, validly signed."""

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand:
            await hand.say(hand.word(1, fleet.ANCHORED))
            await hand.receipt(1)
            name = await world.launch(hand.node)
            await world.until(name, "runtime.starting")
            pull = await hand.client.jetstream().pull_subscribe_bind(
                durable=hand.node, stream=fleet.CMD_STREAM
            )
            seen = []
            for _ in range(2):
                (message,) = await pull.fetch(1, timeout=60)
                seen.append(fleet.open_command(message.data, world.reply(name).command_key))
                await message.ack()
            assert seen[0] == seen[1]
            allocated = next(e for e in world.entries() if e.tag == "gpuaas.runtime.allocated.v1")
            assert seen[0].number == allocated.position
            assert (seen[0].node, seen[0].boot) == (hand.node, hand.boot)
            assert isinstance(seen[0].order, fleet.StartRuntime)
            assert msgspec.json.encode(seen[0].order.devices) == b'[{"index":0,"milli":1000}]'

    story(law, database, nats_server, tmp_path)
