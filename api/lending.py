"""Shares of quotas: what a scope is guaranteed, lends and may have; claims on what it lent."""

from collections.abc import Callable

from litestar import Response, get, post
from litestar.params import FromQuery, JSONBody

from api.acting import Done, Said
from api.admission.wire import ClaimAsk, ShareAsk, UnclaimAsk
from api.auth import allow
from api.authorization.principal import Principal
from api.body import FrontRequest
from api.changing import Target, target
from api.edge import instant, now_us
from api.paging import after, page_size
from api.services import services_of
from api.viewing import page, reachable, sliced, viewed
from contracts.http import Given, Page
from contracts.http_quotas import Claim, ClaimEnd, ClaimNew, Reclaim, Share, ShareNew
from domain import department, lending, project
from domain.errors import DomainError
from projections import lending_read

type _Ask = ShareAsk | ClaimAsk | UnclaimAsk


@post("/v1/quotas/shares")
async def set_share(request: FrontRequest, data: JSONBody[ShareNew]) -> Response[Share]:
    """What is guaranteed below a scope is at most what is guaranteed to it."""
    _allowed(request.user, data.scope)

    def asking(scope: Target, cause: str) -> ShareAsk:
        terms = (data.guaranteed_milli, data.lendable_milli, data.limit_milli)
        wanted = lending.SetShare(scope.stream, _above(scope), data.model, *terms, now_us())
        return ShareAsk(scope.org, wanted, request.user.actor, cause)

    def given(scope: Target) -> Share:
        return _share(scope.org, _above(scope), data)

    def answer(said: tuple[Said, ...], _: bool) -> Share:
        fact = said[0].fact
        assert isinstance(fact, lending.ShareSet), "the outcome of this route"
        return _share(said[0].org, fact.parent, data)

    return await _settled(request, data.scope, asking, given, answer)


@post("/v1/quotas/claims")
async def claim_lent(request: FrontRequest, data: JSONBody[ClaimNew]) -> Response[Claim]:
    """From now on nobody borrows what is claimed; who does is told to stop, the newest first."""

    def asking(scope: Target, cause: str) -> ClaimAsk:
        now = now_us()
        stop_us = now + data.notice_s * 1_000_000
        until_us = stop_us + data.hold_s * 1_000_000
        terms = (data.gpu_milli, stop_us, until_us, now)
        wanted = lending.Claim(scope.stream, data.model, *terms)
        return ClaimAsk(scope.org, wanted, request.user.actor, cause)

    def given(scope: Target) -> Claim:
        return _claim(scope.org, data.scope, data.model)

    def answer(said: tuple[Said, ...], _: bool) -> Claim:
        fact = said[0].fact
        assert isinstance(fact, lending.Claimed), "the outcome of this route"
        named = [
            runtime
            for one in said
            if isinstance(one.fact, lending.ReclaimDecided)
            for runtime in one.fact.runtimes
        ]
        return Claim(
            organization=said[0].org,
            scope=fact.scope,
            model=fact.model,
            gpu_milli=fact.gpu_milli,
            stop_at=instant(fact.stop_us),
            until=instant(fact.until_us),
            ended=None,
            runtimes=named,
        )

    return await _settled(request, data.scope, asking, given, answer)


@post("/v1/quotas/claims/end", status_code=200)
async def end_claim(request: FrontRequest, data: JSONBody[ClaimEnd]) -> Response[Claim]:
    """Given up before its time: whoever was named and not told to stop yet goes on."""

    def asking(scope: Target, cause: str) -> UnclaimAsk:
        wanted = lending.Unclaim(scope.stream, data.model, data.reason, now_us())
        return UnclaimAsk(scope.org, wanted, request.user.actor, cause)

    def given(scope: Target) -> Claim:
        return _claim(scope.org, data.scope, data.model)

    def answer(said: tuple[Said, ...], _: bool) -> Claim:
        fact = said[0].fact
        assert isinstance(fact, lending.Unclaimed), "the outcome of this route"
        return _claim(said[0].org, fact.scope, fact.model, fact.reason)

    return await _settled(request, data.scope, asking, given, answer, status=200)


def _allowed(principal: Principal, scope: str) -> None:
    """What a whole organization has the platform says; what it gives to whom within, itself."""
    if scope.startswith("organization-"):
        allow(principal, "quota.set_share_of_organization", scope)


def _above(scope: Target) -> str:
    place, first = project.place_of(scope.facts), scope.facts[0]
    if place is not None:
        return place.department
    return first.organization if isinstance(first, department.Created) else ""


async def _settled[T: Given](
    request: FrontRequest,
    named: str,
    asking: Callable[[Target, str], _Ask],
    given: Callable[[Target], T],
    answer: Callable[[tuple[Said, ...], bool], T],
    status: int = 201,
) -> Response[T]:
    """The outcome in that scope; `given` of it when it was so already."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        scope = await target(services, request.user, named, named.partition("-")[0])
        try:
            admitted = await services.admission.ask(asking(scope, cause))
        except DomainError as error:
            if error.code == "admission.nothing":
                return Done(nothing=given(scope))
            raise
        return Done(admitted.appended, admitted.writes)

    return await services.acting.perform(request, do, answer, status=status)


def _share(org: str, above: str, data: ShareNew) -> Share:
    return Share(
        organization=org,
        scope=data.scope,
        parent=above or None,
        model=data.model,
        guaranteed_milli=data.guaranteed_milli,
        lendable_milli=data.lendable_milli,
        limit_milli=data.limit_milli,
        used_milli=None,
        borrowed_milli=None,
        claimed_milli=None,
    )


def _claim(org: str, scope: str, model: str, ended: str | None = None) -> Claim:
    return Claim(
        organization=org,
        scope=scope,
        model=model,
        gpu_milli=None,
        stop_at=None,
        until=None,
        ended=ended,
        runtimes=None,
    )


@get("/v1/quotas/shares")
async def list_shares(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Share]:
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(lending_read.shares, scope, position)
    items = [
        Share(
            organization=row.organization,
            scope=row.scope,
            parent=row.parent or None,
            model=row.model,
            guaranteed_milli=row.guaranteed_milli,
            lendable_milli=row.lendable_milli,
            limit_milli=row.limit_milli,
            used_milli=row.used_milli,
            borrowed_milli=max(row.used_milli - row.guaranteed_milli, 0),
            claimed_milli=row.claimed_milli,
        )
        for row in rows
    ]
    return sliced(
        items,
        (
            "scope",
            "model",
        ),
        (cursor, limit),
    )


@get("/v1/quotas/claims")
async def list_claims(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Claim]:
    """Claims that stand, oldest first."""
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(lending_read.claims, scope, position)
    items = [
        Claim(
            organization=row.organization,
            scope=row.scope,
            model=row.model,
            gpu_milli=row.gpu_milli,
            stop_at=instant(row.stop_us),
            until=instant(row.until_us),
            ended=None,
            runtimes=None,
        )
        for row in rows
    ]
    return Page(items=items, next=None)


@get("/v1/quotas/reclaims")
async def list_reclaims(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Reclaim]:
    """Decisions to take back what was lent, oldest first."""
    size, start = page_size(limit), after(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        lending_read.reclaims, organization=scope, after=start, limit=size + 1, as_of=position
    )
    return page(rows, size, _reclaim, lambda row: row.from_position)


def _reclaim(row: lending_read.Reclaim) -> Reclaim:
    return Reclaim(
        organization=row.organization,
        scope=row.scope,
        model=row.model,
        runtimes=list(row.runtimes),
        stop_at=instant(row.stop_us),
        decided_at=instant(row.decided_us),
    )
