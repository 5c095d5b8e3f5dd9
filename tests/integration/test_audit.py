"""Who did what to which resource, when, on whose authority."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from api import ocsf
from contracts.authorization.registry import ACTIONS
from domain.facts import TAGS
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow


async def acts(stage: Stage, query: str = "", token: str | None = None) -> list[dict[str, Any]]:
    answer = await stage.get(f"/v1/audit{query}", token=token)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def test_an_auditor_finds_each_act_with_its_authority(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """By resource, actor, kind and time, newest first, page by page; operators' acts within the
    organization are told its auditor, those elsewhere never; the policies that decided stand there.
    """

    async def scene(stage: Stage) -> None:
        mine, other = await stage.tenant(), await stage.tenant()
        org = mine["org"]
        admin = stage.token("admin", org, subject="user-admin")
        body = {"principal": "user-new", "organization": org}
        assert (await stage.post("/v1/members", body, token=admin)).status_code == 200
        body = {"principal": "user-new", "role": "viewer", "scope": mine["project"]}
        assert (await stage.post("/v1/role-bindings", body, token=admin)).status_code == 201
        await stage.views()
        auditor = stage.token("admin", org, subject="user-auditor")
        every = await acts(stage, token=auditor)
        assert {one["organization"] for one in every} == {org}
        assert [one["position"] for one in every] == sorted(
            (one["position"] for one in every), reverse=True
        )
        bound = every[0]
        assert bound["action"] == "gpuaas.access.binding_granted.v1"
        assert (bound["actor"], bound["authority"]) == ("user-admin", ["token:admin"])
        assert bound["receipt"] == f"/v1/receipts/{bound['position']}"
        assert {one["actor"] for one in every} == {"user-admin", "user-1"}
        made = await acts(stage, f"?resource={mine['project']}", auditor)
        assert [one["action"] for one in made] == [
            "gpuaas.access.binding_granted.v1",
            "gpuaas.project.created.v1",
        ]
        theirs = await acts(stage, f"?resource={other['project']}", auditor)
        assert theirs == []
        by_admin = await acts(stage, "?actor=user-admin&action=gpuaas.access", auditor)
        assert len(by_admin) == 2
        late = await acts(stage, f"?since={bound['at']}", auditor)
        early = await acts(stage, f"?until={bound['at']}", auditor)
        assert [one["position"] for one in late + early] == [one["position"] for one in every]
        before = await acts(stage, f"?as_of={bound['position'] - 1}", auditor)
        assert before == every[1:]
        paged, query = [], "?limit=2"
        while query:
            answer = (await stage.get(f"/v1/audit{query}", token=auditor)).json()
            paged += answer["items"]
            query = f"?limit=2&cursor={answer['next']}" if answer["next"] else ""
        assert paged == every
        assert len(await acts(stage)) > len(every)
        member = stage.token("member", org)
        assert (await stage.get("/v1/audit", token=member)).status_code == 403

    play(database, nats_url, tmp_path, scene)


def test_an_act_says_to_whom_and_a_denied_one_what(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Of a granted binding its principal, role and scope, of a denied act its action, scope and
    reason, as the log has them, in the list, as OCSF and as of before; a kind that is none refused.
    """

    async def scene(stage: Stage) -> None:
        mine = await stage.tenant()
        org = mine["org"]
        admin = stage.token("admin", org, subject="user-admin")
        body = {"principal": "user-new", "organization": org}
        assert (await stage.post("/v1/members", body, token=admin)).status_code == 200
        bound = {"principal": "user-new", "role": "viewer", "scope": mine["project"]}
        assert (await stage.post("/v1/role-bindings", bound, token=admin)).status_code == 201
        rail = {"scope": mine["project"], "actions": ["volume.delete"], "reason": "kept"}
        assert (await stage.post("/v1/guardrails", rail)).status_code == 201
        member = stage.token("member", org, subject="user-member")
        theirs = {"principal": "user-member", "role": "owner", "scope": org}
        assert (await stage.post("/v1/role-bindings", theirs, token=member)).status_code == 403
        await stage.views()
        denied, railed, granted, added = (await acts(stage, "?action=gpuaas.access", admin))[:4]
        assert granted["fact"].items() >= {**bound, "policies": ["token:admin"]}.items()
        assert added["fact"]["principal"] == "user-new"
        assert (
            railed["fact"].items()
            >= {"actions": ["volume.delete"], "scope": mine["project"]}.items()
        )
        assert denied["fact"].items() >= {"action": "binding.grant", "scope": org}.items()
        assert (denied["actor"], denied["outcome"]) == ("user-member", "denied")
        assert denied["reason"] == "not granted"
        assert granted["reason"] is None
        lines = (await stage.get("/v1/audit/ocsf?action=gpuaas.access&limit=4", token=admin)).text
        events = [json.loads(line) for line in lines.splitlines()]
        assert [one["unmapped"]["fact"] for one in events] == [
            one["fact"] for one in (denied, railed, granted, added)
        ]
        assert (events[0]["status_detail"], events[2]["status_detail"]) == ("not granted", "")
        then = await acts(stage, f"?as_of={granted['position']}&limit=1", admin)
        assert then == [granted]
        for path in ("/v1/audit", "/v1/audit/ocsf"):
            answer = await stage.get(f"{path}?action=binding_granted", token=admin)
            assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")
        assert await acts(stage, "?action=binding", admin) == []

    play(database, nats_url, tmp_path, scene)


def test_what_was_taken_back_says_what_it_was(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """The end of a binding or a key names whose it was, as what, and where, and is found by each of
    these ids as the beginning is, as OCSF too; not by whoever may not know of that one.
    """

    async def scene(stage: Stage) -> None:
        mine = await stage.tenant()
        org, project = mine["org"], mine["project"]
        admin = stage.token("admin", org, subject="user-admin")
        for who in ("user-new", "user-auditor"):
            body = {"principal": who, "organization": org}
            assert (await stage.post("/v1/members", body, token=admin)).status_code == 200
        auditing = {"principal": "user-auditor", "role": "auditor", "scope": org}
        assert (await stage.post("/v1/role-bindings", auditing, token=admin)).status_code == 201
        body = {"principal": "user-new", "role": "viewer", "scope": project}
        made = (await stage.post("/v1/role-bindings", body, token=admin)).json()["id"]
        new = stage.token("user", org, subject="user-new")
        key = (await stage.post("/v1/api-keys", {"name": "k"}, token=new)).json()["id"]
        for path in (f"/v1/role-bindings/{made}/revoke", f"/v1/api-keys/{key}/revoke"):
            answer = await stage.post(path, {"reason": "left"}, token=admin)
            assert answer.status_code == 200, answer.text
        await stage.views()
        found = await acts(stage, f"?resource={made}", admin)
        assert [one["action"].split(".")[2] for one in found] == [
            "binding_revoked",
            "binding_granted",
        ]
        ended, begun = found
        assert begun["resources"][:3] == [made, "user-new", project]
        assert ended["resources"][0] == made
        assert {"user-new", project, org} <= set(ended["resources"])
        assert ended["earlier"] == {
            "position": begun["position"], "action": begun["action"], "fact": begun["fact"],
        }  # fmt: skip
        assert begun["earlier"] is None
        told = await acts(stage, "?resource=user-new&action=gpuaas.access", admin)
        assert [one["position"] for one in told[:2]] == [one["position"] for one in found]
        [revoked, created] = await acts(stage, f"?resource={key}", admin)
        assert revoked["earlier"]["fact"]["principal"] == "user-new"
        assert (revoked["earlier"]["position"], revoked["resources"][0]) == (
            created["position"],
            key,
        )
        line = (await stage.get(f"/v1/audit/ocsf?resource={made}&limit=1", token=admin)).text
        event = json.loads(line)
        assert [one["uid"] for one in event["resources"]] == ended["resources"]
        assert event["resources"][0]["type"] == "binding"
        assert event["unmapped"]["earlier"]["fact"] == begun["fact"]
        at = f"resource={project}&as_of={begun['position']}"
        assert begun in await acts(stage, f"?{at}", admin)
        assert ended not in await acts(stage, f"?{at}", admin)
        rail = {"scope": project, "actions": ["audit.*"], "reason": "kept"}
        assert (await stage.post("/v1/guardrails", rail)).status_code == 201
        auditor = stage.token("user", org, subject="user-auditor")
        [seen] = await acts(stage, f"?resource={made}", auditor)
        assert (seen["position"], seen["earlier"]) == (ended["position"], None)
        assert not {"user-new", project} & set(seen["resources"])
        assert seen not in await acts(stage, "?resource=user-new", auditor)

    play(database, nats_url, tmp_path, scene)


def test_acts_as_ocsf(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Every event is one of API Activity by the published schema of OCSF 1.3, those of counted
    refusals too, and `Link` leads through all.
    """

    async def scene(stage: Stage) -> None:
        mine = await stage.tenant()
        await stage.views()
        events: list[dict[str, Any]] = []
        path = "/v1/audit/ocsf?limit=3"
        while path:
            answer = await stage.get(path)
            assert answer.headers["Content-Type"] == "application/x-ndjson"
            events += [json.loads(line) for line in answer.text.splitlines()]
            path = answer.headers.get("Link", "<>").partition(">")[0][1:]
        assert [int(one["metadata"]["uid"]) for one in events] == [
            one["position"] for one in await acts(stage, "?limit=500")
        ]
        await _counted(stage, mine)
        answer = await stage.get("/v1/audit/ocsf?limit=500")
        events += [json.loads(line) for line in answer.text.splitlines()]
        assert {one["activity_name"] for one in events} >= {"Create", "Update", "Other"}
        schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(ocsf.VERSION)).get_class_schema(
            "api_activity"
        )
        judge = Draft202012Validator(schema)
        for one in events:
            judge.validate(one)
            assert one["type_uid"] == one["class_uid"] * 100 + one["activity_id"]
            assert one["class_uid"] // 1000 == one["category_uid"]
            assert one["api"]["operation"] in {*TAGS, *ACTIONS}
            assert one["metadata"]["product"]["vendor_name"]
        created = [one for one in events if one["activity_name"] == "Create"]
        assert {one["resources"][0]["type"] for one in created} >= {"organization", "project"}

    play(database, nats_url, tmp_path, scene)


async def _counted(stage: Stage, mine: dict[str, str]) -> None:
    """A refusal that is counted, and one that is a fact."""
    thief = stage.token("member", mine["org"], subject="user-thief")
    assert (await stage.get("/v1/audit", token=thief)).status_code == 403
    body = {"principal": "user-x", "organization": mine["org"]}
    assert (await stage.post("/v1/members", body, token=thief)).status_code == 403
    await stage.services.calls.seal()
    await stage.views()
