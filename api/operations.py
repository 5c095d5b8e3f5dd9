"""Operations: long work under way, and how it ended."""

from typing import Annotated, Final, Literal

from litestar import Response, get
from litestar.params import FromPath, FromQuery, QueryParameter

from api.auth import unknown, within
from api.body import FrontRequest
from api.edge import instant, maybe_instant, whole
from api.paging import before, page_size
from api.refusals import problem_of
from api.viewing import page, reachable, tagged, viewed
from contracts.http import Page, Problem
from contracts.http_operations import Operation, OperationStep
from contracts.problems import PROBLEMS
from domain.errors import DomainError
from projections import operations_read

NAME: Final = "operation-"
type _State = Literal["pending", "running", "succeeded", "failed", "cancelled"]


@get("/v1/operations")
async def list_operations(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    project: FromQuery[str | None] = None,
    resource: FromQuery[str | None] = None,
    kind: FromQuery[str | None] = None,
    states: Annotated[_State | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Operation]:
    """Newest first; the nodes' own for the platform only."""
    size, start = page_size(limit), before(cursor)
    scope = await reachable(request, organization)
    services, position = await viewed(request, as_of)
    rows = await services.reads.ask(
        operations_read.operations,
        organization=scope,
        project=project,
        resource=resource,
        kind=kind,
        state=states,
        before=start,
        limit=size + 1,
        as_of=position,
    )
    return page(rows, size, _given, lambda row: row.from_position)


@get("/v1/operations/{operation_id:str}")
async def show_operation(
    request: FrontRequest, operation_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Operation]:
    """By the id that `Operation-Location` of the act's answer leads to."""
    services, at = await viewed(request, as_of)
    position = whole(operation_id.removeprefix(NAME))
    found = None
    if operation_id.startswith(NAME) and position is not None:
        found = await services.reads.ask(operations_read.operation, position, at)
    if found is None:
        raise unknown("operation")
    await services.following.locate(found.project)
    within(request.user, found.organization, "operation", found.project, found.resource)
    body = _given(found)
    return tagged(body, body.version)


def _given(row: operations_read.Operation) -> Operation:
    return Operation(
        id=f"{NAME}{row.from_position}",
        kind=row.kind,
        resource=row.resource,
        organization=row.organization,
        project=row.project or None,
        state=row.state,
        began_at=instant(row.began_us),
        ended_at=maybe_instant(row.ended_us),
        steps=[
            OperationStep(what=one.what, position=one.position, at=instant(one.at_us))
            for one in row.steps
        ],
        error=_error(row),
        version=len(row.steps),
    )


def _error(row: operations_read.Operation) -> Problem | None:
    """A node's words for what went wrong are codes of the registry; another one is told."""
    if row.ends != "failed":
        return None
    if row.code in PROBLEMS:
        return problem_of(DomainError(row.code, f"{row.kind} of {row.resource} failed"), "")
    return problem_of(DomainError("operation.failed", row.code or "it failed"), "")
