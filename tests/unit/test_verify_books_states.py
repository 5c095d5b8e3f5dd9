"""Spot: its own price, and the first to go when a claim takes back what is lent; what a stopped runtime
keeps: its volumes. In both sets of books.
"""

import pytest
from msgspec import structs

from domain import launch, lending, pricebook, runtime, volume
from domain.decider import fold
from domain.errors import DomainError
from domain.placing import Mount
from gpuaas_verify.books import Books
from tests.museum.house import DAY, GPU_HOUR, HOUR, MINUTE, SECOND, USD, Tenant
from tests.property.books_history import stream
from tests.property.books_judged import refused
from tests.wallet_world import PrepaidHouse

BOOK = stream("pricebook", 1)


def opened() -> tuple[PrepaidHouse, Tenant, str]:
    """A tenant and a machine, where a GPU-hour costs 4 USD."""
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", 4 * USD)
    return house, us, house.machine(1, "T4")


def at_one(house: PrepaidHouse) -> None:
    """1 USD as spot."""
    key = ("default", "gpu.time", "T4", "-", "spot", "USD")
    command = pricebook.PublishEntry(*key, 0, USD, GPU_HOUR, 0)
    said = pricebook.decide(command, fold(pricebook.DECIDER, house.facts(BOOK)))
    house.append((BOOK, "-", said))


def begun(house: PrepaidHouse, us: Tenant, at: int = 0) -> str:
    """A spot runtime, usable at once."""
    wanted = structs.replace(house.wish(us, at=at), spot=True)
    house.emitted(launch.admit(house.state, wanted))
    house.report(runtime.ReportUsable, wanted.runtime, at)
    return wanted.runtime


def agreed(house: PrepaidHouse) -> None:
    """The auditor derives every row that the platform has."""
    with Books(None) as books:
        house.history.feed(books)
        for table, rows in house.rows.items():
            derived = [list(row.values())[1:] for row in books.expected_rows(table)]
            assert derived == [list(structs.astuple(row)) for row in rows]


def test_spot_costs_its_own_price_beside_others() -> None:
    """An hour of each; the price of the one is not the other's, and without one nothing is launched."""
    house, us, _ = opened()
    wanted = structs.replace(house.wish(us), spot=True)
    with pytest.raises(DomainError, match=r"price\.none"):
        launch.admit(house.state, wanted)
    at_one(house)
    reserved = structs.replace(wanted, reservation=stream("reservation", 1))
    with pytest.raises(DomainError, match=r"launch\.spot_reserved"):
        launch.admit(house.state, reserved)
    spot, usual = begun(house, us), house.begin(us)
    for one in (spot, usual):
        house.report(runtime.ReportStopped, one, HOUR)
    assert house.charged(spot) == (GPU_HOUR, USD)
    assert house.charged(usual) == (GPU_HOUR, 4 * USD)
    agreed(house)


def test_prepaid_spot_is_held_for_at_its_own_price() -> None:
    """A fourth of what the same would be held for otherwise; paid to the pico."""
    house, us, machine = opened()
    at_one(house)
    house.prepay(us)
    house.grant(us, USD)
    spot = begun(house, us)
    held = house.wallet(us).held_pico
    usual = house.begin(us)
    assert abs(4 * held - (house.wallet(us).held_pico - held)) <= 4
    for minute in (2, 4):
        house.lease(machine, minute * MINUTE)
    for one in (spot, usual):
        house.report(runtime.ReportStopped, one, 5 * MINUTE)
    house.settle(5 * MINUTE + SECOND)
    assert house.wallet(us).balance_pico == USD - house.charged(spot)[1] - house.charged(usual)[1]
    assert abs(4 * house.charged(spot)[1] - house.charged(usual)[1]) <= 4
    agreed(house)


def test_a_claim_takes_spot_first() -> None:
    """Of two projects that borrow the older is spot: it is named, and the newer one only with it."""
    house, us, _ = opened()
    at_one(house)
    department = stream("department", 0)
    other = house.add_project(7, us.organization, us.account)
    away = stream("department", 7)
    for scope, parent, sure, lends in (
        (us.organization, "", 8000, 0), (department, us.organization, 0, 0),
        (away, us.organization, 8000, 8000), (other, away, 8000, 8000),
    ):  # fmt: skip
        share = lending.SetShare(scope, parent, "T4", sure, lends, 8000, 0)
        house.emitted(launch.set_limit(house.state, us.organization, share))
    first = begun(house, us, at=0)
    rest = [house.begin(us, at=MINUTE * n) for n in range(1, 8)]
    claims = [lending.Claim(other, "T4", milli, HOUR, DAY, 9 * MINUTE) for milli in (1000, 2000)]
    [emit] = house.emitted(launch.set_limit(house.state, us.organization, claims[0]))
    named = emit.facts[-1]
    assert isinstance(named, lending.ReclaimDecided)
    assert named.runtimes == (first,)
    agreed(house)
    [emit] = house.emitted(launch.set_limit(house.state, us.organization, claims[1]))
    more = emit.facts[-1]
    assert isinstance(more, lending.ReclaimDecided)
    assert more.runtimes == (rest[-1],)
    agreed(house)


def test_spot_is_said_in_the_admission_and_nowhere_else() -> None:
    """Neither in a later append nor of what is usable; the platform has no way to say it then."""
    house, us, _ = opened()
    at_one(house)
    one = house.start(us)
    facts, orgs = list(house.history.facts), dict(house.history.orgs)
    [cause] = {cause for name, cause, _ in facts if name == one}
    late = (one, f"cmd:{'e' * 64}", runtime.Spot(0))
    assert refused([*facts, late], orgs) == ("books.lifecycle", "stream")
    house.report(runtime.ReportUsable, one, 0)
    same = (one, cause, runtime.Spot(0))
    assert refused([*house.history.facts, same], orgs) == ("books.lifecycle", "stream")
    with pytest.raises(DomainError, match=r"runtime\.not_possible"):
        house.does(one, runtime.GoFirst(MINUTE))


def test_a_stopped_runtime_costs_its_storage_and_nothing_else() -> None:
    """An hour with a volume of 1 GiB, then two hours stopped: its own time ends, the volume's goes on at
    the same price, attached or not.
    """
    house, us, _ = opened()
    house.meter_storage(USD)
    kept = house.store(us)
    house.volume_says(volume.ReportFormatted, kept, 0, "ext4_loop", 1024 * volume.MIB)
    wanted = structs.replace(house.wish(us), volumes=(Mount(kept, "/data"),))
    house.emitted(launch.admit(house.state, wanted))
    house.report(runtime.ReportUsable, wanted.runtime, 0)
    house.report(runtime.ReportStopped, wanted.runtime, HOUR)
    house.does_to(kept, volume.Wipe(2 * HOUR))
    house.volume_says(volume.ReportWiped, kept, 3 * HOUR, "zero", 1024 * volume.MIB, 1)
    assert house.charged(wanted.runtime) == (GPU_HOUR, 4 * USD)
    assert house.charged(kept) == (3 * HOUR * 1024, 3 * USD)
    agreed(house)
