"""An invoice as a pure function of what is booked in its period (rating.md section 6)."""

from typing import Final

import msgspec
from msgspec import Struct

from domain.tariff import round_half_even

PICO_DIGITS: Final = 12


class LineKey(Struct, frozen=True, order=True, gc=False):
    """What makes one invoice line; lines stand in the order of these four."""

    project: str
    sku: str
    price: int
    service_period: str


class Sum(Struct):
    """Signed sums booked so far under one line key."""

    quantity: int = 0
    amount_pico: int = 0


class InvoiceLine(Struct, frozen=True):
    project: str
    sku: str
    price: int
    service_period: str
    quantity: int
    amount_pico: int
    shown_minor: int


class InvoiceDraft(Struct, frozen=True):
    """All of an invoice but its number: `rounding_pico` = total_minor in pico - total_pico.

    `missing`: who had not told all when its period was closed.
    """

    organization: str
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
    missing: tuple[str, ...] = ()


class _File(Struct, frozen=True):
    format: str
    number: str
    organization: str
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


# The same, and who had not told all.
_Named: Final = msgspec.defstruct(
    "_Named",
    [
        *((one.name, one.type) for one in msgspec.structs.fields(_File)[:10]),
        ("missing", tuple[str, ...]),
        *((one.name, one.type) for one in msgspec.structs.fields(_File)[10:]),
    ],
    frozen=True,
)


def state_lines(
    sums: dict[LineKey, Sum], minor_digits: int
) -> tuple[tuple[InvoiceLine, ...], int, int]:
    """The lines in order, the total in pico, and the total in minor units (half-even).

    Shown minor amounts are floors plus one unit each for the largest remainders, so they add up
    to the total. Lines of quantity 0 and amount 0 vanish; no lines: totals of 0.
    """
    unit = 10 ** (PICO_DIGITS - minor_digits)
    kept = sorted((key, s) for key, s in sums.items() if s.quantity or s.amount_pico)
    total_pico = sum(s.amount_pico for _, s in kept)
    total_minor = round_half_even(total_pico, unit)
    shown = [s.amount_pico // unit for _, s in kept]
    by_remainder = sorted(range(len(kept)), key=lambda i: -(kept[i][1].amount_pico % unit))
    for index in by_remainder[: total_minor - sum(shown)]:
        shown[index] += 1
    lines = tuple(
        InvoiceLine(
            *(key.project, key.sku, key.price, key.service_period),
            *(s.quantity, s.amount_pico, shown[index]),
        )
        for index, (key, s) in enumerate(kept)
    )
    return lines, total_pico, total_minor


def file_name(number: str) -> str:
    return f"invoice-{number.lower()}.json"


def invoice_file(draft: InvoiceDraft, number: str) -> bytes:
    """The canonical JSON that `evidence.file_sealed` binds under `file_name(number)`."""
    said = msgspec.structs.asdict(draft)
    missing = said.pop("missing")
    if not missing:
        return msgspec.json.encode(_File("gpuaas-invoice/1", number, **said))
    return msgspec.json.encode(_Named("gpuaas-invoice/3", number, missing=missing, **said))
