"""The platform's staff in a tenant: by break-glass only, seen by the tenant, over by itself."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from msgspec.structs import force_setattr

from api import events
from api.authorization import using
from api.authorization.principal import Principal
from api.edge import instant
from api.refusals import MEDIA
from api.tokens import issue
from domain.authority import authority_stream
from domain.authority_facts import GlassApproved, GlassEnded
from evidence.append import Append, Write
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow


async def staff(stage: Stage, who: str, role: str) -> str:
    """A token of somebody whom the platform has bound to the role."""
    body = {"principal": f"user-{who}", "organization": "-"}
    assert (await stage.post("/v1/members", body)).status_code == 200
    body = {"principal": f"user-{who}", "role": role, "scope": "-"}
    made = await stage.post("/v1/role-bindings", body)
    assert made.status_code == 201, made.text
    return stage.token("staff", None, subject=f"user-{who}")


async def asked(stage: Stage, token: str, scope: str, **more: Any) -> dict[str, Any]:
    body = {"scope": scope, "reason": "It hangs.", "ticket": "T-1", **more}
    answer = await stage.post("/v1/break-glass", body, token=token)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def approve(stage: Stage, token: str, grant: str) -> httpx.Response:
    return await stage.post(f"/v1/break-glass/{grant}/approve", token=token)


async def code(answering: Any) -> tuple[int, str]:
    answer = await answering
    return answer.status_code, answer.json().get("code", "")


@asynccontextmanager
async def log_away(stage: Stage) -> AsyncIterator[None]:
    """Nothing can be appended meanwhile: the database refuses every entry."""
    owner = stage.services.settings.owner_database_url
    async with await psycopg.AsyncConnection.connect(owner, autocommit=True) as conn:
        await conn.execute("ALTER TABLE log.entry ADD CONSTRAINT away CHECK (false) NOT VALID")
        try:
            yield
        finally:
            await conn.execute("ALTER TABLE log.entry DROP CONSTRAINT away")


def test_support_is_in_a_tenant_by_break_glass_alone(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Nothing of a tenant before, another tenant's never; asked, approved by another person, used,
    revoked by the tenant's owner: each a fact of the tenant's own, and in its auditor's view; what
    was never approved, or is over, gives nothing, nor what cannot be written down: 503, no answer.
    """

    async def scene(stage: Stage) -> None:
        org, other = (await stage.tenant())["org"], (await stage.tenant())["org"]
        first = await staff(stage, "first", "support")
        second = await staff(stage, "second", "support")
        owner = stage.token("admin", org, subject="user-owner")
        here = f"/v1/runtimes?organization={org}"
        for path in (here, "/v1/runtimes", f"/v1/members?organization={org}"):
            assert await code(stage.get(path, token=first)) == (403, "auth.forbidden"), path
        no = (await stage.get("/v1/runtimes", token=first)).json()
        assert no["facts"]["scope"] == "-", "no id that nobody knows"
        assert "name one that you may enter" in no["detail"]
        projects = await stage.get(f"/v1/projects?organization={org}", token=first)
        assert projects.status_code == 200  # at the desk
        made = await asked(stage, first, org, seconds=60)
        grant = made["id"]
        assert (made["state"], made["organization"], made["policies"][0][:8]) == (
            *("requested", org),
            "binding-",
        )
        assert await code(stage.get(here, token=first)) == (403, "auth.forbidden")
        own = await approve(stage, first, grant)
        assert (own.status_code, own.json()["facts"]["policy"]) == (403, "break_glass.two_persons")
        assert await code(approve(stage, owner, grant)) == (403, "auth.forbidden")
        done = await approve(stage, second, grant)
        assert (done.status_code, done.json()["state"]) == (200, "approved"), done.text
        await stage.views()
        async with log_away(stage):
            unsaid = await stage.get(here, token=first)
            assert (unsaid.status_code, unsaid.json()["code"]) == (503, "log.unavailable")
            assert (unsaid.headers["content-type"], "items" in unsaid.json()) == (MEDIA, False)
            followed = await stage.get("/v1/events", token=first)
            assert (followed.status_code, followed.json()["code"]) == (503, "log.unavailable")
        assert (await stage.get(here, token=first)).status_code == 200
        assert (await stage.get(here, token=first)).status_code == 200
        assert await code(stage.get(here, token=second)) == (403, "auth.forbidden")
        body = {"action": "runtime.list", "scope": org}
        why = await stage.post("/v1/authorization/explain", body, token=second)
        assert [(one["decides"], one["why"]) for one in why.json()["policies"]] == [
            (False, "staff does it by break-glass, or not at all"),
        ]
        there = f"/v1/runtimes?organization={other}"
        assert await code(stage.get(there, token=first)) == (403, "auth.forbidden")
        logs = stage.get(f"/v1/webhooks?organization={org}", token=first)
        assert await code(logs) == (403, "auth.forbidden")
        ended = await stage.post(
            f"/v1/break-glass/{grant}/revoke", {"reason": "enough"}, token=owner
        )
        assert (ended.status_code, ended.json()["state"]) == (200, "ended"), ended.text
        assert await code(stage.get(here, token=first)) == (403, "auth.forbidden")
        [shown] = (await stage.get("/v1/break-glass", token=owner)).json()["items"]
        assert (shown["state"], shown["why_ended"], shown["used"], shown["approver"]) == (
            *("ended", "enough", ["runtime.list"]),
            "user-second",
        )
        assert shown["reason"] == "It hangs."
        one = await stage.get(f"/v1/break-glass/{grant}", token=owner)
        assert (one.json(), one.headers["etag"]) == (shown, f'"{shown["version"]}"')
        assert (await stage.get("/v1/break-glass", token=first)).json()["items"] == []
        foreign = stage.token("admin", other)
        assert (await stage.get("/v1/break-glass", token=foreign)).json()["items"] == []
        revoking = stage.post(f"/v1/break-glass/{grant}/revoke", {}, token=foreign)
        assert await code(revoking) == (404, "resource.unknown")
        asking = stage.get(f"/v1/break-glass/{grant}", token=foreign)
        assert await code(asking) == (404, "resource.unknown")
        await stage.views()
        acts = (await stage.get("/v1/audit?action=gpuaas.access", token=owner)).json()["items"]
        told = [(one["action"].split(".")[2], one["actor"]) for one in reversed(acts)]
        assert told == [
            ("break_glass_requested", "user-first"),
            ("denied", "user-first"),
            ("denied", "user-owner"),
            ("break_glass_approved", "user-second"),
            ("break_glass_used", "user-first"),
            ("break_glass_ended", "user-owner"),
        ]
        used = acts[1]
        assert (used["authority"], used["organization"]) == ([grant], org)

    play(database, nats_url, tmp_path, scene)


def test_a_grant_is_over_by_itself_streams_included(
    database: Database, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a second of its end nothing is read, and a stream that is open tells nothing more of
    the tenant; the fact that it expired follows. Whoever leaves the staff has no grant, either, nor
    has it again who comes back; its acts as a member are its own; guardrails of the tenant bind it.
    """
    monkeypatch.setattr(using, "_EVERY_S", 0.1)

    async def scene(stage: Stage) -> None:
        mine = await stage.tenant()
        org = mine["org"]
        first = await staff(stage, "first", "support")
        second = await staff(stage, "second", "operator")
        clock = _Ahead(stage)
        made = await asked(stage, first, org, role="member", seconds=60)
        assert (await approve(stage, second, made["id"])).status_code == 200
        wanted = {"project": mine["project"], "name": "n", "internal": True}
        refused = await stage.post("/v1/networks", wanted, token=first)
        assert refused.json()["code"] == "auth.forbidden"  # no member may
        volume = {"project": mine["project"], "name": "v", "size_mib": 64, "node": "x"}
        assert (await stage.post("/v1/volumes", volume, token=first)).status_code != 403
        stopped = stage.token("admin", org, subject="user-owner")
        rail = {"actions": ["volume.*"], "scope": org}
        assert (await stage.post("/v1/guardrails", rail)).status_code == 201
        held = await stage.post("/v1/volumes", volume, token=first)
        assert (held.status_code, held.json()["facts"]["policy"][:9]) == (403, "guardrail")
        assert (await stage.get(f"/v1/volumes?organization={org}")).status_code == 200
        heard: list[bytes] = []
        task = asyncio.create_task(_listens(stage, "user-first", heard))
        await _until(lambda: any(org.encode() in one for one in heard))
        clock.ahead_us = 60_000_000
        listing = f"/v1/networks?organization={org}"
        assert (await stage.get(listing, token=first)).status_code == 403
        heard.clear()
        body = {"organization": org, "name": "D2"}
        assert (await stage.post("/v1/departments", body)).status_code == 201
        body = {"name": "n", "model": "T4"}
        assert (await stage.post("/v1/nodes", body)).status_code == 201
        await _until(lambda: any(b"gpuaas.node" in one for one in heard))
        assert not any(b"department.created" in one for one in heard)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        async def shown() -> dict[str, Any]:
            found = (await stage.get("/v1/break-glass", token=stopped)).json()["items"]
            return dict(found[0])

        async def ended() -> str:
            facts = await stage.services.log.read_stream(authority_stream(org))
            while not isinstance(facts[-1].fact, GlassEnded):
                await asyncio.sleep(0.05)
                facts = await stage.services.log.read_stream(authority_stream(org))
            return facts[-1].actor

        assert await ended() == "system-authority"
        assert (await shown())["why_ended"] == "expired"
        clock.ahead_us = 0
        again = await asked(stage, first, org)
        assert (await approve(stage, second, again["id"])).status_code == 200
        assert (await stage.get(listing, token=first)).status_code == 200
        body = {"reason": "left", "organization": "-"}
        left = await stage.post("/v1/members/user-first/remove", body)
        assert left.status_code == 200, left.text
        assert (await stage.get(listing, token=first)).status_code == 403
        async with asyncio.timeout(10):
            assert await ended() == "system-authority"
        first = await staff(stage, "first", "support")
        assert (await stage.get(listing, token=first)).status_code == 403
        last = await stage.post("/v1/members/user-second/remove", body)
        assert last.json()["code"] == "authority.last_owner"

    play(database, nats_url, tmp_path, scene)


def test_founding_is_of_one_owner_who_is_none_of_the_staff(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """The staff makes an owner without condition, and neither itself nor any other role; with the
    first binding it is over for good, its other invitations are gone, and none of the staff accepts.
    """

    async def scene(stage: Stage) -> None:
        op = await staff(stage, "op", "operator")
        org = (await stage.post("/v1/organizations", {"name": "Org"}, token=op)).json()["id"]
        other = await staff(stage, "other", "support")

        async def member(who: str) -> tuple[int, str]:
            body = {"principal": who, "organization": org}
            return await code(stage.post("/v1/members", body, token=op))

        async def bind(who: str, role: str, **more: Any) -> tuple[int, str]:
            body = {"principal": who, "role": role, "scope": org, **more}
            return await code(stage.post("/v1/role-bindings", body, token=op))

        async def invite(role: str) -> httpx.Response:
            body = {"email": "a@b.c", "role": role, "organization": org, "days": 30}
            return await stage.post("/v1/invitations", body, token=op)

        async def accept(made: dict[str, Any], token: str) -> tuple[int, str]:
            body = {"organization": org, "secret": made["secret"]}
            return await code(stage.post(f"/v1/invitations/{made['id']}/accept", body, token=token))

        assert await member("user-op") == (403, "authority.of_staff")
        assert await member("user-boss") == (200, "")
        assert await bind("user-boss", "admin") == (409, "authority.founding")
        assert await bind("user-boss", "owner", mfa=True) == (409, "authority.founding")
        assert await bind("user-op", "owner") == (403, "authority.of_staff")
        assert await code(invite("admin")) == (409, "authority.founding")
        kept, used = (await invite("owner")).json(), (await invite("owner")).json()
        assert await accept(kept, other) == (403, "authority.of_staff")
        boss = stage.token("user", org, subject="user-boss")
        assert await accept(used, boss) == (200, "")
        someone = stage.token("user", org, subject="user-someone")
        assert await accept(kept, someone) == (403, "authority.secret_wrong")
        for over in (bind("user-boss", "owner"), member("user-else"), code(invite("owner"))):
            assert await over == (403, "auth.forbidden")

        async def boss_adds(who: str, role: str) -> None:
            body = {"principal": who, "organization": org}
            assert (await stage.post("/v1/members", body, token=boss)).status_code == 200
            body = {"principal": who, "role": role, "scope": org}
            assert (await stage.post("/v1/role-bindings", body, token=boss)).status_code == 201

        await boss_adds("user-op", "admin")
        here = f"/v1/runtimes?organization={org}"
        assert await code(stage.get(here, token=op)) == (403, "auth.forbidden")
        own = stage.token("user", org, subject="user-op")
        assert (await stage.get("/v1/runtimes", token=own)).status_code == 200
        body = {"subject": "anybody", "role": "platform-operator"}
        assert await code(stage.post("/v1/tokens", body, token=op)) == (403, "auth.forbidden")
        assert (await stage.post("/v1/tokens", body)).status_code == 201

    play(database, nats_url, tmp_path, scene)


def test_a_tenant_without_an_owner_is_not_founded_anew(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Whose only owner is bound with a condition, or who works by the embedded issuer's tokens."""

    async def scene(stage: Stage) -> None:
        op = await staff(stage, "op", "operator")
        strict = (await stage.post("/v1/organizations", {"name": "A"}, token=op)).json()["id"]
        body: dict[str, Any] = {"principal": "user-boss", "organization": strict}
        assert (await stage.post("/v1/members", body)).status_code == 200
        body = {"principal": "user-boss", "role": "owner", "scope": strict, "mfa": True}
        assert (await stage.post("/v1/role-bindings", body)).status_code == 201
        worked = (await stage.post("/v1/organizations", {"name": "B"}, token=op)).json()["id"]
        admin = stage.token("admin", worked, subject="user-admin")
        body = {"organization": worked, "name": "D"}
        assert (await stage.post("/v1/departments", body, token=op)).status_code == 201
        assert (await stage.post("/v1/departments", body, token=admin)).status_code == 201
        for org in (strict, worked):
            body = {"principal": "user-sock", "organization": org}
            found = await code(stage.post("/v1/members", body, token=op))
            assert found == (403, "auth.forbidden"), org

    play(database, nats_url, tmp_path, scene)


def test_a_grant_is_no_looser_than_what_binds_to_the_staff(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A second factor and networks that the binding at the platform asks for, its end, and the
    factor that the platform demands of administrative actions.
    """

    async def scene(stage: Stage) -> None:
        org = (await stage.tenant())["org"]
        second = await staff(stage, "second", "support")
        body = {"principal": "user-first", "organization": "-"}
        assert (await stage.post("/v1/members", body)).status_code == 200
        until = instant(time.time_ns() // 1000 + 120_000_000)
        body = {"principal": "user-first", "role": "support", "scope": "-", "until": until}
        strict = {"mfa": True, "networks": ["127.0.0.0/8"]}
        assert (await stage.post("/v1/role-bindings", body | strict)).status_code == 201
        weak, strong = (
            issue(*(stage.services.settings, "user-first", "staff", None), _now(), 600, mfa=mfa)
            for mfa in (False, True)
        )
        granted = [await asked(stage, strong, org, role="member", seconds=600)]
        granted += [await asked(stage, second, org, seconds=600)]
        for one, by in zip(granted, (second, strong), strict=True):
            assert (await approve(stage, by, one["id"])).status_code == 200
        here = f"/v1/runtimes?organization={org}"
        assert (await stage.get(here, token=strong)).status_code == 200
        assert await code(stage.get(here, token=weak)) == (403, "auth.mfa_required")
        assert (await stage.get(here, token=second)).status_code == 200
        stage.services.door.mfa_demanded = True
        stage.services.door._sets.clear()  # as in a process that began with it
        assert await code(stage.get(here, token=second)) == (403, "auth.mfa_required")
        _Ahead(stage).ahead_us = 121_000_000
        assert await code(stage.get(here, token=strong)) == (403, "auth.forbidden")

    play(database, nats_url, tmp_path, scene)


def test_nobody_makes_their_own_second_person(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Neither of the two bound the other to the staff, whichever of them asks; nor is either of the
    staff for less than the platform's time; each time it is a fact of the tenant's own.
    """

    async def scene(stage: Stage) -> None:
        org = (await stage.tenant())["org"]
        op, third = await staff(stage, "op", "operator"), await staff(stage, "third", "support")
        body = {"principal": "user-sock", "organization": "-"}
        assert (await stage.post("/v1/members", body, token=op)).status_code == 200
        body = {"principal": "user-sock", "role": "support", "scope": "-"}
        assert (await stage.post("/v1/role-bindings", body, token=op)).status_code == 201
        sock = stage.token("staff", None, subject="user-sock")
        for asking, approving in ((op, sock), (sock, op)):
            grant = (await asked(stage, asking, org))["id"]
            own = (403, "break_glass.not_independent")
            assert await code(approve(stage, approving, grant)) == own
            force_setattr(stage.services.settings, "glass_age_s", 3_600)
            assert await code(approve(stage, third, grant)) == (403, "break_glass.too_new")
            force_setattr(stage.services.settings, "glass_age_s", 0)
            assert await code(approve(stage, third, grant)) == (200, "")
        await stage.views()
        acts = await stage.get(f"/v1/audit?organization={org}&action=gpuaas.access.denied.v1")
        told = [(one["actor"], one["reason"]) for one in reversed(acts.json()["items"])]
        assert told == [
            ("user-sock", "break_glass.not_independent"), ("user-third", "break_glass.too_new"),
            ("user-op", "break_glass.not_independent"), ("user-third", "break_glass.too_new"),
        ]  # fmt: skip

    play(database, nats_url, tmp_path, scene)


def _now() -> int:
    return time.time_ns() // 1000


async def _listens(stage: Stage, who: str, heard: list[bytes]) -> None:
    """The events that a token of the staff member is told."""
    door = stage.services.door
    caller = Principal(who, "", "-", action="event.stream", door=door)
    async for chunk in events._stream(stage.services, caller, 0, follow=True, token=""):
        heard += [chunk]


def test_what_was_said_of_a_grant_is_said_as_of_then(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """One that ended by itself stood while it stood: as of then it is listed as approved, in its
    organization and among all; as of before it was approved, as requested; now it is over.
    """

    async def scene(stage: Stage) -> None:
        org = (await stage.tenant())["org"]
        first = await staff(stage, "first", "support")
        grant = (await asked(stage, first, org))["id"]
        requested = await stage.size() - 1
        log, stream = stage.services.log, authority_stream(org)
        version = (await log.read_stream(stream))[-1].version
        now = time.time_ns() // 1000
        given = GlassApproved(grant, "user-second", now + 1_500_000, (), now)
        write = Write(stream, org, version, (given,))
        await log.append(Append((write,), "user-second", f"cmd:{uuid.uuid4().hex * 2}"))
        approved = await stage.size() - 1
        await asyncio.sleep(1.6)
        await stage.views()
        for of, later in ((f"organization={org}&", [("ended", "expired")]), ("", [])):
            told = []
            for when in (f"as_of={requested}", f"as_of={approved}", ""):
                items = (await stage.get(f"/v1/break-glass?{of}{when}")).json()["items"]
                told.append([(one["state"], one["why_ended"]) for one in items])
            assert told == [[("requested", None)], [("approved", None)], later], of

    play(database, nats_url, tmp_path, scene)


class _Ahead:
    """The clock of the door and of what ends by itself, moved."""

    def __init__(self, stage: Stage) -> None:
        self.ahead_us = 0
        stage.services.door._clock_us = self
        stage.services.glass._clock_us = self

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.ahead_us


async def _until(so: Any) -> None:
    for _ in range(200):
        if so():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come")
