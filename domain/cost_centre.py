"""A cost centre: what an organization charges its projects to, below one of its departments.

(none) -Create-> Existing
"""

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError
from domain.words import Private


class Create(Struct, frozen=True):
    """The caller has found that the department is of the organization."""

    organization: str
    department: str
    name: Private
    now_us: int


type Command = Create


class Created(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.cost_centre.created.v1"):
    organization: str
    department: str
    name: Private
    created_us: int


type Event = Created


class Missing(Struct, frozen=True):
    pass


class Existing(Struct, frozen=True):
    organization: str
    department: str
    name: Private


type State = Missing | Existing


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `cost_centre.exists`."""
    own = (command.organization, command.department, command.name)
    match state:
        case Missing():
            return [Created(*own, command.now_us)]
        case Existing() if state == Existing(*own):
            return []
        case _:
            raise DomainError("cost_centre.exists", "this stream has another one already")


def evolve(_: State, event: Event) -> State:
    return Existing(event.organization, event.department, event.name)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
