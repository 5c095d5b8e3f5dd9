"""Organizations, departments, projects and groups under another name, over HTTP."""

from pathlib import Path
from typing import Any

import pytest

from api.erase import erase
from tests.api_stage import Stage, play
from tests.conftest import Database


@pytest.mark.slow
def test_what_is_renamed_is_called_so_from_then_on(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """By its own show, in lists and by the version of both; before it, it was called as before.
    The same name again is nothing, who decided on another one is told so, a name with letters that
    nobody sees is none; a move, a budget and a share of what was renamed work as before; an
    organization that is being closed keeps its name; both names of a project are erased together.
    """

    async def scene(stage: Stage) -> None:
        us, other = await stage.tenant(), await stage.tenant()
        org, project = us["org"], us["project"]
        ours = stage.token("admin", org)
        group = await stage.post("/v1/groups", {"organization": org, "name": "G"})
        things = {
            "organization": org, "department": us["department"], "project": project,
            "group": group.json()["id"],
        }  # fmt: skip

        async def rename(kind: str, name: str, **more: Any) -> Any:
            body = {"name": name} | ({"organization": org} if kind == "group" else {})
            path = f"/v1/{kind}s/{things[kind]}/rename"
            answer = await stage.post(path, body, **{"token": ours, **more})
            return answer.status_code, answer.json(), answer.headers.get("etag")

        async def called(kind: str, asked: str = "") -> tuple[Any, Any, Any]:
            shown = await stage.get(f"/v1/{kind}s/{things[kind]}{asked}", token=ours)
            listed = await stage.get(f"/v1/{kind}s{asked}", token=ours)
            [one] = [one for one in listed.json()["items"] if one["id"] == things[kind]]
            assert one == shown.json(), (kind, asked)
            assert shown.headers["etag"] == f'"{one["version"]}"'
            return one["name"], one["version"], shown.headers["etag"]

        for kind in things:
            await stage.views()
            name, version, etag = await called(kind)
            before = await stage.size() - 1
            assert (await rename(kind, "a\u200bb"))[1]["code"] == "request.text"
            assert (await rename(kind, "x", token=stage.token("member", org)))[0] == 403
            assert (await rename(kind, "x", token=stage.token("admin", other["org"])))[0] == 404
            status, said, tag = await rename(kind, "Neu", If_Match=etag)
            assert (status, said["name"], said["version"]) == (200, "Neu", version + 1), said
            assert tag == f'"{version + 1}"'
            assert said["renamed_at"]
            assert (await rename(kind, "x", If_Match=etag))[1]["code"] == "if_match.stale"
            size = await stage.size()
            status, said, _ = await rename(kind, "Neu")
            assert (status, said["name"], said["renamed_at"]) == (200, "Neu", None)
            assert await stage.size() == size
            await stage.views()
            assert await called(kind) == ("Neu", version + 1, f'"{version + 1}"')
            assert await called(kind, f"?as_of={before}") == (name, version, etag)

        await _goes_on(stage, us, ours)
        await stage.post(f"/v1/organizations/{org}/suspend", {"reason": "unpaid"})
        status, said, _ = await rename("organization", "Neuer")
        assert (status, said["name"]) == (200, "Neuer")
        await stage.post(f"/v1/organizations/{org}/close", {"reason": "left"})
        refused = await rename("organization", "x", token=stage.operator)
        assert refused[1]["code"] == "organization.closing"
        assert erase(stage.services.settings.owner_database_url, project) == 2
        shown = await stage.get(f"/v1/projects/{project}")
        assert (shown.json()["name"], shown.json()["version"]) == (None, 3)

    play(database, nats_url, tmp_path, scene)


async def _goes_on(stage: Stage, us: dict[str, str], ours: str) -> None:
    """What rests on where a project is does not mind that its last fact is a name."""
    project, new = us["project"], {"organization": us["org"], "name": "E"}
    budget = {
        "scope": project,
        "amount": {"amount": "5.000000000000", "currency": "USD"},
        "mode": "soft",
    }
    set_one = await stage.post("/v1/budgets", budget, token=ours)
    assert set_one.json()["account"] == us["account"], set_one.text
    part = (await stage.post("/v1/departments", new, token=ours)).json()["id"]
    moved = await stage.post(
        f"/v1/projects/{project}/move", {"department": part}, token=ours, If_Match='"2"'
    )
    assert (moved.status_code, moved.json()["version"]) == (200, 3), moved.text
    shown = await stage.get(f"/v1/projects/{project}", token=ours)
    assert (shown.json()["name"], shown.json()["department"]) == ("Neu", part)
    for scope in (us["org"], part, project):
        share = {"scope": scope, "model": "T4", "guaranteed_milli": 1000, "lendable_milli": 0}
        shared = await stage.post("/v1/quotas/shares", share | {"limit_milli": 1000})
        assert shared.status_code == 201, shared.text
