"""Projects: create, move, list."""

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct
from msgspec.structs import replace

from api.acting import Done, Said, held
from api.admission.wire import MoveAsk
from api.auth import unknown
from api.body import FrontRequest
from api.changing import admitted, create, target
from api.edge import instant, now_us
from api.paging import after, page_size
from api.services import services_of
from api.viewing import page, reachable, viewed
from contracts.http import Page, Project, ProjectNew
from contracts.http_moves import ProjectMove, ProjectMoved
from domain import account, department, project
from domain.errors import DomainError
from domain.relocating import MoveProject
from evidence.ids import new_id
from evidence.private import private_value
from projections import tenancy_read


@post("/v1/projects")
async def create_project(request: FrontRequest, data: JSONBody[ProjectNew]) -> Response[Project]:
    services = services_of(request)

    async def do(cause: str) -> Done:
        part = await target(services, request.user, data.department, "department")
        payer = await target(services, request.user, data.account, "account")
        created, opened = part.facts[0], payer.facts[0]
        if not isinstance(created, department.Created) or not isinstance(opened, account.Opened):
            raise unknown("department")
        name, words = private_value(part.org, data.name)
        command = project.Create(
            part.org,
            part.stream,
            payer.stream,
            name,
            created.organization,
            opened.organization,
            now_us(),
        )
        new = (new_id("project"), part.org)
        return await create(
            services, request.user, cause, new, project.DECIDER, command, private=(words,)
        )

    def answer(said: tuple[Said, ...], _: bool) -> Project:
        fact = said[0].fact
        assert isinstance(fact, project.Created), "the outcome of this route"
        return Project(
            id=said[0].stream,
            organization=fact.organization,
            department=fact.department,
            account=fact.account,
            name=data.name,
            created_at=instant(fact.created_us),
            version=said[0].version,
        )

    return await services.acting.perform(request, do, answer)


@post("/v1/projects/{project_id:str}/move", status_code=200)
async def move_project(
    request: FrontRequest, project_id: FromPath[str], data: JSONBody[ProjectMove]
) -> Response[ProjectMoved]:
    """At once, and for what comes: charges of the time before stay its old department's; what runs
    goes on being paid by the account that it began with. What it uses must fit in the new
    department.
    """
    services = services_of(request)

    async def do(cause: str) -> Done:
        found = await target(services, request.user, project_id, "project")
        rests = held(request, project_id, found.version)
        is_at = _place(found.facts)
        to = (data.department or is_at[0], data.account or is_at[1])
        for stream, kind in zip(to, ("department", "account"), strict=True):
            other = await target(services, request.user, stream, kind)
            if other.org != found.org:
                raise unknown(kind)
        wanted = MoveProject(found.org, project_id, *to, now_us())
        try:
            done = await admitted(services, MoveAsk(wanted, request.user.actor, cause, held=rests))
        except DomainError as error:
            if error.code == "admission.nothing":
                return Done(nothing=_moved(project_id, found.org, to))
            raise
        return Done(done.appended, done.writes)

    def answer(said: tuple[Said, ...], _: bool) -> ProjectMoved:
        [one] = [one for one in said if isinstance(one.fact, project.Moved)]
        fact = one.fact
        assert isinstance(fact, project.Moved), "as was just asked"
        moved = _moved(one.stream, one.org, (fact.department, fact.account))
        return replace(moved, moved_at=instant(fact.moved_us), version=one.version)

    return await services.acting.perform(request, do, answer, status=200)


def _place(facts: tuple[Struct, ...]) -> tuple[str, str]:
    last = facts[-1]
    assert isinstance(last, project.Created | project.Moved), "a project's stream has its own facts"
    return last.department, last.account


def _moved(project_id: str, org: str, place: tuple[str, str]) -> ProjectMoved:
    return ProjectMoved(
        id=project_id,
        organization=org,
        department=place[0],
        account=place[1],
        moved_at=None,
        version=None,
    )


@get("/v1/projects")
async def list_projects(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    department: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Project]:
    size, start = page_size(limit), after(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        tenancy_read.projects,
        organization=scope,
        department=department,
        after=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, _given, lambda row: row.from_position)


def _given(row: tenancy_read.Project) -> Project:
    return Project(
        id=row.project,
        organization=row.organization,
        department=row.department,
        account=row.account,
        name=row.name,
        created_at=instant(row.created_us),
        version=row.version,
    )
