"""Regions: what is placed in one is priced by its entries where there are any, else by those of none.
In both sets of books.
"""

from typing import Any

import pytest
from msgspec import structs

from domain import (
    claim,
    explain,
    launch,
    node_facts,
    price_facts,
    pricebook,
    runtime,
    storage,
    together,
    volume,
)
from domain.decider import fold
from domain.errors import DomainError
from tests.museum.house import (
    DAY,
    GPU_HOUR,
    HOUR,
    MINUTE,
    NAME,
    SECOND,
    USD,
    House,
    Tenant,
    instant,
)
from tests.property.books_history import stream
from tests.property.books_judged import refused
from tests.unit.test_verify_books_states import agreed
from tests.wallet_world import PrepaidHouse

BOOK = stream("pricebook", 1)
HERE = "eu-de-1"


def listed(
    house: House, region: str, pico: int, whose: str = "default", since: int = 0,
    meter: str = "gpu.time", model: str = "T4", state: str = "usable",
) -> None:  # fmt: skip
    """An entry per hour of a GPU or a GiB, published as it takes effect."""
    divisor = GPU_HOUR if meter == "gpu.time" else 1024 * HOUR
    of = (whose, meter, model, region, state, "USD")
    command = pricebook.PublishEntry(*of, since, pico, divisor, since)
    said = pricebook.decide(command, fold(pricebook.DECIDER, house.facts(BOOK)))
    house.append((BOOK, "-", said))


def opened(region: str = HERE) -> tuple[PrepaidHouse, Tenant, str]:
    """A tenant, and a machine in the region, where a GPU-hour costs 4 USD anywhere."""
    house = PrepaidHouse()
    us = house.tenant(0)
    listed(house, "-", 4 * USD)
    machine = house.machine(1, "T4")
    house.node_does(machine, claim.SetRegion(region, 0))
    return house, us, machine


def used(house: House, us: Tenant, start: int, end: int) -> tuple[str, int]:
    """A runtime of an hour or so, and what it was charged."""
    one = house.begin(us, at=start)
    house.report(runtime.ReportStopped, one, end)
    return one, house.charged(one)[1]


def test_use_in_a_region_costs_its_price_on_a_verified_invoice() -> None:
    """An hour in a region with a price, one in a region without, one in none: each at its own, and the
    invoice of all three is derived by the auditor to the byte.
    """
    house, us, _ = opened()
    listed(house, HERE, 3 * USD)
    assert used(house, us, 0, HOUR)[1] == 3 * USD
    house.node_does(stream("node", 1), claim.SetRegion("us-va-1", HOUR))
    assert used(house, us, HOUR, 2 * HOUR)[1] == 4 * USD
    house.node_does(stream("node", 1), claim.SetRegion("-", 2 * HOUR))
    assert used(house, us, 2 * HOUR, 3 * HOUR)[1] == 4 * USD
    draft = house.month(us, 1, instant("1970-02-01T00:00:00+00:00"))
    assert [line.amount_pico for line in draft.lines] == [8 * USD, 3 * USD]
    house.judged()


def test_who_pays_comes_before_where_it_is() -> None:
    """The account's own price of the region, else its own of anywhere, else the region's, else that of
    anywhere: each hides those after it from when it takes effect, in the middle of an interval too.
    """
    house, us, _ = opened()
    one = house.begin(us)
    for hours, region, whose in ((1, HERE, "default"), (2, "-", us.account), (3, HERE, us.account)):
        listed(house, region, (4 - hours) * USD, whose, since=hours * HOUR)
    listed(house, HERE, 9 * USD, since=4 * HOUR)
    listed(house, "-", 9 * USD, us.account, since=4 * HOUR)
    house.report(runtime.ReportStopped, one, 5 * HOUR)
    assert house.charged(one) == (5 * GPU_HOUR, (4 + 3 + 2 + 1 + 1) * USD)
    assert house.pieces(one) == [
        (1, start * HOUR, end * HOUR) for start, end in ((0, 1), (1, 2), (2, 3), (3, 5))
    ]
    other = house.tenant(1)
    assert used(house, other, 5 * HOUR, 6 * HOUR)[1] == 9 * USD
    house.judged()


def test_what_runs_stays_in_the_region_that_it_was_placed_in() -> None:
    """A region set, and set again, while something runs and a volume lies there moves neither; what is
    placed afterwards is in the new one.
    """
    house, us, machine = opened()
    house.meter_storage(USD)
    listed(house, HERE, 3 * USD)
    listed(house, "us-va-1", 2 * USD)
    listed(house, "us-va-1", 7 * USD, meter="storage.capacity", model="local", state="existing")
    one, kept = house.begin(us), house.store(us)
    house.volume_says(volume.ReportFormatted, kept, 0, "ext4_loop", 1024 * volume.MIB)
    for region in ("us-va-1", "ap-jp-1", "us-va-1"):
        house.node_does(machine, claim.SetRegion(region, MINUTE))
    house.report(runtime.ReportStopped, one, HOUR)
    assert house.charged(one)[1] == 3 * USD
    assert used(house, us, HOUR, 2 * HOUR)[1] == 2 * USD
    other = house.store(us, at=HOUR)
    house.volume_says(volume.ReportFormatted, other, HOUR, "ext4_loop", 1024 * volume.MIB)
    for name in (kept, other):
        house.does_to(name, volume.Wipe(2 * HOUR))
        house.volume_says(volume.ReportWiped, name, 2 * HOUR, "zero", 1024 * volume.MIB, 1)
    assert [house.charged(name)[1] for name in (kept, other)] == [2 * USD, 7 * USD]
    agreed(house)


def test_prepaid_use_is_held_for_at_the_price_of_its_region() -> None:
    """A fourth of what it would be held for elsewhere; a dearer one published since raises nothing that
    is held, and prices what is held for after it; a region set since does nothing.
    """
    house, us, machine = opened()
    listed(house, HERE, USD)
    house.prepay(us)
    house.grant(us, 4 * USD)
    one = house.begin(us)
    held = house.wallet(us).held_pico
    house.node_does(machine, claim.SetRegion("-", 0))
    usual = house.begin(us)
    assert abs(4 * held - (house.wallet(us).held_pico - held)) <= 4
    listed(house, HERE, 8 * USD, since=MINUTE)
    until = house.wallet(us).holds[one].until_us
    for minute in range(2, 20, 2):
        house.lease(machine, minute * MINUTE)
    for name in (one, usual):
        house.report(runtime.ReportStopped, name, 18 * MINUTE)
    house.settle(18 * MINUTE + SECOND)
    beyond = 18 * MINUTE - until
    assert 0 < beyond < 18 * MINUTE
    assert abs(house.charged(one)[1] - (until + 8 * beyond) * USD // HOUR) <= 1
    assert house.charged(usual)[1] == 4 * 3 * USD // 10
    assert house.wallet(us).balance_pico == 4 * USD - sum(
        house.charged(name)[1] for name in (one, usual)
    )
    agreed(house)


def test_a_launch_needs_a_price_where_its_machine_is() -> None:
    """Nothing is launched where neither the region nor anywhere has a price; a machine of another
    region that has one is found, though the other would be the tighter fit.
    """
    house = House()
    us = house.tenant(0)
    for number, region in ((1, "us-va-1"), (2, HERE)):
        house.machine(number, "T4", gpus=number)
        house.node_does(stream("node", number), claim.SetRegion(region, 0))
    with pytest.raises(DomainError, match=r"price\.none"):
        house.start(us)
    listed(house, HERE, 3 * USD)
    one = house.begin(us)
    live: Any = house.state.runtimes[one].state
    assert live.node == stream("node", 2)
    house.report(runtime.ReportStopped, one, HOUR)
    assert house.charged(one)[1] == 3 * USD
    house.judged()


@pytest.mark.parametrize(
    "region", ["", "EU", "eu_de", "eu-", "-eu", "eu--de", "1eu", "e" * 33, "é"]
)
def test_a_region_is_a_short_name(region: str) -> None:
    """Of a node and of a price; the auditor takes no other either. Twice the same is said once."""
    house, _, machine = opened()
    with pytest.raises(DomainError, match=r"node\.region_invalid"):
        house.node_does(machine, claim.SetRegion(region, 0))
    with pytest.raises(DomainError, match=r"price\.region_invalid"):
        listed(house, region, USD)
    assert house.node_does(machine, claim.SetRegion(HERE, DAY)) == []
    facts, orgs = list(house.history.facts), dict(house.history.orgs)
    said = (machine, f"cmd:{'e' * 64}", node_facts.RegionSet(region, 0))
    assert refused([*facts, said], orgs) == ("books.region", "region")


def test_only_what_is_enrolled_stands_in_a_region() -> None:
    """A node that nobody has enrolled is nowhere, and no word of the platform's changes that."""
    house, _, machine = opened()
    other = stream("node", 9)
    with pytest.raises(DomainError, match=r"node\.unknown"):
        house.node_does(other, claim.SetRegion(HERE, 0))
    facts, orgs = list(house.history.facts), dict(house.history.orgs) | {other: "-"}
    assert machine in orgs
    said = (other, f"cmd:{'e' * 64}", node_facts.RegionSet(HERE, 0))
    assert refused([*facts, said], orgs) == ("books.node", "node")


def wish_in(house: House, us: Tenant, region: str, at: int = 0) -> launch.Launch:
    return structs.replace(house.wish(us, at=at), region=region)


def test_a_launch_that_asks_for_a_region_is_there_or_nowhere() -> None:
    """On the machine of the region though another is the better fit; without room there it is refused
    by that, and every node says why. Its asking is said in the admission, and of that region.
    """
    house = House()
    us = house.tenant(0)
    listed(house, "-", 4 * USD)
    for number, region in ((1, "us-va-1"), (2, HERE), (3, "-")):
        house.machine(number, "T4", gpus=number)
        house.node_does(stream("node", number), claim.SetRegion(region, 0))
    first, wanted = (wish_in(house, us, HERE) for _ in range(2))
    for one in (first, wanted):
        house.emitted(launch.admit(house.state, one))
        live: Any = house.state.runtimes[one.runtime].state
        assert live.node == stream("node", 2)
    with pytest.raises(DomainError, match=r"capacity\.none_fits") as refusal:
        launch.admit(house.state, wish_in(house, us, HERE))
    assert (refusal.value.facts["region"], refusal.value.facts["most_devices"]) == (HERE, 0)
    told = explain.explain(house.state, wish_in(house, us, "us-va-1"))
    assert [(verdict.why, verdict.facts) for verdict in told] == [
        ("chosen", {}), ("region", {"region": HERE}), ("region", {"region": "-"}),
    ]  # fmt: skip
    for rubbish in ("EU", "-", "e" * 33):
        with pytest.raises(DomainError, match=r"launch\.region_invalid"):
            launch.admit(house.state, wish_in(house, us, rubbish))
    house.judged()
    facts, orgs = list(house.history.facts), dict(house.history.orgs)
    [cause] = {cause for name, cause, _ in facts if name == wanted.runtime}
    other = (wanted.runtime, cause, runtime.RegionAsked("us-va-1", 0))
    assert refused([*facts, other], orgs) == ("books.region", "region")
    late = (wanted.runtime, f"cmd:{'e' * 64}", runtime.RegionAsked(HERE, 0))
    assert refused([*facts, late], orgs) == ("books.lifecycle", "stream")


def test_tiers_of_anywhere_count_over_all_regions() -> None:
    """Two free hours of an account are two wherever they are used; those of a region's entry are used
    up in it, and lie beside them.
    """
    house, us, machine = opened()
    tiers = (price_facts.Tier(None, 2 * USD),)
    for region, since in (("-", 0), ("ap-jp-1", 0)):
        key = (us.account, "gpu.time", "T4", region, "usable", "USD", since, GPU_HOUR)
        command = pricebook.PublishShaped(pricebook.Shaped(*key, 2 * GPU_HOUR, tiers, 0), since)
        said = pricebook.decide(command, fold(pricebook.DECIDER, house.facts(BOOK)))
        house.append((BOOK, "-", said))
    due = []
    for number, region in enumerate((HERE, "us-va-1", "-", "ap-jp-1", "ap-jp-1", "ap-jp-1")):
        house.node_does(machine, claim.SetRegion(region, 0))
        due.append(used(house, us, number * HOUR, (number + 1) * HOUR)[1] // USD)
    assert due == [0, 0, 2, 0, 0, 2]
    house.judged()


def test_a_commitment_of_a_region_covers_there_before_one_of_anywhere() -> None:
    """An hour is committed in a region and one anywhere, for 1 USD each: of three hours there and one
    elsewhere two are paid for, in the order of their starts.
    """
    house, us, machine = opened()
    start = instant("1970-02-01T00:00:00+00:00")
    for region in (HERE, "-"):
        key = (us.account, "gpu.time", "T4", region, "usable", "USD")
        commit = pricebook.Commit(*key, start, 2 * start, GPU_HOUR, USD, GPU_HOUR, 0)
        said = pricebook.decide(commit, fold(pricebook.DECIDER, house.facts(BOOK)))
        house.append((BOOK, "-", said))
    house.month(us, 1, start)
    ran = []
    for number, region in enumerate((HERE, "us-va-1", HERE, HERE)):
        house.node_does(machine, claim.SetRegion(region, start))
        ran.append(used(house, us, start + number * HOUR, start + (number + 1) * HOUR)[0])
    assert [house.charged(one)[1] // USD for one in ran] == [0, 0, 4, 4]
    draft = house.month(us, 2, instant("1970-03-01T00:00:00+00:00"))
    assert draft.total_pico == 10 * USD
    house.judged()


def test_a_book_that_a_re_rating_names_comes_before_the_list_of_a_region() -> None:
    """An edition with a price of anywhere moves what the list prices by region, one of another region
    moves nothing, and back again is nothing.
    """
    house, us, _ = opened()
    listed(house, HERE, 3 * USD)
    one, _ = used(house, us, 0, HOUR)
    for book, region in (("far", "us-va-1"), ("fair", "-")):
        entry = pricebook.Shaped(
            *("default", "gpu.time", "T4", region, "usable", "USD", 0, GPU_HOUR, 0),
            *((price_facts.Tier(None, USD),), 0),
        )
        said = pricebook.decide(
            pricebook.PublishBook(book, (entry,), HOUR), fold(pricebook.DECIDER, house.facts(BOOK))
        )
        house.append((BOOK, "-", said))
    for book, due in (("far", 3), ("fair", 1), ("-", 3)):
        again = pricebook.Rerate(us.account, "USD", book, 0, DAY, HOUR)
        said = pricebook.decide(again, fold(pricebook.DECIDER, house.facts(BOOK)))
        house.append((BOOK, "-", said))
        assert house.charged(one)[1] == due * USD
    house.judged()


def test_volumes_and_reservations_that_ask_for_a_region_are_there() -> None:
    """Whatever is emptier elsewhere; where nothing of it is, they are refused. A volume that asks for
    none goes where it has a price.
    """
    house, us, _ = opened()
    house.meter_storage(USD)
    listed(house, HERE, 2 * USD, meter="storage.capacity", model="local", state="existing")
    house.node_does(house.machine(2, "T4"), claim.SetRegion("us-va-1", 0))

    def stored(region: str) -> str:
        name = stream("volume", 90 + len(house.state.volumes))
        wanted = storage.NewVolume(name, us.organization, us.project, NAME, 1024, 0, region=region)
        house.emitted(storage.create(house.state, wanted))
        return house.state.volumes[name].state.created.node

    assert [stored(HERE) for _ in range(3)] == [stream("node", 1)] * 3
    with pytest.raises(DomainError, match=r"volume\.no_node"):
        stored("ap-jp-1")

    def reserved(number: int, devices: int, region: str) -> tuple[str, ...]:
        name = stream("reservation", number)
        ids = (name, us.organization, us.project, "T4")
        wanted = together.Reserve(*ids, devices, HOUR, 0, region)
        house.emitted(together.reserve(house.state, wanted))
        return house.state.reservations[name].made.nodes

    assert reserved(1, 2, "us-va-1") == (stream("node", 2),)
    with pytest.raises(DomainError, match=r"capacity\.none_fits") as refusal:
        reserved(2, 7, "us-va-1")
    assert refusal.value.facts["region"] == "us-va-1"
    assert reserved(2, 14, "") == (stream("node", 1), stream("node", 2))
    for ask in (lambda: stored("EU"), lambda: reserved(3, 1, "EU")):
        with pytest.raises(DomainError, match=r"launch\.region_invalid"):
            ask()
    agreed(house)


def test_a_volume_goes_where_it_has_a_price() -> None:
    """The emptier machine stands where nothing prices volumes."""
    house, us, _ = opened()
    house.meter_storage(USD, since=DAY)
    listed(house, "us-va-1", USD, meter="storage.capacity", model="local", state="existing")
    other = house.machine(2, "T4", gpus=1)
    house.node_does(other, claim.SetRegion("us-va-1", 0))
    kept = [house.store(us) for _ in range(2)]
    assert {house.state.volumes[name].state.created.node for name in kept} == {other}
    with pytest.raises(DomainError, match=r"volume\.no_price"):
        house.store(us, node=stream("node", 1))
    agreed(house)
