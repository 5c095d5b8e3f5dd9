"""Cost centres: create, rename, close, list, show; `attributions.py` says whose projects are."""

from typing import Annotated, Final, Literal

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from api.acting import Done, Said, if_match
from api.authorization.listing import words
from api.body import FrontRequest
from api.changing import Target, change, create, settled, target
from api.edge import instant, now_us
from api.paging import after, page_size
from api.services import services_of
from api.viewing import page, reachable, tagged, viewed
from contracts.http import Page
from contracts.http_cost_centres import CostCentre, CostCentreName, CostCentreNew
from domain import cost_centre
from domain.cost_centre import DECIDER, Created, Existing, Shut
from domain.decider import fold
from evidence.ids import new_id
from evidence.private import private_value
from projections import cost_centres_read

KIND: Final = "cost_centre"

type _State = Literal["open", "closed"]


@post("/v1/cost-centres")
async def create_cost_centre(
    request: FrontRequest, data: JSONBody[CostCentreNew]
) -> Response[CostCentre]:
    """It is a thing of the organization: decided there, whatever its department."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            part = await target(services, request.user, data.department, "department")
            org = await target(services, request.user, part.org, "organization")
            name, private = private_value(org.stream, data.name)
            return await create(
                services,
                request.user,
                cause,
                (new_id(KIND), org.stream),
                DECIDER,
                cost_centre.Create(org.stream, part.stream, name, now_us()),
                private=(private,),
                reads=((org.stream, org.version),),
            )

        return await settled(services, data.department, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> CostCentre:
        fact = said[0].fact
        assert isinstance(fact, Created), "the outcome of this route"
        return _made(said[0].stream, fact, data.name, said[0].version)

    return await services.acting.perform(request, do, answer)


@post("/v1/cost-centres/{cost_centre_id:str}/rename", status_code=200)
async def rename_cost_centre(
    request: FrontRequest, cost_centre_id: FromPath[str], data: JSONBody[CostCentreName]
) -> Response[CostCentre]:
    """What it was charged before is shown under the name, too. The same again changes nothing."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        found = await target(services, request.user, cost_centre_id, KIND)
        shown = await _shown(request, found)
        if shown.name == data.name and shown.state == "open":
            if_match(request, found.version)
            return Done(nothing=shown)
        name, private = private_value(found.org, data.name)
        command = cost_centre.Rename(name, now_us())
        of = (KIND, cost_centre_id)
        return await change(
            services, request, cause, of, DECIDER, command, shown, private=(private,)
        )

    return await services.acting.perform(
        request, do, lambda said, _: _became(said[0], "open", data.name), status=200
    )


@post("/v1/cost-centres/{cost_centre_id:str}/close", status_code=200)
async def close_cost_centre(
    request: FrontRequest, cost_centre_id: FromPath[str]
) -> Response[CostCentre]:
    """Once no project is attributed to it: none is any more. What it was charged stays."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        known = await services.reads.ask(cost_centres_read.attributed_to, cost_centre_id)
        command = cost_centre.Close(tuple(known), now_us())
        of = (KIND, cost_centre_id)
        return await change(services, request, cause, of, DECIDER, command, _as_it_is)

    return await services.acting.perform(
        request, do, lambda said, _: _became(said[0], "closed"), status=200
    )


@get("/v1/cost-centres/{cost_centre_id:str}")
async def show_cost_centre(
    request: FrontRequest, cost_centre_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[CostCentre]:
    services, position = await viewed(request, as_of)
    found = await target(services, request.user, cost_centre_id, KIND, position)
    return tagged(await _shown(request, found), found.version)


@get("/v1/cost-centres")
async def list_cost_centres(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    department: FromQuery[str | None] = None,
    in_state: Annotated[_State | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[CostCentre]:
    """Oldest first; closed ones too."""
    size, start = page_size(limit), after(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        cost_centres_read.cost_centres,
        organization=scope,
        department=department,
        state=in_state,
        after=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, _listed, lambda row: row.from_position)


async def _shown(request: FrontRequest, found: Target) -> CostCentre:
    state = fold(DECIDER, found.facts)  # type: ignore[misc]  # a stream has its own kind
    assert isinstance(state, Existing | Shut), "a cost centre's stream begins with it"
    names = await words(request, [state.name.private])
    return _standing(found, names.get(state.name.private))


def _as_it_is(found: Target) -> CostCentre:
    return _standing(found, None)


def _standing(found: Target, name: str | None) -> CostCentre:
    made = found.facts[0]
    assert isinstance(made, Created), "a cost centre's stream begins with it"
    closed = isinstance(found.facts[-1], cost_centre.Closed)
    return _made(found.stream, made, name, found.version, "closed" if closed else "open")


def _made(
    stream: str, fact: Created, name: str | None, version: int, state: str = "open"
) -> CostCentre:
    return CostCentre(
        id=stream,
        organization=fact.organization,
        department=fact.department,
        name=name,
        state=state,
        created_at=instant(fact.created_us),
        version=version,
    )


def _became(said: Said, state: str, name: str | None = None) -> CostCentre:
    """What the act says of it."""
    return CostCentre(
        id=said.stream,
        organization=said.org,
        department=None,
        name=name,
        state=state,
        created_at=None,
        version=said.version,
    )


def _listed(row: cost_centres_read.CostCentre) -> CostCentre:
    return CostCentre(
        id=row.cost_centre,
        organization=row.organization,
        department=row.department,
        name=row.name,
        state=row.state,
        created_at=instant(row.created_us),
        version=row.version,
    )
