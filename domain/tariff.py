"""Which price entry applies when, and where an interval is cut (rating.md sections 1, 4 and 10)."""

from bisect import bisect_right, insort
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from msgspec import Struct

from domain.errors import DomainError
from domain.meter import GPU_TIME, STORAGE
from domain.price_facts import (
    LIST,
    BookPublished,
    CommitmentMade,
    Decided,
    Rerated,
    ShapedEntry,
)
from domain.pricebook import EXISTING, RESERVED, SPOT, USABLE, EntryPublished
from domain.words import NOWHERE

LOCAL: Final = "local"  # the one model of storage: on the node itself
REGION: Final = NOWHERE
DEFAULT: Final = "default"
NEVER: Final = 1 << 126  # later than any instant
ALWAYS: Final = -NEVER  # earlier than any


class Shape(Struct, frozen=True, gc=False):
    """What makes a price of more than one number: it counts over a whole pool (section 10)."""

    free: int
    tiers: tuple[tuple[int | None, int], ...]  # up to, pico
    minimum_pico: int


class Price(Struct, frozen=True, gc=False):
    """A published entry; its identity is its log position. `price_pico`: of its first tier."""

    position: int
    effective_from_us: int
    price_pico: int
    divisor: int
    shape: Shape | None = None
    region: str = REGION


class Commitment(Struct, frozen=True, gc=False):
    """What an account pays in each period that begins in `[from_us, until_us)`."""

    price: Price
    scope: "Scope"
    from_us: int
    until_us: int
    quantity: int


class Rerating(Struct, frozen=True, gc=False):
    """Within `[from_us, until_us)` these entries apply; none: those of the list. `lowers`: to what
    is prepaid too, where they make it no dearer.
    """

    from_us: int
    until_us: int
    lowers: bool
    entries: "dict[tuple[str, Scope], list[Price]] | None"


# (meter, model, region, state, currency)
type Scope = tuple[str, str, str, str, str]
type Covers = dict[str, int]  # units by region; of `-` wherever they are used
type Entries = dict[tuple[str, Scope], list[Price]]
# Instants in order, the first one `ALWAYS`, and what applies from each of them on.
type Schedule = tuple[list[int], list[Price | None]]


NOTHING: Final[Schedule] = ([ALWAYS], [None])


def gpu_scope(model: str, currency: str, *, spot: bool = False, region: str = REGION) -> Scope:
    """What prices the usable time of one model (rating.md section 1)."""
    return (GPU_TIME, model, region, SPOT if spot else USABLE, currency)


def reserved_scope(model: str, currency: str, region: str = REGION) -> Scope:
    """What prices devices of one model that are reserved and idle (rating.md section 15)."""
    return (GPU_TIME, model, region, RESERVED, currency)


def storage_scope(currency: str, region: str = REGION) -> Scope:
    """What prices the existence of a volume (rating.md section 1)."""
    return (STORAGE, LOCAL, region, EXISTING, currency)


def anywhere(scope: Scope) -> Scope:
    """The same wherever it is: what is counted together, and what prices where nothing of the
    region does (rating.md section 16).
    """
    return (scope[0], scope[1], REGION, scope[3], scope[4])


class Tariff:
    """All published entries, found by account and instant. Owned by one fold, not shared."""

    def __init__(self) -> None:
        self._keys: set[tuple[str | int, ...]] = set()
        self._list: Entries = {}
        self._books: dict[tuple[str, int], Entries] = {}
        self._counts: dict[tuple[str, int], int] = {}
        self._editions: dict[str, int] = {}
        self._reratings: dict[str, list[Rerating]] = {}
        self._commitments: dict[str, list[Commitment]] = {}
        self._schedules: dict[tuple[str, Scope], Schedule] = {}
        self._lowered: dict[tuple[str, Scope], Schedule] = {}

    def publish(self, position: int, entry: EntryPublished | ShapedEntry) -> None:
        """Remember the entry. One effective before its publication holds its key, and prices
        nothing until a re-rating; nor does one of a named book.

        Raises:
            DomainError: `price.duplicate`, `price.invalid`.
        """
        named = (LIST, 0) if isinstance(entry, EntryPublished) else (entry.book, entry.edition)
        scope = (entry.meter, entry.model, entry.region, entry.state, entry.currency)
        key = (*named, entry.account, *scope[:4], entry.effective_from_us)
        if key in self._keys:
            raise DomainError("price.duplicate", f"two entries share the key {key}")
        if named[1] != (0 if named[0] == LIST else self._next(named[0])):
            raise DomainError("price.invalid", f"{named} is whole already, or not the next edition")
        self._keys.add(key)
        self._counts[named] = self._counts.get(named, 0) + 1
        price = price_of(position, entry)
        if named[0] == LIST and entry.effective_from_us < entry.published_us:
            return
        entries = self._list if named[0] == LIST else self._books.setdefault(named, {})
        prices = entries.setdefault((entry.account, scope), [])
        insort(prices, price, key=_effective)
        self._changed()

    def publish_book(self, fact: BookPublished) -> None:
        """The edition is whole.

        Raises:
            DomainError: `price.invalid` when it follows no edition, or counts other entries.
        """
        named = (fact.book, fact.edition)
        if fact.edition != self._next(fact.book) or fact.entries != self._counts.get(named):
            raise DomainError("price.invalid", f"{named} has other entries, or is no next edition")
        self._editions[fact.book] = fact.edition

    def commit(self, position: int, fact: CommitmentMade) -> None:
        """The account pays for the quantity in every period that begins in its time.

        Raises:
            DomainError: `price.invalid`, `price.too_late`.
        """
        price = Price(position, fact.from_us, fact.price_pico, fact.divisor)
        if fact.divisor <= 0 or fact.price_pico < 0 or fact.quantity <= 0:
            raise DomainError("price.invalid", "a price is >= 0, its divisor and quantity > 0")
        if fact.from_us < fact.decided_us:
            raise DomainError("price.too_late", "it would begin before it was made")
        scope = (fact.meter, fact.model, fact.region, fact.state, fact.currency)
        made = Commitment(price, scope, fact.from_us, fact.until_us, fact.quantity)
        self._commitments.setdefault(fact.account, []).append(made)

    def rerate(self, fact: Decided) -> None:
        """From now on the edition prices the account's use in that range.

        Raises:
            DomainError: `price.invalid` when the range is empty or the edition is not whole.
        """
        whole = self._editions.get(fact.book, 0)
        known = fact.edition == 0 if fact.book == LIST else 1 <= fact.edition <= whole
        if not known or fact.from_us >= fact.until_us:
            raise DomainError("price.invalid", f"no edition {fact.book} {fact.edition}, or never")
        entries = None if fact.book == LIST else self._books[fact.book, fact.edition]
        said = Rerating(fact.from_us, fact.until_us, isinstance(fact, Rerated), entries)
        self._reratings.setdefault(fact.account, []).append(said)
        self._changed()

    def _changed(self) -> None:
        self._schedules.clear()
        self._lowered.clear()

    def at(self, account: str, scope: Scope, instant: int) -> tuple[Price | None, int]:
        """The applicable entry, or None, and the next instant at which another one is.

        An account's own entry, once effective, hides every default one for good; so does one of
        the region those of `-` of the same account, or of the default.
        """
        return value(self.schedule(account, scope), instant)

    def is_listed(self, account: str, scope: Scope, instant: int) -> bool:
        """Whether the list prices it, then and ever after, whatever books say for a while."""
        return _value(_entries(self._list, account, scope), instant) is not None

    def schedule(self, account: str, scope: Scope) -> Schedule:
        """What applies from when on; no two neighbours are the same entry."""
        found = self._schedules.get((account, scope))
        if found is None:
            listed = _entries(self._list, account, scope)
            found = self._rerated(account, scope, listed, self._reratings.get(account, ()))
            if scope[3] == RESERVED:
                found = _where(listed, found)
            self._schedules[account, scope] = found
        return found

    def lowered(self, account: str, scope: Scope) -> Schedule:
        """Where a re-rating reaches what is prepaid: what it says; elsewhere nothing."""
        found = self._lowered.get((account, scope))
        if found is None:
            made = [one for one in self._reratings.get(account, ()) if one.lowers]
            found = self._rerated(account, scope, NOTHING, made)
            self._lowered[account, scope] = found
        return found

    def _rerated(
        self, account: str, scope: Scope, found: Schedule, reratings: Iterable[Rerating]
    ) -> Schedule:
        common = _entries(self._list, account, scope)
        for one in reratings:
            over = common
            if one.entries is not None:
                over = _under(_entries(one.entries, account, scope), common)
            found = _within(found, over, one.from_us, one.until_us)
        return found

    @property
    def is_committed(self) -> bool:
        """Whether anybody has committed himself to anything."""
        return bool(self._commitments)

    def commitments(self, account: str, begins_us: int) -> list[Commitment]:
        """What the account pays in a period that begins then, in order of position."""
        made = self._commitments.get(account)
        return [] if made is None else [c for c in made if c.from_us <= begins_us < c.until_us]

    def covers(self, account: str, scope: Scope, begins_us: int) -> "Covers":
        """By region the quantity that is committed in a period that begins then; the scope's own
        region does not count.
        """
        found: Covers = {}
        if account in self._commitments:
            for one in self.commitments(account, begins_us):
                if anywhere(one.scope) == anywhere(scope):
                    region = one.scope[2]
                    found[region] = found.get(region, 0) + one.quantity
        return found

    def _next(self, book: str) -> int:
        return self._editions.get(book, 0) + 1


def price_of(position: int, entry: EntryPublished | ShapedEntry) -> Price:
    """The entry as rating reads it.

    Raises:
        DomainError: `price.invalid`.
    """
    effective, region = entry.effective_from_us, entry.region
    if isinstance(entry, EntryPublished):
        if entry.divisor <= 0 or entry.price_pico < 0:
            raise DomainError("price.invalid", "a price is >= 0 and its divisor > 0")
        return Price(position, effective, entry.price_pico, entry.divisor, None, region)
    tiers = tuple((tier.up_to, tier.price_pico) for tier in entry.tiers)
    bounds = [0, *(up_to for up_to, _ in tiers[:-1])]
    rising = all(
        low is not None and up_to is not None and low < up_to for low, up_to in pairwise(bounds)
    )
    right = rising and bool(tiers) and tiers[-1][0] is None and entry.divisor > 0
    if not right or min(entry.free, entry.minimum_pico, *(pico for _, pico in tiers)) < 0:
        raise DomainError("price.invalid", "tiers rise, the last has no end; prices are >= 0")
    first = tiers[0][1]
    if len(tiers) == 1 and not entry.free and not entry.minimum_pico:
        return Price(position, effective, first, entry.divisor, None, region)
    shape = Shape(entry.free, tiers, entry.minimum_pico)
    return Price(position, effective, first, entry.divisor, shape, region)


def cost(price: Price, before: int, quantity: int) -> int:
    """Pico for `quantity` units of the price's pool that come after `before` others, >= 0 each.

    Rounded once, half to even; at least the minimum if any of them is above the free ones.
    """
    shape = price.shape
    if shape is None:
        return round_half_even(quantity * price.price_pico, price.divisor)
    low, high = max(before - shape.free, 0), max(before + quantity - shape.free, 0)
    if low == high:
        return 0
    total = floor = 0
    for up_to, pico in shape.tiers:
        top = high if up_to is None else min(high, up_to)
        bottom = max(low, floor)
        if top > bottom:
            total += (top - bottom) * pico
        floor = top
    return max(round_half_even(total, price.divisor), shape.minimum_pico)


def value(schedule: Schedule, instant: int) -> tuple[Price | None, int]:
    """What applies then, or None, and from when on something else does."""
    instants, prices = schedule
    index = bisect_right(instants, instant)
    return prices[index - 1], instants[index] if index < len(instants) else NEVER


def least(held: Price | None, said: Price | None) -> Price | None:
    """What a prepaid instant costs: as held, or as re-rated if that makes no unit dearer."""
    if held is None or said is None:
        return held
    free = held.shape is not None and held.shape.free
    floor = said.shape is not None and said.shape.minimum_pico
    cheapest = 0 if free else min(_units(held))
    return held if floor or max(_units(said)) * held.divisor > cheapest * said.divisor else said


def _units(price: Price) -> list[int]:
    return [price.price_pico] if price.shape is None else [pico for _, pico in price.shape.tiers]


def lowered(held: Schedule, said: Schedule) -> Schedule:
    """A schedule of holds under one of re-ratings."""
    cuts = sorted({*held[0], *said[0]})
    return _joined(cuts, [least(_value(held, at), _value(said, at)) for at in cuts])


def _effective(price: Price) -> int:
    return price.effective_from_us


def _entries(entries: Entries, account: str, scope: Scope) -> Schedule:
    """Each entry until one goes before it: the account's own before default ones, of each those of
    the region before those of none.
    """
    places = (scope, anywhere(scope))  # the same two where it is in no region
    steps: list[Price] = []
    for key in ((whose, place) for whose in (account, DEFAULT) for place in places):
        first = steps[0].effective_from_us if steps else NEVER
        steps[:0] = [one for one in entries.get(key, ()) if one.effective_from_us < first]
    return [ALWAYS, *(one.effective_from_us for one in steps)], [None, *steps]


def _value(schedule: Schedule, instant: int) -> Price | None:
    return schedule[1][bisect_right(schedule[0], instant) - 1]


def _under(over: Schedule, under: Schedule) -> Schedule:
    """Where `over` has nothing, what `under` has."""
    cuts = sorted({*over[0], *under[0]})
    return _joined(cuts, [_value(over, at) or _value(under, at) for at in cuts])


def _where(listed: Schedule, found: Schedule) -> Schedule:
    """What the list does not price, books do not either: then it costs nothing, for good."""
    cuts = sorted({*listed[0], *found[0]})
    return _joined(cuts, [_value(listed, at) and _value(found, at) for at in cuts])


def _within(outside: Schedule, inside: Schedule, start: int, end: int) -> Schedule:
    """`inside` in `[start, end)`, elsewhere `outside`."""
    cuts = sorted({*outside[0], *inside[0], start, end})
    return _joined(cuts, [_value(inside if start <= at < end else outside, at) for at in cuts])


def _joined(instants: list[int], prices: list[Price | None]) -> Schedule:
    kept: Schedule = ([], [])
    for at, price in zip(instants, prices, strict=True):
        if not kept[0] or kept[1][-1] is not price:
            kept[0].append(at)
            kept[1].append(price)
    return kept


def round_half_even(numerator: int, divisor: int) -> int:
    """The integer nearest to numerator / divisor, ties to even; divisor > 0."""
    quotient, rest = divmod(numerator, divisor)
    twice = 2 * rest
    if twice > divisor or (twice == divisor and quotient & 1):
        return quotient + 1
    return quotient
