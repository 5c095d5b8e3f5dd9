"""One bundle of the log in three places - database, storage, signed tree - held
against each other.
"""

from collections.abc import Sequence
from typing import Any, Final

import psycopg

from evidence.bundle import StorageSource
from evidence.storage import split_bundle
from gpuaas_verify.bulk import SEALS, check_rows, member_name
from gpuaas_verify.entry import Entry, parse_entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.files import SEALED, check_file
from gpuaas_verify.merkle import leaf_hash
from gpuaas_verify.tiles import TILE_WIDTH, entries_path, tile_path
from gpuaas_verify.tree import first_difference as first_hash

READ_ENTRIES: Final = """
SELECT position, entry FROM log.entry
WHERE position >= %(first)s AND position < %(end)s ORDER BY position
"""
READ_ROWS: Final = """
SELECT row_number, row_bytes FROM log.bulk_row
WHERE bulk_table = %(table)s AND row_number >= %(first)s AND row_number < %(end)s
ORDER BY row_number
"""


def compare_bundle(conn: psycopg.Connection[Any], source: StorageSource, index: int) -> bytes:
    """The leaf hashes of entry bundle `index`, which is the same in all three places.

    What the entries seal is compared too. Raises: Invalid with the first bad position or row.
    """
    first = index * TILE_WIDTH
    width = min(TILE_WIDTH, source.checkpoint.size - first)
    stored = split_bundle(_member(source, entries_path(index, width)))
    asked = {"first": first, "end": first + width}
    held = dict(conn.execute(READ_ENTRIES, asked, binary=True).fetchall())
    bad = _first_difference(held, stored, first, width)
    if bad is not None:
        detail = "is gone from" if bad not in held else "differs in"
        raise Invalid("entry.differs", f"the entry {detail} the database", position=bad)
    hashes = b"".join(leaf_hash(entry) for entry in stored)
    tile = _member(source, tile_path(0, index, width))
    if tile != hashes:
        bad = first + first_hash(tile, hashes)
        raise Invalid("leaf.mismatch", "not the tile's hash", position=bad)
    for raw in stored:
        if b"_sealed.v" in raw:
            _compare_sealed(conn, source, parse_entry(raw))
    return hashes


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
