"""Identities of one person: linked by whoever is signed in as both, listed, unlinked."""

from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from api.acting import Done, Said, if_match
from api.auth import unknown
from api.authorization.listing import paged, single
from api.authorization.loading import credentials_at
from api.authorization.persons import Linked, identity_stream
from api.authorization.principal import Principal
from api.authorization.resting import still
from api.authorization.standing import rests_on
from api.body import FrontRequest
from api.changing import settled
from api.edge import instant, now_us
from api.services import Services, services_of
from api.viewing import viewed
from contracts.http import Page
from contracts.http_sessions import Identity, IdentityLink, IdentityUnlink
from domain import session
from domain.decider import fold
from domain.errors import DomainError
from domain.linking import DECIDER, FRESH_US, IdentityLinked, IdentityUnlinked, Link, Unlink
from evidence.append import Append, Write

_MINUTES: Final = FRESH_US // 60_000_000


@post("/v1/identities")
async def link_identity(request: FrontRequest, data: JSONBody[IdentityLink]) -> Response[Identity]:
    """Whoever signs in as that other identity is the caller from now on. Both signed in within ten
    minutes, at issuers of one organization (or of the platform); the other's sessions are over.
    """
    services = services_of(request)

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            command, reads = await _proved(services, request.user, data.session)
            stream = identity_stream(request.user.org, command.identity)
            recorded = await services.log.read_stream(stream)
            state = fold(DECIDER, (one.fact for one in recorded))  # type: ignore[misc]
            new = tuple(DECIDER.decide(command, state))
            assert new, "an identity that is linked has no session of its own"
            write = Write(stream, request.user.org, len(recorded), new)
            append = Append((write,), request.user.actor, cause, reads)
            return Done(await services.log.append(append), (write,))

        return await settled(services, request.user.actor, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> Identity:  # an Answer
        fact = said[0].fact
        assert isinstance(fact, IdentityLinked), "the outcome of this route"
        return _given(fact, said[0].version)

    response = await services.acting.perform(request, do, answer)
    await services.following.catch_up()
    return response


async def _proved(
    services: Services, caller: Principal, token: str
) -> tuple[Link, tuple[tuple[str, int], ...]]:
    """What the two sessions prove, and that the caller's own identity is no other person's; and the
    streams that say so, both sessions' own too: a link outlasts them.

    Raises: DomainError auth.invalid, identity.session_required, identity.proof_invalid,
        identity.proof_old, identity.elsewhere.
    """
    resting = await still(services, caller, caller.org)
    now, known = now_us(), services.directory
    other = known.session(token)
    if other is None or known.over(other.stream, now):
        raise DomainError("identity.proof_invalid", "no session that stands")
    for one in (_own(services, caller), other.opened):
        if now - one.opened_us > FRESH_US:
            detail = f"sign in anew as both: within {_MINUTES} minutes"
            raise DomainError("identity.proof_old", detail, {"minutes": _MINUTES})
    if other.opened.organization != caller.org:
        raise DomainError("identity.elsewhere", "both are of issuers of one organization")
    _, reads = known.persons.of(caller.org, caller.actor)
    link = Link(other.opened.principal, caller.actor, other.opened.issuer, now)
    return link, (*reads, *resting, *rests_on(known, other.stream))


def _own(services: Services, caller: Principal) -> session.Opened:
    """The caller's, at home. Raises: DomainError identity.session_required."""
    found = services.directory.signed(caller.session)
    if found is None or found.opened.organization != caller.org:
        raise DomainError("identity.session_required", "sign in at the organization's issuer")
    return found.opened


@get("/v1/identities")
async def list_identities(
    request: FrontRequest,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Identity]:
    """That are linked to the caller, in order of linking."""
    rows = [(one.position, one) for one in await _own_links(request, as_of)]
    return paged(rows, (cursor, limit), _standing)


@get("/v1/identities/{identity_id:str}")
async def show_identity(
    request: FrontRequest, identity_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> Response[Identity]:
    """That is linked to the caller."""
    links = await _own_links(request, as_of)
    found = [(one.position, one) for one in links if one.said.identity == identity_id]
    return single(found, _standing, "identity", max((one.version for _, one in found), default=0))


async def _own_links(request: FrontRequest, as_of: str | None) -> list[Linked]:
    services, at = await viewed(request, as_of)
    await services.following.catch_up()
    known = services.directory
    if at is not None:
        known = await services.reads.past(credentials_at, request.user.org, at)
    return known.persons.linked(request.user.org, request.user.actor)


def _standing(one: Linked) -> Identity:
    return _given(one.said, one.version)


@post("/v1/identities/{identity_id:str}/unlink", status_code=200)
async def unlink_identity(
    request: FrontRequest, identity_id: FromPath[str], data: JSONBody[IdentityUnlink]
) -> Response[Identity]:
    """By whose it is: who signs in as it is somebody else again. The caller's sessions of its
    issuer are over; that both were one human is remembered.
    """
    services = services_of(request)
    who = request.user
    stream = identity_stream(who.org, identity_id)

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            resting = await still(services, who, who.org)
            _own(services, who)
            recorded = await services.log.read_stream(stream)
            last = recorded[-1].fact if recorded else None
            was = isinstance(last, IdentityUnlinked) and last.person == who.actor
            if not (was or _is_of(services, who, identity_id, last)):
                raise unknown("identity")
            if_match(request, recorded[-1].version)
            if isinstance(last, IdentityUnlinked):
                return Done(nothing=_given(last, recorded[-1].version))
            state = fold(DECIDER, (one.fact for one in recorded))  # type: ignore[misc]
            new = tuple(DECIDER.decide(Unlink(data.reason, now_us()), state))
            write = Write(stream, recorded[0].org, recorded[-1].version, new)
            append = Append((write,), request.user.actor, cause, resting)
            return Done(await services.log.append(append), (write,))

        return await settled(services, stream, attempt)

    def answer(said: tuple[Said, ...], _: bool) -> Identity:  # an Answer
        fact = said[0].fact
        assert isinstance(fact, IdentityUnlinked), "the outcome of this route"
        return _given(fact, said[0].version)

    response = await services.acting.perform(request, do, answer, status=200)
    await services.following.catch_up()
    return response


def _is_of(services: Services, who: Principal, identity: str, last: Struct | None) -> bool:
    """By the fact that the log has last; nothing of a link that came since."""
    known = services.directory.persons
    link = known.link(who.org, identity)
    return link is not None and link.said == last and known.of(who.org, identity)[0] == who.actor


def _given(said: IdentityLinked | IdentityUnlinked, version: int) -> Identity:
    return Identity(
        id=said.identity,
        person=said.person,
        linked=isinstance(said, IdentityLinked),
        since=instant(said.decided_us),
        version=version,
    )
