"""Who an identity token says somebody is. Source: OpenID Connect Core 1.0 section 3.1.3.7."""

import math
from typing import Any, Final

import jwt
import msgspec
from jwt import PyJWK
from msgspec import Struct

from api.oidc.provider import Jwk, Provider
from domain.errors import DomainError
from domain.issuer import Trusted
from gpuaas_verify.strict import FORBIDDEN

LEEWAY_S: Final = 30
OLDEST_S: Final = 600  # a token that was issued longer ago opens no session
_LONGEST: Final = 16 * 1024
_SUBJECT: Final = 255  # letters: OpenID Connect Core 1.0 section 2
_WORDS, _WORD = 20, 255  # means of a sign-in; letters of one, and of its context
_OF_RSA: Final = frozenset({"PS256", "RS256"})
# What APIs are called with, or a logout is told by, is no word of who signed in (RFC 8725 section
# 3.11): in its header by RFC 9068, in its claims as Keycloak and Cognito say it of their own.
_KIND: Final = "jwt"
_ID: Final = ("", "ID", "id")
_REQUIRED: Final = ("iss", "aud", "sub", "exp", "iat")


class Identity(Struct, frozen=True):
    """`amr`, `acr`: how it was shown, as far as the issuer says; `authenticated_s`: when, in whole
    seconds since the epoch, no later than the token was issued; 0: it does not say.
    """

    subject: str
    amr: tuple[str, ...]
    acr: str
    authenticated_s: int = 0


class _Claims(Struct, frozen=True):
    sub: str
    iat: float
    aud: str | list[str]
    amr: tuple[str, ...] = ()
    acr: str = ""
    auth_time: float = 0
    azp: str = ""
    nonce: str = ""
    typ: str = ""
    token_use: str = ""
    events: dict[str, Any] | None = None


async def identified(
    token: str, trusted: Trusted, provider: Provider, nonce: str, now_s: float
) -> Identity:
    """Whom the issuer vouches for, in a token made for us, just now.

    The algorithm is one the issuer was trusted with and one of the key's own, whatever the token
    says. `nonce`: what its request had; both have one, or neither.

    Raises: DomainError session.token_invalid (with why), session.token_expired,
        session.key_unknown, issuer.unreachable, issuer.invalid.
    """
    if len(token) > _LONGEST:
        raise _invalid("it is longer than 16 KiB")
    header = _header(token)
    algorithm = header.get("alg")
    if algorithm not in trusted.algorithms:
        raise _invalid("it is signed with an algorithm this issuer is not trusted with")
    if "crit" in header:
        raise _invalid("its header demands an extension")
    if str(header.get("typ", _KIND)).lower() != _KIND:
        raise _invalid("it is another kind of token")
    kid = header.get("kid")
    key = await provider.key(None if kid is None else str(kid))
    claims = _checked(token, trusted, key, str(algorithm))
    if now_s - claims.iat > OLDEST_S + LEEWAY_S:
        raise DomainError("session.token_expired", "it was issued more than ten minutes ago")
    if claims.events is not None or claims.typ not in _ID or claims.token_use not in _ID:
        raise _invalid("it is another kind of token")
    if claims.nonce != nonce:
        raise _invalid("its nonce is not the request's")
    several = isinstance(claims.aud, list) and len(claims.aud) > 1
    if (several or claims.azp) and claims.azp != trusted.audience:
        raise _invalid("it was issued to somebody else")
    if not claims.sub:
        raise _invalid("it names nobody")
    words = (*claims.amr, claims.acr)
    if len(claims.sub) > _SUBJECT or len(words) > _WORDS or any(len(one) > _WORD for one in words):
        raise _invalid("its words are too long, or too many")
    if any(FORBIDDEN.search(one) for one in (claims.sub, *words)):
        raise _invalid("it says what is no text")
    if not math.isfinite(claims.auth_time):
        raise _invalid("its auth_time is no time")
    # An issuer's clock may be ahead; nobody showed it who they are after it said so.
    authenticated_s = max(0, int(min(claims.auth_time, claims.iat, now_s)))
    return Identity(claims.sub, claims.amr, claims.acr, authenticated_s)


def _header(token: str) -> dict[str, Any]:
    try:
        return jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise _invalid("it is no signed token") from error


def _key(jwk: Jwk, algorithm: str) -> PyJWK:
    """Raises: jwt.InvalidTokenError. An RSA key that names no algorithm signs with either padding;
    what every other key signs with, it says or its curve does.
    """
    key = PyJWK(jwk)
    if not jwk.get("alg") and jwk.get("kty") == "RSA" and algorithm in _OF_RSA:
        return PyJWK(jwk, algorithm)
    if key.algorithm_name != algorithm:
        raise jwt.InvalidAlgorithmError("its key signs with another algorithm")
    return key


def _checked(token: str, trusted: Trusted, jwk: Jwk, algorithm: str) -> _Claims:
    try:
        raw = jwt.decode(
            token,
            _key(jwk, algorithm),
            algorithms=[algorithm],
            audience=trusted.audience,
            issuer=trusted.url,
            leeway=LEEWAY_S,
            options={"require": list(_REQUIRED)},
        )
        return msgspec.convert(raw, _Claims)
    except jwt.ExpiredSignatureError as error:
        raise DomainError("session.token_expired", "the identity token has expired") from error
    except (jwt.InvalidTokenError, msgspec.ValidationError) as error:
        raise _invalid(str(error)) from error


def _invalid(why: str) -> DomainError:
    return DomainError("session.token_invalid", f"the identity token is not accepted: {why}")
