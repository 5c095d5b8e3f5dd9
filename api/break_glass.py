"""Break-glass: the platform's staff in a tenant, for a time, by two persons; the tenant sees it."""

from collections.abc import Callable
from typing import Annotated, Final, Literal

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec.structs import replace

from api.acting import Said
from api.auth import may, unknown
from api.authorization.listing import Seen, paged, seen, words
from api.authorization.second import apart
from api.authorization.wishing import Wanted, deciding, wished
from api.body import FrontRequest
from api.edge import instant, maybe_instant, now_us
from api.services import services_of
from api.viewing import reachable, tagged, viewed
from contracts.http import Given, Page
from contracts.http_break_glass import BreakGlass, BreakGlassDone, BreakGlassEnd, BreakGlassNew
from domain.authority_commands import Approve, Ask, Put, Refuse, Wish
from domain.authority_facts import GlassApproved, GlassRequested
from domain.authority_state import Authority
from domain.break_glass import Grant
from domain.errors import DomainError
from evidence.ids import new_id
from evidence.private import private_value
from projections.asof import time_of

_WAITING: Final = "requested"
_STANDING: Final = "approved"
_REFUSED: Final = "refused"
_ENDED: Final = "ended"
type _State = Literal["requested", "approved", "refused", "ended"]


@post("/v1/break-glass")
async def request_break_glass(
    request: FrontRequest, data: JSONBody[BreakGlassNew]
) -> Response[BreakGlass]:
    """Asked for by somebody of the platform's staff, for themselves; the tenant sees it at once.
    Nothing may be done with it until another person approves it.
    """
    services = services_of(request)
    await services.following.catch_up()
    org = services.directory.org_of(data.scope)
    if org is None:
        raise unknown("scope")
    who, reason = request.user.actor, private_value(org, data.reason)
    said = (data.role, data.scope, reason[0], data.ticket, data.seconds)
    wish = Ask(new_id("break_glass"), who, *said)

    def given(fact: GlassRequested, version: int | None) -> BreakGlass:
        return _given(org, Grant(fact), data.reason, (version, now_us()))

    def want(_: Authority) -> Wanted:
        nothing = given(GlassRequested(wish.grant, who, *said, (), 0), None)
        return Wanted(wish, data.scope, nothing, (reason[1],))

    def answer(said: tuple[Said, ...], _: bool) -> BreakGlass:  # an Answer
        fact = said[0].fact
        assert isinstance(fact, GlassRequested), "the outcome of this route"
        return given(fact, said[0].version)

    return await wished(request, org, want, answer, status=201)


@post("/v1/break-glass/{grant_id:str}/approve", status_code=200)
async def approve_break_glass(
    request: FrontRequest, grant_id: FromPath[str]
) -> Response[BreakGlassDone]:
    """By another person of the staff than asked for it. It stands from now on, everywhere."""
    org = await _org_of(request, grant_id)
    grant = services_of(request).directory.authority(org).glass[grant_id]
    # Whose it is decides, too: nobody approves what they asked for, by whatever they are signed in,
    # as whichever of the identities that they ever had.
    me, their = request.user.actor, grant.asked.principal
    same = me in services_of(request).directory.persons.alike(their)
    asked = replace(request.user, requester=me if same else their)
    request.scope["user"] = asked
    services, scope = services_of(request), grant.asked.scope
    age_s = services.settings.glass_age_s

    def two() -> None:
        if not may(asked, asked.action, org, scope):
            return  # and is told why by what decides it
        policies = deciding(asked, scope, org)
        when = (now_us(), age_s)
        try:
            apart(services.directory, asked, policies, their, when)
        except DomainError as error:  # which is told in whose organization it was
            raise DomainError(error.code, error.detail, {**error.facts, "scope": scope}) from error

    return await _done(request, org, Approve(grant_id, asked.actor), scope, _STANDING, two)


@post("/v1/break-glass/{grant_id:str}/refuse", status_code=200)
async def refuse_break_glass(
    request: FrontRequest, grant_id: FromPath[str], data: JSONBody[BreakGlassEnd]
) -> Response[BreakGlassDone]:
    """By the staff, or by the tenant's own owners and admins, before it was approved."""
    org = await _org_of(request, grant_id)
    return await _done(request, org, Refuse(grant_id, data.reason), org, _REFUSED)


@post("/v1/break-glass/{grant_id:str}/revoke", status_code=200)
async def revoke_break_glass(
    request: FrontRequest, grant_id: FromPath[str], data: JSONBody[BreakGlassEnd]
) -> Response[BreakGlassDone]:
    """By the staff, or by the tenant's own owners and admins: over within a second everywhere, open
    streams and terminals included.
    """
    org = await _org_of(request, grant_id)
    return await _done(request, org, Put(grant_id, data.reason), org, _ENDED)


async def _done(
    request: FrontRequest,
    org: str,
    wish: Wish,
    scope: str,
    state: str,
    first: Callable[[], None] = lambda: None,
) -> Response[BreakGlassDone]:
    assert isinstance(wish, Approve | Refuse | Put)
    name = wish.grant

    def given(until_us: int, version: int | None) -> BreakGlassDone:
        until = maybe_instant(until_us or None)
        return BreakGlassDone(id=name, organization=org, state=state, until=until, version=version)

    def want(authority: Authority) -> Wanted:
        first()
        until_us = authority.glass[name].until_us if state == _STANDING else 0
        return Wanted(wish, scope, given(until_us, None))

    def answer(said: tuple[Said, ...], _: bool) -> Given:  # an Answer
        fact = said[0].fact
        until_us = fact.until_us if isinstance(fact, GlassApproved) else 0
        return given(until_us, said[0].version)

    return await wished(request, org, want, answer)


async def _org_of(request: FrontRequest, grant: str) -> str:
    """Raises: DomainError resource.unknown, to a tenant for what is another one's, too."""
    services = services_of(request)
    await services.following.catch_up()
    org = services.directory.grants.org_of(grant)
    if org is None or not (request.user.reads_all or request.user.org == org):
        raise unknown("grant")
    return org


@get("/v1/break-glass")
async def list_break_glass(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    in_state: Annotated[_State | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[BreakGlass]:
    """Of an organization, over ones too, in order of asking; the staff, without naming one: those
    of all that are not over. As of a time: as it was then.
    """
    everywhere = organization is None and request.user.reads_all
    if everywhere:
        await reachable(request)
        grants = services_of(request).directory.grants
        every = {org for _, org in grants.every()} if as_of is None else grants.organizations()
        found = [await seen(request, org, as_of) for org in sorted(every)]
    else:
        found = [await seen(request, organization, as_of)]
    at_us = await _instant_of(request, as_of)
    rows = [
        (one.made[grant.asked.grant].position, (one, grant))
        for one in found
        for grant in one.state.glass.values()
        if not (everywhere and (grant.over or grant.due(at_us))) and one.shows(grant.asked.scope)
        if in_state in (None, _state(grant, at_us))
    ]
    texts = await words(request, [grant.asked.reason.private for _, (_, grant) in rows])

    def given(row: tuple[Seen, Grant]) -> BreakGlass:
        one, grant = row
        return _given(one.org, grant, texts.get(grant.asked.reason.private), (one.version, at_us))

    return paged(rows, (cursor, limit), given)


@get("/v1/break-glass/{grant_id:str}")
async def show_break_glass(
    request: FrontRequest, grant_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[BreakGlass]:
    """One that is over, too; its ETag is that of the organization's authority."""
    one = await seen(request, await _org_of(request, grant_id), as_of)
    grant = one.state.glass.get(grant_id)
    if grant is None or not one.shows(grant.asked.scope):
        raise unknown("grant")
    at_us, said = await _instant_of(request, as_of), grant.asked.reason.private
    reason = (await words(request, [said])).get(said)
    return tagged(_given(one.org, grant, reason, (one.version, at_us)), one.version)


async def _instant_of(request: FrontRequest, as_of: str | None) -> int:
    """By which it is judged what is over by itself: when the last entry then was written."""
    services, position = await viewed(request, as_of)
    return now_us() if position is None else await services.reads.ask(time_of, position)


def _state(grant: Grant, at_us: int) -> str:
    if grant.over or grant.due(at_us):
        return _REFUSED if grant.refused else _ENDED
    return _STANDING if grant.approver else _WAITING


def _given(org: str, grant: Grant, reason: str | None, known: tuple[int | None, int]) -> BreakGlass:
    """`known`: the version of what it is told from, and the instant by which it is judged."""
    asked = grant.asked
    version, at_us = known
    return BreakGlass(
        id=asked.grant,
        organization=org,
        principal=asked.principal,
        role=asked.role,
        scope=asked.scope,
        reason=reason,
        ticket=asked.ticket,
        seconds=asked.seconds,
        state=_state(grant, at_us),
        requested_at=instant(asked.decided_us),
        approver=grant.approver or None,
        until=maybe_instant(grant.until_us or None),
        why_ended=grant.why or grant.due(at_us) or None,
        used=sorted(grant.used),
        policies=list(asked.policies),
        version=version,
    )
