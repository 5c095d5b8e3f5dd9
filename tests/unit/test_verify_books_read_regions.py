"""Where what is read is priced: a runtime's by its node, a project's as each reading says. By hand, in
both sets of books.
"""

from typing import Any

from contracts.signing import public_hex
from contracts.usage import Reporter
from domain import meter, node_facts, price_facts, pricebook, project, source
from domain.price_facts import ShapedEntry, Tier
from domain.words import Private
from gpuaas_verify.books import Books
from tests.property.books_history import HOUR_US, ORG, stream
from tests.property.test_readings import outcome
from tests.unit.test_verify_books import MONTH
from tests.unit.test_verify_books_usage import (
    ACCOUNT,
    KEY,
    NODE,
    OTHER,
    PROJECT,
    SOURCE,
    Told,
    a_node,
    reading,
    rows_of,
    said,
)

HERE, BOOK = "eu-de-1", stream("pricebook", 1)
OURS = stream("account", 2)


def world(*names: str, aggregation: str = "sum") -> Told:
    """A meter with these dimensions beside `model`, at 3 pico a unit anywhere and at 2 in a region, 5
    from hour 10 on; an app of one project.
    """
    told = Told()
    for number in (1, 2):
        told.account(number)
        told.period(stream("account", number), number, 1, 0, MONTH)
    made = project.Created(ORG, stream("department", 1), ACCOUNT, Private("0" * 64), 0)
    told.add(PROJECT, made)
    of = ("tok", "token", 1, aggregation, tuple(sorted(("model", *names))), 0)
    told.add(stream("meter", 1), meter.ReadingsRegistered(*of))
    for region, since, pico in (("-", 0, 3), (HERE, 0, 2), (HERE, 10, 5)):
        key = ("default", "tok", "m", region, "read", "USD", since * HOUR_US, 0, pico, 1)
        told.add(BOOK, pricebook.EntryPublished(*key))
    told.add(SOURCE, source.Registered(ORG, PROJECT, public_hex(KEY), ("tok",), 0))
    return told


def lines(told: Told) -> dict[tuple[str, int, str], tuple[int, int]]:
    """(account, pico of the entry, its region) -> quantity and amount; both books say so."""
    outcome(told)
    with Books(None) as books:
        told.feed(books)
        rows = list(books.expected_rows("rated_interval"))
    found: dict[tuple[str, int, str], tuple[int, int]] = {}
    for row in rows:
        fact: Any = told.facts[row["price"]][2]
        pico = fact.tiers[0].price_pico if isinstance(fact, ShapedEntry) else fact.price_pico
        whose = {stream("period", 1): ACCOUNT, stream("period", 2): OURS}[row["period"]]
        line = (row["line_quantity"], row["line_amount_pico"])
        found[whose, pico, fact.region] = line
    return {key: line for key, line in found.items() if any(line)}


def placed(quantity: int, region: str, at: int = 0, **more: Any) -> Any:
    return reading(quantity, at, dimensions={"model": "m", "region": region}, **more)


def test_what_a_runtime_sends_costs_the_price_of_its_region() -> None:
    """The one in which its node stood when it was placed there, at any time since, whoever counted it,
    and whatever the reading calls its region.
    """
    told = world()
    one = a_node(told)
    told.add(NODE, node_facts.RegionSet(HERE, 0))
    other = told.start(2, ACCOUNT, NODE, 0)
    told.add(NODE, node_facts.RegionSet("us-1", 1))
    plain = {"model": "m"}
    sent = [reading(n, 9 * k, resource=of, dimensions=plain) for n, k, of in (
        (1, 0, one), (10, HOUR_US, one), (100, 0, other), (1000, 2 * HOUR_US, other),
    )]  # fmt: skip
    told.seal(said(*sent, of=NODE, key=OTHER))
    told.seal(said(reading(20000, resource=other, dimensions=plain)))
    assert lines(told) == {
        (ACCOUNT, 3, "-"): (11, 33),
        (ACCOUNT, 2, HERE): (20100, 40200),
        (ACCOUNT, 5, HERE): (1000, 5000),
    }
    told = world("region")
    one = a_node(told)
    told.seal(said(placed(7, HERE, resource=one)))
    assert lines(told) == {(ACCOUNT, 3, "-"): (7, 21)}


def test_what_a_project_is_read_costs_the_price_of_the_region_that_is_named() -> None:
    """One line an entry, wherever it prices; where the region has none, or is none, that of anywhere."""
    told = world("region")
    named = ((HERE, 1), ("us-1", 10), ("-", 100), ("EU", 1000), (f"{HERE}-", 20000))
    sent = [placed(quantity, region) for region, quantity in named]
    told.seal(said(*sent, placed(3, HERE, 11 * HOUR_US)))
    assert lines(told) == {
        (ACCOUNT, 2, HERE): (1, 2),
        (ACCOUNT, 3, "-"): (21110, 63330),
        (ACCOUNT, 5, HERE): (3, 15),
    }


def test_without_entries_of_a_region_regions_change_nothing() -> None:
    """A log of before: the same rows, whatever readings and nodes call themselves."""
    found = []
    for region in ("-", HERE):
        told = world("region")
        told.facts = [
            one for one in told.facts
            if not isinstance(one[2], pricebook.EntryPublished) or one[2].region == "-"
        ]  # fmt: skip
        a_node(told)
        told.add(NODE, node_facts.RegionSet(region, 0))
        mine = placed(6, "-", resource=told.start(2, ACCOUNT, NODE, 0))
        told.seal(said(placed(4, region), placed(5, region, 12 * HOUR_US), mine))
        with Books(None) as books:
            told.feed(books)
            found.append(list(books.expected_rows("rated_interval")))
    assert found[0] == found[1] != []


def test_the_most_of_each_region_stands_and_a_later_one_takes_its_place() -> None:
    """Each region is a group of its own; what is replaced leaves the line of its own entry."""
    for aggregation, left in (("max", (9, 8)), ("last", (4, 8))):
        told = world("region", aggregation=aggregation)
        reporter = Reporter(KEY, SOURCE, 1)
        for quantity, region, hour in (
            *((6, HERE, 1), (8, "-", 2)), *((9, HERE, 12), (4, HERE, 13)),
        ):  # fmt: skip
            told.seal(rows_of(reporter.batch((placed(quantity, region, hour * HOUR_US),))))
        assert lines(told) == {
            (ACCOUNT, 5, HERE): (left[0], 5 * left[0]),
            (ACCOUNT, 3, "-"): (left[1], 3 * left[1]),
        }


def test_a_level_is_cut_where_an_entry_of_its_region_takes_effect() -> None:
    """At hour 10 there, nowhere elsewhere; moved by a book it is as if read under it, and back."""
    told = world("region", aggregation="time-weighted")
    sent = [placed(2, region, 9 * HOUR_US, to=12 * HOUR_US) for region in (HERE, "us-1")]
    told.seal(said(*sent))
    listed = {
        (ACCOUNT, 2, HERE): (2 * HOUR_US, 4 * HOUR_US),
        (ACCOUNT, 5, HERE): (4 * HOUR_US, 20 * HOUR_US),
        (ACCOUNT, 3, "-"): (6 * HOUR_US, 18 * HOUR_US),
    }
    assert lines(told) == listed
    key = ("b", 1, "default", "tok", "m", "us-1", "read", "USD")
    told.add(BOOK, ShapedEntry(*key, 11 * HOUR_US, 0, 1, 0, (Tier(None, 7),), 0))
    told.book("b", 1, 1)
    told.rerate(ACCOUNT, "b", 1, 0, MONTH)
    assert lines(told) == {
        **listed,
        (ACCOUNT, 3, "-"): (4 * HOUR_US, 12 * HOUR_US),
        (ACCOUNT, 7, "us-1"): (2 * HOUR_US, 14 * HOUR_US),
    }
    told.rerate(ACCOUNT, "-", 0, 0, MONTH)
    assert lines(told) == listed


def test_what_stands_goes_to_the_entry_of_its_own_region() -> None:
    """Where a book has one there it is charged by it, and what replaces it takes it from there."""
    told = world("region", aggregation="max")
    reporter = Reporter(KEY, SOURCE, 1)
    told.seal(rows_of(reporter.batch((placed(6, "us-1", HOUR_US), placed(5, "-", HOUR_US)))))
    key = ("b", 1, "default", "tok", "m", "us-1", "read", "USD")
    told.add(BOOK, ShapedEntry(*key, 0, 0, 1, 0, (Tier(None, 7),), 0))
    told.book("b", 1, 1)
    told.rerate(ACCOUNT, "b", 1, 0, 2 * HOUR_US)
    assert lines(told) == {(ACCOUNT, 7, "us-1"): (6, 42), (ACCOUNT, 3, "-"): (5, 15)}
    told.seal(rows_of(reporter.batch((placed(8, "us-1", 3 * HOUR_US),))))
    assert lines(told) == {(ACCOUNT, 3, "-"): (13, 39)}


def test_commitments_cover_what_entries_of_their_region_priced() -> None:
    """Of a project; one of anywhere covers what is left of all. Of a runtime: what it sent, by whatever
    entry.
    """
    told = world("region")
    one = a_node(told)
    told.add(NODE, node_facts.RegionSet("us-1", 0))
    other = told.start(2, ACCOUNT, NODE, 0)
    for region, quantity in ((HERE, 10), ("us-1", 3), ("-", 4)):
        made = price_facts.CommitmentMade(
            *(ACCOUNT, "tok", "m", region, "read", "USD", 0, MONTH, quantity, 1, 1, 0)
        )
        told.add(BOOK, made)
    told.seal(said(placed(12, HERE), placed(20, "us-1")))
    told.seal(
        said(placed(7, "-", resource=one), placed(5, "-", resource=other), of=NODE, key=OTHER)
    )
    with Books(None) as books:
        told.feed(books)
        due: dict[tuple[str, int], int] = {}
        for row in books.expected_rows("rated_interval"):
            due[row["resource"], row["price"]] = row["line_amount_pico"]
    outcome(told)
    anywhere, here, _ = (n for n, (where, *_) in enumerate(told.facts) if where == BOOK and n < 9)
    assert due == {
        (PROJECT, anywhere): (20 - 4) * 3,  # published first, so it takes what counts everywhere
        (PROJECT, here): (12 - 10) * 2,
        (one, anywhere): 7 * 3,
        (other, anywhere): (5 - 3) * 3,
    }


def test_each_source_is_charged_to_its_own_account_in_one_seal() -> None:
    """Two of one project, registered before and after it moved to another account: a seal has both, and
    the first one's line does not take the second one's readings.
    """
    told = world("region")
    told.move(PROJECT, 2, OURS, HOUR_US)
    new = stream("source", 2)
    told.add(new, source.Registered(ORG, PROJECT, public_hex(OTHER), ("tok",), 0))
    before = said(placed(3, HERE, 5), placed(4, "-", 5))
    after = said(placed(30, HERE, 5), placed(40, "-", 5), of=new, key=OTHER)
    told.seal([*before, *after])
    assert lines(told) == {
        (ACCOUNT, 2, HERE): (3, 6), (ACCOUNT, 3, "-"): (4, 12),
        (OURS, 2, HERE): (30, 60), (OURS, 3, "-"): (40, 120),
    }  # fmt: skip
