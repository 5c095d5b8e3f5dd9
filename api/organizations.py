"""Organizations: create, list, suspend, reactivate."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said
from api.auth import OPERATOR, require
from api.body import FrontRequest
from api.changing import change, create
from api.edge import instant, now_us
from api.paging import after, page_size
from api.services import services_of
from api.viewing import own_scope, page, viewed
from contracts.http import Organization, OrganizationNew, Page, Standing
from domain import organization
from evidence.ids import new_id
from evidence.private import private_value
from projections import tenancy_read


@post("/v1/organizations")
async def create_organization(
    request: FrontRequest, data: JSONBody[OrganizationNew]
) -> Response[Organization]:
    require(request.user, OPERATOR)
    services = services_of(request)

    async def do(cause: str) -> Done:
        stream = new_id("organization")
        name, words = private_value(stream, data.name)
        command = organization.Create(name, now_us())
        new = (stream, stream)
        return await create(
            services, request.user, cause, new, organization.DECIDER, command, private=(words,)
        )

    def answer(said: tuple[Said, ...], _: bool) -> Organization:
        fact = said[0].fact
        assert isinstance(fact, organization.Created), "the outcome of this route"
        return Organization(
            id=said[0].stream,
            name=data.name,
            state="active",
            created_at=instant(fact.created_us),
            version=said[0].version,
        )

    return await services.acting.perform(request, do, answer)


async def _standing(
    request: FrontRequest, stream: str, command: organization.Command, state: str
) -> Response[Any]:
    require(request.user, OPERATOR)
    services = services_of(request)

    def given(version: int) -> Organization:
        return Organization(id=stream, name=None, state=state, created_at=None, version=version)

    async def do(cause: str) -> Done:
        decider, of = organization.DECIDER, ("organization", stream)
        return await change(services, request, cause, of, decider, command, given(0))

    return await services.acting.perform(
        request, do, lambda said, _: given(said[0].version), status=200
    )


@post("/v1/organizations/{organization_id:str}/suspend", status_code=200)
async def suspend_organization(
    request: FrontRequest, organization_id: FromPath[str], data: JSONBody[Standing]
) -> Response[Organization]:
    command = organization.Suspend(data.reason, now_us())
    return await _standing(request, organization_id, command, "suspended")


@post("/v1/organizations/{organization_id:str}/reactivate", status_code=200)
async def reactivate_organization(
    request: FrontRequest, organization_id: FromPath[str], data: JSONBody[Standing]
) -> Response[Organization]:
    command = organization.Reactivate(data.reason, now_us())
    return await _standing(request, organization_id, command, "active")


@get("/v1/organizations")
async def list_organizations(
    request: FrontRequest,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Organization]:
    size, start = page_size(limit), after(cursor)
    services, position = await viewed(request, as_of)
    scope = own_scope(request.user, None)
    rows = await services.reads.ask(
        tenancy_read.organizations, organization=scope, after=start, limit=size + 1, as_of=position
    )
    return page(rows, size, _given, lambda row: row.from_position)


def _given(row: tenancy_read.Organization) -> Organization:
    return Organization(
        id=row.organization,
        name=row.name,
        state=row.state,
        created_at=instant(row.created_us),
        version=None,
    )
