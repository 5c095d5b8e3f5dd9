"""Who may do what, over HTTP: granted, bound, forbidden, explained, taken back, in every process."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api import events
from api.auth import action_of
from api.authorization.directory import Directory
from api.authorization.loading import load
from api.authorization.use import KeyUse
from api.edge import instant
from domain.access import Denied
from domain.api_key import KeyCreated
from domain.bounds import BOUNDS, Bounds
from evidence.reader import decode_entry, read_entries
from tests.api_stage import Stage, staged
from tests.conftest import Database
from tests.integration.test_sign_in import between
from tests.integration.test_two_organizations import WHO, signed_in, trusting

pytestmark = pytest.mark.slow

type Scene = Callable[[Stage, Stage], Awaitable[None]]


def both(
    database: Database, nats_url: str, data: Path, scene: Scene, bounds: Bounds = BOUNDS
) -> None:
    """Runs a scene on two API processes of one deployment."""

    async def run() -> None:
        async with (
            staged(database, nats_url, data, bounds=bounds) as first,
            staged(database, nats_url, data, elect=False, bounds=bounds) as second,
        ):
            await scene(first, second)

    asyncio.run(run())


def ok(answer: httpx.Response) -> Any:
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


class Owned:
    """An organization with an owner, `user-boss`, and its tenant's things."""

    def __init__(self, tenant: dict[str, str], boss: str) -> None:
        self.org, self.project, self.department = (
            tenant["org"], tenant["project"], tenant["department"],
        )  # fmt: skip
        self.account = tenant["account"]
        self.boss = boss


async def owned(stage: Stage) -> Owned:
    tenant = await stage.tenant()
    org = tenant["org"]
    for path, body in (
        ("/v1/members", {"principal": "user-boss", "organization": org}),
        ("/v1/role-bindings", {"principal": "user-boss", "role": "owner", "scope": org}),
    ):
        ok(await stage.post(path, body))
    return Owned(tenant, stage.token("user", org, "user-boss"))


async def member(stage: Stage, of: Owned, name: str, role: str, scope: str) -> tuple[str, str]:
    """A member with one binding: its token, and the binding's id."""
    ok(await stage.post("/v1/members", {"principal": name}, token=of.boss))
    body = {"principal": name, "role": role, "scope": scope}
    bound = ok(await stage.post("/v1/role-bindings", body, token=of.boss))
    return stage.token("user", of.org, name), bound["id"]


def test_from_an_organization_to_a_key_that_works(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """An owner invites, groups, binds and makes a key; the key does what its scopes name, in the
    project it is bound to, in another process at once; every act names the policies that let it,
    every binding who granted it, every key when it was last used.
    """

    async def scene(first: Stage, second: Stage) -> None:
        of = await owned(first)
        other = ok(
            await first.post(
                "/v1/projects",
                {"department": of.department, "account": of.account, "name": "Other"},
                token=of.boss,
            )
        )["id"]
        account = ok(await first.post("/v1/service-accounts", {"name": "ci"}, token=of.boss))["id"]
        bound = ok(
            await first.post(
                "/v1/role-bindings",
                {"principal": account, "role": "member", "scope": of.project},
                token=of.boss,
            )
        )
        assert (bound["policies"], bound["granted_by"]) == ([_owner(first, of)], "user-boss")
        body = {"name": "ci", "principal": account, "scopes": ["runtime.*"], "days": 1}
        made = await first.post("/v1/api-keys", body, token=of.boss, key="once")
        key = ok(made)["key"]
        again = ok(await first.post("/v1/api-keys", body, token=of.boss, key="once"))
        assert (again["key"], again["secret_already_shown"]) == (None, True)
        assert (again["id"], key[:7], len(key)) == (made.json()["id"], "gpuaas_", 56)
        await first.node()
        began = instant(time.time_ns() // 1000)
        launched = await second.post(
            "/v1/runtimes", {"project": of.project, "name": "r"}, token=key
        )
        runtime = ok(launched)["id"]
        await first.views()
        assert ok(await second.get(f"/v1/runtimes/{runtime}", token=key))["id"] == runtime
        refused = await second.post("/v1/runtimes", {"project": other, "name": "r"}, token=key)
        assert code(refused) == (404, "resource.unknown")
        volume = await second.post("/v1/volumes", {"project": of.project}, token=key)
        assert volume.status_code in (400, 403)
        listed = await second.get("/v1/volumes", token=key)
        assert code(listed) == (403, "auth.forbidden")
        assert listed.json()["facts"]["policy"] == "key.scopes"
        rows = ok(await second.get("/v1/api-keys", token=of.boss))["items"]
        assert [(row["prefix"], row["key"], row["name"], row["last_used_at"]) for row in rows] == [
            (key[:12], None, "ci", None)
        ]
        await _used(second)
        [row] = ok(await first.get("/v1/api-keys", token=of.boss))["items"]
        assert began < row["last_used_at"] <= instant(time.time_ns() // 1000)
        with psycopg.connect(first.services.settings.database_url) as conn:
            found = conn.execute(
                "SELECT string_agg(convert_from(entry, 'UTF8'), '') FROM log.entry"
            )
            assert key not in str(found.fetchone()), "only its hash is kept"
        for path in (f"service-accounts/{account}", f"role-bindings/{bound['id']}"):
            assert ok(await second.get(f"/v1/{path}"))["organization"] == of.org, "by its id alone"
            assert code(await second.get(f"/v1/{path[:-1]}x")) == (404, "resource.unknown")
        await controls((first, second), of, account, other)

    both(database, nats_url, tmp_path, scene)


async def _used(stage: Stage) -> None:
    """When keys were last used is written, as it is every few seconds."""
    [use] = [one for one in stage.services.parts if isinstance(one, KeyUse)]
    await use.write()


async def controls(stages: tuple[Stage, Stage], of: Owned, account: str, other: str) -> None:
    """An app's controller (ADR 78) is an account bound to its project that signs its own tokens: it
    launches, sees, reads and stops what runs there, nothing elsewhere, and nothing with its key gone.
    """
    first, second = stages
    signing = Ed25519PrivateKey.generate()
    proof = signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    body = {"name": "own", "principal": account, "public_key": proof}
    own = ok(await first.post("/v1/api-keys", body, token=of.boss))
    assert (own["key"], own["secret_already_shown"], own["public_key"]) == (None, False, proof)
    anybodys = await first.post("/v1/api-keys", {**body, "public_key": "00" * 32}, token=of.boss)
    assert anybodys.json()["errors"][0]["pointer"] == "/public_key", anybodys.text
    now = int(time.time())
    claims = {"iss": account, "sub": account, "aud": "gpuaas", "iat": now, "exp": now + 60}
    said = jwt.encode(claims, signing, "EdDSA", {"kid": own["id"]})
    assert ok(await second.get("/v1/me", token=said))["principal"] == account
    foreign = ok(await first.post("/v1/runtimes", {"project": other, "name": "r"}, token=of.boss))[
        "id"
    ]
    body = {"project": of.project, "name": "worker"}
    runtime = ok(await second.post("/v1/runtimes", body, token=said))["id"]
    await first.views()
    listed = ok(await second.get("/v1/runtimes", token=said))["items"]
    assert {one["project"] for one in listed} == {of.project}
    assert runtime in {one["id"] for one in listed}
    assert ok(await second.get(f"/v1/runtimes/{runtime}", token=said))["id"] == runtime
    ok(await second.post(f"/v1/runtimes/{runtime}/stop", {"reason": "x"}, token=said))
    for refused in (
        await second.post("/v1/runtimes", {"project": other, "name": "r"}, token=said),
        await second.get(f"/v1/runtimes/{foreign}", token=said),
        await second.post(f"/v1/runtimes/{foreign}/stop", {"reason": "x"}, token=said),
    ):
        assert code(refused) == (404, "resource.unknown")
    body = {"name": "more", "principal": account}
    assert (await second.post("/v1/api-keys", body, token=said)).status_code == 403
    ok(await first.post(f"/v1/api-keys/{own['id']}/revoke", {}, token=of.boss))
    assert code(await first.get("/v1/me", token=said)) == (401, "auth.invalid")


def _owner(stage: Stage, of: Owned) -> str:
    [one] = stage.services.directory.bindings(of.org, "user-boss")
    return one.id


def test_what_is_taken_is_over_everywhere_within_a_second(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A revoked key, a revoked binding, a removed member: refused by the other process, and its open
    stream of events ended there, within a second.
    """

    async def scene(first: Stage, second: Stage) -> None:
        of = await owned(first)
        for number, taking in enumerate(("key", "binding", "member")):
            name = f"user-{number}"
            token, binding = await member(first, of, name, "viewer", of.org)
            key = ok(await first.post("/v1/api-keys", {"name": "mine"}, token=token))
            assert (await second.get("/v1/runtimes", token=key["key"])).status_code == 200
            stream = await _streaming(second, key["key"])
            path = {
                "key": f"/v1/api-keys/{key['id']}/revoke",
                "binding": f"/v1/role-bindings/{binding}/revoke",
                "member": f"/v1/members/{name}/remove",
            }[taking]
            ok(await first.post(path, {}, token=of.boss))
            began = time.monotonic()
            while (await second.get("/v1/runtimes", token=key["key"])).status_code == 200:
                assert time.monotonic() - began < 1, taking
            async with asyncio.timeout(10):
                async for _ in stream:
                    pass
            assert time.monotonic() - began < 1, taking

    both(database, nats_url, tmp_path, scene)


async def _streaming(stage: Stage, key: str) -> Any:
    principal = stage.services.tokens.principal(key)
    with_door = type(principal)(
        *(principal.actor, "", principal.org),
        scopes=principal.scopes,
        action=action_of(events.events),
        door=stage.services.door,
    )
    stream = events._stream(
        stage.services, with_door, await stage.size(), follow=True, token=key
    )  # fmt: skip
    assert await anext(stream) == b": gpuaas events\n\n"
    return stream


def test_guardrails_bind_owners_and_explain_says_so(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """What a guardrail forbids the owner may not either, by its id; a narrower binding changes
    nothing; the platform's operator still may; lifted, it is allowed again.
    """

    async def scene(stage: Stage, _: Stage) -> None:
        of = await owned(stage)
        rail = {"actions": ["network.*"], "scope": of.department, "unless_mfa": True}
        made = ok(await stage.post("/v1/guardrails", rail, token=of.boss))
        again = ok(await stage.post("/v1/guardrails", rail, token=of.boss))
        assert again["id"] == made["id"], "the one that says it already"
        network = {"project": of.project, "name": "n", "egress": []}
        refused = await stage.post("/v1/networks", network, token=of.boss)
        assert code(refused) == (403, "auth.mfa_required")
        facts = refused.json()["facts"]
        assert facts == {
            "action": "network.create", "scope": of.project, "policy": made["id"],
            "acr_values": "aal2",
        }  # fmt: skip
        asked = {"action": "network.create", "scope": of.project}
        told = ok(await stage.post("/v1/authorization/explain", asked, token=of.boss))
        assert told["allowed"] is False
        decides = [(one["id"], one["effect"]) for one in told["policies"] if one["decides"]]
        assert decides == [(made["id"], "forbid")]
        met = ok(
            await stage.post("/v1/authorization/explain", {**asked, "mfa": True}, token=of.boss)
        )
        assert met["allowed"] is True
        assert {"admin", "owner"} == set(met["would_allow"])
        more = {"principal": "user-boss", "role": "admin", "scope": of.project}
        ok(await stage.post("/v1/role-bindings", more, token=of.boss))
        assert code(await stage.post("/v1/networks", network, token=of.boss))[0] == 403
        assert (await stage.post("/v1/networks", {**network, "name": "o"})).status_code == 201
        ok(await stage.post(f"/v1/guardrails/{made['id']}/lift", {}, token=of.boss))
        assert (await stage.post("/v1/networks", network, token=of.boss)).status_code == 201

    both(database, nats_url, tmp_path, scene)


def test_nobody_grants_what_is_not_theirs(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """An admin makes no owner and takes none; a project's admin grants in its project only; a
    stranger's scope does not exist; an owner stays; no key makes keys; who may read is not told why
    somebody else may what.
    """

    async def scene(stage: Stage, _: Stage) -> None:
        of, foreign = await owned(stage), await owned(stage)
        admin, _binding = await member(stage, of, "user-admin", "admin", of.org)
        local, _binding = await member(stage, of, "user-local", "admin", of.project)

        async def grant(role: str, scope: str, token: str) -> tuple[int, str]:
            body = {"principal": "user-local", "role": role, "scope": scope}
            answer = await stage.post("/v1/role-bindings", body, token=token)
            return answer.status_code, answer.json().get("code", "")

        assert await grant("owner", of.org, admin) == (403, "auth.forbidden")
        owner = _owner(stage, of)
        taking = await stage.post(f"/v1/role-bindings/{owner}/revoke", {}, token=admin)
        assert code(taking) == (403, "auth.forbidden")
        last = await stage.post(f"/v1/role-bindings/{owner}/revoke", {}, token=of.boss)
        assert code(last) == (409, "authority.last_owner")
        assert await grant("viewer", of.project, local) == (201, "")
        assert await grant("viewer", of.department, local) == (404, "resource.unknown")
        assert await grant("viewer", of.org, local) == (404, "resource.unknown")
        assert await grant("viewer", foreign.project, of.boss) == (404, "resource.unknown")
        assert await grant("viewer", "project-01890000-0000-7000-8000-000000000000", of.boss) == (
            404, "resource.unknown",
        )  # fmt: skip
        body = {"principal": "user-local", "role": "auditor", "scope": of.project}
        stale = await stage.post("/v1/role-bindings", body, token=of.boss, If_Match='"1"')
        assert code(stale) == (412, "if_match.stale")
        fresh = f'"{stale.json()["facts"]["version"]}"'
        ok(await stage.post("/v1/role-bindings", body, token=of.boss, If_Match=fresh))
        key = ok(await stage.post("/v1/api-keys", {"name": "mine"}, token=admin))["key"]
        assert code(await stage.post("/v1/api-keys", {"name": "x"}, token=key)) == (
            403, "api_key.by_key",
        )  # fmt: skip
        implied = await stage.post(
            "/v1/api-keys", {"name": "x"}, token=stage.token("admin", of.org, "user-implied")
        )
        assert code(implied) == (409, "api_key.no_member"), "a token's role is no membership"
        peeked = {"action": "runtime.launch", "scope": foreign.project}
        hidden = await stage.post("/v1/authorization/explain", peeked, token=of.boss)
        assert code(hidden) == (404, "resource.unknown")
        reader, _binding = await member(stage, of, "user-reader", "viewer", of.org)
        of_boss = {"action": "runtime.launch", "scope": of.org, "principal": "user-boss"}
        asked = [
            await stage.post("/v1/authorization/explain", of_boss, token=t) for t in (reader, admin)
        ]
        assert code(asked[0]) == (403, "auth.forbidden"), "what lets others is not a viewer's"
        assert [one["id"] for one in ok(asked[1])["policies"]] == [owner]
        for path in ("/v1/members", "/v1/role-bindings", "/v1/api-keys", "/v1/guardrails"):
            other = await stage.get(f"{path}?organization={foreign.org}", token=of.boss)
            assert code(other) == (404, "resource.unknown"), path

    both(database, nats_url, tmp_path, scene)


def test_an_administrative_denial_is_a_fact(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Who was refused which administrative act, where, by which policy, with which key; what is
    no such act, or somebody else's place, is none.
    """

    async def scene(stage: Stage, _: Stage) -> None:
        of, foreign = await owned(stage), await owned(stage)
        admin, _binding = await member(stage, of, "user-admin", "admin", of.org)
        key = ok(
            await stage.post("/v1/api-keys", {"name": "k", "scopes": ["runtime.*"]}, token=admin)
        )
        size = await stage.size()
        owner = {"principal": "user-admin", "role": "owner", "scope": of.org}
        body = {"principal": "user-admin", "role": "viewer", "scope": of.project}
        for token, asked, status in (
            (admin, owner, 403),
            (key["key"], body, 403),
            (of.boss, {**body, "scope": foreign.project}, 404),
        ):
            answer = await stage.post("/v1/role-bindings", asked, token=token)
            assert answer.status_code == status, answer.text
        quota = {"scope": of.project, "model": "*", "limit_milli": 1}
        assert (await stage.post("/v1/quotas", quota, token=admin)).status_code == 403
        assert (await stage.get("/v1/nodes", token=admin)).status_code == 403
        rows = await stage.services.reads.ask(read_entries, size, 100)
        told = [decode_entry(entry) for _, entry, _ in rows]
        assert [
            (one.actor, one.org, one.fact.action, one.fact.scope, one.fact.policies, one.fact.key)
            for one in told
            if isinstance(one.fact, Denied)
        ] == [
            ("user-admin", of.org, "binding.grant_owner", of.org, (), ""),
            ("user-admin", of.org, "binding.grant", of.org, ("key.scopes",), key["id"]),
        ]
        assert len(told) == 2

    both(database, nats_url, tmp_path, scene)


def test_invited_grouped_listed_as_it_was(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """An invitation is accepted once by who has its secret; groups give what they are bound to; a
    list as of a position shows what stood then; what is gone cannot be used.
    """

    async def scene(stage: Stage, _: Stage) -> None:
        of = await owned(stage)
        body = {"email": "Zoë@example.org", "role": "viewer", "scope": of.project}
        invited = ok(await stage.post("/v1/invitations", body, token=of.boss))
        assert (
            ok(await stage.get("/v1/invitations", token=of.boss))["items"][0]["email"]
            == body["email"]
        )
        zoe = stage.token("user", of.org, "user-zoe")
        assert code(await stage.get("/v1/runtimes", token=zoe)) == (403, "auth.forbidden")
        accept = {"organization": of.org, "secret": invited["secret"]}
        path = f"/v1/invitations/{invited['id']}/accept"
        wrong = await stage.post(path, {**accept, "secret": "x"}, token=zoe)
        assert code(wrong) == (403, "authority.secret_wrong")
        found = ok(await stage.post("/v1/api-keys", {"name": "found"}, token=of.boss))["key"]
        by_key = await stage.post(path, accept, token=found)
        assert code(by_key) == (403, "invitation.by_key")
        ok(await stage.post(path, accept, token=zoe))
        assert code(await stage.post(path, accept, token=zoe)) == (403, "authority.secret_wrong")
        group = ok(await stage.post("/v1/groups", {"name": "Readers"}, token=of.boss))["id"]
        bound = {"principal": group, "role": "viewer", "scope": of.org}
        ok(await stage.post("/v1/role-bindings", bound, token=of.boss))
        assert ok(await stage.get("/v1/members", token=zoe))["items"] == [], "a project's viewer"
        who = {"principal": "user-zoe"}
        ok(await stage.post(f"/v1/groups/{group}/members", who, token=of.boss))
        assert len(ok(await stage.get("/v1/members", token=zoe))["items"]) == 2
        position = await stage.size() - 1
        await stage.views()
        ok(await stage.post(f"/v1/groups/{group}/delete", {}, token=of.boss))
        assert ok(await stage.get("/v1/members", token=zoe))["items"] == []
        await stage.views()
        now = ok(await stage.get("/v1/role-bindings", token=of.boss))["items"]
        then = ok(await stage.get(f"/v1/role-bindings?as_of={position}", token=of.boss))["items"]
        assert [one["principal"] for one in now] == ["user-boss", "user-zoe"]
        assert [one["principal"] for one in then] == ["user-boss", "user-zoe", group]
        groups = ok(await stage.get(f"/v1/groups?as_of={position}", token=of.boss))["items"]
        assert [(one["name"], one["members"]) for one in groups] == [("Readers", ["user-zoe"])]
        people = ok(await stage.get("/v1/members", token=of.boss))["items"]
        assert [one["principal"] for one in people] == ["user-boss", "user-zoe"]

    both(database, nats_url, tmp_path, scene)


def test_what_another_process_made_just_now_is_where_it_is(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A process that has not heard of a new project, of a new binding or of a new key looks before
    it says that there is none: what one process answered, the next one takes.
    """

    async def scene(first: Stage, second: Stage) -> None:
        of = await owned(first)
        local, _binding = await member(first, of, "user-local", "admin", of.department)
        await second.services.following.catch_up()
        task = second.services.following._task
        assert task is not None
        task.cancel()  # it hears of nothing any more by itself
        body = {"department": of.department, "account": of.account, "name": "New"}
        project = ok(await first.post("/v1/projects", body, token=of.boss))["id"]
        network = {"project": project, "name": "n", "egress": []}
        assert (await second.post("/v1/networks", network, token=local)).status_code == 201
        key = ok(await first.post("/v1/api-keys", {"name": "k"}, token=local))["key"]
        ok(await second.post("/v1/networks", {**network, "name": "o"}, token=key))

    both(database, nats_url, tmp_path, scene)


def test_nobody_leaves_a_way_back_in_their_last_second(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """At a process that has not heard yet of what was taken elsewhere, who lost it invites nobody,
    binds nobody, makes no key, links no identity and says nothing of an issuer: that would outlast
    the second in which it hears. What is taken while a key is being made is taken from the key, too.
    """

    async def scene(first: Stage, second: Stage) -> None:
        of = await owned(first)
        admins = [await member(first, of, f"user-{n}", "admin", of.org) for n in range(3)]
        program = ok(await first.post("/v1/service-accounts", {"name": "ci"}, token=of.boss))["id"]
        at = await trusting(first, of.org)
        ends = [await signed_in(first, of.org, at) for _ in range(3)]
        ok(await first.post("/v1/members", {"principal": WHO}, token=of.boss))
        owner = {"principal": WHO, "role": "owner", "scope": of.org}
        ok(await first.post("/v1/role-bindings", owner, token=of.boss))
        other, _ = await signed_in(first, of.org, who="user-thief")
        await second.services.following.catch_up()
        task = second.services.following._task
        assert task is not None
        task.cancel()  # it hears of nothing any more by itself
        taken_back = (401, "auth.invalid")
        invited = {"email": "a@b.example", "role": "admin", "days": 1}
        hook = {"organization": of.org, "url": "https://8.8.8.8/"}
        taken = [(f"/v1/sessions/{name}/end", token) for token, name in ends]
        taken += [(f"/v1/role-bindings/{binding}/revoke", token) for token, binding in admins]
        asked = (
            ("/v1/api-keys", {"name": "k"}, taken_back),
            ("/v1/identities", {"session": other}, taken_back),
            (f"/v1/issuers/{at}/factors", {"amr": ["pwd"], "acr": []}, taken_back),
            ("/v1/invitations", invited, (404, "resource.unknown")),
            ("/v1/webhooks", hook, (404, "resource.unknown")),
            ("/v1/api-keys", {"name": "k", "principal": program}, (403, "auth.forbidden")),
        )
        for (taking, token), (path, body, refused) in zip(taken, asked, strict=True):
            ok(await first.post(taking, {}, token=of.boss))
            answer = await second.post(path, body, token=token)
            assert (answer.status_code, answer.json().get("code")) == refused, answer.text
        late, name = await signed_in(first, of.org, at)
        between(first, f"/v1/sessions/{name}/end", {}, of.boss, KeyCreated)
        assert code(await first.post("/v1/api-keys", {"name": "k"}, token=late)) == taken_back

    both(database, nats_url, tmp_path, scene)


def test_strange_scopes_are_nobodys(database: Database, nats_url: str, tmp_path: Path) -> None:
    """A scope that is no id, or no scope, has nothing to list, whoever asks; no organization of that
    name has anything.
    """

    async def scene(stage: Stage, _: Stage) -> None:
        of = await owned(stage)
        local, _binding = await member(stage, of, "user-local", "viewer", of.project)
        for strange in ("x", "project-", "user-1", "%22%29", "a" * 300):
            path = f"/v1/volumes?project={strange}"
            for token in (of.boss, local):
                assert ok(await stage.get(path, token=token))["items"] == []
            for token in (of.boss, stage.operator):
                listed = await stage.get(f"/v1/members?organization={strange}", token=token)
                assert code(listed) == (404, "resource.unknown"), strange
        assert (await stage.get("/v1/members")).status_code == 400, "operators name it"

    both(database, nats_url, tmp_path, scene)


def test_a_process_that_starts_knows_what_the_others_know(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """What is loaded at a start is what a process that followed the log has."""

    async def scene(first: Stage, second: Stage) -> None:
        of = await owned(first)
        await member(first, of, "user-1", "viewer", of.project)
        ok(await first.post("/v1/service-accounts", {"name": "ci"}, token=of.boss))
        token = first.token("user", of.org, "user-1")
        key = ok(await first.post("/v1/api-keys", {"name": "k"}, token=token))
        ok(await first.post(f"/v1/api-keys/{key['id']}/revoke", {}, token=token))
        fresh = Directory()
        await first.services.reads.ask(load, fresh)
        await second.services.following.catch_up()
        for known in (first.services.directory, second.services.directory):
            assert known.authority(of.org) == fresh.authority(of.org)
            assert known.keys(of.org) == fresh.keys(of.org)
            assert known.place(of.project, of.org) == fresh.place(of.project, of.org)
            assert known.applied == fresh.applied
        [one] = fresh.keys(of.org)
        assert one.revoked
        assert isinstance(one.created, KeyCreated)

    both(database, nats_url, tmp_path, scene)


def test_nobody_climbs_by_what_others_hold(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """An admin takes no key of a program that owns, removes nobody who owns by a group, gives
    nothing looser than its own binding by a binding, a group or a key; a scoped viewer reads no receipt of the whole; nobody learns
    versions or ids of another organization by asking for owners or by If-Match.
    """

    async def scene(stage: Stage, _: Stage) -> None:
        of = await owned(stage)
        admin, _binding = await member(stage, of, "user-admin", "admin", of.org)
        program = ok(await stage.post("/v1/service-accounts", {"name": "p"}, token=of.boss))["id"]
        group = ok(await stage.post("/v1/groups", {"name": "g"}, token=of.boss))["id"]
        joined = {"principal": program}
        ok(await stage.post(f"/v1/groups/{group}/members", joined, token=of.boss))
        body = {"principal": group, "role": "owner", "scope": of.org}
        ok(await stage.post("/v1/role-bindings", body, token=of.boss))
        no = (403, "auth.forbidden")
        key = {"name": "k", "principal": program}
        assert code(await stage.post("/v1/api-keys", key, token=admin)) == no
        ok(await stage.post("/v1/api-keys", key, token=of.boss))
        gone = f"/v1/service-accounts/{program}/delete"
        assert code(await stage.post(gone, {}, token=admin)) == no
        soon = instant(time.time_ns() // 1000 + 3_600_000_000)
        ok(await stage.post("/v1/members", {"principal": "user-soon"}, token=of.boss))
        body = {"principal": "user-soon", "role": "admin", "scope": of.org, "until": soon}
        ok(await stage.post("/v1/role-bindings", body, token=of.boss))
        until = stage.token("user", of.org, "user-soon")
        for_ever = {"principal": "user-soon", "role": "admin", "scope": of.project}
        looser = (403, "authority.looser")
        assert code(await stage.post("/v1/role-bindings", for_ever, token=until)) == looser
        invited = {"email": "a@b", "role": "viewer", "days": 1}
        assert code(await stage.post("/v1/invitations", invited, token=until)) == looser
        ok(await stage.post("/v1/role-bindings", {**for_ever, "role": "viewer", "until": soon},
                            token=until))  # fmt: skip
        await _neither_by_group_nor_by_key(stage, of, until)
        await stage.services.calls.seal()
        await stage.views()
        acts = await stage.get(f"/v1/audit?organization={of.org}&actor=user-soon&limit=500")
        told = [one for one in ok(acts)["items"] if one["reason"] == "authority.looser"]
        assert sum(one["calls"] for one in told) == 5
        first = told[-1]["fact"]
        assert (first["action"], first["scope"]) == ("binding.grant", of.project)
        viewer, _binding = await member(stage, of, "user-part", "viewer", of.project)
        size = await stage.size()
        missing = (404, "resource.unknown")
        assert code(await stage.get(f"/v1/receipts/{size - 2}", token=viewer)) == missing
        other = await owned(stage)
        foreign = {"principal": "user-boss", "role": "owner", "scope": other.project}
        answer = await stage.post("/v1/role-bindings", foreign, token=of.boss)
        assert code(answer) == (404, "resource.unknown")
        assert other.org not in answer.text
        answer = await stage.post("/v1/role-bindings", foreign, token=of.boss, If_Match='"0"')
        assert code(answer) == (404, "resource.unknown")

    both(database, nats_url, tmp_path, scene)


async def _neither_by_group_nor_by_key(stage: Stage, of: Owned, until: str) -> None:
    """An admin of an hour puts nobody where there is no end, and takes no key that outlives it."""
    looser = (403, "authority.looser")
    group = ok(await stage.post("/v1/groups", {"name": "admins"}, token=of.boss))["id"]
    program = ok(await stage.post("/v1/service-accounts", {"name": "ci"}, token=of.boss))["id"]
    into = f"/v1/groups/{group}/members"
    ok(await stage.post(into, {"principal": "user-soon"}, token=until))
    ok(await stage.post(f"{into}/remove", {"principal": "user-soon"}, token=until))
    for who in (group, program):
        body = {"principal": who, "role": "admin", "scope": of.org}
        ok(await stage.post("/v1/role-bindings", body, token=of.boss))
    assert code(await stage.post(into, {"principal": "user-soon"}, token=until)) == looser
    ok(await stage.post(into, {"principal": "user-soon"}, token=of.boss))
    key = {"name": "k", "principal": program}
    ok(await stage.post("/v1/api-keys", key, token=of.boss))
    # By the group it may now what the group may, without end.
    ok(await stage.post("/v1/api-keys", key, token=until))
    ok(await stage.post(f"{into}/remove", {"principal": "user-soon"}, token=of.boss))
    assert code(await stage.post("/v1/api-keys", key, token=until)) == looser
    assert code(await stage.post("/v1/api-keys", {**key, "days": 1}, token=until)) == looser


def test_who_comes_back_has_nothing_of_before(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Keys of a member that was removed stay over when it is added and bound again."""

    async def scene(first: Stage, second: Stage) -> None:
        of = await owned(first)
        token, _binding = await member(first, of, "user-2", "viewer", of.org)
        key = ok(await first.post("/v1/api-keys", {"name": "k"}, token=token))["key"]
        ok(await first.get("/v1/projects", token=key))
        ok(await first.post("/v1/members/user-2/remove", {}, token=of.boss))
        token, _binding = await member(first, of, "user-2", "viewer", of.org)
        await second.services.following.catch_up()  # it hears within a second by itself
        ok(await second.get("/v1/projects", token=token))
        for stage in (first, second):
            answer = await stage.get("/v1/projects", token=key)
            assert code(answer) == (401, "auth.invalid")
        [shown] = ok(await first.get("/v1/api-keys", token=token))["items"]
        assert shown["revoked"] is True

    both(database, nats_url, tmp_path, scene)


def test_so_many_keys_and_each_with_its_maker(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Of eight that are asked for at once in two processes as many stand as there may be; one that
    is revoked makes room for one. A program's key goes on without its maker, and the list says so.
    """

    async def scene(first: Stage, second: Stage) -> None:
        of = await owned(first)
        admin, _binding = await member(first, of, "user-2", "admin", of.org)
        account = ok(await first.post("/v1/service-accounts", {"name": "ci"}, token=of.boss))["id"]
        await second.services.following.catch_up()
        body = {"name": "k", "principal": account}
        asked = [
            one.post("/v1/api-keys", body, token=admin) for _ in "1234" for one in (first, second)
        ]
        answers = await asyncio.gather(*asked)
        made = [one.json() for one in answers if one.status_code == 201]
        assert len(made) == 3
        refused = [one for one in answers if one.status_code != 201]
        assert {code(one) for one in refused} == {(409, "api_key.too_many")}
        assert refused[0].json()["facts"]["most"] == 3
        ok(await first.post(f"/v1/api-keys/{made[0]['id']}/revoke", {}, token=admin))
        last = ok(await second.post("/v1/api-keys", body, token=admin))
        assert (last["made_by"], last["maker_belongs"]) == ("user-2", True)
        assert code(await first.post("/v1/api-keys", body, token=admin)) == code(refused[0])
        ok(await first.post("/v1/members/user-2/remove", {}, token=of.boss))
        assert (await first.get("/v1/service-accounts", token=last["key"])).status_code == 403
        listed = ok(await first.get("/v1/api-keys?made_by=user-2", token=of.boss))["items"]
        assert ok(await first.get("/v1/api-keys?made_by=user-boss", token=of.boss))["items"] == []
        assert (
            ok(await first.get(f"/v1/api-keys?principal={account}", token=of.boss))["items"]
            == listed
        )
        assert {(one["made_by"], one["maker_belongs"]) for one in listed} == {("user-2", False)}
        assert sorted(one["revoked"] for one in listed) == [False, False, False, True]

    both(database, nats_url, tmp_path, scene, Bounds(api_keys=3))


def test_a_guardrail_below_is_lifted_from_above(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Whoever owns one project may forbid everything there; the organization's owner lifts it."""

    async def scene(stage: Stage, _: Stage) -> None:
        of = await owned(stage)
        part, _binding = await member(stage, of, "user-part", "owner", of.project)
        body = {"actions": ["*"], "scope": of.project, "reason": "mine"}
        rail = ok(await stage.post("/v1/guardrails", body, token=part))["id"]
        budget = {"principal": "user-part", "role": "viewer", "scope": of.project}
        refused = code(await stage.post("/v1/role-bindings", budget, token=of.boss))
        assert refused == (403, "auth.forbidden")
        lift = f"/v1/guardrails/{rail}/lift"
        assert code(await stage.post(lift, {}, token=part)) == (403, "auth.forbidden")
        ok(await stage.post(lift, {}, token=of.boss))
        ok(await stage.post("/v1/role-bindings", budget, token=of.boss))

    both(database, nats_url, tmp_path, scene)
