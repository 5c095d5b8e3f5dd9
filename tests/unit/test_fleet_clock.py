"""A node's clock as the platform follows it, and the order in which a node's boots speak."""

import asyncio
from pathlib import Path
from typing import Any, cast

import msgspec

from agent import watch
from agent.config import Config
from agent.link import Link, send_spool
from agent.orders import Node
from agent.spool import Spool
from contracts import fleet
from contracts.fleet import Attested
from domain import node
from evidence.reader import Recorded
from tests.unit.test_agent_ingest_words import BOOT, NODE, ONE, T0, WORDS, S, serving
from tests.unit.test_agent_orders import closed, opened

DAYS = 30 * 86_400 * S


def test_orders_follow_a_slow_clock_by_its_heartbeats() -> None:
    """A month after its anchor a clock 0.1 % slow is 43 minutes behind: an order's deadline on
    that clock is counted from its last heartbeat; a beat of another boot changes nothing.
    """
    known = serving().node
    behind = DAYS // 1000
    assert known.boottime(T0 + DAYS) == 100 * S + DAYS
    assert known.is_timed(T0 + fleet.LEASE_US)
    assert not known.is_timed(T0 + DAYS)
    known.heard("c" * 32, 5 * S, T0 + DAYS)
    assert known.boottime(T0 + DAYS) == 100 * S + DAYS
    known.heard(BOOT, 100 * S + DAYS - behind, T0 + DAYS)
    assert known.is_timed(T0 + DAYS)
    assert known.boottime(T0 + DAYS + 7 * S) == 107 * S + DAYS - behind


def test_a_lease_is_believed_until_a_whole_one_after_its_append() -> None:
    """The renewal's own instant lies before the true one when the node's clock is slow: nothing
    of the node is over before a lease that began at the append would be.
    """
    log = serving()
    early = T0 + 20 * S
    fact = node.LeaseRenewed((ONE,), 120 * S, early, early + fleet.LEASE_US, WORDS)
    appended = early + 5 * S
    version = log.node.version + 1
    position = log.state.applied
    log.state.apply(Recorded(position, NODE, version, "", "-", "", "", appended, fact))
    assert log.node.lease_end_us() == appended + fleet.LEASE_US


class Stream:
    """Where events go; JetStream takes all of them."""

    def __init__(self) -> None:
        self.taken: list[Attested] = []

    def jetstream(self, **_options: object) -> "Stream":
        return self

    async def publish(self, _subject: str, message: bytes) -> None:
        self.taken.append(msgspec.json.decode(message, type=Attested))


def test_a_boot_is_silent_until_the_words_of_the_one_before_are_held(tmp_path: Path) -> None:
    """An older boot's anchor, redelivered behind the newer one's, would void what runs now."""
    first = opened(tmp_path)
    watch.announce(first, 1)
    spool = Spool(first.store, first.spool.key, first.node, "e" * 32)
    second: Node = msgspec.structs.replace(first, boot="e" * 32, spool=spool)
    watch.announce(second, 1)
    stream = Stream()

    async def sent() -> list[str]:
        link = Link(Config(state=tmp_path, resend_us=1), second, cast("Any", stream))
        stream.taken.clear()
        task = asyncio.create_task(send_spool(link))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [one.boot for one in stream.taken]

    assert asyncio.run(sent()) == [first.boot]
    assert second.spool.free(first.boot, 1)
    assert asyncio.run(sent()) == ["e" * 32]
    closed(first)
