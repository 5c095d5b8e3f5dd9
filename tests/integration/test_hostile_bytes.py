"""What a hostile client makes of HTTP, over real sockets: refused clearly, and nothing is kept."""

import gzip
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from contracts.http import BODY_LIMIT, DEPTH_LIMIT
from contracts.http_limits import BODY_S, HEAD_LIMIT, HEAD_S
from tests.attacked import Attacked, refused
from tests.raw_http import head

pytestmark = pytest.mark.slow

BODY: Final = b'{"name":"Acme"}'


def test_a_body_that_is_too_large_is_refused_before_it_has_come(untouched: Attacked) -> None:
    """By the length it says, and by its pieces as soon as they are too many."""
    for length in (BODY_LIMIT + 1, 10**8, 10**30):
        answer = untouched.ask(untouched.acting(f"Content-Length: {length}"))
        assert answer.status in (400, 413), answer
        assert not answer.open
        assert answer.took_s < 10
    pieces = b"".join(b"4000\r\n" + b" " * 0x4000 + b"\r\n" for _ in range(5))
    answer = untouched.ask(untouched.acting("Transfer-Encoding: chunked", body=pieces))
    refused(answer, 413, "request.too_large")
    whole = untouched.sized(b" " * (BODY_LIMIT + 1) + BODY)
    refused(untouched.ask(whole), 413, "request.too_large")


def test_a_body_that_nests_deep_is_refused(untouched: Attacked) -> None:
    """Beyond 32, of whatever it is made, closed or not."""
    for deep in (DEPTH_LIMIT + 1, 1_000, 30_000):
        for wrong in (
            b"[" * deep + b"]" * deep,
            b'{"name":' + b"[" * deep + b"]" * deep + b"}",
            b'{"a":' * (min(10000, deep)) + b"1",
        ):
            answer = untouched.ask(untouched.sized(wrong))
            refused(answer, 400, "request.too_deep")


def test_a_compressed_body_is_refused_unread(untouched: Attacked) -> None:
    """A bomb of 40 MiB in 40 KiB, and a body that only says it is encoded: 415 for both."""
    bomb = gzip.compress(b'{"name":"' + b"a" * (40 << 20) + b'"}', 9)
    assert len(bomb) < BODY_LIMIT
    for body, how in (
        (bomb, "gzip"),
        (BODY, "deflate"),
        (BODY, "br"),
        (BODY, "zstd"),
        (BODY, "gzip, gzip"),
    ):
        answer = untouched.ask(untouched.sized(body, f"Content-Encoding: {how}"))
        refused(answer, 415, "request.encoding")
    chunked = b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"
    answer = untouched.ask(untouched.acting("Transfer-Encoding: gzip, chunked", body=chunked))
    refused(answer, 415, "request.encoding")


def test_slow_clients_are_let_go_and_keep_nobody_out(untouched: Attacked) -> None:
    """A head in drops, a head that stops, a line without a word: closed after 20 s. A body that
    stops or drips: 408 after 20 s, and closed. Of five hundred such lines nobody else notices.
    """
    first = b"GET /v1/health HTTP/1.1\r\n"
    body = untouched.acting("Content-Length: 15", body=b"{")
    drops = [(2.0, b"X-Drop: a\r\n")] * 20
    spaces = [(2.0, b" ")] * 20
    slow: list[tuple[bytes, list[tuple[float, bytes]]]] = [
        (first, drops), (first, []), (b"", []), (body, []), (body, spaces),
    ]  # fmt: skip
    with ThreadPoolExecutor(len(slow)) as pool:
        asked = [pool.submit(untouched.ask, data, wait_s=60, drip=drip) for data, drip in slow]
        crowd = _crowd(untouched, first, 500)
        try:
            for _ in range(20):
                began = time.monotonic()
                untouched.lives()
                assert time.monotonic() - began < 8
                time.sleep(0.1)
        finally:
            for one in crowd:
                one.close()
        answers = [one.result() for one in asked]
    for answer in answers[:3]:
        assert (answer.status, answer.open) == (0, False), answer
        assert HEAD_S - 1 < answer.took_s < HEAD_S + 15
    for answer in answers[3:]:
        refused(answer, 408, "request.too_slow")
        assert not answer.open
        assert BODY_S - 1 < answer.took_s < BODY_S + 15


def _crowd(attacked: Attacked, data: bytes, many: int) -> list[Any]:
    lines = []
    for _ in range(many):
        line = socket.create_connection(("127.0.0.1", attacked.port))
        line.sendall(data)
        lines.append(line)
    return lines


def test_header_bombs_are_refused(untouched: Attacked) -> None:
    """One of 64 KiB, of half a MiB, a thousand of them, a long path or query: 431, 414 or 400."""
    get, health = "GET /v1/organizations HTTP/1.1", "GET /v1/health HTTP/1.1"
    for data in (
        head(get, "X-Long: " + "a" * 65_536),
        head(get, "X-Long: " + "a" * (1 << 19)),
        head(health, *(f"X-{number}: a" for number in range(1_000))),
        head(get, *(f"X-{number}: {'a' * 900}" for number in range(90))),
        head(get, f"Authorization: Bearer {'a' * 60_000}"),
        head(get, "Cookie: " + "; ".join(f"c{number}=a" for number in range(8_000))),
        head(f"GET /v1/{'a' * 2 * HEAD_LIMIT} HTTP/1.1"),
        head(f"GET /v1/organizations?cursor={'a' * 2 * HEAD_LIMIT} HTTP/1.1"),
    ):
        answer = untouched.ask(data)
        assert answer.status in (400, 414, 431), answer
        assert not answer.open
    long = f"GET /v1/organizations?cursor={'a' * 20_000} HTTP/1.1"
    answer = untouched.ask(head(long, f"Authorization: Bearer {untouched.token}"))
    refused(answer, 400, "request.text")


@pytest.mark.parametrize(
    "fields",
    [
        ("Content-Length: 5", "Content-Length: 15"),
        ("Content-Length: 15, 15",),
        ("Content-Length: +15",),
        ("Content-Length: 0x0f",),
        ("Content-Length: -1",),
        ("Content-Length : 15",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding : chunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: chunked, identity",),
        ("X: a\r\n folded", "Content-Length: 15"),
        ("X: a\0b", "Content-Length: 15"),
        ("X\x01: b", "Content-Length: 15"),
        ("X: a\nContent-Length: 0\r", "Content-Length: 15"),
    ],
)
def test_a_request_that_two_readers_read_differently_is_refused(
    untouched: Attacked, fields: tuple[str, ...]
) -> None:
    """What a proxy may have read otherwise: 400, the connection closed, the rest not looked at."""
    more = head("GET /v1/health HTTP/1.1")
    answer = untouched.ask(untouched.acting(*fields, body=BODY + more))
    assert 400 <= answer.status < 500, answer
    assert b"alive" not in answer.body
    assert not answer.open


def test_two_framings_at_once_smuggle_nothing(untouched: Attacked) -> None:
    """Length and chunks: read by the chunks, and whatever comes after them is never answered."""
    for order in (("Content-Length: 5", "Transfer-Encoding: chunked"),
                  ("Transfer-Encoding: chunked", "Content-Length: 60")):  # fmt: skip
        smuggled = b"0\r\n\r\n" + head("GET /v1/health HTTP/1.1")
        answer = untouched.ask(untouched.acting(*order, body=smuggled))
        refused(answer, 400, "request.malformed")
        assert not answer.open
    for chunk in (b"zz\r\n", b"-1\r\n", b"f" * 20 + b"\r\n", b"5;" + b"a" * 40_000):
        answer = untouched.ask(untouched.acting("Transfer-Encoding: chunked", body=chunk), wait_s=3)
        assert answer.status in (0, 400, 408, 413), answer


def test_one_host_and_one_protocol(untouched: Attacked) -> None:
    """HTTP/1.1 with one Host, or HTTP/1.0; no other version, no upgrade, no way through."""
    path = "/v1/health"
    for raw in (f"GET {path} HTTP/1.1\r\n\r\n", f"GET {path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                f"GET {path} HTTP/1.1\r\nHost:\r\n\r\n"):  # fmt: skip
        refused(untouched.ask(raw.encode()), 400, "request.malformed")
    known = untouched.ask(f"HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), wait_s=0.3)
    assert (known.status, known.body, "content-length" in known.headers) == (200, b"", True), known
    old = untouched.ask(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    assert (old.status, old.open) == (200, False)
    for odd in (f"GET {path}\r\n\r\n", f"GET {path} HTTP/2.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                f"GET {path} HTTP/1.1 x\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):  # fmt: skip
        answer = untouched.ask(odd.encode("latin-1") + b"\r\n\r\n")
        assert (answer.status in (0, 400, 505), answer.open) == (True, False), answer
    for method in ("CONNECT api:22 HTTP/1.1", f"TRACE {path} HTTP/1.1", f"PUT {path} HTTP/1.1"):
        assert untouched.ask(head(method)).status in (400, 404, 405)
    upgrade = head(f"GET {path} HTTP/1.1", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                   "HTTP2-Settings: AAMAAABkAAQAAP__")  # fmt: skip
    assert untouched.ask(upgrade).status == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"name":"\xff\xfe"}', "request.malformed"),
        (b'{"name":"\xc0\xaf"}', "request.malformed"),
        (b'{"name":"\xed\xa0\x80"}', "request.malformed"),
        (b'{"name":"a\x00b"}', "request.malformed"),
        (b'{"name":"\\u0000"}', "request.text"),
        (b'{"name":"\\u001b[2J"}', "request.text"),
        (b'{"name":"\\u007f"}', "request.text"),
        (b'{"name":"\\ud800"}', "request.malformed"),
        (b'{"name":"\\uffff"}', "request.text"),
        (b'{"name":"a","name":"b"}', "request.malformed"),
        (b'{"name":"a","n\\u0061me":"b"}', "request.malformed"),
        (b'{"name":"a","x":1}', "request.invalid"),
        (b'{"name":' + b"9" * 40_000 + b"}", "request.malformed"),
        (b'{"name":1e999}', "request.invalid"),
        (b'{"name":NaN}', "request.malformed"),
        (b'{"name":"a"}{"name":"b"}', "request.malformed"),
        (b"\xef\xbb\xbf" + BODY, "request.malformed"),
        (BODY.decode().encode("utf-16"), "request.malformed"),
        (b'{"name":["a"]}', "request.invalid"),
        (b"[" + b"1," * 30_000 + b"1]", "request.invalid"),
        (b"", "request.malformed"),
    ],
)
def test_a_body_that_is_no_plain_json_is_refused(
    untouched: Attacked, body: bytes, code: str
) -> None:
    """Bytes that are no UTF-8, control characters, names twice, numbers without end, two values."""
    refused(untouched.ask(untouched.sized(body)), 400, code)
