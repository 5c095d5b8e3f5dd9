"""A database restored from a backup brought back to what was signed (EVIDENCE.md section 4).

1. Stop every writer. Restore the database; leave the evidence storage and the signer's folder
alone.
2. `refill` with the owner role: missing positions come back verbatim from the entry bundles.
3. `gpuaas fsck`, then start. The signer goes on, because the tree is the one it signed.
Lost for good: entries acknowledged but not signed yet, and people's words (`log.private_value`)
younger than the backup. Are the entry bundles gone too, `open_continuing` opens a new log on an
empty database, with a new key, whose entry 0 names the old one and the range that was lost.
"""

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg

from domain.errors import DomainError
from domain.words import Continues
from evidence.bundle import StorageSource
from evidence.log import EventLog
from evidence.opening import opening
from evidence.storage import Storage, split_bundle
from gpuaas_verify.bulk import SEALS, member_name
from gpuaas_verify.bundle import Scope, Trust, verify_source
from gpuaas_verify.checkpoint import parse_checkpoint
from gpuaas_verify.entry import parse_entry
from gpuaas_verify.merkle import leaf_hash
from gpuaas_verify.note import Vkey, parse_note, verify_note
from gpuaas_verify.tiles import TILE_WIDTH, entries_path, level_tiles

LOCK_HEAD: Final = "SELECT next_position, leaf FROM log.head FOR UPDATE"
MOVE_HEAD: Final = """
UPDATE log.head SET next_position = %(size)s, leaf = %(leaf)s, at_us = %(at_us)s
"""
COPY_ENTRIES: Final = """
COPY log.entry (position, version, span, stream, command, entry) FROM STDIN (FORMAT BINARY)
"""
COPY_ROWS: Final = (
    "COPY log.bulk_row (bulk_table, row_number, row_bytes) FROM STDIN (FORMAT BINARY)"
)
_ENTRY_TYPES: Final = ["int8", "int4", "int4", "text", "bytea", "bytea"]

type EntryRow = tuple[int, int, int, str, bytes | None, bytes]


def refill(owner_url: str, storage: Storage, vkey: Vkey) -> int:
    """How many entries came back; all of them and their rows, or none, in one transaction.

    `owner_url` is of the owner role: nobody else may write a past. `vkey` comes from where the
    operator keeps it, not from the storage.

    Raises: DomainError restore.storage_invalid (nothing there can be trusted), restore.differs (the
    database holds another past: nothing is missing, something was changed).
    """
    source = StorageSource(storage)
    report = verify_source(source, Trust((vkey,)), Scope(books=False))
    if report.error is not None:
        detail = f"the evidence storage does not verify: {report.error}"
        raise DomainError("restore.storage_invalid", detail)
    size = source.checkpoint.size
    with psycopg.connect(owner_url) as conn:
        head = conn.execute(LOCK_HEAD, binary=True).fetchone()
        assert head is not None, "log.head has one row since its migration"
        first = int(head[0])
        if first >= size:
            return 0
        _require_same_past(source, first, bytes(head[1]))
        with conn.cursor() as cursor, cursor.copy(COPY_ENTRIES) as copy:
            copy.set_types(_ENTRY_TYPES)
            for row in _rows(source, first):
                copy.write_row(row)
        _copy_sealed(conn, source, first)
        last = row[-1]
        at_us = parse_entry(last).at_us
        conn.execute(MOVE_HEAD, {"size": size, "leaf": leaf_hash(last), "at_us": at_us})
        return size - first


def _entries(source: StorageSource, first: int) -> Iterator[bytes]:
    """The signed entries from position `first` on."""
    for index, width in level_tiles(source.checkpoint.size, 0):
        start = index * TILE_WIDTH
        if start + width > first:
            place = source.find(entries_path(index, width))
            assert place is not None, "the storage was verified"
            yield from split_bundle(source.read(place))[max(0, first - start) :]


def _require_same_past(source: StorageSource, first: int, leaf: bytes) -> None:
    before = next(_entries(source, first - 1)) if first else None
    if before is not None and leaf_hash(before) != leaf:
        detail = f"position {first - 1} of the database is not the one that was signed"
        raise DomainError("restore.differs", detail, {"position": first - 1})


def _rows(source: StorageSource, first: int) -> Iterator[EntryRow]:
    """The columns again: a run of one command is one append; other entries stand alone."""
    run: list[tuple[int, int, str, str, bytes]] = []
    for raw in _entries(source, first):
        entry = parse_entry(raw)
        if run and not (entry.cause == run[0][3] and entry.cause[0] == "c"):
            yield from _close(run)
            run = []
        run.append((entry.position, entry.version, entry.stream, entry.cause, raw))
    yield from _close(run)


def _close(run: list[tuple[int, int, str, str, bytes]]) -> Iterator[EntryRow]:
    for number, (position, version, stream, cause, raw) in enumerate(run, 1):
        last = number == len(run)
        command = bytes.fromhex(cause[4:]) if last and cause[0] == "c" else None
        yield position, version, number if last else 0, stream, command, raw


def _copy_sealed(conn: psycopg.Connection[Any], source: StorageSource, first: int) -> None:
    """The bulk rows of every seal that came back: they were committed with it, and lost with it."""
    with conn.cursor() as cursor, cursor.copy(COPY_ROWS) as copy:
        copy.set_types(["text", "int8", "bytea"])
        for raw in _entries(source, first):
            if b".batch_sealed.v" not in raw:
                continue
            entry = parse_entry(raw)
            if entry.tag in SEALS:
                table, start = entry.fact["table"], entry.fact["first_row"]
                place = source.find(member_name(table, start))
                assert place is not None, "the storage was verified"
                for number, row in enumerate(split_bundle(source.read(place)), start):
                    copy.write_row((table, number, row))


def open_continuing(
    database_url: str, storage: Path, signer_state: Path, name: str, continues: Continues
) -> str:
    """The new log's vkey; its entry 0 names the old origin, its last note and the lost range.

    Raises: as `opening`, log.already_open above all.
    """
    return asyncio.run(_open(database_url, Storage(storage), signer_state, name, continues))


def continued(note: bytes, vkey: Vkey, first_lost: int) -> Continues:
    """What a new log says of the one it goes on from.

    `note` is the old log's last signed one (`note` in the old signer's folder, or an auditor's),
    `vkey` the old log's, from where the operator keeps it; `first_lost` the first position of the
    old log that nobody holds any more.

    Raises: Invalid for what is no note or not signed by that key; DomainError
    restore.range_invalid.
    """
    parsed = parse_note(note)
    verify_note(parsed, [vkey])
    old = parse_checkpoint(parsed.text)
    if old.origin != vkey.name:
        detail = f"the note is of {old.origin}, the key of {vkey.name}"
        raise DomainError("log.origin_differs", detail)
    if not 0 <= first_lost <= old.size:
        detail = f"the old log's note covers {old.size} entries: lost from 0 to {old.size} on"
        raise DomainError("restore.range_invalid", detail, {"size": old.size})
    # A note has newlines, which no string in an entry may have: its base64 stands there.
    return Continues(old.origin, b64encode(note).decode(), first_lost, old.size - first_lost)


async def _open(
    database_url: str, storage: Storage, signer_state: Path, name: str, continues: Continues
) -> str:
    log = await EventLog.open(database_url)
    try:
        return await opening(log, storage, signer_state, name, continues)
    finally:
        await log.close()
