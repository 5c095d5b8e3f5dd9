"""Rows of one view inside one batch: opened and closed in memory, written by UPDATE and COPY."""

import functools
from typing import Final, LiteralString

import msgspec
import psycopg
from psycopg import sql

OPEN: Final = "\\N"  # COPY's null: the row is still current
_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\b": "\\b", "\f": "\\f", "\v": "\\v"}
)
_json: Final = msgspec.json.Encoder().encode

type Key = str | tuple[str | int, ...]


def text(value: str) -> str:
    """The value as a field of COPY's text format."""
    if value.isprintable() and "\\" not in value:
        return value
    return value.translate(_ESCAPES)


def json(value: object) -> str:
    """The value's JSON as a field of COPY's text format."""
    return text(_json(value).decode())


def nullable(value: int | None) -> str:
    return OPEN if value is None else str(value)


class Shape(msgspec.Struct, frozen=True):
    """How one table is written.

    `keys` name what at most one current row may have (none: rows never end); `types` are their SQL
    types. With `hashed`, current rows are found through the hash of the first key, which may be
    longer than an index holds. `columns` is the order in which `Pending.open` is given its fields.
    `follow`: what follows in `{schema}` from its new rows, those of entries in `[%(first)s,
    %(after)s)`, and from the log, once all tables were written, wherever batches are cut.
    """

    name: LiteralString
    keys: tuple[LiteralString, ...]
    columns: LiteralString
    types: tuple[LiteralString, ...] = ("text",)
    hashed: bool = False
    follow: tuple[LiteralString, ...] = ()


_COPY = "COPY {schema}.{table} ({columns}) FROM STDIN"
# The newest version of a key, read backwards from the key's index, is the only one that can be
# current: one probe a row, however long its history. The row is then gone to, not looked for: a
# planner without statistics would read all that it takes for few current rows beside each key.
_CLOSE_NEWEST = """
UPDATE {schema}.{table} t SET to_position = f.p
FROM (SELECT d.p, l.row FROM unnest({arrays}) d ({names}, p)
  CROSS JOIN LATERAL (
    SELECT s.ctid AS row FROM {schema}.{table} s WHERE {match}
    ORDER BY {order} s.from_position DESC LIMIT 1) l) f
WHERE t.ctid = f.row AND t.to_position IS NULL
"""
_CLOSE_HASHED = """
UPDATE {schema}.{table} t SET to_position = f.p
FROM (SELECT d.p, l.row FROM unnest({arrays}) d ({names}, p)
  CROSS JOIN LATERAL (
    SELECT s.ctid AS row FROM {schema}.{table} s
    WHERE hashtextextended(s.{first}, 0) = hashtextextended(d.{first}, 0)
      AND {match} AND s.to_position IS NULL OFFSET 0) l) f
WHERE t.ctid = f.row
"""


class Pending:
    """What one transaction will change in one table. Not shared between threads.

    The outcome does not depend on where batches are cut: a row that is opened and closed by one
    entry vanishes, in memory as it would in the table.
    """

    def __init__(self, shape: Shape, schema: str) -> None:
        self.shape = shape
        self.rows: list[list[str]] = []
        self.current: dict[Key, list[str]] = {}
        self.closing: dict[Key, str] = {}
        self._copy = _copy(shape, schema)
        self._close = _close(shape, schema) if shape.keys else None
        self.follow = [
            sql.SQL(query).format(schema=sql.Identifier(schema)) for query in shape.follow
        ]

    def open(self, key: Key, position: int, head: str, tail: str, *, new: bool = False) -> None:
        """Opens a row at `position`; the key's current row, if any, ends there.

        `head` is the COPY text of the key columns and the position, `tail` that of the other
        columns; `new` says that the key cannot have a row yet, which saves looking.
        """
        old = self.current.get(key)
        if old is not None:
            if old[0] == head:  # the same entry said it twice: its last word counts
                old[2] = tail
                old[1] = OPEN
                return
            if old[1] == OPEN:
                old[1] = str(position)
        elif not new:
            self.closing[key] = str(position)
        row = [head, OPEN, tail]
        self.current[key] = row
        self.rows.append(row)

    def close(self, key: Key, position: int) -> None:
        """Ends the key's current row at `position`; nothing when it has none."""
        old = self.current.get(key)
        if old is None:
            self.closing[key] = str(position)
            self.current[key] = ["", str(position), ""]
        elif old[1] == OPEN:
            old[1] = str(position)

    def absent(self, key: Key) -> None:
        """Says that the key had no row before this batch, which saves looking for one."""
        self.current.setdefault(key, ["", "", ""])

    def add(self, head: str, tail: str) -> None:
        """A row that never ends and has no key."""
        self.rows.append([head, OPEN, tail])

    def write(self, cursor: psycopg.Cursor) -> None:
        """Sends the changes; afterwards nothing is pending. Closed before opened: one current."""
        if self.closing:
            assert self._close is not None, f"{self.shape.name} never ends a row"
            cursor.execute(self._close, self._arrays())
            self.closing.clear()
        self.current.clear()
        if self.rows:
            lines = "".join([f"{head}\t{to}\t{tail}\n" for head, to, tail in self.rows])
            with cursor.copy(self._copy) as copy:
                copy.write(lines)
            self.rows.clear()

    def _arrays(self) -> list[list[str | int]]:
        keys: list[Key] = list(self.closing)
        width = len(self.shape.keys)
        if width == 1:
            columns: list[list[str | int]] = [
                [key if isinstance(key, str) else key[0] for key in keys]
            ]
        else:
            columns = [[key[i] for key in keys] for i in range(width)]
        return [*columns, list(self.closing.values())]


@functools.cache
def _copy(shape: Shape, schema: str) -> sql.Composed:
    return sql.SQL(_COPY).format(
        schema=sql.Identifier(schema),
        table=sql.Identifier(shape.name),
        columns=sql.SQL(shape.columns),
    )


@functools.cache
def _close(shape: Shape, schema: str) -> sql.Composed:
    keys = [sql.Identifier(key) for key in shape.keys]
    match = sql.SQL(" AND ").join(sql.SQL("s.{0} = d.{0}").format(key) for key in keys)
    return sql.SQL(_CLOSE_HASHED if shape.hashed else _CLOSE_NEWEST).format(
        schema=sql.Identifier(schema),
        table=sql.Identifier(shape.name),
        arrays=sql.SQL(", ").join(
            sql.SQL("%s::{}[]").format(sql.SQL(kind)) for kind in (*shape.types, "bigint")
        ),
        names=sql.SQL(", ").join(keys),
        first=keys[0],
        match=match,
        order=sql.SQL("").join(sql.SQL("s.{} DESC, ").format(key) for key in keys),
    )
