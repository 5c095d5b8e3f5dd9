"""Sellers, their rates and numbers; what may become of a seller's invoice. Given, when, then."""

from typing import Any

import pytest

from domain import account, invoice, period, seller
from domain.crediting import Left, Part
from domain.decider import fold
from domain.errors import DomainError
from domain.period import FIRST_US
from domain.words import Private
from tests.property.books_history import HOUR_US
from tests.property.tax_history import TaxWorld

WHO = Private("a" * 64)
REGISTER = seller.Register(WHO, "DE", "ACME", 14, 5)
REGISTERED = seller.Registered(WHO, "DE", "ACME", 14, 5)


def rate(**changes: Any) -> seller.SetRate:
    """19 % for whoever is standard in DE, since ever."""
    fields: dict[str, Any] = {
        "treatment": "standard", "country": "DE", "meter": "*", "category": "S", "rate_bp": 1900,
        "reason": "", "effective_from_us": None, "now_us": 9, **changes,
    }  # fmt: skip
    return seller.SetRate(**fields)


def selling(*commands: seller.Command) -> seller.State:
    state = fold(seller.DECIDER, [REGISTERED])
    for command in commands:
        for event in seller.decide(command, state):
            state = seller.evolve(state, event)
    return state


def refused(decide: Any, command: Any, state: Any, code: str) -> None:
    with pytest.raises(DomainError) as caught:
        decide(command, state)
    assert caught.value.code == code


def test_a_seller_is_registered_once_by_a_prefix_of_its_own() -> None:
    """`INV` is how numbers of accounts without a seller begin."""
    assert seller.decide(REGISTER, seller.Missing()) == [REGISTERED]
    refused(seller.decide, REGISTER, selling(), "seller.exists")
    other = seller.Register(WHO, "DE", "OTHER", 14, 5)
    refused(seller.decide, other, selling(), "seller.exists")
    foreign = seller.Register(WHO, "DE", "INVX", 14, 5)
    refused(seller.decide, foreign, seller.Missing(), "seller.prefix_taken")
    refused(seller.decide, rate(), seller.Missing(), "seller.unknown")


def test_the_first_rate_of_a_treatment_is_of_all_meters_since_ever() -> None:
    """So every line of such a buyer has a rate, whenever it was used."""
    [first] = seller.decide(rate(), selling())
    assert isinstance(first, seller.RateSet)
    assert (first.effective_from_us, first.rate_bp) == (FIRST_US, 1900)
    refused(seller.decide, rate(meter="gpu.time"), selling(), "tax.first_rate")
    refused(seller.decide, rate(effective_from_us=1), selling(), "tax.first_rate")
    state = selling(rate())
    assert seller.decide(rate(), state) == []
    refused(seller.decide, rate(rate_bp=700), state, "tax.rate_exists")
    [later] = seller.decide(rate(rate_bp=700, effective_from_us=1), state)
    assert isinstance(later, seller.RateSet)
    refused(seller.decide, rate(country="FR", meter="x"), state, "tax.first_rate")
    assert isinstance(state, seller.Selling)
    seller.require_treated(state, "standard", "DE")
    with pytest.raises(DomainError, match=r"tax\.no_rate"):
        seller.require_treated(state, "standard", "FR")


@pytest.mark.parametrize(
    "changes",
    [
        {"category": "K"}, {"rate_bp": 0}, {"rate_bp": 10_001}, {"reason": "VATEX-EU-AE"},
        {"category": "Z"}, {"category": "E", "rate_bp": 0}, {"category": "AE", "reason": "x"},
        {"category": "Z", "rate_bp": 0, "reason": "x"},
    ],
)  # fmt: skip
def test_a_category_goes_with_its_rate_and_reason(changes: dict[str, Any]) -> None:
    """EN 16931: S is above 0; all others are 0, and E, AE, O say why."""
    refused(seller.decide, rate(**changes), selling(), "tax.rate_invalid")


def test_out_of_scope_is_out_of_scope_as_a_whole() -> None:
    """EN 16931 mixes O with nothing (BR-O-11)."""
    outside = rate(category="O", rate_bp=0, reason="VATEX-EU-O", meter="gpu.time")
    refused(seller.decide, outside, selling(rate()), "tax.mixed")
    [other] = seller.decide(rate(category="O", rate_bp=0, reason="VATEX-EU-O", country="US"),
                            selling(rate()))  # fmt: skip
    assert isinstance(other, seller.RateSet)


def test_invoices_and_credit_notes_count_apart_without_a_gap() -> None:
    """The same one again takes no number."""
    state = selling(seller.NumberInvoice("invoice-1"), seller.NumberCredit("credit_note-1"))
    assert seller.decide(seller.NumberInvoice("invoice-1"), state) == []
    assert seller.decide(seller.NumberCredit("credit_note-1"), state) == []
    assert seller.decide(seller.NumberInvoice("invoice-2"), state) == [
        seller.Invoiced("invoice-2", 2)
    ]
    assert seller.decide(seller.NumberCredit("x"), state) == [seller.Credited("x", 2)]
    assert seller.invoice_number("ACME", 7) == "ACME-000007"
    assert seller.credit_number("ACME", 1_234_567) == "ACME-C1234567"


def test_an_accounts_buyer_is_the_latest() -> None:
    """It stays through invoices; no account, no buyer."""
    opened = account.Opened("organization-1", "EUR", 2, "UTC", "2025b", 0)
    command = account.SetTax("seller-1", WHO, "DE", "standard", 3)
    state = fold(account.DECIDER, [opened])
    [taxed] = account.decide(command, state)
    assert taxed == account.Taxed("seller-1", WHO, "DE", "standard", 3)
    facts: list[account.Event] = [opened, taxed, account.Invoiced("invoice-1", 1)]
    state = fold(account.DECIDER, facts)
    assert isinstance(state, account.Billing)
    assert (state.taxed, state.sequence) == (taxed, 1)
    refused(account.decide, command, account.Missing(), "account.unknown")


def sold() -> tuple[invoice.State, Left]:
    """An invoice of 2.00 and 0.38 of tax."""
    world = TaxWorld()
    world.taxed()
    world.use(0, 2 * HOUR_US)
    stream = world.invoice()
    facts = [fact for at, _, fact in world.history.facts if at == stream]
    return fold(invoice.DECIDER, facts), world.drafts[stream]  # type: ignore[misc]


def applied(state: invoice.State, *commands: invoice.Command) -> invoice.State:
    for command in commands:
        for event in invoice.decide(command, state):
            state = invoice.evolve(state, event)
    return state


def test_a_credit_note_is_ordered_then_issued_once() -> None:
    """What nobody ordered is not issued; an order that takes too much is refused, and takes nothing."""
    state, left = sold()
    order = invoice.OrderCredit("credit_note-1", left, (Part(0, 50),), "outage", 3)
    too_much = invoice.OrderCredit("credit_note-2", left, (Part(0, 201),), "outage", 3)
    refused(invoice.decide, too_much, state, "credit.exceeds")
    draft = left.copy().take((Part(0, 50),), "outage")
    issue = invoice.Credit("credit_note-1", "ACME-C000001", draft, "ab", 4)
    refused(invoice.decide, issue, state, "credit.unknown")
    state = applied(state, order)
    [issued] = invoice.decide(issue, state)
    assert isinstance(issued, invoice.Credited)
    assert (issued.net_minor, issued.tax_minor, issued.total_minor) == (50, 10, 60)
    assert (issued.parts, issued.why) == ((Part(0, 50),), "outage")
    state = applied(state, issue)
    assert invoice.decide(issue, state) == []
    refused(invoice.decide, order, invoice.Missing(), "invoice.unknown")


def test_only_what_is_due_can_be_paid() -> None:
    """238, less 60 of a credit note: 178, in parts; sent or not, plain invoices likewise."""
    state, left = sold()
    draft = left.copy().take((Part(0, 50),), "outage")
    state = applied(
        state,
        invoice.OrderCredit("credit_note-1", left, (Part(0, 50),), "outage", 3),
        invoice.Credit("credit_note-1", "ACME-C000001", draft, "ab", 4),
        invoice.Issue(5),
        invoice.Pay(100, WHO, 6, 7),
    )
    for wrong in (0, -1, 79):
        refused(invoice.decide, invoice.Pay(wrong, WHO, 6, 7), state, "invoice.overpaid")
    assert invoice.decide(invoice.Pay(78, WHO, 6, 7), state) == [invoice.Paid(78, 0, WHO, 6, 7)]
    refused(invoice.decide, invoice.Pay(1, WHO, 6, 7), invoice.Missing(), "invoice.unknown")


def test_only_a_sellers_invoice_is_credited() -> None:
    """One without a seller has nobody who could."""
    _, left = sold()
    plain = invoice.Finalized(
        *("INV-1", "account-1", "period-1", "EUR", 2, 0, 5, 0, "f", "ab", 1, 2)
    )
    state = fold(invoice.DECIDER, [plain])
    refused(invoice.decide, invoice.OrderCredit("c", left, (), "void", 1), state,
            "invoice.no_seller")  # fmt: skip
    assert invoice.decide(invoice.Pay(5, WHO, 6, 7), state) == [invoice.Paid(5, 0, WHO, 6, 7)]


def test_the_smallest_payment_goes_back_and_no_more_than_was_paid() -> None:
    """One minor unit of it, all of it, and then nothing; of what was paid too much likewise."""
    plain = invoice.Finalized(
        *("INV-1", "account-1", "period-1", "EUR", 2, 0, 5, 0, "f", "ab", 1, 2)
    )
    state = applied(fold(invoice.DECIDER, [plain]), invoice.Pay(5, WHO, 6, 7))
    for wrong in (0, -1, 6):
        refused(invoice.decide, invoice.ReturnPayment(wrong, WHO, 8, 9), state, "invoice.not_paid")
    one = invoice.ReturnPayment(1, WHO, 8, 9)
    assert invoice.decide(one, state) == [invoice.PaymentReturned(1, 1, WHO, 8, 9)]
    assert invoice.decide(invoice.ReturnPayment(5, WHO, 8, 9), state) == [
        invoice.PaymentReturned(5, 5, WHO, 8, 9)
    ]
    state = applied(state, one)
    refused(invoice.decide, invoice.ReturnPayment(5, WHO, 8, 9), state, "invoice.not_paid")
    assert invoice.decide(invoice.Pay(1, WHO, 10, 11), state) == [invoice.Paid(1, 0, WHO, 10, 11)]


def test_a_period_closes_without_those_it_names() -> None:
    """The names stand before the close; without any there are none."""
    opened = period.Opened("account-1", 1, 0, 10, "UTC", "2025b", 0)
    later = period.Opened("account-1", 2, 10, 20, "UTC", "2025b", 0)
    state = fold(period.DECIDER, [opened])
    named = period.decide(period.Close(later, 12, ("node-1",)), state)
    assert named == [period.SourcesMissing(("node-1",), 12), period.Closed("account-1", 0, 10, 12)]
    assert period.decide(period.Close(later, 12), state) == named[1:]
    assert fold(period.DECIDER, [opened, *named]) == period.Over(opened)
