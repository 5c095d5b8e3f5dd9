"""A project: where runtimes live, in one department, paid by one billing account.

(none) -Create-> Existing
"""

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError
from domain.words import Private


class Create(Struct, frozen=True):
    """The caller has read `department` and `account` and names their organizations here."""

    organization: str
    department: str
    account: str
    name: Private
    department_organization: str
    account_organization: str
    now_us: int


type Command = Create


class Created(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.project.created.v1"):
    organization: str
    department: str
    account: str
    name: Private
    created_us: int


type Event = Created


class Missing(Struct, frozen=True):
    pass


class Existing(Struct, frozen=True):
    organization: str
    department: str
    account: str
    name: Private


type State = Missing | Existing


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `project.exists`, `project.foreign`."""
    if {command.department_organization, command.account_organization} != {command.organization}:
        raise DomainError("project.foreign", "department and account are of other organizations")
    place = (command.organization, command.department, command.account, command.name)
    match state:
        case Missing():
            return [Created(*place, command.now_us)]
        case Existing() if state == Existing(*place):
            return []
        case _:
            raise DomainError("project.exists", "this stream has another project already")


def evolve(_: State, event: Event) -> State:
    return Existing(event.organization, event.department, event.account, event.name)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
