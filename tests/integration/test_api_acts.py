"""Acting requests under repetition, concurrency, crashes and bad input, over a real log."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.limiting import Limits
from api.limits import Rate
from api.refusal_log import RefusalLog
from tests.api_stage import Stage, play, staged
from tests.conftest import Database

pytestmark = pytest.mark.slow

_NEW = {"name": "Acme"}


def test_one_key_one_act(database: Database, nats_url: str, tmp_path: Path) -> None:
    """The same key and body give the same answer, alone or side by side; another body is 422."""

    async def scene(stage: Stage) -> None:
        answers = await asyncio.gather(
            *(stage.post("/v1/organizations", _NEW, key="k") for _ in range(20))
        )
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.text for answer in answers}) == 1
        before = await stage.size()
        again = await stage.post("/v1/organizations", _NEW, key="k")
        assert (again.text, again.headers["log-position"]) == (
            answers[0].text,
            answers[0].headers["log-position"],
        )
        other = await stage.post("/v1/organizations", {"name": "Else"}, key="k")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key.reused")
        foreign = stage.token("platform-operator", None, subject="user-2")
        mine = await stage.post("/v1/organizations", _NEW, key="k", token=foreign)
        assert mine.json()["id"] != again.json()["id"], "a key belongs to one principal"
        assert await stage.size() == before + 2, "with what let it"

    play(database, nats_url, tmp_path, scene)


def test_a_secret_is_shown_once(database: Database, nats_url: str, tmp_path: Path) -> None:
    """A repeated invitation or token request answers without the secret, and says so."""

    async def scene(stage: Stage) -> None:
        for path, body in (
            ("/v1/nodes", {"name": "n", "model": "T4"}),
            ("/v1/tokens", {"subject": "eve", "role": "auditor"}),
        ):
            first = (await stage.post(path, body, key="k")).json()
            again = (await stage.post(path, body, key="k")).json()
            assert first["token"], path
            assert (again["token"], again["secret_already_shown"]) == (None, True)
            assert (first | {"token": None, "secret_already_shown": True}) == again

    play(database, nats_url, tmp_path, scene)


def test_a_crash_between_append_and_answer(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """The claim outlives the process: same body = the answer again, other body = 422.

    A claim whose process died before the append is taken over and done.
    """

    async def scene(stage: Stage) -> None:
        await stage.post("/v1/organizations", _NEW, key="dead")
        _orphan(database, "claim has an outcome")
        again = await stage.post("/v1/organizations", _NEW, key="dead")
        assert again.status_code == 201
        other = await stage.post("/v1/organizations", {"name": "Else"}, key="dead")
        assert other.status_code == 422
        _claim_of_the_dead(database, "unborn", b'{"name":"Acme"}')
        done = await stage.post("/v1/organizations", b'{"name":"Acme"}', key="unborn")
        assert done.status_code == 201, done.text

    play(database, nats_url, tmp_path, scene)


def _orphan(database: Database, _: str) -> None:
    with psycopg.connect(database.app_url) as conn:
        conn.execute("UPDATE api.claim SET holder = 12345")


def _claim_of_the_dead(database: Database, key: str, body: bytes) -> None:
    text = f"gpuaas-command/1\n-\nuser-1\nPOST /v1/organizations\n{key}"
    values = {
        "command": hashlib.sha256(text.encode()).digest(),
        "print": hashlib.sha256(body).digest(),
    }
    with psycopg.connect(database.app_url) as conn:
        conn.execute(
            "INSERT INTO api.claim (command, fingerprint, holder) "
            "VALUES (%(command)s, %(print)s, 4711)",
            values,
        )


def test_refusals_are_not_kept(database: Database, nats_url: str, tmp_path: Path) -> None:
    """A refused launch with the same key succeeds once there is room: a raised limit counts."""

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        body = {"project": tenant["project"], "name": "r"}
        refused = await stage.post("/v1/runtimes", body, key="k")
        assert (refused.status_code, refused.json()["code"]) == (409, "capacity.none_fits")
        await stage.node()
        admitted = await stage.post("/v1/runtimes", body, key="k")
        assert admitted.status_code == 201, admitted.text

    play(database, nats_url, tmp_path, scene)


def test_quota_refuses_with_numbers(database: Database, nats_url: str, tmp_path: Path) -> None:
    """A refusal says which limit, its use and what would fit; nothing is over-admitted side by
    side.
    """

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        await stage.node()
        await stage.node()
        limit = {"scope": tenant["project"], "model": "*", "limit_milli": 5000}
        assert (await stage.post("/v1/quotas", limit)).status_code == 201
        body = {"project": tenant["project"], "name": "r"}
        answers = await asyncio.gather(*(stage.post("/v1/runtimes", body) for _ in range(12)))
        codes = sorted(answer.status_code for answer in answers)
        assert codes == [201] * 5 + [409] * 7
        problem = next(answer.json() for answer in answers if answer.status_code == 409)
        assert problem["code"] == "quota.exceeded"
        assert (problem["facts"]["limit_milli"], problem["facts"]["fits_milli"]) == (5000, 0)

    play(database, nats_url, tmp_path, scene)


def test_a_small_tenant_needs_no_department(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Of first projects at once in two processes each is made, in the one department that came with
    the first of them; where there are several, it is named, or nothing is made.
    """

    async def scene() -> None:
        async with (
            staged(database, nats_url, tmp_path) as one,
            staged(database, nats_url, tmp_path, elect=False) as two,
        ):
            org = (await one.post("/v1/organizations", _NEW)).json()["id"]
            opening = {"organization": org, "currency": "USD", "zone": "UTC"}
            account = (await one.post("/v1/accounts", opening)).json()["id"]
            body = {"account": account, "name": "P"}
            asked = (stage.post("/v1/projects", body, key="k") for stage in (one, two, one, two))
            more = (stage.post("/v1/projects", body) for stage in (one, two))
            answers = await asyncio.gather(*asked, *more)
            assert {answer.status_code for answer in answers} == {201}
            assert len({answer.json()["id"] for answer in answers}) == 3
            await one.views()
            [made] = (await one.get(f"/v1/departments?organization={org}")).json()["items"]
            assert {answer.json()["department"] for answer in answers} == {made["id"]}
            assert made["name"] == "General"
            await one.post("/v1/departments", {"organization": org, "name": "Other"})
            before = await one.size()
            refused = await two.post("/v1/projects", body)
            unclear = (400, "project.department_unclear")
            assert (refused.status_code, refused.json()["code"]) == unclear
            assert await one.size() == before

    asyncio.run(scene())


def test_foreign_things_do_not_exist(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Another organization's resource is 404 to read, to launch in and to stop; lists omit it."""

    async def scene(stage: Stage) -> None:
        tenant, other = await stage.tenant(), await stage.tenant()
        await stage.node()
        body = {"project": tenant["project"], "name": "r"}
        runtime = (await stage.post("/v1/runtimes", body)).json()["id"]
        await stage.views()
        eve = stage.token("member", other["org"])
        for answer in (
            await stage.get(f"/v1/runtimes/{runtime}", token=eve),
            await stage.post("/v1/runtimes", body, token=eve),
            await stage.post(f"/v1/runtimes/{runtime}/stop", {}, token=eve),
            await stage.get(f"/v1/accounts/{tenant['account']}", token=eve),
            await stage.get(f"/v1/runtimes?organization={tenant['org']}", token=eve),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "resource.unknown")
        for path in ("runtimes", "projects", "accounts", "departments", "organizations"):
            listed = (await stage.get(f"/v1/{path}", token=eve)).json()["items"]
            assert not [one for one in listed if tenant["org"] in str(one)], path
        assert (await stage.get("/v1/nodes", token=eve)).status_code == 403
        assert (await stage.get("/v1/bundle", token=eve)).status_code == 403

    play(database, nats_url, tmp_path, scene)


_BAD: list[tuple[bytes, int]] = [
    (b"{", 400),
    (b'{"name":"a","more":1}', 400),
    (b'{"name":7}', 400),
    (b'{"name":"a\\u0000"}', 400),
    (b'{"name":"a\x00"}', 400),
    (b'{"name":"\xff"}', 400),
    (b"[" * 5000 + b"]" * 5000, 400),
    (b'{"name":' + b"[" * 40 + b"]" * 40 + b"}", 400),
    (b'{"name":"' + b"a" * 70_000 + b'"}', 413),
    (b"", 400),
    (b"null", 400),
]


def test_bad_bodies_change_nothing(
    database: Database, nats_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every bad body, token, key and version is a 4xx problem and leaves log and claims alone; it is
    in the process's own log instead, and in no count.
    """

    async def scene(stage: Stage) -> None:
        before = await stage.size()
        await _told_in_lines(stage, caplog)
        for body, status in _BAD:
            answer = await stage.post("/v1/organizations", body)
            assert answer.status_code == status, (body[:40], answer.text)
            _is_problem(answer)
        for key in ("", " ", "a b", "é".encode().decode("latin-1"), "k" * 201):
            answer = await stage.client.post(
                "/v1/organizations",
                json=_NEW,
                headers=[
                    (b"Authorization", b"Bearer " + stage.operator.encode()),
                    (b"Idempotency-Key", key.encode("latin-1")),
                ],
            )
            assert answer.json()["code"] == "idempotency_key.required"
        for token in ("x", stage.token("member", None), stage.operator[:-8] + "AAAAAAAA"):
            assert (await stage.post("/v1/organizations", _NEW, token=token)).status_code == 401
        for path in ("/v1/nothing", "/v1/runtimes/x", "/v1/invoices/x", "/v1/receipts/999999"):
            answer = await stage.get(path)
            assert answer.status_code in {404, 409}, path
            _is_problem(answer)
        for path in (
            "runtimes?limit=0",
            "runtimes?cursor=x",
            "runtimes?as_of=x",
            "runtimes?limit=a",
        ):
            assert (await stage.get(f"/v1/{path}")).status_code == 400, path
        assert (await stage.client.put("/v1/organizations")).status_code == 405
        await stage.services.calls.seal()
        assert await stage.size() == before + 1, "the two that were asked for in time"
        with psycopg.connect(database.app_url) as conn:
            row = conn.execute("SELECT count(*) FROM api.claim").fetchone()
        assert row == (0,)

    play(database, nats_url, tmp_path, scene)


async def _told_in_lines(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Who is nobody, and what cannot be read: a line each, with what the answer names it by, and
    nothing that was sent; a flood is a few lines, and the next one says how many it was.
    """
    transport = stage.client._transport
    assert isinstance(transport, httpx.ASGITransport)
    app: Any = transport.app
    log = app.state.refusal_log = RefusalLog(Rate(1, 5))
    asked = (
        ("auth.missing", await stage.client.get("/v1/runtimes?secret=canary"), "nobody"),
        ("auth.invalid", await stage.get("/v1/runtimes/canary", token="canary"), "nobody"),
        ("issuer.unknown", await _signs_in(stage), "nobody"),
        ("resource.unknown", await stage.client.get("/canary"), "nobody"),
        ("request.malformed", await stage.post("/v1/organizations", b"canary"), "user-1"),
    )
    lines = _lines(caplog)
    assert len(lines) == len(asked)
    for line, (code, answer, by) in zip(lines, asked, strict=True):
        assert line.startswith(f"{answer.json()['correlation_id']} {code}: "), line
        assert line.endswith(f" from 127.0.0.1 by {by}"), line
        assert "canary" not in line
    assert "GET /v1/runtimes/{runtime_id" in lines[1]
    for _ in range(40):
        assert (await stage.client.get("/v1/runtimes")).status_code == 401
    written = len(_lines(caplog))
    assert written < 15, "a line a second, after the first few"
    log._lines = Limits(Rate(1, 5))
    await stage.client.get("/v1/runtimes")
    last = _lines(caplog)[-1]
    assert last.endswith(f" by nobody ({len(asked) + 40 - written} more before it)"), last


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "gpuaas.api"]


async def _signs_in(stage: Stage) -> httpx.Response:
    body = {
        "issuer": "token-00000000-0000-7000-8000-000000000001",
        "id_token": "canary",
        "nonce": "canary",
    }
    return await stage.client.post("/v1/sessions", json=body)


def _is_problem(answer: Any) -> None:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"].endswith(body["code"])
    assert body["correlation_id"]


def test_versions_and_positions(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Closing needs If-Match (428), a stale one is 412; a position that the views have
    not reached is 503, one that the log has not is refused at once.
    """

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        await stage.views()
        period = (await stage.get(f"/v1/periods?account={tenant['account']}")).json()["items"][0]
        path = f"/v1/periods/{period['id']}/close"
        assert (await stage.post(path)).status_code == 428
        assert (await stage.post(path, If_Match='"7"')).status_code == 412
        early = await stage.post(path, If_Match='"1"')
        assert (early.status_code, early.json()["code"]) == (409, "period.not_over")
        size = await stage.size()
        await stage.tenant()
        far = await stage.get("/v1/organizations", Min_Log_Position=str(size))
        assert (far.status_code, far.headers["retry-after"]) == (503, "1")
        nowhere = await stage.get("/v1/organizations", Min_Log_Position=str(await stage.size()))
        assert (nowhere.status_code, nowhere.json()["code"]) == (400, "position.unknown")
        first = await stage.get("/v1/organizations?as_of=0")
        assert first.json()["items"] == []
        future = await stage.get("/v1/organizations?as_of=999999")
        assert future.json()["code"] == "as_of.in_future"

    play(database, nats_url, tmp_path, scene)


def test_events_resume_by_position(database: Database, nats_url: str, tmp_path: Path) -> None:
    """The stream is every entry the caller may see, once, in order; resumed after Last-Event-ID."""

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        whole = await stage.get("/v1/events?follow=false")
        ids = [line for line in whole.text.splitlines() if line.startswith("id: ")]
        assert ids == [f"id: {number}" for number in range(await stage.size())]
        rest = await stage.get("/v1/events?follow=false", Last_Event_ID="3")
        assert rest.text.splitlines()[2] == "id: 4"
        eve = stage.token("member", tenant["org"])
        own = await stage.get("/v1/events?follow=false", token=eve)
        assert "pricebook" not in own.text
        assert tenant["project"] in own.text
        assert (await stage.get("/v1/events", Last_Event_ID="-1")).status_code == 400

    play(database, nats_url, tmp_path, scene)
