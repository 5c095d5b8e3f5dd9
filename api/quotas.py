"""Quotas, of milli-GPU and of MiB of storage: set a limit, list limits with their use."""

from collections.abc import Callable

from litestar import Response, get, post
from litestar.params import FromQuery, JSONBody
from msgspec import Struct

from api.acting import Done, Said
from api.admission.wire import LimitAsk, StorageLimitAsk
from api.body import FrontRequest
from api.changing import Target, target
from api.edge import now_us
from api.services import services_of
from api.viewing import reachable, sliced, viewed
from contracts.http import Given, Page, Quota, QuotaNew
from contracts.http_volumes import StorageQuota, StorageQuotaNew
from domain import quota, storage_quota
from domain.errors import DomainError
from domain.tariff import LOCAL
from projections import tenancy_read


@post("/v1/quotas")
async def set_quota(request: FrontRequest, data: JSONBody[QuotaNew]) -> Response[Quota]:
    """A limit below the use refuses new use and takes nothing away."""

    def asking(scope: Target, cause: str) -> LimitAsk:
        limit = (scope.stream, data.model, data.limit_milli, now_us())
        return LimitAsk(scope.org, *limit, request.user.actor, cause)

    def given(org: str) -> Quota:
        return Quota(
            organization=org,
            scope=data.scope,
            model=data.model,
            limit_milli=data.limit_milli,
            used_milli=None,
            reserved_milli=None,
        )

    return await _limited(request, data.scope, asking, given, quota.LimitSet)


@post("/v1/storage-quotas")
async def set_storage_quota(
    request: FrontRequest, data: JSONBody[StorageQuotaNew]
) -> Response[StorageQuota]:
    """A limit below the use refuses new volumes and growth, and takes nothing away."""

    def asking(scope: Target, cause: str) -> StorageLimitAsk:
        limit = storage_quota.SetLimit(scope.stream, LOCAL, data.limit_mib, now_us())
        return StorageLimitAsk(scope.org, limit, request.user.actor, cause)

    def given(org: str) -> StorageQuota:
        return StorageQuota(
            organization=org, scope=data.scope, limit_mib=data.limit_mib, used_mib=None
        )

    return await _limited(request, data.scope, asking, given, storage_quota.LimitSet)


async def _limited[T: Given](
    request: FrontRequest,
    named: str,
    asking: Callable[[Target, str], LimitAsk | StorageLimitAsk],
    given: Callable[[str], T],
    fact: type[Struct],
) -> Response[T]:
    """The limit as it stands now in that scope, whether it is new or was there already."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        scope = await target(services, request.user, named, named.partition("-")[0])
        try:
            admitted = await services.admission.ask(asking(scope, cause))
        except DomainError as error:
            if error.code == "admission.nothing":
                return Done(nothing=given(scope.org))
            raise
        return Done(admitted.appended, admitted.writes)

    def answer(said: tuple[Said, ...], _: bool) -> T:
        assert isinstance(said[0].fact, fact), "the outcome of this route"
        return given(said[0].org)

    return await services.acting.perform(request, do, answer)


@get("/v1/quotas")
async def list_quotas(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Quota]:
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(tenancy_read.quotas, scope, position)
    items = [
        Quota(
            organization=row.organization,
            scope=row.scope,
            model=row.model,
            limit_milli=row.limit_milli,
            used_milli=row.used_milli,
            reserved_milli=row.reserved_milli,
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


@get("/v1/storage-quotas")
async def list_storage_quotas(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[StorageQuota]:
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(tenancy_read.storage_quotas, scope, position)
    items = [
        StorageQuota(
            organization=row.organization,
            scope=row.scope,
            limit_mib=row.limit_mib,
            used_mib=row.used_mib,
        )
        for row in rows
    ]
    return sliced(items, ("scope",), (cursor, limit))
