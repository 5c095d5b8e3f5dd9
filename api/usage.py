"""Usage: what was charged, by department, project, model, price and period."""

from litestar import get
from litestar.params import FromQuery

from api.body import FrontRequest
from api.edge import money, parse_instant
from api.viewing import reachable, viewed
from contracts.http import Page
from contracts.http_money import Usage
from projections import attribution_read, billing_read


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
    scope = await reachable(request, organization)
    begin = None if start is None else parse_instant(start)
    until = None if end is None else parse_instant(end)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        attribution_read.usage,
        organization=scope,
        department=department,
        project=project,
        account=account,
        from_us=begin,
        to_us=until,
        as_of=position,
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
