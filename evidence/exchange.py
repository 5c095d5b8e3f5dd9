"""The statements of one commit, and what the database answers to them, as values."""

from struct import pack, unpack

from psycopg.pq.abc import PGresult

from domain.errors import DomainError
from evidence import batch as batches
from evidence import statements as sql
from evidence.batch import Batch, Pending
from evidence.wire import Statement


def questions(pending: list[Pending]) -> list[Statement]:
    """Locks the head, then asks for all that deciding these appends needs."""
    streams: set[str] = set()
    commands: list[bytes] = []
    tables: set[str] = set()
    for each in pending:
        encoded = each.encoded
        streams.update(write[0] for write in encoded.writes)
        streams.update(read[0] for read in encoded.reads)
        tables.update(bulk.table for bulk in encoded.bulk)
        if encoded.command is not None:
            commands.append(encoded.command)
    work: list[Statement] = [
        (sql.LOCK_HEAD, []),
        (sql.FIND_STREAMS, [batches.text_array(streams)]),
        (sql.FIND_COMMANDS, [batches.bytea_array(commands)]),
    ]
    if tables:
        work.append((sql.FIND_ROWS, [batches.text_array(tables)]))
    return work


def insertion(batch: Batch, clock_us: int) -> list[Statement]:
    """Moves the head over the batch, checked there, and stores it."""
    entries = len(batch.entries)
    numbers = (pack(">q", batch.first), batch.prev, pack(">i", entries), batch.leaf)
    moved = [*numbers, pack(">q", batch.at_us), pack(">q", clock_us)]
    work: list[Statement] = [
        (sql.ADVANCE, moved),
        (sql.INSERT_ENTRIES, batches.entry_columns(batch)),
    ]
    rows = batches.row_columns(batch)
    if rows is not None:
        work.append((sql.INSERT_ROWS, rows))
    private = batches.private_columns(batch)
    if private is not None:
        work.append((sql.INSERT_PRIVATE, private))
    return work


def head(result: PGresult) -> tuple[int, bytes, int, int]:
    """Next position, last leaf, its time, the database's clock. Raises: log.unavailable."""
    if not result.ntuples:
        raise DomainError("log.unavailable", "not stored: the head row is gone")
    position, leaf, at_us, clock_us = texts(result)[0]
    return (unpack(">q", position)[0], leaf, unpack(">q", at_us)[0], unpack(">q", clock_us)[0])


def texts(result: PGresult) -> list[list[bytes]]:
    """The rows, each column's bytes as sent; a NULL is no bytes."""
    columns = range(result.nfields)
    return [
        [result.get_value(row, column) or b"" for column in columns]
        for row in range(result.ntuples)
    ]
