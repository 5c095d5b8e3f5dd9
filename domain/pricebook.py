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

# With MOST_DEVICES, LARGEST_MIB and a calendar's years no sum of fewer than 10^5 of the largest
# runtimes or 10^4 of the largest volumes, each there for all of that time, reaches 10^38: rating
# never halts on a price that was accepted.
PRICE_LIMIT = 10**21  # a thousand million of the currency per divisor
DIVISOR_LIMIT = 10**18
RATE_LIMIT = 10**9  # pico-currency per single unit of the meter


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `price.{invalid,too_large,too_late,duplicate}`."""
    require_admissible(command.price_pico, command.divisor)
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


def require_admissible(price_pico: int, divisor: int) -> None:
    """Raises DomainError `price.invalid`, `price.too_large`."""
    if price_pico < 0 or divisor <= 0:
        raise DomainError("price.invalid", "a price is >= 0 and its divisor > 0")
    if price_pico > PRICE_LIMIT or divisor > DIVISOR_LIMIT or price_pico > RATE_LIMIT * divisor:
        facts: dict[str, int | str] = {
            "most_pico": min(PRICE_LIMIT, RATE_LIMIT * divisor),
            "most_divisor": DIVISOR_LIMIT,
        }
        raise DomainError("price.too_large", "sums of such charges could leave 10^38", facts)


def _key(entry: EntryPublished) -> Key:
    return (
        *(entry.account, entry.meter, entry.model, entry.region, entry.state),
        entry.effective_from_us,
    )


def evolve(state: State, event: Event) -> State:
    return Book({**state.entries, _key(event): event})


DECIDER: Decider[State, Command, Event] = Decider(Book({}), decide, evolve)
