"""What one transaction changes in all views, collected in memory from entries in order."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, LiteralString

import psycopg
from msgspec import Struct

from domain.errors import DomainError
from evidence.reader import read_rows
from projections.entries import Entry, decode
from projections.table import Pending, Shape


class Batch:
    """One transaction's changes; not shared between threads. `read` sees the log.

    Applying needs nothing from the tables it writes: a fact opens rows and ends rows by key, and
    sums are made when somebody asks. So there is no cache to lose in a crash, and the cut between
    two batches cannot be seen in the result.
    """

    def __init__(
        self, shapes: Iterable[Shape], schema: LiteralString, read: psycopg.Connection
    ) -> None:
        self.tables: dict[str, Pending] = {shape.name: Pending(shape, schema) for shape in shapes}
        self._read = read

    def __getitem__(self, name: str) -> Pending:
        return self.tables[name]

    def sealed(self, table: str, first_row: int, count: int) -> list[bytes]:
        """The sealed rows, all of them, in order.

        Raises:
            DomainError: `projection.rows_missing`.
        """
        rows = read_rows(self._read, table, first_row, count) if count else []
        if [number for number, _ in rows] != list(range(first_row, first_row + count)):
            raise DomainError(
                "projection.rows_missing",
                f"{table}: {count} rows from {first_row} are sealed, {len(rows)} are there",
            )
        return [row for _, row in rows]

    def write(self, cursor: psycopg.Cursor, first: int, after: int) -> None:
        """Sends all changes, made by entries in `[first, after)`, over the cursor's transaction."""
        grown = [table for table in self.tables.values() if table.rows and table.shape.follow]
        for table in self.tables.values():
            table.write(cursor)
        for table in grown:
            for query in table.follow:
                cursor.execute(query, {"first": first, "after": after})


type Apply = Callable[[Batch, Entry, Any], None]


def apply_entries(
    batch: Batch,
    handlers: Mapping[type[Struct], tuple[Apply, ...]],
    entries: Iterable[tuple[int, bytes]],
    first: int,
) -> int:
    """Applies entries that begin at position `first`; returns the position after the last.

    Raises:
        DomainError: an entry cannot be applied; `facts["position"]` says which. The batch is of
            no further use.
    """
    expected = first
    for position, raw in entries:
        try:
            entry, fact = decode(raw)
            _in_order(expected, position, entry)
            for handle in handlers[type(fact)]:
                handle(batch, entry, fact)
        except DomainError as error:
            error.facts["position"] = expected
            raise
        expected += 1
    return expected


def _in_order(expected: int, position: int, entry: Entry) -> None:
    if position != expected or entry.position != expected:
        detail = f"expected {expected}, found {entry.position} at {position}"
        raise DomainError("projection.gap", detail)
