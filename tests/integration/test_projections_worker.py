"""The whole worker: views, money and published facts follow the log by themselves."""

import asyncio
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import msgspec
import nats
import psycopg
import pytest
from nats.aio.client import Client

from api.embedded.nats import Nats
from evidence.condition import Condition, Fault, report
from evidence.log import EventLog
from evidence.storage import Storage
from projections import billing_read, journal_read, live, publisher, runner, worker
from projections.readiness import readiness
from projections.rebuild import rebuild
from tests.conftest import Database
from tests.integration.projections_world import HOUR_US, T0, World
from tests.integration.test_projections_reactions import audit

pytestmark = pytest.mark.slow
SPAWN = multiprocessing.get_context("spawn")
NOW_US = T0 + 30 * HOUR_US


async def fresh_facts(client: Client) -> None:
    """No facts of another test's log: their ids would make this one's look like repeats."""
    js = client.jetstream()
    await publisher.ensure_stream(js)
    await js.delete_stream(publisher.STREAM)


def test_the_worker_turns_a_life_into_an_issued_invoice_and_tells_the_world(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """With nobody asking: views at the head, period closed, invoice issued, every fact
    published.
    """

    async def main() -> None:
        client = await nats.connect(nats_url)
        await fresh_facts(client)
        log = await EventLog.open(database.app_url)
        bell, world = worker.Bell(), World(period_us=24 * HOUR_US)
        storage = Storage(tmp_path)
        await log.append(world.opening())
        now = T0 + 50 * HOUR_US
        running = asyncio.create_task(
            worker.run(
                database.app_url, client, log, storage, bell,
                now_us=lambda: now, grace_us=HOUR_US,
            )
        )  # fmt: skip
        for append in world.life(world.nodes[0], T0 + HOUR_US, T0 + 30 * HOUR_US):
            await log.append(append)
        await client.publish(worker.HEAD, b"1")
        with psycopg.connect(database.app_url, autocommit=True) as conn:
            await _until(lambda: len(_issued(conn)) == 2, running)
            size = 0
            for _ in range(100):
                size = (await log.head()).size
                await asyncio.to_thread(live.wait_for, conn, size - 1, 10)
                place = conn.execute("SELECT position FROM live.reaction").fetchone()
                if place == (size,) and (await log.head()).size == size:
                    break
                await asyncio.sleep(0.05)
            bell.stop()
            await running
            first, second = sorted(_issued(conn), key=lambda one: one.closed)
            assert first.total_pico + second.total_pico == sum(
                t.amount_pico for t in journal_read.transfers(conn) if t.kind == "charge"
            )
            assert {c.name: c.ok for c in readiness(conn, now).components} == {
                "projections": True, "rater": True,
            }  # fmt: skip
            with psycopg.connect(database.app_url, autocommit=True) as reader:
                assert rebuild(conn, reader) == []
        await _all_published(client, size)
        await log.close()
        await client.close()

    asyncio.run(main())


def _issued(conn: psycopg.Connection) -> list[billing_read.Invoice]:
    return [found for found in billing_read.invoices(conn) if found.state == "issued"]


def _charged(conn: psycopg.Connection) -> int:
    """Of all that is rated."""
    return sum(row.sign * row.quantity for row in journal_read.intervals(conn, limit=1000))


async def _until(done: object, running: asyncio.Task[None], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    assert callable(done)
    while not done():
        if running.done():
            await running
        assert time.monotonic() < until, "the worker did not get there"
        await asyncio.sleep(0.05)


async def _all_published(client: Client, size: int) -> None:
    """Every position once, in order, each a CloudEvent under its organization and tag."""
    js = client.jetstream()
    subscription = await js.subscribe(publisher.SUBJECTS, ordered_consumer=True)
    for position in range(size):
        message = await subscription.next_msg(timeout=5)
        event = msgspec.json.decode(message.data)
        assert (event["id"], event["specversion"]) == (str(position), "1.0")
        assert message.subject.endswith(event["type"])
        assert event["source"] == "o/1"
    await subscription.unsubscribe()


def _react(url: str, folder: str) -> None:
    async def main() -> None:
        log = await EventLog.open(url)
        await worker.react(url, log, Storage(Path(folder)), worker.Bell(), lambda: NOW_US, HOUR_US)

    asyncio.run(main())


def test_a_kill_of_the_rater_anywhere_charges_everything_once(
    database: Database, tmp_path: Path
) -> None:
    """Kill -9 of the reactions again and again: the auditor finds every charge, once, invoiced."""

    async def main() -> None:
        log = await EventLog.open(database.app_url)
        world, chance, kills = World(period_us=24 * HOUR_US), random.Random(11), 0
        whole = 36 * 500 * HOUR_US
        children: list[BaseProcess] = []
        await log.append(world.opening())
        with psycopg.connect(database.app_url, autocommit=True) as conn:
            for n in range(6):
                child = SPAWN.Process(target=_react, args=(database.app_url, str(tmp_path)))
                child.start()
                children.append(child)
                for k in range(6):
                    start = T0 + (6 * n + k) * 1_000_000
                    for append in world.life(world.nodes[0], start, start + 3_600_000_000):
                        await log.append(append)
                    await asyncio.sleep(0.02)
                await asyncio.sleep(chance.random())
                if n < 5 and child.is_alive() and child.pid is not None:
                    os.kill(child.pid, signal.SIGKILL)
                    kills += 1
                    child.join()
            last = children[-1]
            until = time.monotonic() + 60
            # A child that was quick has issued it before all was there to charge.
            while time.monotonic() < until and not (_issued(conn) and _charged(conn) == whole):
                runner.catch_up(conn)
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.3)
            assert last.pid is not None
            os.kill(last.pid, signal.SIGKILL)
            last.join()
            runner.catch_up(conn)
            assert kills == 5
            rows = journal_read.intervals(conn, limit=1000)
            assert [row.row for row in rows] == list(range(len(rows)))
            assert _charged(conn) == whole
            assert audit(conn) == len(_issued(conn)) == 1
        await log.close()

    asyncio.run(main())


def test_what_the_evidence_says_reaches_readiness(database: Database, tmp_path: Path) -> None:
    """A fault found by integrator or scrubber is a reason, with its place; silence is one too."""
    storage = Storage(tmp_path)
    report(storage, "scrubber", Condition(100, done=5))
    fault = Fault("entry.changed", "leaf differs", 7, 90)
    report(storage, "integrator", Condition(100, fault=fault))
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        worker.report_evidence(conn, storage)
        found = readiness(conn, 200, {"heartbeat": 10, "scrubber": 1000})
    assert found.reasons == (
        "integrator: entry.changed at position 7: leaf differs",
        "heartbeat has never reported",
    )


def test_a_fact_published_twice_is_stored_once(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A crash between publishing and remembering repeats under the same id, which is dropped."""

    async def main() -> None:
        client = await nats.connect(nats_url)
        await fresh_facts(client)
        log = await EventLog.open(database.app_url)
        done = await log.append(World().opening())
        js = client.jetstream()
        await publisher.ensure_stream(js)
        with psycopg.connect(database.app_url, autocommit=True) as conn:
            for _ in range(2):
                assert await publisher.publish(conn, js, "o/1") == done.last + 1
                conn.execute("UPDATE live.reaction SET position = 0")
        info = await js.stream_info(publisher.STREAM)
        assert info.state.messages == done.last + 1
        await log.close()
        await client.close()

    asyncio.run(main())


def test_a_server_that_never_answers_is_given_up(database: Database, nats_server: Nats) -> None:
    """Killed in the middle of an answer, it is waited for no longer than a while; the place of
    what was not stored has not moved.
    """

    async def main() -> None:
        client = await nats.connect(nats_server.url())
        await fresh_facts(client)
        log = await EventLog.open(database.app_url)
        await log.append(World().opening())
        js = client.jetstream()
        await publisher.ensure_stream(js)
        with psycopg.connect(database.app_url, autocommit=True) as conn:
            nats_server.child.send_signal(signal.SIGSTOP)
            try:
                _await_stopped(nats_server.child.pid)
                with pytest.raises(TimeoutError):
                    await publisher.publish(conn, js, "o/1")
            finally:
                nats_server.child.send_signal(signal.SIGCONT)
            row = conn.execute("SELECT position FROM live.reaction").fetchone()
            assert row == (0,)
        await log.close()
        await client.close()

    asyncio.run(main())


def _await_stopped(pid: int) -> None:
    """The signal stops a program at its next step into the kernel, which may be an answer later."""
    status = Path(f"/proc/{pid}/stat")
    while status.read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.001)
