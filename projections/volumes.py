"""Volumes: what and where they are, their size and state, who writes them, snapshots, receipts."""

from typing import Final

from domain import stray, volume
from domain.wallet_facts import EXHAUSTED
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, text

SHAPES: Final = (
    Shape(
        "volume",
        ("volume",),
        "volume, from_position, to_position, organization, department, project, account, node, "
        "name, created_us",
    ),
    Shape("volume_size", ("volume",), "volume, from_position, to_position, size_mib"),
    Shape(
        "volume_state",
        ("volume",),
        "volume, from_position, to_position, version, state, since_us, why",
    ),
    Shape("volume_method", ("volume",), "volume, from_position, to_position, method"),
    Shape(
        "volume_attachment",
        ("volume",),
        "volume, from_position, to_position, version, runtime, allocation, epoch, path, "
        "attached_us",
    ),
    Shape("volume_detachment", ("volume",), "volume, from_position, to_position, version"),
    Shape(
        "volume_snapshot",
        (),
        "from_position, to_position, volume, snapshot, bytes, frozen_us, decided_us",
    ),
    Shape(
        "volume_receipt",
        (),
        "from_position, to_position, volume, method, bytes_covered, duration_us, wiped_us",
    ),
)

# What a person is told to expect next (PRODUCT.md: each state says what happens next).
NEXT: Final[dict[str, str]] = {
    "creating": "its node makes it; then a launch may have it",
    "ready": "a launch on its node may have it",
    "growing": "ready when its node says so, on some nodes when the runtime that has it has ended",
    "snapshotting": "ready when its node says so",
    "restoring": "ready when its node says so",
    "locked": "a top-up of its account unlocks it; else it is wiped at its date",
    "wiping": "deleted when its node gives a receipt",
    "deleted": "wiped, with a receipt",
    "lost": "given up with its node: it costs nothing, and is wiped if its disk comes back",
    "failed": "its node could not make it: delete it",
}


def _head(e: Entry) -> str:
    return f"{e.stream}\t{e.position}"


def _state(b: Batch, e: Entry, state: str, since_us: int, why: str = "") -> None:
    tail = f"{e.version}\t{state}\t{since_us}\t{text(why)}"
    b["volume_state"].open(e.stream, e.position, _head(e), tail, new=e.version == 1)


def _created(b: Batch, e: Entry, f: volume.Created) -> None:
    tail = (
        f"{e.org}\t{text(f.department)}\t{text(f.project)}\t{text(f.account)}\t{text(f.node)}\t"
        f"{text(f.name.private)}\t{f.created_us}"
    )
    b["volume"].open(e.stream, e.position, _head(e), tail, new=e.version == 1)
    b["volume_size"].open(e.stream, e.position, _head(e), str(f.size_mib), new=e.version == 1)
    _state(b, e, "creating", f.created_us)


def _formatted(b: Batch, e: Entry, f: volume.Formatted) -> None:
    b["volume_method"].open(e.stream, e.position, _head(e), text(f.method))
    _state(b, e, "ready", f.formatted_us)


def _attached(b: Batch, e: Entry, f: volume.Attached) -> None:
    tail = (
        f"{e.version}\t{text(f.runtime)}\t{text(f.allocation)}\t{f.epoch}\t{text(f.path)}\t"
        f"{f.decided_us}"
    )
    b["volume_attachment"].open(e.stream, e.position, _head(e), tail)


def _detached(b: Batch, e: Entry, _: volume.Detached) -> None:
    b["volume_attachment"].close(e.stream, e.position)
    b["volume_detachment"].open(e.stream, e.position, _head(e), str(e.version))


def _grow(b: Batch, e: Entry, f: volume.GrowRequested) -> None:
    _state(b, e, "growing", f.decided_us)


def _grown(b: Batch, e: Entry, f: volume.Grown) -> None:
    b["volume_size"].open(e.stream, e.position, _head(e), str(f.size_mib))
    _state(b, e, "ready", f.grown_us)


def _snapshot(b: Batch, e: Entry, f: volume.SnapshotRequested) -> None:
    _state(b, e, "snapshotting", f.decided_us)


def _snapshotted(b: Batch, e: Entry, f: volume.Snapshotted) -> None:
    tail = f"{e.stream}\t{text(f.snapshot)}\t{f.bytes}\t{f.frozen_us}\t{f.decided_us}"
    b["volume_snapshot"].add(str(e.position), tail)
    _state(b, e, "ready", f.decided_us)


def _restore(b: Batch, e: Entry, f: volume.RestoreRequested) -> None:
    _state(b, e, "restoring", f.decided_us)


def _restored(b: Batch, e: Entry, f: volume.Restored) -> None:
    _state(b, e, "ready", f.decided_us)


def _wipe(b: Batch, e: Entry, f: volume.WipeRequested) -> None:
    _state(b, e, "wiping", f.decided_us)


def _wiped(b: Batch, e: Entry, f: volume.Wiped) -> None:
    tail = f"{e.stream}\t{text(f.method)}\t{f.bytes_covered}\t{f.duration_us}\t{f.wiped_us}"
    b["volume_receipt"].add(str(e.position), tail)


def _stray_wiped(b: Batch, e: Entry, f: stray.VolumeWiped) -> None:
    """Its owner sees that what was given up is gone, by the word of whichever node had it."""
    if f.bytes_covered:
        tail = f"{text(f.volume)}\t{text(f.method)}\t{f.bytes_covered}\t{f.duration_us}"
        b["volume_receipt"].add(str(e.position), f"{tail}\t{f.decided_us}")


def _deleted(b: Batch, e: Entry, f: volume.Deleted) -> None:
    _state(b, e, "deleted", f.decided_us)


def _lost(b: Batch, e: Entry, f: volume.Lost) -> None:
    _state(b, e, "lost", f.lost_us)


def _refused(b: Batch, e: Entry, f: volume.OrderRefused) -> None:
    _state(b, e, "failed" if f.order == "create" else "ready", f.decided_us, f.code)


def _locked(b: Batch, e: Entry, f: volume.Locked) -> None:
    _state(b, e, "locked", f.locked_us, EXHAUSTED)


def _unlocked(b: Batch, e: Entry, f: volume.Unlocked) -> None:
    _state(b, e, "ready", f.unlocked_us)


APPLY: Final[dict[type, Apply]] = {
    volume.Created: _created,
    volume.Formatted: _formatted,
    volume.Attached: _attached,
    volume.Detached: _detached,
    volume.GrowRequested: _grow,
    volume.Grown: _grown,
    volume.SnapshotRequested: _snapshot,
    volume.Snapshotted: _snapshotted,
    volume.RestoreRequested: _restore,
    volume.Restored: _restored,
    volume.WipeRequested: _wipe,
    volume.Wiped: _wiped,
    stray.VolumeWiped: _stray_wiped,
    volume.Deleted: _deleted,
    volume.Lost: _lost,
    volume.OrderRefused: _refused,
    volume.Locked: _locked,
    volume.Unlocked: _unlocked,
}
