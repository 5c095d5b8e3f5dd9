"""Who did what to which resource, when, on whose authority."""

from itertools import chain
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.params import FromPath, FromQuery
from msgspec import Struct

from api.auth import may, unknown, within
from api.authorization.calls import READ
from api.authorization.reading import of_reads
from api.body import FrontRequest
from api.edge import instant, parse_instant, whole
from api.ocsf import event
from api.paging import before, page_size
from api.paging import cursor as cursor_of
from api.services import services_of
from api.viewing import page, reachable, viewed
from contracts.authorization.registry import ACTIONS
from contracts.http import Page
from contracts.http_audit import AuditEntry, CountedCalls, EarlierFact
from domain.errors import DomainError
from domain.facts import TAGS
from projections import audit_read, calls_read
from projections.audit_read import Act, Wanted
from projections.reach import Reach

_NDJSON = "application/x-ndjson"


class _Asked(Struct, frozen=True):
    """What both forms are asked for. Raises: DomainError request.invalid, resource.unknown."""

    of: tuple[str | None, str | None, str | None, str | None]
    since: str | None
    until: str | None
    cursor: str | None
    limit: int | None
    as_of: str | None

    async def found(self, request: FrontRequest) -> tuple[list[Act], int]:
        """The acts, one more than a page where there is one, and how many a page has."""
        size, start = page_size(self.limit), before(self.cursor)
        organization, actor, resource, action = self.of
        wanted = Wanted(
            organization=await _reachable(request, organization),
            actor=actor,
            resource=resource,
            tag=None if action is None else _known(action),
            since_us=None if self.since is None else parse_instant(self.since),
            until_us=None if self.until is None else parse_instant(self.until),
        )
        services, position = await viewed(request, self.as_of)
        rows = await services.reads.ask(
            audit_read.acts, wanted, before=start, limit=size + 1, as_of=position
        )
        if all(row.outcome == READ for row in rows[:size]):
            of_reads(request)
        return rows, size


async def _reachable(request: FrontRequest, organization: str | None) -> Reach:
    """As reachable; whose acts are asked for is decided even for the platform's own, to be told."""
    found = await reachable(request, organization)
    if organization is not None:
        may(request.user, request.user.action, organization)
    return found


def _known(action: str) -> str:
    """Raises: DomainError request.invalid for what is no tag, no action and no beginning of one."""
    names = chain(TAGS, ACTIONS)
    if any(name == action or name.startswith(f"{action}.") for name in names):
        return action
    sentence = "action is no fact's tag, no action, and no beginning of one up to a dot"
    raise DomainError("request.invalid", sentence, {"pointer": "/action"})


@get("/v1/audit")
async def list_acts(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    actor: FromQuery[str | None] = None,
    resource: FromQuery[str | None] = None,
    action: FromQuery[str | None] = None,
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[AuditEntry]:
    """Newest first: entries of people and service accounts, acts of the platform's staff in the
    organization too; and calls that were refused, let by break-glass, or read evidence, counted by
    the minute. `action`: a fact's tag, of counted calls their action, or its beginning up to a dot.
    `resource`: any id that the fact names, or that the fact of what it ends named; or of what was
    read.
    """
    asked = _Asked((organization, actor, resource, action), since, until, cursor, limit, as_of)
    rows, size = await asked.found(request)
    return page(rows, size, _given, lambda row: row.place)


def _given(row: Act) -> AuditEntry:
    return AuditEntry(
        position=row.from_position,
        at=instant(row.at_us),
        actor=row.actor,
        action=row.tag,
        resource=row.stream or None,
        resources=row.resources,
        fact=row.fact,
        earlier=_earlier(row),
        organization=row.organization,
        authority=row.authority,
        outcome=row.outcome,
        calls=row.calls,
        since=instant(row.since_us),
        credential=row.credential or None,
        reason=row.why or None,
        receipt=f"/v1/receipts/{row.from_position}",
        proof=None if row.number is None else f"/v1/audit/calls/{row.number}",
    )


def _earlier(row: Act) -> EarlierFact | None:
    if row.earlier is None:
        return None
    return EarlierFact(position=row.earlier.position, action=row.earlier.tag, fact=row.earlier.fact)


@get("/v1/audit/calls/{number:str}")
async def show_counted(request: FrontRequest, number: FromPath[str]) -> CountedCalls:
    """One row of counted calls with its path to the root that its seal binds."""
    services, _ = await viewed(request)
    place = whole(number)
    found = None if place is None else await services.reads.ask(calls_read.sealed, place)
    if found is None or not (request.user.reads_all or request.user.org == found.organization):
        raise unknown("row")
    within(request.user, found.organization, "row")
    if found.outcome == READ:
        of_reads(request)
    proved = await services.reads.ask(calls_read.proved, found)
    return CountedCalls(
        row=proved.row.decode(),
        index=proved.index,
        count=proved.count,
        path=[one.hex() for one in proved.path],
        position=found.from_position,
        receipt=f"/v1/receipts/{found.from_position}",
    )


@get("/v1/audit/ocsf", media_type=_NDJSON)
async def export_acts(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    actor: FromQuery[str | None] = None,
    resource: FromQuery[str | None] = None,
    action: FromQuery[str | None] = None,
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Response[bytes]:
    """The same as OCSF events (API Activity), one a line; `Link` names the next page."""
    asked = _Asked((organization, actor, resource, action), since, until, cursor, limit, as_of)
    rows, size = await asked.found(request)
    log = services_of(request).settings.log_name
    lines = b"".join(msgspec.json.encode(event(one, log)) + b"\n" for one in rows[:size])
    headers = {}
    if len(rows) > size:
        asked_for = {**request.query_params, "cursor": cursor_of(rows[size - 1].place)}
        headers["Link"] = f'<{request.url.path}?{urlencode(asked_for)}>; rel="next"'
    return Response(lines, media_type=_NDJSON, headers=headers)
