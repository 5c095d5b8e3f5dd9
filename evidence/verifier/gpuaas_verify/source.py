"""Where a bundle's members are read from: a tar or the same tree as a directory."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from gpuaas_verify.errors import Invalid, Unreadable

CHUNK = 1 << 20


class Place(NamedTuple):
    """Where a member lies: enough for another process to read it."""

    name: str
    size: int
    offset: int = 0


class Reader(Protocol):
    """Members at known places, read only. Not for several threads.

    A member that changes while it is read gives either bytes that fail a check or Unreadable.
    """

    def read(self, place: Place) -> bytes: ...

    def pieces(self, place: Place) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class Source(Reader, Protocol):
    """Members by name. `path` is where another process can read the same, None when only this one
    can.
    """

    path: Path | None

    def find(self, name: str) -> Place | None: ...

    def names(self) -> Iterator[str]: ...


class DirectorySource:
    """The members of a bundle kept as a directory; links and special files are refused."""

    def __init__(self, path: Path) -> None:
        self.path: Path | None = path
        self._root = path

    def _stat(self, name: str) -> os.stat_result | None:
        try:
            return os.lstat(self._root / name)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def find(self, name: str) -> Place | None:
        found = self._stat(name)
        if found is None:
            return None
        if not stat.S_ISREG(found.st_mode):
            raise Invalid("member.not_regular", "not a regular file", member=name)
        return Place(name, found.st_size)

    def names(self) -> Iterator[str]:
        """Every file below the directory, in no order the caller may rely on."""
        pending = [""]
        while pending:
            folder = pending.pop()
            with os.scandir(self._root / folder) as found:
                for item in found:
                    name = folder + item.name
                    if item.is_dir(follow_symlinks=False):
                        pending.append(f"{name}/")
                    elif item.is_file(follow_symlinks=False):
                        yield name
                    else:
                        raise Invalid("member.not_regular", "not a regular file", member=name)

    def read(self, place: Place) -> bytes:
        return b"".join(self.pieces(place))

    def pieces(self, place: Place) -> Iterator[bytes]:
        left = place.size
        with (self._root / place.name).open("rb") as file:
            while left:
                piece = file.read(min(CHUNK, left))
                if not piece:
                    raise Unreadable(f"{place.name} changed while it was read")
                left -= len(piece)
                yield piece

    def close(self) -> None:
        """Nothing is held open."""


def framed(pieces: Iterator[bytes], code: str, member: str) -> Iterator[bytes]:
    """The big-endian uint16 length-prefixed items of a member, each 1 to 65,535 bytes.

    Raises: Invalid with `code` when an item is empty or cut off.
    """
    held, at = b"", 0
    for piece in pieces:
        held, at = held[at:] + piece, 0
        end = len(held)
        while at + 2 <= end:
            size = held[at] << 8 | held[at + 1]
            if size == 0:
                raise Invalid(code, "an item has no bytes", member=member)
            if at + 2 + size > end:
                break
            yield held[at + 2 : at + 2 + size]
            at += 2 + size
    if at != len(held):
        raise Invalid(code, "the last item is cut off", member=member)


def frame(items: Iterator[bytes] | list[bytes] | tuple[bytes, ...]) -> bytes:
    """The items with their lengths before them, as entry bundles and bulk members hold them."""
    return b"".join([len(item).to_bytes(2, "big") + item for item in items])
