"""What the books say when they refuse, whole, and what they do on the last unit of each limit.

A refusal names what it is about: whoever reads it finds the fact without a debugger.
"""

from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from domain import account, invoice, period, pricebook, runtime
from domain.cover import Cover, extend, most, quote
from domain.errors import DomainError
from domain.ledger import LIMIT, Balance, Ledger, Order, post
from domain.meter import ReadingsRegistered
from domain.price_facts import BookPublished, CommitmentMade, Rerated, ShapedEntry, Tier
from domain.reading import Reading
from domain.statement import LineKey, Sum, state_lines
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
from domain.wallet_facts import Held, HoldPlaced, HoldsRenewed, VolumeRenewed
from domain.words import Private
from tests.unit.domain_world import NAME, word
from tests.unit.test_domain_money import Told
from tests.unit.test_domain_tax import sold

KEY = ("default", "gpu.time", "T4", "-", "usable", "USD")
SCOPE = gpu_scope("T4", "USD")
ONE = (Tier(None, 1),)
WHO = Private("a" * 64)


def said(error: pytest.ExceptionInfo[DomainError]) -> tuple[str, str]:
    assert error.value.facts == {} or error.value.code.startswith("invoice.")
    return error.value.code, error.value.detail


def order(amount: int) -> Order:
    return Order(
        *(7, "charge", "runtime-1", "gpu.time", 3, "period-1", "period-2"),
        *("unbilled", "revenue:x", amount, 5),
    )


def test_a_balance_stays_below_ten_to_the_38_on_either_side() -> None:
    """One pico more than fits moves neither of the two."""
    ledger = Ledger("account-1", "USD", {})
    moved = post(ledger, order(LIMIT - 1))
    assert (moved.debit_seq, moved.debit_balance_pico) == (1, LIMIT - 1)
    assert (moved.credit_seq, moved.credit_balance_pico) == (1, 1 - LIMIT)
    spent = Ledger("account-1", "USD", {"revenue:x": Balance(4, 1 - LIMIT)})
    for full in (ledger, spent):
        before = {name: (one.seq, one.pico) for name, one in full.balances.items()}
        with pytest.raises(DomainError) as refused:
            post(full, order(1))
        assert said(refused) == ("rating.overflow", "a balance of account-1 leaves 10^38")
        after = {name: (one.seq, one.pico) for name, one in full.balances.items()}
        assert after == {"unbilled": (0, 0)} | before
    assert post(ledger, order(-1)).debit == "revenue:x"


@pytest.mark.parametrize(
    ("stream", "fact", "code", "detail"),
    [
        ("runtime-9", runtime.Usable(1, 1, 1, word()), "rating.unknown_runtime", "no runtime runtime-9 was requested"),
        ("runtime-1", runtime.Stopped(1, 201, 1, word()), "rating.no_period", "no period of runtime-1 covers 200"),
        ("runtime-2", runtime.Requested("p", "d", "account-9", NAME, 1, 1, (), 0), "rating.account_invalid", "no account account-9"),
        ("wallet-1", HoldPlaced("runtime-9", 5, 0, 10, 0, 5, 5), "rating.hold_unknown", "runtime-9 is not of wallet-1"),
        ("wallet-2", HoldPlaced("runtime-1", 5, 0, 10, 0, 5, 5), "rating.account_invalid", "no account account-2"),
        ("wallet-1", VolumeRenewed("volume-1", 5, 10, 0, 5, 5), "rating.hold_unknown", "nothing is held for volume-1"),
        ("wallet-1", HoldsRenewed("node-1", (Held("runtime-1", 5),), 10, 0, 5, 5), "rating.hold_unknown", "nothing is held for runtime-1"),
    ],
)  # fmt: skip
def test_what_the_books_say_of_what_is_not_there(
    stream: str, fact: Struct, code: str, detail: str
) -> None:
    """By code and by name."""
    told = Told()
    with pytest.raises(DomainError) as refused:
        told.say(stream, fact)
    assert said(refused) == (code, detail)


OPENED = account.Opened("o", "USD", 12, "UTC", "x", 0)
ODD = "opened twice or of odd digits"
FOLLOWS = "period-9 does not follow the one before it"
AS_OPENED = "period-1 is closed twice or not as opened"


@pytest.mark.parametrize(
    ("stream", "fact", "code", "detail"),
    [
        ("account-1", OPENED, "rating.account_invalid", f"account-1 {ODD}"),
        ("account-9", replace(OPENED, minor_digits=13), "rating.account_invalid", f"account-9 {ODD}"),
        ("account-9", replace(OPENED, minor_digits=-1), "rating.account_invalid", f"account-9 {ODD}"),
        ("account-9", account.TermsSet("prepaid", 0, 0), "rating.account_invalid", "no account account-9"),
        ("period-9", period.Opened("account-1", 3, 201, 300, "U", "x", 0), "rating.period_order", FOLLOWS),
        ("period-9", period.Opened("account-1", 4, 200, 300, "U", "x", 0), "rating.period_order", FOLLOWS),
        ("period-9", period.Opened("account-1", 3, 200, 200, "U", "x", 0), "rating.period_order", FOLLOWS),
        ("period-1", period.Opened("account-1", 3, 200, 300, "U", "x", 0), "rating.period_order", FOLLOWS.replace("9", "1")),
        ("period-9", period.Closed("account-1", 0, 100, 100), "rating.period_order", "no period period-9"),
        ("period-1", period.Closed("account-1", 0, 99, 100), "rating.period_order", AS_OPENED),
        ("period-1", period.Closed("account-1", 1, 100, 100), "rating.period_order", AS_OPENED),
    ],
)  # fmt: skip
def test_what_the_books_say_of_what_does_not_follow(
    stream: str, fact: Struct, code: str, detail: str
) -> None:
    """An account has at most twelve digits; a period begins where the one before it ends."""
    with pytest.raises(DomainError) as refused:
        Told().say(stream, fact)
    assert said(refused) == (code, detail)


def test_a_period_that_is_closed_is_closed() -> None:
    """Once, whatever the order of closes; what is late is booked in the first that is open."""
    told = Told()
    told.say("period-3", period.Opened("account-1", 3, 200, 201, "U", "x", 0))
    assert told.close(2) == [
        (10, 100, 1, "period-1", "period-1"),
        (100, 200, 1, "period-2", "period-2"),
    ]
    with pytest.raises(DomainError) as refused:
        told.close(2)
    assert said(refused) == ("rating.period_order", "period-2 is closed twice or not as opened")
    assert told.stop(150) == [(150, 200, -1, "period-2", "period-1")]
    told.close(1)
    told.say("runtime-1", runtime.Usable(120, 120, 120, word()))
    assert told.stop(130) == [(120, 130, 1, "period-2", "period-3")]
    for digits in (0, 12):
        told.say(f"account-{digits}", replace(OPENED, minor_digits=digits))
    assert told.books.balances("account-12") == {}


def test_an_invoice_that_is_not_as_booked_is_refused_field_by_field() -> None:
    """Account, exact total, total, number of lines; and of a period that nobody opened."""
    told = Told()
    for act in (told.books.invoice_of, told.books.taxed_invoice_of):
        with pytest.raises(DomainError) as refused:
            act("period-9")
        assert said(refused) == ("period.unknown", "no period period-9")
    assert told.books.taxed_invoice_of("period-1") is None
    told.close(1)
    draft = told.books.invoice_of("period-1")
    [final] = invoice.decide(invoice.Finalize("N-1", draft, "00", 0, 0), invoice.Missing())
    assert isinstance(final, invoice.Finalized)
    for wrong in (
        replace(final, account="account-2"),
        replace(final, total_pico=629),
        replace(final, total_minor=629),
        replace(final, line_count=2),
    ):
        with pytest.raises(DomainError) as refused:
            told.books.apply(91, "invoice-1", wrong)
        assert said(refused) == (
            *("rating.invoice_differs", "invoice-1 differs from what is booked"),
        )
    [moved] = told.books.apply(92, "invoice-1", final)[1]
    assert (moved.kind, moved.resource, moved.meter, moved.price) == (
        "invoice",
        "invoice-1",
        "-",
        None,
    )
    assert (moved.period, moved.booked) == ("period-1", "period-1")
    for stream, of in (("invoice-2", final), ("invoice-3", replace(final, period="period-2"))):
        with pytest.raises(DomainError) as refused:
            told.books.apply(93, stream, of)
        assert said(refused) == (
            *("rating.invoice_order", f"{stream}: not closed, or invoiced twice"),
        )


def test_a_hold_is_of_a_runtime_of_its_wallets_account() -> None:
    """One of another account is none of it."""
    told = Told()
    opened = told.books._account("account-1").opened
    told.say("account-2", opened)
    with pytest.raises(DomainError) as refused:
        told.say("wallet-2", HoldPlaced("runtime-1", 5, 0, 10, 0, 5, 5))
    assert said(refused) == ("rating.hold_unknown", "runtime-1 is not of wallet-2")


def test_use_before_the_first_period_and_after_all_are_closed_is_refused() -> None:
    """There is nothing to book it in."""
    told = Told()
    request = runtime.Requested("project-1", "d", "account-1", NAME, 1, 7, (), 0)
    told.say("runtime-2", request)
    told.say("runtime-2", runtime.Allocated("a", "node-1", "T4", (), 1, 0))
    told.say("runtime-2", runtime.Usable(-5, -5, -5, word()))
    with pytest.raises(DomainError) as refused:
        told.say("runtime-2", runtime.Stopped(1, 1, 1, word()))
    assert said(refused) == ("rating.no_period", "no period of runtime-2 covers -5")
    told = Told()
    told.close(1)
    told.close(2)
    with pytest.raises(DomainError) as refused:
        told.stop(40)
    assert said(refused) == ("rating.no_period", "no open period books runtime-1")


def test_a_charge_line_stays_below_ten_to_the_38() -> None:
    """Its amount and its quantity, each for itself."""
    for milli, pico, fits in (
        (1, LIMIT - 1, True), (1, LIMIT, False), (LIMIT - 1, 0, True), (LIMIT, 0, False),
    ):  # fmt: skip
        told = Told()
        entry = pricebook.EntryPublished(*(*KEY[:5], "USD"), 1, 0, pico, 1)
        told.say("pricebook-1", entry)
        request = runtime.Requested("project-1", "d", "account-1", NAME, 1, milli, (), 0)
        told.say("runtime-2", request)
        told.say("runtime-2", runtime.Allocated("a", "node-1", "T4", (), 1, 0))
        told.say("runtime-2", runtime.Usable(10, 10, 10, word()))
        end = runtime.Stopped(11, 11, 11, word())
        if fits:
            assert told.say("runtime-2", end) == [(10, 11, 1, "period-1", "period-1")]
        else:
            with pytest.raises(DomainError) as refused:
                told.say("runtime-2", end)
            assert said(refused) == ("rating.overflow", "a charge line of runtime-2 leaves 10^38")


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
    assert said(refused) == (code, detail)


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


def test_a_line_above_the_floor_gets_the_unit_that_is_over() -> None:
    """Of equal remainders the first; the file says all of it."""
    sums = {LineKey("p", f"s{n}", n, "q"): Sum(n, pico) for n, pico in enumerate((15, 5, 15, 26))}
    lines, pico, minor = state_lines(sums, 11)
    assert (pico, minor) == (61, 6)
    assert [(one.sku, one.quantity, one.shown_minor) for one in lines] == [
        ("s0", 0, 2), ("s1", 1, 0), ("s2", 2, 1), ("s3", 3, 3),
    ]  # fmt: skip


def test_what_a_plain_invoice_says_when_it_refuses() -> None:
    """What was paid, what was paid too much, what is due: in minor units, beside the sentence."""
    done = invoice.Finalized("N-1", "account-1", "period-1", "USD", 2, 0, 5, 1, "f", "ab", 3, 9)
    state: invoice.State = invoice.evolve(invoice.Missing(), done)
    for command, code, detail, facts in (
        (invoice.Pay(6, WHO, 1, 2), "invoice.overpaid", "not as much of it is due", {"due_minor": 5}),
        (invoice.Pay(0, WHO, 1, 2), "invoice.overpaid", "not as much of it is due", {"due_minor": 5}),
        (invoice.ReturnPayment(1, WHO, 1, 2), "invoice.not_paid", "not as much of it was paid", {"paid_minor": 0}),
        (invoice.Refund(1, WHO, 1, 2), "invoice.not_overpaid", "not as much was paid too much", {"overpaid_minor": 0}),
        (invoice.OrderCredit("c", sold()[1], (), "x", 1), "invoice.no_seller", "only a seller's invoice gets credit notes", {}),
    ):  # fmt: skip
        with pytest.raises(DomainError) as refused:
            invoice.decide(command, state)
        assert (*said(refused), refused.value.facts) == (code, detail, facts)
    [paid] = invoice.decide(invoice.Pay(4, WHO, 6, 7), state)
    assert paid == invoice.Paid(4, 1, WHO, 6, 7)
    state = invoice.evolve(state, paid)
    for minor in (0, 5):
        with pytest.raises(DomainError) as refused:
            invoice.decide(invoice.ReturnPayment(minor, WHO, 1, 2), state)
        assert refused.value.facts == {"paid_minor": 4}
    [back] = invoice.decide(invoice.ReturnPayment(4, WHO, 8, 9), state)
    assert back == invoice.PaymentReturned(4, 5, WHO, 8, 9)
    assert invoice.decide(invoice.Pay(5, WHO, 6, 7), invoice.evolve(state, back)) != []


READ = ("default", "tok", "m", "-", "read", "USD")


class Meter(Told):
    """Readings of one meter of `aggregation`, 3 pico a unit from 0 on and 5 from 50 on."""

    def __init__(self, aggregation: str) -> None:
        super().__init__()
        of = ("tok", "token", 1, aggregation, ("model",), 0)
        self.say("meter-1", ReadingsRegistered(*of))
        for since, pico in ((0, 3), (50, 5)):
            self.say("pricebook-1", pricebook.EntryPublished(*READ, since, 0, pico, 1))

    def read(self, *said: tuple[int, int, int], model: str = "m", what: str = "tok") -> list[Any]:
        """(sign, from, to, quantity, what the line then costs) of each row that these cause."""
        rows, _ = self.books.read(
            self.position,
            [
                Reading("s", 1, n, what, "runtime-1", f"model={model}", start, end, much, "", "")
                for n, (start, end, much) in enumerate(said, 1)
            ],
        )
        self.position += 1
        return [(r.sign, r.start_us, r.end_us, r.quantity, r.line_amount_pico) for r in rows]


def test_readings_of_what_nobody_registered_or_priced_are_refused() -> None:
    """By the meter's name, or by the resource and the instant."""
    for what, model, code, detail in (
        ("other", "m", "rating.no_meter", "no meter other of readings"),
        ("tok", "x", "rating.no_price", "nothing prices runtime-1 at 5"),
    ):
        for aggregation in ("sum", "max", "time-weighted"):
            with pytest.raises(DomainError) as refused:
                Meter(aggregation).read((5, 6, 7), model=model, what=what)
            assert said(refused) == (code, detail)


def test_sums_of_one_line_are_one_row_from_the_first_to_the_last() -> None:
    """An instant stands as the microsecond that begins there; a price change begins another row."""
    told = Meter("sum")
    assert told.read((30, 40, 1), (20, 20, 2), (49, 49, 4)) == [(1, 20, 50, 7, 21)]
    assert told.read((49, 60, 1), (50, 50, 2), (49, 55, 1), (70, 80, 0)) == [
        (1, 49, 60, 2, 27),
        (1, 50, 80, 2, 10),
    ]
    assert told.read((10, 11, 0)) == []
    assert told.read((45, 46, 1), (10, 12, 1), (99, 99, 1), (100, 100, 1)) == [
        (1, 10, 46, 2, 33),
        (1, 99, 100, 1, 15),
        (1, 100, 101, 1, 5),
    ]


def test_the_most_and_the_last_of_a_period_stand_for_it() -> None:
    """What they replace is taken back over the time of what replaces it; what counts no more moves
    nothing.
    """
    told = Meter("max")
    assert told.read((10, 20, 4), (30, 40, 4), (5, 6, 3)) == [(1, 10, 20, 4, 12)]
    assert told.read((9, 12, 4)) == []
    assert told.read((20, 30, 6)) == [(1, 20, 30, 2, 18)]
    assert told.read((60, 70, 7)) == [(-1, 60, 70, 6, 0), (1, 60, 70, 7, 35)]
    told = Meter("last")
    assert told.read((10, 20, 4)) == [(1, 10, 20, 4, 12)]
    assert told.read((12, 19, 9)) == []
    assert told.read((60, 61, 2)) == [(-1, 60, 61, 4, 0), (1, 60, 61, 2, 10)]
    assert told.read((100, 100, 2)) == [(1, 100, 101, 2, 10)]


def test_a_level_counts_as_long_as_it_stands() -> None:
    """Cut at prices and periods; of no time it is nothing."""
    told = Meter("time-weighted")
    assert told.read((40, 110, 2)) == [
        (1, 40, 50, 20, 60),
        (1, 50, 100, 100, 500),
        (1, 100, 110, 20, 100),
    ]
    assert told.read((40, 40, 2)) == []
