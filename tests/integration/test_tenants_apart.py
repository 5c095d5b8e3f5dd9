"""Two tenants, every route of the document: a foreign id and a missing one cannot be told apart."""

import json
import re
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.openapi import FILE
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow

_DOCUMENT = json.loads(FILE.read_text())
_SCHEMAS = _DOCUMENT["components"]["schemas"]
_ROUTES = [
    (path, method, operation)
    for path, item in sorted(_DOCUMENT["paths"].items())
    for method, operation in sorted(item.items())
    if operation.get("security") != []
]
_KINDS = {
    "scope": "project", "group": "group", "binding": "binding", "guardrail": "guardrail",
    "invitation": "invitation", "key": "token", "session": "access", "grant": "access",
    "credit_note": "invoice", "principal": "user",
}  # fmt: skip
# Text that some pattern of the document takes.
_WORDS = (
    "a", "USD", "US", "UTC", "1.000000000000", "2999-01-01T00:00:00Z", "10.0.0.0/8", "user-x",
    "service-x", "member", "a@b.c", "T4", "0" * 64, "sha256:" + "0" * 64, "runtime.*", "prepaid",
    "/a/b", "https://example.org/x", "2026-01", "1" * 32,
)  # fmt: skip


def _missing(kind: str) -> str:
    return f"{kind}-01890000-0000-7000-8000-{uuid.uuid4().hex[:12]}"


class Named:
    """Ids by kind: of the other tenant, or of nobody."""

    def __init__(self, known: dict[str, str]) -> None:
        self.known = known

    def id(self, name: str) -> str | None:
        name = name.removesuffix("_id")
        kind = _KINDS.get(name, name)
        return self.known.get(kind)

    def body(self, schema: dict[str, Any], name: str = "") -> Any:
        """A body that the schema takes, with these ids wherever it names one."""
        if "$ref" in schema:
            return self.body(_SCHEMAS[schema["$ref"].rsplit("/", 1)[1]], name)
        for choice in ("oneOf", "anyOf"):
            if choice in schema:
                return self.body(next(s for s in schema[choice] if s.get("type") != "null"), name)
        match schema.get("type"):
            case "object":
                fields = schema.get("properties", {})
                wanted = set(schema.get("required", [])) | {f for f in fields if self.id(f)}
                return {f: self.body(fields[f], f) for f in fields if f in wanted}
            case "array":
                return [self.body(schema["items"], name)] * max(1, schema.get("minItems", 1))
            case "integer":
                return schema.get("minimum", 1)
            case "boolean":
                return False
            case _:
                return self._text(schema, name)

    def _text(self, schema: dict[str, Any], name: str) -> str:
        if schema.get("enum"):
            return str(schema["enum"][0])
        pattern = schema.get("pattern", "")
        for word in (self.id(name), *_WORDS):
            if word is not None and re.search(pattern, word):
                return word
        return "x"


async def _sent(
    stage: Stage, route: tuple[str, str, Any], ids: Named, token: str
) -> httpx.Response:
    path, method, operation = route
    path = re.sub(r"\{(\w+)\}", lambda found: ids.id(found[1]) or "x", path)
    query = [
        f"{one['name']}={ids.id(one['name'])}"
        for one in operation.get("parameters", [])
        if one["in"] == "query" and ids.id(one["name"])
    ]
    if path == "/v1/events":
        query.append("follow=false")
    if query:
        path += "?" + "&".join(query)
    if method == "get":
        return await stage.get(path, token=token)
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    return await stage.post(path, None if schema is None else ids.body(schema), token=token)


def _said(answer: httpx.Response, ids: Named) -> str:
    """What the answer says, whatever ids were asked with."""
    text = answer.text
    for one in ids.known.values():
        text = text.replace(one, "ID")
    return f"{answer.status_code} " + re.sub(r'"correlation_id":"[0-9a-f]+"', "", text)


async def _furnished(stage: Stage, user: str) -> dict[str, str]:
    """An organization's things, one of each kind that a caller can make without a node's word."""
    tenant = await stage.tenant()
    org, project = tenant["org"], tenant["project"]
    known = {
        "organization": org,
        **{name: tenant[name] for name in ("department", "account", "project")},
    }

    async def made(kind: str, path: str, body: Any) -> None:
        answer = await stage.post(path, body)
        assert answer.status_code in (200, 201), (path, answer.text)
        known[kind] = answer.json()["id"]

    await stage.post("/v1/members", {"principal": user, "organization": org})
    known["user"] = user
    await stage.node()
    await made("runtime", "/v1/runtimes", {"project": project, "name": "r", "gpu_milli": 100})
    await made("network", "/v1/networks", {"project": project, "name": "n", "egress": []})
    await made("group", "/v1/groups", {"organization": org, "name": "g"})
    await made("service", "/v1/service-accounts", {"organization": org, "name": "s"})
    binding = {"principal": user, "role": "owner", "scope": org}
    await made("binding", "/v1/role-bindings", binding)
    await made("guardrail", "/v1/guardrails", {"actions": ["network.*"], "scope": project})
    invited = {"organization": org, "email": "a@b.c", "role": "viewer"}
    await made("invitation", "/v1/invitations", invited)
    key = await stage.post("/v1/api-keys", {"name": "k"}, token=stage.token("user", org, user))
    known["token"] = key.json()["id"]
    return known


def test_no_route_tells_a_foreign_thing_from_a_missing_one(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Asked by another organization's owner, each route answers the same for what is somebody
    else's and for what never was; and nothing that it answers names anything of theirs.
    """

    async def scene(stage: Stage) -> None:
        theirs = await _furnished(stage, "user-theirs")
        mine = await _furnished(stage, "user-mine")
        await stage.views()
        tokens = [
            stage.token("user", mine["organization"], "user-mine"),
            stage.token("admin", mine["organization"], "user-b"),
        ]
        missing = {kind: "user-nobody" if kind == "user" else _missing(kind) for kind in theirs}
        secret = list(theirs.values())
        hidden = 0
        for route in _ROUTES:
            for token in tokens:
                foreign = await _sent(stage, route, Named(theirs), token)
                nobody = await _sent(stage, route, Named(missing), token)
                where = (route[1], route[0])
                assert foreign.status_code < 500, (where, foreign.text)
                if route[0] != "/v1/events":  # it names nothing, and grows meanwhile
                    assert _said(foreign, Named(theirs)) == _said(nobody, Named(missing)), where
                bare = await _sent(stage, route, Named({}), token)
                assert not [one for one in secret if one in bare.text], where
                hidden += foreign.status_code == 404
        assert hidden > 60, "most routes get as far as the thing they name"

    play(database, nats_url, tmp_path, scene)
