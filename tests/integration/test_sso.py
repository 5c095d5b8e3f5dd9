"""An organization that requires its issuer: who is refused, at once and everywhere, and who not."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from api import events
from api.auth import action_of
from tests.api_stage import Stage
from tests.conftest import Database
from tests.integration.test_authority import both, code, member, ok, owned
from tests.integration.test_sign_in import session_of, signed_in, trusted
from tests.issuer_stage import AUDIENCE, Issuer, issuer

pytestmark = pytest.mark.slow

ELSEWHERE = (403, "auth.sso_required")


@pytest.fixture
def here() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


async def streaming(stage: Stage, token: str) -> Any:
    """An open stream of events of whoever has the token, as its route makes it."""
    services = stage.services
    caller = services.tokens.principal(token)
    entered = replace(caller, action=action_of(events.events), door=services.door)
    size = await stage.size()
    stream = events._stream(services, entered, size, follow=True, token=token)
    assert await anext(stream) == b": gpuaas events\n\n"
    return stream


async def ended(stream: Any) -> None:
    async with asyncio.timeout(60):
        async for _ in stream:
            pass


async def bind(stage: Stage, org: str, who: str) -> None:
    ok(await stage.post("/v1/members", {"principal": who, "organization": org}))
    ok(await stage.post("/v1/role-bindings", {"principal": who, "role": "viewer", "scope": org}))


def test_people_act_in_sessions_of_the_required_issuer_alone(
    database: Database, nats_url: str, tmp_path: Path, here: Issuer
) -> None:
    """A session of another issuer, a token of the embedded one and a person's key are refused in
    the other process within a second, their streams ended; a session of the right one, a service
    account's key and an exempt owner go on. Lifted, what has not ended counts again.
    """

    async def scene(first: Stage, second: Stage) -> None:
        of = await owned(first)
        with issuer() as other:
            at, past = await trusted(first, here, of.org), await another(first, other, of.org)
            right, wrong = await signed_in(first, here, at), await signed_in(first, other, past)
            for one in (right, wrong):
                await bind(first, of.org, one["principal"])
            embedded, _binding = await member(first, of, "user-e", "admin", of.org)
            mine = ok(await first.post("/v1/api-keys", {"name": "k"}, token=embedded))["key"]
            its = await program(first, of.org, of.boss)
            out, still = (wrong["token"], embedded, mine), (right["token"], its, of.boss)
            for token in (*out, *still):
                assert (await second.get("/v1/projects", token=token)).status_code == 200
            streams = [await streaming(second, token) for token in out]
            wanted = {"issuer": at, "exempt": ["user-boss"]}
            said = ok(await first.post("/v1/sso", wanted, token=of.boss))
            assert (said["issuer"], len(said["policies"])) == (at, 1)
            began = time.monotonic()
            await asyncio.gather(*map(ended, streams))
            assert time.monotonic() - began < 1
            for token in out:
                assert code(await second.get("/v1/projects", token=token)) == ELSEWHERE
                assert code(await second.get("/v1/me", token=token)) == ELSEWHERE
            for token in still:
                assert (await second.get("/v1/projects", token=token)).status_code == 200
            await while_required(first, of.org, of.boss, (other, past), wrong["principal"])
            await routed(first, here, at)
            ok(await first.post("/v1/sso/lift", {}, token=of.boss))
            for token in (*out, *still):
                assert (await first.get("/v1/projects", token=token)).status_code == 200
            assert ok(await first.get("/v1/sso", token=of.boss))["issuer"] is None

    both(database, nats_url, tmp_path, scene)


async def program(stage: Stage, org: str, boss: str) -> str:
    """The key of a service account that reads."""
    made = ok(await stage.post("/v1/service-accounts", {"name": "p"}, token=boss))["id"]
    body = {"principal": made, "role": "viewer", "scope": org}
    ok(await stage.post("/v1/role-bindings", body, token=boss))
    key = {"name": "p", "principal": made}
    return str(ok(await stage.post("/v1/api-keys", key, token=boss))["key"])


async def another(stage: Stage, other: Issuer, org: str) -> str:
    body = {"organization": org, "url": other.url, "client_id": AUDIENCE,
            "algorithms": ["ES256"], "domains": ["acme.example"]}  # fmt: skip
    return str(ok(await stage.post("/v1/issuers", body))["id"])


async def routed(stage: Stage, here: Issuer, at: str) -> None:
    """Of two issuers that addresses of one domain are sent to, the required one."""
    here.document["token_endpoint"] = "https://elsewhere.example/token"
    found = await stage.client.get("/v1/sign-in?domain=acme.example")
    assert ok(found)["issuer"] == at


async def while_required(
    stage: Stage, org: str, boss: str, elsewhere: tuple[Issuer, str], who: str
) -> None:
    """No session opens at another issuer; explain says what would be, as of whoever signs in
    rightly; the exempt owner makes a key that counts; who required it is seen in the audit.
    """
    other, past = elsewhere
    assert code(await session_of(stage, past, other.token())) == ELSEWHERE
    asked = {"action": "project.list", "scope": org, "principal": who}
    told = ok(await stage.post("/v1/authorization/explain", asked, token=boss))
    assert told["allowed"] is True
    shown = ok(await stage.get("/v1/sso", token=boss))
    assert (shown["exempt"], len(shown["policies"])) == (["user-boss"], 1)
    made = ok(await stage.post("/v1/api-keys", {"name": "mine"}, token=boss))
    assert (await stage.get("/v1/projects", token=made["key"])).status_code == 200
    await stage.views()
    acts = ok(await stage.get("/v1/audit?limit=200", token=boss))["items"]
    [act] = [one for one in acts if one["action"] == "gpuaas.access.sso_required.v1"]
    assert (act["actor"], act["authority"]) == ("user-boss", shown["policies"])


def test_what_may_be_required(
    database: Database, nats_url: str, tmp_path: Path, here: Issuer
) -> None:
    """An issuer of the organization that is trusted, by its owner; a person who signed in there
    makes no key meanwhile; when its trust ends the exempt owner lifts it.
    """

    async def scene(stage: Stage, _: Stage) -> None:
        of, foreign = await owned(stage), await owned(stage)
        at = await trusted(stage, here, of.org)
        wanted = {"issuer": at, "exempt": ["user-boss"]}
        unknown = await stage.post("/v1/sso", wanted, token=foreign.boss)
        assert code(unknown) == (404, "issuer.unknown")
        admin, _binding = await member(stage, of, "user-admin", "admin", of.org)
        refused = await stage.post("/v1/sso", wanted, token=admin)
        assert code(refused) == (403, "auth.forbidden")
        nobody = {**wanted, "exempt": ["user-admin"]}
        locked = await stage.post("/v1/sso", nobody, token=of.boss)
        assert code(locked) == (409, "authority.sso_locks_out")
        person = await signed_in(stage, here, at)
        await bind(stage, of.org, person["principal"])
        ok(await stage.post("/v1/sso", wanted, token=of.boss))
        key = await stage.post("/v1/api-keys", {"name": "k"}, token=person["token"])
        assert code(key) == ELSEWHERE
        denied = await stage.post("/v1/groups", {"name": "g"}, token=admin)
        assert code(denied) == ELSEWHERE
        assert denied.json()["facts"]["issuer"] == at
        ok(await stage.post(f"/v1/issuers/{at}/distrust", {}))
        over = await stage.get("/v1/projects", token=person["token"])
        assert code(over) == (401, "auth.invalid")
        assert code(await stage.get("/v1/projects", token=admin)) == ELSEWHERE, "it stays closed"
        ok(await stage.post("/v1/sso/lift", {}, token=of.boss))
        assert (await stage.get("/v1/projects", token=admin)).status_code == 200

    both(database, nats_url, tmp_path, scene)
