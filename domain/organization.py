"""An organization: the tenant; suspended, it launches nothing new.

(none) -Create-> Active -Suspend-> Suspended -Reactivate-> Active
Its stream also holds the tokens issued for it, which decide nothing here.
"""

from typing import assert_never

from msgspec import Struct

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


type Command = Create | Suspend | Reactivate


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


type Event = Created | Suspended | Reactivated | TokenIssued


class Missing(Struct, frozen=True):
    pass


class Active(Struct, frozen=True):
    name: Private


class OnHold(Struct, frozen=True):
    name: Private
    reason: str


type State = Missing | Active | OnHold


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `organization.unknown`, `organization.exists`."""
    match command, state:
        case Create(), Missing():
            return [Created(command.name, command.now_us)]
        case Create(name), Active() | OnHold() if name == state.name:
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
        case TokenIssued():
            return state
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
