"""Which rows held at a position, and which position a time means."""

from typing import Any, Final, LiteralString

import msgspec
import psycopg
from psycopg.rows import dict_row
from psycopg.types.numeric import IntLoader

from domain.errors import DomainError
from projections.reach import reached, terms

# The words behind a digest; null once erased, where they were changed in the table, or when the
# fact's digest is none: 64 hex digits
# (a regular expression that counts them takes twenty times as long).
PRIVATE_JOIN: Final[LiteralString] = """
LEFT JOIN log.private_value {p} ON {p}.digest =
  CASE WHEN length({n}) = 64 AND {n} ~ '^[0-9a-f]*$' THEN decode({n}, 'hex') END
  AND sha256({p}.salt || convert_to({p}.words, 'UTF8')) = {p}.digest
"""
_AS_JSON: Final = "SELECT coalesce(json_agg(found), '[]')::text FROM ([query]) found"
_AT: Final = "SELECT entry FROM log.entry WHERE position = %(position)s"
_SIZE: Final = "SELECT next_position FROM log.head"


class _At(msgspec.Struct):
    at_us: int


def held(query: LiteralString, as_of: int | None) -> LiteralString:
    """The query with each `[x]` as "x's row held": now, or just after position `as_of`; and each
    `[reach s r]` as "within reach, by the columns of its scope and of what it is about", and each
    `[words w n]` as a join `w` to the words behind the digest in column `n`, if they are its own.
    """
    while "[words " in query:
        before, _, rest = query.partition("[words ")
        columns, _, after = rest.partition("]")
        alias, _, name = columns.partition(" ")
        join = PRIVATE_JOIN.replace("{p}", alias).replace("{n}", name)
        query = before + join + after
    while "[reach " in query:
        before, _, rest = query.partition("[reach ")
        columns, _, after = rest.partition("]")
        query = before + reached(*columns.split(" ")) + after
    for alias in ("a", "b", "c", "d", "e", "i", "l", "n", "o", "p", "q", "r", "s", "t", "u"):
        mark: LiteralString = "[" + alias + "]"
        if mark not in query:
            continue
        if as_of is None:
            query = query.replace(mark, alias + ".to_position IS NULL")
        else:
            query = query.replace(
                mark,
                alias + ".from_position <= %(as_of)s AND (" + alias + ".to_position IS NULL OR "
                + alias + ".to_position > %(as_of)s)",
            )  # fmt: skip
    return query


def fetch[T](
    conn: psycopg.Connection[Any],
    kind: type[T],
    query: LiteralString,
    asked: dict[str, Any],
    as_of: int | None = None,
) -> list[T]:
    """The rows as structs, columns by name. Marks `[x]` in the query are resolved for `as_of`,
    `organization` (a `projections.reach.Of`) for `[reach …]`.
    """
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.adapters.register_loader("numeric", IntLoader)  # all are whole numbers here
        cursor.execute(held(query, as_of), _terms(asked, as_of))
        return msgspec.convert(cursor.fetchall(), list[kind])  # type: ignore[valid-type]


def _terms(asked: dict[str, Any], as_of: int | None) -> dict[str, Any]:
    return {**asked, **terms(asked.get("organization")), "as_of": as_of}


def fetch_rows(
    conn: psycopg.Connection[Any],
    query: LiteralString,
    asked: dict[str, Any],
    as_of: int | None = None,
) -> list[tuple[Any, ...]]:
    """The rows as tuples, for questions with very many of them. Marks as for `fetch`."""
    with conn.cursor() as cursor:
        cursor.adapters.register_loader("numeric", IntLoader)  # all are whole numbers here
        return cursor.execute(held(query, as_of), {**asked, "as_of": as_of}).fetchall()


def fetch_one[T](
    conn: psycopg.Connection[Any],
    kind: type[T],
    query: LiteralString,
    asked: dict[str, Any],
    as_of: int | None = None,
) -> T | None:
    """The only row, or None."""
    rows = fetch(conn, kind, query, asked, as_of)
    return rows[0] if rows else None


class Several[T: msgspec.Struct](msgspec.Struct, frozen=True):
    """How things of one kind are read as they are now, many at once: `query` selects the fields of
    `kind` of those whose ids are in `$1`; the first field is the id.
    """

    kind: type[T]
    query: LiteralString

    @property
    def asked(self) -> LiteralString:
        """One text of JSON: it is read much faster than forty fields of each row, one by one."""
        return _AS_JSON.replace("[query]", self.query)

    def read(self, said: bytes) -> dict[str, T]:
        """By id."""
        key = self.kind.__struct_fields__[0]
        found = msgspec.json.decode(said, type=list[self.kind])  # type: ignore[name-defined]
        return {getattr(one, key): one for one in found}


def position_at(conn: psycopg.Connection[Any], at_us: int) -> int:
    """The last position whose `at_us` <= the instant: what was known then.

    Raises:
        DomainError: `as_of.before_log` when the log began later.
    """
    row = conn.execute(_SIZE).fetchone()
    low, high = -1, (0 if row is None else int(row[0])) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if time_of(conn, middle) <= at_us:
            low = middle
        else:
            high = middle - 1
    if low < 0:
        raise DomainError("as_of.before_log", "the log began after that time")
    return low


def time_of(conn: psycopg.Connection[Any], position: int) -> int:
    """When the entry was written."""
    row = conn.execute(_AT, {"position": position}, binary=True).fetchone()
    assert row is not None, "positions have no gaps"
    return msgspec.json.decode(row[0], type=_At).at_us
