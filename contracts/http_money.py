"""The front door's money: meters, prices, usage, periods, invoices (as contracts/http.py)."""

from typing import Annotated

from msgspec import Meta

from contracts.http import (
    Amount,
    Currency,
    Given,
    Instant,
    Money,
    Positive,
    PriceAccount,
    Taken,
    Word,
)
from contracts.http_prices import Tier


class MoneyNew(Taken, frozen=True):
    """`Money` as a caller sends it."""

    amount: Amount
    currency: Currency


class MeterNew(Taken, frozen=True):
    """`source` `readings`: sources report it, with exactly these `dimensions`; a price is found by
    `model`, in state `read`, and quoted per `divisor` units. `lifecycle`: the platform counts it.
    """

    meter: Word
    unit: Word
    source: Annotated[str, Meta(pattern="^(lifecycle|readings)$")]
    aggregation: Annotated[str, Meta(pattern="^(sum|max|last|time-weighted)$")] = "sum"
    divisor: Positive = 1
    dimensions: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=8)] = ("model",)


class Meter(Given, frozen=True):
    id: str
    meter: str
    unit: str
    source: str
    aggregation: str
    divisor: str
    dimensions: list[str]


class PriceNew(Taken, frozen=True, kw_only=True):
    """`price` is per priced unit, `divisor` units of the meter, in the account's currency.

    The defaults are for GPUs: one GPU-hour. Volumes: meter `storage.capacity`, model `local`, state
    `existing`, divisor 3686400000000 for one GiB-hour.
    """

    account: PriceAccount = "default"
    meter: Word = "gpu.time"
    model: Word
    region: Word = "-"
    state: Word = "usable"
    price: MoneyNew
    divisor: Positive = 3_600_000_000_000
    effective_from: Instant


class Price(Given, frozen=True):
    """`position` is the entry's identity: invoices and transfers cite it.

    With `tiers`, `price` is that of the first one.
    """

    position: int
    account: str
    meter: str
    model: str
    region: str
    state: str
    price: Money
    divisor: str
    effective_from: Instant
    published_at: Instant
    free: str = "0"
    tiers: list[Tier] | None = None
    minimum: Money | None = None


class Usage(Given, frozen=True):
    """What was charged for one (department, project, meter, model, price entry, period).

    `quantity` in the meter's unit (milli-GPU-us, MiB-us, tokens); `runtimes`, `volumes`,
    `reservations` (what of them was idle): of how many. `department`: where the project was at the
    time; null for what an account pays by itself.
    """

    account: str
    department: str | None
    project: str
    meter: str
    model: str
    price: int
    period: str
    runtimes: int
    volumes: int
    reservations: int
    quantity: str
    amount: Money


class UsageRunning(Given, frozen=True):
    """What a runtime used from `since`, when it was charged last or became usable, until `until`.

    `quantity` in the meter's unit (milli-GPU-us). Nothing of it is charged yet. `estimate`: what
    the price list makes of it by itself, without tiers that others fill, commitments and holds;
    null where nothing prices it.
    """

    runtime: str
    account: str
    department: str | None
    project: str
    meter: str
    model: str
    since: Instant
    until: Instant
    quantity: str
    estimate: Money | None


class InvoiceDepartment(Given, frozen=True):
    """What of an invoice's exact total is of a project while it was in the department; null and
    `-`: what the account pays by itself.
    """

    department: str | None
    project: str
    amount: Money


class Period(Given, frozen=True):
    """`missing`: nodes and sources that had not told all of it when it was closed."""

    id: str
    account: str
    sequence: int
    start: Instant
    end: Instant
    state: str
    invoice: str | None
    version: int
    missing: list[str]


class PeriodClosed(Given, frozen=True):
    """`closed_at` null: it was closed before."""

    id: str
    closed_at: Instant | None
    version: int | None


class Invoice(Given, frozen=True):
    """`exact`: before tax and rounding. Without a seller `seller`, `net` and `tax` are null.
    `missing`: nodes and sources that had not told all of it when its period was closed; what they
    tell later is on a later invoice.
    """

    id: str
    number: str
    organization: str
    account: str
    period: str
    total: Money
    exact: Money
    line_count: int
    file: str
    sha256: str
    state: str
    finalized_at: Instant
    seller: str | None
    net: Money | None
    tax: Money | None
    missing: list[str]
