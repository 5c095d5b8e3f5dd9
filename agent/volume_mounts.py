"""Volumes under a runtime: held before it is ordered, mounted before it starts, freed at its end.

The order of steps, each of which a kill may follow: order.json, holder.json, mounted, container;
container gone, unmounted, holder cleared, said. Whoever comes next finds it by these files.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from agent.engine import EngineError, Order, Run, run_plain
from agent.files import replace_file
from agent.volume_places import (
    Holder,
    Place,
    holder_of,
    locked,
    loops,
    mounted,
    mounted_at,
    mounts_of,
    place_of,
    places,
    thaw,
)
from contracts.spec import Spec

_LOCK_S: Final = 10.0
_MOUNT_S: Final = 60.0
OPTIONS: Final = "nosuid,nodev,noatime"


def may_hold(state: Path, spec: Spec, allocation: str, epoch: int) -> None:
    """Nothing when all its volumes are here and free for this allocation and epoch.

    Raises: EngineError volume.missing | volume.attached | volume.stale_epoch.
    """
    for one in spec.volumes:
        place = place_of(state, one.volume)
        if not place.image.exists() or place.receipt.exists():
            raise EngineError("volume.missing", f"{one.volume} is not here")
        holder = holder_of(place)
        if holder == Holder(allocation, epoch):
            continue
        if holder.allocation:
            raise EngineError("volume.attached", f"{holder.allocation} has {one.volume}")
        if epoch <= holder.epoch:
            raise EngineError("volume.stale_epoch", f"epoch {holder.epoch} has had {one.volume}")


def hold(state: Path, spec: Spec, allocation: str, epoch: int) -> None:
    """The volumes are its, durably; a repeat changes nothing. Raises: as `may_hold`."""
    may_hold(state, spec, allocation, epoch)
    for one in spec.volumes:
        _write(place_of(state, one.volume), Holder(allocation, epoch))


def mount(order: Order, run: Run) -> None:
    """All its volumes are mounted; a repeat changes nothing.

    Raises: EngineError volume.stale_epoch | volume.attached | volume.busy | volume.damaged, and
    what `run` raises.
    """
    mine = Holder(order.allocation, order.epoch)
    for place, _ in mounts_of(order):
        with locked(place, _LOCK_S):
            if holder_of(place) != mine:
                raise EngineError("volume.stale_epoch", f"{place.folder.name} is not ours now")
            if mounted(place):
                continue
            place.mnt.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not mounted_at(place.shelf):
                shelf = str(place.shelf)
                run(("mount", "--bind", "--make-shared", shelf, shelf), _MOUNT_S)
            try:
                run(("mount", "-t", "ext4", *_source(place), str(place.mnt)), _MOUNT_S)
            except EngineError as error:
                raise EngineError("volume.damaged", error.detail) from error


def _source(place: Place) -> tuple[str, ...]:
    """The image as a new device; or the one that a copied namespace of some other program still
    has, which is the same file system: two devices over one image would be two writers.

    Raises: EngineError volume.attached.
    """
    held = loops(place)
    if len(held) > 1:
        raise EngineError("volume.attached", f"{place.folder.name} is in use as {held}")
    return ("-o", OPTIONS, held[0]) if held else ("-o", f"loop,{OPTIONS}", str(place.image))


def wake(order: Order) -> None:
    """Its writers are not held any more, so that they can be ended."""
    for place, _ in mounts_of(order):
        thaw(place)


def unmount(order: Order) -> None:
    """None of its volumes is mounted or its any more; another epoch's are left alone.

    Raises: EngineError engine.failed | engine.timeout | volume.busy: try again.
    """
    for place, _ in mounts_of(order):
        if place.folder.is_dir():
            free(place, Holder(order.allocation, order.epoch))


def free(place: Place, mine: Holder) -> None:
    """As `unmount`, of one volume."""
    with locked(place, _LOCK_S):
        if holder_of(place) != mine:
            return
        thaw(place)
        while mounted(place):
            run_plain(("umount", str(place.mnt)), _MOUNT_S)
        while mounted_at(place.shelf):
            run_plain(("umount", str(place.shelf)), _MOUNT_S)
        _write(place, Holder("", mine.epoch))


def tidy(state: Path, alive: Callable[[str, int], bool]) -> int:
    """How many volumes were freed: those whose holder is over. Its container is gone already.

    Raises: EngineError when one cannot be freed now: try again.
    """
    count = 0
    for place in places(state):
        holder = holder_of(place)
        if holder.allocation and not alive(holder.allocation, holder.epoch):
            free(place, holder)
            count += 1
    return count


def wake_all(state: Path) -> None:
    """What a kill has left frozen goes on; a copy that is still being made is left alone."""
    for place in places(state):
        if mounted(place):
            try:
                with locked(place, 0):
                    thaw(place)
            except EngineError:
                continue  # whoever works on it wakes it


def _write(place: Place, holder: Holder) -> None:
    try:
        replace_file(place.folder / "holder.json", msgspec.json.encode(holder))
    except OSError as error:
        raise EngineError("engine.failed", str(error)) from error
