"""Who belongs to an organization: members, and who is invited."""

import hashlib
import secrets
from collections.abc import Callable
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from api.acting import Said
from api.authorization.listing import Seen, paged, seen, seen_with, single, words
from api.authorization.sessions import speaks
from api.authorization.wishing import Wanted, organization_of, roles_of, wished
from api.body import FrontRequest
from api.edge import instant, now_us
from api.services import services_of
from contracts.http import Page
from contracts.http_authority import (
    AuthorityEnd,
    Ended,
    Invitation,
    InvitationAccept,
    InvitationNew,
    Member,
    MemberNew,
)
from domain.authority_commands import Accept, AddMember, Invite, RemoveMember, Withdraw
from domain.authority_facts import Invited
from domain.authority_state import Authority
from domain.binding import Binding
from domain.errors import DomainError
from evidence.ids import new_id
from evidence.private import private_value

_DAY_US: Final = 86_400_000_000


@post("/v1/members", status_code=200)
async def add_member(request: FrontRequest, data: JSONBody[MemberNew]) -> Response[Member]:
    """It belongs to the organization from now on; what it may do, bindings say."""
    org = organization_of(request.user, data.organization)

    def given(version: int | None) -> Member:
        return Member(principal=data.principal, organization=org, roles=[], version=version)

    def want(_: Authority) -> Wanted:
        return Wanted(AddMember(data.principal), org, given(None))

    return await wished(request, org, want, lambda said, _: given(said[0].version))


@get("/v1/members")
async def list_members(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Member]:
    """By id, with the roles that each has in the organization as a whole."""
    found = await seen(request, organization, as_of)
    rows = [(found.made[who].position, who) for who in found.state.members if found.shows()]
    return paged(rows, (cursor, limit), _belonging(found))


@get("/v1/members/{principal:str}")
async def show_member(
    request: FrontRequest,
    principal: FromPath[str],
    organization: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Response[Member]:
    """With the roles that it has in the organization as a whole; its ETag is that of the
    organization's authority.
    """
    found = await seen_with(request, organization, as_of, principal, "member")
    there = found.shows() and principal in found.state.members
    return single([(0, principal)] if there else [], _belonging(found), "member", found.version)


def _belonging(found: Seen) -> Callable[[str], Member]:
    def roles(who: str) -> list[str]:
        whose = {who, *found.state.groups_of(who)}
        bound = found.state.bindings.values()
        return sorted(
            {one.role for one in bound if one.principal in whose and one.scope == found.org}
        )

    def given(who: str) -> Member:
        return Member(
            principal=who, organization=found.org, roles=roles(who), version=found.version
        )

    return given


@post("/v1/members/{principal:str}/remove", status_code=200)
async def remove_member(
    request: FrontRequest, principal: FromPath[str], data: JSONBody[AuthorityEnd]
) -> Response[Ended]:
    """Its bindings, groups, keys and sessions are over with it, in every process within a second;
    so are the invitations that are open, where it could have made them.
    """
    org = organization_of(request.user, data.organization)

    def want(state: Authority) -> Wanted:
        wish, nothing = RemoveMember(principal, data.reason), Ended(id=principal, version=None)
        return Wanted(wish, org, nothing, roles=roles_of(state, principal))

    return await wished(
        request, org, want, lambda said, _: Ended(id=principal, version=said[-1].version)
    )


@post("/v1/invitations")
async def create_invitation(
    request: FrontRequest, data: JSONBody[InvitationNew]
) -> Response[Invitation]:
    """The secret is shown once; an address is where a link goes, never who somebody is."""
    org = organization_of(request.user, data.organization)
    scope, role, secret = data.scope or org, data.role, secrets.token_urlsafe(24)
    email, private = private_value(org, data.email)
    name, until_us = new_id("invitation"), now_us() + data.days * _DAY_US

    def given(fact: Invited, version: int | None, *, again: bool) -> Invitation:
        return Invitation(
            id=fact.invitation,
            organization=org,
            email=data.email,
            role=fact.role,
            scope=fact.scope,
            until=instant(fact.until_us),
            secret=None if again else secret,
            version=version,
        )

    def want(_: Authority) -> Wanted:
        wish = Invite(name, email, role, scope, _hash(secret), until_us)
        fact = Invited(name, email, role, scope, "", until_us, (), 0)
        offered = Binding(name, "", role, scope)
        nothing = given(fact, None, again=True)
        return Wanted(wish, scope, nothing, (private,), roles=(role,), gives=(offered,))

    def answer(said: tuple[Said, ...], again: bool) -> Invitation:  # an Answer
        fact = said[0].fact
        assert isinstance(fact, Invited), "the outcome of this route"
        return given(fact, said[0].version, again=again)

    return await wished(request, org, want, answer, status=201)


@get("/v1/invitations")
async def list_invitations(
    request: FrontRequest,
    organization: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Page[Invitation]:
    """Those that are open, in order of making."""
    rows, given = await _invited(await seen(request, organization, as_of), request)
    return paged(rows, (cursor, limit), given)


@get("/v1/invitations/{invitation_id:str}")
async def show_invitation(
    request: FrontRequest,
    invitation_id: FromPath[str],
    organization: FromQuery[str | None] = None,
    as_of: FromQuery[str | None] = None,
) -> Response[Invitation]:
    """One that is open; its ETag is that of the organization's authority."""
    found = await seen_with(request, organization, as_of, invitation_id, "invitation")
    rows, given = await _invited(found, request, invitation_id)
    return single(rows, given, "invitation", found.version)


type _Invited = tuple[list[tuple[int, Invited]], Callable[[Invited], Invitation]]


async def _invited(found: Seen, request: FrontRequest, only: str | None = None) -> _Invited:
    """Those that the caller may see, in order of making; or the one of that id."""
    every = found.state.invitations.values()
    open_ones = [one for one in every if found.shows(one.scope) and only in (None, one.invitation)]
    texts = await words(request, [one.email.private for one in open_ones])

    def given(one: Invited) -> Invitation:
        return Invitation(
            id=one.invitation,
            organization=found.org,
            email=texts.get(one.email.private),
            role=one.role,
            scope=one.scope,
            until=instant(one.until_us),
            secret=None,
            version=found.version,
        )

    return [(found.made[one.invitation].position, one) for one in open_ones], given


@post("/v1/invitations/{invitation_id:str}/withdraw", status_code=200)
async def withdraw_invitation(
    request: FrontRequest, invitation_id: FromPath[str], data: JSONBody[AuthorityEnd]
) -> Response[Ended]:
    """Its secret opens nothing any more."""
    org = organization_of(request.user, data.organization)

    def want(_: Authority) -> Wanted:
        return Wanted(Withdraw(invitation_id), org, Ended(id=invitation_id, version=None))

    return await wished(
        request, org, want, lambda said, _: Ended(id=invitation_id, version=said[0].version)
    )


@post("/v1/invitations/{invitation_id:str}/accept", status_code=200)
async def accept_invitation(
    request: FrontRequest, invitation_id: FromPath[str], data: JSONBody[InvitationAccept]
) -> Response[Member]:
    """Whoever is signed in and has the secret belongs to it from now on, with the role offered: a
    person, and not by a key that somebody may have found.
    """
    who, binding = request.user.actor, new_id("binding")
    if request.user.key:
        raise DomainError("invitation.by_key", "sign in to accept it")
    known = services_of(request).directory

    def want(state: Authority) -> Wanted:
        wish = Accept(invitation_id, _hash(data.secret), who, binding)
        found = state.invitations.get(invitation_id)
        right = found is not None and found.secret_sha256 == wish.secret_sha256
        if right and not speaks(known, request.user, data.organization):
            raise DomainError("invitation.elsewhere", "this sign-in says nothing there")
        nothing = Member(principal=who, organization=data.organization, roles=[], version=None)
        return Wanted(wish, "", nothing)

    def answer(said: tuple[Said, ...], _: bool) -> Member:  # an Answer
        version = said[-1].version
        return Member(principal=who, organization=data.organization, roles=[], version=version)

    return await wished(request, data.organization, want, answer)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
