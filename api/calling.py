"""The HTTP API as the server's own verbs call it; where it may be is the client's to say."""

import http.client
import json
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from domain.errors import DomainError
from gpuaas_client import profiles
from gpuaas_client.errors import Misconfigured

_PATIENCE_S: Final = 60


class Api(Struct, frozen=True):
    """`tls` None where the address is plain HTTP, which is only ever this machine's."""

    url: str
    token: str
    tls: ssl.SSLContext | None = None

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at `path`. Raises: as `_asked`."""
        return self._asked("GET", path, None, {})

    def post(self, path: str, body: Mapping[str, Any], key: str = "") -> dict[str, Any]:
        """The answer to an acting POST, under an idempotency key of its own or this one.

        Raises: as `_asked`.
        """
        return self._asked("POST", path, body, {"Idempotency-Key": key or secrets.token_hex(16)})

    def _asked(
        self, method: str, path: str, body: Mapping[str, Any] | None, more: Mapping[str, str]
    ) -> dict[str, Any]:
        """Raises: DomainError with the API's own code, `api.unreachable`, `api.impostor`."""
        try:
            with called(method, self.url + path, self.token, body, more, self.tls) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as refused:
            raise refusal(refused) from refused
        except (OSError, ValueError) as error:
            raise unheard(self.url, error) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Whoever is sent elsewhere is refused: the library would take the token along."""

    def redirect_request(self, *_: Any) -> None:
        """None: the answer that sends elsewhere is the answer."""


def called(
    method: str,
    url: str,
    token: str,
    body: Mapping[str, Any] | None,
    headers: Mapping[str, str],
    tls: ssl.SSLContext | None = None,
) -> http.client.HTTPResponse:
    """The answer, to be closed. Raises: as `urllib.request.urlopen`."""
    request = urllib.request.Request(  # noqa: S310 - the caller looked at the scheme
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            **headers,
        },
        method=method,
    )
    # A proxy of the environment would read the token of a plain connection.
    proxies = [urllib.request.ProxyHandler({})] if tls is None else []
    https = urllib.request.HTTPSHandler(context=tls)
    opener = urllib.request.build_opener(_NoRedirect, https, *proxies)
    found = opener.open(request, timeout=_PATIENCE_S)
    assert isinstance(found, http.client.HTTPResponse), "of http and https"
    return found


def api_of(env: Mapping[str, str]) -> Api:
    """GPUAAS_URL, GPUAAS_TOKEN and GPUAAS_CA (a PEM file; without it the system's CAs count), else
    the profile that the client's verbs go by.

    Raises: DomainError config.missing, config.malformed, tls.unreadable, profile.*.
    """
    try:
        at = profiles.found(env)
        tls = at.tls() if at.url.startswith("https:") else None
    except Misconfigured as wrong:
        said = f"{wrong.detail} ({wrong.remedy})" if wrong.remedy else wrong.detail
        raise DomainError(wrong.code, said) from wrong
    return Api(at.url, at.token, tls)


def unheard(url: str, error: Exception) -> DomainError:
    """Why nothing was heard from there: api.impostor, else api.unreachable."""
    why = getattr(error, "reason", error)
    if isinstance(why, ssl.SSLCertVerificationError):
        return DomainError("api.impostor", f"{url} does not prove who it is: {why.verify_message}")
    return DomainError("api.unreachable", f"{url} does not answer: {why}")


def refusal(refused: urllib.error.HTTPError) -> DomainError:
    try:
        said = json.load(refused)
        return DomainError(str(said["code"]), f"{said['detail']} ({said['remedy']})")
    except (ValueError, KeyError, TypeError, OSError):
        return DomainError("api.unreachable", f"no API answered there: status {refused.code}")
