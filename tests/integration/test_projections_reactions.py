"""From attested time to an issued invoice, by reactions that may run twice, anywhere, any time."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from domain.tariff import round_half_even
from evidence.files import sealed_content
from evidence.log import EventLog
from evidence.reader import read_rows
from evidence.storage import Storage
from gpuaas_verify.books import Books
from projections import (
    billing_read,
    inventory_read,
    journal_read,
    live,
    running_read,
    runtimes_read,
    tenancy_read,
    views,
)
from projections.invoicing import finalize_due
from projections.periods import keep_periods
from projections.rater import Rater
from projections.runner import catch_up
from tests.conftest import Database
from tests.integration.projections_world import DIVISOR, HOUR_US, PRICE_PICO, T0, World

pytestmark = pytest.mark.slow

type Body = Callable[[EventLog, psycopg.Connection[Any], World], Coroutine[Any, Any, None]]


def in_world(database: Database, body: Body, world: World | None = None) -> None:
    """Runs `body` on an opened log of a small world."""
    made = world or World()

    async def run() -> None:
        log = await EventLog.open(database.app_url)
        try:
            await log.append(made.opening())
            with psycopg.connect(database.app_url, autocommit=True) as conn:
                await body(log, conn, made)
        finally:
            await log.close()

    asyncio.run(run())


async def live_a_life(log: EventLog, world: World, hours: int | None, start_us: int = T0) -> None:
    end = None if hours is None else start_us + hours * HOUR_US
    for append in world.life(world.nodes[0], start_us, end):
        await log.append(append)


def test_a_runtime_becomes_an_invoice(database: Database, tmp_path: Path) -> None:
    """Charge, close, seal, finalize, issue: once each, and every view tells the same story."""

    async def body(log: EventLog, conn: psycopg.Connection[Any], world: World) -> None:
        storage = Storage(tmp_path)
        await live_a_life(log, world, 3)
        await live_a_life(log, world, None, T0 + HOUR_US)
        with psycopg.connect(database.app_url, autocommit=True) as reading:
            rater = Rater(reading, log)
            await rater.catch_up()
            await log.append(world.close())
            await rater.catch_up()
            now = T0 + world.period_us
            assert await finalize_due(log, rater, storage, now) == 3
            await rater.catch_up()
            assert await finalize_due(log, rater, storage, now) == 1
            await rater.catch_up()
            assert await finalize_due(log, rater, storage, now) == 0
        catch_up(conn)
        hours = 3 + (world.period_us // HOUR_US - 1)
        quantity = 500 * hours * HOUR_US
        (found,) = billing_read.invoices(conn, organization=world.org)
        assert found.total_pico == round_half_even(quantity * PRICE_PICO, DIVISOR)
        assert (found.state, found.line_count) == ("issued", 1)
        (line,) = billing_read.invoice_lines(conn, found)
        assert (line.quantity, line.amount_pico) == (quantity, found.total_pico)
        assert line.shown_minor == found.total_minor
        file = msgspec.json.decode(sealed_content(storage, found.sha256))
        assert file["lines"][0]["amount_pico"] == line.amount_pico
        assert file["simulated"] is True
        (usage,) = billing_read.usage(conn, organization=world.org)
        assert (usage.quantity, usage.amount_pico, usage.runtimes) == (
            quantity, found.total_pico, 2,
        )  # fmt: skip
        balances = {b.ledger: b.balance_pico for b in billing_read.balances(conn, world.account)}
        assert sum(balances.values()) == 0
        assert balances["unbilled"] == 0
        assert balances["revenue:gpu.time:T4"] == -found.total_pico
        transfers = journal_read.transfers(conn, account=world.account)
        assert [t.kind for t in transfers][:2] == ["charge", "charge"]
        assert audit(conn) == 1
        assert [s.table for s in journal_read.seals(conn)] == ["transfer", "rated_interval"]

    in_world(database, body)


def test_volumes_stand_on_the_invoice_beside_runtimes(database: Database, tmp_path: Path) -> None:
    """One from before the meter is free; one after it costs each size's time; the lines that views
    answer are those of the sealed file.
    """

    async def body(log: EventLog, conn: psycopg.Connection[Any], world: World) -> None:
        storage = Storage(tmp_path)
        await live_a_life(log, world, 3)
        await log.append(world.stored(world.nodes[0], 1000, 2000, T0))
        await log.append(world.metering())
        for size in (64, 100):
            await log.append(world.stored(world.nodes[0], size, 2 * size, T0))
        with psycopg.connect(database.app_url, autocommit=True) as reading:
            rater = Rater(reading, log)
            await rater.catch_up()
            await log.append(world.close())
            await rater.catch_up()
            assert await finalize_due(log, rater, storage, T0 + world.period_us) == 3
            await rater.catch_up()
        catch_up(conn)
        (found,) = billing_read.invoices(conn, organization=world.org)
        lines = billing_read.invoice_lines(conn, found)
        file = msgspec.json.decode(sealed_content(storage, found.sha256))
        assert [msgspec.to_builtins(line) for line in lines] == file["lines"]
        gpus, volumes = lines
        assert gpus.sku == "gpu.time:T4"
        assert (volumes.sku, volumes.quantity) == (
            "storage.capacity:local", (64 + 128 + 100 + 200) * HOUR_US,
        )  # fmt: skip
        assert volumes.amount_pico == 3 * volumes.quantity
        used, stored = billing_read.usage(conn, organization=world.org)
        assert (used.model, used.runtimes, used.volumes) == ("T4", 1, 0)
        assert (stored.model, stored.runtimes, stored.volumes) == ("local", 0, 2)
        assert (stored.quantity, stored.amount_pico) == (volumes.quantity, volumes.amount_pico)
        assert billing_read.usage(conn, organization=world.org, project="project-x") == []
        balances = {b.ledger: b.balance_pico for b in billing_read.balances(conn, world.account)}
        assert balances["revenue:storage.capacity:local"] == -volumes.amount_pico
        assert audit(conn) == 1

    in_world(database, body)


def audit(conn: psycopg.Connection[Any]) -> int:
    """How many invoices the auditor's own books find right; raises where they differ."""
    with Books(None) as auditor:
        for position, raw in views.read(conn, 0, 100_000):
            entry = json.loads(raw)
            auditor.feed(position, entry)
            fact = entry["fact"]
            if entry["tag"].endswith(".batch_sealed.v1"):
                rows = read_rows(conn, fact["table"], fact["first_row"], fact["count"])
                auditor.compare(
                    fact["table"], fact["first_row"], [json.loads(row) for _, row in rows]
                )
        return int(auditor.finish().invoices)


def test_two_raters_seal_every_row_once(database: Database) -> None:
    """Two raters at once: rows contiguous, one seal chain per table, the loser goes on."""

    async def body(log: EventLog, conn: psycopg.Connection[Any], world: World) -> None:
        with (
            psycopg.connect(database.app_url, autocommit=True) as one,
            psycopg.connect(database.app_url, autocommit=True) as two,
        ):
            raters = [Rater(one, log), Rater(two, log)]
            for n in range(12):
                await live_a_life(log, world, 1 + n % 3, T0 + n * HOUR_US)
                await asyncio.gather(*(rater.catch_up() for rater in raters))
            fresh = Rater(conn, log)
            await fresh.catch_up()
        catch_up(conn)
        rows = journal_read.intervals(conn, limit=1000)
        assert [row.row for row in rows] == list(range(12))
        assert len(journal_read.transfers(conn, limit=1000)) == 12
        assert audit(conn) == 0

    in_world(database, body)


def test_a_rater_restarted_anywhere_seals_the_same(database: Database) -> None:
    """A new rater at every step derives nothing twice: it resumes from the last seal."""

    async def body(log: EventLog, conn: psycopg.Connection[Any], world: World) -> None:
        for n in range(5):
            await live_a_life(log, world, 2, T0 + n * HOUR_US)
            rater = Rater(conn, log)
            while await rater.step(limit=3):
                pass
        catch_up(conn)
        assert [row.row for row in journal_read.intervals(conn)] == list(range(5))
        assert audit(conn) == 0

    in_world(database, body)


def test_two_finalizers_write_one_invoice(database: Database, tmp_path: Path) -> None:
    """Two workers that close and invoice at once: one invoice, one number, one sealed file."""

    async def body(log: EventLog, conn: psycopg.Connection[Any], world: World) -> None:
        storage = Storage(tmp_path)
        await live_a_life(log, world, 3)
        await log.append(world.close())
        with psycopg.connect(database.app_url, autocommit=True) as other:
            raters = [Rater(conn, log), Rater(other, log)]
            for _ in range(4):
                for rater in raters:
                    await rater.catch_up()
                await asyncio.gather(
                    *(finalize_due(log, rater, storage, T0 + world.period_us) for rater in raters)
                )
        catch_up(conn)
        (found,) = billing_read.invoices(conn)
        assert (found.state, found.number[-5:]) == ("issued", "00001")
        assert [file.name for file in journal_read.files(conn)] == [found.file]
        assert audit(conn) == 1

    in_world(database, body)


def test_a_period_without_charges_has_no_invoice(database: Database, tmp_path: Path) -> None:
    """An empty month is closed and that is all: no number is spent on it."""

    async def body(log: EventLog, conn: psycopg.Connection[Any], world: World) -> None:
        await log.append(world.close())
        rater = Rater(conn, log)
        await rater.catch_up()
        assert await finalize_due(log, rater, Storage(tmp_path), T0 + world.period_us) == 0
        catch_up(conn)
        assert billing_read.invoices(conn) == []

    in_world(database, body)


def test_periods_are_kept_open_ahead_and_closed_after_grace(database: Database) -> None:
    """The current and the next period are open at any time, each is opened and closed once."""

    async def body(log: EventLog, conn: psycopg.Connection[Any], world: World) -> None:
        rater = Rater(conn, log)
        await rater.catch_up()
        now = T0 + 100 * 24 * HOUR_US
        other = Rater(conn, log)
        await other.catch_up()
        opened = await asyncio.gather(
            keep_periods(log, rater.duties, now, HOUR_US),
            keep_periods(log, other.duties, now, HOUR_US),
        )
        for each in (rater, other):
            await each.catch_up()
            assert await keep_periods(log, each.duties, now, HOUR_US) == 0
        catch_up(conn)
        periods = billing_read.periods(conn, world.account)
        assert [p.sequence for p in periods] == list(range(1, len(periods) + 1))
        assert all(a.end_us == b.start_us for a, b in pairwise(periods))
        assert periods[-1].end_us > now
        assert [p.closed_us is not None for p in periods] == [
            p.end_us + HOUR_US <= now for p in periods
        ]
        assert sum(opened) == len(periods) - 2 + sum(p.closed_us is not None for p in periods)

    in_world(database, body)


def test_views_answer_now_and_as_of(database: Database) -> None:
    """As of a position every view says what it said then; names vanish with their words."""

    async def body(log: EventLog, conn: psycopg.Connection[Any], world: World) -> None:
        head = await log.head()
        await live_a_life(log, world, None)
        catch_up(conn)
        before, (_, usable_at, *_) = head.size - 1, [*range(head.size, head.size + 6)]
        (told,) = runtimes_read.runtimes(conn, organization=world.org)
        assert (told.state, told.node, told.simulated) == ("usable", world.nodes[0], True)
        assert told.next
        assert runtimes_read.runtimes(conn, as_of=before) == []
        then = runtimes_read.runtime(conn, told.runtime, as_of=usable_at)
        assert then is not None
        assert then.state == "allocated"
        assert [c.state for c in runtimes_read.history(conn, told.runtime)] == [
            "requested", "allocated", "starting", "usable",
        ]  # fmt: skip
        (told_node,) = inventory_read.nodes(conn)
        assert (told_node.allocations, told_node.used_milli) == (1, 500)
        (use,) = inventory_read.capacity_use(conn)
        assert (use.devices, use.used_milli, use.whole_free) == (8, 500, 7)
        (unused,) = inventory_read.capacity_use(conn, as_of=before)
        assert unused.used_milli == 0
        (limit,) = tenancy_read.quotas(conn, world.org)
        assert (limit.limit_milli, limit.used_milli) == (64_000, 500)
        (org,) = tenancy_read.organizations(conn)
        assert org.name == "Acme é\\x"
        with psycopg.connect(database.owner_url, autocommit=True) as owner:
            owner.execute("DELETE FROM log.private_value")
        (org,) = tenancy_read.organizations(conn)
        assert org.name is None
        (running,) = running_read.running(conn)
        assert running.charged_until_us is None
        (told_use,) = running_read.estimates(conn, T0 + 2 * HOUR_US)
        quantity = 500 * 2 * HOUR_US
        assert (told_use.running, told_use.quantity) == (running, quantity)
        assert told_use.amount_pico == round_half_even(quantity * PRICE_PICO, DIVISOR)
        assert live.wait_for(conn, before, 0.1) > before

    in_world(database, body)
