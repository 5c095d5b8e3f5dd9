"""The front door's tax: sellers, rates, buyers, credit notes (as contracts/http.py)."""

from typing import Annotated

from msgspec import Meta

from contracts.http import Given, Instant, Money, Reason, Taken

type SellerId = Annotated[
    str,
    Meta(pattern="^seller-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
]
type PartyName = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"[^\s]")]
type Line = Annotated[str, Meta(max_length=200)]
type Country = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
type VatId = Annotated[str, Meta(pattern="^[A-Z]{2}[A-Z0-9]{2,20}$")]
type MaybeVatId = Annotated[str, Meta(pattern="^([A-Z]{2}[A-Z0-9]{2,20})?$")]
type Prefix = Annotated[str, Meta(pattern="^[A-Z][A-Z0-9]{0,11}$")]
type Treatment = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]
type MeterOrAll = Annotated[
    str, Meta(min_length=1, max_length=60, pattern=r"^(\*|[A-Za-z0-9_.-]+)$")
]
type Category = Annotated[str, Meta(pattern="^(S|Z|E|AE|O)$")]
type ExemptionCode = Annotated[str, Meta(pattern="^(VATEX-[A-Z0-9-]{1,40})?$")]
type Points = Annotated[int, Meta(ge=0, le=10_000)]
type Days = Annotated[int, Meta(ge=0, le=365)]
type Minor = Annotated[int, Meta(ge=-(10**18), le=10**18)]
type LineNumber = Annotated[int, Meta(ge=0, le=10**6)]


class PartyNew(Taken, frozen=True, kw_only=True):
    """What people call a party: kept where it can be erased, never in the log."""

    name: PartyName
    street: Line = ""
    city: Line = ""
    postcode: Line = ""
    vat_id: MaybeVatId = ""


class Party(Given, frozen=True):
    name: str
    street: str
    city: str
    postcode: str
    vat_id: str


class SellerNew(PartyNew, frozen=True, kw_only=True):
    """A legal entity; its numbers begin with `prefix`, for good."""

    vat_id: VatId
    country: Country
    prefix: Prefix
    terms_days: Days = 14


class Seller(Given, frozen=True):
    """`party` null: erased."""

    id: str
    country: str
    prefix: str
    terms_days: int
    party: Party | None
    registered_at: Instant


class TaxRateNew(Taken, frozen=True, kw_only=True):
    """For buyers of that treatment and country. `rate_bp`: 1900 is 19 %.

    `effective_from` left out: since ever, as the first one must be, of meter `*`.
    """

    treatment: Treatment
    country: Country
    meter: MeterOrAll = "*"
    category: Category
    rate_bp: Points = 0
    reason: ExemptionCode = ""
    effective_from: Instant | None = None


class TaxRate(Given, frozen=True):
    """`effective_from` null: since ever."""

    seller: str
    treatment: str
    country: str
    meter: str
    category: str
    rate_bp: int
    reason: str
    effective_from: Instant | None


class AccountTaxNew(PartyNew, frozen=True, kw_only=True):
    """From the next invoice on, this seller invoices the account, as such a buyer."""

    seller: SellerId
    country: Country
    treatment: Treatment


class AccountTax(Given, frozen=True):
    """`party` null: erased."""

    account: str
    seller: str
    country: str
    treatment: str
    party: Party | None


class CreditPart(Taken, frozen=True):
    """So much of the invoice's line with that number, from 0, before tax, in minor units."""

    line: LineNumber
    minor: Minor


class CreditNoteNew(Taken, frozen=True, kw_only=True):
    """No lines: all that is left of the invoice, which voids it."""

    why: Reason = "correction"
    lines: Annotated[tuple[CreditPart, ...], Meta(max_length=500)] = ()


class CreditOrder(Given, frozen=True):
    """The credit note has its number and its file once `GET /v1/credit-notes/{id}` finds it."""

    id: str
    invoice: str
    why: str
    ordered_at: Instant


class CreditNote(Given, frozen=True):
    """`net` and `tax` in whole minor units of the currency; `total` is both."""

    id: str
    number: str
    invoice: str
    organization: str
    account: str
    seller: str
    why: str
    net: Money
    tax: Money
    total: Money
    file: str
    sha256: str
    issued_at: Instant


class ReturnNew(Taken, frozen=True, kw_only=True):
    """So much of what was paid went back, in minor units; `reference`: what the bank called it."""

    minor: Annotated[int, Meta(ge=1, le=10**18)]
    reference: Annotated[str, Meta(max_length=200)] = ""
    at: Instant


class PaymentNew(Taken, frozen=True, kw_only=True):
    """`minor` units of the invoice's currency; `reference`: what the bank calls it."""

    minor: Annotated[int, Meta(ge=1, le=10**18)]
    reference: Line = ""
    paid_at: Instant


class Payment(Given, frozen=True):
    """`due_minor`: what of the invoice is due after it."""

    invoice: str
    minor: int
    due_minor: int
    paid_at: Instant
