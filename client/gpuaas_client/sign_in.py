"""Signing in at an organization's issuer of identities: in a browser, or on another device.

Both end with an identity token, which `POST /v1/sessions` takes once. Source: RFC 8252 and 7636
(the browser comes back to a port of loopback, with PKCE), RFC 8628 (a code is typed elsewhere).
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from msgspec import Struct

from gpuaas_client.errors import NotSignedIn
from gpuaas_client.models import SignIn

_PATIENCE_S: Final = 300.0
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
    verifier, state, nonce = (secrets.token_urlsafe(32) for _ in range(3))
    challenge = hashlib.sha256(verifier.encode()).digest()
    with _Back() as back:
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
    with _client(at.token_endpoint) as client:
        form = {
            "client_id": at.client_id, "scope": _SCOPE, **_stronger(at, mfa=mfa, again=again),
        }  # fmt: skip
        status, said = _posted(client, at.device_authorization_endpoint, form)
        if status != httpx.codes.OK:
            raise NotSignedIn(said.get("error", str(status)), said.get("error_description", ""))
        show(said.get("verification_uri_complete", said["verification_uri"]), said["user_code"])
        wait_s = float(said.get("interval", 5))
        ends = time.monotonic() + float(said.get("expires_in", _PATIENCE_S))
        form = {
            "grant_type": _DEVICE,
            "device_code": said["device_code"],
            "client_id": at.client_id,
        }
        while time.monotonic() < ends:
            time.sleep(wait_s)
            status, said = _posted(client, at.token_endpoint, form)
            match said.get("error"):
                case "authorization_pending":
                    continue
                case "slow_down":
                    wait_s += 5
                case _:
                    return Vouched(_id_token(status, said), "")
    raise NotSignedIn("expired_token", "nobody typed the code in time")


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
    return httpx.Client(timeout=30, trust_env=url.startswith("https://"))


def _posted(client: httpx.Client, url: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
    try:
        answer = client.post(url, data=form)
        said = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise NotSignedIn("unreachable", f"{url}: {type(error).__name__}") from error
    if not isinstance(said, dict):
        raise NotSignedIn("unreachable", f"{url} does not answer as OAuth says")
    return answer.status_code, said


def _id_token(status: int, said: dict[str, Any]) -> str:
    if status != httpx.codes.OK or not isinstance(said.get("id_token"), str):
        raise NotSignedIn(str(said.get("error", status)), str(said.get("error_description", "")))
    return str(said["id_token"])


class _Back(HTTPServer):
    """Where the browser comes back to, on a free port of loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.timeout = 1
        self.said: list[dict[str, str]] = []

    def wait(self, state: str) -> dict[str, str]:
        """What came with our state; anything else that calls is nobody's answer."""
        ends = time.monotonic() + _PATIENCE_S
        while time.monotonic() < ends:
            self.handle_request()
            while self.said:
                found = self.said.pop()
                if secrets.compare_digest(found.get("state", ""), state):
                    return found
        raise NotSignedIn("expired_token", "nobody came back from the browser")


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Back)
        every = parse_qs(urlsplit(self.path).query)
        self.server.said.append({name: values[0] for name, values in every.items()})
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(_PAGE)))
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, *_: object) -> None:
        """Silent."""
