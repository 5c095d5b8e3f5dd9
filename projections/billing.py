"""Meters, prices, billing accounts, periods and invoices: what the money facts say themselves."""

from typing import Final

import msgspec

from domain import account, invoice, meter, period, price_facts, pricebook
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, json, text

SHAPES: Final = (
    Shape(
        "meter",
        ("stream",),
        "stream, from_position, to_position, meter, unit, source, aggregation, registered_us, "
        "divisor, dimensions",
    ),
    Shape(
        "price",
        (),
        "from_position, to_position, book, account, meter, model, region, state, currency, "
        "effective_from_us, published_us, price_pico, divisor, kind, named, edition, free, tiers, "
        "minimum_pico",
    ),
    Shape(
        "account",
        ("account",),
        "account, from_position, to_position, organization, currency, minor_digits, zone, tzdata, "
        "opened_us",
    ),
    Shape(
        "period",
        ("period",),
        "period, from_position, to_position, account, sequence, start_us, end_us, zone, tzdata, "
        "opened_us",
    ),
    Shape("period_missing", ("period",), "period, from_position, to_position, sources, decided_us"),
    Shape("period_close", ("period",), "period, from_position, to_position, closed_us"),
    Shape(
        "invoice",
        ("invoice",),
        "invoice, from_position, to_position, organization, number, account, period, currency, "
        "minor_digits, total_pico, total_minor, line_count, file, sha256, closed, finalized_us",
    ),
    Shape("invoice_state", ("invoice",), "invoice, from_position, to_position, state, since_us"),
    Shape("invoice_number", ("account",), "account, from_position, to_position, invoice, sequence"),
)


def _registered(b: Batch, e: Entry, f: meter.Registered | meter.ReadingsRegistered) -> None:
    known = meter.evolve(meter.Missing(), f)
    assert isinstance(known, meter.Counting), "what a registration makes"
    tail = (
        f"{text(f.meter)}\t{text(f.unit)}\t{text(known.source)}\t{text(f.aggregation)}\t"
        f"{f.registered_us}\t{known.divisor}\t{json(known.dimensions)}"
    )
    b["meter"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail, new=e.version == 1)


def _priced(
    b: Batch,
    e: Entry,
    f: pricebook.EntryPublished | price_facts.ShapedEntry | price_facts.CommitmentMade,
    when: tuple[int, int],
    pico: int,
    rest: str,
) -> None:
    tail = (
        f"{e.stream}\t{text(f.account)}\t{text(f.meter)}\t{text(f.model)}\t{text(f.region)}\t"
        f"{text(f.state)}\t{text(f.currency)}\t{when[0]}\t{when[1]}\t{pico}\t{f.divisor}\t{rest}"
    )
    b["price"].add(str(e.position), tail)


def _published(b: Batch, e: Entry, f: pricebook.EntryPublished) -> None:
    when = (f.effective_from_us, f.published_us)
    _priced(b, e, f, when, f.price_pico, "entry\t-\t0\t0\t\t0")


def _shaped(b: Batch, e: Entry, f: price_facts.ShapedEntry) -> None:
    """`price_pico` is that of the first tier."""
    when = (f.effective_from_us, f.published_us)
    tiers = msgspec.json.encode(f.tiers).decode()
    rest = f"entry\t{text(f.book)}\t{f.edition}\t{f.free}\t{text(tiers)}\t{f.minimum_pico}"
    _priced(b, e, f, when, f.tiers[0].price_pico if f.tiers else 0, rest)


def _committed(b: Batch, e: Entry, f: price_facts.CommitmentMade) -> None:
    """What is charged for a commitment names it as its price."""
    rest = "commitment\t-\t0\t0\t\t0"
    _priced(b, e, f, (f.from_us, f.decided_us), f.price_pico, rest)


def _account(b: Batch, e: Entry, f: account.Opened) -> None:
    tail = (
        f"{text(f.organization)}\t{text(f.currency)}\t{f.minor_digits}\t{text(f.zone)}\t"
        f"{text(f.tzdata)}\t{f.opened_us}"
    )
    b["account"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail, new=e.version == 1)


def _invoiced(b: Batch, e: Entry, f: account.Invoiced) -> None:
    head = f"{e.stream}\t{e.position}"
    b["invoice_number"].open(e.stream, e.position, head, f"{text(f.invoice)}\t{f.sequence}")


def _period(b: Batch, e: Entry, f: period.Opened) -> None:
    tail = (
        f"{text(f.account)}\t{f.sequence}\t{f.start_us}\t{f.end_us}\t{text(f.zone)}\t"
        f"{text(f.tzdata)}\t{f.opened_us}"
    )
    b["period"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail, new=e.version == 1)


def _missing(b: Batch, e: Entry, f: period.SourcesMissing) -> None:
    head = f"{e.stream}\t{e.position}"
    b["period_missing"].open(e.stream, e.position, head, f"{json(f.sources)}\t{f.decided_us}")


def _closed(b: Batch, e: Entry, f: period.Closed) -> None:
    head = f"{e.stream}\t{e.position}"
    b["period_close"].open(e.stream, e.position, head, str(f.closed_us), new=e.version == 1)


def _finalized(b: Batch, e: Entry, f: invoice.Finalized | invoice.TaxedFinalized) -> None:
    tail = (
        f"{e.org}\t{text(f.number)}\t{text(f.account)}\t{text(f.period)}\t{text(f.currency)}\t"
        f"{f.minor_digits}\t{f.total_pico}\t{f.total_minor}\t{f.line_count}\t{text(f.file)}\t"
        f"{text(f.sha256)}\t{f.closed}\t{f.finalized_us}"
    )
    head, new = f"{e.stream}\t{e.position}", e.version == 1
    b["invoice"].open(e.stream, e.position, head, tail, new=new)
    b["invoice_state"].open(e.stream, e.position, head, f"finalized\t{f.finalized_us}", new=new)


def _issued(b: Batch, e: Entry, f: invoice.Issued) -> None:
    head = f"{e.stream}\t{e.position}"
    b["invoice_state"].open(e.stream, e.position, head, f"issued\t{f.issued_us}")


def _paid(b: Batch, e: Entry, f: invoice.Paid) -> None:
    _state(b, e, "partly_paid" if f.due_minor else "paid", f.paid_us)


def _returned(b: Batch, e: Entry, f: invoice.PaymentReturned) -> None:
    _state(b, e, "payment_returned", f.returned_us)


def _refunded(b: Batch, e: Entry, f: invoice.Refunded) -> None:
    _state(b, e, "refunded", f.refunded_us)


def _state(b: Batch, e: Entry, state: str, since_us: int) -> None:
    b["invoice_state"].open(
        e.stream, e.position, f"{e.stream}\t{e.position}", f"{state}\t{since_us}"
    )


APPLY: Final[dict[type, Apply]] = {
    invoice.Paid: _paid,
    invoice.PaymentReturned: _returned,
    invoice.Refunded: _refunded,
    meter.Registered: _registered,
    meter.ReadingsRegistered: _registered,
    pricebook.EntryPublished: _published,
    price_facts.ShapedEntry: _shaped,
    price_facts.CommitmentMade: _committed,
    account.Opened: _account,
    account.Invoiced: _invoiced,
    period.Opened: _period,
    period.SourcesMissing: _missing,
    period.Closed: _closed,
    invoice.Finalized: _finalized,
    invoice.TaxedFinalized: _finalized,
    invoice.Issued: _issued,
}
