"""One human with two identities: signed in as one person, and never two persons."""

import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.authorization.keys import hash_of, minted
from api.authorization.sessions import PREFIX
from api.edge import now_us
from domain import session
from domain.issuer import principal
from domain.linking import IdentityLinked
from evidence.append import Append, Write
from evidence.ids import new_id
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.integration.test_sign_in import between, code, signed_in
from tests.issuer_stage import AUDIENCE, Issuer, issuer

pytestmark = pytest.mark.slow


async def trusted(stage: Stage, here: Issuer, org: str, client: str = AUDIENCE) -> str:
    body = {"organization": org, "url": here.url, "client_id": client, "algorithms": ["ES256"]}
    answer = await stage.post("/v1/issuers", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def link(stage: Stage, own: dict[str, Any], other: dict[str, Any]) -> httpx.Response:
    body = {"session": other["token"]}
    return await stage.post("/v1/identities", body, token=own["token"])


async def unlink(stage: Stage, own: dict[str, Any], name: str, **headers: str) -> httpx.Response:
    return await stage.post(f"/v1/identities/{name}/unlink", {}, token=own["token"], **headers)


async def me(stage: Stage, one: dict[str, Any]) -> tuple[int, str]:
    answer = await stage.get("/v1/me", token=one["token"])
    return answer.status_code, answer.json().get("principal", "")


async def aged(stage: Stage, at: str, org: str, who: str) -> dict[str, Any]:
    """A session that was opened more than ten minutes ago."""
    token, opened_us = minted(PREFIX), now_us() - 601_000_000
    said = (hash_of(token), (), "", opened_us + 10**12, opened_us)
    write = Write(new_id("token"), org, 0, (session.Opened(at, who, org, *said),))
    await stage.services.log.append(Append((write,), who, f"cmd:{uuid.uuid4().hex * 2}"))
    await stage.services.following.catch_up()
    return {"token": token}


def test_who_is_signed_in_as_both_is_one_person_from_then_on(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """The other identity's sessions are over, and signing in with it is signing in as the person;
    unlinked it is its own again. Neither a key, nor a token of the embedded issuer, nor an old
    session, nor one of another organization proves anything, and an identity has one person. A
    session that is being opened loses to the link that is made meanwhile, and a link to the end of
    a session that it rests on.
    """

    async def scene(stage: Stage) -> None:
        with issuer() as first, issuer() as second:
            org = (await stage.post("/v1/organizations", {"name": "Org"})).json()["id"]
            far = (await stage.post("/v1/organizations", {"name": "Far"})).json()["id"]
            at, then = await trusted(stage, first, org), await trusted(stage, second, org)
            away = await trusted(stage, second, far)
            alice = await signed_in(stage, first, at, sub="alice")
            other = await signed_in(stage, second, then, sub="a.b")
            eve = await signed_in(stage, second, then, sub="eve")
            abroad = await signed_in(stage, second, away, sub="a.b")
            old = await aged(stage, then, org, principal(second.url, "old"))
            embedded = {"token": stage.token("user", org, subject="user-x")}
            for own, shown, why in (
                (alice, alice, (409, "identity.same")),
                (alice, abroad, (409, "identity.elsewhere")),
                (alice, old, (403, "identity.proof_old")),
                (old, alice, (403, "identity.proof_old")),
                (embedded, alice, (403, "identity.session_required")),
                (alice, {"token": minted(PREFIX)}, (403, "identity.proof_invalid")),
            ):
                assert await code(link(stage, own, shown)) == why
            made = await link(stage, alice, other)
            assert made.status_code == 201, made.text
            name, person = principal(second.url, "a.b"), alice["principal"]
            said = {one: made.json()[one] for one in ("id", "person", "linked")}
            assert said == {"id": name, "person": person, "linked": True}
            assert await me(stage, other) == (401, "")
            assert await code(link(stage, eve, other)) == (403, "identity.proof_invalid")
            again = await signed_in(stage, second, then, sub="a.b")
            assert (again["principal"], await me(stage, again)) == (person, (200, person))
            assert (await signed_in(stage, second, away, sub="a.b"))["principal"] == name
            body = {"principal": person, "organization": far}
            assert (await stage.post("/v1/members", body)).status_code == 200
            for one, seen in ((alice, 200), (again, 404)):
                there = await stage.get("/v1/me", token=one["token"], Organization=far)
                assert there.status_code == seen, "no issuer speaks elsewhere for what is linked"
            listed = (await stage.get("/v1/identities", token=again["token"])).json()["items"]
            assert [one["id"] for one in listed] == [name]
            one_link = await stage.get(f"/v1/identities/{name}", token=again["token"])
            assert one_link.json() == listed[0]
            hidden = stage.get(f"/v1/identities/{name}", token=eve["token"])
            assert await code(hidden) == (404, "resource.unknown")
            assert await code(unlink(stage, eve, name)) == (404, "resource.unknown")
            assert await code(unlink(stage, alice, person)) == (404, "resource.unknown")
            done = await unlink(stage, alice, name, If_Match=one_link.headers["etag"])
            assert (done.status_code, done.json()["linked"]) == (200, False), done.text
            assert (await unlink(stage, alice, name)).json() == done.json(), "it is so"
            assert await me(stage, again) == (401, "")
            assert await me(stage, alice) == (200, person)
            last = await signed_in(stage, second, then, sub="a.b")
            assert last["principal"] == name
            between(stage, "/v1/identities", {"session": last["token"]}, alice["token"])
            assert (await signed_in(stage, second, then, sub="a.b"))["principal"] == person
            late = await signed_in(stage, second, then, sub="late")
            between(stage, f"/v1/sessions/{late['id']}/end", {}, late["token"], IdentityLinked)
            assert await code(link(stage, alice, late)) == (403, "identity.proof_invalid")

    play(database, nats_url, tmp_path, scene)


def test_nobody_is_two_persons_for_break_glass(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Two identities of the staff that were ever linked do not approve each other's requests, nor
    does one of them make the other's second person.
    """

    async def scene(stage: Stage) -> None:
        with issuer() as here:
            org = (await stage.tenant())["org"]
            at = await trusted(stage, here, "-")
            signed = {who: await signed_in(stage, here, at, sub=who) for who in ("a", "b", "c")}

            async def staffed(who: str, role: str, by: str | None = None) -> None:
                token = None if by is None else signed[by]["token"]
                name = signed[who]["principal"]
                body = {"principal": name, "organization": "-"}
                assert (await stage.post("/v1/members", body, token=token)).status_code == 200
                body = {"principal": name, "role": role, "scope": "-"}
                made = await stage.post("/v1/role-bindings", body, token=token)
                assert made.status_code == 201, made.text

            await staffed("a", "operator")
            await staffed("b", "support")
            await staffed("c", "support", by="a")

            async def approved(asking: str, approving: str) -> tuple[int, str]:
                body = {"scope": org, "reason": "It hangs.", "ticket": "T-1"}
                asked = await stage.post("/v1/break-glass", body, token=signed[asking]["token"])
                assert asked.status_code == 201, asked.text
                path, token = f"/v1/break-glass/{asked.json()['id']}/approve", signed[approving]
                said = await stage.post(path, token=token["token"])
                return said.status_code, said.json().get("code") or said.json()["state"]

            assert await approved("a", "b") == (200, "approved")
            assert await approved("c", "b") == (200, "approved")
            assert (await link(stage, signed["a"], signed["b"])).status_code == 201
            assert await me(stage, signed["b"]) == (401, "")
            signed["b"] = await signed_in(stage, here, at, sub="b")
            assert await approved("a", "b") == (403, "auth.forbidden")
            gone = await unlink(stage, signed["b"], principal(here.url, "b"))
            assert gone.status_code == 200, gone.text
            signed |= {who: await signed_in(stage, here, at, sub=who) for who in ("a", "b")}
            for asking, approving in (("a", "b"), ("b", "a")):
                assert await approved(asking, approving) == (403, "auth.forbidden")
            assert await approved("c", "b") == (403, "break_glass.not_independent")

    play(database, nats_url, tmp_path, scene)
