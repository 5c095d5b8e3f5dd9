import json

import pytest
from msgspec import Struct
from msgspec.structs import replace

from domain import account, invoice, node, period, pricebook, runtime
from domain.errors import DomainError
from domain.rating import Books, Transfer, row_bytes
from domain.statement import LineKey, Sum, invoice_file, state_lines
from domain.tariff import Tariff, gpu_scope, round_half_even
from tests.unit.domain_world import NAME, enrolled, word

A = word()


@pytest.mark.parametrize(
    ("numerator", "divisor", "expected"),
    [
        *((0, 2, 0), (1, 2, 0), (2, 2, 1), (3, 2, 2), (5, 2, 2), (7, 2, 4), (1, 3, 0), (2, 3, 1)),
        *((-1, 2, 0), (-3, 2, -2), (-5, 2, -2), (-2, 3, -1), (-1, 3, 0), (10**37, 10, 10**36)),
    ],
)
def test_round_half_even(numerator: int, divisor: int, expected: int) -> None:
    """Ties go to the even neighbour, on both sides of zero."""
    assert round_half_even(numerator, divisor) == expected


def entry(
    since: int, pico: int = 1, *, of: str = "default", published: int = 0, currency: str = "USD"
) -> pricebook.EntryPublished:
    return pricebook.EntryPublished(
        *(of, "gpu.time", "T4", "-", "usable", currency, since, published, pico, 1)
    )


def test_the_latest_effective_entry_applies_and_an_accounts_own_comes_first() -> None:
    """Own entries before default ones, of these the largest effective_from (rating.md 4)."""
    tariff = Tariff()
    for position, each in enumerate((entry(30), entry(10), entry(20, of="account-1"))):
        tariff.publish(position, each)
    scope = gpu_scope("T4", "USD")
    seen = [tariff.at("account-1", scope, at) for at in (9, 10, 19, 20, 30)]
    assert [(p.position if p else None, until if until < 99 else None) for p, until in seen] == [
        (None, 10),
        (1, 20),
        (1, 20),
        (2, None),
        (2, None),
    ]
    other = tariff.at("account-2", scope, 29)
    assert (other[0].position if other[0] else None, other[1]) == (1, 30)
    assert tariff.at("account-1", gpu_scope("T4", "EUR"), 40)[0] is None


def test_an_entry_effective_before_its_publication_prices_nothing_but_holds_its_key() -> None:
    """It would need a re-rating; the key stays unique all the same."""
    tariff = Tariff()
    tariff.publish(0, entry(5, published=6))
    assert tariff.at("account-1", gpu_scope("T4", "USD"), 9)[0] is None
    with pytest.raises(DomainError, match=r"price\.duplicate"):
        tariff.publish(1, entry(5, currency="EUR"))


def sums(*amounts: int) -> dict[LineKey, Sum]:
    return {LineKey("p", "s", n, "q"): Sum(1, amount) for n, amount in enumerate(amounts)}


@pytest.mark.parametrize(
    ("amounts", "total", "shown"),
    [
        ((), 0, []),
        ((14, 14, 14), 4, [2, 1, 1]),
        ((13, 19, 18), 5, [1, 2, 2]),
        ((5,), 0, [0]),
        ((15,), 2, [2]),
        ((-14, 3), -1, [-1, 0]),
        ((-5,), 0, [0]),
    ],
)
def test_shown_lines_follow_by_largest_remainder(
    amounts: tuple[int, ...], total: int, shown: list[int]
) -> None:
    """Only the total is rounded; floors and the largest remainders add up to it."""
    lines, pico, minor = state_lines(sums(*amounts), 11)
    assert (pico, minor, [line.shown_minor for line in lines]) == (sum(amounts), total, shown)


def test_lines_that_came_to_nothing_vanish_and_others_stand_in_order() -> None:
    """Order: project, sku, price as a number, service period."""
    keys = [LineKey("b", "s", 1, "q"), LineKey("a", "s", 10, "q"), LineKey("a", "s", 9, "q")]
    lines, _, _ = state_lines({key: Sum(1, 0) for key in keys}, 2)
    assert [(line.project, line.price) for line in lines] == [("a", 9), ("a", 10), ("b", 1)]
    assert state_lines({keys[0]: Sum(0, 0)}, 2) == ((), 0, 0)


class Told:
    """Books with an account, two periods, a price and a runtime that is usable from 10 on."""

    def __init__(self, books: Books | None = None) -> None:
        self.books = books or Books()
        self.position = 0
        self.say("node-1", enrolled("T4", 1)[1])
        self.say("account-1", account.Opened("organization-1", "USD", 12, "UTC", "x", 0))
        self.say("period-1", period.Opened("account-1", 1, 0, 100, "UTC", "x", 0))
        self.say("period-2", period.Opened("account-1", 2, 100, 200, "UTC", "x", 0))
        self.say("pricebook-1", entry(0))
        request = runtime.Requested("project-1", "d", "account-1", NAME, 1, 7, (), 0)
        self.say("runtime-1", request)
        self.say("runtime-1", runtime.Allocated("a", "node-1", "T4", (), 1, 0))
        self.say("runtime-1", runtime.Usable(10, 10, 10, A))

    def say(self, stream: str, fact: Struct) -> list[tuple[int, int, int, str, str]]:
        rated, _ = self.books.apply(self.position, stream, fact)
        self.position += 1
        return [(r.start_us, r.end_us, r.sign, r.period, r.booked) for r in rated]

    def stop(self, at: int) -> list[tuple[int, int, int, str, str]]:
        return self.say("runtime-1", runtime.Stopped(at, at, at, A))

    def close(self, number: int) -> list[tuple[int, int, int, str, str]]:
        start = 100 * (number - 1)
        closed = period.Closed("account-1", start, start + 100, start + 100)
        return self.say(f"period-{number}", closed)


def test_a_period_is_cut_where_it_ends() -> None:
    """Each piece belongs to the period it fell into."""
    assert Told().stop(150) == [
        (10, 100, 1, "period-1", "period-1"),
        (100, 150, 1, "period-2", "period-2"),
    ]


def test_a_close_charges_what_is_open_and_a_stop_only_the_rest() -> None:
    """No microsecond is charged twice."""
    told = Told()
    assert told.close(1) == [(10, 100, 1, "period-1", "period-1")]
    assert told.books.open_resources == {"runtime-1": 100}
    assert told.stop(150) == [(100, 150, 1, "period-2", "period-2")]
    assert told.books.open_resources == {}


def test_a_stop_before_what_a_close_charged_gives_it_back_in_the_open_period() -> None:
    """A closed period never changes; the correction names the original service period."""
    told = Told()
    told.close(1)
    assert told.stop(40) == [(40, 100, -1, "period-1", "period-2")]
    assert told.books.invoice_of("period-1").total_pico == 7 * 90
    assert told.books.invoice_of("period-2").total_pico == -7 * 60


def test_an_end_before_the_start_takes_back_the_interval_and_no_more() -> None:
    """The correction reaches back to the start of the open interval at most (rating.md 3)."""
    told = Told()
    told.close(1)
    assert told.stop(3) == [(10, 100, -1, "period-1", "period-2")]


def test_nothing_is_charged_that_was_never_usable() -> None:
    """A stop without an open interval costs nothing, said once or twice."""
    told = Told()
    told.stop(20)
    assert told.stop(90) == []


@pytest.mark.parametrize(
    ("stream", "fact", "code"),
    [
        ("runtime-9", runtime.Usable(1, 1, 1, A), "rating.unknown_runtime"),
        ("account-1", account.Opened("o", "USD", 2, "UTC", "x", 0), "rating.account_invalid"),
        ("account-9", account.Opened("o", "USD", 13, "UTC", "x", 0), "rating.account_invalid"),
        ("period-9", period.Opened("account-1", 3, 201, 300, "U", "x", 0), "rating.period_order"),
        ("period-9", period.Opened("account-1", 4, 200, 300, "U", "x", 0), "rating.period_order"),
        ("period-9", period.Opened("account-1", 3, 200, 200, "U", "x", 0), "rating.period_order"),
        ("period-9", period.Closed("account-1", 0, 100, 100), "rating.period_order"),
        ("period-1", period.Closed("account-1", 0, 99, 100), "rating.period_order"),
        ("pricebook-1", entry(0), "price.duplicate"),
        ("runtime-1", runtime.Stopped(1, 201, 1, A), "rating.no_period"),
        ("runtime-1", runtime.Requested("p", "d", "account-9", NAME, 1, 1, (), 0), "rating.account_invalid"),
    ],
)  # fmt: skip
def test_what_the_page_does_not_allow_fails_by_name(stream: str, fact: Struct, code: str) -> None:
    """A derivation never guesses."""
    with pytest.raises(DomainError) as error:
        Told().say(stream, fact)
    assert error.value.code == code


def test_a_charge_without_a_price_fails_by_name() -> None:
    """Nothing is free by accident."""
    told = Told()
    told.say("runtime-2", runtime.Requested("p", "d", "account-1", NAME, 1, 1, (), 0))
    told.say("runtime-2", runtime.Allocated("a", "node-1", "A10", (), 1, 0))
    told.say("runtime-2", runtime.Usable(10, 10, 10, A))
    with pytest.raises(DomainError, match=r"rating\.no_price"):
        told.say("runtime-2", runtime.Stopped(11, 11, 11, A))


def test_an_invoice_is_finalized_once_after_the_close_and_as_booked() -> None:
    """Its totals are a pure function of what is booked in its period."""
    told = Told()
    draft = told.books.invoice_of("period-1")
    [early] = invoice.decide(invoice.Finalize("N-1", draft, "00", 0, 0), invoice.Missing())
    with pytest.raises(DomainError, match=r"rating\.invoice_order"):
        told.books.apply(90, "invoice-1", early)
    told.close(1)
    with pytest.raises(DomainError, match=r"rating\.invoice_differs"):
        told.books.apply(91, "invoice-1", early)
    draft = told.books.invoice_of("period-1")
    [final] = invoice.decide(invoice.Finalize("N-1", draft, "00", 0, 0), invoice.Missing())
    _, moved = told.books.apply(92, "invoice-1", final)
    assert [(t.kind, t.debit, t.credit, t.amount_pico) for t in moved] == [
        ("invoice", "receivable", "unbilled", 630)
    ]
    with pytest.raises(DomainError, match=r"rating\.invoice_order"):
        told.books.apply(93, "invoice-2", final)


def test_the_invoice_file_has_the_keys_of_the_page_in_order() -> None:
    """The verifier derives this file and compares bytes."""
    told = Told()
    told.close(1)
    raw = invoice_file(told.books.invoice_of("period-1"), "INV-1")
    assert raw.decode() == (
        '{"format":"gpuaas-invoice/1","number":"INV-1","organization":"organization-1",'
        '"account":"account-1","period":"period-1","start_us":0,"end_us":100,"currency":"USD",'
        '"minor_digits":12,"simulated":true,"lines":[{"project":"project-1","sku":"gpu.time:T4",'
        '"price":4,"service_period":"period-1","quantity":630,"amount_pico":630,'
        '"shown_minor":630}],"total_pico":630,"rounding_pico":0,"total_minor":630}'
    )


def test_who_had_not_told_all_stands_in_the_file() -> None:
    """Before the lines, in a format of its own; where nobody is, the file is as it ever was."""
    told = Told()
    told.say("period-1", period.SourcesMissing(("node-1",), 100))
    told.close(1)
    draft = told.books.invoice_of("period-1")
    named, plain = (
        json.loads(invoice_file(one, "INV-1")) for one in (draft, replace(draft, missing=()))
    )
    assert list(named)[9:12] == ["simulated", "missing", "lines"]
    assert (named.pop("missing"), named.pop("format"), plain.pop("format")) == (
        ["node-1"], "gpuaas-invoice/3", "gpuaas-invoice/1",
    )  # fmt: skip
    assert named == plain


def test_rows_begin_with_row_and_salt_and_keep_the_order_of_the_page() -> None:
    """The bytes are sealed, so the order of the keys is part of the format."""
    told = Told()
    rated, moved = told.books.apply(9, "runtime-1", runtime.Stopped(20, 20, 20, A))
    assert list(json.loads(row_bytes(rated[0], 3, "00ff"))) == [
        "row",
        "salt",
        "cause",
        "resource",
        "meter",
        "price",
        "period",
        "booked",
        "start_us",
        "end_us",
        "sign",
        "quantity",
        "line_quantity",
        "line_amount_pico",
    ]
    assert list(json.loads(row_bytes(moved[0], 3, "00ff"))) == [
        "row",
        "salt",
        "id",
        "cause",
        "kind",
        "account",
        "debit",
        "credit",
        "currency",
        "amount_pico",
        "resource",
        "meter",
        "price",
        "period",
        "booked",
        "debit_seq",
        "debit_balance_pico",
        "credit_seq",
        "credit_balance_pico",
    ]
    assert row_bytes(moved[0], 3, "00ff").startswith(b'{"row":3,"salt":"00ff","id":"')


def test_simulated_is_what_the_node_said_when_it_was_allocated() -> None:
    """A node enrolled as simulated marks every invoice it appears on."""
    told = Told()
    told.say(
        "node-2", node.Enrolled("k", "T4", simulated=False, gpus=(), serial="s", enrolled_us=0)
    )
    assert told.books.invoice_of("period-1").simulated is False
    told.stop(20)
    assert told.books.invoice_of("period-1").simulated is True


def test_sums_beyond_38_digits_are_refused() -> None:
    """Every |n| < 10^38, in lines and in balances."""
    told = Told()
    told.say("pricebook-1", entry(50, 10**37))
    with pytest.raises(DomainError, match=r"rating\.overflow"):
        told.stop(60)


def test_a_transfer_is_what_its_id_says() -> None:
    """The id is a hash over cause, kind, resource, meter, price, periods, currency, piece."""
    told = Told()
    _, moved = told.books.apply(9, "runtime-1", runtime.Stopped(20, 20, 20, A))
    [transfer] = moved
    assert isinstance(transfer, Transfer)
    assert transfer.id == "ea23959ed6897fc800bc1a0b77dd563fbce7adae2327de5f27f76768ef571071"
