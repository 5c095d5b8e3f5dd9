"""Two tenants, every route of the document: a foreign id and a missing one cannot be told apart."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.routes import ROUTES, Named, body_schema, is_public, missing

pytestmark = pytest.mark.slow


async def _sent(
    stage: Stage, route: tuple[str, str, Any], ids: Named, token: str
) -> httpx.Response:
    plain, method, operation = route
    path = ids.path(plain, operation)
    if plain == "/v1/events":
        path += ("&" if "?" in path else "?") + "follow=false"
    if method == "get":
        return await stage.get(path, token=token)
    schema = body_schema(operation)
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
        work = answer.headers.get("operation-location")
        if work is not None:
            known["operation"] = work.rpartition("/")[2]

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
        never = {kind: "user-nobody" if kind == "user" else missing(kind) for kind in theirs}
        secret = list(theirs.values())
        hidden = 0
        for route in (one for one in ROUTES if not is_public(one[2])):
            for token in tokens:
                foreign = await _sent(stage, route, Named(theirs), token)
                nobody = await _sent(stage, route, Named(never), token)
                where = (route[1], route[0])
                assert foreign.status_code < 500, (where, foreign.text)
                # They name nothing; one grows meanwhile, the other makes a secret.
                if route[0] not in {"/v1/events", "/v1/mfa/totp"}:
                    assert _said(foreign, Named(theirs)) == _said(nobody, Named(never)), where
                bare = await _sent(stage, route, Named({}), token)
                assert not [one for one in secret if one in bare.text], where
                hidden += foreign.status_code == 404
        assert hidden > 60, "most routes get as far as the thing they name"

    play(database, nats_url, tmp_path, scene)
