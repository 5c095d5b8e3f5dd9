"""Quotas: set a limit, list limits with their use."""

from litestar import Response, get, post
from litestar.params import FromQuery, JSONBody

from api.acting import Done, Said
from api.admission.wire import LimitAsk
from api.auth import OPERATOR, require
from api.body import FrontRequest
from api.changing import target
from api.edge import now_us
from api.services import services_of
from api.viewing import own_scope, viewed
from contracts.http import Page, Quota, QuotaNew
from domain import quota
from domain.errors import DomainError
from projections import tenancy_read


@post("/v1/quotas")
async def set_quota(request: FrontRequest, data: JSONBody[QuotaNew]) -> Response[Quota]:
    """A limit below the use refuses new use and takes nothing away."""
    require(request.user, OPERATOR)
    services = services_of(request)

    def given(org: str) -> Quota:
        return Quota(
            organization=org,
            scope=data.scope,
            model=data.model,
            limit_milli=data.limit_milli,
            used_milli=None,
            reserved_milli=None,
        )

    async def do(cause: str) -> Done:
        kind = data.scope.partition("-")[0]
        scope = await target(services, request.user, data.scope, kind)
        ask = LimitAsk(
            scope.org,
            scope.stream,
            data.model,
            data.limit_milli,
            now_us(),
            request.user.actor,
            cause,
        )
        try:
            admitted = await services.admission.ask(ask)
        except DomainError as error:
            if error.code == "admission.nothing":
                return Done(nothing=given(scope.org))
            raise
        return Done(admitted.appended, admitted.writes)

    def answer(said: tuple[Said, ...], _: bool) -> Quota:
        assert isinstance(said[0].fact, quota.LimitSet), "the outcome of this route"
        return given(said[0].org)

    return await services.acting.perform(request, do, answer)


@get("/v1/quotas")
async def list_quotas(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Quota]:
    scope = own_scope(request.user, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(tenancy_read.quotas, scope, position)
    return Page(items=[_given(row) for row in rows], next=None)


def _given(row: tenancy_read.Quota) -> Quota:
    return Quota(
        organization=row.organization,
        scope=row.scope,
        model=row.model,
        limit_milli=row.limit_milli,
        used_milli=row.used_milli,
        reserved_milli=row.reserved_milli,
    )
