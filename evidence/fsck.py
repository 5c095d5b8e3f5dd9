"""The whole log judged where it lies: database, storage, signature, then everything a verifier
checks.

Library (`check`) and command (`gpuaas fsck`). Reads only. The database is read in one snapshot, so
a log that grows meanwhile is no finding.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
from msgspec import Struct

from domain.errors import DomainError
from evidence.bundle import StorageSource
from evidence.comparing import check_private, compare_bundle
from evidence.ordering import Order, Row
from evidence.storage import Storage
from gpuaas_verify.bulk import SEALS, check_rows
from gpuaas_verify.bundle import Scope, Trust, verify_source
from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.merkle import leaf_hash
from gpuaas_verify.note import Vkey
from gpuaas_verify.tiles import level_tiles

_BATCH: Final = 4096
_MOST: Final = 20  # findings of one kind; the first is what matters
_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
READ_HEAD: Final = "SELECT next_position, leaf, at_us FROM log.head"
READ_RANGE: Final = """
SELECT position, stream, version, command, span, entry FROM log.entry
WHERE position >= %(first)s ORDER BY position LIMIT %(limit)s
"""
READ_ROWS: Final = """
SELECT row_number, row_bytes FROM log.bulk_row
WHERE bulk_table = %(table)s AND row_number >= %(first)s AND row_number < %(end)s
ORDER BY row_number
"""
COUNT_ROWS: Final = "SELECT bulk_table, count(*) FROM log.bulk_row GROUP BY 1 ORDER BY 1"


class Finding(Struct, frozen=True):
    """One thing wrong. `part`: database, storage or bundle; `position`, `row` where it has one."""

    part: str
    code: str
    detail: str
    position: int | None = None
    table: str | None = None
    row: int | None = None


class Checked(Struct, frozen=True):
    """What was looked at, and everything found: no finding, no fault."""

    entries: int
    signed: int
    findings: list[Finding]


def check(conn: psycopg.Connection[Any], storage: Storage, vkey: Vkey) -> Checked:
    """Everything checked. Findings come in order of part, in each the first bad position first.

    Raises: psycopg.Error when the database cannot be read.
    """
    conn.execute(_SNAPSHOT)
    try:
        database = _Database(conn, vkey.name)
        findings = list(_first(database.check, "database"))
        signed, more = _check_storage(conn, storage, vkey)
        return Checked(database.order.position, signed, findings + more)
    finally:
        conn.execute("ROLLBACK")


def _first(look: Any, part: str) -> Iterator[Finding]:
    try:
        look()
    except Invalid as error:
        yield finding(part, error)
    except DomainError as error:
        yield Finding(part, error.code, error.detail)


def finding(part: str, error: Invalid) -> Finding:
    detail = error.detail + (f" (field {error.field})" if error.field else "")
    return Finding(part, error.code, detail, error.position, error.table, error.row)


class _Database:
    """The database by itself: every row, every rule of order, every seal, the head."""

    def __init__(self, conn: psycopg.Connection[Any], origin: str) -> None:
        self._conn = conn
        self.order = Order(origin)
        self._sealed: dict[str, int] = {}

    def check(self) -> None:
        head = self._conn.execute(READ_HEAD, binary=True).fetchone()
        if head is None:
            raise Invalid("head.missing", "the head row is gone")
        while self._check_batch():
            continue
        size, leaf, at_us = head
        if self.order.position != size:
            detail = f"the head says {size} entries, {self.order.position} are there"
            raise Invalid("head.differs", detail, position=min(self.order.position, size))
        self.order.require_whole()
        if (self.order.leaf, self.order.at_us) != (leaf.hex(), at_us):
            raise Invalid("head.differs", "not its hash or time", position=size - 1)
        for table, count in self._conn.execute(COUNT_ROWS):
            if count != self._sealed.get(table, 0):
                detail = f"{count} rows, {self._sealed.get(table, 0)} are sealed"
                raise Invalid("row.unsealed", detail, table=table, row=self._sealed.get(table, 0))
        last: bytes | None = b""
        while last is not None:
            last = check_private(self._conn, last, _BATCH)

    def _check_batch(self) -> bool:
        asked = {"first": self.order.position, "limit": _BATCH}
        rows = [Row(*row) for row in self._conn.execute(READ_RANGE, asked, binary=True)]
        leaves = [leaf_hash(row.entry) for row in rows]
        for entry in self.order.check(rows, leaves):
            if entry.tag in SEALS:
                self._check_seal(entry)
        return bool(rows)

    def _check_seal(self, seal: Entry) -> None:
        table, first = seal.fact["table"], seal.fact["first_row"]
        asked = {"table": table, "first": first, "end": first + seal.fact["count"]}
        rows = self._conn.execute(READ_ROWS, asked, binary=True)
        check_rows((raw for _, raw in rows), seal)
        self._sealed[table] = first + int(seal.fact["count"])


def _check_storage(
    conn: psycopg.Connection[Any], storage: Storage, vkey: Vkey
) -> tuple[int, list[Finding]]:
    """The storage against the database, bundle by bundle, then as a verifier sees it."""
    try:
        source = StorageSource(storage)
    except DomainError as error:
        return 0, [Finding("storage", error.code, error.detail)]
    except Invalid as error:
        return 0, [finding("storage", error)]
    size = source.checkpoint.size
    found: list[Finding] = []
    for index, _width in level_tiles(size, 0):
        if len(found) < _MOST:
            found += _first(lambda at=index: compare_bundle(conn, source, at), "storage")
    report = verify_source(source, Trust((vkey,)), Scope())
    if report.error is not None:
        found.append(finding("bundle", report.error))
    return size, found


def run(database_url: str, storage: Path) -> int:
    """The command: 0 when nothing is wrong, 1 with the findings, 2 when it could not look."""
    files = Storage(storage)
    try:
        vkey = Vkey.parse(files.need("vkey").decode("ascii", "replace").strip())
        with psycopg.connect(database_url, autocommit=True) as conn:
            checked = check(conn, files, vkey)
    except (Invalid, DomainError, psycopg.Error, OSError) as error:
        print(f"fsck could not look: {error}", file=sys.stderr)
        return 2
    print(f"{checked.entries} entries read, {checked.signed} of them signed by {vkey.format()}")
    for each in checked.findings:
        where = [("position", each.position), ("table", each.table), ("row", each.row)]
        places = ", ".join(f"{name} {value}" for name, value in where if value is not None)
        print(f"{each.part}: {each.code}: {each.detail}{f' ({places})' if places else ''}")
    print("nothing is wrong" if not checked.findings else f"{len(checked.findings)} findings")
    return 1 if checked.findings else 0
