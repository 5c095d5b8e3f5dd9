"""A second factor for administrative actions, over HTTP: an organization's, the platform's."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from api import events
from api.tokens import issue
from domain.access import Denied
from evidence.reader import decode_entry, read_entries
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.integration.test_sign_in import bound, code, signed_in, trusted
from tests.issuer_stage import Issuer, issuer

pytestmark = pytest.mark.slow

WANTED = (403, "auth.mfa_required")


@pytest.fixture
def here() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


def test_an_organization_demands_a_second_factor(
    database: Database, nats_url: str, tmp_path: Path, here: Issuer
) -> None:
    """Its owner without one is refused with the step-up challenge, which is a fact; with one acts;
    a key has none unless it was made to; the issuer's words count as the organization says, in
    sessions that are open.
    """

    async def scene(stage: Stage) -> None:
        org = (await stage.tenant())["org"]
        at = await trusted(stage, here, org)
        weak = await signed_in(stage, here, at, amr=["pwd"])
        await bound(stage, org, weak["principal"], "owner")
        strong = await signed_in(stage, here, at, amr=["pwd", "otp"])
        rail = {"scope": org, "actions": ["administrative"], "unless_mfa": True}
        made = await stage.post("/v1/guardrails", rail, token=weak["token"])
        assert made.status_code == 201, made.text
        size = await stage.size()
        add = {"principal": "user-new"}
        refused = await stage.post("/v1/members", add, token=weak["token"])
        assert (refused.status_code, refused.json()["code"]) == WANTED
        assert "aal2" in refused.headers["www-authenticate"]
        assert "insufficient_user_authentication" in refused.headers["www-authenticate"]
        [(_, entry, _)] = await stage.services.reads.ask(read_entries, size, 10)
        told = decode_entry(entry)
        assert isinstance(told.fact, Denied)
        assert (told.fact.action, told.fact.policies) == ("member.add", (made.json()["id"],))
        assert (await stage.post("/v1/members", add, token=strong["token"])).status_code == 200
        assert (await stage.get("/v1/members", token=weak["token"])).status_code == 200
        lift = f"/v1/guardrails/{made.json()['id']}/lift"
        assert await code(stage.post(lift, {}, token=weak["token"])) == WANTED
        kept = await keys(stage, weak["token"], strong["token"])
        words = f"/v1/issuers/{at}/factors"
        ours = {"amr": [], "acr": ["urn:ours:strong"]}
        said = await stage.post(words, ours, token=strong["token"])
        assert (said.status_code, said.json()["acr"]) == (200, ["urn:ours:strong"])
        assert (await stage.get("/v1/me", token=strong["token"])).json()["mfa"] is False
        assert await code(stage.post("/v1/groups", {"name": "again"}, token=kept)) == WANTED
        here.document["token_endpoint"] = "https://elsewhere.example/token"
        place = await stage.client.get(f"/v1/sign-in?issuer={at}")
        assert place.json()["acr_values"] == ["urn:ours:strong"]
        assert await code(stage.post(lift, {}, token=strong["token"])) == WANTED
        best = await signed_in(stage, here, at, acr="urn:ours:strong")
        assert (await stage.post(lift, {}, token=best["token"])).status_code == 200
        assert (await stage.post("/v1/members", add, token=weak["token"])).status_code == 200
        await recent(stage, here, at)

    play(database, nats_url, tmp_path, scene)


async def recent(stage: Stage, here: Issuer, at: str) -> None:
    """Where the platform takes no old sign-in, an owner who showed the issuer who they are too long
    ago is told to do so again, and so is one of whom it does not say when; a key goes on.
    """
    now = int(time.time())
    old = await signed_in(stage, here, at, auth_time=now - 120)
    fresh = await signed_in(stage, here, at, auth_time=now + 9)
    silent = await signed_in(stage, here, at)
    assert (silent["authenticated_at"], fresh["authenticated_at"] <= fresh["opened_at"]) == (
        None,
        True,
    )
    wanted = {"name": "k", "scopes": ["group.create"]}
    key = await stage.post("/v1/api-keys", wanted, token=old["token"])
    assert key.status_code == 201, key.text
    stage.services.door.login_age_s = 60
    for token in (old["token"], silent["token"]):
        refused = await stage.post("/v1/groups", {"name": "g"}, token=token)
        assert (refused.status_code, refused.json()["code"]) == (403, "auth.login_stale")
        assert refused.headers["www-authenticate"].endswith(
            'error="insufficient_user_authentication", '
            'error_description="a recent sign-in is asked for", max_age="60"'
        )
        assert (await stage.get("/v1/groups", token=token)).status_code == 200
    for token in (fresh["token"], key.json()["key"]):
        assert (await stage.post("/v1/groups", {"name": "g"}, token=token)).status_code == 201
    now_us = time.time_ns() // 1000
    told = (stage.services.settings, "user-1", "platform-operator", None)
    issued = {"subject": "x", "role": "auditor", "seconds": 60}
    stale = stage.post("/v1/tokens", issued, token=issue(*told, now_us - 120_000_000, 600))
    assert await code(stale) == (403, "auth.login_stale")
    assert (await stage.post("/v1/tokens", issued)).status_code == 201


async def keys(stage: Stage, weak: str, strong: str) -> str:
    """One without a factor, and one that stands for its maker's, which is given back."""
    plain = await stage.post("/v1/api-keys", {"name": "plain"}, token=strong)
    group = {"name": "readers"}
    assert await code(stage.post("/v1/groups", group, token=plain.json()["key"])) == WANTED
    wanted = {"name": "strong", "scopes": ["group.create"], "days": 30, "mfa": True}
    assert await code(stage.post("/v1/api-keys", wanted, token=weak)) == WANTED
    made = await stage.post("/v1/api-keys", wanted, token=strong)
    assert (made.status_code, made.json()["mfa"]) == (201, True)
    assert (await stage.post("/v1/groups", group, token=made.json()["key"])).status_code == 201
    forever = stage.post("/v1/api-keys", {"name": "mine"}, token=weak)
    assert await code(forever) == WANTED, "a key outlives the session that made it"
    unbounded = stage.post("/v1/api-keys", {"name": "x", "mfa": True}, token=strong)
    assert await code(unbounded) == (400, "api_key.mfa_unbounded")
    return str(made.json()["key"])


def test_the_platform_demands_a_second_factor(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """By its setting, of its operators: what is administrative, and nothing else."""

    async def scene(stage: Stage) -> None:
        await stage.tenant()
        stage.services.door.mfa_demanded = True
        wanted = {"subject": "x", "role": "auditor", "seconds": 60}
        assert await code(stage.post("/v1/tokens", wanted)) == WANTED
        assert (await stage.get("/v1/organizations")).status_code == 200
        assert (await stage.get("/v1/nodes")).status_code == 200

    play(database, nats_url, tmp_path, scene)


def test_an_open_stream_ends_with_the_factor_that_let_it_in(
    database: Database, nats_url: str, tmp_path: Path, here: Issuer
) -> None:
    """Words of an issuer that count no more end what was opened by them, within a second."""

    async def scene(stage: Stage) -> None:
        org = (await stage.tenant())["org"]
        at = await trusted(stage, here, org)
        token = (await signed_in(stage, here, at, amr=["pwd", "otp"]))["token"]
        services = stage.services
        said = services.tokens.principal(token)
        await bound(stage, org, said.actor, "owner")
        rail = {"scope": org, "actions": ["event.*"], "unless_mfa": True}
        made = await stage.post("/v1/guardrails", rail, token=token)
        assert made.status_code == 201, made.text
        caller = replace(said, action="event.stream", door=services.door)
        size = await stage.size()
        stream = events._stream(services, caller, size, follow=True, token=token)
        await anext(stream)
        words = {"amr": [], "acr": ["urn:ours:strong"]}
        set_ = await stage.post(f"/v1/issuers/{at}/factors", words, token=token)
        assert set_.status_code == 200, set_.text
        async with asyncio.timeout(60):
            told = b"".join([chunk async for chunk in stream])
        assert b"issuer_factors_set" not in told

    play(database, nats_url, tmp_path, scene)
