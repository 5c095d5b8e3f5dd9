"""A meter: what is counted, in which unit, from which source.

(none) -Register-> Counting
"""

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError


class Register(Struct, frozen=True):
    meter: str
    unit: str
    source: str
    aggregation: str
    now_us: int


type Command = Register


class Registered(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.meter.registered.v1"):
    meter: str
    unit: str
    source: str
    aggregation: str
    registered_us: int


type Event = Registered


class Missing(Struct, frozen=True):
    pass


class Counting(Struct, frozen=True):
    meter: str
    unit: str
    source: str
    aggregation: str


type State = Missing | Counting


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `meter.invalid`, `meter.exists`: a meter's unit never changes."""
    if command.source not in {"lifecycle", "readings"} or command.aggregation != "sum":
        raise DomainError("meter.invalid", "source is lifecycle or readings, aggregation is sum")
    what = (command.meter, command.unit, command.source, command.aggregation)
    match state:
        case Missing():
            return [Registered(*what, command.now_us)]
        case Counting() if state == Counting(*what):
            return []
        case _:
            raise DomainError("meter.exists", "a meter with another unit is another meter")


def evolve(_: State, event: Event) -> State:
    return Counting(event.meter, event.unit, event.source, event.aggregation)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
