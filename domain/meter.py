"""A meter: what is counted, in which unit, from which source.

(none) -Register-> Counting
"""

from typing import Final

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError

GPU_TIME: Final = "gpu.time"
STORAGE: Final = "storage.capacity"
LIFECYCLE: Final = "lifecycle"
# What rating derives from lifecycles it derives in these units (contracts/rating.md section 1).
UNITS: Final = {GPU_TIME: "milli-GPU-us", STORAGE: "MiB-us"}


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
    if command.source not in {LIFECYCLE, "readings"} or command.aggregation != "sum":
        raise DomainError("meter.invalid", "source is lifecycle or readings, aggregation is sum")
    what = (command.meter, command.unit, command.source, command.aggregation)
    match state:
        case Missing():
            unit = UNITS.get(command.meter)
            if unit is not None and (command.unit, command.source) != (unit, LIFECYCLE):
                detail = f"{command.meter} counts {unit} from lifecycles"
                raise DomainError("meter.invalid", detail)
            return [Registered(*what, command.now_us)]
        case Counting() if state == Counting(*what):
            return []
        case _:
            raise DomainError("meter.exists", "a meter with another unit is another meter")


def bills_storage(fact: Registered) -> bool:
    """Whether volumes created after this registration are metered (rating.md section 1)."""
    return (fact.meter, fact.unit, fact.source) == (STORAGE, UNITS[STORAGE], LIFECYCLE)


def evolve(_: State, event: Event) -> State:
    return Counting(event.meter, event.unit, event.source, event.aggregation)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
