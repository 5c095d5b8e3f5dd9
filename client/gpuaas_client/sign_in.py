"""Signing in at an organization's issuer of identities: in a browser, or on another device.

Both end with an identity token, which `POST /v1/sessions` takes once. Source: RFC 8252 and 7636
(the browser comes back to a port of loopback, with PKCE), RFC 8628 (a code is typed elsewhere).
"""

import base64
import contextlib
import hashlib
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from msgspec import Struct

from gpuaas_client.errors import Misconfigured, NotSignedIn, Unreachable, decoded, no_proxy
from gpuaas_client.models import SignIn
from gpuaas_client.place import place
from gpuaas_client.reading import Reading

_PATIENCE_S: Final = 300.0
_INTERVAL_S: Final = 5.0
_LONGEST_S: Final = 3600
_ANSWER_S: Final = 30.0
_MOST_BYTES: Final = 1 << 20
_DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_SCOPE: Final = "openid"
_PAGE: Final = b"<!doctype html><title>gpuaas</title><p>You may close this window.</p>"


class Vouched(Struct, frozen=True):
    """`nonce` is what the token must have; empty where the way has none."""

    id_token: str
    nonce: str


def in_browser(
    at: SignIn, show: Callable[[str], object], *, mfa: bool = False, again: bool = False
) -> Vouched:
    """By the code flow with PKCE; `show` is given the address that the browser opens.

    Raises: NotSignedIn.
    """
    _over_tls(at.authorization_endpoint, at.token_endpoint)
    verifier, state, nonce = (secrets.token_urlsafe(32) for _ in range(3))
    challenge = hashlib.sha256(verifier.encode()).digest()
    with _back() as back:
        redirect = f"http://127.0.0.1:{back.server_port}/"
        asked = {
            "response_type": "code",
            "client_id": at.client_id,
            "redirect_uri": redirect,
            "scope": _SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **_stronger(at, mfa=mfa, again=again),
        }
        show(f"{at.authorization_endpoint}?{urlencode(asked)}")
        said = back.wait(state)
    if said.get("iss", at.url) != at.url:
        raise NotSignedIn("issuer_mismatch", "another issuer answered (RFC 9207)")
    if "code" not in said:
        raise NotSignedIn(said.get("error", "no_code"), said.get("error_description", ""))
    form = {
        "grant_type": "authorization_code",
        "code": said["code"],
        "redirect_uri": redirect,
        "client_id": at.client_id,
        "code_verifier": verifier,
    }
    with _client(at.token_endpoint) as client:
        return Vouched(_id_token(*_posted(client, at.token_endpoint, form)), nonce)


def on_device(
    at: SignIn, show: Callable[[str, str], object], *, mfa: bool = False, again: bool = False
) -> Vouched:
    """By a code that is typed in any browser; `show` is given the address and the code.

    Raises: NotSignedIn.
    """
    if not at.device_authorization_endpoint:
        raise NotSignedIn("no_device_flow", "the issuer has none: sign in with a browser")
    _over_tls(at.device_authorization_endpoint, at.token_endpoint)
    with _client(at.token_endpoint) as client:
        form = {
            "client_id": at.client_id, "scope": _SCOPE, **_stronger(at, mfa=mfa, again=again),
        }  # fmt: skip
        status, said = _posted(client, at.device_authorization_endpoint, form)
        if status != httpx.codes.OK:
            raise NotSignedIn(*_refused(status, said))
        given = _given(said)
        _over_tls(given.address)
        show(given.address, given.user_code)
        wait_s = given.interval_s
        ends = time.monotonic() + given.expires_s
        form = {
            "grant_type": _DEVICE,
            "device_code": given.device_code,
            "client_id": at.client_id,
        }
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(wait_s, left))
            status, said = _posted(client, at.token_endpoint, form)
            match said.get("error"):
                case "authorization_pending":
                    continue
                case "slow_down":
                    wait_s += 5
                case _:
                    return Vouched(_id_token(status, said), "")
    raise NotSignedIn("expired_token", "nobody typed the code in time")


class _Given(Struct, frozen=True):
    """What an issuer answered to who asked for a device's code (RFC 8628 section 3.2)."""

    address: str
    user_code: str
    device_code: str
    interval_s: float
    expires_s: float


def _given(said: dict[str, Any]) -> _Given:
    """Raises: NotSignedIn."""
    address = said.get("verification_uri_complete") or said.get("verification_uri")
    words = [address, said.get("user_code"), said.get("device_code")]
    if not all(isinstance(one, str) and one for one in words):
        raise NotSignedIn("unreachable", "the issuer does not answer as OAuth says")
    address, user_code, device_code = map(str, words)
    wait_s = _seconds(said.get("interval", _INTERVAL_S))
    within_s = _seconds(said.get("expires_in", _PATIENCE_S))
    return _Given(address, user_code, device_code, wait_s, within_s)


def _seconds(said: object) -> float:
    """Raises: NotSignedIn."""
    with contextlib.suppress(ValueError):
        found = float(said) if isinstance(said, int | float | str) else -1.0
        if 0 <= found <= _LONGEST_S:
            return found
    raise NotSignedIn("unreachable", f"the issuer names a time that is none: {said!r}")


def _over_tls(*addresses: str) -> None:
    """What is sent there, and the page that a person is shown, is read by nobody on the way; it is
    an address to open, and none that a browser would run. Raises: NotSignedIn.
    """
    for one in addresses:
        why = f"the issuer's address is not https: {one!r}"
        if not one.isprintable() or " " in one:
            raise NotSignedIn("insecure_address", why)
        try:
            place(one.partition("?")[0], "")
        except Misconfigured as error:
            raise NotSignedIn("insecure_address", why) from error


def _stronger(at: SignIn, *, mfa: bool, again: bool) -> dict[str, str]:
    """What asks the issuer to look now, whoever is signed in there, and for a second factor
    (RFC 9470).
    """
    if not mfa and not again:
        return {}
    asked = {"acr_values": " ".join(at.acr_values)} if mfa and at.acr_values else {}
    return {**asked, "max_age": "0"}


def _client(url: str) -> httpx.Client:
    """Through a proxy of the environment only where it cannot read what is sent."""
    try:
        return httpx.Client(timeout=_ANSWER_S, trust_env=url.startswith("https://"))
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise no_proxy(error) from error


def _posted(client: httpx.Client, url: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
    try:
        with client.stream("POST", url, data=form) as answer:
            reading = Reading(answer, _MOST_BYTES, _ANSWER_S, time.monotonic)
            for piece in answer.iter_bytes():
                reading.take(piece)
    except (httpx.HTTPError, httpx.InvalidURL, Unreachable) as error:
        raise NotSignedIn("unreachable", f"{url}: {type(error).__name__}") from error
    whole = reading.done()
    said = decoded(whole.body)
    if not isinstance(said, dict):
        raise NotSignedIn("unreachable", f"{url} does not answer as OAuth says")
    return whole.status, said


def _id_token(status: int, said: dict[str, Any]) -> str:
    if status != httpx.codes.OK or not isinstance(said.get("id_token"), str):
        raise NotSignedIn(*_refused(status, said))
    return str(said["id_token"])


def _refused(status: int, said: dict[str, Any]) -> tuple[str, str]:
    """OAuth's word and what it says about it."""
    return str(said.get("error", status)), str(said.get("error_description", ""))


@contextmanager
def _back() -> Iterator["_Back"]:
    server = _Back()
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Back(ThreadingHTTPServer):
    """Where the browser comes back to, on a free port of loopback. A connection that says nothing,
    as browsers keep some ready, holds up nobody.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.said: queue.Queue[dict[str, str]] = queue.Queue(maxsize=64)

    def wait(self, state: str) -> dict[str, str]:
        """What came with our state; anything else that calls is nobody's answer."""
        ends = time.monotonic() + _PATIENCE_S
        while (left := ends - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                found = self.said.get(timeout=left)
                if secrets.compare_digest(found.get("state", "").encode(), state.encode()):
                    return found
        raise NotSignedIn("expired_token", "nobody came back from the browser")

    def handle_error(self, *_: object) -> None:
        """Silent: whoever broke off is nobody's answer."""


class _Answer(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self) -> None:
        assert isinstance(self.server, _Back)
        with contextlib.suppress(queue.Full, ValueError):  # nobody's answer
            every = parse_qs(urlsplit(self.path).query, max_num_fields=64, errors="replace")
            self.server.said.put_nowait({name: values[0] for name, values in every.items()})
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(_PAGE)))
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, *_: object) -> None:
        """Silent."""
