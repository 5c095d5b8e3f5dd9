"""Signing in at an organization's own issuer: trusted, a session opened, used, ended."""

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct
from msgspec.structs import replace

from api.authorization.directory import Directory
from api.authorization.loading import load
from api.edge import now_us
from domain import issuer as trust
from domain import session
from domain.bounds import Bounds
from domain.issuer import principal
from evidence.append import Append, Appended, Write
from evidence.ids import new_id
from tests.api_stage import Stage, play, staged
from tests.conftest import Database
from tests.issuer_stage import AUDIENCE, Issuer, issuer

pytestmark = pytest.mark.slow


@pytest.fixture
def here() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


async def trusted(stage: Stage, here: Issuer, org: str) -> str:
    body = {"organization": org, "url": here.url, "client_id": AUDIENCE,
            "algorithms": ["ES256"], "domains": ["acme.example"]}  # fmt: skip
    answer = await stage.post("/v1/issuers", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def session_of(stage: Stage, at: str, token: str, nonce: str = "n-1") -> httpx.Response:
    body = {"issuer": at, "id_token": token, "nonce": nonce}
    return await stage.client.post("/v1/sessions", json=body)


async def signed_in(stage: Stage, here: Issuer, at: str, **claims: Any) -> dict[str, Any]:
    answer = await session_of(stage, at, here.token(**claims))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def code(answering: Any) -> tuple[int, str]:
    answer = await answering
    return answer.status_code, answer.json()["code"]


def between(
    stage: Stage,
    path: str,
    body: dict[str, Any],
    token: str | None = None,
    kind: type[Struct] = session.Opened,
) -> None:
    """Before the next fact of that kind is appended, and after it was decided on, somebody posts
    this.
    """
    log = stage.services.log
    at_once = log.append

    async def late(append: Append) -> Appended:
        if isinstance(append.writes[0].facts[0], kind):
            log.append = at_once  # type: ignore[method-assign]
            answer = await stage.post(path, body, token=token)
            assert answer.status_code < 300, answer.text
        return await at_once(append)

    log.append = late  # type: ignore[method-assign]


async def bound(stage: Stage, org: str, who: str, role: str) -> None:
    body = {"principal": who, "organization": org}
    assert (await stage.post("/v1/members", body)).status_code == 200
    body = {"principal": who, "role": role, "scope": org}
    assert (await stage.post("/v1/role-bindings", body)).status_code == 201


def test_from_an_address_to_what_a_binding_allows(
    database: Database, nats_url: str, tmp_path: Path, here: Issuer
) -> None:
    """A domain says where to sign in; who signed in is known by an opaque id and may nothing until
    somebody says so, whatever address the issuer says with it; the second factor that it tells of
    counts.
    """

    async def scene(stage: Stage) -> None:
        org = (await stage.tenant())["org"]
        at = await trusted(stage, here, org)
        again = await stage.post("/v1/issuers", {
            "organization": org, "url": here.url, "client_id": AUDIENCE,
            "algorithms": ["ES256"], "domains": ["acme.example"]})  # fmt: skip
        assert (again.json()["id"], again.json()["version"]) == (at, None)
        here.document["token_endpoint"] = "https://elsewhere.example/token"
        place = (await stage.client.get("/v1/sign-in?domain=Acme.Example")).json()
        assert (place["issuer"], place["url"], place["client_id"]) == (at, here.url, AUDIENCE)
        mine = await signed_in(stage, here, at, amr=["pwd", "otp"])
        assert mine["principal"] == principal(here.url, "somebody")
        assert (mine["organization"], mine["mfa"]) == (org, True)
        token = mine["token"]
        assert await code(stage.get("/v1/projects", token=token)) == (403, "auth.forbidden")
        await bound(stage, org, mine["principal"], "admin")
        await stage.views()
        seen = await stage.get("/v1/projects", token=token)
        assert (seen.status_code, len(seen.json()["items"])) == (200, 1)
        assert (await signed_in(stage, here, at, amr=["pwd"]))["mfa"] is False
        said = {"email": "somebody@acme.example", "email_verified": True}
        alike = await signed_in(stage, here, at, sub="other", **said)
        assert alike["principal"] == principal(here.url, "other"), "an address is nobody"
        assert await code(stage.get("/v1/projects", token=alike["token"])) == (
            *(403, "auth.forbidden"),
        )
        assert token not in (await stage.get("/v1/sessions", token=token)).text
        unknown = stage.client.get("/v1/sign-in?domain=other.example")
        assert await code(unknown) == (404, "issuer.unknown")
        other = (await stage.tenant())["org"]
        rival = {"organization": other, "url": here.url, "client_id": "rival",
                 "algorithms": ["ES256"]}  # fmt: skip
        claim = stage.post("/v1/issuers", {**rival, "domains": ["x.example", "acme.example"]})
        assert await code(claim) == (409, "issuer.domain_taken")
        claims = trust.Trusted(here.url, "late", other, ("ES256",), ("acme.example",), 1)
        stream = new_id("token")
        await stage.services.log.append(
            Append((Write(stream, other, 0, (claims,)),), "user-1", "cmd:" + "7" * 64)
        )
        await bound(stage, other, "user-rival", "owner")
        requires = {"issuer": stream, "exempt": ["user-rival"]}
        by = stage.token("user", other, "user-rival")
        assert (await stage.post("/v1/sso", requires, token=by)).status_code == 200
        place = (await stage.client.get("/v1/sign-in?domain=acme.example")).json()
        assert place["issuer"] == at, "who claimed it first, whatever another one requires"

    play(database, nats_url, tmp_path, scene)


def test_an_identity_token_opens_one_session(
    database: Database, nats_url: str, tmp_path: Path, here: Issuer
) -> None:
    """Its repeat is refused, five at once open one, and so does another signature over the same
    words; what the issuer did not sign, or signed for another request, stores nothing. When the
    trust in the issuer changes meanwhile, what it is then decides.
    """

    async def scene(stage: Stage) -> None:
        org = (await stage.tenant())["org"]
        at = await trusted(stage, here, org)
        claims = here.claims()
        token = here.token(**claims)
        answers = await asyncio.gather(*(session_of(stage, at, token) for _ in range(5)))
        assert sorted(one.status_code for one in answers) == [201, 409, 409, 409, 409]
        before = await stage.size()
        assert await code(session_of(stage, at, token)) == (409, "session.token_used")
        words = token.rpartition(".")[0]
        same = here.token(**claims)
        assert same != token
        assert same.rpartition(".")[0] == words
        assert await code(session_of(stage, at, same)) == (409, "session.token_used")
        other = here.token(sub="somebody else").rpartition(".")[2]
        forged = await code(session_of(stage, at, f"{words}.{other}"))
        assert forged == (401, "session.token_invalid")
        wrong = await code(session_of(stage, at, here.token(), "n-2"))
        assert wrong == (401, "session.token_invalid")
        nowhere = "token-00000000-0000-7000-8000-000000000000"
        assert await code(session_of(stage, nowhere, token)) == (404, "issuer.unknown")
        for odd in ("token--", "token-0-", "token-f"):
            assert await code(session_of(stage, odd, token)) == (404, "issuer.unknown"), odd
        assert await stage.size() == before
        other_domains = {"organization": org, "url": here.url, "client_id": AUDIENCE,
                         "algorithms": ["ES256"], "domains": ["b.example"]}  # fmt: skip
        between(stage, "/v1/issuers", other_domains)
        assert (await session_of(stage, at, here.token())).status_code == 201
        between(stage, f"/v1/issuers/{at}/distrust", {})
        assert await code(session_of(stage, at, here.token())) == (404, "issuer.unknown")

    play(database, nats_url, tmp_path, scene)


def test_one_person_has_so_many_sessions(
    database: Database, nats_url: str, tmp_path: Path, here: Issuer
) -> None:
    """Beyond them the oldest ends, by the person's own sign-in, and nobody else's; nobody is kept
    out by what they forgot elsewhere.
    """

    async def scene() -> None:
        async with staged(database, nats_url, tmp_path, bounds=Bounds(sessions=2)) as stage:
            org = (await stage.tenant())["org"]
            at = await trusted(stage, here, org)
            other = await signed_in(stage, here, at, sub="somebody-else")
            mine = [await signed_in(stage, here, at) for _ in range(4)]
            answers = [await stage.get("/v1/me", token=one["token"]) for one in (other, *mine)]
            assert [one.status_code for one in answers] == [200, 401, 401, 200, 200]
            recorded = await stage.services.log.read_stream(mine[0]["id"])
            assert isinstance(recorded[-1].fact, session.Ended)
            assert (recorded[-1].fact.reason, recorded[-1].actor) == (
                "session.too_many", mine[0]["principal"],
            )  # fmt: skip

    asyncio.run(scene())


def test_sessions_end(database: Database, nats_url: str, tmp_path: Path, here: Issuer) -> None:
    """By whoever has it, by an administrator, and with the trust in their issuer, for good; nobody
    of another organization sees or ends one.
    """

    async def scene(stage: Stage) -> None:
        org = (await stage.tenant())["org"]
        at = await trusted(stage, here, org)
        one, two, three = [await signed_in(stage, here, at, sub=name) for name in "abc"]
        end = f"/v1/sessions/{one['id']}/end"
        other = (await stage.post("/v1/organizations", {"name": "Other"})).json()["id"]
        foreign = stage.token("admin", other)
        for caller, said in ((foreign, "resource.unknown"), (two["token"], "resource.unknown")):
            assert (await code(stage.post(end, {}, token=caller)))[1] == said
        assert (await stage.get("/v1/sessions", token=foreign)).json()["items"] == []
        admin = stage.token("admin", org)
        path, unknown = f"/v1/sessions/{one['id']}", (404, "resource.unknown")
        for token in (one["token"], admin, stage.operator):
            assert (await stage.get(path, token=token)).json() == one | {"token": None}
        for token in (two["token"], foreign):
            assert await code(stage.get(path, token=token)) == unknown
        assert (await stage.post(end, {}, token=one["token"])).json()["ended"] is True
        gone = (401, "auth.invalid")
        assert await code(stage.get("/v1/sessions", token=one["token"])) == gone
        assert (await stage.get("/v1/sessions", token=two["token"])).status_code == 200
        assert await code(stage.get(path, token=admin)) == unknown, "over"
        answer = await stage.post(f"/v1/sessions/{two['id']}/end", {}, token=admin)
        assert answer.status_code == 200
        assert await code(stage.get("/v1/sessions", token=two["token"])) == gone
        left = (await stage.get("/v1/sessions", token=admin)).json()["items"]
        assert [item["id"] for item in left] == [three["id"]]
        assert (await stage.post(f"/v1/issuers/{at}/distrust", {})).json()["trusted"] is False
        assert await code(stage.get("/v1/sessions", token=three["token"])) == gone
        assert await code(session_of(stage, at, here.token())) == (404, "issuer.unknown")
        assert await trusted(stage, here, org) == at
        assert await code(stage.get("/v1/sessions", token=three["token"])) == gone
        assert (await signed_in(stage, here, at, sub="c"))["principal"] == three["principal"]
        strange = stage.get("/v1/sessions?organization=organization-a%20b")
        assert await code(strange) == (404, "resource.unknown")
        await known_late(stage, org, at)

    play(database, nats_url, tmp_path, scene)


async def known_late(stage: Stage, org: str, at: str) -> None:
    """What another process appended a moment ago, before its wake came, is ended like the rest; a
    process that starts knows of no session whose time is over.
    """
    await stage.services.following.close()  # no wake comes any more
    log, now = stage.services.log, now_us()
    fact = session.Opened(at, "user-1", org, "00" * 32, (), "", now + 1_000_000_000, now)
    made = trust.Trusted("https://accounts.example", AUDIENCE, org, ("ES256",), (), now)
    past = replace(fact, token_sha256="11" * 32, expires_us=now)
    opened, issued, old = new_id("token"), new_id("token"), new_id("token")
    for stream, one in ((opened, fact), (issued, made), (old, past)):
        write = Write(stream, org, 0, (one,))
        await log.append(Append((write,), "user-1", f"cmd:{secrets.token_hex(32)}"))
    for _ in range(2):  # its repeat says the same
        over = await stage.post(f"/v1/issuers/{issued}/distrust", {}, key="over")
        assert (over.json()["id"], over.json()["trusted"]) == (issued, False)
        ended = await stage.post(f"/v1/sessions/{opened}/end", {}, key="end")
        assert (ended.json()["id"], ended.json()["ended"]) == (opened, True)
    fresh = Directory()
    await stage.services.reads.ask(load, fresh)
    known = {one.stream for one in fresh.sessions(org)}
    assert opened in known
    assert old not in known
    late = await stage.post(f"/v1/sessions/{old}/end", {})
    assert (late.status_code, late.json()["ended"]) == (200, True)


def test_the_platforms_own_staff_signs_in_at_an_issuer_of_its_own(
    database: Database, nats_url: str, tmp_path: Path, here: Issuer
) -> None:
    """Trusted once for the platform, as for an organization; whoever signs in there belongs to it."""

    async def scene(stage: Stage) -> None:
        at = await trusted(stage, here, "-")
        assert await trusted(stage, here, "-") == at
        listed = (await stage.get("/v1/issuers?organization=-")).json()["items"]
        assert [one["id"] for one in listed] == [at]
        assert (await signed_in(stage, here, at, amr=["otp"]))["organization"] == "-"
        ended = await stage.post(f"/v1/issuers/{at}/distrust", {"reason": "left"})
        assert (ended.status_code, ended.json()["trusted"]) == (200, False)

    play(database, nats_url, tmp_path, scene)


def test_an_issuer_that_is_none_is_not_trusted(
    database: Database, nats_url: str, tmp_path: Path, here: Issuer
) -> None:
    """Its document is read first: another's name, no answer, a plain address elsewhere, a shared
    secret as signature: refused by name, and nothing is stored. Tenants trust nobody by themselves.
    """

    async def scene(stage: Stage) -> None:
        org = (await stage.tenant())["org"]
        body = {"organization": org, "url": here.url, "client_id": AUDIENCE}
        owner = stage.token("admin", org)
        forbidden = await code(stage.post("/v1/issuers", body, token=owner))
        assert forbidden == (403, "auth.forbidden")
        before = await stage.size()  # that an administrative act was denied is a fact
        for url in ("http://accounts.example", "https://[x"):
            answer = await code(stage.post("/v1/issuers", {**body, "url": url}))
            assert answer == (400, "issuer.invalid"), url
        shared = {**body, "algorithms": ["HS256"]}
        assert await code(stage.post("/v1/issuers", shared)) == (400, "request.invalid")
        here.document["issuer"] = "https://accounts.example"
        assert await code(stage.post("/v1/issuers", body)) == (400, "issuer.invalid")
        here.status = 500
        away = {**body, "client_id": "another"}
        assert (await code(stage.post("/v1/issuers", away)))[0] in {400, 503}
        assert await stage.size() == before

    play(database, nats_url, tmp_path, scene)
