"""Tiers, commitments and re-ratings in the auditor's books, by hand from rating.md section 10."""

from typing import Any

import pytest

from domain import runtime
from domain.price_facts import Tier
from gpuaas_verify.books import Books
from gpuaas_verify.errors import Invalid
from tests.property.books_history import HOUR_US, STORAGE, History, stream
from tests.unit.test_verify_books import MONTH, rows, simple

USD = 10**12
GPU_HOUR = 1000 * HOUR_US
TIERS = (Tier(10 * GPU_HOUR, USD), Tier(None, USD // 2))


def ran(history: History, owner: str, node: str, number: int, start: int, end: int) -> str:
    """A runtime of one GPU between two hours."""
    one = history.start(number, owner, node, start * HOUR_US)
    history.say(runtime.Usable, one, start * HOUR_US)
    history.say(runtime.Stopped, one, end * HOUR_US)
    return one


def amounts(history: History) -> dict[tuple[str, int], tuple[int, int]]:
    """Hours and cents by resource and entry; transfers add up to every charge line."""
    rated, moved = rows(history)
    lines = {
        (row["resource"], row["price"], row["period"]): (
            row["line_quantity"],
            row["line_amount_pico"],
        )
        for row in rated
    }
    paid = dict.fromkeys(lines, 0)
    for row in moved:
        sign = 1 if row["debit"] == "unbilled" else -1
        paid[row["resource"], row["price"], row["period"]] += sign * row["amount_pico"]
    assert {key: amount for key, (_, amount) in lines.items()} == paid
    sums: dict[tuple[str, int], tuple[int, int]] = {}
    for (one, price, _), (quantity, amount) in lines.items():
        hours, cents = sums.get((one, price), (0, 0))
        sums[one, price] = (hours + quantity // GPU_HOUR, cents + amount * 100 // USD)
    return sums


def test_tiers_count_over_all_lines_in_the_order_of_starts_whoever_ends_first() -> None:
    """2 h free, 10 h at 1 USD, then 0.50: 6 h from hour 0, 10 h from hour 1, 3 h from hour 2."""
    for ends in ((1, 2, 3), (3, 2, 1), (2, 3, 1)):
        history, owner, _, node = simple()
        price = history.shaped(TIERS, 0, free=2 * GPU_HOUR, whose=owner)
        each = [history.start(n, owner, node, 0) for n in (1, 2, 3)]
        for hour, one in enumerate(each):
            history.say(runtime.Usable, one, hour * HOUR_US)
        for number in ends:
            end = {1: 6, 2: 11, 3: 5}[number]
            history.say(runtime.Stopped, each[number - 1], end * HOUR_US, 20 * HOUR_US)
        assert amounts(history) == {
            (each[0], price): (6, 400), (each[1], price): (10, 800), (each[2], price): (3, 150),
        }  # fmt: skip


def test_lines_that_began_together_stand_in_the_order_of_their_ids() -> None:
    """Of two from hour 0 the first id has the free hours, though it ended last."""
    history, owner, _, node = simple()
    price = history.shaped(TIERS, 0, free=2 * GPU_HOUR, whose=owner)
    second = ran(history, owner, node, 2, 0, 3)
    assert amounts(history) == {(second, price): (3, 100)}
    first = ran(history, owner, node, 1, 0, 2)
    assert amounts(history) == {(second, price): (3, 300), (first, price): (2, 0)}


def test_the_free_hours_to_their_last_unit() -> None:
    """What is free costs nothing; one unit above it costs its price, or the minimum."""
    history, owner, _, node = simple()
    price = history.shaped((Tier(None, USD),), 0, free=GPU_HOUR, minimum=7 * USD, whose=owner)
    one = ran(history, owner, node, 1, 0, 1)
    assert amounts(history) == {(one, price): (1, 0)}
    two = history.start(2, owner, node, HOUR_US)
    history.say(runtime.Usable, two, HOUR_US)
    history.say(runtime.Stopped, two, HOUR_US + 1)
    assert amounts(history) == {(one, price): (1, 0), (two, price): (0, 700)}


def test_a_minimum_is_of_each_line_that_pays() -> None:
    """0.25 USD of use costs 1 USD, 3 USD of use costs 3; in the next period again."""
    history, owner, _, node = simple()
    price = history.shaped((Tier(None, USD),), 0, minimum=USD, whose=owner)
    one = history.start(1, owner, node, 0, milli=250)
    history.say(runtime.Usable, one, 0)
    history.say(runtime.Stopped, one, HOUR_US)
    two = ran(history, owner, node, 2, 98, 101)
    assert amounts(history)[one, price] == (0, 100)
    rated, _ = rows(history)
    last = {row["period"]: row["line_amount_pico"] for row in rated if row["resource"] == two}
    assert list(last.values()) == [2 * USD, USD]


def test_free_hours_alone_make_a_pool() -> None:
    """3 h of which 2 are free, at 1 USD; no tiers, no minimum."""
    history, owner, _, node = simple()
    price = history.shaped((Tier(None, USD),), 0, free=2 * GPU_HOUR, whose=owner)
    one = ran(history, owner, node, 1, 0, 3)
    assert amounts(history) == {(one, price): (3, 100)}


def test_a_line_that_comes_to_nothing_pays_no_minimum() -> None:
    """The second of two lines is taken back whole: charged by a close, it had ended at once."""
    history, owner, first, node = simple()
    book = spring(history)
    price = history.shaped((Tier(None, USD),), 0, minimum=USD, whose=owner)
    one = ran(history, owner, node, 1, 0, 3)
    two = history.start(2, owner, node, HOUR_US)
    history.say(runtime.Usable, two, HOUR_US)
    history.close(owner, first, 0, MONTH)
    assert amounts(history)[two, price] == (99, 9900)
    history.say(runtime.Stopped, two, HOUR_US, MONTH)
    assert amounts(history) == {(one, price): (3, 300), (two, price): (0, 0)}
    history.rerate(owner, "spring", 1, 0, MONTH)
    assert amounts(history)[one, book] == (3, 75)
    assert (two, book) not in amounts(history)


def test_an_entry_of_one_tier_is_as_linear_as_any() -> None:
    """No row but the piece's own, of the amount it has."""
    history, owner, _, node = simple()
    history.shaped((Tier(None, 2 * USD),), 0, whose=owner)
    ran(history, owner, node, 1, 0, 3)
    rated, moved = rows(history)
    assert [(row["quantity"], row["line_amount_pico"]) for row in rated] == [
        (3 * GPU_HOUR, 6 * USD)
    ]
    assert [row["amount_pico"] for row in moved] == [6 * USD]


def test_what_is_taken_back_is_settled_where_it_is_booked() -> None:
    """Closed with 98 h, ended at 50: 48 h come back at the price of the last tier, in the next
    period; the closed one keeps its rows.
    """
    history, owner, first, node = simple()
    history.shaped(TIERS, 0, whose=owner)
    one = history.start(1, owner, node, 0)
    history.say(runtime.Usable, one, 2 * HOUR_US)
    history.lease(node, [one], 52 * HOUR_US)
    history.close(owner, first, 0, MONTH)
    history.lose(one, 110 * HOUR_US)
    rated, moved = rows(history)
    later = stream("period", 2)
    assert [(row["sign"], row["quantity"] // GPU_HOUR, row["booked"]) for row in rated] == [
        (1, 98, first), (1, 0, first), (-1, 48, later), (1, 0, later),
    ]  # fmt: skip
    assert [(row["debit"], row["amount_pico"], row["booked"]) for row in moved] == [
        ("unbilled", 54 * USD, first), ("revenue:gpu.time:T4", 24 * USD, later),
    ]  # fmt: skip
    assert (rated[1]["start_us"], rated[1]["end_us"]) == (0, 0)


def test_a_commitment_is_paid_whether_used_or_not_and_use_above_it_at_the_list_price() -> None:
    """10 h at 0.60: 6 USD at each close; of 12 h in the first period 2 cost 1 USD each."""
    history, owner, first, node = simple()
    made = history.commitment(owner, 0, 2 * MONTH, 10 * GPU_HOUR, 6 * USD // 10)
    one = ran(history, owner, node, 1, 0, 12)
    assert amounts(history) == {(one, 3): (12, 200)}
    history.close(owner, first, 0, MONTH)
    history.period(owner, 3, 3, 2 * MONTH, 3 * MONTH)
    history.close(owner, stream("period", 2), MONTH, 2 * MONTH)
    history.period(owner, 4, 4, 3 * MONTH, 4 * MONTH)
    history.close(owner, stream("period", 3), 2 * MONTH, 3 * MONTH)
    paid = [row for row in rows(history)[0] if row["resource"] == owner]
    assert [(row["price"], row["line_amount_pico"], row["period"]) for row in paid] == [
        (made, 6 * USD, first), (made, 6 * USD, stream("period", 2)),
    ]  # fmt: skip
    assert (paid[0]["start_us"], paid[0]["end_us"], paid[0]["quantity"]) == (
        0,
        MONTH,
        10 * GPU_HOUR,
    )


def test_a_commitment_covers_only_what_it_is_of() -> None:
    """Not another model's time, another account's, nor storage's."""
    history, owner, first, node = simple()
    history.price(USD, 0, model="A10")
    made = history.commitment(owner, 0, MONTH, 10 * GPU_HOUR, 0, model="A10")
    history.commitment(owner, 0, MONTH, 10 * GPU_HOUR, 0, model=STORAGE[1])
    other = history.account(2)
    history.period(other, 9, 1, 0, MONTH)
    history.commitment(other, 0, MONTH, 10 * GPU_HOUR, 0)
    one = ran(history, owner, node, 1, 0, 12)
    assert amounts(history) == {(one, 3): (12, 1200)}
    history.close(owner, first, 0, MONTH)
    assert amounts(history)[owner, made] == (10, 0)


def spring(history: History, edition: int = 1, pico: int = USD // 4) -> int:
    """An edition of a book with one entry, effective from the beginning; the entry's position."""
    price = history.shaped((Tier(None, pico),), 0, named=("spring", edition), published=HOUR_US)
    history.book("spring", edition, 1)
    return price


def test_another_book_and_back_nets_to_zero() -> None:
    """12 h at 1 USD, then at 0.25, then at 1 again; each move is a reversal and a re-entry."""
    history, owner, _, node = simple()
    book = spring(history)
    one = ran(history, owner, node, 1, 0, 12)
    assert amounts(history) == {(one, 3): (12, 1200)}
    history.rerate(owner, "spring", 1, 0, MONTH)
    assert amounts(history) == {(one, 3): (0, 0), (one, book): (12, 300)}
    cause = history.rerate(owner, "spring", 1, 0, MONTH)
    assert all(row["cause"] != cause for row in rows(history)[0])
    two = ran(history, owner, node, 2, 20, 21)
    assert amounts(history)[two, book] == (1, 25)
    history.rerate(owner, "-", 0, 0, MONTH)
    assert amounts(history) == {
        (one, 3): (12, 1200), (one, book): (0, 0), (two, 3): (1, 100), (two, book): (0, 0),
    }  # fmt: skip
    with Books(None) as books:
        history.feed(books)
        assert books.balances(owner)["unbilled"][1] == 13 * USD


def test_a_part_of_a_closed_month_is_booked_in_the_open_one() -> None:
    """Hours 4 to 9 of 12 at 0.25; cut there, reversed and entered in the next period."""
    history, owner, first, node = simple()
    book = spring(history)
    one = ran(history, owner, node, 1, 0, 12)
    history.close(owner, first, 0, MONTH)
    history.rerate(owner, "spring", 1, 4 * HOUR_US, 9 * HOUR_US)
    assert amounts(history) == {(one, 3): (7, 700), (one, book): (5, 125)}
    moved = rows(history)[0][1:]
    assert [(row["sign"], row["price"], row["period"], row["booked"]) for row in moved] == [
        (-1, 3, first, stream("period", 2)), (1, book, first, stream("period", 2)),
    ]  # fmt: skip
    assert {(row["start_us"], row["end_us"]) for row in moved} == {(4 * HOUR_US, 9 * HOUR_US)}


def test_a_span_over_two_periods_and_two_entries_moves_piece_by_piece() -> None:
    """The list cheaper from hour 50 on, the book from hour 60, the period over at 100."""
    history, owner, _first, node = simple()
    later = history.price(USD // 2, 50 * HOUR_US)
    book = spring(history)
    again = history.shaped((Tier(None, USD // 8),), 60 * HOUR_US, named=("spring", 2))
    history.shaped((Tier(None, USD // 4),), 0, named=("spring", 2))
    history.book("spring", 2, 2)
    one = ran(history, owner, node, 1, 40, 110)
    cause = history.rerate(owner, "spring", 2, 45 * HOUR_US, 105 * HOUR_US)
    pieces = [
        (row["sign"], row["price"], row["start_us"] // HOUR_US, row["end_us"] // HOUR_US)
        for row in rows(history)[0]
        if row["cause"] == cause
    ]
    first_entry = again + 1
    assert pieces == [
        (-1, 3, 45, 50), (1, first_entry, 45, 50), (-1, later, 50, 60), (1, first_entry, 50, 60),
        (-1, later, 60, 100), (1, again, 60, 100), (-1, later, 100, 105), (1, again, 100, 105),
    ]  # fmt: skip
    assert (one, book) not in amounts(history)


def test_what_a_book_prices_already_is_left_where_it_is() -> None:
    """Hours 5 to 7 are of the book; then 0 to 12 are: two pieces move, not one over all."""
    history, owner, _, node = simple()
    book = spring(history)
    one = ran(history, owner, node, 1, 0, 12)
    history.rerate(owner, "spring", 1, 5 * HOUR_US, 7 * HOUR_US)
    cause = history.rerate(owner, "spring", 1, 0, 12 * HOUR_US)
    moved = [row for row in rows(history)[0] if row["cause"] == cause and row["sign"] > 0]
    assert [(row["start_us"] // HOUR_US, row["end_us"] // HOUR_US) for row in moved] == [
        (0, 5), (7, 12),
    ]  # fmt: skip
    assert amounts(history)[one, book] == (12, 300)


def test_what_was_taken_back_is_not_priced_again() -> None:
    """Charged to 100 by a close, ended at 50, then 20 more hours: 70 h move, in two pieces."""
    history, owner, first, node = simple()
    book = spring(history)
    one = history.start(1, owner, node, 0)
    history.say(runtime.Usable, one, 0)
    history.close(owner, first, 0, MONTH)
    history.say(runtime.Degraded, one, 50 * HOUR_US, MONTH)
    history.say(runtime.Usable, one, 70 * HOUR_US, MONTH)
    history.say(runtime.Stopped, one, 90 * HOUR_US, MONTH)
    cause = history.rerate(owner, "spring", 1, 0, MONTH)
    assert amounts(history)[one, book] == (70, 1750)
    assert sum(1 for row in rows(history)[0] if row["cause"] == cause) == 4


def test_the_accounts_own_entry_of_a_book_comes_first_and_the_list_fills_what_a_book_lacks() -> (
    None
):
    """The book has T4 for everybody and for this account, effective from hour 6; before it, the list."""
    history, owner, _, node = simple()
    history.shaped((Tier(None, USD // 4),), 6 * HOUR_US, named=("spring", 1))
    own = history.shaped((Tier(None, USD // 5),), 6 * HOUR_US, named=("spring", 1), whose=owner)
    history.book("spring", 1, 2)
    history.rerate(owner, "spring", 1, 0, MONTH)
    one = ran(history, owner, node, 1, 0, 12)
    assert amounts(history) == {(one, 3): (6, 600), (one, own): (6, 120)}


def test_what_nothing_prices_any_more_stays_as_it_was_charged() -> None:
    """A model that only a book has a price for; back to the list nothing moves."""
    history, owner, _, _ = simple()
    node = history.node(2, "A10")
    only = history.shaped((Tier(None, USD),), 0, named=("spring", 1), model="A10")
    history.book("spring", 1, 1)
    history.rerate(owner, "spring", 1, 0, MONTH)
    one = history.start(1, owner, node, 0, model="A10")
    history.say(runtime.Usable, one, 0)
    history.say(runtime.Stopped, one, HOUR_US)
    history.rerate(owner, "-", 0, 0, MONTH)
    assert amounts(history) == {(one, only): (1, 100)}


def test_an_effective_instant_before_publication_prices_nothing_until_a_re_rating() -> None:
    """In no book but the list it never does."""
    history, owner, _, node = simple()
    history.shaped((Tier(None, 5 * USD),), 1, published=2)
    one = ran(history, owner, node, 1, 1, 2)
    assert amounts(history) == {(one, 3): (1, 100)}


def refused(history: History, code: str, field: str | None) -> None:
    """The last fact, and only it, is refused."""
    with Books(None) as books:
        last = len(history.facts) - 1
        for position in range(last):
            books.feed(position, history.entry(position))
        with pytest.raises(Invalid) as caught:
            books.feed(last, history.entry(last))
    assert (caught.value.code, caught.value.field, caught.value.position) == (code, field, last)


@pytest.mark.parametrize(
    ("code", "field", "given"),
    [
        ("books.price", "tiers", {"tiers": ()}),
        ("books.price", "tiers", {"tiers": (Tier(5, 1),)}),
        ("books.price", "tiers", {"tiers": (Tier(5, 1), Tier(5, 1), Tier(None, 1))}),
        ("books.price", "tiers", {"tiers": (Tier(0, 1), Tier(None, 1))}),
        ("books.price", "tiers", {"tiers": (Tier(None, 1), Tier(None, 1))}),
        ("books.price", "tiers", {"tiers": (Tier(5, 1), Tier(None, -1))}),
        ("books.price", "free", {"free": -1}),
        ("books.price", "minimum_pico", {"minimum": -1}),
        ("books.price", "divisor", {"divisor": 0}),
        ("books.price", "edition", {"named": ("-", 1)}),
        ("books.price", "edition", {"named": ("spring", 2)}),
        ("books.price", "edition", {"named": ("spring", 0)}),
        ("books.price", "effective_from_us", {"effective": 0}),
    ],
)
def test_an_entry_that_is_none_is_refused(code: str, field: str, given: dict[str, Any]) -> None:
    """Tiers that do not rise to an end, numbers below 0, the wrong edition, the key of a list entry."""
    history, *_ = simple()
    history.shaped(**{"tiers": TIERS, "effective": 1, **given})
    refused(history, code, field)


def test_a_linear_price_is_not_below_0() -> None:
    """-1 pico."""
    history, *_ = simple()
    history.price(-1, 5)
    refused(history, "books.price", "price_pico")


def test_an_edition_is_the_next_one_and_has_what_it_counts() -> None:
    """Not of the list, not the third after the first, not of more entries, and never more."""
    for name, edition, entries, field in (
        ("-", 1, 1, "edition"), ("spring", 3, 1, "edition"), ("spring", 2, 2, "entries"),
        ("autumn", 1, 0, "entries"),
    ):  # fmt: skip
        history, *_ = simple()
        spring(history)
        history.shaped(TIERS, 0, named=("spring", 2))
        history.book(name, edition, entries)
        refused(history, "books.book", field)
    history, *_ = simple()
    spring(history)
    history.shaped(TIERS, 7, named=("spring", 1))
    refused(history, "books.price", "edition")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("quantity", (0, 0, 1, 0)),
        ("price_pico", (1, -1, 1, 0)),
        ("divisor", (1, 0, 0, 0)),
        ("from_us", (1, 0, 1, 1)),
    ],
)
def test_a_commitment_is_to_something_and_begins_after_it_was_made(
    field: str, change: tuple[int, int, int, int]
) -> None:
    """`books.commitment`; quantity, price, divisor, and when it was decided for instant 0."""
    history, owner, _, _ = simple()
    quantity, pico, divisor, decided = change
    history.commitment(owner, 0, MONTH, quantity, pico, divisor=divisor, decided=decided)
    refused(history, "books.commitment", field)


def test_a_re_rating_names_an_account_a_range_and_an_edition_that_is_whole() -> None:
    """`books.rerating`; an account nobody opened."""
    for book, edition, start, end, field in (
        ("spring", 1, 5, 5, "until_us"), ("spring", 2, 0, 5, "edition"),
        ("spring", 0, 0, 5, "edition"), ("autumn", 1, 0, 5, "edition"), ("-", 1, 0, 5, "edition"),
    ):  # fmt: skip
        history, owner, _, _ = simple()
        spring(history)
        history.shaped(TIERS, 0, named=("spring", 2))
        history.rerate(owner, book, edition, start, end)
        refused(history, "books.rerating", field)
    history, *_ = simple()
    history.rerate(stream("account", 7), "-", 0, 0, 5)
    refused(history, "books.account", "account")


def test_a_settled_amount_stays_below_ten_to_the_38th() -> None:
    """A tier of a price that no platform admits; so much committed."""
    history, owner, first, node = simple()
    history.shaped((Tier(1, 0), Tier(None, 10**37)), 0, whose=owner, divisor=1)
    one = history.start(1, owner, node, 0)
    history.say(runtime.Usable, one, 0)
    history.say(runtime.Stopped, one, HOUR_US)
    refused(history, "books.overflow", "line_amount_pico")
    history, owner, first, node = simple()
    history.commitment(owner, 0, MONTH, 10**20, 10**20, divisor=1)
    history.close(owner, first, 0, MONTH)
    refused(history, "books.overflow", "line_amount_pico")
