"""What the lines of a pool cost, found again where a cause has moved it (rating.md section 10).

A line's amount depends on the lines before it only through the units at which a price changes: the
free ones, the end of each tier, what is committed. So a cause moves the amounts of the lines that
it touches, and of those over which one of these bounds has moved; all others stand.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from domain.statement import Sum
from domain.tariff import NEVER, REGION, Covers, Price, cost

type Place = tuple[int, str, int]  # a line's in its pool: its resource's start, its id, the price

BLOCK: Final = 256  # places
FULL: Final = 2 * BLOCK  # so many are two blocks
LAST: Final[Place] = (NEVER, "", 0)  # after every line
FEW: Final = 16  # one line in so many found by itself costs as much as a walk over all


class Pooled[R](Struct, gc=False):
    """A charge line whose amount depends on the lines before it."""

    it: R
    price: Price
    line: Sum
    region: str = REGION


class Ranked:
    """Places in order, each with a quantity; sums over those before one without a walk over all."""

    def __init__(self) -> None:
        self._of: dict[Place, int] = {}
        self._blocks: list[list[Place]] = [[]]
        self._tops: list[Place] = []  # the last place of each block but the last
        self._sums: list[int] = [0]

    def put(self, place: Place, quantity: int) -> None:
        """The place has so much from now on."""
        at = bisect_left(self._tops, place)
        known = self._of.get(place)
        self._of[place] = quantity
        self._sums[at] += quantity - (known or 0)
        if known is not None:
            return
        block = self._blocks[at]
        insort(block, place)
        if len(block) >= FULL:
            low, high = block[:BLOCK], block[BLOCK:]
            self._blocks[at : at + 1] = [low, high]
            self._tops.insert(at, low[-1])
            of_low = sum(self._of[one] for one in low)
            self._sums[at : at + 1] = [of_low, self._sums[at] - of_low]

    def before(self, place: Place) -> int:
        """The sum of what stands before the place, which need not be there."""
        at = bisect_left(self._tops, place)
        block = self._blocks[at]
        return sum(self._sums[:at]) + sum(
            self._of[one] for one in block[: bisect_left(block, place)]
        )

    def reaching(self, bound: int) -> Place | None:
        """The first place with which the sum is above the bound; None when it never is."""
        total = 0
        for block, sum_ in zip(self._blocks, self._sums, strict=True):
            if total + sum_ > bound:
                for place in block:
                    total += self._of[place]
                    if total > bound:
                        return place
            total += sum_
        return None

    def between(self, one: Place | None, other: Place | None) -> Iterator[Place]:
        """Places from the earlier to the later of the two, both included; None: the end."""
        first, last = (one, other) if other is None or (one and one < other) else (other, one)
        if first is None:
            return
        at = bisect_left(self._tops, first)
        for block in self._blocks[at:]:
            for place in block[bisect_left(block, first) :]:
                if last is not None and place > last:
                    return
                yield place


class Priced(Struct):
    """Lines of one entry, and where each of its bounds lies among them."""

    bounds: tuple[int, ...]
    lines: Ranked
    reached: list[Place | None]


class Pool[R](Struct):
    """Lines of one account, scope and service period whose prices count over all of them; `cover`
    units are committed wherever they are used, and so many `beside` in each region.
    """

    cover: int
    beside: Covers = {}
    lines: dict[Place, Pooled[R]] = {}
    priced: dict[int, Priced] = {}
    everything: Ranked | None = None  # only where some are covered
    edge: Place | None = None  # the first line that is not covered whole
    touched: set[Place] = set()
    is_odd: bool = False  # a line was below zero: its sums do not rise


def pool_of[R](covers: Covers) -> Pool[R]:
    """An empty one. Where some is committed in a region, no sum over all lines finds an edge: every
    one is looked at each time.
    """
    beside = {region: units for region, units in covers.items() if region != REGION}
    return Pool(covers.get(REGION, 0), beside, is_odd=bool(beside))


def take(left: Covers, region: str, quantity: int) -> int:
    """How much of the line's quantity is committed: in its region first, then anywhere."""
    covered = 0
    for where in dict.fromkeys((region, REGION)):
        if where in left:
            part = min(left[where], quantity - covered)
            left[where] -= part
            covered += part
    return covered


def touch[R](pool: Pool[R], place: Place, pooled: Pooled[R]) -> None:
    """The line's quantity has moved, or it is new; `changes` follows in the same cause."""
    if place not in pool.lines:
        pool.lines[place] = pooled
        shape = pooled.price.shape
        if place[2] not in pool.priced:
            ends = () if shape is None else tuple(up_to for up_to, _ in shape.tiers if up_to)
            free = () if shape is None else (shape.free, *(shape.free + end for end in ends))
            pool.priced[place[2]] = Priced(free, Ranked(), [None] * len(free))
    pool.touched.add(place)


def changes[R](pool: Pool[R]) -> Iterator[tuple[Place, Pooled[R], int]]:
    """Lines in order, with what each costs now: every one whose amount moves is among them.

    The caller takes all of them before anything else moves the pool.
    """
    places = _moved(pool)
    pool.touched.clear()
    if pool.is_odd or len(places) * FEW > len(pool.lines):
        yield from _whole(pool)
        return
    covered: dict[int, int] = {}
    for place in sorted(places):
        one, mine = pool.lines[place], pool.priced[place[2]]
        quantity, before = one.line.quantity, 0
        if pool.edge is not None and place <= pool.edge and pool.everything is not None:
            met = quantity
            if place == pool.edge:
                met = pool.cover - pool.everything.before(place)
            quantity -= met
        elif pool.everything is not None and pool.edge is None:
            quantity = 0  # all that there is is committed
        elif mine.bounds:
            if place[2] not in covered:
                covered[place[2]] = _covered(pool, place[2])
            before = mine.lines.before(place) - covered[place[2]]
        yield place, one, cost(one.price, before, quantity)


def _moved[R](pool: Pool[R]) -> set[Place]:
    """What was touched, and the lines between where each bound was and where it is now."""
    for place in pool.touched:
        quantity = pool.lines[place].line.quantity
        pool.is_odd |= quantity < 0
        pool.priced[place[2]].lines.put(place, quantity)
        if pool.cover:
            pool.everything = pool.everything or Ranked()
            pool.everything.put(place, quantity)
    places = set(pool.touched)
    if pool.is_odd:
        return places
    prices = {place[2] for place in places}
    if pool.everything is not None:
        edge = pool.everything.reaching(pool.cover)
        places.update(_passed(pool.everything, pool.edge, edge))
        pool.edge, prices = edge, set(pool.priced)
    for price in prices:
        mine = pool.priced[price]
        covered = _covered(pool, price) if mine.bounds else 0
        for number, bound in enumerate(mine.bounds):
            now, then = mine.lines.reaching(bound + covered), mine.reached[number]
            places.update(_passed(mine.lines, then, now))
            mine.reached[number] = now
    return places


def _passed(lines: Ranked, then: Place | None, now: Place | None) -> Iterable[Place]:
    """Lines over which a bound has moved, and the one on which it lies."""
    return (now,) if now == then and now is not None else lines.between(then, now)


def _covered[R](pool: Pool[R], price: int) -> int:
    """How much of the entry's lines is committed."""
    if pool.everything is None:
        return 0
    if pool.edge is None:
        return pool.priced[price].lines.before(LAST)
    met = pool.priced[price].lines.before(pool.edge)
    if pool.edge[2] == price:
        met += pool.cover - pool.everything.before(pool.edge)
    return met


def _whole[R](pool: Pool[R]) -> Iterator[tuple[Place, Pooled[R], int]]:
    """Every line, in order: each takes its part of what is committed and of the tiers."""
    left, before = {**pool.beside, REGION: pool.cover}, dict[int, int]()
    for place in sorted(pool.lines):
        one = pool.lines[place]
        covered = take(left, one.region, one.line.quantity)
        paid, so_far = one.line.quantity - covered, before.get(place[2], 0)
        before[place[2]] = so_far + paid
        yield place, one, cost(one.price, so_far, paid)
