"""What a price book admits, and which entry applies when: tiers, editions, commitments, re-ratings."""

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Struct

from domain import pricebook
from domain.cover import most
from domain.decider import fold
from domain.errors import DomainError
from domain.previewing import net
from domain.price_facts import (
    BookPublished,
    CommitmentMade,
    Rerated,
    ReratingDecided,
    ShapedEntry,
    Tier,
)
from domain.pricebook import Commit, PublishBook, PublishShaped, Rerate, Shaped
from domain.tariff import Tariff, cost, gpu_scope, price_of

SCOPE = gpu_scope("T4", "USD")
KEY = ("default", "gpu.time", "T4", "-", "usable", "USD")
TIERS = (Tier(10, 3), Tier(None, 2))
ENTRY = Shaped(*KEY, 50, 7, 4, TIERS, 9)
FACT = ShapedEntry("-", 0, *KEY, 50, 5, 7, 4, TIERS, 9)
COMMIT = Commit(*KEY, 50, 90, 3, 2, 7, 5)
MADE = CommitmentMade(*KEY, 50, 90, 3, 2, 7, 5)
BOOKED = ShapedEntry("b", 1, *KEY, 1, 5, 7, 4, TIERS, 9)
WHOLE = BookPublished("b", 1, 1, 5)


def entry(**changes: Any) -> Shaped:
    fields = {name: getattr(ENTRY, name) for name in ENTRY.__struct_fields__} | changes
    return Shaped(**fields)


def commit(**changes: Any) -> Commit:
    fields = {name: getattr(COMMIT, name) for name in COMMIT.__struct_fields__} | changes
    return Commit(**fields)


LIMIT = pricebook.QUANTITY_LIMIT
TABLE: tuple[tuple[str, Sequence[Any], pricebook.Command, list[Struct] | str], ...] = (
    ("tiers", (), PublishShaped(ENTRY, 5), [FACT]),
    ("tiers again", (FACT,), PublishShaped(ENTRY, 60), []),
    ("effective at once", (), PublishShaped(entry(effective_from_us=5), 5), [ShapedEntry("-", 0, *KEY, 5, 5, 7, 4, TIERS, 9)]),
    ("effective in the past", (), PublishShaped(ENTRY, 51), "price.too_late"),
    ("same key", (FACT,), PublishShaped(entry(free=5), 5), "price.duplicate"),
    ("same key in linear", (FACT,), pricebook.PublishEntry(*KEY, 50, 1, 1, 5), "price.duplicate"),
    ("a linear one's key", (pricebook.EntryPublished(*KEY, 50, 5, 1, 1),), PublishShaped(ENTRY, 5), "price.duplicate"),
    ("no tiers", (), PublishShaped(entry(tiers=()), 5), "price.tiers_invalid"),
    ("too many", (), PublishShaped(entry(tiers=(*(Tier(n, 1) for n in range(1, 101)), Tier(None, 1))), 5), "price.tiers_invalid"),
    ("a tier of nothing", (), PublishShaped(entry(tiers=(Tier(0, 1), Tier(None, 1))), 5), "price.tiers_invalid"),
    ("falling", (), PublishShaped(entry(tiers=(Tier(2, 1), Tier(2, 1), Tier(None, 1))), 5), "price.tiers_invalid"),
    ("without end", (), PublishShaped(entry(tiers=(Tier(2, 1),)), 5), "price.tiers_invalid"),
    ("an end before the last", (), PublishShaped(entry(tiers=(Tier(None, 1), Tier(None, 1))), 5), "price.tiers_invalid"),
    ("so much free", (), PublishShaped(entry(free=LIMIT + 1), 5), "price.tiers_invalid"),
    ("less than nothing free", (), PublishShaped(entry(free=-1), 5), "price.tiers_invalid"),
    ("so high a tier", (), PublishShaped(entry(tiers=(Tier(LIMIT + 1, 1), Tier(None, 1))), 5), "price.tiers_invalid"),
    ("negative", (), PublishShaped(entry(tiers=(Tier(1, 1), Tier(None, -1))), 5), "price.invalid"),
    ("of no divisor", (), PublishShaped(entry(divisor=0), 5), "price.invalid"),
    ("too large", (), PublishShaped(entry(tiers=(Tier(None, 10**10),)), 5), "price.too_large"),
    ("minimum below 0", (), PublishShaped(entry(minimum_pico=-1), 5), "price.invalid"),
    ("so large a minimum", (), PublishShaped(entry(minimum_pico=10**21 + 1), 5), "price.invalid"),
    ("idle", (), PublishShaped(entry(state="idle"), 5), "price.state_unsupported"),
    ("a region", (), PublishShaped(entry(region="EU"), 5), "price.region_invalid"),
    ("read in a region", (), PublishShaped(entry(meter="tokens", state="read", region="eu"), 5), [ShapedEntry("-", 0, "default", "tokens", "T4", "eu", "read", "USD", 50, 5, 7, 4, TIERS, 9)]),
    ("a meter of readings", (), PublishShaped(entry(meter="app.tokens", state="read"), 50), [ShapedEntry("-", 0, "default", "app.tokens", "T4", "-", "read", "USD", 50, 50, 7, 4, TIERS, 9)]),
    ("a book", (), PublishBook("b", (entry(effective_from_us=1),), 5), [BOOKED, WHOLE]),
    ("the same book", (BOOKED, WHOLE), PublishBook("b", (entry(effective_from_us=1),), 8), []),
    ("its next edition", (BOOKED, WHOLE), PublishBook("b", (ENTRY,), 5), [ShapedEntry("b", 2, *KEY, 50, 5, 7, 4, TIERS, 9), BookPublished("b", 2, 1, 5)]),
    ("the list as a book", (), PublishBook("-", (ENTRY,), 5), "price.book_invalid"),
    ("an empty book", (), PublishBook("b", (), 5), "price.book_invalid"),
    ("too long a book", (), PublishBook("b", (ENTRY,) * 1001, 5), "price.book_invalid"),
    ("twice in a book", (), PublishBook("b", (ENTRY, ENTRY), 5), "price.duplicate"),
    ("a commitment", (), COMMIT, [MADE]),
    ("the same one", (MADE,), commit(now_us=60), []),
    ("begun already", (), commit(now_us=51), "price.too_late"),
    ("to nothing", (), commit(quantity=0), "price.commitment_invalid"),
    ("to so much", (), commit(quantity=LIMIT + 1), "price.commitment_invalid"),
    ("for no time", (), commit(until_us=50), "price.commitment_invalid"),
    ("of a state", (), commit(state="idle"), "price.state_unsupported"),
    ("at too much", (), commit(price_pico=10**11), "price.too_large"),
    ("re-rated", (BOOKED, WHOLE), Rerate("a", "USD", "b", 1, 2, 5), [Rerated("a", "b", 1, 1, 2, 5)]),
    ("re-rated again", (BOOKED, WHOLE, Rerated("a", "b", 1, 1, 2, 5)), Rerate("a", "USD", "b", 1, 2, 9), []),
    ("after another", (BOOKED, WHOLE, ReratingDecided("a", "b", 1, 1, 2, 5)), Rerate("a", "USD", "-", 1, 2, 9), [Rerated("a", "-", 0, 1, 2, 9)]),
    ("another account's", (BOOKED, WHOLE, ReratingDecided("x", "b", 1, 1, 2, 5)), Rerate("a", "USD", "b", 1, 2, 5), [Rerated("a", "b", 1, 1, 2, 5)]),
    ("as earlier releases decided it", (BOOKED, WHOLE, ReratingDecided("a", "b", 1, 1, 2, 5)), Rerate("a", "USD", "b", 1, 2, 9), [Rerated("a", "b", 1, 1, 2, 9)]),
    ("no such book", (), Rerate("a", "USD", "b", 1, 2, 5), "price.book_unknown"),
    ("another currency", (BOOKED, WHOLE), Rerate("a", "EUR", "b", 1, 2, 5), "price.book_unknown"),
    ("no range", (BOOKED, WHOLE), Rerate("a", "USD", "b", 2, 2, 5), "price.range_invalid"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "before", "command", "after"), TABLE, ids=[row[0] for row in TABLE]
)
def test_what_a_book_decides(
    name: str, before: Sequence[Any], command: pricebook.Command, after: list[Struct] | str
) -> None:
    """Given these facts, this command gives those, or is refused by this name."""
    state = fold(pricebook.DECIDER, before)
    if isinstance(after, str):
        with pytest.raises(DomainError) as refused:
            pricebook.decide(command, state)
        assert refused.value.code == after
    else:
        assert pricebook.decide(command, state) == after


@pytest.mark.parametrize(
    ("before", "quantity", "due"),
    [
        (0, 0, 0), (0, 4, 0), (0, 5, 9), (4, 0, 0), (4, 14, 9), (0, 100, 29), (90, 10, 9),
        (100, 70, 20), (1000, 35, 10), (3, 200, 58), (14, 3, 9),
    ],
)  # fmt: skip
def test_a_shaped_price_by_hand(before: int, quantity: int, due: int) -> None:
    """4 free, 10 at 3/7, the others at 2/7; at least 9 when anything is paid; half to even once."""
    assert cost(price_of(0, FACT), before, quantity) == due


def test_a_hold_is_of_the_dearest_tier() -> None:
    """Whatever the pool has come to: 14 units at 3/7, or the minimum; of one price as ever."""
    price = price_of(0, FACT)
    assert (most(price, 70), most(price, 71), most(price, 1)) == (30, 31, 9)
    plain = price_of(0, ShapedEntry("-", 0, *KEY, 50, 5, 7, 0, (Tier(None, 3),), 0))
    assert (plain.shape, most(plain, 71)) == (None, 31)


def applied(tariff: Tariff, at: int) -> int | None:
    price = tariff.at("a", SCOPE, at)[0]
    return None if price is None else price.position


def test_which_entry_applies_under_decisions() -> None:
    """The last decision that covers an instant; the list where its book has nothing; `-` is the list."""
    tariff = Tariff()
    tariff.publish(1, pricebook.EntryPublished(*KEY, 10, 0, 1, 1))
    tariff.publish(2, ShapedEntry("b", 1, *KEY, 30, 99, 1, 0, (Tier(None, 1),), 0))
    tariff.publish_book(BookPublished("b", 1, 1, 99))
    tariff.publish(4, ShapedEntry("c", 1, "a", *KEY[1:], 0, 99, 1, 0, (Tier(None, 1),), 0))
    tariff.publish_book(BookPublished("c", 1, 1, 99))
    assert [applied(tariff, at) for at in (9, 10, 50)] == [None, 1, 1]
    tariff.rerate(ReratingDecided("a", "b", 1, 20, 60, 0))
    assert [applied(tariff, at) for at in (19, 20, 29, 30, 59, 60)] == [1, 1, 1, 2, 2, 1]
    assert tariff.at("a", SCOPE, 12)[1] == 30
    assert tariff.at("x", SCOPE, 30)[0] == tariff.at("x", SCOPE, 10)[0]
    tariff.rerate(ReratingDecided("a", "c", 1, 0, 40, 0))
    assert [applied(tariff, at) for at in (-1, 0, 9, 39, 40, 60)] == [None, 4, 4, 4, 2, 1]
    assert [tariff.is_listed("a", SCOPE, at) for at in (9, 10)] == [False, True]
    tariff.rerate(ReratingDecided("a", "-", 0, 35, 45, 0))
    assert [applied(tariff, at) for at in (34, 35, 44, 45)] == [4, 1, 1, 2]


def test_what_is_committed_of_what_in_which_period() -> None:
    """By when the period begins; two add up; nothing of another scope or account."""
    tariff = Tariff()
    assert not tariff.is_committed
    tariff.commit(1, MADE)
    other = CommitmentMade("default", "gpu.time", "A10", *KEY[3:], 50, 90, 5, 2, 7, 5)
    tariff.commit(2, other)
    tariff.commit(3, CommitmentMade(*KEY, 80, 100, 4, 2, 7, 5))
    assert tariff.is_committed
    assert [tariff.covers("default", SCOPE, at).get("-", 0) for at in (49, 50, 79, 80, 89, 90, 99, 100)] == [
        0, 3, 3, 7, 7, 4, 4, 0,
    ]  # fmt: skip
    assert tariff.covers("a", SCOPE, 50) == {}
    assert [one.price.position for one in tariff.commitments("default", 80)] == [1, 2, 3]


@pytest.mark.parametrize(
    "said",
    [
        ReratingDecided("a", "b", 1, 0, 5, 0), ReratingDecided("a", "-", 1, 0, 5, 0),
        ReratingDecided("a", "-", 0, 5, 5, 0), BookPublished("b", 1, 0, 0), BookPublished("b", 2, 1, 0),
        ShapedEntry("b", 2, *KEY, 1, 1, 1, 0, TIERS, 0), ShapedEntry("-", 1, *KEY, 1, 1, 1, 0, TIERS, 0),
        ShapedEntry("-", 0, *KEY, 1, 1, 0, 0, TIERS, 0), ShapedEntry("-", 0, *KEY, 1, 1, 1, -1, TIERS, 0),
        ShapedEntry("-", 0, *KEY, 1, 1, 1, 0, (), 0), ShapedEntry("-", 0, *KEY, 1, 1, 1, 0, TIERS, -1),
        ShapedEntry("-", 0, *KEY, 1, 1, 1, 0, (Tier(2, 1),), 0),
        ShapedEntry("-", 0, *KEY, 1, 1, 1, 0, (Tier(2, 1), Tier(1, 1), Tier(None, 1)), 0),
        CommitmentMade(*KEY, 4, 9, 1, 1, 1, 5), CommitmentMade(*KEY, 5, 9, 0, 1, 1, 5),
        CommitmentMade(*KEY, 5, 9, 1, -1, 1, 5), CommitmentMade(*KEY, 5, 9, 1, 1, 0, 5),
    ],
    ids=repr,
)  # fmt: skip
def test_a_log_that_says_what_no_book_decides_is_refused(said: Any) -> None:
    """By name, as rating.md section 10 has it; the fold never guesses."""
    with pytest.raises(DomainError, match=r"price\.(invalid|too_late)"):
        take(Tariff(), said)


def take(tariff: Tariff, said: Any) -> None:
    match said:
        case ReratingDecided():
            tariff.rerate(said)
        case BookPublished():
            tariff.publish_book(said)
        case ShapedEntry():
            tariff.publish(0, said)
        case _:
            tariff.commit(0, said)


@pytest.mark.parametrize(
    ("pieces", "spans"),
    [
        ([], ()),
        ([(0, 5, 2), (5, 9, 2)], ((0, 5, 2), (5, 9, 2))),
        ([(0, 9, 2), (4, 9, -2)], ((0, 4, 2),)),
        ([(0, 9, 2), (0, 9, -2), (0, 9, 2)], ((0, 9, 2),)),
        ([(0, 5, 2), (5, 9, 3), (7, 9, -3)], ((0, 5, 2), (5, 7, 3))),
        ([(0, 9, 2), (0, 9, -2)], ()),
    ],
)
def test_pieces_laid_over_each_other(
    pieces: list[tuple[int, int, int]], spans: tuple[tuple[int, int, int], ...]
) -> None:
    """What is taken back is not there; what is left has its size, wherever it was cut."""
    found = net(pieces)
    flat = {at: size for start, end, size in found for at in range(start, end)}
    assert flat == {at: size for start, end, size in spans for at in range(start, end)}
    assert all(start < end for start, end, _ in found)
