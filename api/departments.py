"""Departments: create, list."""

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said
from api.authorization.listing import words
from api.body import FrontRequest
from api.changing import create, settled, target
from api.edge import instant, now_us
from api.paging import after, page_size
from api.renaming import name_of
from api.services import services_of
from api.viewing import page, reachable, tagged, viewed
from contracts.http import Department, DepartmentNew, Page
from domain import department
from evidence.ids import new_id
from evidence.private import private_value
from projections import tenancy_read


@post("/v1/departments")
async def create_department(
    request: FrontRequest, data: JSONBody[DepartmentNew]
) -> Response[Department]:
    services = services_of(request)

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            org = await target(services, request.user, data.organization, "organization")
            name, words = private_value(org.stream, data.name)
            command = department.Create(org.stream, name, now_us())
            new = (new_id("department"), org.stream)
            return await create(
                services,
                request.user,
                cause,
                new,
                department.DECIDER,
                command,
                private=(words,),
                reads=((org.stream, org.version),),
            )

        return await settled(services, data.organization, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> Department:
        fact = said[0].fact
        assert isinstance(fact, department.Created), "the outcome of this route"
        return Department(
            id=said[0].stream,
            organization=fact.organization,
            name=data.name,
            created_at=instant(fact.created_us),
            version=said[0].version,
        )

    return await services.acting.perform(request, do, answer)


@get("/v1/departments/{department_id:str}")
async def show_department(
    request: FrontRequest, department_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Department]:
    services, position = await viewed(request, as_of)
    found = await target(services, request.user, department_id, "department", position)
    made = found.facts[0]
    assert isinstance(made, department.Created), "a department's stream begins with it"
    name = name_of(found.facts).private
    names = await words(request, [name])
    body = Department(
        id=found.stream,
        organization=found.org,
        name=names.get(name),
        created_at=instant(made.created_us),
        version=found.version,
    )
    return tagged(body, found.version)


@get("/v1/departments")
async def list_departments(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Department]:
    size, start = page_size(limit), after(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        tenancy_read.departments, organization=scope, after=start, limit=size + 1, as_of=position
    )
    return page(rows, size, _given, lambda row: row.from_position)


def _given(row: tenancy_read.Department) -> Department:
    return Department(
        id=row.department,
        organization=row.organization,
        name=row.name,
        created_at=instant(row.created_us),
        version=row.version,
    )
