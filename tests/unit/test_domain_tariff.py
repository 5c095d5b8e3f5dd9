"""What prices what, by hand: entries and their shapes, what is held, what a re-rating may move."""

from typing import Any

import pytest

from domain import pricebook, runtime
from domain.cover import Cover, begun, extend, first, most, quote
from domain.errors import DomainError
from domain.node_facts import RegionSet
from domain.price_facts import BookPublished, CommitmentMade, Rerated, ShapedEntry, Tier
from domain.tariff import (
    NEVER,
    Commitment,
    Price,
    Shape,
    Tariff,
    cost,
    gpu_scope,
    least,
    lowered,
    price_of,
    storage_scope,
)
from tests.unit.domain_world import NAME, enrolled, word
from tests.unit.test_domain_money import Told

KEY = ("default", "gpu.time", "T4", "-", "usable", "USD")
SCOPE = gpu_scope("T4", "USD")
ONE = (Tier(None, 1),)


def linear(since: int = 0, pico: int = 1, divisor: int = 1, published: int = 0) -> Any:
    return pricebook.EntryPublished(*KEY, since, published, pico, divisor)


def shaped(
    book: str = "-", edition: int = 0, since: int = 1, divisor: int = 1, free: int = 0,
    tiers: tuple[Tier, ...] = ONE, minimum: int = 0,
) -> Any:  # fmt: skip
    return ShapedEntry(book, edition, *KEY, since, 0, divisor, free, tiers, minimum)


RISE = "tiers rise, the last has no end; prices are >= 0"
WRONG: tuple[tuple[Any, str, str], ...] = (
    (linear(), "price.duplicate", "two entries share the key ('-', 0, 'default', 'gpu.time', 'T4', '-', 'usable', 0)"),
    (shaped("-", 1), "price.invalid", "('-', 1) is whole already, or not the next edition"),
    (shaped("b", 1, 2), "price.invalid", "('b', 1) is whole already, or not the next edition"),
    (shaped("b", 3), "price.invalid", "('b', 3) is whole already, or not the next edition"),
    (linear(1, -1), "price.invalid", "a price is >= 0 and its divisor > 0"),
    (linear(1, 1, 0), "price.invalid", "a price is >= 0 and its divisor > 0"),
    (shaped(tiers=(Tier(2, 1),)), "price.invalid", RISE),
    (shaped(tiers=()), "price.invalid", RISE),
    (shaped(tiers=(Tier(0, 1), *ONE)), "price.invalid", RISE),
    (shaped(tiers=(Tier(2, 1), Tier(2, 1), *ONE)), "price.invalid", RISE),
    (shaped(tiers=(Tier(None, 1), *ONE)), "price.invalid", RISE),
    (shaped(tiers=(Tier(2, 1), Tier(None, -1))), "price.invalid", RISE),
    (shaped(divisor=0), "price.invalid", RISE),
    (shaped(free=-1), "price.invalid", RISE),
    (shaped(minimum=-1), "price.invalid", RISE),
    (BookPublished("b", 1, 1, 0), "price.invalid", "('b', 1) has other entries, or is no next edition"),
    (BookPublished("b", 2, 1, 0), "price.invalid", "('b', 2) has other entries, or is no next edition"),
    (CommitmentMade(*KEY, 4, 9, 1, 1, 1, 5), "price.too_late", "it would begin before it was made"),
    (CommitmentMade(*KEY, 5, 9, 0, 1, 1, 5), "price.invalid", "a price is >= 0, its divisor and quantity > 0"),
    (CommitmentMade(*KEY, 5, 9, 1, -1, 1, 5), "price.invalid", "a price is >= 0, its divisor and quantity > 0"),
    (CommitmentMade(*KEY, 5, 9, 1, 1, 0, 5), "price.invalid", "a price is >= 0, its divisor and quantity > 0"),
    (Rerated("a", "b", 2, 0, 5, 0), "price.invalid", "no edition b 2, or never"),
    (Rerated("a", "b", 0, 0, 5, 0), "price.invalid", "no edition b 0, or never"),
    (Rerated("a", "c", 1, 0, 5, 0), "price.invalid", "no edition c 1, or never"),
    (Rerated("a", "-", 1, 0, 5, 0), "price.invalid", "no edition - 1, or never"),
    (Rerated("a", "b", 1, 5, 5, 0), "price.invalid", "no edition b 1, or never"),
)  # fmt: skip


def take(tariff: Tariff, fact: Any) -> None:
    match fact:
        case Rerated():
            tariff.rerate(fact)
        case BookPublished():
            tariff.publish_book(fact)
        case CommitmentMade():
            tariff.commit(3, fact)
        case _:
            tariff.publish(3, fact)


@pytest.mark.parametrize(("fact", "code", "detail"), WRONG, ids=repr)
def test_what_a_tariff_says_when_it_refuses(fact: Any, code: str, detail: str) -> None:
    """With one entry of the list and a book of one: the key, the edition or the rule it breaks."""
    tariff = Tariff()
    tariff.publish(0, linear())
    tariff.publish(1, shaped("b", 1))
    tariff.publish_book(BookPublished("b", 1, 1, 0))
    with pytest.raises(DomainError) as refused:
        take(tariff, fact)
    assert (refused.value.code, refused.value.detail, refused.value.facts) == (code, detail, {})


def test_the_least_that_is_admitted() -> None:
    """Free of charge, by the unit, from the instant at which it is said."""
    tariff = Tariff()
    tariff.publish(0, linear(5, 0, 1, 5))
    assert tariff.at("a", SCOPE, 5) == (Price(0, 5, 0, 1), NEVER)
    assert tariff.at("a", SCOPE, 4) == (None, 5)
    tariff.commit(1, CommitmentMade(*KEY, 5, 9, 1, 0, 1, 5))
    assert tariff.commitments("default", 5) == [Commitment(Price(1, 5, 0, 1), SCOPE, 5, 9, 1)]
    tariff.publish(2, shaped("b", 1, 5, 1, 0, (Tier(None, 0),)))
    tariff.publish_book(BookPublished("b", 1, 1, 0))
    tariff.rerate(Rerated("a", "b", 1, 7, 8, 0))
    assert [tariff.at("a", SCOPE, at) for at in (6, 7, 8)] == [
        (Price(0, 5, 0, 1), 7), (Price(2, 5, 0, 1), 8), (Price(0, 5, 0, 1), NEVER),
    ]  # fmt: skip
    assert storage_scope("EUR", "eu") == ("storage.capacity", "local", "eu", "existing", "EUR")
    assert gpu_scope("T4", "EUR", spot=True) == ("gpu.time", "T4", "-", "spot", "EUR")


def test_an_entry_counts_over_its_pool_once_it_has_a_shape() -> None:
    """One price of all units has none; a second tier, a free unit or a minimum each is one."""
    assert price_of(3, shaped()) == Price(3, 1, 1, 1)
    for entry, shape in (
        (shaped(free=1), Shape(1, ((None, 1),), 0)),
        (shaped(minimum=1), Shape(0, ((None, 1),), 1)),
        (shaped(tiers=(Tier(1, 4), *ONE)), Shape(0, ((1, 4), (None, 1)), 0)),
    ):
        price = price_of(3, entry)
        assert price.shape == shape
        assert (price.position, price.effective_from_us, price.divisor) == (3, 1, 1)
        assert price.price_pico == shape.tiers[0][1]
    assert cost(Price(0, 0, 3, 2), 99, 5) == 8


LINE, FREE = Price(0, 0, 4, 2), Price(1, 0, 4, 2, Shape(1, ((9, 5), (None, 4)), 0))


@pytest.mark.parametrize(
    ("held", "now", "is_now"),
    [
        (LINE, Price(2, 0, 2, 1), True), (LINE, Price(2, 0, 3, 1), False),
        (LINE, Price(2, 0, 1, 1, Shape(0, ((None, 1),), 1)), False),
        (LINE, Price(2, 0, 1, 1, Shape(5, ((3, 1), (None, 2)), 0)), True),
        (LINE, Price(2, 0, 1, 1, Shape(5, ((3, 1), (None, 3)), 0)), False),
        (Price(1, 0, 5, 2, Shape(0, ((9, 5), (None, 4)), 0)), Price(2, 0, 2, 1), True),
        (Price(1, 0, 5, 2, Shape(0, ((9, 5), (None, 3)), 0)), Price(2, 0, 2, 1), False),
        (FREE, Price(2, 0, 0, 1), True), (FREE, Price(2, 0, 1, 99), False),
        (LINE, None, False), (None, LINE, False),
    ],
)  # fmt: skip
def test_what_is_held_is_never_dearer_after_a_re_rating(
    held: Price | None, now: Price | None, *, is_now: bool
) -> None:
    """The new price where its dearest unit costs no more than the cheapest that is held."""
    assert least(held, now) is (now if is_now else held)


def test_a_re_rating_lowers_what_is_held_within_its_range() -> None:
    """Elsewhere what is held stays; neighbours of one price are one."""
    held, cheap = Price(0, 0, 4, 2), Price(2, 0, 1, 1)
    assert lowered(([0, 6], [held, held]), ([0, 3, 5], [None, cheap, None])) == (
        [0, 3, 5],
        [held, cheap, held],
    )


def test_what_a_hold_covers_is_priced_as_it_was_when_it_was_covered() -> None:
    """A price that comes later holds from where the cover ended; a quote is rounded up a piece."""
    tariff = Tariff()
    tariff.publish(0, linear(0, 1, 3))
    cover = Cover("a", SCOPE, 1, 10, [])
    extend(tariff, cover, 20)
    tariff.publish(1, linear(15, 2, 3))
    extend(tariff, cover, 20)
    assert (cover.until_us, [(at, one.position) for at, one in cover.prices]) == (20, [(10, 0)])
    extend(tariff, cover, 30)
    extend(tariff, cover, 25)
    assert (cover.until_us, [(at, one.position) for at, one in cover.prices]) == (
        *(30, [(10, 0), (20, 1)]),
    )
    found = [(one and one.position, until) for one, until in map(cover.at, (9, 10, 19, 20, 29, 30))]
    assert found == [(None, 10), (0, 20), (0, 20), (1, 30), (1, 30), (1, 31)]
    assert quote(tariff, cover, 10, 20, [10, 20]) == 4  # 10 at a third
    assert quote(tariff, cover, 10, 30, []) == 4 + 7  # and 10 at two thirds
    assert quote(tariff, cover, 10, 20, [14]) == 2 + 2  # 4 and 6, each rounded up
    assert quote(tariff, cover, 5, 6, []) == 1
    assert quote(tariff, cover, 20, 20, []) == 0
    assert most(Price(0, 0, 9, 1, Shape(5, ((1, 2), (7, 3), (None, 1)), 4)), 1) == 4
    assert most(Price(0, 0, 9, 2, Shape(5, ((1, 2), (7, 3), (None, 1)), 4)), 3) == 5


def test_a_first_hold_is_quoted_as_any_other() -> None:
    """The same for a price, before and over its change, across a period's start, and for no time."""
    tariff = Tariff()
    tariff.publish(0, linear(10, 1, 3))
    tariff.publish(1, linear(20, 2, 7))
    of = ("a", SCOPE, 5)
    for start in (10, 12, 19, 20, 30):
        for end in {start, start + 1, max(start, 20), max(start, 21), 40}:
            for starts in ([], [start], [start + 1], [20, end], [5, 40]):
                cover = begun(tariff, of, start, end)
                assert first(tariff, of, start, end, starts) == quote(
                    tariff, cover, start, end, starts
                )
    assert first(tariff, of, 12, 18, []) == 10
    assert first(tariff, of, 12, 18, [13]) == 2 + 9
    assert first(tariff, of, 19, 21, []) == 2 + 2


def test_the_list_is_asked_for_the_account_itself() -> None:
    """An entry of one account lists nothing for another."""
    tariff = Tariff()
    tariff.publish(0, pricebook.EntryPublished("a", *KEY[1:], 0, 0, 1, 1))
    assert [tariff.is_listed(who, SCOPE, 0) for who in ("a", "b")] == [True, False]


def test_what_is_spot_is_priced_as_spot_where_it_is() -> None:
    """By the region of its node when it was placed there, whatever is said of the node later."""
    told = Told()
    for region, state, pico in (("eu", "spot", 2), ("eu", "usable", 3), ("-", "spot", 4)):
        of = ("default", "gpu.time", "T4", region, state, "USD", 0, 0, pico, 1)
        told.say("pricebook-1", pricebook.EntryPublished(*of))
    told.say("node-2", enrolled("T4", 1, simulated=False)[1])
    told.say("node-2", RegionSet("eu", 0))
    for number, node, spot in ((2, "node-2", True), (3, "node-2", False), (4, "node-1", True)):
        name = f"runtime-{number}"
        told.say(name, runtime.Requested("project-1", "d", "account-1", NAME, 1, 1, (), 0))
        told.say(name, runtime.Allocated("a", node, "T4", (), 1, 0))
        if spot:
            told.say(name, runtime.Spot(0))
        told.say(name, runtime.Usable(20, 20, 20, word()))
    told.say("node-2", RegionSet("-", 0))
    for number, pico in ((2, 2), (3, 3), (4, 4)):
        end = runtime.Stopped(30, 30, 30, word())
        rows, _ = told.books.apply(90 + number, f"runtime-{number}", end)
        assert [row.line_amount_pico for row in rows] == [10 * pico]
