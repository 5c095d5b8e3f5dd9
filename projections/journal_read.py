"""Pages of the journal: transfers, rated intervals, charge lines and the seals that bind them."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch


class Transfer(Struct, frozen=True):
    """A posted transfer; `row` is its number in the sealed table, from_position its seal."""

    row: int
    from_position: int
    id: str
    cause: int
    kind: str
    account: str
    debit: str
    credit: str
    currency: str
    amount_pico: int
    resource: str
    meter: str
    price: int | None
    period: str
    booked: str
    debit_seq: int
    debit_balance_pico: int
    credit_seq: int
    credit_balance_pico: int


class Posted(Transfer, frozen=True):
    """A transfer, when its cause was appended, and whether it is for what was SIMULATED."""

    at_us: int
    simulated: bool | None = None


class Interval(Struct, frozen=True):
    """A rated interval `[start_us, end_us)` with its sign, and its charge line's
    totals after it.
    """

    row: int
    from_position: int
    cause: int
    resource: str
    meter: str
    price: int
    period: str
    booked: str
    start_us: int
    end_us: int
    sign: int
    quantity: int
    line_quantity: int
    line_amount_pico: int


class ChargeLine(Struct, frozen=True):
    """One (resource, meter, price entry, period): its total so far."""

    resource: str
    meter: str
    price: int
    period: str
    from_position: int
    quantity: int
    amount_pico: int


class Seal(Struct, frozen=True):
    """The newest seal of a table: rows below first_row + count are sealed."""

    stream: str
    from_position: int
    table: str
    first_row: int
    count: int
    root: str
    through: int
    total: int


class File(Struct, frozen=True):
    """A file bound by the log and not superseded."""

    name: str
    from_position: int
    sha256: str
    bytes: int
    as_of_size: int


_TRANSFERS: Final = """
SELECT t."row", t.from_position, t.id, t.cause, t.kind, t.account, t.debit, t.credit, t.currency,
  t.amount_pico, t.resource, t.meter, t.price, t.period, t.booked, t.debit_seq,
  t.debit_balance_pico, t.credit_seq, t.credit_balance_pico
FROM views.transfer t
WHERE [t] AND (%(account)s::text IS NULL OR t.account = %(account)s)
  AND (%(booked)s::text IS NULL OR t.booked = %(booked)s)
  AND (%(resource)s::text IS NULL OR t.resource = %(resource)s)
  AND t."row" > %(after)s
ORDER BY t."row" LIMIT %(limit)s
"""
# The first keys of an entry are ASCII of known length (EVIDENCE.md section 1).
_POSTED: Final = """
SELECT t."row", t.from_position, t.id, t.cause, t.kind, t.account, t.debit, t.credit, t.currency,
  t.amount_pico, t.resource, t.meter, t.price, t.period, t.booked, t.debit_seq,
  t.debit_balance_pico, t.credit_seq, t.credit_balance_pico,
  substring(convert_from(substring(x.entry FOR 160), 'UTF8') FROM '"at_us":([0-9]+)')::bigint
    AS at_us,
  coalesce(i.simulated, (SELECT bool_or(n.simulated) FROM views.node_identity n
    WHERE n.node = ANY (ARRAY(SELECT jsonb_array_elements_text(e.nodes)))
      AND n.from_position <= e.from_position
      AND (n.to_position IS NULL OR n.to_position > e.from_position))) AS simulated
FROM views.transfer t JOIN log.entry x ON x.position = t.cause
LEFT JOIN views.runtime_place q ON q.runtime = t.resource AND [q]
LEFT JOIN views.volume o ON o.volume = t.resource AND [o]
LEFT JOIN views.reservation e ON e.reservation = t.resource AND [e]
LEFT JOIN views.node_identity i ON i.node = coalesce(q.node, o.node)
  AND i.from_position <= coalesce(q.from_position, o.from_position)
  AND (i.to_position IS NULL OR i.to_position > coalesce(q.from_position, o.from_position))
WHERE [t] AND t.account = %(account)s AND t."row" > %(after)s
ORDER BY t."row" LIMIT %(limit)s
"""
_INTERVALS: Final = """
SELECT u."row", u.from_position, u.cause, u.resource, u.meter, u.price, u.period, u.booked,
  u.start_us, u.end_us, u.sign, u.quantity, u.line_quantity, u.line_amount_pico
FROM views.rated_interval u
WHERE [u] AND (%(resource)s::text IS NULL OR u.resource = %(resource)s)
  AND (%(booked)s::text IS NULL OR u.booked = %(booked)s)
  AND u."row" > %(after)s
ORDER BY u."row" LIMIT %(limit)s
"""
_LINES: Final = """
SELECT c.resource, c.meter, c.price, c.period, c.from_position, c.quantity, c.amount_pico
FROM views.charge_line c
WHERE [c] AND (%(resource)s::text IS NULL OR c.resource = %(resource)s)
  AND (%(period)s::text IS NULL OR c.period = %(period)s)
ORDER BY c.resource, c.meter, c.price, c.period LIMIT %(limit)s
"""
_SEALS: Final = """
SELECT s.stream, s.from_position, s."table", s.first_row, s.count, s.root, s.through, s.total
FROM views.seal s WHERE [s] ORDER BY s.stream
"""
_FILES: Final = """
SELECT t.name, t.from_position, t.sha256, t.bytes, t.as_of_size
FROM views.sealed_file t
WHERE [t] AND (%(name)s::text IS NULL
  OR (hashtextextended(t.name, 0) = hashtextextended(%(name)s, 0) AND t.name = %(name)s))
ORDER BY t.name, t.from_position
"""


def transfers(
    conn: psycopg.Connection[Any],
    *,
    account: str | None = None,
    booked: str | None = None,
    resource: str | None = None,
    after: int = -1,
    limit: int = 100,
    as_of: int | None = None,
) -> list[Transfer]:
    """In order of posting, those after row `after`, the cursor."""
    asked = {
        "account": account, "booked": booked, "resource": resource, "after": after, "limit": limit,
    }  # fmt: skip
    return fetch(conn, Transfer, _TRANSFERS, asked, as_of)


def posted(
    conn: psycopg.Connection[Any], account: str, after: int, limit: int, as_of: int
) -> list[Posted]:
    """The account's transfers that were sealed up to `as_of`, in order, those after row `after`."""
    asked = {"account": account, "after": after, "limit": limit}
    return fetch(conn, Posted, _POSTED, asked, as_of)


def intervals(
    conn: psycopg.Connection[Any],
    *,
    resource: str | None = None,
    booked: str | None = None,
    after: int = -1,
    limit: int = 100,
    as_of: int | None = None,
) -> list[Interval]:
    """In order of rating, those after row `after`, the cursor."""
    asked = {"resource": resource, "booked": booked, "after": after, "limit": limit}
    return fetch(conn, Interval, _INTERVALS, asked, as_of)


def charge_lines(
    conn: psycopg.Connection[Any],
    *,
    resource: str | None = None,
    period: str | None = None,
    limit: int = 1000,
    as_of: int | None = None,
) -> list[ChargeLine]:
    """Charge lines of a resource or a service period, by their key."""
    asked = {"resource": resource, "period": period, "limit": limit}
    return fetch(conn, ChargeLine, _LINES, asked, as_of)


def seals(conn: psycopg.Connection[Any], as_of: int | None = None) -> list[Seal]:
    """The newest seal of each table."""
    return fetch(conn, Seal, _SEALS, {}, as_of)


def files(
    conn: psycopg.Connection[Any], name: str | None = None, as_of: int | None = None
) -> list[File]:
    """Sealed files not superseded, by name; only those of this name when given."""
    return fetch(conn, File, _FILES, {"name": name}, as_of)
