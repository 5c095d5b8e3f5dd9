"""Projects: create, list."""

from litestar import Response, get, post
from litestar.params import FromQuery, JSONBody

from api.acting import Done, Said
from api.auth import ADMIN, OPERATOR, require, unknown
from api.body import FrontRequest
from api.changing import create, target
from api.edge import instant, now_us
from api.paging import after, page_size
from api.services import services_of
from api.viewing import own_scope, page, viewed
from contracts.http import Page, Project, ProjectNew
from domain import account, department, project
from evidence.ids import new_id
from evidence.private import private_value
from projections import tenancy_read


@post("/v1/projects")
async def create_project(request: FrontRequest, data: JSONBody[ProjectNew]) -> Response[Project]:
    require(request.user, OPERATOR, ADMIN)
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
    scope = own_scope(request.user, organization)
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
        version=1,
    )
