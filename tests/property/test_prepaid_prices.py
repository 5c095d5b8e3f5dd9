"""Prepaid use beside tiers and re-ratings: both sets of books, and a wallet that stays above zero."""

import pytest

from domain import pricebook, runtime, volume
from domain.decider import fold
from domain.price_facts import Rerated, ReratingDecided, Tier
from tests.museum.house import DAY, GPU_HOUR, HOUR, MINUTE, SECOND, USD, Tenant
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


def test_a_decision_of_earlier_releases_leaves_what_is_prepaid_at_the_prices_of_its_holds() -> None:
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


def book(house: PrepaidHouse, name: str, pico: int) -> None:
    say(house, pricebook.PublishBook(name, (shaped((Tier(None, pico),), "default"),), 3 * MINUTE))


def rerate(house: PrepaidHouse, us: Tenant, name: str, at: int, until: int = HOUR) -> None:
    edition = 0 if name == "-" else 1
    house.append((BOOK, "-", [Rerated(us.account, name, edition, 0, until, at)]))
    house.settle(at)


def spent(house: PrepaidHouse, us: Tenant) -> int:
    return 10 * USD + house.books.balances(us.account)["wallet"].pico


def test_a_re_rating_gives_back_what_was_prepaid_too_much() -> None:
    """A quarter of the price, decided after its hold was released: the difference goes back to the
    lot that it came from, once, and the auditor agrees.
    """
    house, us, machine = prepaid()
    one = house.begin(us)
    house.lease(machine, 2 * MINUTE)
    house.report(runtime.ReportStopped, one, 4 * MINUTE)
    house.settle(4 * MINUTE + SECOND)
    assert spent(house, us) == round(4 * USD / 60)
    book(house, "b", USD // 4)
    for at in (5, 6):
        rerate(house, us, "b", at * MINUTE)
        assert house.charged(one) == (4 * MINUTE * 1000, round(USD / 60))
        assert spent(house, us) == round(USD / 60)
        assert house.books.balances(us.account)["receivable"].pico == -round(USD / 60)
    [lot] = house.wallet(us).lots.values()
    assert lot.left_pico == 10 * USD - round(USD / 60)
    house.judged()


def test_a_re_rating_makes_nothing_dearer_that_is_prepaid() -> None:
    """A book of twice the price moves none of it, charged or held, while what comes after is held at it;
    one of half the price, then the dear one again: at most what was held. What it was given back
    after the release of its hold and costs again then stays in `receivable`.
    """
    house, us, machine = prepaid()
    book(house, "dear", 2 * USD)
    book(house, "half", USD // 2)
    one = house.begin(us)
    house.lease(machine, 2 * MINUTE)
    rerate(house, us, "dear", 3 * MINUTE)
    house.report(runtime.ReportStopped, one, 4 * MINUTE)
    house.settle(4 * MINUTE + SECOND)
    assert spent(house, us) == round(4 * USD / 60)
    rerate(house, us, "half", 5 * MINUTE)
    assert spent(house, us) == round(2 * USD / 60)
    rerate(house, us, "dear", 6 * MINUTE)
    assert house.charged(one) == (4 * MINUTE * 1000, round(4 * USD / 60))
    assert spent(house, us) == round(2 * USD / 60)
    rerate(house, us, "half", 7 * MINUTE)
    rerate(house, us, "-", 8 * MINUTE)
    assert house.charged(one)[1] == round(4 * USD / 60)
    assert house.judged().books.prepayments.settlements() == []


def test_what_is_held_is_charged_at_a_lower_price_from_the_decision_on() -> None:
    """While it runs, in the middle of what is held: its part before stays, what it is held for costs less."""
    house, us, machine = prepaid()
    book(house, "half", USD // 2)
    one = house.begin(us)
    house.lease(machine, 2 * MINUTE)
    rerate(house, us, "half", 3 * MINUTE, until=2 * MINUTE)
    house.report(runtime.ReportStopped, one, 4 * MINUTE)
    house.settle(4 * MINUTE + SECOND)
    house.judged()
    assert house.charged(one)[0] == 4 * MINUTE * 1000
    assert abs(house.charged(one)[1] - 3 * USD // 60) <= 1
    assert spent(house, us) == house.charged(one)[1]


@pytest.mark.parametrize("hours", [(3,), (6 * 24,), (7 * 24 + 1,), (8 * 24,), (3, 6 * 24, 8 * 24)])
def test_a_prepaid_volume_is_re_rated_within_its_hold(hours: tuple[int, ...]) -> None:
    """While it is held, locked, held again, or wiped: at half the price for all time, and back; the
    auditor follows, and what was met of it beyond that is back in the wallet.
    """
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", USD)
    house.meter_storage(USD)
    house.machine(1, "T4")
    house.prepay(us)
    house.grant(us, 200 * USD)
    name = house.store(us)
    house.volume_says(volume.ReportFormatted, name, 0, "ext4_loop", 1024 * volume.MIB)
    key = ("default", "storage.capacity", "local", "-", "existing", "USD")
    entry = pricebook.Shaped(*key, 0, 1024 * HOUR, 0, (Tier(None, USD // 2),), 0)
    say(house, pricebook.PublishBook("b", (entry,), 0))

    def passing(at: int) -> None:
        if at in hours:
            for book in ("b", "-", "b"):
                edition = 0 if book == "-" else 1
                decided = Rerated(us.account, book, edition, 0, 30 * DAY, at * HOUR)
                house.append((BOOK, "-", [decided]))
                house.settle(at * HOUR)
                house.judged()

    for hour in range(3, 6 * 24 + 1, 3):
        house.keep_volumes(hour * HOUR)
        house.settle(hour * HOUR)
        passing(hour)
    house.grant(us, 400 * USD, at=7 * DAY)
    house.keep_volumes(7 * DAY)
    passing(7 * 24 + 1)
    house.does_to(name, volume.Wipe(7 * DAY + 2 * HOUR))
    house.volume_says(volume.ReportWiped, name, 8 * DAY, "zero", 1024 * volume.MIB, 1)
    house.settle(8 * DAY)
    passing(8 * 24)
    house.judged()
    balances = house.books.balances(us.account)
    assert balances["hold"].pico == 0
    assert balances["wallet"].pico == -house.wallet(us).balance_pico
    assert -balances["wallet"].pico <= 600 * USD - house.charged(name)[1]


def test_what_is_met_is_not_met_again() -> None:
    """A charge is settled once, though its hold goes on; a new price that is the old one moves and
    settles nothing.
    """
    house, us, machine = prepaid()
    book(house, "same", USD)
    one = house.begin(us)
    house.lease(machine, 2 * MINUTE)
    house.report(runtime.ReportDegraded, one, 3 * MINUTE)
    assert house.settle(3 * MINUTE) == 1
    assert house.settle(4 * MINUTE) == 0
    rerate(house, us, "same", 5 * MINUTE)
    assert house.settle(5 * MINUTE) == 0
    house.judged()
