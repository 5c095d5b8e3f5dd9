"""The log against the stock recorder, side by side in one run; COPY as the measure of ingest.

A bench takes a running server and returns rows for `build/bench.json`.
"""

import asyncio
import contextlib
import gc
import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any, TypedDict

import psycopg
import uvloop
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from api.embedded.postgres import Postgres, create_database
from domain.runtime import Starting
from evidence import custody
from evidence.ids import new_id
from evidence.log import Append, EventLog, Write
from gpuaas_verify.entry import parse_entry
from migrations.runner import migrate

CALLERS = 256
SECONDS = 3.0
BATCH = 1000
EVENTS = 60_000
ROUNDS = 3
# A runtime belongs to an organization; the integrator would refuse to sign anything else.
ORG = "organization-00000000-0000-7000-8000-000000000000"


class Measured(TypedDict):
    name: str
    value: float
    unit: str
    baseline_name: str
    baseline_value: float
    ratio: float


class Urls(TypedDict):
    app: str
    owner: str
    name: str


@contextlib.contextmanager
def as_served() -> Iterator[None]:
    """The collector as the composition roots set it, for both sides of a comparison."""
    usual = gc.get_threshold()
    gc.set_threshold(*custody.COLLECT)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@contextlib.contextmanager
def fresh_database(server: Postgres) -> Iterator[Urls]:
    """A migrated database of its own, dropped afterwards."""
    name = f"bench_{secrets.token_hex(6)}"
    with psycopg.connect(server.url("superuser", "postgres"), autocommit=True) as conn:
        create_database(conn, name)
    migrate(server.url("owner", name))
    yield {"app": server.url("app", name), "owner": server.url("owner", name), "name": name}
    with psycopg.connect(server.url("superuser", "postgres"), autocommit=True) as conn:
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


def commands(server: Postgres) -> list[Measured]:
    """One-event commands on distinct streams: 256 callers of one process vs the stock recorder."""
    with fresh_database(server) as urls, as_served():
        ours: list[float] = []
        stock: list[float] = []
        latency: list[float] = []
        for _ in range(ROUNDS):
            stock.append(max(stock_rate(server, urls, threads) for threads in (1, 4, 16)))
            rate, p99 = uvloop.run(command_rate(urls["app"]))
            ours.append(rate)
            latency.append(p99)
    value, baseline = statistics.median(ours), statistics.median(stock)
    return [
        row("one-event commands, 256 callers", value, "commands/s", "stock recorder", baseline),
        row("one-event commands, p99", statistics.median(latency) * 1e3, "ms", "none", 0),
    ]


def row(name: str, value: float, unit: str, baseline_name: str, baseline: float) -> Measured:
    return {
        "name": name,
        "value": round(value, 2),
        "unit": unit,
        "baseline_name": baseline_name,
        "baseline_value": round(baseline, 2),
        "ratio": round(value / baseline, 3) if baseline else 0,
    }


def starting(stream: str, expected: int, facts: int = 1) -> Append:
    write = Write(stream, ORG, expected, tuple([Starting(n, 1) for n in range(facts)]))
    return Append((write,), "system-bench", f"cmd:{sha256(stream.encode()).hexdigest()}")


async def command_rate(app_url: str) -> tuple[float, float]:
    """(commands/s, p99 seconds), each awaited by its caller before the next."""
    log = await EventLog.open(app_url)
    waits: list[float] = []

    async def caller(until: float) -> None:
        while (begun := time.perf_counter()) < until:
            await log.append(starting(new_id("runtime"), 0))
            waits.append(time.perf_counter() - begun)

    await asyncio.gather(*(caller(time.perf_counter() + 0.3) for _ in range(CALLERS)))
    waits.clear()
    begun = time.perf_counter()
    await asyncio.gather(*(caller(begun + SECONDS) for _ in range(CALLERS)))
    took = time.perf_counter() - begun
    await log.close()
    waits.sort()
    return len(waits) / took, waits[int(len(waits) * 0.99)]


def stock_rate(server: Postgres, urls: Urls, threads: int) -> float:
    """Saves/s of the library's own recorder, one event per save, at a number of threads."""
    secret = server.secrets.app
    store = PostgresDatastore(
        dbname=urls["name"], host="127.0.0.1", port=server.port, user="gpuaas_app",
        password=secret, pool_size=threads, originator_id_type="text", schema="stock",
    )  # fmt: skip
    with psycopg.connect(urls["app"], autocommit=True) as conn:
        conn.execute("CREATE SCHEMA IF NOT EXISTS stock")
    recorder = PostgresApplicationRecorder(store, events_table_name="stored_events")
    recorder.create_table()
    state = b'{"command":1,"decided_us":1}'

    def save(until: float) -> int:
        done = 0
        while time.perf_counter() < until:
            event = StoredEvent(new_id("runtime"), 1, "gpuaas.runtime.starting.v1", state)
            recorder.insert_events([event])
            done += 1
        return done

    begun = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        saved = sum(pool.map(save, [begun + SECONDS / 2] * threads))
    took = time.perf_counter() - begun
    store.close()
    return saved / took


async def ingest_rate(app_url: str, writers: int = 4) -> float:
    """Events/s of appends of 1,000 events, a few in flight at a time."""
    log = await EventLog.open(app_url)
    batches = iter([starting(new_id("runtime"), 0, BATCH) for _ in range(EVENTS // BATCH)])

    async def writer() -> None:
        for batch in batches:
            await log.append(batch)

    begun = time.perf_counter()
    await asyncio.gather(*(writer() for _ in range(writers)))
    took = time.perf_counter() - begun
    await log.close()
    return EVENTS / took


def stored_rows(conn: psycopg.Connection[Any]) -> list[tuple[object, ...]]:
    """The columns of log.entry as the ingest left them; entry 0 opened the log."""
    query = """
        SELECT position, version, span, stream, command, entry FROM log.entry
        WHERE position BETWEEN 1 AND %(last)s ORDER BY 1
    """
    rows = conn.execute(query, {"last": EVENTS}, binary=True).fetchall()
    assert len(rows) == EVENTS
    parse_entry(rows[-1][-1])
    return rows


def copy_rate(owner_url: str, rows: list[tuple[object, ...]]) -> float:
    """Rows/s of binary COPY by `write_row`: same bytes, indexes, batches, transactions."""
    with psycopg.connect(owner_url) as conn:
        conn.execute("CREATE TABLE log.copied (LIKE log.entry INCLUDING ALL)")
        conn.commit()
        begun = time.perf_counter()
        for at in range(0, len(rows), BATCH):
            copy = "COPY log.copied FROM STDIN (FORMAT BINARY)"
            with conn.cursor() as cursor, cursor.copy(copy) as out:
                out.set_types(["int8", "int4", "int4", "text", "bytea", "bytea"])
                for each in rows[at : at + BATCH]:
                    out.write_row(each)
            conn.commit()
        return len(rows) / (time.perf_counter() - begun)


BENCHES: list[Callable[[Postgres], list[Measured]]] = [commands]
