"""An invoice as a page for people: every number on it is the sealed file's own."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from domain.statement import PICO_DIGITS
from domain.tariff import round_half_even
from projections.billing_read import Invoice, Price
from projections.taxes_read import Party

if TYPE_CHECKING:
    import jinja2

# What is shown runs nothing and asks nobody for anything.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# By meter: how many of its units a person calls one, and what they call it.
_USED: Final = {
    "gpu.time": (3_600_000_000_000, "GPU-hours"),
    "storage.capacity": (3_686_400_000_000, "GiB-hours"),
}


@cache
def _page() -> "jinja2.Template":
    import jinja2  # the API starts without it: few processes ever show a page

    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("invoice.html.j2")


class _Line(Struct):
    """Of an invoice or a credit note; what the other one has stays at its default."""

    project: str
    sku: str
    price: int
    service_period: str
    amount_pico: int
    quantity: int | None = None
    shown_minor: int = 0
    amount_minor: int = 0
    rate_bp: int | None = None
    category: str = ""


class _Party(Struct):
    party: str
    country: str


class _Tax(Struct):
    category: str
    rate_bp: int
    reason: str
    base_minor: int
    tax_minor: int


class Sealed(Struct):
    """What of a sealed file is shown (rating.md sections 6 and 11)."""

    number: str
    account: str
    period: str
    currency: str
    minor_digits: int
    simulated: bool
    lines: tuple[_Line, ...]
    total_pico: int
    rounding_pico: int
    total_minor: int
    net_minor: int | None = None
    tax_minor: int = 0
    taxes: tuple[_Tax, ...] = ()
    seller: _Party | None = None
    buyer: _Party | None = None
    invoice_number: str = ""
    missing: tuple[str, ...] = ()


class Names(Struct, frozen=True):
    """What ids are called; an erased name is its id. `services`: service periods by id; `parties`
    by digest.
    """

    organization: str
    zone: str
    projects: Mapping[str, str | None]
    prices: Mapping[int, Price]
    services: Mapping[str, str]
    parties: Mapping[str, Party | None] = {}


class Source(Struct, frozen=True):
    """Where a sealed file stands, and what it does not say itself; instants in us. `missing`: who
    had not told all when the period was closed; a file without a seller leaves that to the log.
    """

    title: str
    file: str
    sha256: str
    position: int
    state: str
    at_us: int
    start_us: int
    end_us: int
    missing: tuple[str, ...] = ()


class _Span(Struct):
    start_us: int
    end_us: int


def source_of(file: bytes, found: Invoice) -> Source:
    """Of an invoice. Raises: msgspec.DecodeError when `file` is none."""
    span = msgspec.json.decode(file, type=_Span)
    return Source(
        *("Invoice", found.file, found.sha256, found.from_position, found.state),
        *(found.finalized_us, span.start_us, span.end_us, tuple(missing_of(found.missing))),
    )


def missing_of(sources: str | None) -> list[str]:
    """Of an invoice or a period, as views have it."""
    return [] if sources is None else msgspec.json.decode(sources, type=list[str])


def invoice_page(file: bytes, found: Invoice, names: Names) -> str:
    """HTML, complete in itself: no script, nothing loaded. Names are escaped.

    Raises: msgspec.DecodeError when `file` is no invoice.
    """
    return page(page_data(file, source_of(file, found), names))


def page(data: Mapping[str, Any]) -> str:
    """As `invoice_page`, of data from `page_data`."""
    return _page().render(data)


def page_data(file: bytes, source: Source, names: Names) -> dict[str, Any]:
    """What a page shows, in words: the same for HTML and PDF.

    Raises: msgspec.DecodeError when `file` is no invoice or credit note.
    """
    said = msgspec.json.decode(file, type=Sealed)

    def shown(minor: int) -> str:
        return amount(minor, said.minor_digits)

    return {
        "title": source.title,
        "number": said.number,
        "of": said.invoice_number,
        "simulated": said.simulated,
        "missing": ", ".join(said.missing or source.missing),
        "seller": _party(said.seller, names),
        "customer": _party(said.buyer, names) or names.organization,
        "account": said.account,
        "start": local(source.start_us, names.zone),
        "end": local(source.end_us, names.zone),
        "zone": names.zone,
        "finalized": local(source.at_us, names.zone),
        "state": source.state,
        "currency": said.currency,
        "lines": [_shown(line, said, names) for line in said.lines],
        "exact": amount(said.total_pico, PICO_DIGITS),
        "net": "" if said.net_minor is None else shown(said.net_minor),
        "taxes": [
            {"what": _rate(one.category, one.rate_bp), "why": one.reason,
             "base": shown(one.base_minor), "amount": shown(one.tax_minor)}
            for one in said.taxes
        ],
        "total": shown(said.total_minor),
        "total_minor": said.total_minor,
        "rounding": amount(said.rounding_pico, PICO_DIGITS),
        "file": source.file,
        "sha256": source.sha256,
        "position": source.position,
    }  # fmt: skip


def _party(of: _Party | None, names: Names) -> str:
    """Name, address, country, VAT id; of an erased one, its country."""
    if of is None:
        return ""
    said = names.parties.get(of.party)
    if said is None:
        return of.country
    place = f"{said.postcode} {said.city}".strip()
    words = (said.name, said.street, place, of.country, said.vat_id)
    return ", ".join(word for word in words if word)


def _rate(category: str, rate_bp: int) -> str:
    return f"{category} {amount(rate_bp, 2)} %"


def _shown(line: _Line, said: Sealed, names: Names) -> dict[str, Any]:
    price = names.prices.get(line.price)
    late = line.service_period != said.period
    minor = line.shown_minor or line.amount_minor
    return {
        "project": names.projects.get(line.project) or line.project,
        "what": line.sku,
        "service": names.services.get(line.service_period, line.service_period) if late else "",
        "used": _used(line),
        "price": f"entry {line.price}" if price is None else _priced(price),
        "tax": "" if line.rate_bp is None else _rate(line.category, line.rate_bp),
        "exact": amount(line.amount_pico, PICO_DIGITS),
        "amount": amount(minor, said.minor_digits),
        "minor": minor,
    }


def _used(line: _Line) -> str:
    """In people's units to a millionth, or as counted; nothing on a credit note."""
    if line.quantity is None:
        return ""
    size, unit = _USED.get(line.sku.partition(":")[0], (1, "units"))
    if size == 1:
        return f"{line.quantity} {unit}"
    return f"{amount(round_half_even(line.quantity * 10**6, size), 6)} {unit}"


def _priced(price: Price) -> str:
    size, unit = _USED.get(price.meter, (1, "units"))
    per = unit.removesuffix("s") if price.divisor == size else f"{price.divisor} of {price.meter}"
    return f"{amount(price.price_pico, PICO_DIGITS)} per {per} (entry {price.from_position})"


def amount(scaled: int, digits: int) -> str:
    """An integer of 10^-digits as a decimal: `-0.05`; no float on the way."""
    whole, part = divmod(abs(scaled), 10**digits)
    sign = "-" if scaled < 0 else ""
    return f"{sign}{whole}" + (f".{part:0{digits}d}" if digits else "")


def day(us: int, zone: str) -> date:
    """The day of the instant in the account's zone."""
    return (_EPOCH + timedelta(microseconds=us)).astimezone(ZoneInfo(zone)).date()


def local(us: int, zone: str) -> str:
    """`2025-01-31 23:59:59.999999 +0100` in the account's zone."""
    moment = (_EPOCH + timedelta(microseconds=us)).astimezone(ZoneInfo(zone))
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f %z").replace(".000000", "")
