"""An admission beside the naive quota alone: two counters in a table (issue 4)."""

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import psycopg
import uvloop

from api.embedded.nats import Nats
from api.embedded.postgres import Postgres
from api.serve import calm_collector
from tests.bench.bench_api import MILLI, rate_of, writer_rate
from tests.bench.bench_log import ROUNDS, Measured, Urls, fresh_database, row
from tests.skew import compiled

CLIENTS: Final = 16
_SLOW: Final = Path(__file__).parents[1] / "slow_flush.c"
_MORE_US: Final = 500
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

    A counter's row is locked while its commit is flushed, so the ratio is one of disks too: the
    second row is the same on a server whose flush takes half a millisecond more, as one over a
    network does.
    """
    calm_collector()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o711)
        with closing(Nats(place)) as broker:
            here = _beside(server, broker)
            with _slower(place) as slow:
                there = _beside(slow, broker)
    name = "admissions with quota and hold, 16 clients"
    return [_row(name, *here), _row(f"SIMULATED flush of {_MORE_US} us more: {name}", *there)]


def _beside(server: Postgres, broker: Nats) -> tuple[float, float]:
    ours, base = [], []
    for _ in range(ROUNDS):
        with fresh_database(server) as urls:
            base.append(uvloop.run(naive_rate(urls)))
        with fresh_database(server) as urls:
            rate = writer_rate(urls["app"], broker.url(), CLIENTS, limited=True)
            ours.append(uvloop.run(rate))
    return statistics.median(ours), statistics.median(base)


def _row(name: str, value: float, baseline: float) -> Measured:
    than = "the two-level conditional UPDATE alone, 16 clients"
    return row(name, value, "admissions/s", than, baseline)


@contextmanager
def _slower(folder: Path) -> Iterator[Postgres]:
    """A server of its own; only its processes flush slowly."""
    place = folder / "slower"
    place.mkdir(mode=0o711)
    os.environ |= {"LD_PRELOAD": str(compiled(place, _SLOW)), "SLOW_FLUSH_US": str(_MORE_US)}
    try:
        server = Postgres(place)
    finally:
        del os.environ["LD_PRELOAD"], os.environ["SLOW_FLUSH_US"]
    with closing(server):
        yield server


BENCHES: list[Callable[[Postgres], list[Measured]]] = [against_naive]
