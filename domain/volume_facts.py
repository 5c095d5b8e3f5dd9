"""What happened to a volume, as the log holds it (contracts/facts.md); `volume.py` decides it.

`command` is the position of the request that the node answers; sizes end in their unit.
"""

from typing import Final

from msgspec import Struct

from domain.words import Attested, Private


class Created(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.created.v1"):
    project: str
    department: str
    account: str
    node: str
    name: Private
    size_mib: int
    created_us: int


class Formatted(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.formatted.v1"):
    """The node has it; `method` says SIMULATED where nothing is stored."""

    command: int
    method: str
    bytes: int
    boottime_us: int
    formatted_us: int
    decided_us: int
    attested: Attested


class Attached(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.attached.v1"):
    runtime: str
    allocation: str
    epoch: int
    path: str
    decided_us: int


class Detached(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.detached.v1"):
    allocation: str
    epoch: int
    reason: str
    decided_us: int


class GrowRequested(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.grow_requested.v1"
):
    size_mib: int
    decided_us: int


class Grown(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.grown.v1"):
    command: int
    size_mib: int
    boottime_us: int
    grown_us: int
    decided_us: int
    attested: Attested


class SnapshotRequested(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.snapshot_requested.v1"
):
    snapshot: str
    decided_us: int


class Snapshotted(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.snapshotted.v1"
):
    """`frozen_us`: how long writers were held; 0 when nothing had it mounted."""

    command: int
    snapshot: str
    bytes: int
    frozen_us: int
    boottime_us: int
    decided_us: int
    attested: Attested


class RestoreRequested(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.restore_requested.v1"
):
    snapshot: str
    decided_us: int


class Restored(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.restored.v1"):
    command: int
    snapshot: str
    boottime_us: int
    decided_us: int
    attested: Attested


class WipeRequested(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.wipe_requested.v1"
):
    decided_us: int


class Wiped(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.wiped.v1"):
    """A receipt, the node's word: `bytes_covered` were overwritten, snapshots included."""

    command: int
    method: str
    bytes_covered: int
    duration_us: int
    boottime_us: int
    wiped_us: int
    decided_us: int
    attested: Attested


class Deleted(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.deleted.v1"):
    decided_us: int


class Lost(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.lost.v1"):
    """Given up: its node says no more of it, nor a receipt; `lost_us` is when its bill ends."""

    lost_us: int
    decided_us: int


class OrderRefused(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.order_refused.v1"
):
    """The node refused what was asked; `order`: create, grow, snapshot, restore or wipe."""

    command: int
    order: str
    code: str
    decided_us: int


class LockNoticed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.lock_noticed.v1"
):
    """Its wallet cannot hold for it any longer: it is locked at `lock_us` and wiped from `wipe_us`
    on, unless there is credit by then.
    """

    lock_us: int
    wipe_us: int
    decided_us: int


class Locked(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.locked.v1"):
    """Its hold ended at `locked_us`: nothing has it from now on, and nothing of it is charged."""

    locked_us: int
    wipe_us: int
    decided_us: int


class Unlocked(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.volume.unlocked.v1"):
    """There is credit again, and a new hold from then on."""

    unlocked_us: int


type Request = Created | GrowRequested | SnapshotRequested | RestoreRequested | WipeRequested
type Event = (
    Request | Formatted | Attached | Detached | Grown | Snapshotted | Restored | Wiped | Deleted
    | OrderRefused | Lost | LockNoticed | Locked | Unlocked
)  # fmt: skip
EVENTS: Final = (
    *(Created, GrowRequested, SnapshotRequested, RestoreRequested, WipeRequested, Formatted),
    *(Attached, Detached, Grown, Snapshotted, Restored, Wiped, Deleted, OrderRefused, Lost),
    *(LockNoticed, Locked, Unlocked),
)
