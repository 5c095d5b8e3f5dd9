"""Sources of readings: register, revoke, list, show how far each has come."""

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said
from api.auth import unknown, within
from api.body import FrontRequest
from api.changing import change, create, target
from api.edge import instant, now_us
from api.meters import counting
from api.paging import after, page_size
from api.services import services_of
from api.viewing import page, reachable, tagged, viewed
from contracts.http import Page
from contracts.http_usage import Reached, Source, SourceNew, SourceRevocation, SourceRevoked
from domain import meter, project, source
from domain.errors import DomainError
from evidence.ids import STREAM, new_id
from projections import readings_read


@post("/v1/sources")
async def register_source(request: FrontRequest, data: JSONBody[SourceNew]) -> Response[Source]:
    """Its key signs readings from here on; what they cost, the project's account pays."""
    services = services_of(request)

    async def do(cause: str) -> Done:
        found = await target(services, request.user, data.project, "project")
        if not isinstance(found.facts[0], project.Created):
            raise unknown("project")
        for name in data.meters:
            known = await counting(services, name)
            if known is None or known.source != meter.READINGS:
                raise DomainError("source.invalid", f"no meter of readings is named {name}")
        command = source.Register(found.org, found.stream, data.key, data.meters, now_us())
        new = (new_id("source"), found.org)
        return await create(services, request.user, cause, new, source.DECIDER, command)

    def answer(said: tuple[Said, ...], _: bool) -> Source:
        fact = said[0].fact
        assert isinstance(fact, source.Registered), "the outcome of this route"
        return Source(
            id=said[0].stream,
            organization=said[0].org,
            project=fact.project,
            key=fact.key,
            meters=list(fact.meters),
            registered_at=instant(fact.registered_us),
            reason=None,
            reached=None,
        )

    return await services.acting.perform(request, do, answer)


@post("/v1/sources/{source_id:str}/revoke", status_code=200)
async def revoke_source(
    request: FrontRequest, source_id: FromPath[str], data: JSONBody[SourceRevocation]
) -> Response[SourceRevoked]:
    """Nothing it sends is taken from here on; what is sealed stands and is charged."""
    services = services_of(request)
    if not STREAM.fullmatch(source_id):
        raise unknown("source")
    command = source.Revoke(data.reason, now_us())

    def given(version: int | None) -> SourceRevoked:
        return SourceRevoked(id=source_id, version=version)

    async def do(cause: str) -> Done:
        where = ("source", source_id)
        return await change(services, request, cause, where, source.DECIDER, command, given(None))

    return await services.acting.perform(
        request, do, lambda said, _: given(said[0].version), status=200
    )


@get("/v1/sources")
async def list_sources(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    project: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Source]:
    """In order of registration, revoked ones too; how far each has come: ask for one."""
    size, start = page_size(limit), after(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        readings_read.sources,
        organization=scope,
        project=project,
        after=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, lambda row: _given(row, None), lambda row: row.from_position)


@get("/v1/sources/{source_id:str}")
async def show_source(
    request: FrontRequest, source_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Source]:
    """With the number it goes on after: what an app that lost its state asks first."""
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        readings_read.sources, source=source_id, limit=1, as_of=position
    )
    if not rows:
        raise unknown("source")
    within(request.user, rows[0].organization, "source", rows[0].project)
    run = await services.reads.ask(readings_read.last_run, source_id, position)
    return tagged(_given(rows[0], run), 1 if rows[0].reason is None else 2)


def _given(row: readings_read.Source, run: readings_read.Run | None) -> Source:
    reached = None
    if run is not None:
        reached = Reached(epoch=run.epoch, sequence=run.last, chain=run.chain)
    return Source(
        id=row.source,
        organization=row.organization,
        project=row.project,
        key=row.key,
        meters=row.meters,
        registered_at=instant(row.registered_us),
        reason=row.reason,
        reached=reached,
    )
