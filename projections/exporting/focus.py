"""FOCUS 1.2 CostAndUsage: each charge line in each period it is booked in is one row.

Source: FOCUS specification 1.2 (focus.finops.org), Cost and Usage. Columns beginning with `x_` are
ours: they tie the row to the log. The sum of `BilledCost` over an `InvoiceId` is that invoice's
total, and over a credit note's what it takes back: rounding and tax are rows of their own.
"""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct

from domain.tariff import round_half_even
from projections.billing_read import Account, Period
from projections.exporting.lines import Beside, Line
from projections.exporting.proof import Proof
from projections.exporting.table import Column, Kind, always

_SECOND_US: Final = 1_000_000
_PICO: Final = 10**12


class Service(Struct, frozen=True):
    """What a meter counts in FOCUS's words. `consumed`: a unit, and how many of the meter's units
    it is; `priced`: the name of the unit that one `divisor` is, others are named by the number.
    """

    name: str
    category: str
    subcategory: str
    resource: str
    consumed: tuple[str, int]
    priced: Mapping[int, str]


# (FOCUS's category, description) by the kind of a transfer.
_BESIDE: Final = {
    "rounding": ("Adjustment", "rounding to the currency's minor unit"),
    "tax": ("Tax", "tax"),
    "credit": ("Credit", "credit note"),
    "credit_rounding": ("Adjustment", "rounding of a credit note"),
    "credit_tax": ("Tax", "tax of a credit note"),
}
_SERVICES: Final = {
    "gpu.time": Service(
        "GPU runtimes", "Compute", "Other (Compute)", "Runtime",
        ("GPU-Seconds", 1000 * _SECOND_US), {3_600_000_000_000: "GPU-Hours"},
    ),
    "storage.capacity": Service(
        "Volumes", "Storage", "Block Storage", "Volume",
        ("MiB-Seconds", _SECOND_US), {3_686_400_000_000: "GiB-Hours", 3_600_000_000: "MiB-Hours"},
    ),
}  # fmt: skip


class Bill(Struct, frozen=True):
    """What is the same for every row of one booked period. `projects`: names by id, None erased."""

    account: Account
    period: Period
    invoice: str | None
    projects: Mapping[str, str | None]
    proof: Proof

    @property
    def issuer(self) -> str:
        """The log's configured name: an origin is `<name>/<deployment>`."""
        return self.proof.origin.rpartition("/")[0]


class Row(Struct, frozen=True, gc=False):
    """Amounts in pico, quantities in pico of their unit, instants in us; None where FOCUS wants
    null.
    """

    bill: Bill
    category: str
    correction: bool
    description: str
    start_us: int
    end_us: int
    billed_pico: int
    listed_pico: int
    line: Line | None
    cause: int
    transfers: tuple[str, ...]


def charged(bill: Bill, line: Line) -> Row:
    """A charge line. What it would have cost at list price is rounded like what it did cost."""
    listed = line.amount_pico
    if line.list_pico is not None and line.list_pico != line.price_pico:
        listed = round_half_even(line.quantity * line.list_pico, line.divisor)
    return Row(
        bill, "Usage", line.period != bill.period.period,
        f"{line.meter} of {line.model}, {line.state}", line.start_us, line.end_us,
        line.amount_pico, listed, line, line.cause, line.transfers,
    )  # fmt: skip


def beside(bill: Bill, found: Beside) -> Row:
    """What the period's invoice, or a credit note that takes from it, has beside charge lines."""
    category, description = _BESIDE[found.kind]
    span, correction = bill.period, found.document is not None
    return Row(
        bill, category, correction, description, span.start_us, span.end_us, found.amount_pico,
        found.amount_pico, None, found.cause, (found.id,),
    )  # fmt: skip


def _service(line: Line) -> Service:
    known = _SERVICES.get(line.meter)
    if known is not None:
        return known
    return Service(line.meter, "Other", "Other (Other)", line.meter, ("Units", 1), {})


def _priced_unit(line: Line) -> str:
    known = _service(line).priced.get(line.divisor)
    unit, size = _service(line).consumed
    # A price per any other number of units is named by it, in the smallest unit there is.
    return known or (f"{line.divisor} Units" if size != 1 else f"{line.divisor} {unit}")


def _of(value: Callable[[Line], Any]) -> Callable[[Row], Any]:
    """Of the row's charge line; null without one."""
    return lambda row: None if row.line is None else value(row.line)


def _time(us: int, *, up: bool = False) -> int:
    """Whole seconds, as FOCUS writes instants; `x_…Us` columns are exact."""
    return -(-us // _SECOND_US) if up else us // _SECOND_US


def of_entry(row: Row) -> tuple[object, ...]:
    """Lines of one price entry, project and service period have most in common, and so have rows
    beside them that say the same: a `per`.
    """
    line = row.line
    if line is None:
        return row.category, row.description, row.correction
    return line.price, line.list_pico, line.period, line.project, line.simulated


def _text(name: str, value: Callable[[Row], Any]) -> Column[Row]:
    return Column(name, "text", value)


def _amount(name: str, value: Callable[[Row], Any]) -> Column[Row]:
    return Column(name, "amount", value)


def _second(name: str, value: Callable[[Row], Any]) -> Column[Row]:
    return Column(name, "second", value)


def _whole(name: str, value: Callable[[Row], Any]) -> Column[Row]:
    return Column(name, "whole", value)


def _of_bill(name: str, value: Callable[[Bill], Any], kind: Kind = "text") -> Column[Row]:
    """Rows of one bill are written together."""
    return Column(name, kind, lambda row: value(row.bill), always)


def _of_price(name: str, value: Callable[[Row], Any], kind: Kind = "text") -> Column[Row]:
    """Of the row's price entry, and whether it has one."""
    return Column(name, kind, value, of_entry)


def _null(name: str, kind: Kind = "text") -> Column[Row]:
    return Column(name, kind, _nothing, always)


def _nothing(_: Row) -> None:
    """No such thing here."""


def _region(line: Line) -> str | None:
    return None if line.region == "-" else line.region


def _consumed(line: Line) -> tuple[str, int]:
    return _service(line).consumed


def _pico(quantity: int, divisor: int) -> int:
    """Quantity by divisor with twelve places."""
    return round_half_even(quantity * _PICO, divisor)


def _service_or(name: str, other: str) -> Callable[[Row], Any]:
    return lambda row: other if row.line is None else getattr(_service(row.line), name)


def _project_name(row: Row) -> str | None:
    """FOCUS wants a name where there is an id: of an erased name, the id."""
    if row.line is None:
        return None
    return row.bill.projects.get(row.line.project) or row.line.project


def _ids(row: Row) -> str:
    """A JSON list of hex digits."""
    return '["' + '","'.join(row.transfers) + '"]' if row.transfers else "[]"


def _details(line: Line) -> str:
    return _price_details(line.model, line.state)


@lru_cache(1024)
def _price_details(model: str, state: str) -> str:
    return json.dumps({"x_Model": model, "x_State": state}, separators=(",", ":"))


_BILLED: Final = attrgetter("billed_pico")
_CURRENCY: Final = attrgetter("account.currency")
_CONTRACTED: Final = _of(attrgetter("price_pico"))
_LISTED: Final = _of(lambda line: line.price_pico if line.list_pico is None else line.list_pico)

COLUMNS: Final = (
    _null("AvailabilityZone"),
    _amount("BilledCost", _BILLED),
    _of_bill("BillingAccountId", attrgetter("account.account")),
    _null("BillingAccountName"),
    _of_bill("BillingAccountType", lambda _: "Billing account"),
    _of_bill("BillingCurrency", _CURRENCY),
    _of_bill("BillingPeriodEnd", lambda bill: _time(bill.period.end_us, up=True), "second"),
    _of_bill("BillingPeriodStart", lambda bill: _time(bill.period.start_us), "second"),
    _null("CapacityReservationId"),
    _null("CapacityReservationStatus"),
    _of_price("ChargeCategory", attrgetter("category")),
    _of_price("ChargeClass", lambda row: "Correction" if row.correction else None),
    _of_price("ChargeDescription", attrgetter("description")),
    _of_price("ChargeFrequency", lambda row: "Usage-Based" if row.line else "One-Time"),
    _second("ChargePeriodEnd", lambda row: _time(row.end_us, up=True)),
    _second("ChargePeriodStart", lambda row: _time(row.start_us)),
    _null("CommitmentDiscountCategory"),
    _null("CommitmentDiscountId"),
    _null("CommitmentDiscountName"),
    _null("CommitmentDiscountQuantity", "amount"),
    _null("CommitmentDiscountStatus"),
    _null("CommitmentDiscountType"),
    _null("CommitmentDiscountUnit"),
    _amount("ConsumedQuantity", _of(lambda line: _pico(line.quantity, _consumed(line)[1]))),
    _of_price("ConsumedUnit", _of(lambda line: _consumed(line)[0])),
    _amount("ContractedCost", _BILLED),
    _of_price("ContractedUnitPrice", _CONTRACTED, "amount"),
    _amount("EffectiveCost", _BILLED),
    _of_bill("InvoiceId", attrgetter("invoice")),
    _of_bill("InvoiceIssuerName", attrgetter("issuer")),
    _amount("ListCost", attrgetter("listed_pico")),
    _of_price("ListUnitPrice", _LISTED, "amount"),
    _of_price("PricingCategory", _of(lambda _: "Standard")),
    _of_bill("PricingCurrency", _CURRENCY),
    _of_price("PricingCurrencyContractedUnitPrice", _CONTRACTED, "amount"),
    _amount("PricingCurrencyEffectiveCost", _BILLED),
    _of_price("PricingCurrencyListUnitPrice", _LISTED, "amount"),
    _amount("PricingQuantity", _of(lambda line: _pico(line.quantity, line.divisor))),
    _of_price("PricingUnit", _of(_priced_unit)),
    _of_bill("ProviderName", attrgetter("issuer")),
    _of_bill("PublisherName", attrgetter("issuer")),
    _of_price("RegionId", _of(_region)),
    _of_price("RegionName", _of(_region)),
    _text("ResourceId", _of(attrgetter("resource"))),
    _text("ResourceName", _of(attrgetter("name"))),
    _of_price("ResourceType", _of(lambda line: _service(line).resource)),
    _of_price("ServiceCategory", _service_or("category", "Other")),
    _of_price("ServiceName", _service_or("name", "Billing")),
    _of_price("ServiceSubcategory", _service_or("subcategory", "Other (Other)")),
    _of_price("SkuId", _of(lambda line: f"{line.meter}:{line.model}")),
    _of_price("SkuMeter", _of(attrgetter("meter"))),
    _of_price("SkuPriceDetails", _of(_details)),
    _of_price(
        "SkuPriceId", _of(lambda line: f"{line.meter}:{line.model}:{line.region}:{line.state}")
    ),
    _of_price("SubAccountId", _of(attrgetter("project"))),
    _of_price("SubAccountName", _project_name),
    _of_price("SubAccountType", _of(lambda _: "Project")),
    _null("Tags"),
    _whole("x_ChargePeriodEndUs", attrgetter("end_us")),
    _whole("x_ChargePeriodStartUs", attrgetter("start_us")),
    _of_bill("x_CheckpointRoot", attrgetter("proof.root")),
    _of_bill("x_CheckpointSize", attrgetter("proof.size"), "whole"),
    _whole("x_LogPosition", attrgetter("cause")),
    _of_price("x_PriceEntry", _of(attrgetter("price")), "whole"),
    _of_price("x_ServicePeriodId", _of(attrgetter("period"))),
    _of_price("x_Simulated", _of(attrgetter("simulated")), "flag"),
    _text("x_TransferIds", _ids),
)
