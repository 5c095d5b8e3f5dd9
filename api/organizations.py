"""Organizations: create, list, suspend, reactivate, close; what becomes of their things."""

from typing import Annotated, Final, Literal

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec.structs import replace

from api.acting import Done, Said
from api.authorization.listing import words
from api.body import FrontRequest
from api.changing import Target, change, create, target
from api.edge import instant, now_us
from api.paging import after, page_size
from api.renaming import name_of
from api.services import services_of
from api.viewing import page, reachable, tagged, viewed
from contracts.http import Organization, OrganizationNew, Page, Standing
from contracts.http_closing import ClosingNew, Effect
from domain import effects, organization
from domain.decider import fold
from evidence.ids import new_id
from evidence.private import private_value
from projections import tenancy_read

type _State = Literal["active", "suspended", "closing", "closed"]
_WORDS: Final[dict[type, str]] = {
    organization.Active: "active",
    organization.OnHold: "suspended",
    organization.Closing: "closing",
    organization.Closed: "closed",
}


@post("/v1/organizations")
async def create_organization(
    request: FrontRequest, data: JSONBody[OrganizationNew]
) -> Response[Organization]:
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
) -> Response[Organization]:
    services = services_of(request)

    def given(version: int) -> Organization:
        return Organization(id=stream, name=None, state=state, created_at=None, version=version)

    def standing(found: Target) -> Organization:
        facts: tuple[organization.Event, ...] = found.facts  # type: ignore[assignment]
        return replace(given(0), state=_WORDS[type(fold(organization.DECIDER, facts))])

    async def do(cause: str) -> Done:
        decider, of = organization.DECIDER, ("organization", stream)
        return await change(services, request, cause, of, decider, command, standing)

    def answer(said: tuple[Said, ...], _: bool) -> Organization:
        match said[0].fact:
            case organization.ClosingStarted(stop_us=stop_us, wipe_us=wipe_us):
                dates = {"stop_at": instant(stop_us), "wipe_at": instant(wipe_us)}
                return replace(given(said[0].version), **dates)
            case organization.ClosingWithdrawn(state=again):
                return replace(given(said[0].version), state=again)
            case _:
                return given(said[0].version)

    return await services.acting.perform(request, do, answer, status=200)


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


@post("/v1/organizations/{organization_id:str}/close", status_code=200)
async def close_organization(
    request: FrontRequest, organization_id: FromPath[str], data: JSONBody[ClosingNew]
) -> Response[Organization]:
    """From now on nothing new begins; runtimes stop, then volumes are wiped, then it is closed.

    Withdrawn until the wipe. Nothing is wiped that its node does not give a receipt for.
    """
    now = now_us()
    dates = (now + data.notice_s * 1_000_000, now + data.wipe_after_s * 1_000_000)
    command = organization.Close(data.reason, *dates, now)
    return await _standing(request, organization_id, command, "closing")


@post("/v1/organizations/{organization_id:str}/reopen", status_code=200)
async def reopen_organization(
    request: FrontRequest, organization_id: FromPath[str], data: JSONBody[Standing]
) -> Response[Organization]:
    """The closing withdrawn; runtimes that were told to stop stop all the same."""
    command = organization.Withdraw(data.reason, now_us())
    return await _standing(request, organization_id, command, "active")


@get("/v1/effects")
async def list_effects() -> Page[Effect]:
    """What becomes of each thing in each state of an organization: one table."""
    items = [
        Effect(
            state=one.state,
            object=one.object,
            effect=one.effect,
            notice=one.notice,
            price=one.price,
            waits=one.waits,
        )
        for one in effects.EFFECTS
    ]
    return Page(items=items, next=None)


@get("/v1/organizations")
async def list_organizations(
    request: FrontRequest,
    in_state: Annotated[_State | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Organization]:
    size, start = page_size(limit), after(cursor)
    services, position = await viewed(request, as_of)
    scope = await reachable(request)
    rows = await services.reads.ask(
        tenancy_read.organizations,
        organization=scope,
        state=in_state,
        after=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, _given, lambda row: row.from_position)


@get("/v1/organizations/{organization_id:str}")
async def show_organization(
    request: FrontRequest, organization_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Organization]:
    services, position = await viewed(request, as_of)
    found = await target(services, request.user, organization_id, "organization", position)
    made, facts = found.facts[0], found.facts
    assert isinstance(made, organization.Created), "an organization's stream begins with it"
    state = fold(organization.DECIDER, facts)  # type: ignore[misc]  # of its own stream
    closing = state if isinstance(state, organization.Closing) else None
    name = name_of(facts).private
    names = await words(request, [name])
    body = Organization(
        id=found.stream,
        name=names.get(name),
        state=_WORDS[type(state)],
        stop_at=None if closing is None else instant(closing.stop_us),
        wipe_at=None if closing is None else instant(closing.wipe_us),
        created_at=instant(made.created_us),
        version=found.version,
    )
    return tagged(body, found.version)


def _given(row: tenancy_read.Organization) -> Organization:
    return Organization(
        id=row.organization,
        name=row.name,
        state=row.state,
        stop_at=None if row.stop_us is None else instant(row.stop_us),
        wipe_at=None if row.wipe_us is None else instant(row.wipe_us),
        created_at=instant(row.created_us),
        version=row.version,
    )
