"""Prepaid use beside tiers and re-ratings: both sets of books, and a wallet that stays above zero."""

from domain import pricebook, runtime
from domain.decider import fold
from domain.price_facts import ReratingDecided, Tier
from tests.museum.house import GPU_HOUR, HOUR, MINUTE, SECOND, USD, Tenant
from tests.property.books_history import stream
from tests.wallet_world import PrepaidHouse

BOOK = stream("pricebook", 1)


def prepaid() -> tuple[PrepaidHouse, Tenant, str]:
    """A tenant with 10 USD, a price of 1 USD and a machine."""
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", USD)
    machine = house.machine(1, "T4")
    house.prepay(us)
    house.grant(us, 10 * USD)
    return house, us, machine


def shaped(tiers: tuple[Tier, ...], whose: str, minimum: int = 0) -> pricebook.Shaped:
    key = (whose, "gpu.time", "T4", "-", "usable", "USD")
    return pricebook.Shaped(*key, 0, GPU_HOUR, 0, tiers, minimum)


def say(house: PrepaidHouse, command: pricebook.Command) -> None:
    facts = pricebook.decide(command, fold(pricebook.DECIDER, house.facts(BOOK)))
    house.append((BOOK, "-", facts))


def test_what_is_prepaid_keeps_the_prices_of_its_holds() -> None:
    """A cheaper book for all time moves nothing of it, neither what was charged nor what is held."""
    house, us, machine = prepaid()
    one = house.begin(us)
    house.lease(machine, 2 * MINUTE)
    say(house, pricebook.PublishBook("b", (shaped((Tier(None, 1),), "default"),), 3 * MINUTE))
    house.append((BOOK, "-", [ReratingDecided(us.account, "b", 1, 0, HOUR, 3 * MINUTE)]))
    house.report(runtime.ReportStopped, one, 4 * MINUTE)
    house.settle(4 * MINUTE + SECOND)
    before = house.charged(one)
    assert before == (4 * MINUTE * 1000, round(4 * USD / 60))
    house.append((BOOK, "-", [ReratingDecided(us.account, "b", 1, 0, HOUR + 1, 5 * MINUTE)]))
    assert house.judged().charged(one) == before


def test_tiers_of_what_is_prepaid_are_met_from_its_hold() -> None:
    """5 minutes of which 2 cost 1 USD an hour and the others 9: held at the dearest, paid exactly."""
    house, us, machine = prepaid()
    tiers = (Tier(2 * MINUTE * 1000, USD), Tier(None, 9 * USD))
    say(house, pricebook.PublishShaped(shaped(tiers, us.account), 0))
    one = house.begin(us)
    for minute in (2, 4):
        house.lease(machine, minute * MINUTE)
    house.report(runtime.ReportStopped, one, 5 * MINUTE)
    house.settle(5 * MINUTE + SECOND)
    house.judged()
    due = round(2 * USD / 60) + 27 * USD // 60
    assert abs(house.charged(one)[1] - due) <= 1
    balances = house.books.balances(us.account)
    assert balances["receivable"].pico == -house.charged(one)[1]
    assert balances["hold"].pico == 0
    assert -balances["wallet"].pico == 10 * USD - house.charged(one)[1]
