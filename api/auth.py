"""Who is calling, from a bearer token, and whether it may do what it asks, where it asks it."""

import asyncio
import contextlib
import functools
import re
import time
from collections.abc import AsyncGenerator
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from msgspec import Struct
from msgspec.structs import replace

from api.authorization.cedar import PLATFORM
from api.authorization.directory import Directory
from api.authorization.door import Door
from api.authorization.principal import Principal
from api.authorization.sessions import elsewhere
from api.authorization.tokens import TokenKind, bearer
from api.header import header
from api.limiting import limited, unknown_caller
from api.origin import origin
from contracts.authorization.registry import BY_ROUTE, EVIDENCE
from domain.errors import DomainError
from projections.reach import Reach

OPERATOR: Final = "platform-operator"
AUDITOR: Final = "auditor"
ADMIN: Final = "admin"
MEMBER: Final = "member"
USER: Final = "user"  # no role of the token: what the organization has bound it to
STAFF: Final = "staff"  # likewise: what the platform has bound it to
_ROLES: Final = {OPERATOR, AUDITOR, ADMIN, MEMBER, USER, STAFF}
_PARAMETER: Final = re.compile(r":\w+}")
_ACTOR: Final = re.compile(r"(?:user|service)-[A-Za-z0-9_.-]{1,92}")
_SECOND_FACTORS: Final = frozenset({"mfa", "otp", "hwk", "swk"})  # RFC 8176
STEP_UP: Final = "aal2"  # the `acr` of a token of the embedded issuer with a second factor
_LEEWAY_S: Final = 5
_CACHE: Final = 10_000
_ASK_S: Final = 0.5
LATE_S: Final = 0.2  # whoever has us wait for longer is asked again


class _Claims(Struct, frozen=True):
    sub: str
    role: str
    exp: int
    iat: int = 0
    org: str | None = None
    amr: tuple[str, ...] = ()


class Verifier:
    """Checks tokens; a token verified once is remembered until it expires.

    The cache is keyed by the whole token, so another signature is another token. Owned by one
    event loop.
    """

    def __init__(self, key: Ed25519PublicKey, issuer: str, audience: str) -> None:
        self._key = key
        self._issuer = issuer
        self._audience = audience
        self._known: dict[str, tuple[Principal, float]] = {}

    def principal(self, token: str) -> Principal:
        """Raises: DomainError auth.invalid, auth.expired."""
        found = self._known.get(token)
        if found is not None:
            if time.time() < found[1]:
                return found[0]
            del self._known[token]
            raise DomainError("auth.expired", "the token has expired")
        principal, expires = self._verify(token)
        if len(self._known) >= _CACHE:
            self._known.clear()
        self._known[token] = (principal, expires)
        return principal

    def takes(self, token: str) -> bool:  # a TokenKind
        """The form of last resort: what is no token at all is refused as one of this kind."""
        return bool(token)

    def ends(self, token: str) -> float:
        """When the token just accepted ends, in seconds; 0 when it is not remembered."""
        found = self._known.get(token)
        return 0.0 if found is None else found[1]

    def told_late(self, _token: str) -> bool:
        return False

    def _verify(self, token: str) -> tuple[Principal, float]:
        try:
            raw = jwt.decode(
                token,
                self._key,
                algorithms=["EdDSA"],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "nbf", "iss", "aud", "sub"]},
            )
            claims = msgspec.convert(raw, _Claims)
        except jwt.ExpiredSignatureError as error:
            raise DomainError("auth.expired", "the token has expired") from error
        except (jwt.InvalidTokenError, msgspec.ValidationError) as error:
            raise DomainError("auth.invalid", "the token is not one this server accepts") from error
        return _principal(claims), float(claims.exp)


def _principal(claims: _Claims) -> Principal:
    bound = claims.role in {ADMIN, MEMBER, USER}
    if claims.role not in _ROLES or (bound and not claims.org):
        raise DomainError("auth.invalid", "the token names no role this server knows")
    actor = claims.sub if claims.sub.startswith(("user-", "service-")) else f"user-{claims.sub}"
    if not _ACTOR.fullmatch(actor):
        raise DomainError("auth.invalid", "the token's subject is no opaque id")
    mfa = not _SECOND_FACTORS.isdisjoint(claims.amr)
    role = "" if claims.role in {USER, STAFF} else claims.role
    org = PLATFORM if claims.role == STAFF else claims.org or PLATFORM
    return Principal(actor, role, org, mfa, step_up=STEP_UP, signed_us=claims.iat * 1_000_000)


async def authenticated(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """A guard: sets the principal, unless the route says it is public, or is only asked what may
    be asked of it (OPTIONS), which the public document says as well.

    Raises: DomainError auth.missing, auth.invalid, auth.expired; resource.unknown of an
    organization that is not the caller's; rate.limited, of an address from which too many came with
    no token that counts, or of who named others' organizations too often.
    """
    if not _open(connection, handler):
        connection.scope["user"] = await _caller(connection, handler)


async def _caller(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> Principal:
    token = bearer(header(connection, b"authorization") or "")
    if not token:
        unknown_caller(connection)
        raise DomainError("auth.missing", "send Authorization: Bearer <token>")
    state = connection.app.state
    kind: TokenKind = state.tokens.kind(token)
    try:
        found = kind.principal(token)
    except DomainError as error:
        unknown_caller(connection)
        if error.code != "auth.invalid" or not kind.told_late(token):
            raise
        # It may be that another process made it a moment ago, and its wake has not come.
        await state.services.following.catch_up()
        found = kind.principal(token)
    source = origin(connection, state.services.settings.proxies)
    action = action_of(handler)
    acts = connection.scope.get("method") != "GET" or action in EVIDENCE
    more: Any = {"source": source, "action": action, "door": state.door}
    more["let"] = {} if acts else None
    named = header(connection, b"organization")
    if named and named != found.org:
        try:
            return replace(await _acting_in(found, named, state.services), counted=set(), **more)
        except DomainError:
            # Counted where it is at home, and of its share of requests.
            connection.scope["user"] = replace(found, counted=set(), **more)
            limited(connection)
            raise
    return replace(found, counted=set(), **more)


async def _acting_in(found: Principal, named: str, services: Any) -> Principal:
    """The same person in another organization that it belongs to, with what it is bound to there:
    what its token implies at home is left behind, and an API key stays where it is.

    Raises: DomainError resource.unknown, as of an organization that there is not.
    """
    if found.key or found.reads_all:
        raise unknown("organization")
    there = acting_in(services.directory, found, named)
    if there is None:
        await services.following.catch_up()
        there = acting_in(services.directory, found, named)
    if there is None:
        raise unknown("organization")
    return there


def acting_in(directory: Directory, found: Principal, org: str) -> Principal | None:
    """In that organization, which it belongs to now; None where it does not, or where the session
    that it came in says nothing.
    """
    if org == found.org:
        return found
    if org == PLATFORM or not directory.authority(org).knows(found.actor):
        return None
    if found.session:
        return elsewhere(directory, found, org)
    return replace(found, org=org, role="", home=found.home or found.org)


def _open(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> bool:
    return bool(handler.opt.get("public")) or connection.scope.get("method") == "OPTIONS"


async def permitted(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """A guard: the principal may do what the route is, anywhere at all. Where the thing is known,
    `within` decides. Raises: DomainError auth.forbidden.
    """
    if _open(connection, handler):
        return
    await _let_in(connection, connection.scope["user"])


async def again(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Asked of whoever had us wait: by what it came with, as that stands now, it would still be let
    in to its route. Raises: as `authenticated` and `permitted`.
    """
    handler: BaseRouteHandler = connection.scope["route_handler"]
    if not _open(connection, handler):
        await connection.app.state.services.following.catch_up()
        await _let_in(connection, await _caller(connection, handler))


async def while_let(
    connection: ASGIConnection[Any, Any, Any, Any], pieces: AsyncGenerator[bytes]
) -> AsyncGenerator[bytes]:
    """An answer of many pieces, which breaks off within a second of what was taken from whoever
    asked for it, or where it is taken on. Raises: as `again`.
    """
    loop = asyncio.get_running_loop()
    asked = loop.time()
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            if loop.time() - asked >= _ASK_S:
                await again(connection)
                asked = loop.time()
            yield piece


async def _let_in(connection: ASGIConnection[Any, Any, Any, Any], principal: Principal) -> None:
    try:
        _door(principal).somewhere(principal, principal.action)
    except DomainError:
        if principal.reads_all:
            raise
        await connection.app.state.services.following.catch_up()
        _door(principal).somewhere(principal, principal.action)


@functools.cache
def action_of(handler: BaseRouteHandler) -> str:
    """The action of a route: the table's, or what a route of a bench or a test names itself."""
    named = handler.opt.get("action")
    if named is not None:
        return str(named)
    [path] = handler.paths
    [method] = handler.http_methods - {"HEAD", "OPTIONS"}  # type: ignore[attr-defined]
    return BY_ROUTE[f"{method} {_PARAMETER.sub('}', path)}"].name


def may(principal: Principal, action: str, org: str, scope: str = "", resource: str = "") -> bool:
    """Whether the caller may do that too, at the scope (the organization without one), to the
    resource there that it is about.
    """
    door = _door(principal)
    return door.decide(principal, action, door.tenants.place(scope or org, org, resource)).allowed


def allow(principal: Principal, action: str, org: str, scope: str = "", resource: str = "") -> None:
    """Raises: DomainError auth.forbidden unless the caller `may`."""
    if not may(principal, action, org, scope, resource):
        door = _door(principal)
        raise door.refusal(principal, action, door.tenants.place(scope or org, org, resource))


def within(principal: Principal, org: str, what: str, scope: str = "", resource: str = "") -> None:
    """The caller may do what its route is at this scope (the organization without one), to the
    resource there that it is about.

    Raises: DomainError resource.unknown where the caller has no authority at all: nothing exists
    there; auth.forbidden.
    """
    door = _door(principal)
    place = door.tenants.place(scope or org, org, resource)
    if door.decide(principal, principal.action, place).allowed:
        return
    if not door.sees(principal, place):
        raise unknown(what)
    raise door.refusal(principal, principal.action, place)


def reach_of(principal: Principal, org: str) -> Reach:
    """Where in the organization the caller may do what its route is."""
    return _door(principal).reach(principal, principal.action, org)


def _door(principal: Principal) -> Door:
    assert principal.door is not None, "the guard gives it"
    return principal.door


def unknown(what: str) -> DomainError:
    """One answer for what does not exist and for what the caller may not see."""
    return DomainError("resource.unknown", f"there is no such {what} here")
