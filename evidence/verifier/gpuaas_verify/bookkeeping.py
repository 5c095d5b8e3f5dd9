"""The books derived again from a bundle whose entries, seals and files are checked."""

from collections.abc import Iterator
from typing import Any

from gpuaas_verify import bulk
from gpuaas_verify.books import Books, BooksReport
from gpuaas_verify.books_shape import SHAPES
from gpuaas_verify.books_usage import SEAL as READINGS
from gpuaas_verify.claims import ABSENT, CHECKED, UNCHECKED, Claim
from gpuaas_verify.entry import parse_entry
from gpuaas_verify.errors import Unreadable
from gpuaas_verify.source import Source, framed
from gpuaas_verify.tiles import entries_path, level_tiles

_TAG = b'"tag":"'


def raw_entries(source: Source, size: int) -> Iterator[bytes]:
    """The bytes of every entry in order."""
    for index, width in level_tiles(size, 0):
        name = entries_path(index, width)
        place = source.find(name)
        if place is None:
            raise Unreadable(f"{name} vanished while the bundle was read")
        yield from framed(source.pieces(place), "entries.malformed", name)


def _rows(source: Source, fact: dict[str, Any]) -> Iterator[dict[str, Any]]:
    table, number = fact["table"], fact["first_row"]
    name = bulk.member_name(table, number)
    place = source.find(name)
    if place is None:
        raise Unreadable(f"{name} vanished while the bundle was read")
    for raw in framed(source.pieces(place), "row.malformed", name):
        yield bulk.parse_row(raw, table, number)
        number += 1


def _feed(source: Source, size: int, books: Books) -> BooksReport:
    for position, raw in enumerate(raw_entries(source, size)):
        # The entry is checked, so the first such key is the envelope's: most need no second
        # decoding.
        start = raw.index(_TAG) + len(_TAG)
        tag = raw[start : raw.index(b'"', start)].decode()
        if tag not in SHAPES:
            books.feed(position, {"tag": tag})
            continue
        entry = parse_entry(raw)
        books.feed(position, entry._asdict())
        if tag in bulk.SEALS:
            fact = entry.fact
            if tag == READINGS:
                books.read(_rows(source, fact))
            else:
                books.compare(fact["table"], fact["first_row"], _rows(source, fact))
    return books.finish()


def check_books(source: Source, size: int, claims: list[Claim], *, wanted: bool) -> None:
    """Adds the claims `books` and `invoices`, and `unsealed` where rows wait for a seal.

    Raises: Invalid `books.*`.
    """
    if not wanted:
        claims.append(Claim("books", UNCHECKED, 0, "left out on request"))
        claims.append(Claim("invoices", UNCHECKED, 0, "left out on request"))
        return
    with Books(None) as books:
        report = _feed(source, size, books)
    rows = sum(report.rows.values())
    detail = f"sealed through position {report.through}" if rows else "no rows are sealed"
    claims.append(Claim("books", CHECKED if rows else ABSENT, rows, detail))
    state = CHECKED if report.invoices else ABSENT
    detail = f"{report.simulated} of SIMULATED GPUs" if report.simulated else ""
    claims.append(Claim("invoices", state, report.invoices, detail))
    if not report.complete:
        waiting = sum(report.unsealed_rows.values())
        detail = f"rows of {report.unsealed_causes} causes are not sealed yet"
        claims.append(Claim("unsealed", UNCHECKED, waiting, detail))
