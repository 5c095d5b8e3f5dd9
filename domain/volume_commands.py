"""What a volume is told and what its node says of it; `volume.py` decides."""

from msgspec import Struct

from domain.instants import Anchor
from domain.words import Attested, Private


class Create(Struct, frozen=True):
    project: str
    department: str
    account: str
    node: str
    name: Private
    size_mib: int
    now_us: int


class Attach(Struct, frozen=True):
    """To an allocation on `node`, in whose runtime it appears at `path`."""

    runtime: str
    allocation: str
    node: str
    project: str
    epoch: int
    path: str
    now_us: int


class Detach(Struct, frozen=True):
    allocation: str
    epoch: int
    reason: str
    now_us: int


class Grow(Struct, frozen=True):
    size_mib: int
    now_us: int


class Snapshot(Struct, frozen=True):
    """`snapshot`: a new id."""

    snapshot: str
    now_us: int


class Restore(Struct, frozen=True):
    snapshot: str
    now_us: int


class Wipe(Struct, frozen=True):
    now_us: int


class RefuseOrder(Struct, frozen=True):
    command: int
    code: str
    now_us: int


class Word(Struct, frozen=True):
    """What every report carries; `anchor` is the latest of its node, of the same boot."""

    command: int
    boottime_us: int
    anchor: Anchor
    attested: Attested
    now_us: int


class ReportFormatted(Struct, frozen=True):
    word: Word
    method: str
    size_bytes: int


class ReportGrown(Struct, frozen=True):
    word: Word
    size_mib: int


class ReportSnapshotted(Struct, frozen=True):
    word: Word
    snapshot: str
    size_bytes: int
    frozen_us: int


class ReportRestored(Struct, frozen=True):
    word: Word
    snapshot: str


class ReportWiped(Struct, frozen=True):
    word: Word
    method: str
    bytes_covered: int
    duration_us: int


class DeclareLost(Struct, frozen=True):
    """`seen_us`: when its node last said anything that is logged; `gone`: it says nothing now."""

    seen_us: int
    gone: bool
    now_us: int


class NoticeLock(Struct, frozen=True):
    """`lock_us`: when its hold ends; `wipe_us`: not wiped for that before."""

    lock_us: int
    wipe_us: int
    now_us: int


class Lock(Struct, frozen=True):
    """As `NoticeLock`; it has ended."""

    lock_us: int
    wipe_us: int
    now_us: int


class Unlock(Struct, frozen=True):
    now_us: int


type Report = ReportFormatted | ReportGrown | ReportSnapshotted | ReportRestored | ReportWiped
type Command = (
    Create | Attach | Detach | Grow | Snapshot | Restore | Wipe | RefuseOrder | DeclareLost | Report
    | NoticeLock | Lock | Unlock
)  # fmt: skip
