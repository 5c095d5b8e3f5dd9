"""An organization: the tenant; suspended or closing, it launches nothing new.

(none) -Create-> Active -Suspend-> OnHold -Reactivate-> Active
Active | OnHold -Rename-> as it was
Active | OnHold -Close-> Closing -Withdraw-> Active | OnHold
Closing, with nothing left -Finish-> Closed
What becomes of its things is in `effects.py`, how it ends in `closing.py`. Its stream also holds
the tokens issued for it, which decide nothing here.
"""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain.access import TokenIssued
from domain.decider import Decider
from domain.errors import DomainError
from domain.words import Private


class Create(Struct, frozen=True):
    name: Private
    now_us: int


class Suspend(Struct, frozen=True):
    reason: str
    now_us: int


class Reactivate(Struct, frozen=True):
    reason: str
    now_us: int


class Close(Struct, frozen=True):
    """Its runtimes are told to stop at `stop_us`, its volumes wiped from `wipe_us` on."""

    reason: str
    stop_us: int
    wipe_us: int
    now_us: int


class Withdraw(Struct, frozen=True):
    reason: str
    now_us: int


class Finish(Struct, frozen=True):
    """The caller has seen that nothing is left of it."""

    now_us: int


class Rename(Struct, frozen=True):
    name: Private
    now_us: int


type Command = Create | Suspend | Reactivate | Close | Withdraw | Finish | Rename


class Created(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.organization.created.v1"
):
    name: Private
    created_us: int


class Suspended(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.organization.suspended.v1"
):
    reason: str
    decided_us: int


class Reactivated(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.organization.reactivated.v1"
):
    reason: str
    decided_us: int


class ClosingStarted(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.organization.closing_started.v1"
):
    reason: str
    stop_us: int
    wipe_us: int
    decided_us: int


class ClosingWithdrawn(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.organization.closing_withdrawn.v1"
):
    reason: str
    state: str  # that it has again: `active` or `suspended`
    decided_us: int


class ClosedForGood(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.organization.closed.v1"
):
    decided_us: int


class Renamed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.organization.renamed.v1"
):
    name: Private
    renamed_us: int


type Event = (
    Created | Suspended | Reactivated | ClosingStarted | ClosingWithdrawn | ClosedForGood
    | Renamed | TokenIssued
)  # fmt: skip


class Missing(Struct, frozen=True):
    pass


class Active(Struct, frozen=True):
    name: Private


class OnHold(Struct, frozen=True):
    name: Private
    reason: str


class Closing(Struct, frozen=True):
    """`before`: what it is again when the closing is withdrawn."""

    before: Active | OnHold
    stop_us: int
    wipe_us: int

    @property
    def name(self) -> Private:
        return self.before.name


class Closed(Struct, frozen=True):
    name: Private


type State = Missing | Active | OnHold | Closing | Closed


def decide(command: Command, state: State) -> list[Event]:
    """The facts of the command; none when it was done already.

    Raises:
        DomainError: `organization.unknown`, `organization.exists`, `organization.closing`,
            `organization.closed`, `organization.dates_invalid`, `organization.wiping`.
    """
    match command, state:
        case Create(), Missing():
            return [Created(command.name, command.now_us)]
        case Create(name), Active() | OnHold() | Closing() | Closed() if name == state.name:
            return []
        case Create(), _:
            raise DomainError("organization.exists", "this stream has an organization already")
        case _, Missing():
            raise DomainError("organization.unknown", "no such organization")
        case Suspend(), Active():
            return [Suspended(command.reason, command.now_us)]
        case Reactivate(), OnHold():
            return [Reactivated(command.reason, command.now_us)]
        case (Suspend(), OnHold()) | (Reactivate(), Active()):
            return []
        case Rename(name, now_us), Active() | OnHold():
            return [] if name == state.name else [Renamed(name, now_us)]
        case Close(reason, stop_us, wipe_us, now_us), Active() | OnHold():
            if not now_us <= stop_us <= wipe_us:
                raise DomainError("organization.dates_invalid", "stopped first, then wiped")
            return [ClosingStarted(reason, stop_us, wipe_us, now_us)]
        case Withdraw(reason, now_us), Closing(before=before, wipe_us=wipe_us):
            if now_us >= wipe_us:
                raise DomainError("organization.wiping", "its volumes are being wiped")
            again = "active" if isinstance(before, Active) else "suspended"
            return [ClosingWithdrawn(reason, again, now_us)]
        case Finish(now_us), Closing():
            return [ClosedForGood(now_us)]
        case (Close(), Closing() | Closed()) | (Withdraw(), Active() | OnHold()):
            return []
        case Finish(), Closed():
            return []
        case _, Closing():
            raise DomainError("organization.closing", "it is being closed: withdraw that first")
        case _, Closed():
            raise DomainError("organization.closed", "it is closed for good")
        case _:
            raise DomainError("organization.not_possible", "no such step")


def evolve(state: State, event: Event) -> State:
    match event:
        case Created():
            return Active(event.name)
        case Suspended():
            assert isinstance(state, Active)
            return OnHold(state.name, event.reason)
        case Reactivated():
            assert isinstance(state, OnHold)
            return Active(state.name)
        case ClosingStarted():
            assert isinstance(state, Active | OnHold)
            return Closing(state, event.stop_us, event.wipe_us)
        case ClosingWithdrawn():
            assert isinstance(state, Closing)
            return state.before
        case ClosedForGood():
            assert isinstance(state, Closing)
            return Closed(state.name)
        case Renamed(name):
            assert isinstance(state, Active | OnHold)
            return replace(state, name=name)
        case TokenIssued():
            return state
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
