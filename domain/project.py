"""A project: where runtimes live, in one department, paid by one billing account.

(none) -Create-> Existing -Move, Rename-> Existing

A move is within its organization and takes effect at its instant: what is used from then on is of
the new department, what begins from then on is paid by the new account (docs/adr/0034).
"""

from collections.abc import Sequence
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

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


class Move(Struct, frozen=True):
    """The caller has found that both are of the project's organization."""

    department: str
    account: str
    now_us: int


class Rename(Struct, frozen=True):
    name: Private
    now_us: int


type Command = Create | Move | Rename


class Created(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.project.created.v1"):
    organization: str
    department: str
    account: str
    name: Private
    created_us: int


class Moved(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.project.moved.v1"):
    """Where it is from `moved_us` on."""

    department: str
    account: str
    moved_us: int


class Renamed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.project.renamed.v1"):
    name: Private
    renamed_us: int


type Event = Created | Moved | Renamed


class Missing(Struct, frozen=True):
    pass


class Existing(Struct, frozen=True):
    """`since_us`: when it came where it is."""

    organization: str
    department: str
    account: str
    name: Private
    since_us: int


type State = Missing | Existing


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `project.exists`, `project.foreign`, `project.unknown`."""
    match command, state:
        case Create(), Missing():
            place = _own(command)
            return [Created(*place, command.now_us)]
        case Create(), Existing():
            if _own(command) == (state.organization, state.department, state.account, state.name):
                return []
            raise DomainError("project.exists", "this stream has another project already")
        case Move(), Existing():
            if (command.department, command.account) == (state.department, state.account):
                return []
            # Clocks of two processes may differ: a project never is in two places at an instant.
            moved_us = max(command.now_us, state.since_us + 1)
            return [Moved(command.department, command.account, moved_us)]
        case Rename(name, now_us), Existing():
            return [] if name == state.name else [Renamed(name, now_us)]
        case ((Move() | Rename()), Missing()):
            raise DomainError("project.unknown", "no such project")
        case _:
            assert_never((command, state))  # type: ignore[arg-type]  # mypy sees no pairs


def place_of(facts: Sequence[Struct]) -> Created | Moved | None:
    """The fact of a project's stream that says where it is; None of another stream."""
    placed = (one for one in reversed(facts) if isinstance(one, Created | Moved))
    return next(placed, None)


def _own(command: Create) -> tuple[str, str, str, Private]:
    if {command.department_organization, command.account_organization} != {command.organization}:
        raise DomainError("project.foreign", "department and account are of other organizations")
    return command.organization, command.department, command.account, command.name


def evolve(state: State, event: Event) -> State:
    match event:
        case Created():
            place = (event.organization, event.department, event.account, event.name)
            return Existing(*place, event.created_us)
        case Moved(department=department, account=account, moved_us=moved_us):
            assert isinstance(state, Existing), "only what is there is moved"
            return replace(state, department=department, account=account, since_us=moved_us)
        case Renamed(name):
            assert isinstance(state, Existing), "only what is there is renamed"
            return replace(state, name=name)
        case _:
            assert_never(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
