"""A world whose nodes' readings are heard, priced and charged; every batch comes three times."""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import nats
import psycopg
from nats.aio.msg import Msg

from api.metering.desk import Desk
from api.metering.hearing import Ear, ensure_stream, hear
from api.reads import Reads
from contracts import fleet, usage
from domain import account, meter, period, pricebook, project
from domain.rating import Books
from domain.reading import Reading
from evidence.ids import new_id
from evidence.line import with_tls
from evidence.reader import decode_entry, read_entries, read_rows
from gpuaas_verify.books import Books as Auditor
from projections.views import step
from tests.agent_world import ORG, PRIVATE, World, now_us

_SEALED = "gpuaas.usage.batch_sealed.v1"
_MONTH_US = 30 * 86_400_000_000
PICO = 3  # a byte


@asynccontextmanager
async def metered(world: World) -> AsyncIterator[None]:
    """Readings are taken as `serve` takes them, beside views that follow."""
    client = await nats.connect(world.nats_url, **with_tls(world.tls))
    stream = client.jetstream()
    await ensure_stream(stream)
    await stream.purge_stream(fleet.USE_STREAM)
    seen: set[bytes] = set()

    async def repeat(message: Msg) -> None:
        if message.data not in seen:
            seen.add(message.data)
            for _ in range(2):
                await stream.publish(message.subject, message.data)

    await client.subscribe(fleet.USE_SUBJECTS, cb=repeat)
    reads = Reads(world.app_url)
    desk = Desk(world.log, reads, now_us)
    tasks = [
        asyncio.create_task(hear(Ear(client, desk, world.key))),
        asyncio.create_task(_follow(world.app_url)),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await desk.close()
        await asyncio.to_thread(reads.close)
        await client.close()
        assert seen, "nothing was reported"


async def _follow(app_url: str) -> None:
    with contextlib.closing(psycopg.connect(app_url, autocommit=True)) as conn:
        while True:
            if not await asyncio.to_thread(step, conn, 1000):
                await asyncio.sleep(0.02)


async def payer_of(world: World) -> tuple[str, str, str]:
    """A project, its department and the account that pays, with prices for what runs and leaves."""
    mine, owner, department = new_id("project"), new_id("account"), new_id("department")
    opened = account.Opened(ORG, "USD", 2, "UTC", "x", 0)
    await world.write(owner, opened, org=ORG)
    end = now_us() + _MONTH_US
    for sequence, (start, over) in enumerate(((0, end), (end, end + _MONTH_US)), 1):
        spoken = period.Opened(owner, sequence, start, over, "UTC", "x", 0)
        await world.write(new_id("period"), spoken, org=ORG)
    await world.write(mine, project.Created(ORG, department, owner, PRIVATE, 0), org=ORG)
    counted = meter.ReadingsRegistered(usage.EGRESS, "byte", 10**9, "sum", ("model",), 0)
    await world.write(new_id("meter"), counted)
    scopes = ((usage.EGRESS, usage.INTERNET, "read", PICO, 1), ("gpu.time", "T4", "usable", 7, 3))
    entries = [
        pricebook.EntryPublished(*("default", of, model, "-", state, "USD", 0, 0, pico, divisor))
        for of, model, state, pico, divisor in scopes
    ]
    await world.write(new_id("pricebook"), *entries)
    return mine, department, owner


def charges(world: World) -> dict[tuple[str, str], tuple[int, int]]:
    """Quantity and pico by resource and meter; the auditor believes and derives every row."""
    books, rows = Books(), []
    with psycopg.connect(world.app_url, autocommit=True) as conn, Auditor(None) as auditor:
        for position, raw, _ in read_entries(conn, 0, 100_000):
            entry = json.loads(raw)
            auditor.feed(position, entry)
            one = decode_entry(raw)
            if entry["tag"] == _SEALED:
                fact = entry["fact"]
                sealed = list(read_rows(conn, "reading", fact["first_row"], fact["count"]))
                auditor.read(json.loads(row) for _, row in sealed)
                said = [msgspec.json.decode(row, type=Reading) for _, row in sealed]
                rows += books.read(position, said)[0]
            else:
                rows += books.apply(position, one.stream, one.fact)[0]
        theirs: list[dict[str, Any]] = list(auditor.expected_rows("rated_interval"))
    assert [{**msgspec.to_builtins(row), "row": n} for n, row in enumerate(rows)] == theirs
    lines = {
        (row.resource, row.meter, row.price, row.period): (row.line_quantity, row.line_amount_pico)
        for row in rows
    }
    sums: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (resource, of, *_), (quantity, pico) in lines.items():
        before = sums[resource, of]
        sums[resource, of] = (before[0] + quantity, before[1] + pico)
    return dict(sums)
