"""Which cost centre a project is attributed to: set, show, list. Its version is the ETag."""

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said, if_match
from api.auth import allow, unknown
from api.body import FrontRequest
from api.changing import said_of, settled, target
from api.cost_centres import KIND
from api.edge import instant, now_us
from api.paging import after, page_size
from api.services import Services, services_of
from api.viewing import page, reachable, tagged, viewed
from contracts.http import Page
from contracts.http_cost_centres import Attribution, ProjectAttribute
from domain import attribution, cost_centre
from domain.attribution import NONE, Attribute, Attributed, AttributionSet
from domain.decider import fold
from evidence.append import Append, Write
from projections import cost_centres_read


@post("/v1/projects/{project_id:str}/attribution", status_code=200)
async def attribute_project(
    request: FrontRequest, project_id: FromPath[str], data: JSONBody[ProjectAttribute]
) -> Response[Attribution]:
    """At once, and for what comes: what was used before stays with the cost centre of then. The
    same again changes nothing. If-Match names the attribution, not the project. Decided at the
    project and at its organization: the books are the organization's.
    """
    services = services_of(request)
    to = data.cost_centre or NONE

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            found = await target(services, request.user, project_id, "project")
            allow(request.user, "project.attribute", found.org)
            state, version = await _standing(services, project_id)
            if_match(request, version)
            if to != NONE and (await target(services, request.user, to, KIND)).org != found.org:
                raise unknown(KIND)
            facts = attribution.decide(Attribute(project_id, to, now_us()), state)
            if not facts:
                return Done(nothing=_attributed(project_id, found.org, state, version))
            [fact] = facts
            stream = attribution.attribution_stream(project_id)
            writes = (
                Write(stream, found.org, version, (fact,)),
                *await _told(services, to, cost_centre.AddProject(project_id, fact.set_us)),
                *await _told(
                    services, state.cost_centre, cost_centre.RemoveProject(project_id, fact.set_us)
                ),
            )
            append = Append(writes, request.user.actor, cause)
            return Done(await services.log.append(append), writes)

        # Those who come to one cost centre write to its stream as well: they take turns there.
        return await settled(services, data.cost_centre or project_id, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> Attribution:
        fact = said[0].fact
        assert isinstance(fact, AttributionSet), "the outcome of this route"
        state = attribution.evolve(Attributed(), fact)
        return _attributed(fact.project, said[0].org, state, said[0].version)

    return await services.acting.perform(request, do, answer, status=200)


async def _told(
    services: Services, name: str, command: cost_centre.AddProject | cost_centre.RemoveProject
) -> tuple[Write, ...]:
    """What the cost centre says of it itself; nothing where it is none."""
    if name == NONE:
        return ()
    said = await said_of(services, name, KIND)
    state = fold(cost_centre.DECIDER, (one.fact for one in said))  # type: ignore[misc]  # its own
    facts = tuple(cost_centre.decide(command, state))
    return (Write(name, said[0].org, said[-1].version, facts),) if facts else ()


async def _standing(
    services: Services, project: str, as_of: int | None = None
) -> tuple[Attributed, int]:
    """With its version: 0 before it was ever set."""
    stream = attribution.attribution_stream(project)
    said = [
        one
        for one in await services.log.read_stream(stream)
        if as_of is None or one.position <= as_of
    ]
    return fold(attribution.DECIDER, (one.fact for one in said)), len(said)  # type: ignore[misc]


@get("/v1/projects/{project_id:str}/attribution")
async def show_attribution(
    request: FrontRequest, project_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Attribution]:
    services, position = await viewed(request, as_of)
    found = await target(services, request.user, project_id, "project", position)
    state, version = await _standing(services, project_id, position)
    return tagged(_attributed(project_id, found.org, state, version), version)


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
    state = Attributed(row.cost_centre, row.since_us)
    return _attributed(row.project, row.organization, state, row.version)


def _attributed(project: str, org: str, state: Attributed, version: int) -> Attribution:
    return Attribution(
        project=project,
        organization=org,
        cost_centre=state.cost_centre or None,
        since=None if state.since_us is None else instant(state.since_us),
        version=version,
    )
