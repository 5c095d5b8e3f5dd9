"""Usage: what was charged, by department, project, model, price and period, and by cost centre;
what runs uncharged.
"""

from typing import Any

from litestar import get
from litestar.params import FromQuery

from api.body import FrontRequest
from api.edge import instant, money, now_us, parse_instant
from api.paging import before, page_size
from api.services import Services
from api.viewing import page, reachable, viewed
from contracts.http import Page
from contracts.http_cost_centres import CostCentreCharge
from contracts.http_money import Usage, UsageRunning
from domain.meter import GPU_TIME
from projections import attribution_read, billing_read, cost_centres_read, running_read


async def _asked(
    request: FrontRequest,
    organization: str | None,
    span: tuple[str | None, str | None],
    as_of: str | None,
) -> tuple[Services, dict[str, Any]]:
    """What each list of charges is asked with: of whom, of use from when to when, as of when."""
    scope = await reachable(request, organization)
    begin, until = (None if one is None else parse_instant(one) for one in span)
    services, position = await viewed(request, as_of)
    return services, {
        "organization": scope, "from_us": begin, "to_us": until, "as_of": position,
    }  # fmt: skip


@get("/v1/usage")
async def list_usage(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    department: FromQuery[str | None] = None,
    project: FromQuery[str | None] = None,
    account: FromQuery[str | None] = None,
    start: FromQuery[str | None] = None,
    end: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Usage]:
    """Time is charged when a runtime ends, a volume grows or is wiped, or a period closes."""
    services, asked = await _asked(request, organization, (start, end), as_of)
    rows = await services.reads.ask(
        attribution_read.usage, department=department, project=project, account=account, **asked
    )
    return Page(items=[_given(row) for row in rows], next=None)


def _given(row: billing_read.Usage) -> Usage:
    return Usage(
        account=row.account,
        department=row.department,
        project=row.project,
        meter=row.meter,
        model=row.model,
        price=row.price,
        period=row.period,
        runtimes=row.runtimes,
        volumes=row.volumes,
        reservations=row.reservations,
        quantity=str(row.quantity),
        amount=money(row.amount_pico, row.currency),
    )


@get("/v1/usage/cost-centres")
async def list_cost_centre_charges(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    cost_centre: FromQuery[str | None] = None,
    project: FromQuery[str | None] = None,
    account: FromQuery[str | None] = None,
    start: FromQuery[str | None] = None,
    end: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[CostCentreCharge]:
    """What was charged, by the cost centre that each project had at the time of its use: the items,
    those of no cost centre among them, add up to what `GET /v1/usage` has of the same query.
    """
    services, asked = await _asked(request, organization, (start, end), as_of)
    rows = await services.reads.ask(
        cost_centres_read.charges,
        cost_centre=cost_centre,
        project=project,
        account=account,
        **asked,
    )
    return Page(items=[_charged(row) for row in rows], next=None)


def _charged(row: cost_centres_read.Charge) -> CostCentreCharge:
    return CostCentreCharge(
        cost_centre=row.cost_centre,
        account=row.account,
        project=row.project,
        amount=money(row.amount_pico, row.currency),
    )


@get("/v1/usage/running")
async def list_running_usage(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    department: FromQuery[str | None] = None,
    project: FromQuery[str | None] = None,
    account: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
) -> Page[UsageRunning]:
    """What runs and is not charged yet, newest first, with an estimate of what it costs."""
    size, start = page_size(limit), before(cursor)
    scope = await reachable(request, organization)
    services, _ = await viewed(request)
    rows = await services.reads.ask(
        running_read.estimates,
        now_us(),
        organization=scope,
        department=department,
        project=project,
        account=account,
        before=start,
        limit=size + 1,
    )
    return page(rows, size, _uncharged, lambda row: row.running.from_position)


def _uncharged(row: running_read.Estimate) -> UsageRunning:
    one = row.running
    return UsageRunning(
        runtime=one.runtime,
        account=one.account,
        department=one.department,
        project=one.project,
        meter=GPU_TIME,
        model=one.model,
        since=instant(one.since_us),
        until=instant(row.until_us),
        quantity=str(row.quantity),
        estimate=None if row.amount_pico is None else money(row.amount_pico, one.currency),
    )
