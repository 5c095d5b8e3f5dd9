"""What a hostile caller puts into the fields of the document's routes: text is text, ids are ids."""

import asyncio
import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple
from urllib.parse import quote

import httpx
import pytest

from tests import stored
from tests.attacked import Attacked
from tests.raw_http import head
from tests.routes import ROUTES, Named, body_schema, missing, places, put

pytestmark = pytest.mark.slow

_KINDS: Final = (
    *("organization", "department", "account", "project", "node", "runtime", "network", "group"),
    *("service", "binding", "guardrail", "invitation", "token", "access", "invoice", "period"),
    *("volume", "webhook", "source", "incident", "reservation", "seller", "suspense", "issuer"),
)  # fmt: skip
NOBODY: Final = Named({kind: missing(kind) for kind in _KINDS} | {"user": "user-nobody"})
PART: Final = re.compile(r"\{(\w+)\}")


class Asked(NamedTuple):
    """A request generated from the document, of things that nobody has."""

    method: str
    path: str
    content: bytes | None = None


def everywhere(values: tuple[str, ...]) -> Iterator[Asked]:
    """Each value in each parameter of each path and query, and in each text of each body."""
    for path, method, operation in ROUTES:
        schema = body_schema(operation) if method == "post" else None
        body = None if schema is None else NOBODY.body(schema)
        plain = NOBODY.path(path, {})
        named = [(one["in"], one["name"]) for one in operation.get("parameters", ())]
        for value in values:
            quoted = quote(value, safe="")
            sent = None if body is None else json.dumps(body).encode()
            for where, name in named:
                if where == "path":
                    own = {part: NOBODY.id(part) or "x" for part in PART.findall(path)}
                    yield Asked(method, path.format(**own | {name: quoted}), sent)
                elif where == "query":
                    follow = "&follow=false" if path == "/v1/events" else ""
                    yield Asked(method, f"{plain}?{name}={quoted}{follow}", sent)
            for at in [] if schema is None else places(schema, "string"):
                yield Asked(method, plain, json.dumps(put(body, at, value)).encode())


def all_asked(
    attacked: Attacked, every: Iterator[Asked], look: Callable[[Asked, httpx.Response], None]
) -> int:
    """How many were asked, eight at a time."""

    async def run() -> int:
        async with httpx.AsyncClient(base_url=attacked.api.url, timeout=30) as client:

            async def some() -> int:
                number = 0
                for one in every:
                    headers = {"Authorization": f"Bearer {attacked.token}",
                               "Idempotency-Key": uuid.uuid4().hex}  # fmt: skip
                    if one.content is not None:
                        headers["Content-Type"] = "application/json"
                    answer = await client.request(
                        one.method.upper(), one.path, content=one.content, headers=headers
                    )
                    look(one, answer)
                    number += 1
                return number

            return sum(await asyncio.gather(*(some() for _ in range(8))))

    return asyncio.run(run())


def test_whole_numbers_beyond_every_column_are_refused(untouched: Attacked) -> None:
    """Each number of each body of the document, of 20 and of 4,000 digits, both signs."""

    def numbers() -> Iterator[Asked]:
        for path, method, operation in ROUTES:
            schema = body_schema(operation)
            if method == "get" or schema is None:
                continue
            for at in places(schema, "integer"):
                body = json.dumps(put(NOBODY.body(schema), at, "MANY"))
                for number in ("9" * 20, "-" + "9" * 20, "9" * 4_000, "-" + "9" * 4_000):
                    content = body.replace('"MANY"', number).encode()
                    yield Asked(method, NOBODY.path(path, {}), content)

    def look(one: Asked, answer: httpx.Response) -> None:
        assert 400 <= answer.status_code < 500, (one, answer.text)

    assert all_asked(untouched, numbers(), look) > 150


# What an operator makes of nothing but words.
NAMES: Final = frozenset(("/v1/organizations", "/v1/nodes", "/v1/incidents", "/v1/suspense"))
SQL: Final = (
    "x'); DROP TABLE log.entry CASCADE; --",
    "x' UNION SELECT rolpassword FROM pg_authid --",
    "x'||(SELECT pg_sleep(60))||'",
    "\\'; SELECT pg_sleep(60); --",
    "%(stream)s %s {0} %d",
)


def test_sql_in_any_text_is_text(attacked: Attacked) -> None:
    """In each parameter and each field of the document: never a failure of the server, nothing
    waits, no table is less or other than it was, and what is taken for a name is kept as one.
    """
    before, tables = attacked.counts(), set(stored.counts(attacked.database))
    kept: list[str] = []

    def look(one: Asked, answer: httpx.Response) -> None:
        assert answer.status_code < 500, (one, answer.text)
        assert answer.elapsed.total_seconds() < 25, one
        assert "rolpassword" not in answer.text or "rolpassword" in str(one)
        if one.method == "post" and answer.status_code in (200, 201):
            kept.append(one.path)

    assert all_asked(attacked, everywhere(SQL), look) > 2_000
    after = attacked.counts()
    assert set(stored.counts(attacked.database)) == tables
    assert all(after[name] >= rows for name, rows in before.items())
    assert set(kept) <= NAMES, "these take any text of somebody's who may"
    texts = stored.text(attacked.database)
    for value in SQL:
        assert any(value in text for text in texts.values()), value
    attacked.lives()


TRAVERSALS: Final = (
    "../../../../etc/passwd",
    "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "....//....//etc/passwd",
    "..\\..\\..\\etc\\passwd",
    "ssh-user-ca",
    "../ssh-user-ca",
    "%252e%252e%252fssh-user-ca",
)


def test_no_path_leads_to_a_file(untouched: Attacked) -> None:
    """In each parameter of each route, quoted once and as it is, files of the server among them:
    what is asked for is an id, and nobody has it.
    """

    def paths() -> Iterator[Asked]:
        for path, method, operation in ROUTES:
            for one in operation.get("parameters", ()):
                for value in TRAVERSALS if one["in"] == "path" else ():
                    own = {part: NOBODY.id(part) or "x" for part in PART.findall(path)}
                    for raw in (quote(value, safe=""), value):
                        yield Asked(method, path.format(**own | {one["name"]: raw}))

    secret = (untouched.api.settings.data / "ssh-user-ca").read_text().split("\n")[1]

    def look(one: Asked, answer: httpx.Response) -> None:
        assert 400 <= answer.status_code < 500, (one, answer.text)
        assert "root:" not in answer.text
        assert secret not in answer.text

    assert all_asked(untouched, paths(), look) > 600
    for raw in ("/v1/../../../etc/passwd", "//etc/passwd", "/v1/..%2f..%2fetc/passwd", "/%2e%2e/x",
                "/v1/terminals/x/recording/../../../../etc/passwd", "/v1/./organizations"):  # fmt: skip
        answer = untouched.ask(head(f"GET {raw} HTTP/1.1"))
        assert answer.status == 404, (raw, answer)


def test_a_terminals_socket_takes_no_rubbish(untouched: Attacked) -> None:
    """A WebSocket without a ticket, with SQL or a path for one, of another origin, of another
    version, with a body: refused before it is one.
    """
    name = NOBODY.known["access"]
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
               "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")  # fmt: skip
    tickets = ("", *SQL, *TRAVERSALS, "a" * 5_000, "\u0663", "%00")
    for ticket in tickets:
        line = f"GET /v1/terminals/{name}?ticket={quote(ticket, safe='')} HTTP/1.1"
        assert untouched.ask(head(line, *upgrade)).status == 403, ticket
    line = f"GET /v1/terminals/{name}?ticket=x HTTP/1.1"
    for more in ("Origin: https://evil.example", "Origin: null"):
        assert untouched.ask(head(line, *upgrade, more)).status == 403
    for start in ("-1", "9" * 40, "x", "0x1"):
        first = f"GET /v1/terminals/{name}?ticket=x&from={start} HTTP/1.1"
        assert untouched.ask(head(first, *upgrade)).status == 403
    for path in ("../../etc/passwd", "x'%20OR%201=1", "a" * 3_000):
        first = f"GET /v1/terminals/{path}?ticket=x HTTP/1.1"
        assert untouched.ask(head(first, *upgrade)).status in (400, 403, 404)
    wrong = (*upgrade[:2], "Sec-WebSocket-Version: 99", upgrade[3])
    assert 400 <= untouched.ask(head(line, *wrong)).status < 500
