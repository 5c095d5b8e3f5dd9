"""Rating once more, from scratch, in fractions: what every charge line comes to in the end.

Written from contracts/rating.md sections 4, 10 and 16 for tests; shares nothing with either set of
books. Everything is looked at anew for every piece, nothing is remembered, so it is slow and plain.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

type Key = tuple[str, int, int]  # resource, entry, period
NEVER = 10**40


@dataclass(frozen=True)
class Entry:
    """An entry of an edition of a book; of the list: edition 0 of `-`."""

    position: int
    account: str
    model: str
    effective: int
    divisor: int
    tiers: tuple[tuple[int | None, int], ...]  # up to, pico
    free: int = 0
    minimum: int = 0
    book: tuple[str, int] = ("-", 0)
    prices: bool = True  # False: of the list, effective before it was published
    region: str = "-"


@dataclass(frozen=True)
class Use:
    """What a resource was used, `size` in each of its spans; it began at `first`."""

    resource: str
    model: str
    first: int
    spans: tuple[tuple[int, int, int], ...]  # start, end, size
    region: str = "-"


@dataclass
class Oracle:
    """One account's prices; `reratings` in order: start, end, book."""

    account: str
    periods: list[tuple[int, int]]
    entries: list[Entry] = field(default_factory=list)
    reratings: list[tuple[int, int, tuple[str, int]]] = field(default_factory=list)
    # position, (model, region), from, until, quantity, pico, divisor
    commitments: list[tuple[int, tuple[str, str], int, int, int, int, int]] = field(
        default_factory=list
    )

    def of_book(self, book: tuple[str, int], use: Use, instant: int) -> Entry | None:
        found = [
            (one.account == self.account, one.region != "-", one.effective, one.position, one)
            for one in self.entries
            if one.book == book and one.model == use.model and one.effective <= instant
            and one.account in {self.account, "default"} and one.prices
            and one.region in {use.region, "-"}
        ]  # fmt: skip
        return max(found)[4] if found else None

    def applicable(self, use: Use, instant: int) -> Entry:
        """What prices the instant, after every decision there was."""
        covering = [book for start, end, book in self.reratings if start <= instant < end]
        found = None
        if covering and covering[-1][0] != "-":
            found = self.of_book(covering[-1], use, instant)
        found = found or self.of_book(("-", 0), use, instant)
        assert found is not None, "nothing prices it"
        return found

    def quantities(self, uses: list[Use]) -> dict[Key, int]:
        """Every line's, from every span cut wherever anything may change."""
        marks = {edge for period in self.periods for edge in period}
        marks |= {one.effective for one in self.entries}
        marks |= {edge for start, end, _ in self.reratings for edge in (start, end)}
        found: dict[Key, int] = defaultdict(int)
        for use in uses:
            for start, end, size in use.spans:
                cuts = sorted({start, end, *(mark for mark in marks if start < mark < end)})
                for a, b in pairwise(cuts):
                    [period] = [n for n, (x, y) in enumerate(self.periods) if x <= a < y]
                    entry = self.applicable(use, a)
                    found[use.resource, entry.position, period] += size * (b - a)
        return found

    def committed(self, model: str, period: int) -> dict[str, int]:
        """By region."""
        begins, found = self.periods[period][0], defaultdict[str, int](int)
        for _, (of, region), start, end, quantity, *_ in self.commitments:
            found[region] += quantity if of == model and start <= begins < end else 0
        return found

    def lines(self, uses: list[Use], closed: int) -> dict[Key, tuple[int, int]]:
        """Quantity and amount of every line; commitments of the first `closed` periods are paid."""
        entries = {one.position: one for one in self.entries}
        of = {use.resource: use for use in uses}
        found: dict[Key, tuple[int, int]] = {}
        pools: dict[tuple[str, int], list[tuple[int, str, int]]] = defaultdict(list)
        quantities = self.quantities(uses)
        for resource, price, period in quantities:
            model = of[resource].model
            pools[model, period].append((of[resource].first, resource, price))
        for (model, period), pool in pools.items():
            left = self.committed(model, period)
            pooled = any(left.values())
            used: dict[int, int] = defaultdict(int)
            for _, resource, price in sorted(pool):
                quantity = quantities[resource, price, period]
                paid = quantity
                for region in (of[resource].region, "-"):
                    part = min(left[region], paid)
                    left[region], paid = left[region] - part, paid - part
                amount = cost(entries[price], used[price], paid)
                if not plain(entries[price]) or pooled:
                    used[price] += paid
                found[resource, price, period] = (quantity, amount)
        for position, _, start, end, quantity, pico, divisor in self.commitments:
            for period in range(closed):
                if start <= self.periods[period][0] < end:
                    due = round(Fraction(quantity * pico, divisor))
                    found[self.account, position, period] = (quantity, due)
        return {key: pair for key, pair in found.items() if pair != (0, 0)}


def plain(entry: Entry) -> bool:
    return len(entry.tiers) == 1 and not entry.free and not entry.minimum


def cost(entry: Entry, before: int, quantity: int) -> int:
    """Of so many units after the others of the pool: each tier's share of them, rounded once."""
    due, floor, paid = Fraction(0), entry.free, 0
    for up_to, pico in entry.tiers:
        top = NEVER if up_to is None else entry.free + up_to
        share = max(0, min(before + quantity, top) - max(before, floor))
        due += Fraction(share * pico, entry.divisor)
        paid += share
        floor = top
    return max(round(due), entry.minimum) if paid else 0
