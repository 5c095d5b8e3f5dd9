"""Projects: create, move, list."""

from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct
from msgspec.structs import replace

from api.acting import Done, Said, held
from api.admission.wire import MoveAsk
from api.auth import allow, unknown
from api.authorization.listing import words
from api.authorization.principal import Principal
from api.body import FrontRequest
from api.changing import admitted, settled, target
from api.edge import instant, now_us
from api.paging import after, page_size
from api.renaming import name_of
from api.services import Services, services_of
from api.viewing import page, reachable, tagged, viewed
from contracts.http import Page, Project
from contracts.http_moves import ProjectMove, ProjectMoved, ProjectNew
from domain import account, department, project
from domain.errors import DomainError
from domain.relocating import MoveProject
from evidence.append import Append, Write
from evidence.ids import new_id
from evidence.private import PrivateValue, private_value
from projections import tenancy_read
from projections.months import derived_id

_IMPLICIT: Final = "General"  # the department of an organization that names none


@post("/v1/projects")
async def create_project(request: FrontRequest, data: JSONBody[ProjectNew]) -> Response[Project]:
    services = services_of(request)

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            payer = await target(services, request.user, data.account, "account")
            opened = payer.facts[0]
            assert isinstance(opened, account.Opened), "an account's stream begins with it"
            part = await _department(services, request.user, data.department, payer.org)
            name, words = private_value(part.org, data.name)
            command = project.Create(
                *(part.org, part.stream, payer.stream, name),
                *(part.created.organization, opened.organization, now_us()),
            )
            facts = tuple(project.DECIDER.decide(command, project.DECIDER.initial))
            writes = (*part.writes, Write(new_id("project"), part.org, 0, facts))
            private = (*part.private, words)
            append = Append(writes, request.user.actor, cause, part.reads, private)
            return Done(await services.log.append(append), writes)

        return await settled(services, data.account, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> Project:
        fact = said[-1].fact
        assert isinstance(fact, project.Created), "the outcome of this route"
        return Project(
            id=said[-1].stream,
            organization=fact.organization,
            department=fact.department,
            account=fact.account,
            name=data.name,
            created_at=instant(fact.created_us),
            version=said[-1].version,
        )

    return await services.acting.perform(request, do, answer)


class _Part(Struct, frozen=True):
    """A department as it is, or as it comes with the first project: `writes` what makes it, which
    rests on `reads`.
    """

    stream: str
    org: str
    created: department.Created
    writes: tuple[Write, ...] = ()
    reads: tuple[tuple[str, int], ...] = ()
    private: tuple[PrivateValue, ...] = ()


async def _department(services: Services, caller: Principal, named: str | None, org: str) -> _Part:
    """The one named, or the only one, or one that is made: of two first projects at once one makes
    it. Raises: DomainError resource.unknown, auth.forbidden, project.department_unclear.
    """
    if named is None:
        await services.following.catch_up()
        known = [one for one in services.directory.below(org) if one.startswith("department-")]
        if len(known) > 1:
            detail = f"the organization has {len(known)} departments"
            raise DomainError("project.department_unclear", detail, {"pointer": "/department"})
        if not known:
            return await _implicit(services, caller, org)
        named = known[0]
    found = await target(services, caller, named, "department")
    created = found.facts[0]
    assert isinstance(created, department.Created), "a department's stream begins with it"
    return _Part(found.stream, found.org, created)


async def _implicit(services: Services, caller: Principal, org: str) -> _Part:
    owner = await target(services, caller, org, "organization")
    allow(caller, "department.create", org)
    name, words = private_value(org, _IMPLICIT)
    command = department.Create(org, name, now_us())
    [made] = department.DECIDER.decide(command, department.DECIDER.initial)
    assert isinstance(made, department.Created), "what was not there is made"
    stream = derived_id("department", org)
    writes = (Write(stream, org, 0, (made,)),)
    return _Part(stream, org, made, writes, ((owner.stream, owner.version),), (words,))


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
    last = project.place_of(facts)
    assert last is not None, "a project's stream begins with it"
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


@get("/v1/projects/{project_id:str}")
async def show_project(
    request: FrontRequest, project_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Project]:
    services, position = await viewed(request, as_of)
    found = await target(services, request.user, project_id, "project", position)
    made, is_at = found.facts[0], _place(found.facts)
    assert isinstance(made, project.Created), "a project's stream begins with it"
    name = name_of(found.facts).private
    names = await words(request, [name])
    body = Project(
        id=found.stream,
        organization=found.org,
        department=is_at[0],
        account=is_at[1],
        name=names.get(name),
        created_at=instant(made.created_us),
        version=found.version,
    )
    return tagged(body, found.version)


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
