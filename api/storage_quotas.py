"""Quotas of storage: set a limit, list limits with their use, in MiB."""

from litestar import Response, get, post
from litestar.params import FromQuery, JSONBody

from api.acting import Done, Said
from api.admission.wire import StorageLimitAsk
from api.auth import OPERATOR, require
from api.body import FrontRequest
from api.changing import target
from api.edge import now_us
from api.services import services_of
from api.viewing import own_scope, viewed
from contracts.http import Page
from contracts.http_volumes import StorageQuota, StorageQuotaNew
from domain import storage_quota
from domain.errors import DomainError
from domain.tariff import LOCAL
from projections import tenancy_read


@post("/v1/storage-quotas")
async def set_storage_quota(
    request: FrontRequest, data: JSONBody[StorageQuotaNew]
) -> Response[StorageQuota]:
    """A limit below the use refuses new volumes and growth, and takes nothing away."""
    require(request.user, OPERATOR)
    services = services_of(request)

    def given(org: str) -> StorageQuota:
        return StorageQuota(
            organization=org, scope=data.scope, limit_mib=data.limit_mib, used_mib=None
        )

    async def do(cause: str) -> Done:
        kind = data.scope.partition("-")[0]
        scope = await target(services, request.user, data.scope, kind)
        limit = storage_quota.SetLimit(scope.stream, LOCAL, data.limit_mib, now_us())
        try:
            ask = StorageLimitAsk(scope.org, limit, request.user.actor, cause)
            admitted = await services.admission.ask(ask)
        except DomainError as error:
            if error.code == "admission.nothing":
                return Done(nothing=given(scope.org))
            raise
        return Done(admitted.appended, admitted.writes)

    def answer(said: tuple[Said, ...], _: bool) -> StorageQuota:
        assert isinstance(said[0].fact, storage_quota.LimitSet), "the outcome of this route"
        return given(said[0].org)

    return await services.acting.perform(request, do, answer)


@get("/v1/storage-quotas")
async def list_storage_quotas(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[StorageQuota]:
    scope = own_scope(request.user, organization)
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
    return Page(items=items, next=None)
