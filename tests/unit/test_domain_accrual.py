"""What open use would cost: asked for, it is what its end then really costs, and moves nothing."""

from collections import Counter
from fractions import Fraction
from itertools import product
from random import Random

import pytest

from domain import runtime
from domain.accrual import listed
from domain.price_facts import CommitmentMade
from domain.rating import Books
from domain.tariff import gpu_scope
from tests.museum.house import HOUR, MINUTE, USD
from tests.property.price_world import MODELS, MONTH, Months
from tests.unit.domain_world import word
from tests.wallet_world import PrepaidHouse


def really(world: Months, period: str, until: int) -> dict[str, int]:
    """By books of their own in which all that is open ends then."""
    books, moved = Books(), Counter[str]()
    for position, (stream, fact) in enumerate(world.said):
        books.apply(position, stream, fact)
    for position, name in enumerate(sorted(world.open), len(world.said)):
        end = runtime.Stopped(until, until, until, word())
        for one in books.apply(position, name, end)[1]:
            if one.period == period:
                moved[one.resource] += one.amount_pico * (1 if one.debit == "unbilled" else -1)
    return {name: pico for name, pico in moved.items() if pico}


@pytest.mark.parametrize("seed", range(8))
def test_what_open_use_would_cost_is_what_it_costs(seed: int) -> None:
    """With tiers, free units, minimums and commitments, over a price change, at the last microsecond
    of the period and beyond it.
    """
    world = Months(3, Random(seed))
    random = world.random
    world.listed()
    world.entry(MODELS[seed % 2], 1, tiers=((None, 10**6 + 1),), of="account-1")
    for model, region in product(MODELS, ("eu-1", "us")) if seed > 5 else ():
        of = ("account-1", "gpu.time", model, region, "usable", "USD", MONTH, 2 * MONTH)
        world.say("pricebook-1", CommitmentMade(*of, 10**8, 1, 1, 0))
    if seed % 2:
        world.commit(random.choice(MODELS), MONTH)
    for month in range(2):
        for _ in range(3):
            world.start(month * MONTH + random.randrange(MONTH))
        if not month:
            world.close()
            world.stop(min(world.open), random.randrange(2 * MONTH))
    paused = max(world.open, key=lambda name: world.open[name])
    at = (world.open[paused] + 2 * MONTH) // 2
    world.say(paused, runtime.Degraded(at, at, at, word()))
    world.say(paused, runtime.Usable(at, at, at, word()))
    world.shape(MODELS[0], 2 * MONTH - 9, ("-", 0), "account-1")
    first = at
    for until in (first, first + 1, (first + 2 * MONTH) // 2, 2 * MONTH - 1, 2 * MONTH, 3 * MONTH):
        before = {name: one.pico for name, one in world.books.balances("account-1").items()}
        for beyond in (False, True):
            found = world.books.accrued("period-2", until, beyond=beyond)
            assert {name: pico for name, pico in found.items() if pico} == really(
                world, "period-2", until
            )
        assert {n: b.pico for n, b in world.books.balances("account-1").items()} == before
    assert not any(world.books.accrued("period-1", 3 * MONTH).values())


def test_what_is_prepaid_goes_on_after_its_hold_only_where_it_is_asked() -> None:
    """Held at 1.00 an hour, then listed at 3.00: up to the hold's end at what was held."""
    house = PrepaidHouse()
    tenant = house.tenant(0)
    house.price("T4", USD)
    house.machine(1, "T4")
    house.prepay(tenant)
    house.grant(tenant, 10 * USD)
    one = house.begin(tenant)
    house.price("T4", 3 * USD, since=MINUTE)
    of = next(iter(house.books._periods))
    it = house.books._resources[one]
    assert it.cover is not None
    held = it.cover.until_us
    least, most = (house.books.accrued(of, 2 * HOUR, beyond=beyond) for beyond in (False, True))
    covered, rest = (
        round(Fraction(us * pico, HOUR)) for us, pico in ((held, USD), (2 * HOUR - held, 3 * USD))
    )
    assert least == {one: covered}
    assert most == {one: covered + rest}
    assert house.books.accrued(of, MINUTE) == {one: round(Fraction(MINUTE * USD, HOUR))}


def test_what_the_list_makes_of_use_is_its_prices_one_after_the_other() -> None:
    """Over a change of price each part at its own; what nothing ever priced has no estimate, and
    no time costs nothing.
    """
    house = PrepaidHouse()
    house.price("T4", USD)
    house.price("T4", 3 * USD, since=MINUTE)
    tariff, t4 = house.books.tariff, gpu_scope("T4", "USD")
    assert listed(tariff, "account-1", t4, 500, (0, MINUTE)) == round(Fraction(USD, 120))
    both = sum(round(Fraction(MINUTE * pico, 2 * HOUR)) for pico in (USD, 3 * USD))
    assert listed(tariff, "account-1", t4, 500, (0, 2 * MINUTE)) == both
    assert listed(tariff, "account-1", t4, 500, (MINUTE, MINUTE)) == 0
    assert listed(tariff, "account-1", gpu_scope("L4", "USD"), 500, (0, MINUTE)) is None
