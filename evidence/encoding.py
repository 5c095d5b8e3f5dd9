"""An append's bytes before the lock: all of each entry that comes after `at_us`.

Only `position`, `prev` and `at_us` need the lock, and they come first (EVIDENCE.md section 3), so
everything else is checked and encoded here, once. Nothing that is refused here is stored.
"""

import hashlib
import os
from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from domain.errors import DomainError
from domain.facts import decode_fact, encode_fact, tag_of
from evidence.append import Append, Bulk, Write
from evidence.private import SALT_BYTES, PrivateValue
from gpuaas_verify import strict
from gpuaas_verify.bulk import SEALS, TABLES, weigh_rows
from gpuaas_verify.entry import FIELD
from gpuaas_verify.errors import Invalid
from gpuaas_verify.facts import OPENED, check_owner, check_shape, find_shape
from gpuaas_verify.quick import form_of

MAX_BYTES: Final = strict.MAX_BYTES
MAX_ENTRIES: Final = 10_000
MAX_VERSION: Final = (1 << 31) - 2
# `{"position":<19>,"prev":"<64>","at_us":<19>`: the longest that can come before the suffix.
_LONGEST_HEAD: Final = 12 + 19 + 9 + 65 + 9 + 19
_SALT_BYTES: Final = 16
# Looking for a number in bytes is ten times faster than looking for bytes of length one.
_BACKSLASH: Final = 0x5C
_DELETE: Final = 0x7F
# A number of 38 digits, found ten times faster than by an expression: digits become zeros.
_DIGITS: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_LONG_NUMBER: Final = b"0" * 38
_IS_CAUSE: Final = FIELD["cause"].fullmatch
_SEAL_FIELDS: Final = ("table", "first_row", "count", "root")
_MAX_OPENERS: Final = strict.MAX_DEPTH - 1
_UUID_CHARACTERS: Final = 37  # with the hyphen before it
_CELL: Final = Layout(">i").pack

_salts: Final[list[bytes]] = []
_orgs: Final[set[str]] = set()
_streams: Final[set[str]] = set()
# Facts whose kind of stream, of the platform or of an organization, was found right for them.
_owned: Final[set[tuple[str, tuple[str, bool]]]] = set()
_actors: Final[set[str]] = set()


class Encoded:
    """An append that can be stored as it is, once it has a place and its expectations hold.

    `writes` are (stream, expected, facts, org); `seals` its facts that bind rows; `suffixes`,
    `stream_cells` and `versions` run in parallel, one per entry in order. `opens`: its first entry
    can only be the log's entry 0.
    """

    __slots__ = (
        "bulk",
        "cause_position",
        "command",
        "opens",
        "private",
        "reads",
        "seals",
        "stream_cells",
        "suffixes",
        "versions",
        "writes",
    )

    def __init__(self, append: Append) -> None:
        self.writes: list[tuple[str, int, int, str]] = []
        self.reads = append.reads
        self.private = append.private
        self.bulk = append.bulk
        self.seals: list[Struct] = []
        self.suffixes: list[bytes] = []
        self.stream_cells: list[bytes] = []
        self.versions: list[int] = []
        self.opens = False
        cause = append.cause
        if not _IS_CAUSE(cause):
            raise _malformed("cause")
        command = cause[0] == "c"
        self.command = bytes.fromhex(cause[4:]) if command else None
        self.cause_position = -1 if command else int(cause[4:])


def encode_append(append: Append) -> Encoded:
    """The append, checked and encoded.

    Raises:
        DomainError: `entry.refused` (with the field), `entry.oversized`.
    """
    made = Encoded(append)
    if append.actor not in _actors:
        _learn(_actors, "actor", append.actor)
    tail = f'","actor":"{append.actor}","cause":"{append.cause}","fact":'
    for write in append.writes:
        if write.org not in _orgs:
            _learn(_orgs, "org", write.org)
        _encode_write(made, write, (write.org + tail).encode())
    if not 0 < len(made.suffixes) <= MAX_ENTRIES:
        raise DomainError("entry.refused", f"an append has 1 to {MAX_ENTRIES} facts")
    if len(made.writes) > 1 and len({write[0] for write in made.writes}) < len(made.writes):
        raise DomainError("entry.refused", "an append writes each stream once")
    for stream, version in append.reads:
        if stream not in _streams:
            _learn(_streams, "stream", stream)
        if not 0 <= version <= MAX_VERSION:
            raise _malformed("version")
    if append.bulk or made.seals:
        _check_bulk(append, made.seals)
    for value in append.private:
        check_private(value)
    return made


def _encode_write(made: Encoded, write: Write, tail: bytes) -> None:
    version = write.expected
    if write.stream not in _streams:
        _learn(_streams, "stream", write.stream)
    if not 0 <= version <= MAX_VERSION - MAX_ENTRIES:
        raise _malformed("version")
    made.writes.append((write.stream, version, len(write.facts), write.org))
    stream = write.stream.encode()
    cell = _CELL(len(stream)) + stream
    place = (write.stream[:-_UUID_CHARACTERS], write.org == "-")
    for fact in write.facts:
        version += 1
        tag, raw = fact_bytes(fact)
        if tag in SEALS:
            made.seals.append(fact)
        if (tag, place) not in _owned:
            _check_owner(made, tag, write)
        if not _salts:
            _fill_salts()
        suffix = b',"salt":"%b","stream":"%b","version":%d,"tag":"%b","org":"%b%b}' % (
            _salts.pop(), stream, version, tag.encode(), tail, raw,
        )  # fmt: skip
        if len(suffix) > MAX_BYTES - _LONGEST_HEAD:
            raise DomainError(
                "entry.oversized",
                f"{tag}: an entry has at most {MAX_BYTES} bytes",
                {"tag": tag, "bytes": len(suffix), "limit": MAX_BYTES},
            )
        made.suffixes.append(suffix)
        made.stream_cells.append(cell)
        made.versions.append(version)


def fact_bytes(fact: Struct) -> tuple[str, bytes]:
    """The fact's tag and strict bytes, which decode to a fact again, so every projection can.

    Decoding by type also refuses floats: no fact has a field that takes one.

    Raises:
        DomainError: `entry.refused`.
    """
    tag = tag_of(fact)
    try:
        raw = encode_fact(fact)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DomainError("entry.refused", f"{tag}: {error}", {"tag": tag}) from error
    # The verifier's own form of such a fact says more than the checks below, and sooner; only
    # what became null must be looked at again. No form has a character beyond ASCII.
    form = form_of(tag)
    if form and form.fullmatch(raw.decode("latin-1") + "}") and raw.find(b"null") < 0:
        return tag, raw
    check_strict(raw, tag)
    try:
        read = decode_fact(tag, raw)
    except DomainError as error:
        raise DomainError("entry.refused", error.detail, {"tag": tag}) from error
    # NaN and infinity are written as null, which an optional field takes back as None.
    if raw.find(b"null") >= 0 and read != fact:
        raise DomainError("entry.refused", f"{tag}: not what it says once read", {"tag": tag})
    _check_shape(tag, raw)
    return tag, raw


def _check_shape(tag: str, raw: bytes) -> None:
    if len(raw) > MAX_BYTES:
        return  # refused as oversized with its envelope
    try:
        shape = find_shape(tag)
        if shape is not None:
            check_shape(shape, tag, strict.decode(raw))
    except Invalid as error:
        raise DomainError("entry.refused", error.detail, {"tag": tag}) from error


def _check_owner(made: Encoded, tag: str, write: Write) -> None:
    """A stream whose facts can never be signed is not begun: the integrator stops at the first."""
    if tag == OPENED:
        if made.suffixes:
            raise DomainError("entry.refused", "a log is opened by its first entry", {"tag": tag})
        made.opens = True
    try:
        shape = find_shape(tag)
        if shape is not None:
            check_owner(shape, tag, write.stream, write.org)
    except Invalid as error:
        field = error.field or "tag"
        raise DomainError("entry.refused", error.detail, {"field": field, "tag": tag}) from error
    kind = write.stream[:-_UUID_CHARACTERS]
    if tag != OPENED and kind != "organization":
        _owned.add((tag, (kind, write.org == "-")))


def check_strict(raw: bytes, what: str) -> None:
    """Nothing when the object's bytes are strict within an entry (EVIDENCE.md section 1).

    `raw` comes from a JSON encoder: well-formed, without white space. What the quick look cannot
    clear is judged by the verifier's own reader, one level down as in the entry.

    Raises:
        DomainError: `entry.refused`.
    """
    if (
        raw.isascii()
        and _BACKSLASH not in raw
        and _DELETE not in raw
        and raw.count(b"{") + raw.count(b"[") <= _MAX_OPENERS
        and raw.translate(_DIGITS).find(_LONG_NUMBER) < 0
    ):
        return
    if len(raw) > MAX_BYTES:
        return  # refused as oversized with its envelope
    try:
        strict.check_value(strict.decode(raw), depth=2)
    except Invalid as error:
        raise DomainError("entry.refused", f"{what}: {error.detail}", {"what": what}) from error


def _check_bulk(append: Append, seals: list[Struct]) -> None:
    """Rows and seals come in pairs, and each seal is true of its rows: root, count and sum.

    What only the log's past can show (`prev_seal`, `through`) is the integrator's to refuse.
    """
    runs = {bulk.table: bulk for bulk in append.bulk}
    if len(runs) < len(append.bulk) or len(seals) != len(runs):
        raise DomainError("entry.refused", "each run of rows has one seal, each seal one run")
    if seals and not append.actor.startswith("system-"):
        raise DomainError("entry.refused", "a seal is made by a system- actor", {"field": "actor"})
    for seal in seals:
        table, first, count, root = (getattr(seal, name) for name in _SEAL_FIELDS)
        bulk = runs.get(table)
        if bulk is None or (bulk.first_row, len(bulk.rows)) != (first, count):
            raise DomainError("entry.refused", f"a seal of {table} comes without its rows")
        _check_rows(bulk, tag_of(seal), root, seal)


def _check_rows(bulk: Bulk, tag: str, root: str, seal: Struct) -> None:
    table = TABLES.get(bulk.table)
    if table is None or table.seal != tag or not bulk.rows or bulk.first_row < 0:
        raise DomainError("entry.refused", "rows need a table of this seal, a first row and a row")
    for row in bulk.rows:
        if len(row) > MAX_BYTES:
            raise DomainError("entry.oversized", f"a row has at most {MAX_BYTES} bytes")
    try:
        found = weigh_rows(iter(bulk.rows), bulk.table, bulk.first_row, len(bulk.rows))
    except Invalid as error:
        detail = f"{bulk.table} row {error.row}: {error.detail}"
        raise DomainError("entry.refused", detail, {"table": bulk.table}) from error
    if found != (bytes.fromhex(root), getattr(seal, table.sum_field)):
        detail = f"{bulk.table}: the seal's root or sum is not that of its rows"
        raise DomainError("entry.refused", detail, {"table": bulk.table})


def check_private(value: PrivateValue) -> None:
    """Nothing when the row can be stored and its digest binds it (EVIDENCE.md section 1).

    Raises:
        DomainError: `entry.refused`.
    """
    if value.org not in _orgs:
        _learn(_orgs, "org", value.org)
    digest = hashlib.sha256(value.salt + value.text.encode(errors="replace")).hexdigest()
    if len(value.salt) != SALT_BYTES or strict.FORBIDDEN.search(value.text):
        raise DomainError("entry.refused", "a private value has not its form")
    if digest != value.digest:
        raise DomainError("entry.refused", "a private value is not what its digest says")


def _malformed(field: str) -> DomainError:
    return DomainError("entry.refused", f"{field} has not its form", {"field": field})


def _learn(known: set[str], field: str, text: str) -> None:
    if not FIELD[field].fullmatch(text):
        raise _malformed(field)
    if len(known) > 10_000:
        known.clear()
    known.add(text)


def _fill_salts() -> None:
    # One system call for many salts; each is used once.
    digits = os.urandom(_SALT_BYTES * 512).hex().encode()
    width = 2 * _SALT_BYTES
    _salts.extend(digits[at : at + width] for at in range(0, len(digits), width))


# A fork would repeat what is left of the salts.
os.register_at_fork(after_in_child=_salts.clear)
