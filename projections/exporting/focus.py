"""FOCUS 1.2 CostAndUsage: each charge line in each period it is booked in is one row.

Source: FOCUS specification 1.2 (focus.finops.org), Cost and Usage. Columns beginning with `x_` are
ours: they tie the row to the log. The sum of `BilledCost` over an `InvoiceId` is that invoice's
total, and over a credit note's what it takes back: rounding and tax are rows of their own.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from math import gcd
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct

from domain.pricebook import RESERVED
from domain.tariff import round_half_even
from projections.billing_read import Account, Period
from projections.exporting.lines import Beside, Line, Lines
from projections.exporting.proof import Proof
from projections.exporting.services import SIZES, consumed, priced_unit, service
from projections.exporting.table import Column, Kind, always, each

_SECOND_US: Final = 1_000_000
_PICO: Final = 10**12


# (FOCUS's category, description) by the kind of a transfer.
_BESIDE: Final = {
    "rounding": ("Adjustment", "rounding to the currency's minor unit"),
    "tax": ("Tax", "tax"),
    "credit": ("Credit", "credit note"),
    "credit_rounding": ("Adjustment", "rounding of a credit note"),
    "credit_tax": ("Tax", "tax of a credit note"),
}


class Bill(Struct, frozen=True):
    """What is the same for every row of one booked period. `projects`: names by id, None erased;
    `departments`: of projects that never moved; `centres`: names of cost centres.
    """

    account: Account
    period: Period
    invoice: str | None
    projects: Mapping[str, str | None]
    proof: Proof
    departments: Mapping[str, str] = {}
    centres: Mapping[str, str | None] = {}

    @property
    def issuer(self) -> str:
        """The log's configured name: an origin is `<name>/<deployment>`."""
        return self.proof.origin.rpartition("/")[0]


class Row(Struct, frozen=True, gc=False):
    """A charge line, or what is beside them: one of the two is None."""

    bill: Bill
    line: Line | None
    beside: Beside | None = None

    @property
    def other(self) -> Beside:
        """Of rows without a line."""
        assert self.beside is not None, "a row is of a line or of something beside it"
        return self.beside


class Charged(Sequence[Row]):
    """Charge lines of one bill, to be written at once: rows, and the columns that they are."""

    def __init__(self, bill: Bill, lines: Lines) -> None:
        self.bill = bill
        self.lines = lines

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: Any) -> Any:
        return Row(self.bill, self.lines[index])

    def __iter__(self) -> Iterator[Row]:
        return (Row(self.bill, line) for line in self.lines)


def beside(bill: Bill, found: Beside) -> Row:
    """What the period's invoice, or a credit note that takes from it, has beside charge lines."""
    return Row(bill, None, found)


def _of(value: Callable[[Line], Any]) -> Callable[[Row], Any]:
    """Of the row's charge line; null without one."""
    return lambda row: None if row.line is None else value(row.line)


def of_entry(rows: Sequence[Row]) -> Sequence[object]:
    """Lines of one price entry, project and service period have most in common, and so have rows
    beside them of one kind and document: a `per`.
    """
    if isinstance(rows, Charged):
        return list(zip(*_OF_ENTRY(rows.lines), strict=True))
    return [_OF_OTHER(row.other) for row in rows]


def own(
    name: str,
    kind: Kind,
    of_lines: Callable[[Lines], Sequence[Any]],
    of_other: Callable[[Row], Any] = lambda _: None,
) -> Column[Row]:
    """What each row has for itself: a column of its lines, or of a row without one."""
    return Column(name, kind, _owned(of_lines, of_other))


def _owned(
    of_lines: Callable[[Lines], Sequence[Any]], of_other: Callable[[Row], Any]
) -> Callable[[Sequence[Row]], Sequence[Any]]:
    """Rows that are written at once are all of lines, or all beside them."""
    return lambda rows: (
        of_lines(rows.lines) if isinstance(rows, Charged) else [of_other(row) for row in rows]
    )


def _of_bill(name: str, value: Callable[[Bill], Any], kind: Kind = "text") -> Column[Row]:
    """Rows of one bill are written together."""
    return Column(name, kind, each(lambda row: value(row.bill)), always)


def _of_price(name: str, value: Callable[[Row], Any], kind: Kind = "text") -> Column[Row]:
    """Of the row's price entry, and whether it has one."""
    return Column(name, kind, each(value), of_entry)


def _null(name: str, kind: Kind = "text") -> Column[Row]:
    return Column(name, kind, each(_nothing), always)


def _nothing(_: Row) -> None:
    """No such thing here."""


def _starts(bill: Bill) -> int:
    """Whole seconds, as FOCUS writes instants; `x_…Us` columns are exact."""
    return bill.period.start_us // _SECOND_US


def _ends(bill: Bill) -> int:
    return -(-bill.period.end_us // _SECOND_US)


def _region(line: Line) -> str | None:
    return None if line.stood == "-" else line.stood


def _resource_type(line: Line) -> str:
    return "Reservation" if line.state == RESERVED else service(line).resource


def _idle(lines: Lines, values: Iterable[str]) -> Sequence[str | None]:
    """The value of each line that is of what is reserved and idle; null of all others."""
    if RESERVED not in lines.state:
        return [None] * len(lines)
    return [
        value if resource.startswith("reservation-") else None
        for resource, value in zip(lines.resource, values, strict=False)
    ]


def _category(row: Row) -> str:
    return "Usage" if row.line else _BESIDE[row.other.kind][0]


def _correction(row: Row) -> str | None:
    """Of another period, or of a credit note."""
    line = row.line
    late = row.other.document is not None if line is None else line.period != row.bill.period.period
    return "Correction" if late else None


def _description(row: Row) -> str:
    line = row.line
    if line is None:
        return _BESIDE[row.other.kind][1]
    return f"{line.meter} of {line.model}, {line.state}"


def _listed(lines: Lines) -> Sequence[int]:
    """What each would have cost at list price, rounded like what it did cost."""
    if lines.list_pico is lines.price_pico:
        return lines.amount_pico
    return [
        line.amount_pico
        if line.list_pico is None or line.list_pico == line.price_pico
        else round_half_even(line.quantity * line.list_pico, line.divisor)
        for line in lines
    ]


def _quantities(of: Callable[[Lines], Sequence[int]]) -> Callable[[Lines], Sequence[int]]:
    """Each line's quantity by a divisor of it, with twelve places."""

    def values(lines: Lines) -> Sequence[int]:
        divisors = of(lines)
        by = {one: _reduced(one) for one in set(divisors)}
        return [
            quantity * by[divisor][0]
            if by[divisor][1] == 1
            else round_half_even(quantity * by[divisor][0], by[divisor][1])
            for quantity, divisor in zip(lines.quantity, divisors, strict=True)
        ]

    return values


@lru_cache(1024)
def _reduced(divisor: int) -> tuple[int, int]:
    """10^12 / divisor in lowest terms: small numbers are divided faster."""
    common = gcd(_PICO, divisor)
    return _PICO // common, divisor // common


def _service_or(name: str, other: str) -> Callable[[Row], Any]:
    return lambda row: other if row.line is None else getattr(service(row.line), name)


def _project(row: Row) -> str | None:
    return row.other.project if row.line is None else row.line.project


def _project_name(row: Row) -> str | None:
    """FOCUS wants a name where there is an id: of an erased name, the id."""
    project = _project(row)
    return None if project is None else row.bill.projects.get(project) or project


def _project_type(row: Row) -> str | None:
    return None if _project(row) is None else "Project"


def _entry(row: Row) -> int | None:
    return row.other.price if row.line is None else row.line.price


def department(row: Row) -> str | None:
    """Where the line's project was at the time; null for what an account pays by itself."""
    if row.line is None:
        return None
    return row.line.department or row.bill.departments.get(row.line.project)


def _centre_name(row: Row) -> str | None:
    """As of the export; null once erased."""
    if row.line is None or row.line.cost_centre is None:
        return None
    return row.bill.centres.get(row.line.cost_centre)


def _details(line: Line) -> str:
    return _price_details(line.model, line.state)


@lru_cache(1024)
def _price_details(model: str, state: str) -> str:
    return json.dumps({"x_Model": model, "x_State": state}, separators=(",", ":"))


_OF_ENTRY: Final = attrgetter(
    "price",
    "price_pico",
    "list_pico",
    "period",
    "project",
    "simulated",
    "department",
    "stood",
    "cost_centre",
)
_OF_OTHER: Final = attrgetter("kind", "document", "project", "price")
_BILLED: Final = _owned(attrgetter("amount_pico"), attrgetter("beside.amount_pico"))
_CURRENCY: Final = attrgetter("account.currency")
_CONSUMED: Final = _quantities(lambda lines: [SIZES.get(meter, 1) for meter in lines.meter])
_PRICED: Final = _quantities(attrgetter("divisor"))
_CONTRACTED: Final = each(_of(attrgetter("price_pico")))
_LISTED: Final = each(
    _of(lambda line: line.price_pico if line.list_pico is None else line.list_pico)
)

COLUMNS: Final = (
    _null("AvailabilityZone"),
    Column("BilledCost", "amount", _BILLED),
    _of_bill("BillingAccountId", attrgetter("account.account")),
    _null("BillingAccountName"),
    _of_bill("BillingAccountType", lambda _: "Billing account"),
    _of_bill("BillingCurrency", _CURRENCY),
    _of_bill("BillingPeriodEnd", _ends, "second"),
    _of_bill("BillingPeriodStart", _starts, "second"),
    own("CapacityReservationId", "text", lambda lines: _idle(lines, lines.resource)),
    own("CapacityReservationStatus", "text", lambda lines: _idle(lines, repeat("Unused"))),
    _of_price("ChargeCategory", _category),
    _of_price("ChargeClass", _correction),
    _of_price("ChargeDescription", _description),
    _of_price("ChargeFrequency", lambda row: "Usage-Based" if row.line else "One-Time"),
    own(
        "ChargePeriodEnd",
        "second",
        lambda lines: [-(-at // _SECOND_US) for at in lines.end_us],
        lambda row: _ends(row.bill),
    ),
    own(
        "ChargePeriodStart",
        "second",
        lambda lines: [at // _SECOND_US for at in lines.start_us],
        lambda row: _starts(row.bill),
    ),
    _null("CommitmentDiscountCategory"),
    _null("CommitmentDiscountId"),
    _null("CommitmentDiscountName"),
    _null("CommitmentDiscountQuantity", "amount"),
    _null("CommitmentDiscountStatus"),
    _null("CommitmentDiscountType"),
    _null("CommitmentDiscountUnit"),
    own("ConsumedQuantity", "amount", _CONSUMED),
    _of_price("ConsumedUnit", _of(lambda line: consumed(line)[0])),
    Column("ContractedCost", "amount", _BILLED),
    Column("ContractedUnitPrice", "amount", _CONTRACTED, of_entry),
    Column("EffectiveCost", "amount", _BILLED),
    _of_bill("InvoiceId", attrgetter("invoice")),
    _of_bill("InvoiceIssuerName", attrgetter("issuer")),
    own("ListCost", "amount", _listed, attrgetter("beside.amount_pico")),
    Column("ListUnitPrice", "amount", _LISTED, of_entry),
    _of_price("PricingCategory", _of(lambda _: "Standard")),
    _of_bill("PricingCurrency", _CURRENCY),
    Column("PricingCurrencyContractedUnitPrice", "amount", _CONTRACTED, of_entry),
    Column("PricingCurrencyEffectiveCost", "amount", _BILLED),
    Column("PricingCurrencyListUnitPrice", "amount", _LISTED, of_entry),
    own("PricingQuantity", "amount", _PRICED),
    _of_price("PricingUnit", _of(priced_unit)),
    _of_bill("ProviderName", attrgetter("issuer")),
    _of_bill("PublisherName", attrgetter("issuer")),
    _of_price("RegionId", _of(_region)),
    _of_price("RegionName", _of(_region)),
    own("ResourceId", "text", attrgetter("resource")),
    own("ResourceName", "text", attrgetter("name")),
    _of_price("ResourceType", _of(_resource_type)),
    _of_price("ServiceCategory", _service_or("category", "Other")),
    _of_price("ServiceName", _service_or("name", "Billing")),
    _of_price("ServiceSubcategory", _service_or("subcategory", "Other (Other)")),
    _of_price("SkuId", _of(lambda line: f"{line.meter}:{line.model}")),
    _of_price("SkuMeter", _of(attrgetter("meter"))),
    _of_price("SkuPriceDetails", _of(_details)),
    _of_price(
        "SkuPriceId", _of(lambda line: f"{line.meter}:{line.model}:{line.region}:{line.state}")
    ),
    _of_price("SubAccountId", _project),
    _of_price("SubAccountName", _project_name),
    _of_price("SubAccountType", _project_type),
    _null("Tags"),
    own("x_ChargePeriodEndUs", "whole", attrgetter("end_us"), attrgetter("bill.period.end_us")),
    own(
        "x_ChargePeriodStartUs", "whole", attrgetter("start_us"), attrgetter("bill.period.start_us")
    ),
    _of_bill("x_CheckpointRoot", attrgetter("proof.root")),
    _of_bill("x_CheckpointSize", attrgetter("proof.size"), "whole"),
    _of_price("x_CostCentreId", _of(attrgetter("cost_centre"))),
    _of_price("x_CostCentreName", _centre_name),
    _of_price("x_DepartmentId", department),
    own("x_LogPosition", "whole", attrgetter("cause"), attrgetter("beside.cause")),
    _of_price("x_PriceEntry", _entry, "whole"),
    _of_price("x_ServicePeriodId", _of(attrgetter("period"))),
    _of_price("x_Simulated", _of(attrgetter("simulated")), "flag"),
    own("x_TransferIds", "text", attrgetter("transfers"), lambda row: f'["{row.other.id}"]'),
)
