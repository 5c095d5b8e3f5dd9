"""The one tar of a set of files (EVIDENCE.md section 5), written and read."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from gpuaas_verify.errors import Invalid, Unreadable
from gpuaas_verify.source import Place
from gpuaas_verify.spill import Spill

BLOCK = 512
MAX_MEMBER = 8**11 - 1
CHUNK = 1 << 20
_END = bytes(2 * BLOCK)


def header(name: str, size: int) -> bytes:
    """The ustar header of a regular file: a function of name and size alone.

    A name longer than 100 bytes is split at its first `/` (only `file/<name>` can be that long).
    """
    raw, prefix = name.encode("ascii"), b""
    if len(raw) > 100:
        prefix, _, raw = raw.partition(b"/")
    if not 0 < len(raw) <= 100 or len(prefix) > 155 or not 0 <= size <= MAX_MEMBER:
        raise Invalid("tar.header", "name or size does not fit a ustar header", member=name)
    fields = (
        raw.ljust(100, b"\0")
        + b"0000644\0"
        + b"0000000\0"
        + b"0000000\0"
        + f"{size:011o}\0".encode()
        + b"00000000000\0"
        + b" " * 8
        + b"0"
        + bytes(100)
        + b"ustar\x0000"
        + bytes(32 + 32)
        + bytes(8 + 8)
        + prefix.ljust(155, b"\0")
    ).ljust(BLOCK, b"\0")
    return fields[:148] + f"{sum(fields):06o}\0 ".encode() + fields[156:]


def write_tar(out: BinaryIO, members: Iterable[tuple[str, int, Iterable[bytes]]]) -> None:
    """The members, in bytewise order of name, as a tar; each is (name, size, bytes in parts)."""
    last = b""
    for name, size, pieces in members:
        assert name.encode() > last, f"{name} is out of order"
        last = name.encode()
        out.write(header(name, size))
        written = 0
        for piece in pieces:
            out.write(piece)
            written += len(piece)
        assert written == size, f"{name} has {written} bytes, not {size}"
        out.write(bytes(-size % BLOCK))
    out.write(_END)


def _named(block: bytes) -> tuple[str, int]:
    """(name, size) as the header states them; whether it is the right header is for the caller."""
    raw, prefix = block[:100].rstrip(b"\0"), block[345:500].rstrip(b"\0")
    try:
        name = (prefix + b"/" + raw if prefix else raw).decode("ascii")
        size = int(block[124:135].decode("ascii"), 8)
    except ValueError as error:
        raise Invalid("tar.header", "name or size is not readable") from error
    return name, size


class TarFile:
    """A tar read at known places: for workers, whose parent has walked the headers."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, place: Place) -> bytes:
        data = self._at(place.offset, place.size)
        if len(data) != place.size:
            raise Unreadable(f"{place.name} changed while it was read")
        return data

    def pieces(self, place: Place) -> Iterator[bytes]:
        """The member's bytes in pieces of at most 1 MiB."""
        for at in range(0, place.size, CHUNK):
            yield self.read(Place(place.name, min(CHUNK, place.size - at), place.offset + at))

    def close(self) -> None:
        self._file.close()

    def _at(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)


def open_tar(path: Path) -> TarFile:
    return TarFile(path.open("rb"))


class TarSource(TarFile):
    """The members of a bundle's tar, every header, padding and the end checked when opened.

    Raises: Invalid `tar.header`, `tar.order`, `tar.padding`, `tar.truncated`, `tar.end`.
    """

    def __init__(self, file: BinaryIO, path: Path | None = None) -> None:
        super().__init__(file)
        self.path = path
        self._places = Spill()
        try:
            self._walk()
        except BaseException:
            self.close()
            raise

    def _walk(self) -> None:
        at, last = 0, ""
        while True:
            block = self._at(at, BLOCK)
            if len(block) < BLOCK:
                # Also where it ends inside a member: then nothing is left to read after it.
                raise Invalid("tar.truncated", "the tar ends without its end blocks", member=last)
            if block[0] == 0:
                break
            name, size = _named(block)
            if block != header(name, size):
                raise Invalid("tar.header", "not the header of this name and size", member=name)
            if name <= last:
                raise Invalid("tar.order", f"after {last}", member=name)
            at, last = self._member(at + BLOCK, name, size), name
        if self._at(at, 2 * BLOCK + 1) != _END:
            raise Invalid("tar.end", "two zero blocks and nothing else end the tar", member=last)

    def _member(self, at: int, name: str, size: int) -> int:
        after = at + size + -size % BLOCK
        if self._at(at + size, after - at - size).strip(b"\0"):
            raise Invalid("tar.padding", "the padding is not zero", member=name)
        self._places.put(name, [at, size])
        return after

    def find(self, name: str) -> Place | None:
        found = self._places.get(name)
        return None if found is None else Place(name, found[1], found[0])

    def names(self) -> Iterator[str]:
        return self._places.keys()

    def close(self) -> None:
        self._places.close()
        super().close()
