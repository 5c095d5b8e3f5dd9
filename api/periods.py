"""Billing periods: list, show, close."""

from typing import Annotated, Literal

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, QueryParameter

from api.acting import Done, Said, if_match
from api.auth import unknown, within
from api.body import FrontRequest
from api.changing import Target, settled, target
from api.edge import instant, now_us
from api.invoice_page import missing_of
from api.services import Services, services_of
from api.viewing import reachable, sliced, tagged, viewed
from contracts.http import Page
from contracts.http_money import Period, PeriodClosed
from domain import period
from domain.decider import fold
from evidence.append import Append, Write
from evidence.reader import Recorded
from projections import billing_read, sources_read
from projections.months import period_id as id_of

type _State = Literal["open", "closed"]


@get("/v1/periods")
async def list_periods(
    request: FrontRequest,
    account: FromQuery[str | None] = None,
    in_state: Annotated[_State | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Period]:
    """Of one billing account, or of all the caller may see; in order."""
    services, position = await viewed(request, as_of)
    scope = await reachable(request)
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
    found = [row for row in rows if row.account in names and in_state in (None, row.state)]
    return sliced([_given(row) for row in found], ("id",), (cursor, limit))


@get("/v1/periods/{period_id:str}")
async def show_period(
    request: FrontRequest, period_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Period]:
    services, position = await viewed(request, as_of)
    found = await target(services, request.user, period_id, "period", position)
    opened = found.facts[0]
    assert isinstance(opened, period.Opened), "the first fact of a period's stream"
    await services.reached(found.position)
    rows = await services.reads.ask(billing_read.periods, opened.account, position)
    [row] = [one for one in rows if one.period == period_id]
    return tagged(_given(row), found.version)


@post("/v1/periods/{period_id:str}/close", status_code=200)
async def close_period(request: FrontRequest, period_id: FromPath[str]) -> Response[PeriodClosed]:
    """Refused until the next period is open. Closing is not undone: If-Match names the version the
    caller decided on. Closed by the platform meanwhile, it is as asked (RFC 9110 section 13.1.1).

    Whoever may still say something of it is named, as where the platform closes it out of grace:
    on its invoice, and by `missing` of the period.
    """
    services = services_of(request)

    async def do(cause: str) -> Done:
        return await settled(
            services, period_id, lambda: _close(services, request, cause, period_id)
        )

    def answer(said: tuple[Said, ...], _: bool) -> PeriodClosed:
        fact = said[-1].fact
        assert isinstance(fact, period.Closed), "the outcome of this route"
        return PeriodClosed(
            id=period_id, closed_at=instant(fact.closed_us), version=said[-1].version
        )

    return await services.acting.perform(request, do, answer, status=200)


async def _close(services: Services, request: FrontRequest, cause: str, period_id: str) -> Done:
    found = await target(services, request.user, period_id, "period")
    for version, fact in enumerate(found.facts, 1):
        if isinstance(fact, period.Closed) and "if-match" in request.headers:
            at = instant(fact.closed_us)
            return Done(nothing=PeriodClosed(id=period_id, closed_at=at, version=version))
    if_match(request, found.version, needed=True)
    state = fold(period.DECIDER, list(found.facts))  # type: ignore[misc]
    opened = found.facts[0]
    assert isinstance(opened, period.Opened), "the first fact of a period's stream"
    asked = (opened.account, opened.start_us, opened.end_us)
    missing = await services.reads.ask(sources_read.silent, *asked)
    names = tuple(one.name for one in missing)
    command = period.Close(await _after(services, found), now_us(), names)
    facts = tuple(period.decide(command, state))
    if not facts:
        return Done(nothing=PeriodClosed(id=period_id, closed_at=None, version=None))
    write = Write(period_id, found.org, found.version, facts)
    # Who speaks meanwhile is asked again.
    reads = tuple((one.stream, one.version) for one in missing)
    append = Append((write,), request.user.actor, cause, reads)
    return Done(await services.log.append(append), (write,))


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
        state=row.state,
        invoice=row.invoice,
        version=1 if row.closed is None else 2 + bool(missing),
        missing=missing,
    )
