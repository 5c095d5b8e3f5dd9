"""Transfers on one hot ledger account: posted in sealed batches, and one in a transaction."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Final

import psycopg
import uvloop

from api.embedded.postgres import Postgres
from domain.ledger import Ledger, Order, post
from evidence.append import Append, Write
from evidence.ids import new_id
from evidence.log import EventLog
from projections.rater import ACTOR, BATCH, Tail, bulk_of, seal_of
from tests.bench.bench_log import Measured, Urls, fresh_database, row, starting

SECONDS: Final = 3.0
TRANSFERS: Final = 60_000
# What a ledger on a relational database does without sealing, hashing or chaining anything.
_NAIVE: Final = """
CREATE SCHEMA naive; GRANT USAGE ON SCHEMA naive TO gpuaas_app;
CREATE TABLE naive.balance (ledger text PRIMARY KEY, seq bigint NOT NULL,
  pico numeric(38,0) NOT NULL);
CREATE TABLE naive.transfer (id text PRIMARY KEY, cause bigint NOT NULL, debit text NOT NULL,
  credit text NOT NULL, amount_pico numeric(38,0) NOT NULL, debit_seq bigint NOT NULL,
  debit_balance_pico numeric(38,0) NOT NULL, credit_seq bigint NOT NULL,
  credit_balance_pico numeric(38,0) NOT NULL);
INSERT INTO naive.balance VALUES ('unbilled', 0, 0), ('revenue:gpu.time:T4', 0, 0);
GRANT SELECT, INSERT, UPDATE ON naive.balance, naive.transfer TO gpuaas_app
"""
_POST: Final = """
WITH d AS (UPDATE naive.balance SET seq = seq + 1, pico = pico + %(amount)s
    WHERE ledger = 'unbilled' RETURNING seq, pico),
  c AS (UPDATE naive.balance SET seq = seq + 1, pico = pico - %(amount)s
    WHERE ledger = 'revenue:gpu.time:T4' RETURNING seq, pico)
INSERT INTO naive.transfer SELECT %(id)s, %(cause)s, 'unbilled', 'revenue:gpu.time:T4',
  %(amount)s, d.seq, d.pico, c.seq, c.pico FROM d, c
"""


def hot_account(server: Postgres) -> list[Measured]:
    """Transfers/s derived, sealed and durable, against the best of 1, 4 and 16 naive clients."""
    with fresh_database(server) as urls:
        rate = uvloop.run(_batched(urls["app"]))
        with psycopg.connect(urls["owner"], autocommit=True) as conn:
            conn.execute(_NAIVE, prepare=False)
        naive = max(_one_by_one(urls, clients) for clients in (1, 4, 16))
    name = f"transfers on one hot account, {BATCH:,} a batch"
    return [row(name, rate, "1/s", "one a transaction", naive)]


async def _batched(url: str) -> float:
    """As the rater does it: posted, made bytes, hashed, sealed, appended."""
    log = await EventLog.open(url)
    first = await log.append(starting(new_id("runtime"), 0))
    ledger, tail = Ledger("account-1", "USD", {}), Tail(new_id("ledger"))
    begun = time.perf_counter()
    for start in range(0, TRANSFERS, BATCH):
        rows = [post(ledger, _order(start + number)) for number in range(BATCH)]
        bulk = bulk_of("transfer", tail.next_row, rows)
        seal = seal_of(tail, bulk, rows, first.last)
        write = Write(tail.stream, "-", tail.version, (seal,))
        done = await log.append(Append((write,), ACTOR, f"pos:{first.last}", bulk=(bulk,)))
        tail.seal, tail.version, tail.next_row = done.first, tail.version + 1, start + BATCH
    took = time.perf_counter() - begun
    await log.close()
    return TRANSFERS / took


def _order(number: int) -> Order:
    return Order(
        *(number, "charge", f"runtime-{number}", "gpu.time", 1, "period-1", "period-1"),
        *("unbilled", "revenue:gpu.time:T4", 1_000 + number, 0),
    )


def _one_by_one(urls: Urls, clients: int) -> float:
    numbers = count(clients * 10**9)

    def client(until: float) -> int:
        done = 0
        with psycopg.connect(urls["app"], autocommit=True) as conn:
            while time.perf_counter() < until:
                number = next(numbers)
                conn.execute(_POST, {"id": f"{number:064}", "cause": number, "amount": 1000})
                done += 1
        return done

    begun = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        posted = sum(pool.map(client, [begun + SECONDS] * clients))
    return posted / (time.perf_counter() - begun)


BENCHES: list[Callable[[Postgres], list[Measured]]] = [hot_account]
