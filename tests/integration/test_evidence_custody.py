import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from domain.errors import DomainError
from domain.node import Unreachable
from evidence.condition import read_condition
from evidence.custody import keep
from evidence.heartbeat import Pulse, log_stream
from evidence.ids import new_id
from evidence.log import EventLog
from evidence.tail import gated, published_size
from tests.conftest import Database
from tests.integration.evidence_stack import EvidenceStack, one_stream

pytestmark = pytest.mark.slow


@pytest.fixture
def stack(database: Database, tmp_path: Path) -> Iterator[EvidenceStack]:
    stack = EvidenceStack(database, tmp_path)
    with stack.signing():
        yield stack


async def signed(stack: EvidenceStack, size: int, patience_s: float = 10) -> float:
    """Seconds until the published checkpoint covers `size` entries."""
    began = time.monotonic()
    while published_size(stack.storage) < size:
        assert time.monotonic() - began < patience_s, "not signed in time"
        await asyncio.sleep(0.005)
    return time.monotonic() - began


@pytest.mark.parametrize("with_nats", [False, True])
def test_an_append_is_signed_soon(stack: EvidenceStack, nats_url: str, with_nats: bool) -> None:
    """A checkpoint follows an append, woken over NATS or polling; conditions say that
    all is well.
    """

    async def story() -> list[float]:
        stop = asyncio.Event()
        url, root = stack.database.app_url, stack.storage.root
        keeping = asyncio.create_task(
            keep(url, root, stack.socket, nats_url if with_nats else None, stop)
        )
        log = await EventLog.open(url)
        waits = []
        await signed(stack, 1)
        for _ in range(10):
            done = await log.append(one_stream(new_id("node"), 0, Unreachable(1)))
            waits.append(await signed(stack, done.last + 1))
        await asyncio.sleep(1.2)
        stop.set()
        await keeping
        await log.close()
        return waits

    waits = asyncio.run(story())
    # 200 ms on a machine of its own; the suite shares two cores with everybody.
    assert sorted(waits)[len(waits) // 2] < 1.0
    for part in ("integrator", "signer", "scrubber", "heartbeat"):
        condition = read_condition(stack.storage, part)
        assert condition is not None
        assert condition.fault is None


def test_a_silent_log_gets_a_heartbeat_once(stack: EvidenceStack) -> None:
    """Two processes that see the same silence append one heartbeat; a fresh head gets none."""

    async def story() -> list[bool]:
        url = stack.database.app_url
        log = await EventLog.open(url)
        one, other = Pulse(log, *log_stream(url)), Pulse(log, *log_stream(url))
        head = await log.head()
        late = head.at_us + 60_000_000
        beats = [await one.beat(late - 1), await one.beat(late), await other.beat(head.at_us)]
        beats += [await other.beat(late + 60_000_000), await other.beat(late + 60_000_000)]
        await log.close()
        return beats

    assert asyncio.run(story()) == [False, True, False, False, True]
    assert stack.integrate() == 3


def test_a_fault_is_reported_and_signing_resumes(stack: EvidenceStack) -> None:
    """What is wrong stops signing and is named with its position; mended, signing goes on."""
    stack.fill(20)
    with psycopg.connect(stack.database.superuser_url) as conn:
        conn.execute("UPDATE log.entry SET version = 7 WHERE position = 5")

    async def story() -> None:
        stop = asyncio.Event()
        url = stack.database.app_url
        keeping = asyncio.create_task(keep(url, stack.storage.root, stack.socket, None, stop))
        for _ in range(500):
            condition = read_condition(stack.storage, "integrator")
            if condition is not None and condition.fault is not None:
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail("the fault was not reported")
        assert (condition.fault.code, condition.fault.position) == ("entry.column", 5)
        assert published_size(stack.storage) == 0
        with psycopg.connect(stack.database.superuser_url) as conn:
            conn.execute(
                "UPDATE log.entry SET version = (convert_from(entry, 'UTF8')::json->>'version')::int"
                " WHERE position = 5"
            )
        await signed(stack, 21)
        stop.set()
        await keeping
        with suppress(DomainError):
            assert stack.refused() == 0

    asyncio.run(story())


def test_opening_twice_is_one_log(stack: EvidenceStack) -> None:
    """Opening again changes nothing; a log without its signer's state is refused, not re-keyed."""
    assert stack.open() == stack.vkey_text
    assert stack.integrate() == 1
    (stack.signer_state / "state").rename(stack.signer_state / "elsewhere")
    with pytest.raises(DomainError, match=r"signer\.state_missing"):
        stack.open()


def test_the_bound_is_the_logs(stack: EvidenceStack) -> None:
    """What one process left unsigned closes the log to every other, one that was idle included;
    heartbeats stop too, and a signature opens it for all.
    """

    async def story() -> None:
        url, storage = stack.database.app_url, stack.storage
        async with gated(url, storage, 1_000) as busy, gated(url, storage, 1_000) as idle:
            await busy.append(one_stream(new_id("node"), 0, Unreachable(1)))
            await asyncio.sleep(1.6)
            for log in (idle, busy):
                with pytest.raises(DomainError, match=r"log\.unsigned_tail"):
                    await log.append(one_stream(new_id("node"), 0, Unreachable(2)))
            async with gated(url, storage, 1_000) as fresh:
                with pytest.raises(DomainError, match=r"log\.unsigned_tail"):
                    await Pulse(fresh, *log_stream(url)).beat(1 << 60)
            await asyncio.to_thread(stack.integrate)
            await idle.append(one_stream(new_id("node"), 0, Unreachable(3)))

    asyncio.run(story())
