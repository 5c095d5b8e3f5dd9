"""A department: a part of one organization.

(none) -Create-> Existing -Rename-> Existing
"""

from msgspec import Struct
from msgspec.structs import replace

from domain.decider import Decider
from domain.errors import DomainError
from domain.words import Private


class Create(Struct, frozen=True):
    organization: str
    name: Private
    now_us: int


class Rename(Struct, frozen=True):
    name: Private
    now_us: int


type Command = Create | Rename


class Created(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.department.created.v1"):
    organization: str
    name: Private
    created_us: int


class Renamed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.department.renamed.v1"):
    name: Private
    renamed_us: int


type Event = Created | Renamed


class Missing(Struct, frozen=True):
    pass


class Existing(Struct, frozen=True):
    organization: str
    name: Private


type State = Missing | Existing


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `department.exists`, `department.unknown`."""
    match command, state:
        case Create(organization, name, now_us), Missing():
            return [Created(organization, name, now_us)]
        case Create(organization, name), Existing() if state == Existing(organization, name):
            return []
        case Rename(name, now_us), Existing():
            return [] if name == state.name else [Renamed(name, now_us)]
        case Rename(), _:
            raise DomainError("department.unknown", "no such department")
        case _:
            raise DomainError("department.exists", "this stream has another department already")


def evolve(state: State, event: Event) -> State:
    if isinstance(event, Created):
        return Existing(event.organization, event.name)
    assert isinstance(state, Existing), "only what is there is renamed"
    return replace(state, name=event.name)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
