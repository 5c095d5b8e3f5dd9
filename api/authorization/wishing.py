"""One administrative act on an organization's authority: decided, appended, known here at once."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from litestar import Response
from msgspec import Struct
from msgspec.structs import replace

from api.acting import Answer, Done, if_match
from api.auth import allow, unknown, within
from api.authorization.cedar import PLATFORM
from api.authorization.principal import Principal
from api.authorization.resting import still
from api.body import FrontRequest
from api.changing import settled, target
from api.edge import now_us
from api.services import Services, services_of
from contracts.authorization.registry import FOUNDING
from contracts.http import Given, OrganizationId
from domain import authority
from domain.authority import DECIDER
from domain.authority_commands import Accept, Command, Wish
from domain.authority_state import Authority
from domain.binding import OWNER, Binding, is_resource
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.private import PrivateValue


class Wanted(Struct, frozen=True):
    """`scope`: where the caller must be allowed to do it; empty: the wish has a proof of its own.
    `project`: where that lies if it is a resource. `nothing`: the answer if it is so. `roles`: that
    are given or taken by it; `gives`: the binding that comes of it, no looser than what lets the
    caller. `reads`: what else it rests on.
    """

    wish: Wish
    scope: str
    nothing: Given
    private: tuple[PrivateValue, ...] = ()
    roles: tuple[str, ...] = ()
    gives: tuple[Binding, ...] = ()
    project: str = ""
    reads: tuple[tuple[str, int], ...] = ()


type Want = Callable[[Authority], Wanted]


def organization_of(principal: Principal, named: str | None) -> str:
    """The one named, or the caller's own. Raises: DomainError request.invalid, resource.unknown."""
    if principal.reads_all:
        if named is None:
            at: dict[str, int | str] = {"pointer": "/organization"}
            raise DomainError("request.invalid", "name the organization", at)
        if named == PLATFORM:
            return PLATFORM
        try:
            found: str = msgspec.convert(named, OrganizationId)
        except msgspec.ValidationError as error:
            raise unknown("organization") from error
        return found
    if named not in (None, principal.org):
        raise unknown("organization")
    return principal.org


async def wished(
    request: FrontRequest, org: str, want: Want, answer: Answer, *, status: int = 200
) -> Response[Any]:
    """What the wish came to. It loses to a change of the organization and of its authority.

    Raises: DomainError resource.unknown, auth.forbidden, authority.*, if_match.stale.
    """
    services = services_of(request)

    async def do(cause: str) -> Done:
        async def attempt() -> Done:
            return await _attempt(services, request, org, want, cause)

        return await settled(services, authority.authority_stream(org), attempt)

    response = await services.acting.perform(request, do, answer, status, versioned=True)
    await services.following.catch_up()
    return response


async def _attempt(
    services: Services, request: FrontRequest, org: str, want: Want, cause: str
) -> Done:
    stream = authority.authority_stream(org)
    # In this order: nothing was decided before it that the caller's own authority does not know.
    found = await services.authorities.of(org)
    state, version = found.state, found.version
    resting = await still(services, request.user, org)
    wanted = want(state)
    reads: tuple[tuple[str, int], ...] = ()
    policies: tuple[str, ...] = ("invitation",)  # what lets whoever has its secret
    if wanted.scope:
        reads = await scope_of(services, request.user, wanted.scope, org)
        policies = deciding(request.user, wanted.scope, org, project=wanted.project)
        for role in wanted.roles:
            may_own(request.user, role, org)
        no_looser(request.user, wanted.gives, policies, (wanted.scope or org, org))
    bounds = services.settings.bounds
    command, more = await _told(
        services, request.user, Command(wanted.wish, org, policies, now_us(), bounds=bounds)
    )
    new = DECIDER.decide(command, state)
    # Only who may, or has the secret, is told what version it is at.
    if_match(request, version)
    if not new:
        return Done(nothing=wanted.nothing)
    write = Write(stream, org, version, tuple(new))
    also = (one for one in resting if one[0] != stream)
    reads = tuple(dict.fromkeys((*reads, *wanted.reads, *more, *also)))
    append = Append((write,), request.user.actor, cause, reads, wanted.private)
    return Done(await services.log.append(append), (write,))


async def _told(
    services: Services, principal: Principal, command: Command
) -> tuple[Command, tuple[tuple[str, int], ...]]:
    """The wish with what it takes to know of the platform's staff, and what that was read from."""
    founding = (
        principal.org == PLATFORM
        and not principal.role
        and command.organization != PLATFORM
        and principal.action in FOUNDING
    )
    if not (founding or isinstance(command.wish, Accept)):
        return command, ()
    stream = authority.authority_stream(PLATFORM)
    found = await services.authorities.of(PLATFORM)
    staff = found.state.members | found.state.accounts
    command = replace(command, founding=founding, staff=staff)
    return command, ((stream, found.version),) if found.version else ()


async def located(services: Services, principal: Principal, scope: str) -> tuple[str, str]:
    """Whose the scope is, and the project that it lies in if it is a resource; what nobody knows is
    looked for, and not found, at home.
    """
    if not is_resource(scope):
        await services.following.locate(scope)
        return services.directory.org_of(scope) or principal.org, ""
    recorded = await services.log.read_stream(scope)
    if not recorded:
        return principal.org, ""
    org = recorded[0].org if principal.reads_all else principal.org
    return org, str(getattr(recorded[0].fact, "project", ""))


async def scope_of(
    services: Services, principal: Principal, scope: str, org: str
) -> tuple[tuple[str, int], ...]:
    """The scope's stream and version (the platform has none), if it is of the organization and the
    caller may act there.

    Raises: DomainError resource.unknown, auth.forbidden.
    """
    if scope == org == PLATFORM:
        within(principal, PLATFORM, "scope")
        return ()
    found = await target(services, principal, scope, scope.partition("-")[0])
    if found.org != org:
        raise unknown("scope")
    return ((scope, found.version),)


def deciding(
    principal: Principal, scope: str, org: str, action: str = "", *, project: str = ""
) -> tuple[str, ...]:
    """The ids of the policies that let the caller do that there, or what its route is; `project`:
    where the scope lies if it is a resource.
    """
    assert principal.door is not None, "the guard gives it"
    door = principal.door
    place = door.tenants.place(project or scope, org, scope)
    return door.decide(principal, action or principal.action, place).policies


def no_looser(
    principal: Principal,
    gives: Iterable[Binding],
    policies: tuple[str, ...],
    where: tuple[str, str],
) -> None:
    """`where`: the scope, and the organization that it lies in.

    Raises: DomainError authority.looser where every binding that lets the caller has conditions
    that one of those it gives has not.
    """
    scope, org = where
    assert principal.door is not None, "the guard gives it"
    mine = [one for one in principal.door.policies(principal, org).bindings if one.id in policies]
    if not all(any(one.covers(given) for one in mine) for given in gives):
        facts: dict[str, int | str] = {"action": principal.action, "scope": scope}
        raise DomainError("authority.looser", "your own binding ends, or asks for more", facts)


def roles_of(state: Authority, principal: str) -> tuple[str, ...]:
    """What it has by itself and by its groups."""
    return tuple(one.role for one in state.rights_of(principal))


def may_own(principal: Principal, role: str, org: str) -> None:
    """Raises: DomainError auth.forbidden: only who may make owners gives or takes that role."""
    if role == OWNER:
        allow(principal, "binding.grant_owner", org)
