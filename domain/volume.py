"""A volume: a file system of a project on one node, written by one allocation at a time.

    (none) -Create-> Held: its node is asked to make it, and it is unusable until it has
    Held -Grow | Snapshot | Restore | Wipe-> Held: one order of the node at a time is under way
    Held -ReportFormatted | ReportGrown | ReportSnapshotted | ReportRestored-> Held
    Held -Attach-> Held by an allocation of its node, under the allocation's epoch -Detach-> Held
    Held -RefuseOrder-> Held: the node could not do it, the order is over
    Held -Lock-> Held and locked: nothing but a wipe -Unlock-> Held
    Held -ReportWiped | DeclareLost-> Gone

A restore and a wipe need it detached; growing and snapshots do not.
"""

from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain.decider import Decider
from domain.errors import DomainError
from domain.instants import billable_instant
from domain.volume_commands import (
    Attach,
    Command,
    Create,
    DeclareLost,
    Detach,
    Grow,
    Lock,
    NoticeLock,
    RefuseOrder,
    Report,
    ReportFormatted,
    ReportGrown,
    ReportRestored,
    ReportSnapshotted,
    ReportWiped,
    Restore,
    Snapshot,
    Unlock,
    Wipe,
    Word,
)
from domain.volume_facts import (
    EVENTS,
    Attached,
    Created,
    Deleted,
    Detached,
    Event,
    Formatted,
    Grown,
    GrowRequested,
    Locked,
    LockNoticed,
    Lost,
    OrderRefused,
    Request,
    Restored,
    RestoreRequested,
    SnapshotRequested,
    Snapshotted,
    Unlocked,
    Wiped,
    WipeRequested,
)
from domain.volume_paths import check_paths

# The facts are read, and the commands given, as this aggregate's own.
__all__ = [
    "EVENTS", "Attach", "Attached", "Command", "Create", "Created", "DeclareLost", "Deleted",
    "Detach", "Detached", "Event", "Formatted", "Grow", "GrowRequested", "Grown", "Lock",
    "LockNoticed", "Locked", "Lost", "NoticeLock", "OrderRefused", "RefuseOrder", "Report",
    "ReportFormatted", "ReportGrown", "ReportRestored", "ReportSnapshotted", "ReportWiped",
    "Restore", "RestoreRequested", "Restored", "Snapshot", "SnapshotRequested", "Snapshotted",
    "Unlock", "Unlocked", "Wipe", "WipeRequested", "Wiped", "Word",
]  # fmt: skip

SMALLEST_MIB: Final = 16
LARGEST_MIB: Final = 1 << 24  # 16 TiB
MOST_SNAPSHOTS: Final = 8
MIB: Final = 1 << 20
_ORDERS: Final[dict[type, str]] = {
    Created: "create",
    GrowRequested: "grow",
    SnapshotRequested: "snapshot",
    RestoreRequested: "restore",
    WipeRequested: "wipe",
}


class Missing(Struct, frozen=True):
    pass


class Held(Struct, frozen=True):
    """`asked`: the order that its node has not answered; `epoch`: of its last attachment;
    `missing`: its node has said that it has no such volume; `noticed_us`: the lock last told of.
    """

    created: Created
    size_mib: int
    previous_us: int
    asked: Request | None
    formatted: bool = False
    attached: Attached | None = None
    epoch: int = 0
    snapshots: tuple[str, ...] = ()
    missing: bool = False
    noticed_us: int = 0
    locked: Locked | None = None


class Gone(Struct, frozen=True):
    pass


type State = Missing | Held | Gone


def order_name(asked: Request) -> str:
    """create, grow, snapshot, restore or wipe."""
    return _ORDERS[type(asked)]


def decide(command: Command, state: State) -> list[Event]:
    """The facts this command makes of this state; none when it was done already.

    Raises:
        DomainError: `volume.*`, named below.
    """
    match command, state:
        case Create(), Missing():
            return [_created(command)]
        case Create(), Held(created=created) if created == _created(command):
            return []
        case _, Missing():
            raise DomainError("volume.unknown", "no such volume")
        case ((Wipe() | ReportWiped() | DeclareLost()), Gone()):
            return []
        case _, Gone():
            raise DomainError("volume.deleted", "it was wiped, or lost, and is no more")
        case DeclareLost(), Held():
            return _lost(command, state)
        case ((NoticeLock() | Lock() | Unlock()), Held()):
            return _locked(command, state)
        case Attach(), Held():
            return _attached(command, state)
        case Detach(), Held():
            return _detached(command, state)
        case ((Grow() | Snapshot() | Restore() | Wipe()), Held()):
            return _asked(command, state)
        case RefuseOrder(), Held(asked=asked):
            if asked is None:
                return []
            return [OrderRefused(command.command, order_name(asked), command.code, command.now_us)]
        case (
            (
                ReportFormatted()
                | ReportGrown()
                | ReportSnapshotted()
                | ReportRestored()
                | ReportWiped()
            ),
            Held(),
        ):
            return _reported(command, state)
        case _:
            raise DomainError("volume.exists", "this volume was created otherwise before")


def _created(command: Create) -> Created:
    if not SMALLEST_MIB <= command.size_mib <= LARGEST_MIB:
        raise DomainError(
            "volume.size_invalid",
            f"a volume has {SMALLEST_MIB} to {LARGEST_MIB} MiB",
            {"size_mib": command.size_mib},
        )
    return Created(
        *(command.project, command.department, command.account, command.node, command.name),
        *(command.size_mib, command.now_us),
    )


def _attached(command: Attach, state: Held) -> list[Event]:
    """One writer: raises `volume.attached`, `volume.stale_epoch`, and why it cannot be had now."""
    attached, created = state.attached, state.created
    if attached is not None and attached.allocation == command.allocation:
        return []
    if command.project != created.project:
        raise DomainError("volume.unknown", "the project has no such volume")
    if attached is not None:
        facts: dict[str, int | str] = {"runtime": attached.runtime, "epoch": attached.epoch}
        raise DomainError("volume.attached", "another runtime has it: one writer at a time", facts)
    if command.node != created.node:
        raise DomainError("volume.other_node", "it lies on another node", {"node": created.node})
    if command.epoch <= state.epoch:
        raise DomainError("volume.stale_epoch", "a later epoch has had it", {"epoch": state.epoch})
    _ready(state)
    check_paths((command.path,))
    return [
        Attached(
            *(command.runtime, command.allocation, command.epoch, command.path, command.now_us)
        )
    ]


def _detached(command: Detach, state: Held) -> list[Event]:
    attached = state.attached
    if attached is None and command.epoch == state.epoch:
        return []
    if attached is None or (attached.allocation, attached.epoch) != (
        command.allocation,
        command.epoch,
    ):
        raise DomainError("volume.stale_epoch", "another allocation has it", {"epoch": state.epoch})
    return [Detached(command.allocation, command.epoch, command.reason, command.now_us)]


def _lost(command: DeclareLost, state: Held) -> list[Event]:
    """Given up only where nobody can wipe it; what wrote it has ended by then."""
    _alone(state)
    if not (command.gone or state.missing):
        raise DomainError("volume.node_lives", "its node is there: have it deleted instead")
    return [Lost(max(state.previous_us, command.seen_us), command.now_us)]


def _locked(command: NoticeLock | Lock | Unlock, state: Held) -> list[Event]:
    """Each once: of one end of its hold, and of one lock."""
    match command:
        case NoticeLock(lock_us, wipe_us, now_us) if state.locked is None:
            told = state.noticed_us == lock_us
            return [] if told else [LockNoticed(lock_us, wipe_us, now_us)]
        case Lock(lock_us, wipe_us, now_us) if state.locked is None:
            return [Locked(lock_us, wipe_us, now_us)]
        case Unlock(now_us) if state.locked is not None:
            return [Unlocked(now_us)]
        case _:
            return []


def _ready(state: Held) -> None:
    if state.locked is not None:
        facts: dict[str, int | str] = {"wipe_us": state.locked.wipe_us}
        raise DomainError("volume.locked", "nothing holds for it: top up its account", facts)
    _free(state)
    if not state.formatted:
        raise DomainError("volume.not_ready", "its node has not made it")


def _free(state: Held) -> None:
    if state.asked is not None:
        facts: dict[str, int | str] = {"order": order_name(state.asked)}
        raise DomainError("volume.busy", "its node has not answered the last order", facts)


def _asked(command: Grow | Snapshot | Restore | Wipe, state: Held) -> list[Event]:
    """The request, unless it stands already or another is under way."""
    match command:
        case Grow(size_mib, now_us):
            if isinstance(state.asked, GrowRequested) and state.asked.size_mib == size_mib:
                return []
            if size_mib < state.size_mib:
                facts: dict[str, int | str] = {"size_mib": state.size_mib}
                raise DomainError("volume.shrinks", "a volume only grows", facts)
            if size_mib > LARGEST_MIB:
                raise DomainError("volume.size_invalid", f"at most {LARGEST_MIB} MiB")
            _ready(state)
            return [GrowRequested(size_mib, now_us)] if size_mib > state.size_mib else []
        case Snapshot(snapshot, now_us):
            _ready(state)
            if len(state.snapshots) >= MOST_SNAPSHOTS:
                raise DomainError("volume.snapshots_many", f"at most {MOST_SNAPSHOTS}")
            return [SnapshotRequested(snapshot, now_us)]
        case Restore(snapshot, now_us):
            _ready(state)
            _alone(state)
            if snapshot not in state.snapshots:
                raise DomainError("volume.snapshot_unknown", "it has no such snapshot")
            return [RestoreRequested(snapshot, now_us)]
        case Wipe(now_us):
            if isinstance(state.asked, WipeRequested):
                return []
            _alone(state)
            if state.asked is not None:
                _free(state)
            return [WipeRequested(now_us)]
        case _:
            assert_never(command)


def _alone(state: Held) -> None:
    if state.attached is not None:
        facts: dict[str, int | str] = {"runtime": state.attached.runtime}
        raise DomainError("volume.attached", "a runtime has it", facts)


def _reported(command: Report, state: Held) -> list[Event]:
    """What its node says it did, at the instant that is billed where there is one."""
    word, asked = command.word, state.asked
    if word.attested.node != state.created.node:
        raise DomainError("volume.foreign_node", "the volume is on another node")
    if word.attested.boot != word.anchor.boot:
        raise DomainError("volume.foreign_boot", "not the node's latest boot")
    at = billable_instant(word.boottime_us, word.anchor, state.previous_us, word.now_us)
    head, tail = word.command, (word.now_us, word.attested)
    match command, asked:
        case ReportFormatted(_, method, size), Created(size_mib=size_mib) if size == size_mib * MIB:
            return [Formatted(head, method, size, word.boottime_us, at, *tail)]
        case ReportGrown(_, size_mib), GrowRequested(wanted) if size_mib == wanted:
            return [Grown(head, size_mib, word.boottime_us, at, *tail)]
        case ReportSnapshotted(_, snapshot, size, frozen_us), SnapshotRequested(wanted) if (
            snapshot == wanted
        ):
            return [Snapshotted(head, snapshot, size, frozen_us, word.boottime_us, *tail)]
        case ReportRestored(_, snapshot), RestoreRequested(wanted) if snapshot == wanted:
            return [Restored(head, snapshot, word.boottime_us, *tail)]
        case ReportWiped(_, method, covered, took_us), WipeRequested():
            if state.formatted and covered < state.size_mib * MIB:
                raise DomainError("volume.receipt_short", "the receipt covers less than it was")
            wiped = Wiped(head, method, covered, took_us, word.boottime_us, at, *tail)
            return [wiped, Deleted(word.now_us)]
        case _:
            raise DomainError("volume.not_asked", "nobody asked its node for that")


def evolve(state: State, event: Event) -> State:
    """The state after the event; an answer ends the order that it answers."""
    if isinstance(event, Created):
        return Held(event, event.size_mib, event.created_us, event)
    assert isinstance(state, Held), "a volume is created first, and deleted last"
    match event:
        case Formatted():
            return replace(state, asked=None, formatted=True, previous_us=event.formatted_us)
        case Attached():
            return replace(state, attached=event, epoch=event.epoch)
        case Detached():
            return replace(state, attached=None)
        case GrowRequested() | SnapshotRequested() | RestoreRequested() | WipeRequested():
            return replace(state, asked=event)
        case Grown():
            grown = (event.size_mib, event.grown_us)
            return replace(state, asked=None, size_mib=grown[0], previous_us=grown[1])
        case Snapshotted():
            return replace(state, asked=None, snapshots=(*state.snapshots, event.snapshot))
        case Restored():
            return replace(state, asked=None)
        case OrderRefused(code=code):
            return replace(state, asked=None, missing=code == "volume.missing")
        case Wiped():
            return replace(state, asked=None, previous_us=event.wiped_us)
        case LockNoticed(lock_us=lock_us):
            return replace(state, noticed_us=lock_us)
        case Locked():
            return replace(state, locked=event)
        case Unlocked(unlocked_us=at):
            # Nothing that its node says now is billed from before.
            return replace(state, locked=None, previous_us=max(state.previous_us, at))
        case Deleted() | Lost():
            return Gone()
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
