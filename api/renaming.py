"""Another name for an organization, a department, a project or a group: the same again is nothing.

What was said under the old name keeps it (`as_of`); both are people's words, and erased together.
"""

from typing import Any, Final

from litestar import Response, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from api.acting import Done, Said
from api.authorization.listing import words
from api.authorization.wishing import Wanted, organization_of, wished
from api.body import FrontRequest
from api.changing import Target, change, target
from api.edge import instant, now_us
from api.services import services_of
from contracts.http_names import GroupName, NewName, Renamed
from domain import department, organization, project
from domain.authority_commands import RenameGroup
from domain.authority_facts import GroupRenamed
from domain.authority_state import Authority
from domain.words import Private
from evidence.private import PrivateValue, private_value

type _Fact = organization.Renamed | department.Renamed | project.Renamed
type _Text = tuple[Private, tuple[PrivateValue, ...]]

_KINDS: Final[dict[str, Any]] = {
    "organization": organization, "department": department, "project": project,
}  # fmt: skip
_NAMING: Final = (
    *(organization.Created, organization.Renamed, department.Created, department.Renamed),
    *(project.Created, project.Renamed),
)


def name_of(facts: tuple[Struct, ...]) -> Private:
    """What an organization, a department or a project is called by its stream."""
    found = next(one for one in reversed(facts) if isinstance(one, _NAMING))
    return found.name


@post("/v1/organizations/{organization_id:str}/rename", status_code=200)
async def rename_organization(
    request: FrontRequest, organization_id: FromPath[str], data: JSONBody[NewName]
) -> Response[Renamed]:
    """Not while it is being closed. Invoices name their buyer as they were told of it."""
    return await _renamed(request, "organization", organization_id, data.name)


@post("/v1/departments/{department_id:str}/rename", status_code=200)
async def rename_department(
    request: FrontRequest, department_id: FromPath[str], data: JSONBody[NewName]
) -> Response[Renamed]:
    """What is in it stays in it."""
    return await _renamed(request, "department", department_id, data.name)


@post("/v1/projects/{project_id:str}/rename", status_code=200)
async def rename_project(
    request: FrontRequest, project_id: FromPath[str], data: JSONBody[NewName]
) -> Response[Renamed]:
    """What runs in it goes on; an invoice that was finalized before is shown with the old name."""
    return await _renamed(request, "project", project_id, data.name)


async def _renamed(request: FrontRequest, kind: str, stream: str, new: str) -> Response[Renamed]:
    services, domain = services_of(request), _KINDS[kind]

    def same(found: Target) -> Renamed:
        return Renamed(
            id=stream, organization=found.org, name=new, renamed_at=None, version=found.version
        )

    async def do(cause: str) -> Done:
        found = await target(services, request.user, stream, kind)
        name, private = await _text(request, found.org, name_of(found.facts), new)
        command = domain.Rename(name, now_us())
        of = (kind, stream)
        return await change(
            services, request, cause, of, domain.DECIDER, command, same, private=private
        )

    def answer(said: tuple[Said, ...], _: bool) -> Renamed:
        one, fact = said[0], said[0].fact
        assert isinstance(fact, _Fact.__value__), "the outcome of this route"
        at = instant(fact.renamed_us)
        return Renamed(
            id=one.stream, organization=one.org, name=new, renamed_at=at, version=one.version
        )

    return await services.acting.perform(request, do, answer, status=200)


@post("/v1/groups/{group_id:str}/rename", status_code=200)
async def rename_group(
    request: FrontRequest, group_id: FromPath[str], data: JSONBody[GroupName]
) -> Response[Renamed]:
    """Who is in it, and what it is bound to, stays."""
    org = organization_of(request.user, data.organization)
    known = (await services_of(request).authorities.of(org)).state.names.get(group_id)
    name, private = await _text(request, org, known, data.name)

    def given(at: str | None, version: int | None) -> Renamed:
        return Renamed(
            id=group_id, organization=org, name=data.name, renamed_at=at, version=version
        )

    def want(_: Authority) -> Wanted:
        return Wanted(RenameGroup(group_id, name), org, given(None, None), private)

    def answer(said: tuple[Said, ...], _: bool) -> Renamed:
        fact = said[0].fact
        assert isinstance(fact, GroupRenamed), "the outcome of this route"
        return given(instant(fact.decided_us), said[0].version)

    return await wished(request, org, want, answer)


async def _text(request: FrontRequest, org: str, known: Private | None, new: str) -> _Text:
    """The name as a fact has it: that of now where it is the same, which a decider then sees."""
    if known is not None and (await words(request, [known.private])).get(known.private) == new:
        return known, ()
    name, private = private_value(org, new)
    return name, (private,)
