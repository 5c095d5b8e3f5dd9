"""An account's charge lines as files: a synthetic period, written straight into the views."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg

from api.embedded.postgres import Postgres
from api.reads import Reads
from projections.billing_read import accounts
from projections.exporting.forms import FORMS, Span, written
from projections.exporting.proof import Proof
from tests.bench.bench_log import Measured, as_served, fresh_database, row

LINES: Final = int(os.environ.get("GPUAAS_BENCH_LINES", "1000000"))
FLOOR_S: Final = 20
_ACCOUNT: Final = "account-00000000-0000-7000-8000-000000000001"
_ORGANIZATION: Final = "organization-00000000-0000-7000-8000-000000000001"
_PROJECT: Final = "project-00000000-0000-7000-8000-000000000001"
_PERIOD: Final = "period-00000000-0000-7000-8000-000000000001"
_NODE: Final = "node-00000000-0000-7000-8000-000000000001"
_MONTH_US: Final = 2_678_400_000_000

# Each resource is one interval, one charge line and one transfer, with a name of its own that can be
# erased; SYNTHETIC, of no log.
_FILL: Final = """
INSERT INTO views.account VALUES (%(account)s, 1, NULL, %(org)s, 'USD', 2, 'UTC', '2025b', 0);
INSERT INTO views.period VALUES (%(period)s, 2, NULL, %(account)s, 1, 0, %(month)s, 'UTC', '2025b', 0);
INSERT INTO views.project VALUES (%(project)s, 3, NULL, %(org)s, 'department-1', %(account)s, 'synthetic', 0);
INSERT INTO views.tenancy_name VALUES (%(project)s, 3, NULL, 'synthetic', 1);
INSERT INTO views.price VALUES
  (4, NULL, 'pricebook-1', 'default', 'gpu.time', 'H100', '-', 'usable', 'USD', 0, 0, 3490000000000, 3600000000000);
INSERT INTO views.node_identity VALUES (%(node)s, 5, NULL, 'key', 'H100', false, 'serial', '[]', 0);
INSERT INTO log.private_value
  SELECT sha256(salt || convert_to(words, 'UTF8')), %(org)s, salt, words FROM given;
INSERT INTO views.runtime SELECT r, 10 + n, NULL, %(org)s, 'department-1', %(project)s, %(account)s,
  encode(sha256(salt || convert_to(words, 'UTF8')), 'hex'), 1, 1000, '[]', n, 'user' FROM given;
INSERT INTO views.runtime_place SELECT r, 10 + n, NULL, 'allocation-1', %(node)s, 'H100', '[]', 1, n FROM given;
INSERT INTO views.rated_interval SELECT n, %(most)s, NULL, 20 + n, r, 'gpu.time', 4, %(period)s, %(period)s,
  n, n + us, 1, 1000 * us, 1000 * us, amount FROM given;
INSERT INTO views.transfer SELECT n, %(most)s, NULL, encode(sha256(n::text::bytea), 'hex'), 20 + n, 'charge',
  %(account)s, 'unbilled', 'revenue:gpu.time:H100', 'USD', amount, r, 'gpu.time', 4,
  %(period)s, %(period)s, n + 1, 0, n + 1, 0 FROM given;
ANALYZE views.rated_interval; ANALYZE views.transfer; ANALYZE views.runtime; ANALYZE views.runtime_place;
ANALYZE log.private_value
"""
# Ids of UUIDv7's form: in the order of their time, what follows it at random.
_GIVEN: Final = """
CREATE TEMPORARY TABLE given AS SELECT n, us, sha256(n::text::bytea) AS salt, 'run ' || n AS words,
  round(us * 3490000000000::numeric / 3600000000) AS amount,
  'runtime-' || substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-7' || substr(h, 14, 3) || '-8'
  || substr(h, 17, 3) || '-' || substr(h, 20, 12) AS r
FROM (SELECT n, 3600000000 + n %% 977 AS us,
  lpad(to_hex(1700000000000 + n * 40), 12, '0') || md5(n::text) AS h
  FROM generate_series(0, %(lines)s - 1) n) x
"""


def exported(server: Postgres) -> list[Measured]:
    """Seconds to FOCUS 1.2 Parquet, database and all; its baseline is the floor asked for."""
    with fresh_database(server) as urls, as_served():
        _filled(urls["owner"])
        began = time.perf_counter()
        size = asyncio.run(_written(urls["app"]))
        took = time.perf_counter() - began
    name = f"{LINES:,} charge lines to FOCUS Parquet ({size >> 20} MiB)"
    return [row(name, took, "s", f"the floor of {FLOOR_S} s", FLOOR_S)]


def _filled(url: str) -> None:
    asked: dict[str, Any] = {
        "account": _ACCOUNT, "org": _ORGANIZATION, "project": _PROJECT, "period": _PERIOD,
        "node": _NODE, "month": _MONTH_US, "lines": LINES, "most": LINES + 100,
    }  # fmt: skip
    with psycopg.connect(url, autocommit=True) as conn:
        cursor = psycopg.ClientCursor(conn)
        cursor.execute(_GIVEN, asked)
        for statement in _FILL.split(";"):
            cursor.execute(statement, asked)


async def _written(url: str) -> int:
    reads = Reads(url)
    size = 0
    try:
        proof = Proof("synthetic/bench", LINES + 1000, "0" * 64)
        [found] = await reads.ask(accounts, account=_ACCOUNT, as_of=proof.as_of)
        async for piece in written(reads.ask, FORMS["focus.parquet"], found, proof, Span()):
            size += len(piece)
    finally:
        reads.close()
    return size


BENCHES: list[Callable[[Postgres], list[Measured]]] = [exported]
