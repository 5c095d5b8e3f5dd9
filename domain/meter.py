"""A meter: what is counted, in which unit, from which source.

(none) -Register-> Counting
(none) -RegisterReadings-> Counting
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
READINGS: Final = "readings"
MODEL: Final = "model"  # the dimension that a price is found by
# What readings of one meter come to (contracts/rating.md section 8).
AGGREGATIONS: Final = ("sum", "max", "last", "time-weighted")
MOST_DIMENSIONS: Final = 8


class Register(Struct, frozen=True):
    meter: str
    unit: str
    source: str
    aggregation: str
    now_us: int


class RegisterReadings(Struct, frozen=True):
    """A meter that sources report: `divisor` of its units are what its prices are quoted in.

    `dimensions` in ascending order, each once, `model` among them.
    """

    meter: str
    unit: str
    divisor: int
    aggregation: str
    dimensions: tuple[str, ...]
    now_us: int


type Command = Register | RegisterReadings


class Registered(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.meter.registered.v1"):
    meter: str
    unit: str
    source: str
    aggregation: str
    registered_us: int


class ReadingsRegistered(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.meter.registered.v2"
):
    meter: str
    unit: str
    divisor: int
    aggregation: str
    dimensions: tuple[str, ...]
    registered_us: int


type Event = Registered | ReadingsRegistered


class Missing(Struct, frozen=True):
    pass


class Counting(Struct, frozen=True):
    """`divisor` 1 and the dimension `model` alone where its registration did not name them."""

    meter: str
    unit: str
    source: str
    aggregation: str
    divisor: int = 1
    dimensions: tuple[str, ...] = (MODEL,)


type State = Missing | Counting


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `meter.invalid`, `meter.exists`: a meter's unit never changes."""
    event = _counted(command) if isinstance(command, Register) else _reported(command)
    match state:
        case Missing():
            _require_unit(event)
            return [event]
        case Counting() if state == _counting(event):
            return []
        case _:
            raise DomainError("meter.exists", "a meter with another unit is another meter")


def _counted(command: Register) -> Registered:
    if command.source not in {LIFECYCLE, READINGS} or command.aggregation != "sum":
        raise DomainError("meter.invalid", "source is lifecycle or readings, aggregation is sum")
    what = (command.meter, command.unit, command.source, command.aggregation)
    return Registered(*what, command.now_us)


def _reported(command: RegisterReadings) -> ReadingsRegistered:
    if command.aggregation not in AGGREGATIONS or command.divisor < 1:
        raise DomainError("meter.invalid", f"aggregation is one of {', '.join(AGGREGATIONS)}")
    names = command.dimensions
    if MODEL not in names or list(names) != sorted(set(names)) or len(names) > MOST_DIMENSIONS:
        detail = f"dimensions are in order, each once, `model` one of at most {MOST_DIMENSIONS}"
        raise DomainError("meter.invalid", detail)
    return ReadingsRegistered(
        *(command.meter, command.unit, command.divisor, command.aggregation, names, command.now_us)
    )


def _require_unit(event: Event) -> None:
    unit, known = UNITS.get(event.meter), _counting(event)
    if unit is not None and (known.unit, known.source) != (unit, LIFECYCLE):
        raise DomainError("meter.invalid", f"{event.meter} counts {unit} from lifecycles")


def _counting(event: Event) -> Counting:
    match event:
        case Registered():
            return Counting(event.meter, event.unit, event.source, event.aggregation)
        case ReadingsRegistered():
            what = (event.meter, event.unit, READINGS, event.aggregation)
            return Counting(*what, event.divisor, event.dimensions)


def bills_storage(fact: Registered) -> bool:
    """Whether volumes created after this registration are metered (rating.md section 1)."""
    return (fact.meter, fact.unit, fact.source) == (STORAGE, UNITS[STORAGE], LIFECYCLE)


def evolve(_: State, event: Event) -> State:
    return _counting(event)


DECIDER: Decider[State, Command, Event] = Decider(Missing(), decide, evolve)
