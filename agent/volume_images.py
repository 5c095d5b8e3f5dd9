"""A program that does one order about one volume: made, grown, copied, restored or wiped.

    python -m agent.volume_images <state> <order as JSON>

It outlives the agent that began it. Its lock goes to every program it runs, so that a second one,
begun after a kill, waits until the last of them is gone and finds what is done already. What it
prints is an `Outcome`. Restoring and wiping overwrite in place: on a host file system that copies
on write, old blocks would stay; ext4 and XFS do not.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from agent.engine import EngineError, environment, read_order
from agent.keeper import may_run_us
from agent.volume_places import (
    Place,
    freeze,
    holder_of,
    locked,
    loops,
    mounted,
    place_of,
    thaw,
)
from contracts.volumes import (
    MIB,
    CreateVolume,
    GrowVolume,
    RestoreVolume,
    SnapshotVolume,
    VolumeOrder,
    WipeStray,
    WipeVolume,
)

METHOD: Final = "ext4_loop"
WIPED: Final = "overwrite_zero_discard"
_RESERVE_BYTES: Final = 256 * MIB  # of the node's disk, for the node itself
_LOCK_S: Final = 900.0
_TOOL_S: Final = 600.0
_FROZEN_S: Final = 60.0
_LETS_GO_S: Final = 10.0
_CHUNK: Final = MIB
_SYS_RESOURCE: Final = 24  # linux/capability.h


class Outcome(Struct, frozen=True):
    """What is said of it besides the command's number; or a code, when it cannot be done."""

    said: dict[str, str | int] = {}
    code: str = ""
    detail: str = ""


def do(state: Path, order: VolumeOrder) -> Outcome:
    """The order is done when this returns without a code; a repeat answers the same.

    Raises: EngineError volume.busy, OSError: try again.
    """
    place = place_of(state, order.volume)
    if isinstance(order, CreateVolume):
        place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif isinstance(order, WipeVolume | WipeStray) and not place.folder.is_dir():
        return Outcome({"method": "absent", "bytes_covered": 0, "duration_us": 0})
    with locked(place, _LOCK_S) as handle:
        work = Work(place, handle)
        try:
            match order:
                case CreateVolume(_, size_mib):
                    return work.create(size_mib * MIB)
                case GrowVolume(_, size_mib):
                    return work.grow(size_mib)
                case SnapshotVolume(_, snapshot):
                    return work.copy(snapshot)
                case RestoreVolume(_, snapshot):
                    return work.restore(snapshot)
                case WipeVolume() | WipeStray():
                    return work.wipe()
        except EngineError as error:
            return Outcome(code=error.code, detail=error.detail)


class Work:
    """One volume, its lock held."""

    def __init__(self, place: Place, handle: int) -> None:
        self.place = place
        self.handle = handle

    def create(self, size: int) -> Outcome:
        made = Outcome({"method": METHOD, "bytes": size})
        if self.place.receipt.exists():
            raise EngineError("volume.missing", "it was wiped")
        if self.place.image.exists():
            return made
        fresh = self.place.folder / "image.partial"
        fresh.unlink(missing_ok=True)
        self._room(size)
        try:
            self._take(fresh, size)
            # Not discarded: the space that was just taken would be given back.
            options = ("-m", "0", "-E", "nodiscard,root_owner=0:0")
            self._tool("mkfs.ext4", "-q", "-F", *options, str(fresh))
            _settle(fresh, self.place.image)
        finally:
            fresh.unlink(missing_ok=True)
        return made

    def grow(self, size_mib: int) -> Outcome:
        """Also under a writer, where this program may (CAP_SYS_RESOURCE, ext4's own rule)."""
        image, device = self._image(), mounted(self.place)
        if device and not may_resize():
            raise EngineError("volume.attached", "this node grows detached volumes only")
        if image.stat().st_size < size_mib * MIB:
            self._room(size_mib * MIB - image.stat().st_size)
            self._take(image, size_mib * MIB)
        if device:
            self._tool("losetup", "--set-capacity", device)
            self._tool("resize2fs", device)
        else:
            self._fit(image)
        return Outcome({"size_mib": size_mib})

    def copy(self, snapshot: str) -> Outcome:
        """A sparse copy; while it is mounted its writers are held, at most for _FROZEN_S."""
        image, target = self._image(), self.place.snapshot(snapshot)
        if target.exists():
            return Outcome({"snapshot": snapshot, "bytes": _taken(target), "frozen_us": 0})
        self._room(_taken(image))
        target.parent.mkdir(mode=0o700, exist_ok=True)
        fresh = target.with_suffix(".partial")
        began = time.monotonic_ns()
        held = bool(mounted(self.place))
        try:
            with self._frozen() if held else contextlib.nullcontext():
                sparse = ("--sparse=always", "--reflink=never")
                self._tool("cp", *sparse, str(image), str(fresh), within_s=_FROZEN_S)
            frozen_us = (time.monotonic_ns() - began) // 1000 if held else 0
            _settle(fresh, target)
        finally:
            fresh.unlink(missing_ok=True)
        return Outcome({"snapshot": snapshot, "bytes": _taken(target), "frozen_us": frozen_us})

    def restore(self, snapshot: str) -> Outcome:
        """Overwritten in place; cut short by a kill it is done again from the beginning."""
        image, source = self._image(), self.place.snapshot(snapshot)
        self._idle()
        if not source.exists():
            raise EngineError("volume.snapshot_unknown", f"{snapshot} is not here")
        with image.open("r+b") as target, source.open("rb") as origin:
            size = os.fstat(origin.fileno()).st_size
            for start, end in _extents(target.fileno()):
                _zero(target.fileno(), start, end)
            for start, end in _extents(origin.fileno()):
                _copy(origin.fileno(), target.fileno(), start, min(end, size))
            os.fsync(target.fileno())
        self._fit(image)
        return Outcome({"snapshot": snapshot})

    def wipe(self) -> Outcome:
        """Every extent that holds data overwritten, given back to the disk, and removed.

        The receipt is durable before the first file goes.
        """
        self._idle()
        receipt = self.place.receipt
        if not receipt.exists():
            began = time.monotonic_ns()
            files = [*self.place.folder.glob("image*"), *self.place.folder.glob("snapshots/*")]
            covered = sum(self._overwrite(path) for path in files)
            took_us = (time.monotonic_ns() - began) // 1000
            said: dict[str, str | int] = {
                "method": WIPED, "bytes_covered": covered, "duration_us": took_us,
            }  # fmt: skip
            fresh = receipt.with_suffix(".partial")
            fresh.write_bytes(msgspec.json.encode(Outcome(said)))
            _settle(fresh, receipt)
        for path in self.place.folder.glob("image*"):
            path.unlink()
        shutil.rmtree(self.place.folder / "snapshots", ignore_errors=True)
        return msgspec.json.decode(receipt.read_bytes(), type=Outcome)

    def _overwrite(self, path: Path) -> int:
        with path.open("r+b") as file:
            for start, end in _extents(file.fileno()):
                _zero(file.fileno(), start, end)
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        if size:
            self._tool(
                "fallocate", "--punch-hole", "--offset", "0", "--length", str(size), str(path)
            )
        return size

    def _image(self) -> Path:
        if not self.place.image.exists():
            raise EngineError("volume.missing", "it is not here")
        return self.place.image

    def _idle(self) -> None:
        if mounted(self.place) or holder_of(self.place).allocation:
            raise EngineError("volume.attached", "a runtime has it")
        # A program that just started may have copied the mounts: it lets go of them in a moment.
        until = time.monotonic() + _LETS_GO_S
        while loops(self.place):
            if time.monotonic() > until:
                raise EngineError("volume.attached", "some other program has it mounted still")
            time.sleep(0.2)

    def _room(self, size: int) -> None:
        found = os.statvfs(self.place.folder)
        if found.f_bavail * found.f_frsize - size < _RESERVE_BYTES:
            raise EngineError("volume.no_space", "the node's disk has no room for it")

    def _take(self, path: Path, size: int) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(handle, 0, size)
            os.fsync(handle)
        except OSError as error:
            raise EngineError("volume.no_space", str(error)) from error
        finally:
            os.close(handle)

    def _fit(self, image: Path) -> None:
        """The file system is sound and fills its image. Raises: EngineError volume.damaged."""
        self._tool("e2fsck", "-f", "-p", str(image), fine=(0, 1))
        self._tool("resize2fs", str(image))

    @contextlib.contextmanager
    def _frozen(self) -> Iterator[None]:
        """Its writers are held inside, unless their runtime is about to end.

        Whoever ends a runtime says so on disk, then wakes its volumes: so either it is seen here
        after the freeze, or the freeze is undone there, and then what was copied is not believed.
        """
        if not freeze(self.place):
            raise EngineError("volume.busy", "it is being unmounted")
        woken = True
        try:
            holder = holder_of(self.place)
            folder = self.place.folder.parents[1] / "runtimes" / holder.allocation
            order = read_order(folder)
            if order is None or may_run_us(folder, order) < 2 * int(_FROZEN_S) * 1_000_000:
                raise EngineError("volume.slow", "its runtime ends soon")
            yield
        finally:
            woken = thaw(self.place)
        if not woken:
            raise EngineError("volume.slow", "its writers went on before it was copied")

    def _tool(self, *argv: str, within_s: float = _TOOL_S, fine: tuple[int, ...] = (0,)) -> None:
        """Raises: EngineError volume.slow, volume.damaged, volume.unsupported."""
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=within_s, check=False,
                env=environment(), pass_fds=(self.handle,),
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise EngineError("volume.slow", f"{argv[0]} took too long") from error
        except FileNotFoundError as error:
            raise EngineError("volume.unsupported", f"there is no {argv[0]}") from error
        if done.returncode not in fine:
            said = (done.stderr or done.stdout).decode(errors="replace")[-300:].strip()
            raise EngineError("volume.damaged", f"{argv[0]}: {said}")


def may_resize() -> bool:
    """Whether the kernel lets us resize a file system that is mounted."""
    status = Path("/proc/self/status").read_text()
    found = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(found.split()[1], 16) >> _SYS_RESOURCE & 1)


def _settle(fresh: Path, final: Path) -> None:
    """Durable under its final name, or not there at all."""
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.rename(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _extents(handle: int) -> Iterator[tuple[int, int]]:
    """What holds data, in order; what was never written holds none."""
    size, at = os.fstat(handle).st_size, 0
    while at < size:
        try:
            start = os.lseek(handle, at, os.SEEK_DATA)
        except OSError:
            return  # nothing but a hole is left
        at = os.lseek(handle, start, os.SEEK_HOLE)
        yield start, at


def _zero(handle: int, start: int, end: int) -> None:
    zeros = bytes(_CHUNK)
    for at in range(start, end, _CHUNK):
        _whole(handle, zeros[: min(_CHUNK, end - at)], at)


def _copy(source: int, target: int, start: int, end: int) -> None:
    for at in range(start, end, _CHUNK):
        _whole(target, os.pread(source, min(_CHUNK, end - at), at), at)


def _whole(handle: int, content: bytes, at: int) -> None:
    rest = memoryview(content)
    while rest:
        count = os.pwrite(handle, rest, at)
        rest, at = rest[count:], at + count


def _taken(path: Path) -> int:
    return path.stat().st_blocks * 512


def main(state: str, order: str) -> int:
    """0 when the outcome is printed."""
    found = do(Path(state), msgspec.json.decode(order, type=VolumeOrder.__value__))
    sys.stdout.write(msgspec.json.encode(found).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
