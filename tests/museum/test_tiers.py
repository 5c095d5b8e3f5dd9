"""Tiers that forgot what was taken back, and units that stood in two of them."""

from domain import pricebook, runtime
from domain.decider import fold
from domain.price_facts import Tier
from tests.museum.house import DAY, GPU_HOUR, HOUR, USD, House, Tenant
from tests.property.books_history import stream


def tiered(house: House, *tiers: tuple[int | None, int], free: int = 0, whose: str) -> None:
    """An entry of the list: up to so many GPU-hours, so many USD each."""
    book = stream("pricebook", 1)
    units = tuple(Tier(None if top is None else top * GPU_HOUR, usd * USD) for top, usd in tiers)
    entry = pricebook.Shaped(
        *(whose, "gpu.time", "T4", "-", "usable", "USD", 0, GPU_HOUR, free * GPU_HOUR, units, 0)
    )
    facts = pricebook.decide(
        pricebook.PublishShaped(entry, 0), fold(pricebook.DECIDER, house.facts(book))
    )
    house.append((book, "-", facts))


def opened(*tiers: tuple[int | None, int], free: int = 0) -> tuple[House, Tenant]:
    """A tenant with one machine of eight T4 and these prices of its own."""
    house = House()
    us = house.tenant(0)
    house.price("T4", 100 * USD)
    tiered(house, *tiers, free=free, whose=us.account)
    house.machine(1, "T4")
    return house, us


def test_lago_67_a_charge_reversed_inside_a_tier() -> None:
    """A commission had to be taken back when its transaction was cancelled; under graduated prices what
    came after it had been charged in the next tier, and to recompute that seemed out of reach. Here
    10 hours cost 3 USD each and the others 1: the month is closed with 31 days of the first runtime, which had
    stopped after 2 hours, and the second one's 20 hours come down into the tier it had filled.
    """
    house, us = opened((10, 3), (None, 1))
    first = house.begin(us, at=0)
    second = house.begin(us, at=HOUR)
    house.report(runtime.ReportStopped, second, 21 * HOUR)
    assert house.charged(second) == (20 * GPU_HOUR, 10 * 3 * USD + 10 * USD)
    house.next_period(us)
    house.close(us, 1, 31 * DAY)
    assert house.charged(second) == (20 * GPU_HOUR, 20 * USD)
    house.report(runtime.ReportStopped, first, 2 * HOUR, told=31 * DAY)
    house.judged()
    assert house.charged(first) == (2 * GPU_HOUR, 6 * USD)
    assert house.charged(second) == (20 * GPU_HOUR, 8 * 3 * USD + 12 * USD)


def test_lago_api_4862_what_was_removed_kept_its_place_in_a_tier() -> None:
    """Items removed before the period went on filling the first tier, so that what was there was pushed
    into a dearer one. Here a runtime that never used anything takes no hour of anybody's.
    """
    house, us = opened((10, 1), (None, 5))
    gone = house.begin(us, at=0)
    house.next_period(us)
    house.close(us, 1, 31 * DAY)
    house.report(runtime.ReportStopped, gone, 0, told=31 * DAY)
    one = house.begin(us, at=32 * DAY)
    house.report(runtime.ReportStopped, one, 32 * DAY + 10 * HOUR)
    house.judged()
    assert house.charged(gone) == (0, 0)
    assert house.charged(one) == (10 * GPU_HOUR, 10 * USD)


def test_lago_front_3489_the_last_unit_of_a_tier_shown_in_the_next() -> None:
    """With 250 units free the page said that 250 units cost what 251 do. Here the bound belongs to the
    tier below it: the last unit that is free is free, the one after it is not.
    """
    house, us = opened((10, 2), (None, 1), free=250)
    one = house.begin(us, at=0)
    house.report(runtime.ReportStopped, one, 250 * HOUR)
    two = house.begin(us, at=250 * HOUR)
    house.report(runtime.ReportStopped, two, 260 * HOUR)
    three = house.begin(us, at=260 * HOUR)
    house.report(runtime.ReportStopped, three, 261 * HOUR)
    house.judged()
    assert [house.charged(each)[1] for each in (one, two, three)] == [0, 20 * USD, USD]
