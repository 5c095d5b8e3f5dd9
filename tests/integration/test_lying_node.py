"""A node that lies about time: what it may win by it, and that the operator sees it."""

from pathlib import Path

import psycopg
import pytest

from api.embedded.nats import Nats
from contracts import fleet
from domain import node, runtime
from projections import views
from projections.attestations_read import Discrepancy, discrepancies
from tests.agent_world import Hand, World, hand_of, story
from tests.conftest import Database

pytestmark = pytest.mark.slow

HOUR_US = 3_600_000_000


def last[F](world: World, stream: str, kind: type[F]) -> F:
    [*_, found] = [
        one.fact for one in world.entries() if one.stream == stream and isinstance(one.fact, kind)
    ]
    return found


def seen(world: World, name: str) -> list[Discrepancy]:
    """What an operator is shown, with the views at the head."""
    with psycopg.connect(world.app_url, autocommit=True) as conn:
        while views.step(conn, 1000):
            pass
        return discrepancies(conn, name)


async def lived(world: World, hand: Hand, seq: int, early_us: int, late_us: int) -> str:
    """A runtime said to be usable so much before that was so, and stopped so much after."""
    name = await world.launch(hand.node, index=seq % 8)
    await world.until(name, "runtime.starting")
    hand.booted_us += early_us
    await hand.say(hand.word(seq, fleet.USABLE, name))
    hand.booted_us -= early_us + late_us
    await world.until(name, "runtime.usable")
    await hand.say(hand.word(seq + 1, fleet.STOPPED, name))
    hand.booted_us += late_us
    await world.until(name, "runtime.stopped")
    return name


def test_time_that_a_node_makes_up_bills_nothing_and_shows(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Usable an hour before it had its devices, stopped or renewed an hour from now: billed from the
    allocation to when the platform heard of the end; the lease counts from when it was asked for;
    after its end in the log nothing it says counts. Each lie is shown, with what is held instead;
    an honest runtime on the same node shows nothing.
    """

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand:
            hand.booted_us = -1_000 * HOUR_US  # it has been up for weeks
            await hand.say(hand.word(1, fleet.ANCHORED))
            await hand.receipt(1)
            honest = await lived(world, hand, 2, 0, 0)
            assert seen(world, hand.node) == []
            lied = await lived(world, hand, 4, HOUR_US, HOUR_US)
            given = last(world, lied, runtime.Allocated).allocated_us
            usable = last(world, lied, runtime.Usable)
            stopped = last(world, lied, runtime.Stopped)
            assert usable.usable_us == given
            assert stopped.stopped_us == stopped.decided_us
            # An hour on either side was made up; what bills is less than this test took.
            assert stopped.stopped_us - usable.usable_us < HOUR_US // 4

            running = await world.launch(hand.node)
            await world.until(running, "runtime.starting")
            await hand.say(hand.word(6, fleet.USABLE, running))
            await world.until(running, "runtime.usable")
            hand.booted_us -= HOUR_US
            granted = await hand.ask(
                hand.word(7, fleet.LEASE_RENEWED, said={"runtimes": [running]})
            )
            hand.booted_us += HOUR_US
            assert granted.position is not None
            renewed = last(world, hand.node, node.LeaseRenewed)
            asked_at = next(e.at_us for e in world.entries() if e.position == granted.position)
            assert renewed.renewed_us <= asked_at
            assert renewed.until_us == renewed.renewed_us + fleet.LEASE_US

            await hand.say(hand.word(8, fleet.STOPPED, lied))
            late = await hand.receipt(8)
            assert (late.position, late.code) == (None, "runtime.not_on_node")

            found = seen(world, hand.node)
            assert [(one.what, one.subject) for one in found] == [
                ("time.usable", lied), ("time.stopped", lied), ("time.renewed", hand.node),
            ]  # fmt: skip
            early, after, lease = found
            assert int(early.held) - int(early.said) > HOUR_US // 2
            assert int(after.said) - int(after.held) > HOUR_US // 2
            assert int(lease.said) - int(lease.held) > HOUR_US // 2
            assert honest not in {one.subject for one in found}

    story(law, database, nats_server, tmp_path)
