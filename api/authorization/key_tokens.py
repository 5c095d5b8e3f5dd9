"""JWTs that a program signs by itself, with the private half of a key that was made for it.

What is sent is good for an hour at most, and what could be stolen of the platform opens nothing.
Source: RFC 7519, RFC 8037, RFC 8725.
"""

import time
from typing import Final

import jwt
import msgspec
from msgspec import Struct

from api.authorization.directory import Directory
from api.authorization.keys import KeyRing
from api.authorization.principal import Principal
from api.tokens import ALGORITHM, AUDIENCE
from contracts.signing import public_key
from domain.errors import DomainError

LONGEST_S: Final = 3_600
_LEEWAY_S: Final = 5
_MOST: Final = 10_000
_LONGEST: Final = 4 * 1024
_KEY: Final = "token-"


class _Claims(Struct, frozen=True):
    sub: str
    exp: int
    iat: int


class KeyTokens:
    """A kind of token; one that was verified once is remembered until it expires, and its key is
    asked for each time. Owned by one event loop.
    """

    def __init__(self, directory: Directory, keys: KeyRing) -> None:
        self._directory = directory
        self._keys = keys
        self._kids: dict[str, str] = {}  # of what form alone says, of others as well: empty
        self._known: dict[str, tuple[str, int]] = {}

    def takes(self, token: str) -> bool:
        return bool(self._kid(token))

    def told_late(self, token: str) -> bool:
        return self._directory.made(self._kid(token)) is None

    def principal(self, token: str) -> Principal:
        """Raises: DomainError auth.invalid, auth.expired."""
        found = self._known.get(token)
        if found is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            found = self._known[token] = self._verified(token)
        stream, expires_s = found
        if time.time() >= expires_s + _LEEWAY_S:
            raise DomainError("auth.expired", "the token has expired: sign another one")
        return self._keys.acting(self._directory.made(stream))

    def ends(self, token: str) -> float:
        """Its own end, or that of its key, in seconds; 0: not known."""
        stream, expires_s = self._known.get(token, ("", 0))
        until_us = self._directory.until_us(stream) if stream else 0
        return float(min(expires_s, until_us / 1_000_000) if until_us else expires_s)

    def _kid(self, token: str) -> str:
        if len(token) > _LONGEST:
            return ""  # nor remembered: anybody may send one
        found = self._kids.get(token)
        if found is None:
            if len(self._kids) >= _MOST:
                self._kids.clear()
            found = self._kids[token] = _kid_of(token)
        return found

    def _verified(self, token: str) -> tuple[str, int]:
        key = self._directory.made(self._kid(token))
        if key is None or not key.public:
            raise _invalid("no key that stands")
        who = key.created.principal
        try:
            raw = jwt.decode(
                *(token, public_key(key.public)),
                algorithms=[ALGORITHM],
                issuer=who,
                audience=AUDIENCE,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
            claims = msgspec.convert(raw, _Claims)
        except jwt.ExpiredSignatureError as error:
            raise DomainError("auth.expired", "the token has expired: sign another one") from error
        except (jwt.InvalidTokenError, msgspec.ValidationError, ValueError) as error:
            raise _invalid("it is not what its key signs") from error
        if claims.sub != who or claims.exp - claims.iat > LONGEST_S:
            raise _invalid(f"it is {who}'s own, for {LONGEST_S} s at most")
        return key.stream, claims.exp


def _kid_of(token: str) -> str:
    """The id of the key that it names; empty where it is no such token."""
    if token.count(".") != 2:
        return ""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        return ""
    kid = str(header.get("kid", ""))
    return kid if kid.startswith(_KEY) and "crit" not in header else ""


def _invalid(why: str) -> DomainError:
    return DomainError("auth.invalid", f"a token signed with a key: {why}")
