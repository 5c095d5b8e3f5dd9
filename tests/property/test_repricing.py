"""Tiers, commitments and re-ratings against an oracle that rates everything anew, in fractions."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.price_world import MODELS, MONTH, Months, judge, lived, there_and_back
from tests.property.rating_orders import digest, doubled, interleaved, split


@pytest.mark.parametrize("seed", range(20))
def test_24_closed_months_of_late_voided_and_re_priced_use_are_what_scratch_makes_of_them(
    seed: int,
) -> None:
    """Invariants 7, 8 and 15; there and back under another book nets to zero, twice is once."""
    world = lived(seed, 24)
    judge(world)
    assert world.shaped() > 0
    there_and_back(world)


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
