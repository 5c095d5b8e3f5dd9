"""An invoice with tax as a pure function of what is booked (rating.md section 11)."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from domain.seller import WHOLE_BP
from domain.statement import PICO_DIGITS, InvoiceDraft, InvoiceLine
from domain.tariff import round_half_even

SHOWN_DIGITS: Final = 2  # EN 16931-1: no amount of an invoice has more places


class Rate(Struct, frozen=True, order=True, gc=False):
    """A category of UNCL5305, its rate in basis points, and why if there is none."""

    category: str
    rate_bp: int
    reason: str


class Seller(Struct, frozen=True):
    """`party`: the digest of what people call it."""

    seller: str
    party: str
    country: str
    terms_days: int


class Buyer(Struct, frozen=True):
    party: str
    country: str
    treatment: str


class TaxedLine(Struct, frozen=True):
    project: str
    sku: str
    price: int
    service_period: str
    category: str
    rate_bp: int
    reason: str
    quantity: int
    amount_pico: int
    shown_minor: int

    @property
    def rate(self) -> Rate:
        return Rate(self.category, self.rate_bp, self.reason)


class TaxSum(Struct, frozen=True):
    """Of all lines of one rate; `base_minor` is what is taxed."""

    category: str
    rate_bp: int
    reason: str
    base_pico: int
    base_minor: int
    tax_minor: int


class TaxedDraft(Struct, frozen=True):
    """All of an invoice but its number. `missing`: who had not spoken when its period closed."""

    organization: str
    account: str
    seller: Seller
    buyer: Buyer
    period: str
    start_us: int
    end_us: int
    currency: str
    minor_digits: int
    simulated: bool
    missing: tuple[str, ...]
    lines: tuple[TaxedLine, ...]
    taxes: tuple[TaxSum, ...]
    total_pico: int
    rounding_pico: int
    net_minor: int
    tax_minor: int
    total_minor: int


# The file's keys are the draft's, after these two.
_File: Final = msgspec.defstruct(
    "_File",
    [
        ("format", str),
        ("number", str),
        *((field.name, field.type) for field in msgspec.structs.fields(TaxedDraft)),
    ],
    frozen=True,
)


class _Named(Struct, frozen=True):
    number: str


def step_minor(minor_digits: int) -> int:
    """What every shown amount is a multiple of, in minor units: 1 where they have <= 2 places."""
    return int(10 ** max(0, minor_digits - SHOWN_DIGITS))


def tax_minor(base_minor: int, rate_bp: int, minor_digits: int) -> int:
    """Half-even, to the same places as the base."""
    step = step_minor(minor_digits)
    return round_half_even(base_minor * rate_bp, WHOLE_BP * step) * step


def taxed_draft(
    plain: InvoiceDraft,
    parties: tuple[Seller, Buyer],
    rates: Sequence[Rate],
    missing: tuple[str, ...],
) -> TaxedDraft:
    """`rates`: one for each line of `plain`. By rate, lines are shown so that they add up."""
    digits, step = plain.minor_digits, step_minor(plain.minor_digits)
    unit = 10 ** (PICO_DIGITS - digits) * step
    shown = [0] * len(rates)
    taxes = []
    for rate in sorted(set(rates)):
        mine = [index for index, of in enumerate(rates) if of == rate]
        amounts = [plain.lines[index].amount_pico for index in mine]
        base = round_half_even(sum(amounts), unit)
        for index, units in zip(mine, _shared(amounts, base, unit), strict=True):
            shown[index] = units * step
        tax = tax_minor(base * step, rate.rate_bp, digits)
        taxes.append(
            TaxSum(rate.category, rate.rate_bp, rate.reason, sum(amounts), base * step, tax)
        )
    net = sum(one.base_minor for one in taxes)
    tax = sum(one.tax_minor for one in taxes)
    rounding = net * 10 ** (PICO_DIGITS - digits) - plain.total_pico
    seller, buyer = parties
    return TaxedDraft(
        organization=plain.organization,
        account=plain.account,
        seller=seller,
        buyer=buyer,
        period=plain.period,
        start_us=plain.start_us,
        end_us=plain.end_us,
        currency=plain.currency,
        minor_digits=digits,
        simulated=plain.simulated,
        missing=missing,
        lines=tuple(map(_line, plain.lines, rates, shown)),
        taxes=tuple(taxes),
        total_pico=plain.total_pico,
        rounding_pico=rounding,
        net_minor=net,
        tax_minor=tax,
        total_minor=net + tax,
    )


def _shared(amounts: list[int], total: int, unit: int) -> list[int]:
    """Floors in units, one more each for the largest remainders, so that they add up to total."""
    shown = [amount // unit for amount in amounts]
    by_remainder = sorted(range(len(amounts)), key=lambda index: -(amounts[index] % unit))
    for index in by_remainder[: total - sum(shown)]:
        shown[index] += 1
    return shown


def _line(line: InvoiceLine, rate: Rate, shown: int) -> TaxedLine:
    return TaxedLine(
        project=line.project,
        sku=line.sku,
        price=line.price,
        service_period=line.service_period,
        category=rate.category,
        rate_bp=rate.rate_bp,
        reason=rate.reason,
        quantity=line.quantity,
        amount_pico=line.amount_pico,
        shown_minor=shown,
    )


def taxed_file(draft: TaxedDraft, number: str) -> bytes:
    """The canonical JSON that `evidence.file_sealed` binds under `statement.file_name(number)`."""
    return msgspec.json.encode(_File("gpuaas-invoice/2", number, *msgspec.structs.astuple(draft)))


def read_taxed_file(data: bytes) -> tuple[str, TaxedDraft]:
    """The number and the draft that `taxed_file` wrote. Raises: msgspec.DecodeError."""
    number = msgspec.json.decode(data, type=_Named).number
    return number, msgspec.json.decode(data, type=TaxedDraft)
