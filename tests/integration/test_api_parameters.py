"""What a path, a query or a header may not be: every route answers a 4xx, from the document."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.openapi import FILE
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow

_OPERATIONS: list[tuple[str, str, list[dict[str, Any]]]] = [
    (path, method, [one for one in operation["parameters"] if one["in"] in {"path", "query"}])
    for path, item in json.loads(FILE.read_text())["paths"].items()
    for method, operation in item.items()
]
_SECURED = {
    (path, method): operation.get("security") != []
    for path, item in json.loads(FILE.read_text())["paths"].items()
    for method, operation in item.items()
}
_CURSORS = [
    base64.urlsafe_b64encode(text.encode()).decode()
    for text in (
        "[9223372036854775808]",
        "[-9223372036854775809]",
        f"[{'9' * 1000}]",
        "[-2]",
        "[1.5]",
    )
]


async def _refused(stage: Stage, method: str, path: str, code: str) -> None:
    answer = await (stage.get(path) if method == "get" else stage.post(path, {}))
    assert 400 <= answer.status_code < 500, (path[:200], answer.text)
    assert answer.json()["code"] == code, (path[:200], answer.text)


def test_no_route_takes_control_characters_or_foreign_cursors(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A NUL in any parameter of any route, and a cursor out of range, is the caller's error; what
    only begins like an organization is none.
    """

    async def scene(stage: Stage) -> None:
        asked = 0
        for path, method, parameters in _OPERATIONS:
            plain = re.sub(r"\{[^}]*\}", "x", path)
            for one in parameters:
                name = one["name"]
                wrong = f"{plain}?{name}=%00"
                if one["in"] == "path":
                    wrong = re.sub(r"\{[^}]*\}", "x", path.replace(f"{{{name}}}", "%00"))
                await _refused(stage, method, wrong, "request.text")
                for cursor in _CURSORS if name == "cursor" else ():
                    await _refused(stage, method, f"{plain}?cursor={cursor}", "request.invalid")
                if name in ("organization", "scope") and one["in"] == "query":
                    answer = await stage.get(f"{plain}?{name}=organization-x%27%29%3B%22")
                    assert answer.status_code < 500, (path, answer.text)
                for limit in ("1e2", "%2B1", "01", "-1", "") if name == "limit" else ():
                    await _refused(stage, method, f"{plain}?limit={limit}", "request.invalid")
                asked += 1
        assert asked > 60, "the document lists what the routes take"

    play(database, nats_url, tmp_path, scene)


def test_a_query_says_what_the_document_has_and_once(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A misspelled filter of any route is told and not left out of the question; a parameter that
    comes again is refused, where it is no list. What is public takes what others' links add.
    """

    async def scene(stage: Stage) -> None:
        twice = 0
        for path, method, parameters in _OPERATIONS:
            plain = re.sub(r"\{[^}]*\}", "x", path)
            if _SECURED[path, method]:
                await _refused(stage, method, f"{plain}?organisation=x", "request.invalid")
            for one in parameters:
                listed, word = _taken(one["schema"])
                if one["in"] == "query" and not listed:
                    said = f"{one['name']}={word}"
                    await _refused(stage, method, f"{plain}?{said}&{said}", "request.invalid")
                    twice += 1
        assert twice > 300
        for again in ("model=T4&model=A10", "model=T4"):
            asked = f"/v1/placement/explain?project=project-x&{again}"
            assert (await stage.get(asked)).json()["code"] == "resource.unknown"
        assert (await stage.get("/v1/schemas?utm_source=mail")).status_code == 200

    play(database, nats_url, tmp_path, scene)


def _taken(schema: dict[str, Any]) -> tuple[bool, str]:
    """Whether it is a list, and a word that the schema takes."""
    every = schema.get("oneOf", [schema])
    listed = any(one["type"] == "array" for one in every)
    words = [one["enum"][0] for one in every if "enum" in one]
    return listed, words[0] if words else "1"


def test_what_is_not_as_documented_is_refused(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Another media type, an unknown name inside a price, another method, a loose number, a subject
    no token of which would work, a length that no body has: each its own 4xx, nothing stored.
    """

    async def scene(stage: Stage) -> None:
        sent = {"Authorization": f"Bearer {stage.operator}", "Idempotency-Key": "k"}
        size = await stage.size()

        async def post(path: str, body: bytes, **headers: str) -> httpx.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await stage.client.post(path, content=body, headers=sent | named)

        body = b'{"name":"a"}'
        for kind in ("", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application/json; charset=latin-1"):  # fmt: skip
            answer = await post("/v1/organizations", body, Content_Type=kind)
            assert (answer.status_code, answer.json()["code"]) == (415, "request.media_type")
        answer = await post("/v1/nodes/node-x/cordon", b"x", Content_Type="text/plain")
        assert answer.status_code == 415
        assert (await post("/v1/nodes/node-x/cordon", b"")).status_code == 404
        for length in ("99999999999", "70000"):
            answer = await post("/v1/organizations", body, Content_Length=length)
            assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
        price = {"amount": "1.000000000000", "currency": "USD", "more": 1}
        asked = {"model": "T4", "price": price, "effective_from": "2999-01-01T00:00:00Z"}
        answer = await stage.post("/v1/prices", asked)
        assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")
        answer = await stage.client.put("/v1/organizations")
        assert (answer.status_code, answer.json()["code"]) == (405, "request.method")
        assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))
        for position in ("+0", "%200", "00", "%D9%A0", "0.0", "0%0A"):
            answer = await stage.get(f"/v1/receipts/{position}")
            assert answer.status_code in {400, 404}, (position, answer.text)
        for name in ("a:b", "a b", "\u0663"):
            answer = await stage.post("/v1/tokens", {"subject": name, "role": "auditor"})
            assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")
        assert await stage.size() == size
        taken = await post(
            "/v1/organizations", body, Content_Type="application/json; charset=UTF-8"
        )
        assert taken.status_code == 201, taken.text
        made = await stage.post("/v1/tokens", {"subject": "a.b_c-D", "role": "auditor"})
        used = await stage.get("/v1/organizations", token=made.json()["token"])
        assert used.status_code == 200

    play(database, nats_url, tmp_path, scene)


def test_every_path_says_which_methods_it_takes(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """OPTIONS, with a token and without one, and a 405 list what the document lists, and HEAD where
    there is GET. HEAD is answered as GET is, refusals included, without a body: a stream ends.
    """
    document = json.loads(FILE.read_text())

    async def scene(stage: Stage) -> None:
        mine = {"Authorization": f"Bearer {stage.operator}"}
        for path, item in document["paths"].items():
            asked = re.sub(r"\{\w+\}", "x", path)
            wanted = {"OPTIONS", *(method.upper() for method in item)}
            wanted |= {"HEAD"} if "get" in item else set()
            for headers in ({}, mine):
                said = await stage.client.options(asked, headers=headers)
                assert said.status_code == 204, (path, said.text)
                assert set(said.headers["allow"].split(", ")) == wanted, path
            wrong = await stage.client.delete(asked)
            assert wrong.status_code == 405, path
            assert set(wrong.headers["allow"].split(", ")) >= wanted - {"OPTIONS"}, path
            for headers in ({}, mine) if "get" in item else ():
                head = await stage.client.head(asked, headers=headers)
                assert head.content == b"", path
                if asked == "/v1/events" and headers:
                    assert (head.status_code, head.headers["content-type"]) == _STREAM
                else:
                    got = await stage.client.get(asked, headers=headers)
                    assert _alike(head) == _alike(got), path
                    assert (got.status_code == 401) <= (not headers), path
            if "get" not in item:
                assert (await stage.client.head(asked, headers=mine)).status_code == 405, path

    play(database, nats_url, tmp_path, scene)


_STREAM = (200, "text/event-stream; charset=utf-8")


def _alike(answer: httpx.Response) -> tuple[int, dict[str, str]]:
    """What GET and HEAD have in common: all but what counts requests and the length of a number."""
    own = {"ratelimit", "content-length", "etag"} if answer.is_success else {"ratelimit"}
    return answer.status_code, {k: v for k, v in answer.headers.items() if k not in own}
