"""Who is calling, from a bearer token, and whether the role allows it within its organization."""

import re
import time
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from msgspec import Struct

from domain.errors import DomainError

OPERATOR: Final = "platform-operator"
AUDITOR: Final = "auditor"
ADMIN: Final = "admin"
MEMBER: Final = "member"
PLATFORM: Final = "-"
_ROLES: Final = {OPERATOR, AUDITOR, ADMIN, MEMBER}
_ACTOR: Final = re.compile(r"(?:user|service)-[A-Za-z0-9_.-]{1,92}")
_LEEWAY_S: Final = 5
_CACHE: Final = 10_000


class Principal(Struct, frozen=True, gc=False):
    """`actor` is what the log records; `org` the organization the role is bound to, or `-`."""

    actor: str
    role: str
    org: str

    @property
    def reads_all(self) -> bool:
        return self.org == PLATFORM

    def may_read(self, org: str) -> bool:
        return self.org in (PLATFORM, org)


class _Claims(Struct, frozen=True):
    sub: str
    role: str
    exp: int
    org: str | None = None


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

    def expires(self, authorization: str) -> float:
        """When the bearer token just accepted ends, in seconds; 0 when it is not remembered."""
        found = self._known.get(authorization.partition(" ")[2])
        return 0.0 if found is None else found[1]

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
    bound = claims.role in {ADMIN, MEMBER}
    if claims.role not in _ROLES or (bound and not claims.org):
        raise DomainError("auth.invalid", "the token names no role this server knows")
    actor = claims.sub if claims.sub.startswith(("user-", "service-")) else f"user-{claims.sub}"
    if not _ACTOR.fullmatch(actor):
        raise DomainError("auth.invalid", "the token's subject is no opaque id")
    return Principal(actor, claims.role, claims.org or PLATFORM)


async def authenticated(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """A guard: sets the principal, unless the route says it is public. Raises: auth.missing …"""
    if handler.opt.get("public"):
        return
    kind, _, token = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise DomainError("auth.missing", "send Authorization: Bearer <token>")
    connection.scope["user"] = connection.app.state.verifier.principal(token)


def require(principal: Principal, *roles: str) -> None:
    """Raises: DomainError auth.forbidden unless the role is one of `roles`."""
    if principal.role not in roles:
        raise DomainError(
            "auth.forbidden", f"the role {principal.role} may not do this", {"role": principal.role}
        )


def within(principal: Principal, org: str, what: str) -> None:
    """Raises: DomainError resource.unknown: another organization's thing does not exist here."""
    if not principal.may_read(org):
        raise unknown(what)


def unknown(what: str) -> DomainError:
    """One answer for what does not exist and for what the caller may not see."""
    return DomainError("resource.unknown", f"there is no such {what} here")
