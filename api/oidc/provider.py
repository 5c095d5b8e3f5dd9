"""What an issuer publishes about itself: where its keys are, and the keys. Source: OpenID Connect
Discovery 1.0 section 4, RFC 7517.

Fetched with a bound on time and size, never through a redirect; from `https` only, from `http` on
loopback in an embedded deployment. What the document names on another host than the issuer's own
is public, and called at the address that was looked at.
"""

import asyncio
import contextlib
import ssl
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import jwt
import msgspec
from jwt import PyJWK

from api.listened import Listened
from api.webhooks.addresses import Lookups, checked, networks_of
from domain.errors import DomainError

_TIMEOUT_S: Final = 5.0  # of one connection, one reading
_WHOLE_S: Final = 10.0  # of all of it
_MOST_BYTES: Final = 256 * 1024
_MOST_KEYS: Final = 100
# In letters of base64url: a modulus of 8,192 bits, an exponent of 64.
_LONGEST: Final = {"n": 1366, "e": 11}
# Whoever publishes one of these publishes no public key; to read it may take a processor for hours.
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# A compressed document is as large as whoever packed it likes, long before it can be measured.
_PLAIN: Final = {"Accept-Encoding": "identity"}
_FRESH_S: Final = 600.0  # keys are looked up again after so long
_PAUSE_S: Final = 10.0  # for a kid nobody knows, or while it does not answer, no more often
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_LOOPBACK_NETWORKS: Final = networks_of("127.0.0.0/8 ::1/128")

type Jwk = dict[str, object]


class Published(msgspec.Struct, frozen=True):
    """What is used of the discovery document."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    device_authorization_endpoint: str = ""

    def endpoints(self) -> list[str]:
        """Where people and their programs are sent."""
        every = (self.authorization_endpoint, self.token_endpoint)
        return [one for one in (*every, self.device_authorization_endpoint) if one]


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[Jwk]


class Provider:
    """One issuer's keys, kept for ten minutes, looked up again for a kid that is not among them.

    Owned by one event loop; concurrent askers wait for one fetch. What was fetched last stays in
    use while the issuer does not answer.
    """

    def __init__(
        self, url: str, *, loopback: bool, ca: Path | None = None, lookups: Lookups | None = None
    ) -> None:
        self._url = url
        self._lookups = lookups or Lookups()
        self._loopback = loopback
        self._ca = ca
        self._busy = asyncio.Lock()
        self._published: Published | None = None
        self._keys: dict[str, Jwk] = {}
        self._fetched = self._tried = self._failed = -_FRESH_S
        self._why = ("", "")  # it failed last

    async def published(self) -> Published:
        """Raises: DomainError issuer.unreachable, issuer.invalid."""
        if self._published is None:
            await self._refresh()
        assert self._published is not None
        return self._published

    async def key(self, kid: str | None) -> Jwk:
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

    def _key(self, kid: str | None) -> Jwk | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        asked = time.monotonic()
        async with self._busy:
            if self._fetched > asked:  # by somebody else, while this one waited
                return
            if time.monotonic() - self._failed < _PAUSE_S:
                raise DomainError(*self._why)
            self._tried = time.monotonic()
            try:
                async with asyncio.timeout(_WHOLE_S):
                    self._published, self._keys = await self._asked()
            except TimeoutError as error:
                why = _away(self._url, f"no whole answer within {_WHOLE_S:g} s")
                raise self._refused(why) from error
            except DomainError as error:
                self._refused(error)
                raise
            self._fetched, self._failed = time.monotonic(), -_PAUSE_S

    def _refused(self, error: DomainError) -> DomainError:
        self._failed = time.monotonic()
        self._why = (error.code, error.detail)
        return error

    async def _asked(self) -> tuple[Published, dict[str, Jwk]]:
        require_reachable(self._url, loopback=self._loopback)
        heard = Listened(_believing(self._ca), 2 * _MOST_BYTES, self._lookups, self._url)
        async with httpx.AsyncClient(
            timeout=_TIMEOUT_S, trust_env=False, transport=heard
        ) as client:
            base = self._url.rstrip("/")
            body = await self._fetched_from(client, f"{base}/.well-known/openid-configuration")
            published = _decoded(body, Published)
            if published.issuer != self._url:
                raise DomainError("issuer.invalid", "its document names another issuer")
            for url in published.endpoints():
                require_reachable(url, loopback=self._loopback)
            return published, _keys_of(await self._fetched_from(client, published.jwks_uri))

    async def _request(self, client: httpx.AsyncClient, url: str) -> httpx.Request:
        """The issuer's own host is as whoever trusted it named it; another one is looked at."""
        require_reachable(url, loopback=self._loopback)
        named = httpx.URL(url)
        if named.host == httpx.URL(self._url).host:
            return client.build_request("GET", named, headers=_PLAIN)
        try:
            inside = _LOOPBACK_NETWORKS if self._loopback else ()
            to = await checked(url, self._lookups, self._url, inside)
        except DomainError as error:
            raise DomainError("issuer.invalid", f"{url}: {error.detail}") from error
        return client.build_request(
            "GET",
            named.copy_with(host=to.address),
            headers={**_PLAIN, "Host": named.netloc.decode("ascii")},
            extensions={"sni_hostname": to.host},
        )

    async def _fetched_from(self, client: httpx.AsyncClient, url: str) -> bytes:
        request = await self._request(client, url)
        try:
            answer = await client.send(request, stream=True)
            async with contextlib.aclosing(answer):
                if answer.status_code != httpx.codes.OK:
                    raise DomainError(
                        "issuer.unreachable", f"it answered {answer.status_code} for {url}"
                    )
                if answer.headers.get("content-encoding", "identity") != "identity":
                    raise DomainError("issuer.invalid", "its document is compressed")
                body = b""
                async for piece in answer.aiter_raw():
                    body += piece
                    if len(body) > _MOST_BYTES:
                        raise DomainError("issuer.invalid", "its document is larger than 256 KiB")
                return body
        except httpx.HTTPError as error:
            raise _away(url, type(error).__name__) from error


def _away(url: str, why: str) -> DomainError:
    return DomainError("issuer.unreachable", f"{url}: {why}")


def require_reachable(url: str, *, loopback: bool) -> None:
    """Raises: DomainError issuer.invalid unless it is https, or on loopback where allowed."""
    try:
        parts = urlsplit(url)
        host = httpx.URL(url).host
    except (ValueError, httpx.InvalidURL) as error:
        raise DomainError("issuer.invalid", "an issuer's address is no URL") from error
    plain = parts.scheme == "http" and loopback and parts.hostname in _LOOPBACK
    if not host or parts.username or (parts.scheme != "https" and not plain):
        raise DomainError("issuer.invalid", "an issuer's addresses begin with https://")


def _decoded[T](body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DomainError(
            "issuer.invalid", "its document is not what OpenID Connect says"
        ) from error


def _keys_of(body: bytes) -> dict[str, Jwk]:
    """Those that sign; others, and what nobody can read, are left out.

    Raises: DomainError issuer.invalid.
    """
    every = _decoded(body, _KeySet).keys
    if len(every) > _MOST_KEYS:
        raise DomainError("issuer.invalid", f"it publishes more than {_MOST_KEYS} keys")
    found = {}
    for one in every:
        if one.get("use", "sig") != "sig" or one.get("kty") not in ("RSA", "EC", "OKP"):
            continue
        if not _PRIVATE.isdisjoint(one) or any(
            len(str(one.get(name, ""))) > most for name, most in _LONGEST.items()
        ):
            continue
        try:
            PyJWK(one)
        except (jwt.PyJWTError, TypeError, ValueError):
            continue
        found[str(one.get("kid", ""))] = one
    return found


def _believing(ca: Path | None) -> ssl.SSLContext:
    """The CAs of the web, and those of the file. Raises: DomainError tls.unreadable."""
    context = httpx.create_ssl_context(trust_env=False)
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise DomainError("tls.unreadable", f"{ca} holds no CA certificate: {error}") from error
    return context


class Providers:
    """One `Provider` for each issuer that was asked for. `ca`: believed besides the web's."""

    def __init__(self, *, loopback: bool, ca: Path | None = None) -> None:
        self._loopback = loopback
        self._ca = ca
        self._lookups = Lookups()
        self._known: dict[str, Provider] = {}

    def of(self, url: str) -> Provider:
        if url not in self._known:
            self._known[url] = Provider(
                url, loopback=self._loopback, ca=self._ca, lookups=self._lookups
            )
        return self._known[url]

    def require(self, url: str) -> None:
        """Raises: DomainError issuer.invalid for an address that this deployment does not ask."""
        require_reachable(url, loopback=self._loopback)
