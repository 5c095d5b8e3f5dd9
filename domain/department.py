"""A department: a part of one organization.

(none) -Create-> Existing
"""

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError
from domain.words import Private


class Create(Struct, frozen=True):
    organization: str
    name: Private
    now_us: int


type Command = Create


class Created(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.department.created.v1"):
    organization: str
    name: Private
    created_us: int


type Event = Created


class Missing(Struct, frozen=True):
    pass


class Existing(Struct, frozen=True):
    organization: str
    name: Private


type State = Missing | Existing


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `department.exists`."""
    match state:
        case Missing():
            return [Created(command.organization, command.name, command.now_us)]
        case Existing() if state == Existing(command.organization, command.name):
            return []
        case _:
            raise DomainError("department.exists", "this stream has another department already")


def evolve(_: State, event: Event) -> State:
    return Existing(event.organization, event.name)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
