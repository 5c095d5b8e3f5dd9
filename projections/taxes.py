"""Sellers, tax rates, buyers, and credit notes: what the facts of tax say themselves."""

from typing import Final

from domain import account, invoice, seller
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, text

SHAPES: Final = (
    Shape(
        "seller",
        ("seller",),
        "seller, from_position, to_position, party, country, prefix, terms_days, registered_us",
    ),
    Shape(
        "tax_rate",
        (),
        "from_position, to_position, seller, treatment, country, meter, category, rate_bp, reason, "
        "effective_from_us, decided_us",
    ),
    Shape(
        "account_tax",
        ("account",),
        "account, from_position, to_position, seller, party, country, treatment, decided_us",
    ),
    Shape(
        "invoice_tax",
        ("invoice",),
        "invoice, from_position, to_position, seller, net_minor, tax_minor",
    ),
    Shape(
        "credit_note",
        ("credit_note",),
        "credit_note, from_position, to_position, invoice, organization, account, seller, number, "
        "why, net_minor, tax_minor, total_minor, file, sha256, issued_us",
        hashed=True,
    ),
)


def _registered(b: Batch, e: Entry, f: seller.Registered) -> None:
    tail = (
        f"{text(f.party.private)}\t{text(f.country)}\t{text(f.prefix)}\t{f.terms_days}\t"
        f"{f.registered_us}"
    )
    b["seller"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail, new=e.version == 1)


def _rate_set(b: Batch, e: Entry, f: seller.RateSet) -> None:
    tail = (
        f"{e.stream}\t{text(f.treatment)}\t{text(f.country)}\t{text(f.meter)}\t{text(f.category)}\t"
        f"{f.rate_bp}\t{text(f.reason)}\t{f.effective_from_us}\t{f.decided_us}"
    )
    b["tax_rate"].add(str(e.position), tail)


def _taxed(b: Batch, e: Entry, f: account.Taxed) -> None:
    tail = (
        f"{text(f.seller)}\t{text(f.party.private)}\t{text(f.country)}\t{text(f.treatment)}\t"
        f"{f.decided_us}"
    )
    b["account_tax"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail)


def _finalized(b: Batch, e: Entry, f: invoice.TaxedFinalized) -> None:
    head, tail = f"{e.stream}\t{e.position}", f"{text(f.seller)}\t{f.net_minor}\t{f.tax_minor}"
    b["invoice_tax"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _credited(b: Batch, e: Entry, f: invoice.Credited) -> None:
    tail = (
        f"{e.stream}\t{e.org}\t{text(f.account)}\t{text(f.seller)}\t{text(f.number)}\t"
        f"{text(f.why)}\t{f.net_minor}\t{f.tax_minor}\t{f.total_minor}\t{text(f.file)}\t"
        f"{text(f.sha256)}\t{f.issued_us}"
    )
    head = f"{text(f.credit_note)}\t{e.position}"
    b["credit_note"].open(f.credit_note, e.position, head, tail)


APPLY: Final[dict[type, Apply]] = {
    seller.Registered: _registered,
    seller.RateSet: _rate_set,
    account.Taxed: _taxed,
    invoice.TaxedFinalized: _finalized,
    invoice.Credited: _credited,
}
