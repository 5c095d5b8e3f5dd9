"""Files outside the database: tiles, entry bundles, bulk rows, sealed files, the checkpoint.

Layout under the root is the bundle's own (EVIDENCE.md section 5): `checkpoint`, `tile/…`,
`tile/entries/…`, `bulk/<table>/<first_row>`, `file/<name>`. A name is either absent or complete:
bytes are written beside it, fsynced and renamed, and the directory is fsynced before `write`
returns.
"""

import fcntl
import os
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from domain.errors import DomainError
from gpuaas_verify.tiles import TILE_WIDTH, entries_path, tile_path

CHECKPOINT: Final = "checkpoint"
_WIDTH: Final = re.compile(r"[1-9][0-9]{0,2}").fullmatch
_ATTEMPTS: Final = 5
_FRESH: Final = "~"  # no published name may contain it


class Storage:
    """The files of one log. One integrator writes; any number of processes read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def write(self, files: Mapping[str, bytes]) -> None:
        """Every file durable and complete, or an OSError (a full disk) and the old ones untouched.

        All are written before the first is synced: a journalling file system commits them together,
        which is what makes many small tiles cheap. A crash here leaves files named `…~`, which the
        next write of that name replaces, or some of the names new: each of them is complete.
        """
        paths = [self.root / name for name in files]
        folders: set[Path] = set()
        for path in paths:
            if path.parent not in folders:
                folders |= {path.parent, *self._made(path.parent)}
        handles: list[int] = []
        try:
            for path, data in zip(paths, files.values(), strict=True):
                handles.append(_written(_fresh(path), data))
            for handle in handles:
                os.fsync(handle)
        finally:
            for handle in handles:
                os.close(handle)
        for path in paths:
            _fresh(path).rename(path)
        for folder in folders:
            sync_folder(folder)

    def _made(self, folder: Path) -> set[Path]:
        """The folder exists now; the folders whose new names that must be synced for."""
        above: set[Path] = set()
        missing = folder
        while missing != self.root and not missing.is_dir():
            missing = missing.parent
            above.add(missing)
        folder.mkdir(parents=True, exist_ok=True)
        return above

    def read(self, name: str) -> bytes | None:
        """The file's bytes, or None when it does not exist."""
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def need(self, name: str) -> bytes:
        """The file's bytes. Raises: DomainError storage.missing."""
        data = self.read(name)
        if data is None:
            raise DomainError("storage.missing", f"{name} is not in the evidence storage")
        return data

    def size(self, name: str) -> int | None:
        """The file's length in bytes, or None."""
        try:
            return (self.root / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def remove(self, names: Iterable[str]) -> None:
        """Without these names; absent ones are fine. Not synced: they may come back
        after a crash.
        """
        for name in names:
            (self.root / name).unlink(missing_ok=True)

    def names(self, prefix: str) -> list[str]:
        """Published names under a folder, in bytewise order."""
        top = self.root / prefix
        found = (p.relative_to(self.root).as_posix() for p in top.rglob("*") if p.is_file())
        return sorted(name for name in found if not name.endswith(_FRESH))

    def tile(self, level: int, index: int, width: int) -> bytes:
        """`width` hashes of a tile; a wider partial or the full tile serves as well.

        Raises: DomainError storage.missing when none holds that many.
        """
        data = self._wide(tile_path(level, index), width)
        if len(data) < 32 * width:
            raise DomainError("storage.missing", f"{tile_path(level, index, width)} is short")
        return data[: 32 * width]

    def entries(self, index: int, width: int) -> list[bytes]:
        """The first `width` entries of a bundle; a wider partial or the full one serves as well.

        Raises: DomainError storage.missing, storage.malformed.
        """
        items = split_bundle(self.bundle(index, width))
        if len(items) < width:
            raise DomainError("storage.missing", f"{entries_path(index, width)} is short")
        return items[:width]

    def bundle(self, index: int, width: int) -> bytes:
        """The bytes of an entry bundle of at least that width. Raises: DomainError
        storage.missing.
        """
        return self._wide(entries_path(index), width)

    def _wide(self, full: str, width: int) -> bytes:
        for _attempt in range(_ATTEMPTS if width < TILE_WIDTH else 0):
            names = [path.name for path in (self.root / f"{full}.p").glob("*")]
            widths = sorted(int(name) for name in names if _WIDTH(name))
            for wider in widths[bisect_left(widths, width) :]:
                data = self.read(f"{full}.p/{wider}")
                # The integrator may have replaced it by a wider one since the listing: look again.
                if data is not None:
                    return data
            data = self.read(full)
            if data is not None:
                return data
        return self.need(full)


def _fresh(path: Path) -> Path:
    return path.with_name(path.name + _FRESH)


def _written(path: Path, data: bytes, mode: int = 0o644) -> int:
    """An open handle to a file with these bytes, not synced yet."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
    except BaseException:
        os.close(handle)
        raise
    return handle


def sync_folder(folder: Path) -> None:
    """The folder's names durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_durably(path: Path, data: bytes, mode: int = 0o644) -> None:
    """The file atomically replaced and durable: after a crash it is the old or the new one."""
    replace(path, data, mode)
    sync_folder(path.parent)


def replace(path: Path, data: bytes, mode: int = 0o644) -> None:
    """The file atomically replaced and complete; after a power cut it may be the old one again."""
    fresh = _fresh(path)
    fresh.unlink(missing_ok=True)  # so that the mode is the new file's
    handle = _written(fresh, data, mode)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    fresh.rename(path)


def hold_alone(path: Path, code: str, detail: str) -> int:
    """A handle that no other process has; the kernel frees it however its holder ends.

    Raises: DomainError with this code and detail when another holds it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise DomainError(code, detail) from error
    return handle


def split_bundle(data: bytes) -> list[bytes]:
    """The entries (or rows) of a bundle of big-endian uint16 lengths and bytes.

    Raises: DomainError storage.malformed when a length runs past the end.
    """
    found: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data) or at + 2 > len(data):
            raise DomainError("storage.malformed", f"a bundle ends inside its item {len(found)}")
        found.append(data[at + 2 : end])
        at = end
    return found


def join_bundle(items: Iterable[bytes]) -> bytes:
    """Big-endian uint16 length and bytes of each item (C2SP tlog-tiles entry bundle)."""
    return b"".join(part for item in items for part in (len(item).to_bytes(2, "big"), item))
