"""What an issuer publishes about itself: where its keys are, and the keys. Source: OpenID Connect
Discovery 1.0 section 4, RFC 7517.

Fetched with a bound on time and size, never through a redirect; from `https` only, from `http` on
loopback in an embedded deployment.
"""

import asyncio
import time
from typing import Final
from urllib.parse import urlsplit

import httpx
import jwt
import msgspec
from jwt import PyJWK

from domain.errors import DomainError

_TIMEOUT_S: Final = 5.0
_MOST_BYTES: Final = 256 * 1024
_FRESH_S: Final = 600.0  # keys are looked up again after so long
_PAUSE_S: Final = 10.0  # and for a kid nobody knows no more often than that
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Published(msgspec.Struct, frozen=True):
    """What is used of the discovery document."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    device_authorization_endpoint: str = ""


class Provider:
    """One issuer's keys, kept for ten minutes, looked up again for a kid that is not among them.

    Owned by one event loop; concurrent askers wait for one fetch. What was fetched last stays in
    use while the issuer does not answer.
    """

    def __init__(self, url: str, *, loopback: bool) -> None:
        self._url = url
        self._loopback = loopback
        self._busy = asyncio.Lock()
        self._published: Published | None = None
        self._keys: dict[str, PyJWK] = {}
        self._fetched = self._tried = -_FRESH_S

    async def published(self) -> Published:
        """Raises: DomainError issuer.unreachable, issuer.invalid."""
        if self._published is None:
            await self._refresh()
        assert self._published is not None
        return self._published

    async def key(self, kid: str | None) -> PyJWK:
        """The key that is called so; without a name, the only one there is.

        Raises: DomainError issuer.unreachable, issuer.invalid, session.key_unknown.
        """
        found = self._key(kid)
        now = time.monotonic()
        stale = now - self._fetched >= _FRESH_S
        if stale or (found is None and now - self._tried >= _PAUSE_S):
            try:
                await self._refresh()
            except DomainError:
                if found is None:
                    raise
            found = self._key(kid)
        if found is None:
            raise DomainError("session.key_unknown", "the issuer publishes no key of that name")
        return found

    def _key(self, kid: str | None) -> PyJWK | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        asked = time.monotonic()
        async with self._busy:
            if self._tried > asked:
                return  # somebody fetched while this one waited
            self._tried = time.monotonic()
            async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
                base = self._url.rstrip("/")
                body = await self._fetched_from(client, f"{base}/.well-known/openid-configuration")
                published = _decoded(body, Published)
                if published.issuer != self._url:
                    raise DomainError("issuer.invalid", "its document names another issuer")
                body = await self._fetched_from(client, published.jwks_uri)
            self._keys = _keys_of(body)
            self._published = published
            self._fetched = time.monotonic()

    async def _fetched_from(self, client: httpx.AsyncClient, url: str) -> bytes:
        require_reachable(url, loopback=self._loopback)
        try:
            async with client.stream("GET", url) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise DomainError(
                        "issuer.unreachable", f"it answered {answer.status_code} for {url}"
                    )
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > _MOST_BYTES:
                        raise DomainError("issuer.invalid", "its document is larger than 256 KiB")
                return body
        except httpx.HTTPError as error:
            raise DomainError("issuer.unreachable", f"{url}: {type(error).__name__}") from error


def require_reachable(url: str, *, loopback: bool) -> None:
    """Raises: DomainError issuer.invalid unless it is https, or on loopback where allowed."""
    parts = urlsplit(url)
    plain = parts.scheme == "http" and loopback and parts.hostname in _LOOPBACK
    if not parts.hostname or parts.username or (parts.scheme != "https" and not plain):
        raise DomainError("issuer.invalid", "an issuer's addresses begin with https://")


def _decoded[T](body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise DomainError(
            "issuer.invalid", "its document is not what OpenID Connect says"
        ) from error


def _keys_of(body: bytes) -> dict[str, PyJWK]:
    """Those that sign; others, and what nobody can read, are left out."""
    found = {}
    for one in _decoded(body, dict[str, list[dict[str, object]]]).get("keys", []):
        if one.get("use", "sig") != "sig" or one.get("kty") not in {"RSA", "EC", "OKP"}:
            continue
        try:
            found[str(one.get("kid", ""))] = PyJWK(one)
        except jwt.PyJWTError:
            continue
    return found


class Providers:
    """One `Provider` for each issuer that was asked for."""

    def __init__(self, *, loopback: bool) -> None:
        self._loopback = loopback
        self._known: dict[str, Provider] = {}

    def of(self, url: str) -> Provider:
        if url not in self._known:
            self._known[url] = Provider(url, loopback=self._loopback)
        return self._known[url]

    def require(self, url: str) -> None:
        """Raises: DomainError issuer.invalid for an address that this deployment does not ask."""
        require_reachable(url, loopback=self._loopback)
