"""An invoice as a page for people: every number on it is the sealed file's own."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import jinja2
import msgspec
from msgspec import Struct

from domain.statement import PICO_DIGITS, InvoiceLine
from domain.tariff import round_half_even
from projections.billing_read import Invoice, Price

# What is shown runs nothing and asks nobody for anything.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# By meter: how many of its units a person calls one, and what they call it.
_USED: Final = {
    "gpu.time": (3_600_000_000_000, "GPU-hours"),
    "storage.capacity": (3_686_400_000_000, "GiB-hours"),
}


class Sealed(Struct):
    """What of the sealed file is shown (rating.md section 6)."""

    number: str
    account: str
    period: str
    start_us: int
    end_us: int
    currency: str
    minor_digits: int
    simulated: bool
    lines: tuple[InvoiceLine, ...]
    total_pico: int
    rounding_pico: int
    total_minor: int


class Names(Struct, frozen=True):
    """What ids are called; an erased name is its id. `services`: service periods by id."""

    organization: str
    zone: str
    projects: Mapping[str, str | None]
    prices: Mapping[int, Price]
    services: Mapping[str, str]


def invoice_page(file: bytes, found: Invoice, names: Names) -> str:
    """HTML, complete in itself: no script, nothing loaded. Names are escaped.

    Raises: msgspec.DecodeError when `file` is no invoice.
    """
    said = msgspec.json.decode(file, type=Sealed)
    return _TEMPLATES.get_template("invoice.html.j2").render(
        number=said.number,
        simulated=said.simulated,
        customer=names.organization,
        account=said.account,
        start=local(said.start_us, names.zone),
        end=local(said.end_us, names.zone),
        zone=names.zone,
        finalized=local(found.finalized_us, names.zone),
        state=found.state,
        currency=said.currency,
        lines=[_shown(line, said, names) for line in said.lines],
        exact=amount(said.total_pico, PICO_DIGITS),
        total=amount(said.total_minor, said.minor_digits),
        total_minor=said.total_minor,
        rounding=amount(said.rounding_pico, PICO_DIGITS),
        file=found.file,
        sha256=found.sha256,
        position=found.from_position,
    )


def _shown(line: InvoiceLine, said: Sealed, names: Names) -> dict[str, Any]:
    price = names.prices.get(line.price)
    late = line.service_period != said.period
    return {
        "project": names.projects.get(line.project) or line.project,
        "what": line.sku,
        "service": names.services.get(line.service_period, line.service_period) if late else "",
        "used": _used(line),
        "price": f"entry {line.price}" if price is None else _priced(price),
        "exact": amount(line.amount_pico, PICO_DIGITS),
        "amount": amount(line.shown_minor, said.minor_digits),
        "minor": line.shown_minor,
    }


def _used(line: InvoiceLine) -> str:
    """In people's units to a millionth, or as counted."""
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
