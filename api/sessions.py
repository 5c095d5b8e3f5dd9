"""Sessions: opened with an identity token, listed, ended."""

import hashlib
import secrets
import time
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Done, Said, if_match
from api.auth import acting_in, allow, may, unknown, within
from api.authorization.cedar import PLATFORM
from api.authorization.credentials import Signed, Vouching
from api.authorization.decided import fact_of
from api.authorization.directory import Directory
from api.authorization.keys import hash_of, minted
from api.authorization.listing import paged, single
from api.authorization.loading import credentials_at
from api.authorization.sessions import HOURS, PREFIX, by_two_factors
from api.authorization.wishing import organization_of
from api.body import FrontRequest
from api.changing import said_of, settled
from api.edge import instant, maybe_instant, now_us
from api.oidc.identity import identified
from api.services import Services, services_of
from api.viewing import viewed
from contracts.http import Page
from contracts.http_sessions import BoundRole, Me, Session, SessionEnd, SessionNew
from domain import session
from domain.decider import fold
from domain.errors import DomainError
from domain.issuer import principal
from domain.session import DECIDER, End, Open
from evidence.append import Append, Write
from projections.asof import time_of
from projections.months import derived_id

_HOUR_US: Final = 3_600_000_000
_TOO_MANY: Final = "session.too_many"


@post("/v1/sessions", opt={"public": True})
async def open_session(request: FrontRequest, data: JSONBody[SessionNew]) -> Response[Session]:
    """What whoever signed in acts with for twelve hours. The identity token opens one session: its
    repeat is refused, and whoever lost the answer signs in again. Of more than the deployment lets
    one person have (100), the oldest ends.
    """
    services = services_of(request)
    token = minted(PREFIX)
    # The signature is left out: another one over the same words is the same token.
    signed = data.id_token.rpartition(".")[0].encode()
    await services.following.catch_up()
    _vouching(services, data.issuer)
    stream = derived_id("token", data.issuer, hashlib.sha256(signed).hexdigest())

    async def attempt() -> session.Opened:
        return await _opened(services, data, stream, hash_of(token))

    opened = await settled(services, stream, attempt)
    await services.following.catch_up()
    made = services.directory.signed(stream) or Signed(stream, opened)
    return Response(_given(services.directory, made, token))


def _vouching(services: Services, issuer: str) -> Vouching:
    """Raises: DomainError issuer.unknown."""
    found = services.directory.issuer(issuer)
    if found is None or not found.stands:
        raise DomainError("issuer.unknown", "nobody signs in there")
    return found


async def _opened(
    services: Services, data: SessionNew, stream: str, token_sha256: str
) -> session.Opened:
    """Loses to a change of the trust in the issuer, and of whose identity it is: then the token is
    looked at anew.
    """
    await services.following.catch_up()
    found = _vouching(services, data.issuer)
    trusted = found.trusted
    provider = services.providers.of(trusted.url)
    who = await identified(data.id_token, trusted, provider, data.nonce, time.time())
    now = now_us()
    known, signed = services.directory.persons, principal(trusted.url, who.subject)
    person, linked = known.of(trusted.organization, signed)
    sso = services.directory.authority(trusted.organization).sso
    if sso is not None and sso.bars(person, data.issuer):
        raise DomainError("auth.sso_required", "sign in at the issuer that is required there")
    command = Open(
        issuer=data.issuer,
        principal=person,
        organization=trusted.organization,
        token_sha256=token_sha256,
        amr=who.amr,
        acr=who.acr,
        expires_us=now + HOURS * _HOUR_US,
        now_us=now,
        authenticated_us=who.authenticated_s * 1_000_000,
    )
    recorded = await services.log.read_stream(stream)
    state = fold(DECIDER, (one.fact for one in recorded))  # type: ignore[misc]
    facts = tuple(DECIDER.decide(command, state))
    assert isinstance(facts[0], session.Opened), "it was missing"
    write = Write(stream, command.organization, 0, facts)
    over = _oldest(services, command.organization, person, now)
    reads = ((data.issuer, found.version), *linked)
    cause = f"cmd:{secrets.token_hex(32)}"
    # By the word of whom the organization trusts for its people.
    decided = fact_of((write, *over), "session.open", command.organization, (data.issuer,))
    writes = (write, *over, decided)
    await services.log.append(Append(writes, command.principal, cause, reads))
    return facts[0]


def _oldest(services: Services, org: str, person: str, now: int) -> tuple[Write, ...]:
    """The ends of those sessions of the person that there is no room for beside one more: nobody is
    kept out by what they forgot on other machines.
    """
    mine = [
        one
        for one in services.directory.sessions(org)
        if one.opened.principal == person and not one.ended and now < one.opened.expires_us
    ]
    too_many = len(mine) + 1 - services.settings.bounds.sessions
    ended = session.Ended(_TOO_MANY, now)
    return tuple(Write(one.stream, org, one.version, (ended,)) for one in mine[: max(0, too_many)])


def _given(directory: Directory, signed: Signed, token: str | None = None) -> Session:
    opened = signed.opened
    return Session(
        id=signed.stream,
        issuer=opened.issuer,
        principal=opened.principal,
        organization=opened.organization,
        mfa=by_two_factors(directory, signed),
        opened_at=instant(opened.opened_us),
        expires_at=instant(opened.expires_us),
        authenticated_at=maybe_instant(signed.authenticated_us or None),
        ended=signed.ended,
        token=token,
    )


@get("/v1/me")
async def show_me(request: FrontRequest) -> Response[Me]:
    """Whose token it is, and the roles that it has; `organization` null: the platform's."""
    services = services_of(request)
    await services.following.catch_up()
    caller = request.user
    org = None if caller.org == PLATFORM else caller.org
    bound = services.door.policies(caller, caller.org).bindings
    now = now_us()
    roles = [BoundRole(role=one.role, scope=one.scope) for one in bound if one.stands(now)]
    known = services.directory
    others = [] if org is None or caller.key else known.belonging(caller.actor)
    several = {one for one in others if acting_in(known, caller, one) is not None}
    several |= set() if org is None else {org}
    body = Me(
        principal=caller.actor,
        organization=org,
        mfa=known.factors.second(caller),
        roles=roles,
        organizations=sorted(several),
    )
    return Response(body)


@get("/v1/sessions")
async def list_sessions(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    principal: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Session]:
    """One's own that are not over, in order of opening; the organization's for whoever may."""
    known, every = await _open(request, organization, as_of)
    found = [(one.position, one) for one in every if principal in (None, one.opened.principal)]
    return paged(found, (cursor, limit), lambda one: _given(known, one))


@get("/v1/sessions/{session_id:str}")
async def show_session(
    request: FrontRequest,
    session_id: FromPath[str],
    organization: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Response[Session]:
    """One's own that is not over, or any of the organization for whoever may."""
    if organization is None and request.user.reads_all and request.user.role:
        made = await said_of(services_of(request), session_id, "token")
        organization = made[0].org
    known, every = await _open(request, organization, as_of)
    found = [(one.position, one) for one in every if one.stream == session_id]
    version = max((one.version for _, one in found), default=0)
    return single(found, lambda one: _given(known, one), "session", version)


async def _open(
    request: FrontRequest, organization: str | None, as_of: str | None
) -> tuple[Directory, list[Signed]]:
    """Those that the caller may see, and what was known then."""
    org = organization_of(request.user, organization)
    services, at = await viewed(request, as_of)
    await services.following.catch_up()
    known, now = services.directory, now_us()
    if at is not None:
        known = await services.reads.past(credentials_at, org, at)
        now = await services.reads.ask(time_of, at)
    every = may(request.user, "session.list_any", org)
    found = [
        one
        for one in known.sessions(org)
        if (every or one.opened.principal == request.user.actor)
        and not one.ended
        and now < one.opened.expires_us
    ]
    return known, found


@post("/v1/sessions/{session_id:str}/end", status_code=200)
async def end_session(
    request: FrontRequest, session_id: FromPath[str], data: JSONBody[SessionEnd]
) -> Response[Session]:
    """One's own, or any for whoever may. Over within a second everywhere, streams included."""
    services = services_of(request)
    first = await services.log.read_stream(session_id)
    made = first[0].fact if first else None
    if not isinstance(made, session.Opened):
        raise unknown("session")
    signed = session.authenticated(one.fact for one in first)

    def over() -> Session:
        ended = Signed(session_id, made, ended=True, authenticated_us=signed)
        return _given(services.directory, ended)

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            recorded = await services.log.read_stream(session_id)
            who = (request.user.actor, request.user.org)
            own = who == (made.principal, made.organization)
            if not own:
                within(request.user, made.organization, "session")
                allow(request.user, "session.end_any", made.organization)
            if_match(request, recorded[-1].version)
            state = fold(DECIDER, (one.fact for one in recorded))  # type: ignore[misc]
            facts = tuple(DECIDER.decide(End(data.reason, now_us()), state))
            if not facts:
                return Done(nothing=over())
            writes = (Write(session_id, recorded[0].org, recorded[-1].version, facts),)
            append = Append(writes, request.user.actor, cause)
            return Done(await services.log.append(append), writes)

        return await settled(services, session_id, attempt)

    def answer(_: tuple[Said, ...], __: bool) -> Session:  # an Answer
        return over()

    response = await services.acting.perform(request, do, answer, status=200)
    await services.following.catch_up()
    return response
