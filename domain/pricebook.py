"""A price book: price entries, each published once, none ever changed.

Book -PublishEntry-> Book
"""

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError


class PublishEntry(Struct, frozen=True):
    """`price_pico` pico-currency per `divisor` units of the meter.

    One effective before `now_us` would price nothing until a re-rating, so it is refused.
    """

    account: str
    meter: str
    model: str
    region: str
    state: str
    currency: str
    effective_from_us: int
    price_pico: int
    divisor: int
    now_us: int


type Command = PublishEntry


class EntryPublished(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.price.entry_published.v1"
):
    account: str
    meter: str
    model: str
    region: str
    state: str
    currency: str
    effective_from_us: int
    published_us: int
    price_pico: int
    divisor: int


type Event = EntryPublished
type Key = tuple[str, str, str, str, str, int]  # account .. state, effective_from_us


class Book(Struct, frozen=True):
    entries: dict[Key, EntryPublished]


type State = Book

LIMIT = 10**38


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `price.invalid`, `price.too_late`, `price.duplicate`."""
    if not (0 <= command.price_pico < LIMIT and 0 < command.divisor < LIMIT):
        raise DomainError("price.invalid", "a price is >= 0 and its divisor > 0")
    entry = EntryPublished(
        *(command.account, command.meter, command.model, command.region, command.state),
        *(command.currency, command.effective_from_us, command.now_us),
        *(command.price_pico, command.divisor),
    )
    before = state.entries.get(_key(entry))
    if before is not None:
        if (before.currency, before.price_pico, before.divisor) == (
            *(entry.currency, entry.price_pico, entry.divisor),
        ):
            return []
        raise DomainError("price.duplicate", "another entry has this key")
    if command.effective_from_us < command.now_us:
        facts: dict[str, int | str] = {"now_us": command.now_us}
        raise DomainError("price.too_late", "it would take effect before it is published", facts)
    return [entry]


def _key(entry: EntryPublished) -> Key:
    return (
        *(entry.account, entry.meter, entry.model, entry.region, entry.state),
        entry.effective_from_us,
    )


def evolve(state: State, event: Event) -> State:
    return Book({**state.entries, _key(event): event})


DECIDER: Decider[State, Command, Event] = Decider(Book({}), decide, evolve)
