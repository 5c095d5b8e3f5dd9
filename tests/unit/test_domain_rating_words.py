"""What the books say when they refuse, whole, and what they do on the last unit of each limit.

A refusal names what it is about: whoever reads it finds the fact without a debugger.
"""

import pytest
from msgspec import Struct
from msgspec.structs import replace

from domain import account, invoice, period, pricebook, runtime
from domain.crediting import Left, Part
from domain.errors import DomainError
from domain.ledger import LIMIT, Balance, Ledger, Order, post
from domain.statement import LineKey, Sum, state_lines
from domain.wallet_facts import Held, HoldPlaced, HoldsRenewed, VolumeRenewed
from domain.words import Private
from tests.unit.domain_world import NAME, word
from tests.unit.test_domain_money import Told
from tests.unit.test_domain_tax import applied, sold

KEY = ("default", "gpu.time", "T4", "-", "usable", "USD")
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
    owed = Ledger("account-1", "USD", {"unbilled": Balance(4, LIMIT - 1)})
    for full in (ledger, spent, owed):
        before = {name: (one.seq, one.pico) for name, one in full.balances.items()}
        with pytest.raises(DomainError) as refused:
            post(full, order(1))
        assert said(refused) == ("rating.overflow", "a balance of account-1 leaves 10^38")
        after = {name: (one.seq, one.pico) for name, one in full.balances.items()}
        assert {name: one for name, one in after.items() if any(one)} == before
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
        entry = pricebook.EntryPublished(*KEY, 1, 0, pico, 1)
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
    [sent] = invoice.decide(invoice.Issue(8), state)
    assert sent == invoice.Issued(8)
    assert invoice.decide(invoice.Issue(9), invoice.evolve(state, sent)) == []
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


def test_as_many_lines_are_credited_at_once_as_fit_in_an_entry() -> None:
    """Five hundred."""
    _, left = sold()
    many = Left("invoice-1", "ACME-000001", replace(left._draft, lines=left._draft.lines * 501))
    parts = tuple(Part(line, 1) for line in range(501))
    assert many.copy().take(parts[:500], "x").net_minor == 500
    with pytest.raises(DomainError) as refused:
        many.take(parts, "x")
    assert said(refused) == ("credit.too_many", "at most 500 lines, each once, in order")


def test_what_was_paid_too_much_goes_back_and_no_more() -> None:
    """238 paid, 60 of it credited: 60, in parts; money that comes back is due again."""
    state, left = sold()
    draft = left.copy().take((Part(0, 50),), "outage")
    state = applied(
        state,
        invoice.Pay(238, WHO, 6, 7),
        invoice.OrderCredit("credit_note-1", left, (Part(0, 50),), "outage", 3),
        invoice.Credit("credit_note-1", "ACME-C000001", draft, "ab", 4),
    )
    for minor in (0, 61):
        with pytest.raises(DomainError) as refused:
            invoice.decide(invoice.Refund(minor, WHO, 1, 2), state)
        assert refused.value.facts == {"overpaid_minor": 60}
    refund = invoice.Refund(20, WHO, 8, 9)
    assert invoice.decide(refund, state) == [invoice.Refunded(20, -40, WHO, 8, 9)]
    state = applied(state, refund, invoice.Issue(10), invoice.Refund(40, WHO, 8, 9))
    with pytest.raises(DomainError) as refused:
        invoice.decide(refund, state)
    assert refused.value.facts == {"overpaid_minor": 0}
    back = invoice.ReturnPayment(178, WHO, 8, 9)
    assert invoice.decide(back, state) == [invoice.PaymentReturned(178, 178, WHO, 8, 9)]
