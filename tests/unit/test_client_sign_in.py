"""A browser that comes back: with our state, from our issuer, for whoever holds the verifier."""

import base64
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from gpuaas_client import sign_in
from gpuaas_client.errors import NotSignedIn
from gpuaas_client.models import SignIn
from gpuaas_client.sign_in import in_browser, on_device
from tests.serving import Answer, serving

type Said = dict[str, str]


@contextmanager
def exchange() -> Iterator[tuple[str, list[Said]]]:
    """A token endpoint that gives anybody a token, and what it was sent."""
    sent: list[Said] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            sent.append({name: values[0] for name, values in form.items()})
            body = json.dumps({"id_token": "a.b.c"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/token", sent
        finally:
            server.shutdown()
            thread.join()


def where(token_endpoint: str, device: str = "") -> SignIn:
    return SignIn(
        issuer="token-1",
        url="https://issuer.example",
        client_id="client-1",
        token_endpoint=token_endpoint,
        authorization_endpoint="https://issuer.example/authorize",
        device_authorization_endpoint=device,
        acr_values=["aal2"],
    )


def signed_in(token_endpoint: str, *returns: Said, **how: bool) -> tuple[Said, str]:
    """What the browser was asked for, and the nonce, when it comes back with each of these; `state`
    is ours where none is named.
    """
    asked: Said = {}
    at = where(token_endpoint)

    def come_back() -> None:
        for one in returns:
            said = {"state": asked["state"], **one}
            httpx.get(f"{asked['redirect_uri']}?{urlencode(said)}", timeout=10)

    def show(address: str) -> None:
        every = parse_qs(urlsplit(address).query)
        asked.update({name: values[0] for name, values in every.items()})
        threading.Thread(target=come_back, daemon=True).start()

    return asked, in_browser(at, show, **how).nonce


def test_the_code_is_exchanged_by_whoever_asked_for_it() -> None:
    """PKCE (RFC 7636): the verifier is sent with the code, its hash was in the address; the nonce
    that the token must have was there too.
    """
    with exchange() as (url, sent):
        asked, nonce = signed_in(url, {"code": "c-1"})
    [form] = sent
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert (asked["code_challenge_method"], asked["nonce"]) == ("S256", nonce)
    assert (form["code"], form["redirect_uri"]) == ("c-1", asked["redirect_uri"])


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ({}, {}),
        ({"again": True}, {"max_age": "0"}),
        ({"mfa": True}, {"max_age": "0", "acr_values": "aal2"}),
    ],
)
def test_the_issuer_is_asked_to_look_anew(how: dict[str, bool], wanted: Said) -> None:
    """Where a recent sign-in, or a second factor, was asked for (RFC 9470); else it may know who
    one is since yesterday.
    """
    with exchange() as (url, _):
        asked, _nonce = signed_in(url, {"code": "c-1"}, **how)
    assert {name: asked[name] for name in ("max_age", "acr_values") if name in asked} == wanted


def test_what_comes_with_another_state_is_nobodys_answer() -> None:
    """A page that sends the browser to our port with a code of its own signs nobody in."""
    with exchange() as (url, sent):
        signed_in(url, {"code": "theirs", "state": "x"}, {"code": "ours"})
    assert [one["code"] for one in sent] == ["ours"]


def test_a_connection_that_says_nothing_holds_up_nobody() -> None:
    """As browsers keep some ready; nor does a page that guesses the port, whatever it sends."""
    asked: Said = {}
    opened = []

    def show(address: str) -> None:
        asked.update(
            {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        )
        back = urlsplit(asked["redirect_uri"])
        opened.append(socket.create_connection((back.hostname or "", back.port or 0)))

        def come_back() -> None:
            for query in ("state=%C3%BC", "&".join(["a=1"] * 99), f"state={asked['state']}&code=c"):
                httpx.get(f"{asked['redirect_uri']}?{query}", timeout=10)

        threading.Thread(target=come_back, daemon=True).start()

    with exchange() as (url, sent):
        in_browser(where(url), show)
        assert [one["code"] for one in sent] == ["c"]
    opened[0].close()


DEVICE: dict[str, object] = {
    "verification_uri": "https://issuer.example/device", "user_code": "A-B", "device_code": "d",
    "interval": 0, "expires_in": 60,
}  # fmt: skip


def on_code(said: object, then: Answer | None = None) -> list[str]:
    """What a person is shown where the issuer answers so to who asks for a code."""
    shown: list[str] = []
    with serving(Answer(200, said), *([then] if then else [])) as (url, _):
        at = where(f"{url}/token", device=f"{url}/device")
        on_device(at, lambda *what: shown.extend(what))
    return shown


def test_a_device_is_shown_an_address_that_is_one() -> None:
    """The issuer's page over https, or nothing: none that a browser would run, none with what a
    terminal obeys; and times that end.
    """
    done = Answer(200, {"id_token": "a.b.c"})
    assert on_code(DEVICE, done) == ["https://issuer.example/device", "A-B"]
    complete = {
        **DEVICE,
        "verification_uri_complete": "https://issuer.example/d?code=A",
        "interval": "0",
    }
    assert on_code(complete, done)[0] == "https://issuer.example/d?code=A"
    changes: tuple[dict[str, object], ...] = (
        {"verification_uri": "http://issuer.example/device"},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "https://issuer.example/\x1b[2J"},
        {"verification_uri": "https://issuer.example@evil.example/"},
        {"verification_uri": None},
        {"user_code": 3},
        {"interval": 1e9},
        {"interval": -1},
        {"expires_in": "nan"},
        {"expires_in": {}},
    )
    for change in changes:
        with pytest.raises(NotSignedIn):
            sign_in._over_tls(sign_in._given({**DEVICE, **change}).address)
    with pytest.raises(NotSignedIn):
        on_code([])


def test_a_code_and_its_verifier_go_over_tls() -> None:
    """An API that names another kind of address is not followed, and no browser is opened."""
    for address in ("http://issuer.example/token", "file:///etc/passwd"):
        with pytest.raises(NotSignedIn, match="insecure_address"):
            in_browser(where(address), pytest.fail)
        with pytest.raises(NotSignedIn, match="insecure_address"):
            on_device(
                where("https://issuer.example/t", device=address), lambda *_: pytest.fail("shown")
            )


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"code": "c-1", "iss": "https://other.example"}, "issuer_mismatch"),
        ({"error": "access_denied", "error_description": "no"}, "access_denied"),
        ({}, "no_code"),
    ],
)
def test_an_answer_that_is_none_is_refused(said: Said, code: str) -> None:
    """Another issuer's (RFC 9207), a refusal, nothing: no code is exchanged."""
    with exchange() as (url, sent), pytest.raises(NotSignedIn, match=code):
        signed_in(url, said)
    assert not sent
