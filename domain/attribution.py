"""Which cost centre a project is charged to: one at most at an instant, or none.

    Attributed -Attribute-> Attributed

It takes effect at its instant: what was used before stays with the cost centre of then. Nothing but
who is told of a charge depends on it: no money moves (contracts/facts.md).
"""

from msgspec import Struct

from domain.decider import Decider

NONE = ""  # no cost centre


class Attribute(Struct, frozen=True):
    """The caller has found that both are of one organization; NONE takes it away."""

    project: str
    cost_centre: str
    now_us: int


type Command = Attribute


class AttributionSet(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.attribution.set.v1"
):
    """So it is from `set_us` on; `cost_centre` empty: none."""

    project: str
    cost_centre: str
    set_us: int


type Event = AttributionSet


class Attributed(Struct, frozen=True):
    """`since_us` None: it never was attributed."""

    cost_centre: str = NONE
    since_us: int | None = None


type State = Attributed


def decide(command: Command, state: State) -> list[Event]:
    if command.cost_centre == state.cost_centre:
        return []
    # Clocks of two processes may differ: a project never has two cost centres at an instant.
    least = command.now_us if state.since_us is None else state.since_us + 1
    return [AttributionSet(command.project, command.cost_centre, max(command.now_us, least))]


def evolve(_: State, event: Event) -> State:
    return Attributed(event.cost_centre, event.set_us)


def attribution_stream(project_id: str) -> str:
    """Where it stands to which cost centre a project is attributed: of the same UUID."""
    return "attribution-" + project_id.split("-", 1)[1]


DECIDER: Decider[State, Command, Event] = Decider(Attributed(), decide, evolve)
