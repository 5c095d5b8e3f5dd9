"""A small disk of its own that can be filled to the last byte and emptied again."""

import asyncio
import errno
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_BALLAST = "ballast"
_KIB = 1024
_PATIENCE_S = 15


class Disk:
    """A file system of a few MiB at `root`; a ballast file takes what is free."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ballast = root / _BALLAST

    def fill(self, leave_kib: int = 0) -> None:
        """Nothing more fits but `leave_kib`; what already lies there stays."""
        with self._ballast.open("ab") as out:
            wanted = self.free_bytes() - leave_kib * _KIB
            if wanted > 0:
                # Processes write beside us: what is left is taken piece by piece.
                with _until_full():
                    os.posix_fallocate(out.fileno(), out.tell(), wanted)
            if leave_kib == 0:
                _to_the_brim(out.fileno())

    def free(self) -> None:
        """The ballast is gone; there is room again."""
        self._ballast.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """What an ordinary write may still take."""
        stat = os.statvfs(self.root)
        return stat.f_bavail * stat.f_frsize


def _to_the_brim(handle: int) -> None:
    os.lseek(handle, 0, os.SEEK_END)
    with _until_full():
        while os.write(handle, bytes(_KIB)):
            continue


@contextmanager
def _until_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


@contextmanager
def small_disk(at: Path, mib: int, mode: str = "0711") -> Iterator[Disk]:
    """A tmpfs of `mib` MiB on the new folder `at`, unmounted and removed afterwards.

    Skips, with the reason, where this account may not mount.
    """
    if os.geteuid() != 0:
        pytest.skip("a full disk needs a mount, and only root may mount")
    at.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode={mode}", "gpuaas-test", str(at)]
    mounted = subprocess.run(argv, capture_output=True, text=True, check=False)
    if mounted.returncode:
        at.rmdir()
        pytest.skip(f"a full disk needs a mount: {mounted.stderr.strip()}")
    try:
        yield Disk(at)
    finally:
        # Lazily: a process that outlived its test by a moment must not keep the mount.
        subprocess.run(["umount", "-l", str(at)], check=True)
        at.rmdir()


async def until(ready: Callable[[], bool], what: str) -> None:
    """Returns when `ready()`; fails after 15 s, saying what was waited for."""
    deadline = time.monotonic() + _PATIENCE_S
    while not ready():
        assert time.monotonic() < deadline, f"waited {_PATIENCE_S} s for {what}"
        await asyncio.sleep(0.02)
