"""What money facts leave to be done: periods to open and close, invoices to write and issue."""

from typing import Final, get_args

from msgspec import Struct

from domain import account, credit, invoice, period, seller
from projections.entries import Entry

_NOTED: Final = (account.TermsSet, *get_args(credit.Event.__value__))


class OpenPeriod(Struct, frozen=True):
    stream: str
    org: str
    version: int
    opened: period.Opened


class Billed(Struct):
    """An account, how far its stream has come, and its periods that are not closed, in order."""

    org: str
    version: int
    opened: account.Opened
    sequence: int = 0
    last: period.Opened | None = None
    seller: str = ""


class Selling(Struct):
    """A seller, and how far its stream and its invoices have come."""

    registered: seller.Registered
    version: int = 1
    invoices: int = 0
    credits: int = 0


class ToCredit(Struct, frozen=True):
    """A credit note that is ordered and not issued."""

    stream: str
    org: str
    order: invoice.CreditOrdered


class Sold(Struct):
    """A seller's invoice."""

    state: invoice.State
    version: int = 1


class Due(Struct, frozen=True):
    """A closed period without an invoice; `closed` is the position that says so."""

    period: str
    account: str
    org: str
    closed: int


CREDIT: Final = (
    *("suspended", "resumed", "credit_set", "over_limit", "within_limit", "dunned"),
    "dunning_ended",
)
TAGS: Final = frozenset(
    f"gpuaas.{name}.v1"
    for name in (
        "account.opened",
        "account.invoiced",
        "account.taxed",
        "account.terms_set",
        "period.opened",
        "period.sources_missing",
        "period.closed",
        "invoice.finalized",
        "invoice.issued",
        "invoice.paid",
        "invoice.payment_returned",
        "invoice.refunded",
        *(f"account.{name}" for name in CREDIT),
        "seller.registered",
        "seller.rate_set",
        "seller.invoiced",
        "seller.credited",
        "credit_note.ordered",
        "credit_note.issued",
    )
) | {"gpuaas.invoice.finalized.v2"}


class Duties:
    """A fold of the money facts; what it lists is done by whoever appends first."""

    def __init__(self) -> None:
        self.accounts: dict[str, Billed] = {}
        self.sellers: dict[str, Selling] = {}
        self.running: dict[str, OpenPeriod] = {}
        self.to_invoice: dict[str, Due] = {}
        self.to_credit: dict[str, ToCredit] = {}  # by credit note, in order of the log
        self.invoices: dict[str, Sold] = {}
        self.to_issue: dict[str, str] = {}  # invoice stream -> its organization

    def apply(self, entry: Entry, fact: Struct) -> None:
        """Remembers the fact; facts of other kinds change nothing."""
        billed = self.accounts.get(entry.stream)
        selling = self.sellers.get(entry.stream)
        if isinstance(fact, invoice.TaxedFinalized):
            self.invoices[entry.stream] = Sold(invoice.evolve(invoice.Missing(), fact))
        elif (sold := self.invoices.get(entry.stream)) is not None:
            assert isinstance(fact, invoice.Event.__value__), "a stream has its own facts"
            sold.state, sold.version = invoice.evolve(sold.state, fact), entry.version
        match fact:
            case account.Opened():
                self.accounts[entry.stream] = Billed(entry.org, entry.version, fact)
            case account.Invoiced() if billed is not None:
                billed.version, billed.sequence = entry.version, fact.sequence
            case account.Taxed() if billed is not None:
                billed.version, billed.seller = entry.version, fact.seller
            case seller.Registered():
                self.sellers[entry.stream] = Selling(fact)
            case seller.Invoiced() if selling is not None:
                selling.version, selling.invoices = entry.version, fact.sequence
            case seller.Credited() if selling is not None:
                selling.version, selling.credits = entry.version, fact.sequence
            case seller.RateSet() if selling is not None:
                selling.version = entry.version
            case invoice.CreditOrdered():
                self.to_credit[fact.credit_note] = ToCredit(entry.stream, entry.org, fact)
            case invoice.Credited():
                self.to_credit.pop(fact.credit_note, None)
            case _ if billed is not None and isinstance(fact, _NOTED):
                billed.version = entry.version
            case period.Opened():
                self.running[entry.stream] = OpenPeriod(
                    entry.stream, entry.org, entry.version, fact
                )
                owner = self.accounts.get(fact.account)
                if owner is not None:
                    owner.last = fact
            case period.Closed():
                self.running.pop(entry.stream, None)
                self.to_invoice[entry.stream] = Due(
                    entry.stream, fact.account, entry.org, entry.position
                )
            case invoice.Finalized() | invoice.TaxedFinalized():
                self.to_invoice.pop(fact.period, None)
                self.to_issue[entry.stream] = entry.org
            case invoice.Issued():
                self.to_issue.pop(entry.stream, None)
            case _:
                pass
