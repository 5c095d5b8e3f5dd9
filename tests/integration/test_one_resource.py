"""A binding at one runtime, volume or network: that one, and nothing beside it."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from api import events
from api.auth import action_of
from api.edge import instant
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.scoped_world import Scoped
from tests.ssh_world import Key

pytestmark = pytest.mark.slow

MISSING = (404, "resource.unknown")
REFUSED = (403, "auth.forbidden")


async def code(stage: Stage, method: str, path: str, token: str, body: Any = None) -> Any:
    if method == "get":
        answer = await stage.get(path, token=token)
    else:
        answer = await stage.post(path, body, token=token)
    if answer.is_success:
        return answer.status_code
    return answer.status_code, answer.json()["code"]


def test_a_member_of_one_runtime_uses_it_and_sees_no_other(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Shown, entered, read and stopped; listed alone; what lies beside and around it does not exist;
    a viewer only reads it; volumes and networks are the same.
    """

    async def scene(stage: Stage) -> None:
        world, key = Scoped(stage), Key(tmp_path, "me")
        await world.furnish(key)
        mine, beside = world.of("runtime-")[:2]
        member = (await world.reader("m", "member", mine)).token
        viewer = (await world.reader("v", "viewer", mine)).token
        await world.runs(mine)
        await stage.views()
        ssh = {"public_key": key.public}
        for token, entering in ((member, 201), (viewer, REFUSED)):
            assert await code(stage, "get", f"/v1/runtimes/{mine}", token) == 200
            path = f"/v1/runtimes/{mine}/ssh-certificates"
            assert await code(stage, "post", path, token, ssh) == entering
            path = f"/v1/runtimes/{mine}/app-passes"
            assert await code(stage, "post", path, token, {"port": 80}) == entering
            terminal = await stage.post(f"/v1/runtimes/{mine}/terminals", token=token)
            assert terminal.status_code == (201 if token == member else 403), terminal.text
            if token == member:
                at = f"/v1/terminals/{terminal.json()['id']}"
                assert await code(stage, "post", f"{at}/tickets", token) == 201
                assert await code(stage, "get", at, viewer) == 200
                assert await code(stage, "post", f"{at}/close", viewer) == REFUSED
                assert await code(stage, "post", f"{at}/close", token) == 200
            asked = {"action": "runtime.read_logs", "scope": mine}
            told = await world.made("/v1/authorization/explain", asked, token)
            assert told["allowed"] == (token == member)
            assert await code(stage, "get", f"/v1/runtimes/{beside}", token) == MISSING
            logs = await code(stage, "get", f"/v1/runtimes/{beside}/logs", token)
            assert logs == (MISSING if token == member else REFUSED)
            project = {"project": world.projects[0], "name": "n"}
            for path, body in (
                (f"/v1/runtimes/{beside}/stop", None),
                (f"/v1/runtimes/{beside}/ssh-certificates", ssh),
                ("/v1/runtimes", project),
                ("/v1/volumes", {**project, "size_mib": 64}),
            ):
                answer = await code(stage, "post", path, token, body)
                assert answer in (MISSING, REFUSED), (path, answer)
        assert await code(stage, "post", f"/v1/runtimes/{mine}/stop", viewer) == REFUSED
        assert await code(stage, "post", f"/v1/runtimes/{mine}/stop", member) == 200
        await stage.views()
        for token in (member, viewer):
            listed = (await stage.get("/v1/runtimes", token=token)).json()["items"]
            assert [(one["id"], one["state"]) for one in listed] == [(mine, "stopping")]
            grants = (await stage.get("/v1/access-grants", token=token)).json()["items"]
            assert {one["runtime"] for one in grants} == {mine}
            for path in ("/v1/projects", "/v1/networks", "/v1/volumes", "/v1/members"):
                assert (await stage.get(path, token=token)).json()["items"] == [], path
        volume = world.of("volume-")[1]
        holder = (await world.reader("h", "member", volume)).token
        assert await code(stage, "get", f"/v1/volumes/{volume}", holder) == 200
        assert await code(stage, "get", f"/v1/volumes/{world.of('volume-')[0]}", holder) == MISSING

    play(database, nats_url, tmp_path, scene)


def test_who_gives_one_resource_and_what_takes_it(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Whoever may bind in its project; to members and viewers; with an end. A guardrail above it
    forbids, one at it too, and both are named; it is revoked within a second, the stream included;
    of another organization it does not exist; when the resource is over it harms nobody.
    """

    async def scene(stage: Stage) -> None:
        world = Scoped(stage)
        await world.furnish(Key(tmp_path, "me"))
        mine = world.of("runtime-")[0]
        local = (await world.reader("local", "admin", world.projects[0])).token
        other = (await world.reader("other", "admin", world.projects[1])).token
        await world.made("/v1/members", {"principal": "user-a", "organization": world.org})
        token = stage.token("user", world.org, "user-a")
        bound = {"principal": "user-a", "role": "viewer", "scope": mine}
        assert await code(stage, "post", "/v1/role-bindings", other, bound) == MISSING
        stranger = stage.token("admin", (await stage.tenant())["org"], "user-z")
        assert await code(stage, "post", "/v1/role-bindings", stranger, bound) == MISSING
        wide = {**bound, "role": "admin"}
        assert await code(stage, "post", "/v1/role-bindings", local, wide) == (
            400, "authority.role_scope",
        )  # fmt: skip
        ends = instant(time.time_ns() // 1000 + 3_600_000_000)
        first = await world.made("/v1/role-bindings", {**bound, "until": ends}, local)
        assert first["scope"] == mine
        assert await code(stage, "get", "/v1/events?follow=false", token) == 200
        rail = {"actions": ["runtime.read"], "scope": world.first}
        rail_id = (await world.made("/v1/guardrails", rail))["id"]
        await stage.views()
        asked = {"action": "runtime.read", "scope": mine}
        told = await world.made("/v1/authorization/explain", asked, token)
        assert (told["allowed"], told["scope"]) == (False, mine)
        named = [(one["id"], one["effect"], one["decides"]) for one in told["policies"]]
        assert named == [(first["id"], "permit", False), (rail_id, "forbid", True)]
        refused = await stage.get(f"/v1/runtimes/{mine}", token=token)
        assert refused.json()["facts"] == {
            "action": "runtime.read", "scope": mine, "policy": rail_id,
        }  # fmt: skip
        await world.made(f"/v1/guardrails/{rail_id}/lift", {"organization": world.org})
        assert await code(stage, "get", f"/v1/runtimes/{mine}", token) == 200
        await world.made(f"/v1/role-bindings/{first['id']}/revoke", {}, local)
        soon = time.time_ns() // 1000 + 3_000_000
        await world.made("/v1/role-bindings", {**bound, "until": instant(soon)}, local)
        await asyncio.sleep(max(0, soon - time.time_ns() // 1000) / 1_000_000)
        assert (await code(stage, "get", f"/v1/runtimes/{mine}", token))[0] in (403, 404), "ended"
        ever = await world.made("/v1/role-bindings", bound, local)
        assert await code(stage, "get", f"/v1/runtimes/{mine}", token) == 200
        assert await code(stage, "post", f"/v1/runtimes/{mine}/stop", local) == 200
        await stage.views()
        assert await code(stage, "get", f"/v1/runtimes/{mine}", token) == 200
        stream = await streaming(stage, token)
        began = time.monotonic()
        revoke = f"/v1/role-bindings/{ever['id']}/revoke"
        assert await code(stage, "post", revoke, local, {}) == 200
        async for _ in stream:
            pass
        assert time.monotonic() - began < 1
        assert (await code(stage, "get", f"/v1/runtimes/{mine}", token))[0] in (403, 404)
        assert await code(stage, "get", "/v1/runtimes", token) == REFUSED

    play(database, nats_url, tmp_path, scene)


async def streaming(stage: Stage, token: str) -> Any:
    principal = stage.services.tokens.principal(token)
    inside = type(principal)(
        *(principal.actor, "", principal.org),
        action=action_of(events.events),
        door=stage.services.door,
    )
    stream = events._stream(
        stage.services, inside, await stage.size(), follow=True, token=token
    )  # fmt: skip
    assert await anext(stream) == b": gpuaas events\n\n"
    return stream
