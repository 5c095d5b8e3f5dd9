"""Ordinary concurrency on one stream is served, not refused; and one name is registered once."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.edge import instant, now_us
from api.limiting import Limits
from api.limits import Rate
from domain.sealing import Downloaded
from tests.api_stage import Stage, play, staged
from tests.conftest import Database
from tests.integration.evidence_stack import EvidenceStack

pytestmark = pytest.mark.slow


def test_downloads_side_by_side_are_all_served(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """60 receipts, 30 bundles and 20 tokens at once: none is refused, each is a fact; the receipts of
    those facts are none, so whoever takes the receipt of each entry comes to an end.
    """
    stack = EvidenceStack(database, tmp_path)

    async def run() -> None:
        async with staged(database, nats_url, tmp_path) as stage:
            org = (await stage.post("/v1/organizations", {"name": "Acme"})).json()["id"]
            await asyncio.to_thread(stack.integrate)
            before = await stage.size()
            token = {"subject": "q", "role": "member", "organization": org}
            answers = await asyncio.gather(
                *(stage.get(f"/v1/receipts/{number % 2}") for number in range(60)),
                *(stage.get("/v1/bundle") for _ in range(30)),
                *(stage.post("/v1/tokens", token) for _ in range(20)),
                stage.post("/v1/departments", {"organization": org, "name": "D"}),
            )
            assert {answer.status_code for answer in answers} == {200, 201}
            decided = 21  # what let whoever acts stands beside each token, and the department
            assert await stage.size() == before + len(answers) + decided
            await asyncio.to_thread(stack.integrate)
            size = await stage.size()
            entries = [await stage.services.log.entry(at) for at in range(before, size)]
            taken = [one.position for one in entries if one and isinstance(one.fact, Downloaded)]
            assert len(taken) == 90
            for at in taken[:3]:
                assert (await stage.get(f"/v1/receipts/{at}")).status_code == 200
            assert await stage.size() == size

    with stack.signing():
        asyncio.run(run())


def test_two_processes_take_turns_on_one_stream(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Two APIs over one log issue tokens for one organization at once: none is refused."""

    async def run() -> None:
        async with (
            staged(database, nats_url, tmp_path) as one,
            staged(database, nats_url, tmp_path, elect=False) as two,
        ):
            org = (await one.post("/v1/organizations", {"name": "Acme"})).json()["id"]
            token = {"subject": "q", "role": "member", "organization": org}
            answers = await asyncio.gather(
                *(stage.post("/v1/tokens", token) for stage in (one, two) for _ in range(20))
            )
            assert {answer.status_code for answer in answers} == {201}

    asyncio.run(run())


def test_an_organization_with_tokens_is_suspended_and_comes_back(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Tokens stand in the organization's stream and decide nothing of it; a stream of another kind
    is no organization.
    """

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        body = {"subject": "q", "role": "member", "organization": tenant["org"]}
        for step in ("suspend", "reactivate"):
            assert (await stage.post("/v1/tokens", body)).status_code == 201
            path = f"/v1/organizations/{tenant['org']}/{step}"
            done = await stage.post(path, {"reason": "unpaid"})
            assert done.status_code == 200, done.text
        size = await stage.size()
        for other in (tenant["project"], tenant["account"], "x", "organization-x"):
            refused = await stage.post(f"/v1/organizations/{other}/suspend", {"reason": "x"})
            assert (refused.status_code, refused.json()["code"]) == (404, "resource.unknown")
        assert await stage.size() == size

    play(database, nats_url, tmp_path, scene)


def test_a_meter_is_registered_once(database: Database, nats_url: str, tmp_path: Path) -> None:
    """By one of ten callers of two processes, whatever the views know, who all hear of the same one;
    another unit is refused.
    """

    async def run() -> None:
        async with (
            staged(database, nats_url, tmp_path) as one,
            staged(database, nats_url, tmp_path, elect=False) as two,
        ):
            body = {"meter": "tok.in", "unit": "token", "source": "readings"}
            answers = await asyncio.gather(
                *(stage.post("/v1/meters", body) for stage in (one, two) for _ in range(5)),
                two.post("/v1/meters", body | {"meter": "tok.out"}),
            )
            assert {answer.status_code for answer in answers} == {201}
            assert len({answer.json()["id"] for answer in answers}) == 2
            assert sum("log-position" in answer.headers for answer in answers) == 2
            size = await one.size()
            again = await one.post("/v1/meters", body | {"unit": "kilotoken"})
            assert (again.status_code, again.json()["code"]) == (409, "meter.exists")
            assert again.json()["facts"]["id"] in {answer.json()["id"] for answer in answers}
            await one.views()
            listed = (await one.get("/v1/meters")).json()["items"]
            assert {meter["meter"] for meter in listed} == {"tok.in", "tok.out"}
            again = await one.post("/v1/meters", body)
            assert again.json()["id"] in {meter["id"] for meter in listed}
            assert await one.size() == size

    asyncio.run(run())


def test_a_price_said_again_is_the_entry_it_was(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Its position is its identity: the repeat under a new key names the first one's."""

    async def scene(stage: Stage) -> None:
        body = {
            "model": "T4",
            "price": {"amount": "3.490000000000", "currency": "USD"},
            "effective_from": instant(now_us() + 3_600_000_000),
        }
        await stage.post("/v1/prices", body | {"model": "A100"})
        first = await stage.post("/v1/prices", body)
        assert first.status_code == 201, first.text
        size = await stage.size()
        again = await stage.post("/v1/prices", body)
        assert (again.status_code, again.json()) == (201, first.json())
        assert again.json()["position"] == int(first.headers["log-position"]) - 1
        assert await stage.size() == size

    play(database, nats_url, tmp_path, scene)


def test_one_principal_is_slowed_and_others_are_not(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Beyond its burst a principal is told 429 and when to come back, on every route and whatever
    token it has; nobody else is, and each answer says what is left.
    """

    async def scene(stage: Stage) -> None:
        transport = stage.client._transport
        assert isinstance(transport, httpx.ASGITransport)
        app: Any = transport.app
        app.state.limits = Limits(Rate(1, 3))
        other = stage.token("platform-operator", None)
        answers = [await stage.get("/v1/organizations") for _ in range(2)]
        answers.append(await stage.post("/v1/organizations", {"nonsense": 1}, token=other))
        assert [one.status_code for one in answers] == [200, 200, 400]
        left = [int(one.headers["RateLimit"].split("r=")[1].split(";")[0]) for one in answers]
        assert left == sorted(left, reverse=True)
        assert all(one.headers["RateLimit-Policy"] == '"principal";q=3;w=3' for one in answers)
        answer = await stage.post("/v1/organizations", {"name": "one too many"}, token=other)
        assert (answer.status_code, answer.json()["code"]) == (429, "rate.limited")
        wait = answer.headers["Retry-After"]
        assert int(wait) >= 1
        assert answer.headers["RateLimit"] == f'"principal";r=0;t={wait}'
        another = stage.token("platform-operator", None, subject="user-2")
        answer = await stage.get("/v1/organizations", token=another)
        assert (answer.status_code, answer.json()["items"]) == (200, [])
        public = (await stage.client.get("/v1/health")).headers["RateLimit-Policy"]
        assert public.startswith('"address"'), "no principal's"

    play(database, nats_url, tmp_path, scene)
