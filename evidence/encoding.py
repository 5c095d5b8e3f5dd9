"""An append's bytes before the lock: all of each entry that comes after `at_us`.

Only `position`, `prev` and `at_us` need the lock, and they come first (EVIDENCE.md section 3), so
everything else is checked and encoded here, once. Nothing that is refused here is stored.
"""

import os
import re
from collections.abc import Callable
from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from domain.errors import DomainError
from domain.facts import decode_fact, encode_fact, tag_of
from evidence.append import Append, Bulk, Write
from gpuaas_verify import strict
from gpuaas_verify.entry import FIELD
from gpuaas_verify.errors import Invalid

MAX_BYTES: Final = strict.MAX_BYTES
MAX_ENTRIES: Final = 10_000
MAX_VERSION: Final = (1 << 31) - 2
# `{"position":<19>,"prev":"<64>","at_us":<19>`: the longest that can come before the suffix.
_LONGEST_HEAD: Final = 12 + 19 + 9 + 66 + 9 + 19
_SALT_BYTES: Final = 16
# What plain msgspec output never has where it is strict; a hit is judged by the exact check.
_SUSPECT: Final = re.compile(rb"[\\\x7f]|[:,\[]-?[0-9]+[.eE]|[0-9]{38}|null")
_ROW: Final = re.compile(rb'\{"row":(0|[1-9][0-9]{0,18}),"salt":"[0-9a-f]{32}",')
_TABLE: Final = re.compile(r"[a-z][a-z_]{0,30}")
_MAX_OPENERS: Final = strict.MAX_DEPTH - 1
_CELL: Final = Layout(">i").pack

_salts: list[bytes] = []
_orgs: set[str] = set()
_actors: set[str] = set()


class Encoded:
    """An append that can be stored as it is, once it has a place and its expectations hold.

    `suffixes`, `stream_cells` and `versions` run in parallel, one per entry in order.
    """

    __slots__ = (
        "bulk",
        "cause_position",
        "command",
        "private",
        "reads",
        "stream_cells",
        "suffixes",
        "versions",
        "writes",
    )

    def __init__(self, append: Append) -> None:
        self.writes = [(w.stream, w.expected, len(w.facts), w.org) for w in append.writes]
        self.reads = append.reads
        self.private = append.private
        self.bulk = append.bulk
        self.command: bytes | None = None
        self.cause_position = -1
        self.suffixes: list[bytes] = []
        self.stream_cells: list[bytes] = []
        self.versions: list[int] = []


def encode_append(append: Append) -> Encoded:
    """The append, checked and encoded.

    Raises:
        DomainError: `entry.refused` (with the field), `entry.oversized`.
    """
    made = Encoded(append)
    _read_cause(made, append.cause)
    if append.actor not in _actors:
        _learn(_actors, "actor", append.actor)
    tail = f'","actor":"{append.actor}","cause":"{append.cause}","fact":'.encode()
    for write in append.writes:
        _encode_write(made, write, tail)
    if not made.suffixes or len(made.suffixes) > MAX_ENTRIES:
        raise DomainError("entry.refused", f"an append has 1 to {MAX_ENTRIES} facts")
    if len(append.writes) > 1 and len({write.stream for write in append.writes}) < len(made.writes):
        raise DomainError("entry.refused", "an append writes each stream once")
    for stream, version in append.reads:
        _require("stream", stream)
        if not 0 <= version <= MAX_VERSION:
            raise DomainError("entry.refused", "a version is out of range")
    if append.bulk:
        _check_bulk(append)
    return made


def _encode_write(made: Encoded, write: Write, tail: bytes) -> None:
    _require("stream", write.stream)
    if write.org not in _orgs:
        _learn(_orgs, "org", write.org)
    if not 0 <= write.expected <= MAX_VERSION - MAX_ENTRIES:
        raise DomainError("entry.refused", "a version is out of range")
    stream = write.stream.encode()
    cell = _CELL(len(stream)) + stream
    org = write.org.encode()
    version = write.expected
    for fact in write.facts:
        version += 1
        tag, raw = fact_bytes(fact)
        made.suffixes.append(
            b',"salt":"%b","stream":"%b","version":%d,"tag":"%b","org":"%b%b%b}'
            % (_salt(), stream, version, tag.encode(), org, tail, raw)
        )
        if len(made.suffixes[-1]) > MAX_BYTES - _LONGEST_HEAD:
            raise DomainError(
                "entry.oversized",
                f"{tag}: an entry has at most {MAX_BYTES} bytes",
                {"tag": tag, "bytes": len(made.suffixes[-1]), "limit": MAX_BYTES},
            )
        made.stream_cells.append(cell)
        made.versions.append(version)


def fact_bytes(fact: Struct) -> tuple[str, bytes]:
    """The fact's tag and strict bytes, which decode to a fact again, so every projection can.

    Raises:
        DomainError: `entry.refused`.
    """
    tag = tag_of(fact)
    try:
        raw = encode_fact(fact)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DomainError("entry.refused", f"{tag}: {error}", {"tag": tag}) from error
    check_strict(raw, tag)
    try:
        read = decode_fact(tag, raw)
    except DomainError as error:
        raise DomainError("entry.refused", error.detail, {"tag": tag}) from error
    # NaN and infinity are written as null, which an optional field takes back as None.
    if b"null" in raw and read != fact:
        raise DomainError("entry.refused", f"{tag}: not what it says once read", {"tag": tag})
    return tag, raw


def check_strict(raw: bytes, what: str) -> None:
    """Nothing when the object's bytes are strict within an entry (EVIDENCE.md section 1).

    `raw` comes from a JSON encoder: well-formed, without white space. What the quick look cannot
    clear is judged by the verifier's own reader, one level down as in the entry.

    Raises:
        DomainError: `entry.refused`.
    """
    if (
        raw.isascii()
        and raw.count(b"{") + raw.count(b"[") <= _MAX_OPENERS
        and not _SUSPECT.search(raw)
    ):
        return
    if len(raw) > MAX_BYTES:
        return  # refused as oversized with its envelope
    try:
        strict.check_value(strict.decode(raw), depth=2)
    except Invalid as error:
        raise DomainError("entry.refused", f"{what}: {error.detail}", {"what": what}) from error


def _read_cause(made: Encoded, cause: str) -> None:
    _require("cause", cause)
    if cause[0] == "c":
        made.command = bytes.fromhex(cause[4:])
    else:
        made.cause_position = int(cause[4:])


def _check_bulk(append: Append) -> None:
    seals = [fact for write in append.writes for fact in write.facts if hasattr(fact, "first_row")]
    for bulk in append.bulk:
        if not _TABLE.fullmatch(bulk.table) or not bulk.rows or bulk.first_row < 0:
            raise DomainError("entry.refused", "rows need a table, a first row and one row")
        if not any(_seals(seal, bulk) for seal in seals):
            raise DomainError("entry.refused", f"rows of {bulk.table} come without their seal")
        for number, row in enumerate(bulk.rows, bulk.first_row):
            check_row(row, bulk.table, number)
    if len({bulk.table for bulk in append.bulk}) < len(append.bulk):
        raise DomainError("entry.refused", "an append has one run of rows per table")


def _seals(seal: Struct, bulk: Bulk) -> bool:
    said = tuple(getattr(seal, name, None) for name in ("table", "first_row", "count"))
    return said == (bulk.table, bulk.first_row, len(bulk.rows))


def check_row(row: bytes, table: str, number: int) -> None:
    """Nothing when the bytes are a strict row with this number (EVIDENCE.md section 5).

    Raises:
        DomainError: `entry.refused`, `entry.oversized`.
    """
    if len(row) > MAX_BYTES:
        raise DomainError("entry.oversized", f"a row has at most {MAX_BYTES} bytes")
    begun = _ROW.match(row)
    if begun is None or int(begun[1]) != number:
        raise DomainError("entry.refused", f"{table}: row {number} does not begin as a row")
    try:
        strict.decode(row)
    except Invalid as error:
        raise DomainError("entry.refused", f"{table} row {number}: {error.detail}") from error


def _require(field: str, text: str) -> None:
    if not FIELD[field].fullmatch(text):
        raise DomainError("entry.refused", f"{field} has not its form", {"field": field})


def _learn(known: set[str], field: str, text: str) -> None:
    _require(field, text)
    if len(known) > 10_000:
        known.clear()
    known.add(text)


def _salt() -> bytes:
    # One system call for many salts; each is used once.
    if not _salts:
        digits = os.urandom(_SALT_BYTES * 512).hex().encode()
        width = 2 * _SALT_BYTES
        _salts.extend(digits[at : at + width] for at in range(0, len(digits), width))
    return _salts.pop()


_forget: Final[Callable[[], None]] = _salts.clear
os.register_at_fork(after_in_child=_forget)
