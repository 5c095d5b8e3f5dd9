"""Billing periods: list, close."""

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from api.acting import Done, Said
from api.auth import unknown, within
from api.body import FrontRequest
from api.changing import Target, change, target
from api.edge import instant, now_us
from api.invoice_page import missing_of
from api.services import Services, services_of
from api.viewing import own_scope, viewed
from contracts.http import Page
from contracts.http_money import Period, PeriodClosed
from domain import period
from evidence.reader import Recorded
from projections import billing_read
from projections.months import period_id as id_of


@get("/v1/periods")
async def list_periods(
    request: FrontRequest,
    account: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Period]:
    """Of one billing account, or of all the caller may see; in order."""
    services, position = await viewed(request, as_of)
    scope = own_scope(request.user, None)
    seen = await services.reads.ask(
        billing_read.accounts, organization=scope, account=account, as_of=position
    )
    names = {one.account for one in seen}
    if account is not None:
        for one in seen:
            within(request.user, one.organization, "account")
        if not seen:
            raise unknown("account")
    rows = await services.reads.ask(billing_read.periods, account, position)
    return Page(items=[_given(row) for row in rows if row.account in names], next=None)


@post("/v1/periods/{period_id:str}/close", status_code=200)
async def close_period(request: FrontRequest, period_id: FromPath[str]) -> Response[PeriodClosed]:
    """Refused until the next period is open. Closing is not undone: If-Match names the version the
    caller decided on. Closed by the platform meanwhile, it is as asked (RFC 9110 section 13.1.1).
    """
    services = services_of(request)

    async def do(cause: str) -> Done:
        nothing = PeriodClosed(id=period_id, closed_at=None, version=None)
        found = await target(services, request.user, period_id, "period")
        for version, fact in enumerate(found.facts, 1):
            if isinstance(fact, period.Closed) and "if-match" in request.headers:
                at = instant(fact.closed_us)
                return Done(nothing=PeriodClosed(id=period_id, closed_at=at, version=version))
        later = await _after(services, found)
        return await change(
            services,
            request,
            cause,
            ("period", period_id),
            period.DECIDER,
            period.Close(later, now_us()),
            nothing,
            precise=True,
        )

    def answer(said: tuple[Said, ...], _: bool) -> PeriodClosed:
        fact = said[0].fact
        assert isinstance(fact, period.Closed), "the outcome of this route"
        return PeriodClosed(
            id=period_id, closed_at=instant(fact.closed_us), version=said[0].version
        )

    return await services.acting.perform(request, do, answer, status=200)


async def _after(services: Services, found: Target) -> period.Opened | None:
    """The account's period after this one, open or not; None when there is none yet."""
    opened = found.facts[0]
    assert isinstance(opened, period.Opened), "the first fact of a period's stream"
    following = id_of(opened.account, opened.sequence + 1)
    recorded: list[Recorded] = await services.log.read_stream(following)
    fact = recorded[0].fact if recorded else None
    return fact if isinstance(fact, period.Opened) else None


def _given(row: billing_read.Period) -> Period:
    missing = missing_of(row.missing)
    return Period(
        id=row.period,
        account=row.account,
        sequence=row.sequence,
        start=instant(row.start_us),
        end=instant(row.end_us),
        state="open" if row.closed is None else "closed",
        invoice=row.invoice,
        version=1 if row.closed is None else 2 + bool(missing),
        missing=missing,
    )
