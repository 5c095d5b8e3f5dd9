"""Cost centres: create, list; which one a project is attributed to."""

from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said, held
from api.auth import allow, unknown
from api.authorization.listing import words
from api.body import FrontRequest
from api.changing import create, settled, target
from api.edge import instant, now_us
from api.paging import after, page_size
from api.services import services_of
from api.viewing import page, reachable, tagged, viewed
from contracts.http import Page
from contracts.http_cost_centres import Attribution, CostCentre, CostCentreNew, ProjectAttribute
from domain import attributing, cost_centre
from evidence.append import Append, Write
from evidence.ids import new_id
from evidence.private import private_value
from projections import cost_centres_read

_KIND: Final = "cost_centre"


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
                (new_id(_KIND), org.stream),
                cost_centre.DECIDER,
                cost_centre.Create(org.stream, part.stream, name, now_us()),
                private=(private,),
                reads=((org.stream, org.version),),
            )

        return await settled(services, data.department, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> CostCentre:
        fact = said[0].fact
        assert isinstance(fact, cost_centre.Created), "the outcome of this route"
        return _made(said[0].stream, fact, data.name, said[0].version)

    return await services.acting.perform(request, do, answer)


@get("/v1/cost-centres/{cost_centre_id:str}")
async def show_cost_centre(
    request: FrontRequest, cost_centre_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[CostCentre]:
    services, position = await viewed(request, as_of)
    found = await target(services, request.user, cost_centre_id, _KIND, position)
    made = found.facts[0]
    assert isinstance(made, cost_centre.Created), "a cost centre's stream begins with it"
    names = await words(request, [made.name.private])
    body = _made(found.stream, made, names.get(made.name.private), found.version)
    return tagged(body, found.version)


def _made(stream: str, fact: cost_centre.Created, name: str | None, version: int) -> CostCentre:
    return CostCentre(
        id=stream,
        organization=fact.organization,
        department=fact.department,
        name=name,
        created_at=instant(fact.created_us),
        version=version,
    )


@get("/v1/cost-centres")
async def list_cost_centres(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    department: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[CostCentre]:
    size, start = page_size(limit), after(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        cost_centres_read.cost_centres,
        organization=scope,
        department=department,
        after=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, _listed, lambda row: row.from_position)


def _listed(row: cost_centres_read.CostCentre) -> CostCentre:
    return CostCentre(
        id=row.cost_centre,
        organization=row.organization,
        department=row.department,
        name=row.name,
        created_at=instant(row.created_us),
        version=1,
    )


@post("/v1/projects/{project_id:str}/attribute", status_code=200)
async def attribute_project(
    request: FrontRequest, project_id: FromPath[str], data: JSONBody[ProjectAttribute]
) -> Response[Attribution]:
    """At once, and for what comes: what was used before stays with the cost centre of then. The
    same again changes nothing. Decided at the project and at its organization: the books
    are the organization's.
    """
    services = services_of(request)
    stream = attributing.attribution_stream(project_id) if project_id.startswith("project-") else ""

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            found = await target(services, request.user, project_id, "project")
            allow(request.user, "project.attribute", found.org)
            rests = held(request, project_id, found.version)
            if data.cost_centre is not None:
                centre = await target(services, request.user, data.cost_centre, _KIND)
                if centre.org != found.org:
                    raise unknown(_KIND)
            state, before = attributing.DECIDER.initial, await services.log.read_stream(stream)
            for one in before:
                assert isinstance(one.fact, attributing.AttributionSet), "a stream has its own"
                state = attributing.evolve(state, one.fact)
            to = data.cost_centre or attributing.NONE
            facts = tuple(
                attributing.decide(attributing.Attribute(project_id, to, now_us()), state)
            )
            if not facts:
                return Done(nothing=_attributed(project_id, found.org, to, state.since_us))
            writes = (Write(stream, found.org, len(before), facts),)
            append = Append(writes, request.user.actor, cause, rests)
            return Done(await services.log.append(append), writes)

        return await settled(services, stream or project_id, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> Attribution:
        fact = said[0].fact
        assert isinstance(fact, attributing.AttributionSet), "the outcome of this route"
        return _attributed(fact.project, said[0].org, fact.cost_centre, fact.set_us)

    return await services.acting.perform(request, do, answer, status=200)


def _attributed(project: str, org: str, to: str, since_us: int | None) -> Attribution:
    return Attribution(
        project=project,
        organization=org,
        cost_centre=to or None,
        since=None if since_us is None else instant(since_us),
    )


@get("/v1/attributions")
async def list_attributions(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    project: FromQuery[str | None] = None,
    cost_centre: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Attribution]:
    """Projects that have a cost centre, and which."""
    size, start = page_size(limit), after(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        cost_centres_read.attributions,
        organization=scope,
        project=project,
        cost_centre=cost_centre,
        after=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, _row, lambda row: row.from_position)


def _row(row: cost_centres_read.Attribution) -> Attribution:
    return _attributed(row.project, row.organization, row.cost_centre, row.since_us)
