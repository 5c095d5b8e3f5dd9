"""Sellers, their tax tables, buyers and credit notes, folded (contracts/rating.md section 11)."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import Struct

from domain import account, invoice, seller
from domain.crediting import CreditLine, Left
from domain.errors import DomainError
from domain.ledger import Ledger, Order, Transfer, post
from domain.statement import PICO_DIGITS, InvoiceDraft
from domain.taxed import Buyer, Rate, Seller, TaxedDraft, taxed_draft
from domain.words import ANY_METER

type Payment = invoice.Paid | invoice.PaymentReturned | invoice.Refunded
type Handler = Callable[[int, str, Any], None]


_MOVED: Final[dict[type, tuple[str, str, str]]] = {
    invoice.Paid: ("payment", "cash", "receivable"),
    invoice.PaymentReturned: ("payment_returned", "receivable", "cash"),
    invoice.Refunded: ("refund", "receivable", "cash"),
}


class _Selling(Struct):
    registered: seller.Registered
    rates: dict[tuple[str, str, str], list[seller.RateSet]]  # in order of `effective_from_us`


class Taxes:
    """What tax an invoice bears. Facts are applied once each, in order of position."""

    def __init__(self) -> None:
        self._sellers: dict[str, _Selling] = {}
        self._buyers: dict[str, account.Taxed] = {}
        self._left: dict[str, Left] = {}  # by invoice
        self.on: dict[type, Handler] = {
            seller.Registered: self._registered,
            seller.RateSet: self._rate_set,
            account.Taxed: self._taxed,
        }

    def taxed(self, account_id: str) -> account.Taxed | None:
        """Who invoices the account, and as what; None: it is invoiced without tax."""
        return self._buyers.get(account_id)

    def draft(
        self, plain: InvoiceDraft, ends: dict[str, int], missing: tuple[str, ...] = ()
    ) -> TaxedDraft:
        """The invoice with its tax; `ends`: where each service period of its lines ends; `missing`:
        who had not spoken when its period was closed.

        Raises: DomainError `rating.tax`.
        """
        buyer = self._buyers[plain.account]
        of = self._selling(buyer.seller)
        rates = [
            self._rate(of, buyer, line.sku.partition(":")[0], ends[line.service_period] - 1)
            for line in plain.lines
        ]
        terms = of.registered
        parties = (
            Seller(buyer.seller, terms.party.private, terms.country, terms.terms_days),
            Buyer(buyer.party.private, buyer.country, buyer.treatment),
        )
        return taxed_draft(plain, parties, rates, missing)

    def finalized(
        self, position: int, stream: str, fact: invoice.TaxedFinalized, draft: TaxedDraft,
        ledger: Ledger,
    ) -> list[Transfer]:  # fmt: skip
        """Its transfers. Raises: DomainError `rating.invoice_differs`."""
        said = (fact.account, fact.seller, fact.total_pico, fact.net_minor, fact.tax_minor)
        found = (
            *(draft.account, draft.seller.seller, draft.total_pico),
            *(draft.net_minor, draft.tax_minor),
        )
        if said != found or fact.line_count != len(draft.lines):
            raise DomainError("rating.invoice_differs", f"{stream} differs from what is booked")
        self._left[stream] = Left(stream, fact.number, draft)
        unit = 10 ** (PICO_DIGITS - draft.minor_digits)
        legs = [
            ("invoice", "unbilled", draft.total_pico, None),
            ("rounding", "rounding", draft.rounding_pico, None),
            *(("tax", "tax", one.tax_minor * unit, index) for index, one in enumerate(draft.taxes)),
        ]
        about = (stream, "-", None, draft.period, draft.period, "receivable")
        orders = (
            Order(position, kind, *about, other, pico, number) for kind, other, pico, number in legs
        )
        return _posted(ledger, orders)

    def left(self, stream: str) -> Left:
        """What credit notes issued so far have left of the invoice, to be taken from apart.

        Raises: DomainError `rating.credit_differs`.
        """
        found = self._left.get(stream)
        if found is None:
            raise DomainError("rating.credit_differs", f"{stream} was not finalized with tax")
        return found.copy()

    def credited(
        self, position: int, stream: str, fact: invoice.Credited, ledger: Ledger, booked: str
    ) -> tuple[list[Transfer], tuple[CreditLine, ...]]:
        """Its transfers, `booked` in a period that is open, of the one that was invoiced; what it
        takes of which lines.

        Raises: DomainError `rating.credit_differs`, `credit.*`.
        """
        left = self._left.get(stream)
        if left is None:
            raise DomainError("rating.credit_differs", f"{stream} was not finalized with tax")
        draft = left.take(fact.parts, fact.why)
        if (fact.account, fact.net_minor, fact.tax_minor) != (
            *(draft.account, draft.net_minor, draft.tax_minor),
        ):
            raise DomainError("rating.credit_differs", f"{stream}: not what its parts come to")
        unit, note, of = 10 ** (PICO_DIGITS - draft.minor_digits), fact.credit_note, draft.period
        orders = [
            Order(
                *(position, "credit", note, "-", line.price, line.service_period, booked),
                *(f"revenue:{line.sku}", "receivable", line.amount_pico, line.line),
            )
            for line in draft.lines
        ]
        about = (note, "-", None, of, booked)
        orders.append(
            Order(
                *(position, "credit_rounding", *about, "rounding", "receivable"),
                *(draft.rounding_pico, None),
            )
        )
        orders += [
            Order(position, "credit_tax", *about, "tax", "receivable", one.tax_minor * unit, index)
            for index, one in enumerate(draft.taxes)
        ]
        return _posted(ledger, orders), draft.lines

    def _registered(self, _: int, stream: str, fact: seller.Registered) -> None:
        self._sellers[stream] = _Selling(fact, {})

    def _rate_set(self, _: int, stream: str, fact: seller.RateSet) -> None:
        rates = self._selling(stream).rates
        key = (fact.treatment, fact.country, fact.meter)
        rates[key] = sorted([*rates.get(key, []), fact], key=lambda one: one.effective_from_us)

    def _taxed(self, _: int, stream: str, fact: account.Taxed) -> None:
        self._buyers[stream] = fact

    def _selling(self, stream: str) -> _Selling:
        found = self._sellers.get(stream)
        if found is None:
            raise DomainError("rating.tax", f"no seller {stream}")
        return found

    def _rate(self, of: _Selling, buyer: account.Taxed, meter: str, at_us: int) -> Rate:
        for name in (meter, ANY_METER):
            known = of.rates.get((buyer.treatment, buyer.country, name), [])
            held = [one for one in known if one.effective_from_us <= at_us]
            if held:
                return Rate(held[-1].category, held[-1].rate_bp, held[-1].reason)
        raise DomainError("rating.tax", f"no rate for {buyer.treatment} in {buyer.country}")


def paid(
    position: int,
    stream: str,
    fact: Payment,
    of: tuple[Ledger, str, str, int],
) -> list[Transfer]:
    """What came in: cash for the receivable; or what went back, the other way.

    `of`: the ledger, the period that was invoiced, the one it is booked in, and the minor digits.
    """
    ledger, period_id, booked, digits = of
    pico = fact.amount_minor * 10 ** (PICO_DIGITS - digits)
    kind, debit, credit = _MOVED[type(fact)]
    about = (stream, "-", None, period_id, booked, debit, credit)
    return _posted(ledger, [Order(position, kind, *about, pico, None)])


def _posted(ledger: Ledger, orders: Iterable[Order]) -> list[Transfer]:
    return [post(ledger, order) for order in orders if order.amount_pico]
