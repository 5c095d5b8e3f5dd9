"""A price book: entries, each published once, none ever changed; editions of named books of them;
what accounts have committed themselves to; by which book their use is priced.

Book -PublishEntry | PublishBook | Commit | Rerate-> Book
"""

from typing import Final

from msgspec import Struct

from domain.decider import Decider
from domain.errors import DomainError
from domain.meter import GPU_TIME, STORAGE
from domain.price_facts import (
    LIST,
    BookPublished,
    CommitmentMade,
    Decided,
    PriceFact,
    Rerated,
    ReratingDecided,
    ShapedEntry,
    Tier,
)
from domain.words import NOWHERE, is_region


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


class Shaped(Struct, frozen=True):
    """An entry of tiers, in the meter's unit; a linear one has one tier."""

    account: str
    meter: str
    model: str
    region: str
    state: str
    currency: str
    effective_from_us: int
    divisor: int
    free: int
    tiers: tuple[Tier, ...]
    minimum_pico: int


class PublishShaped(Struct, frozen=True):
    """An entry of the list; refused, as a linear one, if it is effective before `now_us`."""

    entry: Shaped
    now_us: int


class PublishBook(Struct, frozen=True):
    """The book's next edition, whole; its entries may be effective at any time."""

    book: str
    entries: tuple[Shaped, ...]
    now_us: int


class Commit(Struct, frozen=True):
    account: str
    meter: str
    model: str
    region: str
    state: str
    currency: str
    from_us: int
    until_us: int
    quantity: int
    price_pico: int
    divisor: int
    now_us: int


class Rerate(Struct, frozen=True):
    """The account's use in `[from_us, until_us)` by the book's latest edition, or by the list."""

    account: str
    currency: str
    book: str
    from_us: int
    until_us: int
    now_us: int


type Command = PublishEntry | PublishShaped | PublishBook | Commit | Rerate


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


type Event = EntryPublished | PriceFact
type Key = tuple[str, int, str, str, str, str, str, int]  # book, edition, account .. effective_from


class Book(Struct, frozen=True):
    entries: dict[Key, EntryPublished | ShapedEntry]
    editions: dict[str, int] = {}
    commitments: tuple[CommitmentMade, ...] = ()
    reratings: dict[str, Decided] = {}  # the last one of each account


type State = Book

# With MOST_DEVICES, LARGEST_MIB and a calendar's years no sum of fewer than 10^5 of the largest
# runtimes or 10^4 of the largest volumes, each there for all of that time, reaches 10^38: rating
# never halts on a price that was accepted.
PRICE_LIMIT = 10**21  # a thousand million of the currency per divisor
DIVISOR_LIMIT = 10**18
RATE_LIMIT = 10**9  # pico-currency per single unit of the meter
QUANTITY_LIMIT = 10**24  # units of a meter in a period; more than the largest runtime's whole time
TIER_LIMIT = 100
BOOK_LIMIT = 1_000  # entries of an edition: one append
# The only states in which something is charged; of other meters, wherever it is read: READ.
READ: Final = "read"
USABLE: Final = "usable"
SPOT: Final = "spot"
RESERVED: Final = "reserved"  # what of a reservation nothing runs on
EXISTING: Final = "existing"
STATES: Final = {GPU_TIME: (USABLE, SPOT, RESERVED), STORAGE: (EXISTING,)}


def decide(command: Command, state: State) -> list[Event]:
    """Raises DomainError `price.*`."""
    match command:
        case PublishEntry():
            return _entry(command, state)
        case PublishShaped(entry, now_us):
            found = _shaped(entry, LIST, 0, now_us, state)
            if found and entry.effective_from_us < now_us:
                raise _too_late(now_us)
            return [*found]
        case PublishBook():
            return _book(command, state)
        case Commit():
            return _commitment(command, state)
        case Rerate():
            return _rerating(command, state)


def _entry(command: PublishEntry, state: State) -> list[Event]:
    require_admissible(command.price_pico, command.divisor)
    require_state(command.meter, command.region, command.state)
    entry = EntryPublished(
        *(command.account, command.meter, command.model, command.region, command.state),
        *(command.currency, command.effective_from_us, command.now_us),
        *(command.price_pico, command.divisor),
    )
    before = state.entries.get(key_of(entry))
    if before is not None:
        if isinstance(before, EntryPublished) and (
            (before.currency, before.price_pico, before.divisor)
            == (entry.currency, entry.price_pico, entry.divisor)
        ):
            return []
        raise DomainError("price.duplicate", "another entry has this key")
    if command.effective_from_us < command.now_us:
        raise _too_late(command.now_us)
    return [entry]


def _too_late(now_us: int) -> DomainError:
    facts: dict[str, int | str] = {"now_us": now_us}
    return DomainError("price.too_late", "it would take effect before it is published", facts)


def _shaped(entry: Shaped, book: str, edition: int, now_us: int, state: State) -> list[ShapedEntry]:
    """The entry as a fact; none if it is published already."""
    _require_shape(entry)
    require_state(entry.meter, entry.region, entry.state)
    fact = ShapedEntry(
        *(book, edition, entry.account, entry.meter, entry.model, entry.region, entry.state),
        *(entry.currency, entry.effective_from_us, now_us, entry.divisor, entry.free),
        *(entry.tiers, entry.minimum_pico),
    )
    before = state.entries.get(key_of(fact))
    if before is None:
        return [fact]
    if isinstance(before, ShapedEntry) and _said(before) == _said(fact):
        return []
    raise DomainError("price.duplicate", "another entry has this key")


def _said(fact: ShapedEntry) -> tuple[object, ...]:
    return (fact.currency, fact.divisor, fact.free, fact.tiers, fact.minimum_pico)


def _book(command: PublishBook, state: State) -> list[Event]:
    """All entries and the edition that they make; none if the latest edition says the same."""
    if command.book == LIST or not command.entries or len(command.entries) > BOOK_LIMIT:
        facts: dict[str, int | str] = {"most": BOOK_LIMIT}
        raise DomainError("price.book_invalid", "a named book of some entries", facts)
    last = state.editions.get(command.book, 0)
    edition, seen = last + 1, Book({})
    for entry in command.entries:
        found = _shaped(entry, command.book, edition, command.now_us, seen)
        if not found:
            raise DomainError("price.duplicate", "another entry of the book has this key")
        seen.entries[key_of(found[0])] = found[0]
    if last and _contents(seen, command.book, edition) == _contents(state, command.book, last):
        return []
    whole = BookPublished(command.book, edition, len(seen.entries), command.now_us)
    return [*seen.entries.values(), whole]


def _contents(state: State, book: str, edition: int) -> dict[tuple[object, ...], object]:
    return {
        key[2:]: _said(entry)
        for key, entry in state.entries.items()
        if key[:2] == (book, edition) and isinstance(entry, ShapedEntry)
    }


def _commitment(command: Commit, state: State) -> list[Event]:
    require_admissible(command.price_pico, command.divisor)
    require_state(command.meter, command.region, command.state)
    if not 1 <= command.quantity <= QUANTITY_LIMIT or command.from_us >= command.until_us:
        facts: dict[str, int | str] = {"most": QUANTITY_LIMIT}
        raise DomainError("price.commitment_invalid", "of some quantity, for some time", facts)
    made = CommitmentMade(
        *(command.account, command.meter, command.model, command.region, command.state),
        *(command.currency, command.from_us, command.until_us, command.quantity),
        *(command.price_pico, command.divisor, command.now_us),
    )
    if any(terms(one) == terms(made) for one in state.commitments):
        return []
    if command.from_us < command.now_us:
        raise _too_late(command.now_us)
    return [made]


def terms(made: CommitmentMade | Commit) -> tuple[object, ...]:
    """What a commitment is to; no two of an account are to the same."""
    what = (made.account, made.meter, made.model, made.region, made.state, made.currency)
    return (*what, made.from_us, made.until_us, made.quantity, made.price_pico, made.divisor)


def _rerating(command: Rerate, state: State) -> list[Event]:
    if command.from_us >= command.until_us:
        raise DomainError("price.range_invalid", "a range begins before it ends")
    edition = state.editions.get(command.book, 0)
    if command.book != LIST:
        priced = any(
            key[:2] == (command.book, edition)
            and key[2] in {"default", command.account}
            and entry.currency == command.currency
            for key, entry in state.entries.items()
        )
        if not priced:
            raise DomainError("price.book_unknown", "no such book, or nothing for this account")
    decided = Rerated(
        *(command.account, command.book, edition, command.from_us, command.until_us),
        command.now_us,
    )
    last = state.reratings.get(command.account)
    if isinstance(last, Rerated) and _range(last) == _range(decided):
        return []
    return [decided]


def _range(decided: Decided) -> tuple[object, ...]:
    return (decided.book, decided.edition, decided.from_us, decided.until_us)


def _require_shape(entry: Shaped) -> None:
    tiers = entry.tiers
    if not 1 <= len(tiers) <= TIER_LIMIT:
        facts: dict[str, int | str] = {"most": TIER_LIMIT}
        raise DomainError("price.tiers_invalid", "of 1 tier or more", facts)
    floor = 0
    for number, tier in enumerate(tiers, 1):
        require_admissible(tier.price_pico, entry.divisor)
        last = number == len(tiers)
        if (tier.up_to is None) != last or (tier.up_to is not None and tier.up_to <= floor):
            raise DomainError("price.tiers_invalid", "tiers rise, and only the last has no end")
        floor = tier.up_to or floor
    if max(floor, entry.free) > QUANTITY_LIMIT or entry.free < 0:
        most: dict[str, int | str] = {"most": QUANTITY_LIMIT}
        raise DomainError("price.tiers_invalid", "so much is never used", most)
    if not 0 <= entry.minimum_pico <= PRICE_LIMIT:
        most_pico: dict[str, int | str] = {"most_pico": PRICE_LIMIT}
        raise DomainError("price.invalid", "no such minimum", most_pico)


def require_state(meter: str, region: str, state: str) -> None:
    """Raises DomainError `price.state_unsupported`, `price.region_invalid`: nothing would ever be
    charged by it.
    """
    known = STATES.get(meter, (READ,))
    if state not in known:
        facts: dict[str, int | str] = {"state": "|".join(known)}
        raise DomainError("price.state_unsupported", f"{meter} is charged so only", facts)
    if region != NOWHERE and not is_region(region):
        raise DomainError("price.region_invalid", "a short name, such as eu-de-1, or -")


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


def key_of(entry: EntryPublished | ShapedEntry) -> Key:
    """What no other entry has."""
    named = (LIST, 0) if isinstance(entry, EntryPublished) else (entry.book, entry.edition)
    return (
        *named,
        *(entry.account, entry.meter, entry.model, entry.region, entry.state),
        entry.effective_from_us,
    )


def evolve(state: State, event: Event) -> State:
    match event:
        case EntryPublished() | ShapedEntry():
            entries = {**state.entries, key_of(event): event}
            return Book(entries, state.editions, state.commitments, state.reratings)
        case BookPublished(book, edition):
            editions = {**state.editions, book: edition}
            return Book(state.entries, editions, state.commitments, state.reratings)
        case CommitmentMade():
            made = (*state.commitments, event)
            return Book(state.entries, state.editions, made, state.reratings)
        case ReratingDecided() | Rerated():
            reratings = {**state.reratings, event.account: event}
            return Book(state.entries, state.editions, state.commitments, reratings)


DECIDER: Decider[State, Command, Event] = Decider(Book({}), decide, evolve)
