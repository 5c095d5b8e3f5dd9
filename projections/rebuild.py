"""All views made again from the log beside the serving ones, compared with them, and swapped in."""

import contextlib
import hashlib
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import psycopg
from psycopg import sql

from domain.errors import DomainError
from projections.batch import Batch, apply_entries
from projections.views import HANDLERS, LIVE, SHADOW, SHAPES, applied, read, step, store

CHUNK: Final = 5_000
PER_TRANSACTION: Final = 50_000
_FIRST: Final = 10_000  # of the first step, so that storing begins soon; the next are twice as long
_TURN_S: Final = 0.0005

_SHADOW: Final = "SELECT live.views_shadow()"
_SWAP: Final = "SELECT live.views_swap()"
_DROP_OLD: Final = "SELECT live.views_drop_old()"
_ONLY_ONE: Final = "SELECT pg_try_advisory_lock(7214036823)"
_DONE: Final = "SELECT pg_advisory_unlock(7214036823)"
_PATIENCE: Final = "SET LOCAL lock_timeout = '5s'"
# While the swap waits for questions under way, new ones wait behind it: never for long.
_BRIEFLY: Final = "SET LOCAL lock_timeout = '1s'"
SWAP_TRIES: Final = 10  # seconds
_LOCK: Final = "SELECT position FROM views.applied FOR UPDATE"
# Tables of a schema with the columns of their primary key, which order a table completely.
_TABLES: Final = """
SELECT c.relname, string_agg(quote_ident(a.attname), ', '
         ORDER BY array_position(i.indkey::int2[], a.attnum))
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = %(schema)s
JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
GROUP BY 1 ORDER BY 1
"""
_DUMP: Final = "COPY (SELECT * FROM {}.{} ORDER BY {}) TO STDOUT"


def rebuild(
    conn: psycopg.Connection[Any],
    reader: psycopg.Connection[Any],
    *,
    expect_equal: bool = True,
    progress: Callable[[int], None] | None = None,
    swap_tries: int = SWAP_TRIES,
) -> list[str]:
    """Rebuilds, compares, swaps; returns the tables that differed.

    Readers are served all the while: those who ask when the names change wait for that moment; the
    runner waits while the last entries are applied and compared, too. Both connections are in
    autocommit mode, one transaction each. A crash leaves the serving views as they are; the next
    rebuild begins anew.

    Raises:
        DomainError: `rebuild.running`. `projection.differs` when tables differ and `expect_equal`,
            `rebuild.readers` when questions under way do not end: nothing was swapped.
            `projection.*` when an entry cannot be applied.
    """
    row = conn.execute(_ONLY_ONE).fetchone()
    if row is None or not row[0]:
        raise DomainError("rebuild.running", "another rebuild is at work on this database")
    try:
        return _rebuild(conn, reader, expect_equal, progress, swap_tries)
    finally:
        if not conn.closed:
            conn.execute(_DONE)


def _rebuild(
    conn: psycopg.Connection[Any],
    reader: psycopg.Connection[Any],
    expect_equal: bool,
    progress: Callable[[int], None] | None,
    swap_tries: int,
) -> list[str]:
    conn.execute(_SHADOW)
    fill(conn, reader, progress=progress)
    with conn.transaction():
        row = conn.execute(_LOCK).fetchone()
        assert row is not None, "applied has one row since its migration"
        target = int(row[0])
        while (at := applied(conn, SHADOW)) < target:
            step(conn, min(CHUNK, target - at), SHADOW)
        differing = differences(conn) if at == target else ["applied"]
        if differing and expect_equal:
            raise DomainError(
                "projection.differs", f"rebuilt views differ in {', '.join(differing)}"
            )
        _swap(conn, swap_tries)
    with contextlib.suppress(psycopg.errors.LockNotAvailable), conn.transaction():
        # Somebody still reads the old views: the next rebuild drops them.
        conn.execute(_PATIENCE)
        conn.execute(_DROP_OLD)
    return differing


def _swap(conn: psycopg.Connection[Any], tries: int) -> None:
    """The names change once no question is under way. In the caller's transaction."""
    for _ in range(tries):
        with contextlib.suppress(psycopg.errors.LockNotAvailable), conn.transaction():
            conn.execute(_BRIEFLY)
            conn.execute(_SWAP)
            return
    raise DomainError("rebuild.readers", "questions to the views under way do not end")


def run(app_url: str, *, accept: bool = False) -> int:
    """The command line's `rebuild`: 0 when swapped, 1 with a sentence when tables differ.

    `accept`: swap although they differ, because this version makes other views.
    """
    with (
        psycopg.connect(app_url, autocommit=True) as conn,
        psycopg.connect(app_url, autocommit=True) as reader,
    ):
        try:
            differing = rebuild(
                conn,
                reader,
                expect_equal=not accept,
                progress=lambda at: print(f"{at} entries applied"),
            )
        except DomainError as error:
            print(f"nothing was swapped: {error}")
            return 1
        what = f"differing in {', '.join(differing)}" if differing else "equal"
        print(f"views rebuilt through {applied(conn)} entries, {what}, swapped in")
    return 0


def fill(
    conn: psycopg.Connection[Any],
    reader: psycopg.Connection[Any],
    *,
    per_transaction: int = PER_TRANSACTION,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Brings the shadow views to where the serving ones stand; returns the position reached.

    One thread decodes and applies while another stores what the step before changed: applying
    needs nothing from the tables, so the steps overlap. In order, and durable step by step. Both
    wait for the interpreter at each word to the database: meanwhile its threads take short turns.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        return _filled(conn, reader, per_transaction, progress)
    finally:
        sys.setswitchinterval(usual)


def _filled(
    conn: psycopg.Connection[Any],
    reader: psycopg.Connection[Any],
    per_transaction: int,
    progress: Callable[[int], None] | None,
) -> int:
    at, stop = applied(conn, SHADOW), applied(reader, LIVE)
    storing: Future[None] | None = None
    most = min(_FIRST, per_transaction)
    with ThreadPoolExecutor(1) as pool:
        while at < stop:
            first, batch = at, Batch(SHAPES, SHADOW, reader)
            until, most = min(stop, first + most), min(2 * most, per_transaction)
            while at < until:
                entries = read(reader, at, min(CHUNK, until - at))
                at = apply_entries(batch, HANDLERS, entries, at)
            if storing is not None:
                storing.result()
            storing = pool.submit(_store, conn, batch, first, at)
            if progress is not None:
                progress(at)
        if storing is not None:
            storing.result()
    return at


def _store(conn: psycopg.Connection[Any], batch: Batch, first: int, after: int) -> None:
    with conn.transaction():
        store(conn, batch, first, after, SHADOW)


def digests(conn: psycopg.Connection[Any], schema: str) -> dict[str, str]:
    """SHA-256 of every table's rows in order of its primary key, by table name."""
    found = {}
    for table, order in conn.execute(_TABLES, {"schema": schema}).fetchall():
        hasher = hashlib.sha256()
        dump = sql.SQL(_DUMP).format(sql.Identifier(schema), sql.Identifier(table), sql.SQL(order))
        with conn.cursor().copy(dump) as copy:
            for block in copy:
                hasher.update(block)
        found[table] = hasher.hexdigest()
    return found


def differences(conn: psycopg.Connection[Any]) -> list[str]:
    """Names of the tables whose rows differ between the serving and the shadow views."""
    live, shadow = digests(conn, LIVE), digests(conn, SHADOW)
    return sorted(name for name in live | shadow if live.get(name) != shadow.get(name))
