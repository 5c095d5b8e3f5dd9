"""A terminal's recording: records in one file, chained in chunks whose heads lie in the log.

A file is a header line of JSON and records: kind (1 byte), instant (8 bytes, us UTC), offset (8),
length (4), data; integers big-endian. `o` output and `i` input carry the absolute offset of their
first byte; `r` the tty's new size as `80x24`; `g` a gap up to the offset: what lay before it was
never recorded; `x` the exit status. `S` seals a chunk: everything since the seal before. Its data
is one byte (1 = the last chunk) and

    head = SHA-256("gpuaas-recording/1" || head before, or 32 zero bytes || number, 8 bytes
                   || that byte || SHA-256(the chunk's bytes))

`access.recording_sealed` names number, head and the file's size after the seal. A reader believes
what the log binds: up to the last seal that a fact names.
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from contracts.signing import FleetError

FORMAT: Final = "gpuaas-recording/1"
OUTPUT, INPUT, RESIZE, GAP, EXIT, SEAL = b"o", b"i", b"r", b"g", b"x", b"S"
_KINDS: Final = frozenset((OUTPUT, INPUT, RESIZE, GAP, EXIT, SEAL))
_RECORD: Final = struct.Struct(">cQQI")
_NO_HEAD: Final = bytes(32)
_SEAL_BYTES: Final = 33
MOST: Final = 65_536  # bytes of one record
HEADER_MOST: Final = 4_096


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    session: str
    runtime: str
    opened_us: int
    columns: int
    rows: int


class Record(Struct, frozen=True):
    kind: bytes
    at_us: int
    offset: int
    data: bytes


class Seal(Struct, frozen=True):
    """`size` of the file up to and with this seal; `head` in hex."""

    chunk: int
    head: str
    size: int
    final: bool


def header_line(header: Header) -> bytes:
    return msgspec.json.encode(header) + b"\n"


def packed(record: Record) -> bytes:
    head = _RECORD.pack(record.kind, record.at_us, record.offset, len(record.data))
    return head + record.data


class Chain:
    """The hash chain as its chunks come; `seal` begins the next one."""

    def __init__(self) -> None:
        self.chunk = 0
        self._head = _NO_HEAD
        self._open = hashlib.sha256()

    def add(self, raw: bytes) -> None:
        self._open.update(raw)

    def head(self, *, final: bool) -> bytes:
        """The head the open chunk would be sealed with."""
        parts = (self._head, self.chunk.to_bytes(8, "big"), bytes((final,)), self._open.digest())
        return hashlib.sha256(b"".join((FORMAT.encode(), *parts))).digest()

    def seal(self, head: bytes) -> None:
        self._head, self.chunk, self._open = head, self.chunk + 1, hashlib.sha256()


class Read(Struct, frozen=True):
    """What a file holds: every record but seals, the seals, and where whole records end."""

    header: Header
    records: list[Record]
    seals: list[Seal]
    whole: int


def read(raw: bytes) -> Read:
    """The file, every seal in it recomputed. A torn last record is left out.

    Raises: FleetError recording.malformed | recording.changed, naming the chunk.
    """
    end = raw.find(b"\n", 0, HEADER_MOST) + 1
    try:
        header = msgspec.json.decode(raw[:end], type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FleetError("recording.malformed", "no header") from error
    if header_line(header) != raw[:end] or header.format != FORMAT:
        raise FleetError("recording.malformed", "not the canonical header")
    chain = Chain()
    chain.add(raw[:end])
    records: list[Record] = []
    seals: list[Seal] = []
    whole = end
    for record, after in _records(raw, end):
        if seals and seals[-1].final:
            raise FleetError("recording.changed", "something follows the final seal")
        if record.kind == SEAL:
            seals.append(_checked(chain, record, after))
        else:
            chain.add(raw[whole:after])
            records.append(record)
        whole = after
    return Read(header, records, seals, whole)


def _records(raw: bytes, place: int) -> Iterator[tuple[Record, int]]:
    while place + _RECORD.size <= len(raw):
        kind, at_us, offset, length = _RECORD.unpack_from(raw, place)
        if kind not in _KINDS or length > MOST:
            raise FleetError("recording.changed", f"no record at byte {place}")
        after = place + _RECORD.size + length
        if after > len(raw):
            return
        yield Record(kind, at_us, offset, raw[place + _RECORD.size : after]), after
        place = after


def _checked(chain: Chain, record: Record, after: int) -> Seal:
    # The instant is part of no chunk's bytes: a seal carries none.
    if len(record.data) != _SEAL_BYTES or record.at_us or record.data[0] > 1:
        raise FleetError("recording.changed", f"no seal of chunk {chain.chunk}")
    final = bool(record.data[0])
    head = chain.head(final=final)
    if record.offset != chain.chunk or record.data[1:] != head:
        raise FleetError("recording.changed", f"chunk {chain.chunk} is not what was sealed")
    chain.seal(head)
    return Seal(record.offset, head.hex(), after, final)


def bound(raw: bytes, seals: list[Seal]) -> Read:
    """The part of the file that the logged `seals` bind, which must all be in it.

    Raises: FleetError recording.changed | recording.malformed.
    """
    assert seals, "nothing is bound without a seal"
    last = seals[-1]
    if len(raw) < last.size or (last.final and len(raw) != last.size):
        raise FleetError("recording.changed", f"{len(raw)} bytes, sealed were {last.size}")
    found = read(raw[: last.size])
    kept = {seal.chunk: seal for seal in found.seals}
    for seal in seals:
        if kept.get(seal.chunk) != seal:
            raise FleetError("recording.changed", f"chunk {seal.chunk} is not what the log names")
    return found
