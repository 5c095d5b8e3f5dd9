"""Reading the log on a connection of the caller's: stored bytes first, facts decoded from them."""

from typing import Any, Final

import msgspec
import psycopg
from msgspec import Struct

from domain.facts import decode_fact
from evidence.append import Appended
from gpuaas_verify.merkle import leaf_hash

# The head bounds every reader: nothing is served that the chain does not name yet.
READ_ENTRIES: Final = """
SELECT position, entry FROM log.entry
WHERE position >= %(first)s AND position < %(first)s::bigint + %(limit)s::bigint
  AND position < (SELECT next_position FROM log.head)
ORDER BY position
"""
READ_STREAM: Final = """
SELECT entry FROM log.entry WHERE stream = %(stream)s AND version > %(after)s ORDER BY version
"""
# Rows commit together with their seal: a row that can be seen is sealed.
READ_ROWS: Final = """
SELECT row_number, row_bytes FROM log.bulk_row
WHERE bulk_table = %(table)s AND row_number >= %(first)s
  AND row_number < %(first)s::bigint + %(limit)s::bigint
ORDER BY row_number
"""
READ_HEAD: Final = "SELECT next_position, leaf, at_us FROM log.head"
# The last entry of a command's append carries the command and how many entries there were.
READ_OUTCOME: Final = "SELECT position, span, entry FROM log.entry WHERE command = %(command)s"
READ_PRIVATE: Final = "SELECT words FROM log.private_value WHERE digest = %(digest)s"
ERASURES: Final = "SELECT count FROM log.erasure WHERE org = %(org)s"
ERASE_PRIVATE: Final = "SELECT log.erase_private(%(digests)s)"


class Head(Struct, frozen=True):
    """`size` entries; `leaf` of the last (zeros when empty); its `at_us`."""

    size: int
    leaf: bytes
    at_us: int


class Recorded(Struct, frozen=True):
    """One entry's envelope and its fact."""

    position: int
    stream: str
    version: int
    tag: str
    org: str
    actor: str
    cause: str
    at_us: int
    fact: Struct


class Envelope(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The eleven keys; `fact` is the stored bytes of its value."""

    position: int
    prev: str
    at_us: int
    salt: str
    stream: str
    version: int
    tag: str
    org: str
    actor: str
    cause: str
    fact: msgspec.Raw


open_entry: Final = msgspec.json.Decoder(Envelope).decode


def decode_entry(entry: bytes) -> Recorded:
    """The entry's envelope and fact. The integrator has checked the bytes; this only reads them.

    Raises:
        DomainError: `fact.unknown_tag`, `fact.malformed`.
    """
    e = open_entry(entry)
    fact = decode_fact(e.tag, bytes(e.fact))
    return Recorded(e.position, e.stream, e.version, e.tag, e.org, e.actor, e.cause, e.at_us, fact)


def read_entries(
    conn: psycopg.Connection[Any], first: int, limit: int
) -> list[tuple[int, bytes, bytes]]:
    """(position, entry, leaf hash) from `first` on, at most `limit`, in order, without gaps.

    Fewer than `limit` means the head was reached; [] at or beyond it.
    """
    rows = conn.execute(READ_ENTRIES, {"first": first, "limit": limit}, binary=True)
    return [(position, entry, leaf_hash(entry)) for position, entry in rows]


def read_stream(conn: psycopg.Connection[Any], stream: str, after: int = 0) -> list[Recorded]:
    """The stream's facts with versions above `after`, in order; [] for one that does not exist."""
    rows = conn.execute(READ_STREAM, {"stream": stream, "after": after}, binary=True)
    return [decode_entry(entry) for (entry,) in rows]


def read_rows(
    conn: psycopg.Connection[Any], table: str, first: int, limit: int
) -> list[tuple[int, bytes]]:
    """(row, bytes) of a bulk table from `first` on, at most `limit`, in order."""
    asked = {"table": table, "first": first, "limit": limit}
    return conn.execute(READ_ROWS, asked, binary=True).fetchall()


def head(conn: psycopg.Connection[Any]) -> Head:
    row = conn.execute(READ_HEAD, binary=True).fetchone()
    assert row is not None, "log.head has one row since its migration"
    return Head(*row)


def outcome(conn: psycopg.Connection[Any], cause: str) -> Appended | None:
    """What `cmd:<64 hex>` appended, as a repeat; None when it never was appended."""
    row = conn.execute(READ_OUTCOME, {"command": command_of(cause)}, binary=True).fetchone()
    return None if row is None else outcome_of(*row)


def outcome_of(position: int, span: int, entry: bytes) -> Appended:
    return Appended(position - span + 1, position, leaf_hash(entry), repeated=True)


def command_of(cause: str) -> bytes:
    """The 32 bytes of a `cmd:` cause; only those have outcomes."""
    assert cause.startswith("cmd:"), cause
    return bytes.fromhex(cause[4:])


def private_text(conn: psycopg.Connection[Any], digest: str) -> str | None:
    """The words behind a digest; None once erased."""
    row = conn.execute(READ_PRIVATE, {"digest": bytes.fromhex(digest)}, binary=True).fetchone()
    return None if row is None else str(row[0])


def erasures(conn: psycopg.Connection[Any], org: str) -> int:
    """How many of the organization's private values were erased, ever."""
    row = conn.execute(ERASURES, {"org": org}).fetchone()
    return 0 if row is None else int(row[0])


def erase_private(conn: psycopg.Connection[Any], digests: list[str]) -> int:
    """How many private values were erased. Gone for good once the caller commits."""
    asked = {"digests": [bytes.fromhex(digest) for digest in digests]}
    row = conn.execute(ERASE_PRIVATE, asked).fetchone()
    assert row is not None, "a count has a row"
    return int(row[0])
