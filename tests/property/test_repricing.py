"""Tiers, commitments and re-ratings against an oracle that rates everything anew, in fractions."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.price_world import MODELS, MONTH, Months
from tests.property.rating_orders import digest, doubled, interleaved, split


def lived(seed: int, count: int) -> Months:
    """Months with late ends, voided and re-priced use, closes, and commitments."""
    world = Months(count, Random(seed))
    random = world.random
    world.listed()
    world.book("spring")
    for month in range(count):
        begin = month * MONTH
        for _ in range(random.randrange(1, 5)):
            world.start(begin + random.randrange(MONTH))
        if random.random() < 0.3:
            world.commit(random.choice(MODELS), begin + MONTH)
        if random.random() < 0.3:
            world.book(random.choice(("spring", "autumn")))
        world.close()
        for name in list(world.open):
            if random.random() < 0.7:  # late: before the close, months before, or void
                void = random.random() < 0.2
                world.stop(name, 0 if void else random.randint(world.open[name], begin + MONTH))
        if random.random() < 0.6:
            book = random.choice([name for name, n in world.editions.items() if n] + ["-"])
            start = random.randrange(begin + MONTH)
            world.rerate(book, start, start + random.randrange(1, 2 * MONTH))
    return world


def judge(world: Months) -> None:
    """Net = recomputed from scratch, to the pico; what was closed is byte for byte what it was."""
    for name in list(world.open):
        world.stop(name, world.count * MONTH + 17)
    due = world.oracle.lines(list(world.uses.values()), world.closed)
    assert world.counted() == due
    assert world.paid() == sum(amount for _, amount in due.values())
    for number, stood in world.frozen.items():
        assert world.stand(number) == stood


@pytest.mark.parametrize("seed", range(20))
def test_24_closed_months_of_late_voided_and_re_priced_use_are_what_scratch_makes_of_them(
    seed: int,
) -> None:
    """Invariants 7, 8 and 15; there and back under another book nets to zero, twice is once."""
    world = lived(seed, 24)
    judge(world)
    assert world.shaped() > 0
    before, balances = world.paid(), dict(world.books.balances("account-1"))
    world.book("winter")
    decisions = list(world.oracle.reratings)
    assert world.rerate("winter", 0, 24 * MONTH) > 0
    assert world.paid() != before
    assert world.rerate("winter", 0, 24 * MONTH) == 0
    judge(world)
    # Back: the list for all time, then every decision there was, in its order.
    world.rerate("-", 0, 24 * MONTH)
    for start, end, (name, edition) in decisions:
        world.rerate(name, start, end, edition)
    judge(world)
    assert world.paid() == before
    assert {n: b.pico for n, b in world.books.balances("account-1").items()} == {
        n: b.pico for n, b in balances.items()
    }


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_pools_come_to_the_same_in_any_order_and_however_they_are_cut(
    seed: int, shuffle: int
) -> None:
    """Invariants 6 and 12 with tiers, free units, minimums and commitments."""
    world = Months(3, Random(seed))
    world.listed()
    world.commit(world.random.choice(MODELS), MONTH)
    for month in range(3):
        for _ in range(3):
            world.start(month * MONTH + world.random.randrange(MONTH))
        world.close()
        for name in list(world.open):
            if world.random.random() < 0.6:
                world.stop(name, world.random.randrange((month + 2) * MONTH))
    judge(world)
    once, random = digest(world.said), Random(shuffle)
    assert digest(doubled(world.said, random)) == once
    assert digest(split(world.said)) == once
    assert digest(interleaved(world.said, random)) == once
