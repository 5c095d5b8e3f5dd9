"""Readings taken: decoded, their signatures checked, deduplicated, chained, sealed; against COPY."""

import asyncio
import statistics
import time
from collections.abc import Callable
from random import Random
from typing import Any, Final

import msgspec
import psycopg
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.embedded.postgres import Postgres
from api.metering.desk import Desk
from api.reads import Reads
from api.serve import calm_collector
from contracts import usage
from contracts.signing import public_hex
from contracts.usage import Batch, Reading, Reporter
from domain import account, log, meter, period, pricebook, project, source
from domain.reading import row_of
from domain.words import Private
from evidence.ids import new_id
from evidence.log import Append, EventLog, Write
from projections.views import step
from tests.bench.bench_log import Measured, Urls, fresh_database, row

SOURCES: Final = 64
BATCHES: Final = 12  # of each source
READINGS: Final = 200  # of each batch
DOUBLED: Final = 5  # every fifth batch is sent again
ROUNDS: Final = 3
_NAMES: Final = ("source", "epoch", "sequence", "meter", "resource", "dimensions", "from_us",
                 "to_us", "quantity", "chain", "sig")  # fmt: skip
_TABLES: Final = """
CREATE TABLE public.reading (source text, epoch bigint, sequence bigint, meter text, resource text,
  dimensions text, from_us bigint, to_us bigint, quantity bigint, chain text, sig text,
  PRIMARY KEY (source, epoch, sequence));
CREATE UNLOGGED TABLE public.arrived (LIKE public.reading)
"""
_COPY: Final = "COPY public.arrived FROM STDIN (FORMAT BINARY)"
_TYPES: Final = ["text", "int8", "int8", *["text"] * 3, "int8", "int8", "int8", "text", "text"]
_MERGE: Final = """
WITH moved AS (DELETE FROM public.arrived RETURNING *)
INSERT INTO public.reading SELECT * FROM moved ON CONFLICT DO NOTHING
"""


async def world(log_: EventLog) -> tuple[str, list[tuple[str, Ed25519PrivateKey]]]:
    """One project, one meter, a price, and the sources with their keys."""
    now = time.time_ns() // 1000
    org, owner, book = new_id("organization"), new_id("account"), new_id("pricebook")
    of, none = new_id("project"), Private("0" * 64)
    opened = log.Opened(
        format="gpuaas-log/1", origin="bench/0011223344556677", vkey="bench+00000000+AA=="
    )
    writes = [
        Write(new_id("log"), "-", 0, (opened,)),
        Write(owner, org, 0, (account.Opened(org, "USD", 2, "UTC", "2025b", now),)),
        Write(new_id("period"), org, 0, (
            period.Opened(owner, 1, 0, now + 10**12, "UTC", "2025b", now),)),
        Write(of, org, 0, (project.Created(org, new_id("department"), owner, none, now),)),
        Write(new_id("meter"), "-", 0, (
            meter.ReadingsRegistered("llm.tokens", "token", 1, "sum", ("model",), now),)),
        Write(book, "-", 0, (pricebook.EntryPublished(
            "default", "llm.tokens", "m", "-", "read", "USD", 1000, 1000, 1, 1),)),
    ]  # fmt: skip
    sources = [(new_id("source"), Ed25519PrivateKey.generate()) for _ in range(SOURCES)]
    for name, key in sources:
        fact = source.Registered(org, of, public_hex(key), ("llm.tokens",), now)
        writes.append(Write(name, org, 0, (fact,)))
    await log_.append(Append(tuple(writes), "system-bench", f"cmd:{'0' * 64}"))
    return of, sources


def said(of: str, sources: list[tuple[str, Ed25519PrivateKey]]) -> list[list[bytes]]:
    """By source, its batches as they arrive; every fifth comes twice."""
    some = Random(5)
    found: list[list[bytes]] = []
    for name, key in sources:
        reporter, sent = Reporter(key, name, 1), list[bytes]()
        for number in range(BATCHES):
            readings = tuple(
                Reading("llm.tokens", of, {"model": "m"}, at, at + 10, some.randrange(10_000))
                for at in (10_000 + some.randrange(10**9) for _ in range(READINGS))
            )
            raw = msgspec.json.encode(reporter.batch(readings))
            sent += [raw] * (2 if number % DOUBLED == 0 else 1)
        found.append(sent)
    return found


async def taken_rate(urls: Urls) -> tuple[float, list[list[bytes]]]:
    """Readings that arrived per second, repeats included, from bytes to a committed seal."""
    log_, reads = await EventLog.open(urls["app"]), Reads(urls["app"])
    words = said(*await world(log_))
    with psycopg.connect(urls["app"], autocommit=True) as conn:
        while step(conn, 1000):
            continue
    desk = Desk(log_, reads, lambda: time.time_ns() // 1000)

    async def report(batches: list[bytes]) -> None:
        for raw in batches:
            await desk.take(usage.open_batch(raw))

    begun = time.perf_counter()
    await asyncio.gather(*(report(batches) for batches in words))
    took = time.perf_counter() - begun
    with psycopg.connect(urls["app"]) as conn:
        [(rows,)] = conn.execute("SELECT count(*) FROM log.bulk_row").fetchall()
    assert rows == SOURCES * BATCHES * READINGS
    await desk.close()
    reads.close()
    await log_.close()
    return sum(map(len, words)) * READINGS / took, words


def copied_rate(owner_url: str, words: list[list[bytes]]) -> float:
    """The same rows, repeats included, by COPY and ON CONFLICT DO NOTHING, as many at a time; they
    are decoded beforehand, and nobody asks who said them.
    """
    arrived = [rows(msgspec.json.decode(raw, type=Batch)) for sent in words for raw in sent]
    with psycopg.connect(owner_url) as conn:
        conn.execute(_TABLES)
        conn.commit()
        begun = time.perf_counter()
        for at in range(0, len(arrived), 20):
            with conn.cursor() as cursor:
                with cursor.copy(_COPY) as out:
                    out.set_types(_TYPES)
                    for batch in arrived[at : at + 20]:
                        for one in batch:
                            out.write_row(one)
                cursor.execute(_MERGE)
            conn.commit()
        took = time.perf_counter() - begun
        [(kept,)] = conn.execute("SELECT count(*) FROM public.reading").fetchall()
    assert kept == SOURCES * BATCHES * READINGS
    return sum(map(len, arrived)) / took


def rows(batch: Batch) -> list[tuple[Any, ...]]:
    return [
        (
            batch.source, batch.epoch, number, one.meter, one.resource, row_of(one.dimensions),
            one.from_us, one.to_us, one.quantity, batch.chain if number == batch.last else "",
            batch.sig if number == batch.last else "",
        )
        for number, one in enumerate(batch.readings, batch.first)
    ]  # fmt: skip


def readings(server: Postgres) -> list[Measured]:
    """Floor 0.3, goal 0.8 (issue 4)."""
    calm_collector()
    ours, base = [], []
    for _ in range(ROUNDS):
        with fresh_database(server) as urls:
            rate, words = uvloop.run(taken_rate(urls))
            ours.append(rate)
        with fresh_database(server) as urls:
            base.append(copied_rate(urls["owner"], words))
    name = "readings ingested, deduplicated, sealed; every fifth batch twice"
    against = "COPY of the same rows with ON CONFLICT"
    return [row(name, statistics.median(ours), "readings/s", against, statistics.median(base))]


BENCHES: list[Callable[[Postgres], list[Measured]]] = [readings]
