import base64
import hashlib
from typing import Any

import h11
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from api.authorization import sessions
from api.gateway.web import heads
from api.gateway.web.ours import is_ours
from api.tokens import AUDIENCE, ISSUER
from contracts import apps
from domain import api_key
from domain.errors import DomainError

ORIGIN = "http://80-r.apps.localhost"
RUNTIME = "runtime-01900000-0000-7000-8000-000000000001"


def request(raw: str) -> h11.Request:
    conn = h11.Connection(h11.SERVER)
    conn.receive_data(raw.replace("\n", "\r\n").encode())
    found = conn.next_event()
    assert isinstance(found, h11.Request)
    return found


def test_what_an_app_is_given() -> None:
    """No secret of the platform, no hop's field, nobody else's word about the client."""
    asked = request(
        "GET /a?b HTTP/1.1\nHost: h\nAuthorization: Bearer t\nCookie: a=1; gpuaas-app=s; b=2\n"
        "Cookie: gpuaas-app=s\nConnection: close, X-Secret\nX-Secret: 1\nX-Forwarded-For: 9.9.9.9\n"
        "X_Forwarded_For: 9.9.9.9\nForwarded: for=9.9.9.9\nUpgrade: h2c\nTE: trailers\n"
        "Proxy-Authorization: x\nAccept: */*\n\n"
    )
    assert heads.forwarded(asked, "gpuaas-app", "10.0.0.1", "https", authorized=False) == [
        (b"host", b"h"),
        (b"cookie", b"a=1; b=2"),
        (b"accept", b"*/*"),
        (b"x-forwarded-for", b"10.0.0.1"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"h"),
        (b"connection", b"close"),
    ]


def test_an_apps_own_authorization_passes_once() -> None:
    """As it was sent; two of them, or one named by Connection, are nobody's."""
    own = "Authorization: Basic YTpi\n"
    for more, passed in (("", True), (own, False), ("Connection: authorization\n", False)):
        asked = request(f"GET / HTTP/1.1\nHost: h\n{own}{more}\n")
        fields = heads.forwarded(asked, "gpuaas-app", "10.0.0.1", "https", authorized=True)
        assert heads.values(fields, b"authorization") == ([b"Basic YTpi"] if passed else [])


PASS = "A" * 43
KEY, SESSION = api_key.PREFIX + "A" * 49, sessions.PREFIX + "A" * 49
KNOWN = {hashlib.sha256(PASS.encode()).hexdigest()}


def api_token(**claims: Any) -> str:
    return jwt.encode({"sub": "user-a", **claims}, Ed25519PrivateKey.generate(), algorithm="EdDSA")


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {PASS}",
        f"bearer  {PASS}",
        PASS,
        f'Token token="{PASS}"',
        f"Token token={PASS}",
        basic(f"{PASS}:"),
        basic(f"user:{PASS}"),
        f"Bearer {apps.TOKEN_PREFIX}of-an-earlier-log",
        basic(f"x:{apps.TOKEN_PREFIX}y"),
        f"Bearer {api_token(iss=ISSUER)}",
        f"Bearer {api_token(aud=AUDIENCE)}",
        f"Bearer {api_token(aud=['else', AUDIENCE], iss='else')}",
        f"Bearer {api_token(aud=AUDIENCE).replace('.', '%2E')}",
        basic(f"x:{api_token(iss=ISSUER)}"),
        f"Bearer {KEY}",
        f"bearer {SESSION}",
        f"Bearer {KEY.replace('_', '%5F')}",
        basic(f"x:{KEY}"),
        basic(f"{SESSION}:"),
        "Bearer " + "a " * 65,
        basic("a:" * 65),
    ],
)
def test_a_secret_of_the_platform_is_known_wherever_it_stands(value: str) -> None:
    """Whatever the scheme; signature and time are not asked; what is too much counts as ours."""
    assert is_ours(value.encode(), KNOWN)


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {'B' * 43}",
        f"Bearer {api_token(iss='mine', aud='mine')}",
        "Bearer a.b.c",
        "Bearer gpuaas",
        basic("user:my_gpuaas_password"),
        "Bearer a.W10.c",
        basic("user:password"),
        'Digest username="u", realm="r", nonce="n", uri="/", response="0"',
        "Bearer \u00ff",
        "",
    ],
)
def test_an_apps_own_word_is_none_of_ours(value: str) -> None:
    """Opaque tokens, JWTs of others, Basic, Digest, noise."""
    assert not is_ours(value.encode(), KNOWN)


@given(st.binary(max_size=300))
def test_any_bytes_are_one_or_the_other(value: bytes) -> None:
    """Nothing that a client sends makes it fail."""
    is_ours(value, KNOWN)


def test_what_a_client_is_given() -> None:
    """An app sets cookies for its own origin only, none in the gateway's name, and two framings
    become one.
    """
    said = [
        (b"set-cookie", b"a=1; Path=/; Domain=apps.localhost; HttpOnly"),
        (b"set-cookie", b"gpuaas-app=stolen; Path=/"),
        (b"connection", b"x-hop"),
        (b"x-hop", b"1"),
        (b"alt-svc", b"h3=:1"),
        (b"content-length", b"3"),
        (b"transfer-encoding", b"chunked"),
        (b"content-type", b"text/plain"),
    ]
    assert heads.answered(said, "gpuaas-app") == [
        (b"set-cookie", b"a=1; Path=/; HttpOnly"),
        (b"content-type", b"text/plain"),
    ]


@pytest.mark.parametrize(
    "raw",
    [
        "POST / HTTP/1.1\nHost: h\nContent-Length: 3\nTransfer-Encoding: chunked\n\n",
        "POST / HTTP/1.0\nHost: h\nTransfer-Encoding: chunked\n\n",
        "GET http://elsewhere/ HTTP/1.1\nHost: h\n\n",
        "CONNECT h:22 HTTP/1.1\nHost: h\n\n",
        "TRACE / HTTP/1.1\nHost: h\n\n",
        "OPTIONS * HTTP/1.1\nHost: h\n\n",
        "GET / HTTP/1.0\n\n",
        (
            "GET / HTTP/1.1\nHost: h\nUpgrade: websocket\nConnection: upgrade\nSec-WebSocket-Key: k\n"
            "Content-Length: 3\n\n"
        ),
    ],
)
def test_what_may_be_read_in_two_ways_is_refused(raw: str) -> None:
    """A head that passes is one that every reader reads alike."""
    with pytest.raises(DomainError) as refused:
        heads.check(request(raw))
    assert refused.value.code == "app.malformed"


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ("", True),
        (f"Origin: {ORIGIN}\n", True),
        ("Origin: http://81-r.apps.localhost\n", False),
        ("Origin: null\n", False),
        (f"Origin: {ORIGIN}\nOrigin: http://evil\n", False),
        ("Sec-Fetch-Site: same-origin\n", True),
        ("Sec-Fetch-Site: none\n", True),
        ("Sec-Fetch-Site: same-site\n", False),
        ("Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document\n", True),
        ("Sec-Fetch-Site: same-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe\n", False),
        ("Upgrade: websocket\nConnection: upgrade\nSec-WebSocket-Key: k\n", False),
    ],
)
def test_a_page_of_another_origin_does_not_ask_in_the_users_name(fields: str, passes: bool) -> None:
    """A sibling app is of the same site: only its origin tells it from the app itself."""
    asked = request(f"GET / HTTP/1.1\nHost: h\n{fields}\n")
    if passes:
        heads.check_page(asked, ORIGIN)
    else:
        with pytest.raises(DomainError) as refused:
            heads.check_page(asked, ORIGIN)
        assert refused.value.code == "app.foreign_page"


def test_an_origin_names_one_port_of_one_runtime() -> None:
    """Built and read alike; any other name is nobody's."""
    base = "https://apps.example.org:8443"
    found = apps.origin(base, RUNTIME, 8888)
    assert found == f"https://8888-{RUNTIME}.apps.example.org:8443"
    name = found.partition("://")[2]
    assert apps.named(base, name) == (RUNTIME, 8888)
    assert apps.named(base, name.upper()) == (RUNTIME, 8888)
    for wrong in ("", "apps.example.org:8443", f"0-{name[5:]}", f"x.{name}", name[:-1], f"{name}."):
        assert apps.named(base, wrong) is None, wrong
    assert apps.cookie_name(base) == "__Host-gpuaas-app"
