"""All views: their tables, who applies which fact, and one step of applying in one transaction."""

from collections.abc import Mapping
from typing import Any, Final, LiteralString

import psycopg
from msgspec import Struct
from psycopg import sql

from domain.errors import DomainError
from domain.facts import TAGS
from evidence.reader import READ_ENTRIES
from projections import (
    access,
    aside,
    attestations,
    audit,
    billing,
    budgets,
    calls,
    cost_centres,
    devices,
    evidence_view,
    identities,
    idleness,
    incidents,
    inventory,
    journal,
    lending,
    moves,
    networks,
    operations,
    placing,
    price_books,
    readings,
    runtimes,
    taxes,
    tenancy,
    upkeep,
    volumes,
    wallets,
    webhooks,
)
from projections.batch import Apply, Batch, apply_entries
from projections.table import Shape

LIVE: Final = "views"
SHADOW: Final = "views_next"
ROOMS: Final = (
    tenancy,
    moves,
    lending,
    inventory,
    identities,
    placing,
    price_books,
    upkeep,
    devices,
    runtimes,
    networks,
    idleness,
    billing,
    journal,
    access,
    evidence_view,
    incidents,
    volumes,
    attestations,
    taxes,
    readings,
    wallets,
    budgets,
    aside,
    webhooks,
    audit,
    calls,
    operations,
    cost_centres,
)
SHAPES: Final[tuple[Shape, ...]] = tuple(shape for room in ROOMS for shape in room.SHAPES)

_LOCK: Final = "SELECT position FROM {}.applied FOR UPDATE"
_APPLIED: Final = "SELECT position FROM {}.applied"
_ADVANCE: Final = "UPDATE {}.applied SET position = %(to)s WHERE position = %(from)s"
# Every lookup is by a key that has an index; without statistics the planner may not know.
_BY_INDEX: Final = """
SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
SET LOCAL enable_bitmapscan = off; SET LOCAL enable_memoize = off; SET LOCAL enable_material = off
"""


def _handlers() -> Mapping[type[Struct], tuple[Apply, ...]]:
    found: dict[type[Struct], tuple[Apply, ...]] = dict.fromkeys(TAGS.values(), ())
    for room in ROOMS:
        for kind, apply in room.APPLY.items():
            found[kind] = (*found[kind], apply)
    return found


HANDLERS: Final = _handlers()


def applied(conn: psycopg.Connection[Any], schema: LiteralString = LIVE) -> int:
    """How many entries the views have applied: the next position they wait for."""
    row = conn.execute(sql.SQL(_APPLIED).format(sql.Identifier(schema))).fetchone()
    assert row is not None, "applied has one row since its migration"
    return int(row[0])


def read(conn: psycopg.Connection[Any], first: int, limit: int) -> list[tuple[int, bytes]]:
    """(position, entry) from `first` on, in order, at most `limit`, never beyond the head."""
    return conn.execute(READ_ENTRIES, {"first": first, "limit": limit}, binary=True).fetchall()


def collect(
    conn: psycopg.Connection[Any], first: int, limit: int, schema: LiteralString = LIVE
) -> tuple[Batch, int]:
    """What the next entries change, not yet written, and the position after them."""
    batch = Batch(SHAPES, schema, conn)
    return batch, apply_entries(batch, HANDLERS, read(conn, first, limit), first)


def store(
    conn: psycopg.Connection[Any], batch: Batch, first: int, after: int, schema: LiteralString
) -> None:
    """Rows and position in the caller's transaction.

    Raises:
        DomainError: `projection.moved`: somebody else applied entries meanwhile.
    """
    with conn.cursor() as cursor:
        cursor.execute(_BY_INDEX)
        batch.write(cursor, first, after)
        advance = sql.SQL(_ADVANCE).format(sql.Identifier(schema))
        cursor.execute(advance, {"from": first, "to": after})
        if cursor.rowcount != 1:
            raise DomainError("projection.moved", f"{schema} is no longer at {first}")


def step(conn: psycopg.Connection[Any], limit: int, schema: LiteralString = LIVE) -> int:
    """Applies at most `limit` entries in one transaction; returns how many.

    Durable when it returns. A crash anywhere before the commit leaves the step undone, rows and
    position alike. `conn` is in autocommit mode.

    Raises:
        DomainError: an entry cannot be applied; nothing of the step was kept.
    """
    with conn.transaction():
        row = conn.execute(sql.SQL(_LOCK).format(sql.Identifier(schema))).fetchone()
        assert row is not None, "applied has one row since its migration"
        first = int(row[0])
        batch, after = collect(conn, first, limit, schema)
        if after > first:
            store(conn, batch, first, after, schema)
    return after - first
