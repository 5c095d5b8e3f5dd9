"""Pools of many lines: settled where a cause has moved them, to the pico as if settled whole."""

from random import Random
from time import process_time

from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.pooling import Place, Pool, Pooled, Ranked, changes, pool_of, touch
from domain.statement import Sum
from domain.tariff import Price, Shape, cost
from gpuaas_verify.books_pools import Pools
from gpuaas_verify.books_spill import Spill

KEY = ("gpu.time", "T4", "-", "usable", "USD", "period-1")
COVERS: list[dict[str, int]] = [{}, {}, {"-": 500}, {"-": 20_000}, {"eu": 400, "us": 70, "-": 300}]
SHAPES = (
    Shape(0, ((None, 7),), 3),
    Shape(40, ((100, 50), (300, 20), (None, 5)), 0),
    Shape(25, ((60, 9), (None, 11)), 4),
    None,
)


def price(number: int) -> Price:
    return Price(number, 0, 13, 3, SHAPES[number % len(SHAPES)])


def whole(lines: dict[Place, int], covers: dict[str, int]) -> dict[Place, int]:
    """rating.md section 10, line by line."""
    left, used, found = {"-": 0, **covers}, dict[int, int](), dict[Place, int]()
    for place, quantity in sorted(lines.items()):
        covered = 0
        for where in ("-",) if region(place) not in covers else {region(place): 1, "-": 1}:
            part = min(left[where], quantity - covered)
            left[where] -= part
            covered += part
        before = used.get(place[2], 0)
        used[place[2]] = before + quantity - covered
        found[place] = cost(price(place[2]), before, quantity - covered)
    return found


def region(place: Place) -> str:
    """Where the line was used."""
    return ("-", "eu", "ap")[int(place[1].rpartition("-")[2]) % 3]


class Two:
    """One pool by both sets of books."""

    def __init__(self, covers: dict[str, int]) -> None:
        self.covers = covers
        self.pool: Pool[None] = pool_of(covers)
        self.pools = Pools(Spill(None))
        self.sums: dict[Place, Sum] = {}
        self.amounts: dict[Place, int] = {}
        self.looked = 0

    def cause(self, moves: list[tuple[Place, int]]) -> None:
        """Both settle, and say the same lines in the same order."""
        for place, moved in moves:
            of = price(place[2])
            line = self.sums.setdefault(place, Sum())
            line.quantity += moved
            touch(self.pool, place, Pooled(None, of, line, region(place)))
            shape = (
                None if of.shape is None else [of.shape.free, of.shape.tiers, of.shape.minimum_pico]
            )
            entry = [0, of.position, of.price_pico, of.divisor, shape]
            about = [place[0], place[1], "project-1", False, False, region(place)]
            self.pools.add("account-1", KEY, self.covers, 0, entry, about, moved)
        said = []
        for place, one, amount in changes(self.pool):
            self.looked += 1
            if amount != one.line.amount_pico:
                said.append((place, one.line.quantity, amount))
                one.line.amount_pico = amount
        derived = [
            ((line[0], line[1], line[2]), line[3], line[4])
            for _, _, _, line, _ in self.pools.settle()
        ]
        assert derived == said
        self.amounts |= {place: amount for place, _, amount in said}

    def judged(self) -> None:
        quantities = {place: line.quantity for place, line in self.sums.items()}
        found = whole(quantities, self.covers)
        assert {place: self.amounts.get(place, 0) for place in found} == found


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(COVERS), st.booleans())
@example(seed=4, covers=COVERS[2], odd=False)
@example(seed=2, covers=COVERS[3], odd=False)
@example(seed=3, covers=COVERS[4], odd=False)
def test_a_part_is_settled_as_the_whole(seed: int, covers: dict[str, int], odd: bool) -> None:
    """Whatever the order, the sizes, what is taken back or committed anywhere or in a region, and even
    what falls below zero.
    """
    random = Random(seed)
    two = Two(covers)
    places = [(random.randrange(50), f"runtime-{n}", random.randrange(4)) for n in range(80)]
    for number in range(160):
        moves = []
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            place = random.choice(places)
            have = two.sums[place].quantity if place in two.sums else 0
            least = -9 if odd and number > 130 else 0
            moves.append((place, random.randrange(least, random.choice((2, 30, 90))) - have))
        two.cause(list(dict(moves).items()))
        if number % 24 == 0:
            two.judged()
    two.judged()


def test_sums_and_bounds_are_found_among_many_blocks() -> None:
    """Sums before any place, the place on a bound, and the places between two: as a list has them."""
    random, ranked, known = Random(1), Ranked(), dict[Place, int]()
    for number in range(3_000):
        place, quantity = (random.randrange(1000), f"r{number % 1500}", 1), random.randrange(9)
        ranked.put(place, quantity)
        known[place] = quantity
    order = sorted(known)
    for place in random.sample(order, 40):
        at = order.index(place)
        total = sum(known[one] for one in order[:at])
        assert ranked.before(place) == total
        reached = next((one for one in order[at:] if known[one]), None)
        assert ranked.reaching(total) == reached
        other = random.choice(order)
        low, high = sorted((place, other))
        assert list(ranked.between(other, place)) == [p for p in order if low <= p <= high]
    assert ranked.reaching(sum(known.values())) is None


def run(count: int, covers: dict[str, int]) -> tuple[float, int]:
    """Processor time and lines looked at, of as many runtimes as end in any order."""
    random, two = Random(7), Two(covers)
    starts = list(range(count))
    random.shuffle(starts)
    begun = process_time()
    for start in starts:
        two.cause([((start, f"runtime-{start}", 1), 1 + start % 3)])
    return process_time() - begun, two.looked


def test_ten_times_the_lines_cost_little_more_than_ten_times() -> None:
    """A pool that is settled at every end of n runtimes takes not n * n, but little more than n, in both
    books and with commitments too.
    """
    for covers in ({}, {"-": 90}):
        few, many = run(200, covers), run(2_000, covers)
        assert many[1] < 15 * few[1]
        assert many[0] < 50 * few[0], "not 100 times; a busy machine makes either look slower"
