"""One person of two organizations: acts in the one it names, with what it has there, in no other."""

import json
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct

from api.authorization import sessions
from api.authorization.keys import hash_of, minted
from api.limiting import Limits
from api.limits import Rate
from api.openapi import FILE
from domain import issuer, session
from evidence.append import Append, Write
from evidence.ids import new_id
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow

WHO = "user-both"
MISSING = (404, "resource.unknown")


async def signed_in(
    stage: Stage, org: str, at: str = "", amr: tuple[str, ...] = (), who: str = WHO
) -> tuple[str, str]:
    """A session of that organization's issuer: its token and its id."""
    at = at or await trusting(stage, org)
    token, stream, now = minted(sessions.PREFIX), new_id("token"), time.time_ns() // 1000
    opened = session.Opened(at, who, org, hash_of(token), amr, "", now + 600_000_000, now)
    await said(stage, stream, org, opened)
    return token, stream


async def trusting(stage: Stage, org: str, client: str = "gpuaas") -> str:
    """An issuer that many trust, as that client."""
    stream = new_id("token")
    trusted = issuer.Trusted("https://many.example", client, org, ("ES256",), (), 1)
    await said(stage, stream, org, trusted)
    return stream


async def said(stage: Stage, stream: str, org: str, *facts: Struct) -> None:
    expected = len(await stage.services.log.read_stream(stream))
    append = Append((Write(stream, org, expected, facts),), WHO, f"cmd:{uuid.uuid4().hex * 2}")
    await stage.services.log.append(append)
    await stage.services.following.catch_up()


async def belongs(stage: Stage, tenant: dict[str, str], role: str, scope: str) -> None:
    for path, body in (
        ("/v1/members", {"principal": WHO, "organization": tenant["org"]}),
        ("/v1/role-bindings", {"principal": WHO, "role": role, "scope": scope}),
    ):
        assert (await stage.post(path, body)).is_success


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


def test_one_session_acts_in_each_organization_it_belongs_to(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """By the header alone, with the roles of there; the others do not exist; an API key stays where
    it is; a membership that is gone ends it within a second, a session everywhere.
    """

    async def scene(stage: Stage) -> None:
        home, away, foreign = [await stage.tenant() for _ in range(3)]
        await belongs(stage, home, "member", home["org"])
        await belongs(stage, away, "viewer", away["project"])
        token, stream = await signed_in(stage, home["org"])
        await stage.views()

        async def get(path: str, org: str = "", by: str = token) -> httpx.Response:
            more = {"Organization": org} if org else {}
            return await stage.get(path, token=by, **more)

        for tenant in (home, away):
            assert ids(await get("/v1/projects", tenant["org"])) == [tenant["project"]]
        assert ids(await get("/v1/projects")) == [home["project"]], "where the session is of"
        for org in (foreign["org"], "organization-" + str(uuid.uuid4()), "-", "x", away["project"]):
            assert code(await get("/v1/projects", org)) == MISSING, org
        assert code(await get(f"/v1/projects?organization={home['org']}", away["org"])) == MISSING
        for tenant, other in ((home, away), (away, home)):
            told = await get("/v1/events?follow=false", tenant["org"])
            assert tenant["project"] in told.text
            assert other["project"] not in told.text
        me = (await get("/v1/me", away["org"])).json()
        assert me["organization"] == away["org"]
        assert me["organizations"] == sorted((home["org"], away["org"]))
        assert [(one["role"], one["scope"]) for one in me["roles"]] == [
            ("viewer", away["project"]),
        ]
        network = {"name": "n", "egress": []}
        for tenant, status in ((home, 403), (away, 403)):
            body = {**network, "project": tenant["project"]}
            answer = await stage.post("/v1/networks", body, token=token, Organization=tenant["org"])
            assert answer.status_code == status, answer.text
        volume = {"project": away["project"], "name": "v", "size_mib": 64}
        crossed = await stage.post("/v1/volumes", volume, token=token)
        assert code(crossed) == MISSING, "another organization's project, from home"
        implied = stage.token("admin", home["org"], WHO)
        made = {**network, "project": away["project"]}
        answer = await stage.post("/v1/networks", made, token=implied, Organization=away["org"])
        assert code(answer) == (403, "auth.forbidden"), "what a token implies stays at home"
        made_key = await stage.post("/v1/api-keys", {"name": "k"}, token=token)
        key = made_key.json()["key"]
        assert (await get("/v1/projects", home["org"], key)).status_code == 200
        assert code(await get("/v1/projects", away["org"], key)) == MISSING
        await _one_key_in_each(stage, home, away)
        gone = {"organization": away["org"]}
        removed = await stage.post(f"/v1/members/{WHO}/remove", gone)
        assert removed.status_code == 200
        assert code(await get("/v1/projects", away["org"])) == MISSING
        assert (await get("/v1/projects")).status_code == 200
        ended = await stage.post(f"/v1/sessions/{stream}/end", {})
        assert ended.status_code == 200
        assert (await get("/v1/projects")).status_code == 401

    play(database, nats_url, tmp_path, scene)


async def _one_key_in_each(stage: Stage, home: dict[str, str], away: dict[str, str]) -> None:
    """The same Idempotency-Key, person, route and body: in each organization an act of its own."""
    made = []
    by = stage.token("user", home["org"], "user-admin")
    for org in (home["org"], away["org"]):
        joins = {"principal": "user-admin", "organization": org}
        assert (await stage.post("/v1/members", joins)).is_success
        bound = {"principal": "user-admin", "role": "admin", "scope": org}
        assert (await stage.post("/v1/role-bindings", bound)).is_success
        group = await stage.post("/v1/groups", {"name": "g"}, token=by, key="a", Organization=org)
        assert group.json()["organization"] == org, group.text
        made.append(group.json()["id"])
    assert made[0] != made[1]


def test_a_sign_in_speaks_where_its_own_client_is_trusted(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Of one issuer for many: who has tokens for another client of it (an application of their own)
    acts with them in the organization that trusts that client, and nowhere else, also where no
    client is; what counts as a second factor, the organization says in which somebody acts.
    """

    async def scene(stage: Stage) -> None:
        home, away, third, evil = [(await stage.tenant())["org"] for _ in range(4)]
        for org in (home, away, third):
            await belongs(stage, {"org": org}, "owner", org)
        first, other = await trusting(stage, home), await trusting(stage, evil, "evil")
        await said(stage, first, home, issuer.FactorsSet(("pwd",), (), (), 2))
        await said(stage, other, evil, issuer.FactorsSet(("pwd",), (), (), 2))
        token, _ = await signed_in(stage, home, first, ("pwd",))
        stolen, _ = await signed_in(stage, evil, other, ("pwd", "otp"))

        async def me(org: str, by: str) -> tuple[int, bool | None]:
            answer = await stage.get("/v1/me", token=by, Organization=org)
            return answer.status_code, answer.json().get("mfa")

        assert await me(evil, stolen) == (200, True)
        for org in (home, away, third):
            assert await me(org, stolen) == (404, None), "another client's"
        known = (await stage.get("/v1/me", token=stolen)).json()["organizations"]
        assert known == [evil], "nor where else that person is"
        assert await me(home, token) == (200, True)
        assert await me(away, token) == (200, False), "a word of home is nobody else's"
        strong, _ = await signed_in(stage, home, first, ("pwd", "otp"))
        assert await me(away, strong) == (200, True)
        mine = await trusting(stage, away)
        assert await me(away, strong) == (200, True)
        await said(stage, mine, away, issuer.FactorsSet(("hwk",), (), (), 2))
        assert await me(away, strong) == (200, False), "its own words, where it trusts that client"
        await trusting(stage, third, "third")
        assert await me(third, strong) == (404, None), "it trusts the issuer as another client"
        for org, refused in ((third, 403), (evil, 200)):
            offer = {"email": "a@b.example", "role": "viewer", "organization": org}
            made = (await stage.post("/v1/invitations", offer)).json()
            accept = {"organization": org, "secret": made["secret"]}
            path, by = f"/v1/invitations/{made['id']}/accept", {403: strong, 200: stolen}[refused]
            wrong = await stage.post(path, {**accept, "secret": "x"}, token=by)
            assert code(wrong) == (403, "authority.secret_wrong")
            said_so = await stage.post(path, accept, token=by)
            assert said_so.status_code == refused, said_so.text
            assert said_so.json().get("code", "") in ("", "invitation.elsewhere")
        await said(stage, mine, away, issuer.Distrusted("", 3))
        assert await me(away, strong) == (404, None)

    play(database, nats_url, tmp_path, scene)


def test_no_route_tells_a_foreign_organization_from_a_missing_one(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Named by the header, at every route of the document: the same refusal, before anything else,
    counted where the caller is at home, and of its share of requests.
    """
    document: dict[str, Any] = json.loads(FILE.read_text())

    async def scene(stage: Stage) -> None:
        home, foreign = [await stage.tenant() for _ in range(2)]
        await belongs(stage, home, "owner", home["org"])
        token, _ = await signed_in(stage, home["org"])
        missing = f"organization-{uuid.uuid4()}"
        asked = 0
        for path, item in document["paths"].items():
            for method, operation in item.items():
                if operation.get("security") == []:
                    continue
                for org in (foreign["org"], missing):
                    answer = await stage.client.request(
                        method,
                        path.replace("{", "").replace("}", ""),
                        headers={"Authorization": f"Bearer {token}", "Organization": org},
                    )
                    assert code(answer) == MISSING, (method, path, answer.text)
                    assert org not in answer.text
                    asked += 1
        assert asked > 300
        await stage.services.calls.seal()
        await stage.views()
        acts = await stage.get(f"/v1/audit?organization={home['org']}&limit=500")
        denied = [one for one in acts.json()["items"] if one["outcome"] == "denied"]
        assert sum(one["calls"] for one in denied) == asked, "where it is at home"
        app: Any = stage.client._transport.app  # type: ignore[attr-defined]
        app.state.limits = Limits(Rate(1, 3))
        head = {"Authorization": f"Bearer {token}", "Organization": missing}
        told = [await stage.client.get("/v1/projects", headers=head) for _ in range(5)]
        assert [one.status_code for one in told] == [404, 404, 404, 429, 429]
        assert all(one.headers["RateLimit-Policy"].startswith('"principal"') for one in told)

    play(database, nats_url, tmp_path, scene)
