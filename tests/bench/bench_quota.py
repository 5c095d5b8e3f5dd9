"""An admission beside the naive quota alone: two counters in a table (issue 4)."""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psycopg
import uvloop

from api.embedded.nats import Nats
from api.embedded.postgres import Postgres
from api.serve import calm_collector
from tests.bench.bench_api import MILLI, rate_of, writer_rate
from tests.bench.bench_log import ROUNDS, Measured, Urls, fresh_database, row

CLIENTS: Final = 16
_TABLE: Final = """
CREATE TABLE public.quota (scope int PRIMARY KEY, used bigint NOT NULL, most bigint NOT NULL);
INSERT INTO public.quota SELECT n, 0, 1000000000 FROM generate_series(0, 16) n;
GRANT SELECT, UPDATE ON public.quota TO gpuaas_app;
"""
_TAKE: Final = """
UPDATE public.quota SET used = used + %(milli)s
WHERE scope = %(scope)s AND used + %(milli)s <= most
"""


async def naive_rate(urls: Urls) -> float:
    """What a counter table does per second: the organization's row, then the project's, each only
    while it stays within its limit, in one transaction. No device, no runtime, no hold, no log.
    """
    with psycopg.connect(urls["owner"]) as conn:
        conn.execute(_TABLE)
    clients = [
        await psycopg.AsyncConnection.connect(urls["app"], autocommit=True) for _ in range(CLIENTS)
    ]
    waiting = list(enumerate(clients, 1))

    async def act() -> None:
        number, conn = waiting.pop()
        async with conn.transaction():
            for scope in (0, number):
                done = await conn.execute(_TAKE, {"scope": scope, "milli": MILLI})
                assert done.rowcount == 1
        waiting.append((number, conn))

    rate = await rate_of(CLIENTS, act)
    for one in clients:
        await one.close()
    return rate


def against_naive(server: Postgres) -> list[Measured]:
    """Floor 5, goal 12 (issue 4): quota on three levels, a prepaid hold, devices and runtime, durable,
    beside the two counters alone.
    """
    calm_collector()
    ours, base = [], []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        broker = Nats(Path(folder))
        for _ in range(ROUNDS):
            with fresh_database(server) as urls:
                base.append(uvloop.run(naive_rate(urls)))
            with fresh_database(server) as urls:
                rate = writer_rate(urls["app"], broker.url(), CLIENTS, limited=True)
                ours.append(uvloop.run(rate))
        broker.close()
    value, baseline = statistics.median(ours), statistics.median(base)
    than = "the two-level conditional UPDATE alone, 16 clients"
    return [
        row("admissions with quota and hold, 16 clients", value, "admissions/s", than, baseline)
    ]


BENCHES: list[Callable[[Postgres], list[Measured]]] = [against_naive]
