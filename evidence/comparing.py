"""One bundle of the log in three places - database, storage, signed tree - held
against each other.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import psycopg

from evidence.bundle import StorageSource
from evidence.ordering import Row
from evidence.storage import split_bundle
from gpuaas_verify.bulk import SEALS, check_rows, member_name
from gpuaas_verify.entry import Entry, parse_entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.files import SEALED, check_file
from gpuaas_verify.merkle import leaf_hash
from gpuaas_verify.tiles import TILE_WIDTH, entries_path, tile_path
from gpuaas_verify.tree import first_difference as first_hash

READ_ENTRIES: Final = """
SELECT position, stream, version, command, span, entry FROM log.entry
WHERE position >= %(first)s AND position < %(end)s ORDER BY position
"""
READ_ROWS: Final = """
SELECT row_number, row_bytes FROM log.bulk_row
WHERE bulk_table = %(table)s AND row_number >= %(first)s AND row_number < %(end)s
ORDER BY row_number
"""


# People's words whose digest is not theirs, in order of digest; a text erased is no row.
READ_PRIVATE: Final = """
SELECT digest, sha256(salt || convert_to(words, 'UTF8')) = digest FROM log.private_value
WHERE digest > %(after)s ORDER BY digest LIMIT %(limit)s
"""
LAST_ROWS: Final = """
WITH RECURSIVE t (bulk_table) AS (
  (SELECT bulk_table FROM log.bulk_row ORDER BY bulk_table LIMIT 1)
  UNION ALL
  SELECT (SELECT r.bulk_table FROM log.bulk_row r WHERE r.bulk_table > t.bulk_table
          ORDER BY r.bulk_table LIMIT 1) FROM t WHERE t.bulk_table IS NOT NULL
)
SELECT t.bulk_table,
  (SELECT r.row_number FROM log.bulk_row r WHERE r.bulk_table = t.bulk_table
   ORDER BY r.row_number DESC LIMIT 1),
  (SELECT e.entry FROM log.entry e WHERE e.stream = %(streams)s::jsonb ->> t.bulk_table
   ORDER BY e.version DESC LIMIT 1)
FROM t WHERE t.bulk_table IS NOT NULL
"""


class Columns:
    """What stands beside the entries repeats what they say: over bundles, in order."""

    def __init__(self) -> None:
        self._open: int | None = 0  # entries of an append that is not complete yet

    def skip(self) -> None:
        """A bundle was left out: how long the next append is cannot be told."""
        self._open = None

    def check(self, rows: Sequence[Row]) -> None:
        """Raises: Invalid with the position and column."""
        for row in rows:
            entry = parse_entry(row.entry)
            if (row.stream, row.version) != (entry.stream, entry.version):
                raise _contradicts(row, "stream" if row.stream != entry.stream else "version")
            ends = row.span > 0
            command = entry.cause[4:] if ends and entry.cause[0] == "c" else None
            if (row.command.hex() if row.command is not None else None) != command:
                raise _contradicts(row, "command")
            if ends and self._open is not None and row.span != self._open + 1:
                raise _contradicts(row, "span")
            self._open = 0 if ends else None if self._open is None else self._open + 1


def _contradicts(row: Row, column: str) -> Invalid:
    detail = "a column contradicts the entry"
    return Invalid("entry.column", detail, position=row.position, field=column)


def compare_bundle(
    conn: psycopg.Connection[Any], source: StorageSource, index: int, columns: Columns | None = None
) -> bytes:
    """The leaf hashes of entry bundle `index`, which is the same in all three places.

    What the entries seal is compared too, and with `columns` what stands beside them. Raises:
    Invalid with the first bad position or row.
    """
    first = index * TILE_WIDTH
    width = min(TILE_WIDTH, source.checkpoint.size - first)
    stored = split_bundle(_member(source, entries_path(index, width)))
    asked = {"first": first, "end": first + width}
    rows = list(map(Row._make, conn.execute(READ_ENTRIES, asked, binary=True)))
    held = {row.position: row.entry for row in rows}
    bad = _first_difference(held, stored, first, width)
    if bad is not None:
        detail = "is gone from" if bad not in held else "differs in"
        raise Invalid("entry.differs", f"the entry {detail} the database", position=bad)
    hashes = b"".join(leaf_hash(entry) for entry in stored)
    tile = _member(source, tile_path(0, index, width))
    if tile != hashes:
        bad = first + first_hash(tile, hashes)
        raise Invalid("leaf.mismatch", "not the tile's hash", position=bad)
    if columns is not None:
        columns.check(rows)
    for raw in stored:
        if b"_sealed.v" in raw:
            _compare_sealed(conn, source, parse_entry(raw))
    return hashes


def check_private(conn: psycopg.Connection[Any], after: bytes, limit: int) -> bytes | None:
    """The last digest looked at, None at the end: people's words are what their digests say.

    Raises: Invalid `private.differs`.
    """
    last = None
    for digest, true in conn.execute(READ_PRIVATE, {"after": after, "limit": limit}, binary=True):
        if not true:
            detail = f"the words behind {digest.hex()} are not those that were said"
            raise Invalid("private.differs", detail, field="words")
        last = bytes(digest)
    return last


def check_unsealed(conn: psycopg.Connection[Any], streams: dict[str, str]) -> None:
    """No row stands beyond its table's last seal; `streams` are the seals', by table.

    Raises: Invalid `row.unsealed` with table and row.
    """
    asked = {"streams": json.dumps(streams)}
    for table, last, raw in conn.execute(LAST_ROWS, asked, binary=True):
        fact = parse_entry(raw).fact if raw is not None else {}
        sealed = fact.get("first_row", 0) + fact.get("count", 0)
        if last >= sealed:
            detail = f"row {last} is there, {sealed} are sealed"
            raise Invalid("row.unsealed", detail, table=table, row=sealed)


def _member(source: StorageSource, name: str) -> bytes:
    place = source.find(name)
    if place is None:
        raise Invalid("tile.missing", "not in the evidence storage", member=name)
    return source.read(place)


def _first_difference(
    held: dict[int, bytes], stored: Sequence[bytes], first: int, width: int
) -> int | None:
    """The first position whose bytes are not the same in both, or missing in one."""
    for position in range(first, first + width):
        kept = stored[position - first] if position - first < len(stored) else None
        if kept is None or held.get(position) != kept:
            return position
    return None


def _compare_sealed(conn: psycopg.Connection[Any], source: StorageSource, entry: Entry) -> None:
    if entry.tag in SEALS:
        _compare_rows(conn, source, entry)
    elif entry.tag == SEALED:
        live = source.live.get(entry.fact["name"])
        if live is not None and live[0] == entry.position:
            check_file(source, entry.fact["name"], live)


def _compare_rows(conn: psycopg.Connection[Any], source: StorageSource, seal: Entry) -> None:
    table, first = seal.fact["table"], seal.fact["first_row"]
    stored = split_bundle(_member(source, member_name(table, first)))
    check_rows(iter(stored), seal)
    asked = {"table": table, "first": first, "end": first + len(stored)}
    held = dict(conn.execute(READ_ROWS, asked, binary=True).fetchall())
    for number, raw in enumerate(stored, first):
        if held.get(number) != raw:
            detail = "the row differs in the database, or is gone"
            raise Invalid("row.differs", detail, table=table, row=number, position=seal.position)
