"""A cost centre: what an organization charges its projects to, below one of its departments.

(none) -Create-> Existing -Rename, AddProject, RemoveProject-> Existing -Close-> Shut

It says itself which projects are attributed to it, beside what each project's attribution says
(attribution.py): who closes it and who attributes a project to it decide on one stream, so of two
at once one loses. What was charged to it stays so, whatever it is named and when it is closed.
"""

from msgspec import Struct
from msgspec.structs import replace

from domain.decider import Decider
from domain.errors import DomainError
from domain.words import Private


class Create(Struct, frozen=True):
    """The caller has found that the department is of the organization."""

    organization: str
    department: str
    name: Private
    now_us: int


class Rename(Struct, frozen=True):
    """The caller has found that it is another name."""

    name: Private
    now_us: int


class AddProject(Struct, frozen=True):
    """In the append that attributes the project to it."""

    project: str
    now_us: int


class RemoveProject(Struct, frozen=True):
    """In the append that attributes the project elsewhere."""

    project: str
    now_us: int


class Close(Struct, frozen=True):
    """`attributed`: projects that the views know of: some were before it said so itself."""

    attributed: tuple[str, ...]
    now_us: int


type Command = Create | Rename | AddProject | RemoveProject | Close


class Created(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.cost_centre.created.v1"):
    organization: str
    department: str
    name: Private
    created_us: int


class Renamed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.cost_centre.renamed.v1"):
    name: Private
    renamed_us: int


class ProjectAdded(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.cost_centre.project_added.v1"
):
    """Of one append with the project's `attribution.set`, which says the same."""

    project: str
    added_us: int


class ProjectRemoved(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.cost_centre.project_removed.v1"
):
    """As ProjectAdded, of the cost centre that the project had before."""

    project: str
    removed_us: int


class Closed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.cost_centre.closed.v1"):
    """Nothing is attributed to it any more, nor ever again."""

    closed_us: int


type Event = Created | Renamed | ProjectAdded | ProjectRemoved | Closed


class Missing(Struct, frozen=True):
    pass


class Existing(Struct, frozen=True):
    """`projects`: attributed to it by its own word; `removed`: no more, by its own word."""

    organization: str
    department: str
    name: Private
    projects: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()


class Shut(Struct, frozen=True):
    organization: str
    department: str
    name: Private
    closed_us: int


type State = Missing | Existing | Shut


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `cost_centre.exists`, `cost_centre.unknown`, `cost_centre.closed`,
    `cost_centre.in_use`.
    """
    match command, state:
        case Create(organization, department, name, now_us), Missing():
            return [Created(organization, department, name, now_us)]
        case Create(organization, department, name), Existing() if (
            organization,
            department,
            name,
        ) == (state.organization, state.department, state.name):
            return []
        case Create(), _:
            raise DomainError("cost_centre.exists", "this stream has another one already")
        case Rename(name, now_us), Existing():
            return [] if name == state.name else [Renamed(name, now_us)]
        case AddProject(project, now_us), Existing():
            return [] if project in state.projects else [ProjectAdded(project, now_us)]
        case RemoveProject(project, now_us), Existing():
            return [] if project in state.removed else [ProjectRemoved(project, now_us)]
        case Close(attributed, now_us), Existing():
            return _closed(state.projects.union(attributed) - state.removed, now_us)
        case ((Close() | RemoveProject()), Shut()):
            return []
        case _, Shut():
            raise DomainError("cost_centre.closed", "it was closed: nothing is charged to it now")
        case _:
            raise DomainError("cost_centre.unknown", "no such cost centre")


def _closed(projects: frozenset[str], now_us: int) -> list[Event]:
    if projects:
        detail = f"{len(projects)} projects are attributed to it"
        raise DomainError("cost_centre.in_use", detail, {"projects": len(projects)})
    return [Closed(now_us)]


def evolve(state: State, event: Event) -> State:
    if isinstance(event, Created):
        return Existing(event.organization, event.department, event.name)
    assert isinstance(state, Existing), "what is closed stays as it is"
    match event:
        case Renamed(name):
            return replace(state, name=name)
        case ProjectAdded(project):
            mine, gone = state.projects | {project}, state.removed - {project}
            return replace(state, projects=mine, removed=gone)
        case ProjectRemoved(project):
            mine, gone = state.projects - {project}, state.removed | {project}
            return replace(state, projects=mine, removed=gone)
        case Closed(closed_us):
            return Shut(state.organization, state.department, state.name, closed_us)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
