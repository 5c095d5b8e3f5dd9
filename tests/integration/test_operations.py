"""Long work over HTTP: begun by an act, followed by its name, over with a fact."""

import re
from pathlib import Path
from typing import Any

import pytest

from domain import node_facts, runtime
from evidence.append import Append, Write
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.integration.projections_world import attested, command

pytestmark = pytest.mark.slow


async def _told(stage: Stage, stream: str, *facts: Any) -> None:
    """As the ingest writes what a node says."""
    recorded = await stage.services.log.read_stream(stream)
    write = Write(stream, recorded[0].org, recorded[-1].version, facts)
    await stage.services.log.append(Append((write,), "node-x", command()))
    await stage.views()


async def _launched(stage: Stage, project: str) -> tuple[str, str]:
    """A runtime and where its launch is followed."""
    made = await stage.post("/v1/runtimes", {"project": project, "name": "r"})
    assert made.status_code == 201, made.text
    await stage.views()
    return made.json()["id"], made.headers["Operation-Location"]


async def _is(stage: Stage, where: str, state: str) -> Any:
    answer = await stage.get(where)
    assert (answer.status_code, answer.json()["state"]) == (200, state), answer.text
    return answer.json()


def test_a_launch_and_a_stop_are_followed_to_their_ends(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """The answer leads to the operation; its steps are the facts; a repeat leads to the same one;
    what was under way is still so as of then; it failed with a code of the registry.
    """

    async def scene(stage: Stage) -> None:
        tenant, node = await stage.tenant(), await stage.node(gpus=3)
        body = {"project": tenant["project"], "name": "r"}
        made = [await stage.post("/v1/runtimes", body, key="once") for _ in range(2)]
        where = {one.headers["Operation-Location"] for one in made}
        assert len(where) == 1
        [launch], name = where, made[0].json()["id"]
        await stage.views()
        begun = await _is(stage, launch, "running")
        assert (begun["kind"], begun["resource"]) == ("runtime.launch", name)
        assert [one["what"] for one in begun["steps"]] == ["requested", "allocated"]
        assert (begun["project"], begun["ended_at"]) == (tenant["project"], None)
        assert begun["id"] == f"operation-{begun['steps'][0]['position']}"
        then = await stage.size() - 1
        word = attested(node, "runtime.usable", name, 20)
        await _told(stage, name, runtime.Starting(1, 11), runtime.Usable(20, 20, 30, word))
        over = await _is(stage, launch, "succeeded")
        assert (over["steps"][-1]["what"], over["error"]) == ("usable", None)
        assert over["ended_at"] == "1970-01-01T00:00:00.000020Z"
        await _is(stage, f"{launch}?as_of={then}", "running")
        stopped = await stage.post(f"/v1/runtimes/{name}/stop", {"reason": "asked"})
        stop = stopped.headers["Operation-Location"]
        await stage.views()
        await _is(stage, stop, "pending")
        again = await stage.post(f"/v1/runtimes/{name}/stop", {"reason": "asked"})
        assert "Operation-Location" not in again.headers, "nothing began"
        gone, other = await _launched(stage, tenant["project"])
        failed = runtime.Failed("runtime.never_ready", 20, 20, 30, word)
        await _told(stage, gone, runtime.Starting(1, 11), failed)
        error = (await _is(stage, other, "failed"))["error"]
        assert (error["code"], error["type"]) == (
            "runtime.never_ready",
            "/v1/problems/runtime.never_ready",
        )
        page = await stage.get(error["type"])
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        await _listed(stage, tenant, name, node)

    play(database, nats_url, tmp_path, scene)


async def _listed(stage: Stage, tenant: dict[str, str], name: str, node: str) -> None:
    """Newest first, by state, resource, kind and project; another tenant's and nodes' are not."""
    admin = stage.token("admin", tenant["org"])
    foreign = stage.token("admin", (await stage.tenant())["org"])
    drained = await stage.post(f"/v1/nodes/{node}/drain", {"reason": "fan"})
    await stage.views()
    await _is(stage, drained.headers["Operation-Location"], "pending")
    await _told(stage, node, node_facts.Drained(50))
    await _is(stage, drained.headers["Operation-Location"], "succeeded")

    async def kinds(query: str, token: str) -> list[str]:
        answer = await stage.get(f"/v1/operations?{query}", token=token)
        assert answer.status_code == 200, answer.text
        return [one["kind"] + " " + one["state"] for one in answer.json()["items"]]

    every = ["runtime.launch failed", "runtime.stop pending", "runtime.launch succeeded"]
    assert await kinds("", admin) == every
    assert await kinds(f"project={tenant['project']}", admin) == every
    assert await kinds(f"resource={name}", admin) == every[1:]
    assert await kinds("kind=runtime.launch", admin) == [every[0], every[2]]
    assert await kinds("state=pending", admin) == [every[1]]
    assert await kinds("", foreign) == []
    assert "node.drain succeeded" in await kinds("", stage.operator)
    wrong = await stage.get("/v1/operations?state=done", token=admin)
    assert (wrong.status_code, wrong.json()["code"]) == (400, "request.invalid")
    page = (await stage.get("/v1/operations?limit=2", token=admin)).json()
    rest = await stage.get(f"/v1/operations?limit=2&cursor={page['next']}", token=admin)
    assert [one["state"] for one in (*page["items"], *rest.json()["items"])] == [
        one.split()[1] for one in every
    ]
    mine = page["items"][0]["id"]
    for path in (mine, "operation-0", "operation-999999", "operation-x", "runtime-1"):
        answer = await stage.get(f"/v1/operations/{path}", token=foreign)
        assert answer.status_code == 404, answer.text
        assert re.search("no such operation", answer.json()["detail"])
