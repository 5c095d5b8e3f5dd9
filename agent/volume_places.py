"""Where a volume lies on the node's disk, who holds it, and whether something has it mounted.

    <state>/volumes/<volume>/  image  snapshots/<snapshot>  mnt/fs/  holder.json  wiped.json  lock

`image` is an ext4 file system, its space taken at once: writing past it is ENOSPC inside, and the
node's own disk is no fuller. Nothing below `mnt/fs` is ever opened here: what lies there is a
tenant's. The lock is held by whoever changes the image or its mount, and by the programs it began.
"""

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from agent.engine import EngineError, Order

_VOLUME: Final = re.compile(r"volume-[A-Za-z0-9-]{1,64}")
_SNAPSHOT: Final = re.compile(r"snapshot-[A-Za-z0-9-]{1,64}")
_TICK_S: Final = 0.05
_MOUNTS: Final = Path("/proc/self/mountinfo")
_BLOCKS: Final = Path("/sys/block")
# linux/fs.h: _IOWR('X', 119, int) and _IOWR('X', 120, int).
_FREEZE: Final = 0xC0045877
_THAW: Final = 0xC0045878


class Holder(Struct, frozen=True):
    """The allocation that may write it, empty for none; `epoch`: the last that could."""

    allocation: str = ""
    epoch: int = 0


class Place(Struct, frozen=True):
    """One volume's folder, which may not be there (yet)."""

    folder: Path

    @property
    def image(self) -> Path:
        return self.folder / "image"

    @property
    def shelf(self) -> Path:
        """A shared mount of itself while something is mounted on it: what is unmounted here is so
        in every namespace that was copied from this one meanwhile.
        """
        return self.folder / "mnt"

    @property
    def mnt(self) -> Path:
        return self.folder / "mnt" / "fs"

    @property
    def receipt(self) -> Path:
        return self.folder / "wiped.json"

    def snapshot(self, name: str) -> Path:
        # It names a file: nothing else may be meant by it.
        assert _SNAPSHOT.fullmatch(name), name
        return self.folder / "snapshots" / name


def place_of(state: Path, volume: str) -> Place:
    """The place of that volume. Raises: EngineError volume.missing for a name that is none."""
    if not _VOLUME.fullmatch(volume):
        raise EngineError("volume.missing", "not the name of a volume")
    return Place(state / "volumes" / volume)


def places(state: Path) -> list[Place]:
    """Every volume on this node."""
    folder = state / "volumes"
    return [Place(one) for one in sorted(folder.iterdir())] if folder.is_dir() else []


def lying(state: Path) -> list[str]:
    """The volumes of which data lies on this node's disk, in order of their names."""
    return [
        place.folder.name
        for place in places(state)
        if any(place.folder.glob("image*")) or (place.folder / "snapshots").is_dir()
    ]


def mounts_of(order: Order) -> list[tuple[Place, str]]:
    """The volumes of a runtime's order, and where each appears inside."""
    state = Path(order.folder).parents[1]
    return [(place_of(state, one.volume), one.path) for one in order.spec.volumes]


def holder_of(place: Place) -> Holder:
    """Who holds it; nobody when nobody ever did."""
    try:
        return msgspec.json.decode((place.folder / "holder.json").read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return Holder()


def mounted(place: Place) -> str:
    """The device that is mounted at its `mnt`, empty for none."""
    return mounted_at(place.mnt)


def mounted_at(path: Path) -> str:
    """The source of the last mount at this path, empty for none."""
    wanted, found = str(path), ""
    for line in _MOUNTS.read_text().splitlines():
        before, _, after = line.partition(" - ")
        if _unescaped(before.split(" ")[4]) == wanted:
            found = after.split(" ")[1]
    return found


def loops(place: Place) -> list[str]:
    """Loop devices over its image, whoever has them mounted, in any namespace."""
    wanted = str(place.image)
    found = []
    for block in _BLOCKS.glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if block.read_text().rstrip("\n") == wanted:
                found.append(f"/dev/{block.parents[1].name}")
    return found


@contextlib.contextmanager
def locked(place: Place, within_s: float) -> Iterator[int]:
    """The volume's lock, as a descriptor to hand to programs.

    Raises: EngineError volume.busy, volume.missing when there is no such folder.
    """
    try:
        handle = os.open(place.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EngineError("volume.missing", str(error)) from error
    try:
        until = time.monotonic() + within_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise EngineError("volume.busy", "something else works on it") from None
                time.sleep(_TICK_S)
        yield handle
    finally:
        os.close(handle)


def freeze(place: Place) -> bool:
    """True when its writers are held until `thaw`; False when it is not mounted here."""
    return _told(place, _FREEZE)


def thaw(place: Place) -> bool:
    """True when its writers were held; they go on."""
    return _told(place, _THAW)


def _told(place: Place, request: int) -> bool:
    try:
        handle = os.open(place.mnt, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        # What is not mounted is a folder of the node's own file system: never freeze that.
        if os.fstat(handle).st_dev == place.folder.stat().st_dev:
            return False
        fcntl.ioctl(handle, request, 0)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(handle)


def _unescaped(field: str) -> str:
    # Mount tables write space, tab, newline and backslash in octal.
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
