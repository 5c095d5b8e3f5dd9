"""What a re-rating moves of readings and of prepaid use, and pools settled in parts: by hand."""

from random import Random
from typing import Any

from msgspec import structs

from contracts.signing import public_hex
from domain import meter, pricebook, project, runtime, source
from domain.decider import fold
from domain.price_facts import Rerated, ShapedEntry, Tier
from domain.wallet_facts import ChargeRecovered
from domain.words import Private
from gpuaas_verify.books import Books
from gpuaas_verify.books_pools import Pools
from gpuaas_verify.books_prices import graduated
from gpuaas_verify.books_spill import Spill
from tests.museum.house import GPU_HOUR, HOUR, MINUTE, SECOND, USD, Tenant
from tests.property.books_history import HOUR_US, ORG, stream
from tests.property.books_judged import refused
from tests.unit.test_verify_books import MONTH
from tests.unit.test_verify_books_usage import (
    ACCOUNT,
    KEY,
    PROJECT,
    SOURCE,
    Told,
    reading,
    said,
)
from tests.wallet_world import PrepaidHouse

type Moved = tuple[str, int, int, int, int, int]
BOOK = stream("pricebook", 1)


def world(*aggregations: str) -> Told:
    """A meter of each aggregation at 3 pico, in a book at 1 from hour 4 on and at 2 from hour 8."""
    told = Told()
    told.account(1)
    told.period(ACCOUNT, 1, 1, 0, 20 * HOUR_US)
    told.period(ACCOUNT, 2, 2, 20 * HOUR_US, MONTH)
    made = project.Created(ORG, stream("department", 1), ACCOUNT, Private("0" * 64), 0)
    told.add(PROJECT, made)
    for number, name in enumerate(aggregations, 1):
        counted = meter.ReadingsRegistered(name, "x", 1, name, ("model", "zone"), 0)
        told.add(stream("meter", number), counted)
        key = ("default", name, "m", "-", "read", "USD")
        told.add(BOOK, pricebook.EntryPublished(*key, 0, 0, 3, 1))
        for effective, pico in ((4, 1), (8, 2)):
            tiers = (Tier(None, pico),)
            told.add(BOOK, ShapedEntry("b", 1, *key, effective * HOUR_US, 0, 1, 0, tiers, 0))
    told.book("b", 1, 2 * len(aggregations))
    told.add(SOURCE, source.Registered(ORG, PROJECT, public_hex(KEY), aggregations, 0))
    return told


def moves(told: Told, cause: int) -> list[Moved]:
    """(meter, pico of the entry, start and end in hours, signed quantity, amount of the line)."""
    with Books(None) as books:
        told.feed(books)
        rows = [row for row in books.expected_rows("rated_interval") if row["cause"] == cause]
    found = []
    for row in rows:
        fact: Any = told.facts[row["price"]][2]
        pico = fact.tiers[0].price_pico if isinstance(fact, ShapedEntry) else fact.price_pico
        times = (row["start_us"] // HOUR_US, -(-row["end_us"] // HOUR_US))
        quantity = row["sign"] * row["quantity"]
        found.append((row["meter"], pico, *times, quantity, row["line_amount_pico"]))
    return found


def test_sums_move_by_line_in_the_range_only() -> None:
    """At hours 1 to 9, 5 to 9 of which are in the range; those before hour 4 the book has no price for."""
    told = world("sum")
    told.seal(said(*(reading(n, n * HOUR_US, meter="sum") for n in (1, 3, 5, 6, 8, 9, 21))))
    none = told.rerate(ACCOUNT, "b", 1, 0, 4 * HOUR_US)
    first = told.rerate(ACCOUNT, "b", 1, 5 * HOUR_US, 9 * HOUR_US + 1)
    again = told.rerate(ACCOUNT, "b", 1, 5 * HOUR_US, 9 * HOUR_US + 1)
    rest = told.rerate(ACCOUNT, "b", 1, 0, MONTH)
    assert moves(told, none) == moves(told, again) == []
    # 1 + 3 + 5 + 6 + 8 + 9 = 32 at 3.
    assert moves(told, first) == [
        ("sum", 3, 5, 7, -11, 63), ("sum", 1, 5, 7, 11, 11),
        ("sum", 3, 8, 10, -17, 12), ("sum", 2, 8, 10, 17, 34),
    ]  # fmt: skip
    assert moves(told, rest) == [("sum", 3, 21, 22, -21, 0), ("sum", 2, 21, 22, 21, 42)]
    back = told.rerate(ACCOUNT, "-", 0, 0, MONTH)
    assert [row[:2] + row[4:] for row in moves(told, back)] == [
        ("sum", 1, -11, 0), ("sum", 3, 11, 45), ("sum", 2, -17, 0), ("sum", 3, 17, 96),
        ("sum", 2, -21, 0), ("sum", 3, 21, 63),
    ]  # fmt: skip


def test_levels_are_cut_at_entries_periods_and_the_range() -> None:
    """A level of 2 from hour 3 to 23, moved from hour 6 to 22."""
    told = world("time-weighted")
    told.seal(said(reading(2, 3 * HOUR_US, 23 * HOUR_US, meter="time-weighted")))
    cause = told.rerate(ACCOUNT, "b", 1, 6 * HOUR_US, 22 * HOUR_US)
    hours = [(*row[1:4], row[4] // HOUR_US) for row in moves(told, cause)]
    assert hours == [
        (3, 6, 8, -4), (1, 6, 8, 4), (3, 8, 20, -24), (2, 8, 20, 24), (3, 20, 22, -4), (2, 20, 22, 4),
    ]  # fmt: skip


def test_what_stands_moves_and_gives_way_from_where_it_is_then() -> None:
    """The largest of hour 5 moves; a larger one of hour 6 takes its place at the book's price."""
    told = world("max", "last")
    at = 5 * HOUR_US
    some = [reading(n, at, meter=name) for name in ("max", "last") for n in (7, 4)]
    told.seal(said(*some))
    cause = told.rerate(ACCOUNT, "b", 1, 0, MONTH)
    again = told.rerate(ACCOUNT, "b", 1, 0, MONTH)
    assert moves(told, cause) == [
        ("last", 3, 5, 6, -7, 0), ("last", 1, 5, 6, 7, 7), ("max", 3, 5, 6, -7, 0), ("max", 1, 5, 6, 7, 7),
    ]  # fmt: skip
    assert moves(told, again) == []
    more = said(*some, reading(9, 6 * HOUR_US, meter="max"))[4:]
    later = told.seal(more)
    assert moves(told, later) == [("max", 1, 6, 7, 2, 9)]


def test_a_decision_of_the_first_kind_fixes_what_was_read_before_it() -> None:
    """Of each aggregation; what comes after it moves on."""
    told = world("sum", "max")
    both = [reading(4, n * HOUR_US, meter=name) for n in (5, 21) for name in ("sum", "max")]
    rows = said(*both)
    for part in (rows[:2], rows[2:]):
        part[-1] = {**rows[-1], **part[-1]}
    told.seal(said(*both[:2]))
    told.rerate(ACCOUNT, "b", 1, 0, 1, first=True)
    second = said(*both)[2:]
    told.seal(second)
    cause = told.rerate(ACCOUNT, "b", 1, 0, MONTH)
    assert [row[:3] for row in moves(told, cause)] == [
        ("max", 3, 21), ("max", 2, 21), ("sum", 3, 21), ("sum", 2, 21),
    ]  # fmt: skip


def prepaid() -> tuple[PrepaidHouse, Tenant, str, str]:
    """A runtime that ended after 4 minutes at 1 USD an hour, settled, its hold released."""
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", USD)
    machine = house.machine(1, "T4")
    house.prepay(us)
    house.grant(us, 10 * USD)
    one = house.begin(us)
    house.lease(machine, 2 * MINUTE)
    house.report(runtime.ReportStopped, one, 4 * MINUTE)
    house.settle(4 * MINUTE + SECOND)
    return house, us, machine, one


def agreed(house: PrepaidHouse) -> None:
    """The auditor derives every row that the platform has."""
    with Books(None) as books:
        house.history.feed(books)
        for table, rows in house.rows.items():
            derived = [list(row.values())[1:] for row in books.expected_rows(table)]
            assert derived == [list(structs.astuple(row)) for row in rows]


def publish(
    house: PrepaidHouse, name: str, tiers: tuple[Tier, ...], free: int = 0, minimum: int = 0
) -> None:
    entry = pricebook.Shaped(
        *("default", "gpu.time", "T4", "-", "usable", "USD", 0, GPU_HOUR, free, tiers, minimum)
    )
    command = pricebook.PublishBook(name, (entry,), 3 * MINUTE)
    state = fold(pricebook.DECIDER, house.facts(BOOK))
    house.append((BOOK, "-", pricebook.decide(command, state)))


def rerate(house: PrepaidHouse, us: Tenant, name: str, start: int = 0, end: int = HOUR) -> None:
    edition = 0 if name == "-" else 1
    house.append((BOOK, "-", [Rerated(us.account, name, edition, start, end, 5 * MINUTE)]))
    house.settle(5 * MINUTE)


def cents(house: PrepaidHouse, one: str) -> int:
    """Hundredths of what the 4 minutes cost at the price of their hold."""
    return round(house.charged(one)[1] * 100 / (4 * USD / 60))


def test_prepaid_use_moves_where_no_unit_is_dearer() -> None:
    """Cheaper, in parts of its time; not to a dearer tier, nor a minimum, nor from the first free units."""
    house, us, _, one = prepaid()
    publish(house, "half", (Tier(None, USD // 2),))
    publish(house, "dear", (Tier(1, 1), Tier(None, USD + 1)))
    publish(house, "floor", (Tier(None, 1),), minimum=1)
    publish(house, "same", (Tier(1, USD), Tier(None, USD)))
    for name, start, end, due in (
        ("half", HOUR, 2 * HOUR, 100), ("dear", 0, HOUR, 100), ("floor", 0, HOUR, 100),
        ("half", MINUTE, 3 * MINUTE, 75), ("half", 0, HOUR, 50), ("dear", 0, HOUR, 100),
        ("same", 0, HOUR, 100), ("half", 0, HOUR, 50), ("-", 0, HOUR, 100),
    ):  # fmt: skip
        rerate(house, us, name, start, end)
        assert cents(house, one) == due, name
        agreed(house)


def test_what_is_held_at_free_units_or_tiers_moves_only_to_what_is_no_dearer_than_the_cheapest() -> (
    None
):
    """Held at tiers of 2 and 1 USD: 1 USD is no dearer, 1.5 is; with free units nothing is but nothing."""
    for free, name, moves_it in (
        (0, "one", True),
        (0, "more", False),
        (1, "one", False),
        (1, "nil", True),
    ):
        house = PrepaidHouse()
        us = house.tenant(0)
        tiers = (Tier(MINUTE * 1000, 2 * USD), Tier(None, USD))
        entry = ("default", "gpu.time", "T4", "-", "usable", "USD", 0, 0, GPU_HOUR, free, tiers, 0)
        house.append((BOOK, "-", [ShapedEntry("-", 0, *entry)]))
        house.machine(1, "T4")
        house.prepay(us)
        house.grant(us, 10 * USD)
        for book, pico in (("one", USD), ("more", USD * 3 // 2), ("nil", 0)):
            publish(house, book, (Tier(None, pico),))
        one = house.begin(us)
        rerate(house, us, name)
        house.report(runtime.ReportStopped, one, 4 * MINUTE)
        house.settle(6 * MINUTE)
        due = {"one": 4 * USD // 60, "nil": 0}.get(name) if moves_it else 5 * USD // 60
        assert abs(house.charged(one)[1] - (due or 0)) < USD // 1000
        agreed(house)


def test_what_only_a_book_prices_stays_when_the_list_is_decided_again() -> None:
    """Held by a book that prices for everybody what the list does not."""
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", 9 * USD)
    house.machine(1, "T4")
    house.prepay(us)
    house.grant(us, 10 * USD)
    publish(house, "one", (Tier(None, USD),))
    rerate(house, us, "one", 0, 2 * MINUTE)
    one = house.begin(us)
    rerate(house, us, "-")
    house.report(runtime.ReportStopped, one, 4 * MINUTE)
    house.settle(6 * MINUTE)
    assert abs(house.charged(one)[1] - (2 * USD + 18 * USD) // 60) < 3
    agreed(house)


def test_what_was_given_back_is_not_taken_again() -> None:
    """After the release of its hold a runtime gives back what it costs less; when it costs more again
    nothing may be taken for it.
    """
    house, us, _, one = prepaid()
    publish(house, "half", (Tier(None, USD // 2),))
    rerate(house, us, "half")
    where, cause, back = house.history.facts[-1]
    assert isinstance(back, ChargeRecovered)
    assert abs(back.recovered_pico + 2 * USD // 60) <= 1
    purse = house.wallet(us)
    assert purse.balance_pico == 10 * USD - house.charged(one)[1]
    rerate(house, us, "-")
    again = ChargeRecovered(one, 5, 0, HOUR, purse.balance_pico - 5, 0)
    orgs = dict(house.history.orgs)
    facts = list(house.history.facts)
    assert not isinstance(facts[-1][2], ChargeRecovered)
    assert refused([*facts, (where, cause, again)], orgs) == ("books.hold", "recovered_pico")
    agreed(house)


def test_a_pool_settled_where_it_has_moved_is_a_pool_settled_whole() -> None:
    """By every cause of some hundreds, in any order, with what is committed anywhere and in a region, and
    below zero.
    """
    key = ("gpu.time", "T4", "-", "usable", "USD", "period-1")
    entries: list[list[Any]] = [
        [0, 0, 13, 3, None],
        [0, 1, 13, 3, [0, [[None, 7]], 3]],
        [0, 2, 13, 3, [40, [[100, 50], [300, 20], [None, 5]], 0]],
    ]
    for seed, covers in enumerate(
        ({}, {}, {"-": 500}, {"-": 3_000}, {"eu": 300, "us": 90, "-": 200})
    ):
        random, pools = Random(seed), Pools(Spill(None))
        places = [(random.randrange(20), f"r{n}", random.randrange(3)) for n in range(40)]
        where = {place: ("eu", "-", "ap")[int(place[1][1:]) % 3] for place in places}
        quantities: dict[tuple[int, str, int], int] = {}
        amounts: dict[tuple[int, str, int], int] = {}
        for number in range(160):
            for place in random.sample(places, random.choice((1, 1, 3))):
                more = random.randrange(-20, 60)
                low = -9 if number > 140 else 0
                more = max(more, low - quantities.get(place, 0))
                quantities[place] = quantities.get(place, 0) + more
                about: list[Any] = [place[0], place[1], "project-1", False, False, where[place]]
                pools.add("account-1", key, covers, 0, entries[place[2]], about, more)
            for _, _, _, line, moved in pools.settle():
                place = (line[0], line[1], line[2])
                amounts[place] = amounts.get(place, 0) + moved
                assert (line[3], line[4]) == (quantities[place], amounts[place])
                assert moved
            here, left, used = covers.get("eu", 0), covers.get("-", 0), [0, 0, 0]
            for place in sorted(quantities):
                above = quantities[place]
                if where[place] == "eu" and "eu" in covers:
                    own = min(here, above)
                    here, above = here - own, above - own
                covered = min(left, above)
                left, above = left - covered, above - covered
                due = graduated(entries[place[2]], used[place[2]], above)
                used[place[2]] += above
                assert amounts.get(place, 0) == due
