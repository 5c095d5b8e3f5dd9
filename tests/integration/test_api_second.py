"""A second API process: asks the one writer over NATS, shares its keys, outlives its claims."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import pytest
from httpx import Response

from api.admission import election
from api.admission.wire import Admitted, Ask, end_ask
from api.admission.writer import Writer
from api.claims import Claim, Claims
from domain.errors import DomainError
from domain.runtime import Cancelled
from tests.api_stage import Stage, staged
from tests.conftest import Database

pytestmark = pytest.mark.slow

type Scene = Callable[[Stage, Stage], Awaitable[None]]


def _both(database: Database, nats_url: str, data: Path, scene: Scene) -> None:
    """Runs a scene on the writer's process and on one that must ask it."""

    async def run() -> None:
        async with (
            staged(database, nats_url, data) as first,
            staged(database, nats_url, data, elect=False) as second,
        ):
            assert not await second.services.admission.elected(0)
            await scene(first, second)

    asyncio.run(run())


def test_forwarded_acts_are_the_writers_own(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A limit, a launch and an end asked over NATS are what they are on the writer: same facts,
    same refusals with the same numbers, same log position for a repeat.
    """

    async def scene(first: Stage, second: Stage) -> None:
        tenant = await second.tenant()
        node = await second.node(gpus=2)
        limit = {"scope": tenant["project"], "model": "*", "limit_milli": 1000}
        assert (await second.post("/v1/quotas", limit)).status_code == 201
        body = {"project": tenant["project"], "name": "Zoë's run"}
        given = await second.post("/v1/runtimes", body)
        assert given.status_code == 201, given.text
        made = given.json()
        assert (made["name"], made["node"], made["state"]) == ("Zoë's run", node, "allocated")
        refusals = [(await stage.post("/v1/runtimes", body)).json() for stage in (first, second)]
        assert {one["code"] for one in refusals} == {"quota.exceeded"}
        assert refusals[0]["facts"] == refusals[1]["facts"]
        assert refusals[1]["facts"]["fits_milli"] == 0
        position = int(given.headers["log-position"])
        ask = end_ask(made["id"], Cancelled("no use", 2**52), "user-1", f"pos:{position}")
        ended = await second.services.admission.ask(ask)
        assert ended.appended.last - ended.appended.first == 2, "runtime, node and quota together"
        with pytest.raises(DomainError, match=r"^admission\.nothing"):
            await second.services.admission.ask(ask)
        assert (await first.post("/v1/runtimes", body)).status_code == 201, "what it held is free"

    _both(database, nats_url, tmp_path, scene)


def test_one_key_is_one_act_across_processes(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """The same key sent to two processes at once launches once; both give the same answer."""

    async def scene(first: Stage, second: Stage) -> None:
        tenant = await first.tenant()
        await first.node(gpus=8)
        body = {"project": tenant["project"], "name": "r"}
        before = await first.size()
        answers = await asyncio.gather(
            *(
                stage.post("/v1/runtimes", body, key="k")
                for _ in range(4)
                for stage in (first, second)
            )
        )
        assert {answer.status_code for answer in answers} == {201}, answers[-1].text
        assert len({answer.text for answer in answers}) == 1
        assert len({answer.headers["log-leaf"] for answer in answers}) == 1
        assert await first.size() == before + 5
        other = await second.post("/v1/runtimes", body | {"name": "else"}, key="k")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key.reused")

    _both(database, nats_url, tmp_path, scene)


def test_a_dead_claim_with_another_body(database: Database, nats_url: str, tmp_path: Path) -> None:
    """A key claimed by a process that died before its append binds to its body for 30 s, in case
    the same body comes again; then another body may have it. One of a living process it may not.
    """

    async def scene(first: Stage, second: Stage) -> None:
        path, acme = "/v1/organizations", {"name": "Acme"}
        _claim(database, "young", "0 s", holder=4711)
        young = await first.post(path, acme, key="young")
        assert (young.status_code, young.json()["code"]) == (422, "idempotency_key.reused")
        _claim(database, "old", "31 s", holder=4711)
        before = await first.size()
        answers = await asyncio.gather(
            *(stage.post(path, acme, key="old") for stage in (first, second))
        )
        assert {answer.status_code for answer in answers} == {201}, [a.text for a in answers]
        assert len({answer.text for answer in answers}) == 1
        assert await first.size() == before + 2, "taken over by one of them"
        again = await second.post(path, {"name": "Else"}, key="old")
        assert again.json()["code"] == "idempotency_key.reused", "it has an outcome now"
        _claim(database, "living", "31 s", holder=4712)
        with psycopg.connect(database.app_url, autocommit=True) as living:
            living.execute("SELECT pg_advisory_lock(4712)")
            held = await first.post(path, acme, key="living")
        assert (held.status_code, held.json()["code"]) == (409, "idempotency_key.in_flight")
        assert held.headers["retry-after"]

    _both(database, nats_url, tmp_path, scene)


def test_a_dead_claim_that_another_took_meanwhile(
    database: Database, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who read a dead claim, and only then asks for its outcome, gets the answer of who took it
    over for the same body in between, and a refusal when that was for another.
    """

    async def scene(first: Stage, second: Stage) -> None:
        path, acme, real = "/v1/organizations", {"name": "Acme"}, Claims.take

        async def late(claims: Claims, command: bytes, fingerprint: bytes) -> Claim:
            claim = await real(claims, command, fingerprint)
            monkeypatch.setattr(Claims, "take", real)
            made.append(await first.post(path, acme, key=key))
            return claim

        for key, body, expected in (("same", acme, 201), ("other", {"name": "Else"}, 422)):
            made: list[Response] = []
            _claim(database, key, "31 s", holder=4711)
            monkeypatch.setattr(Claims, "take", late)
            answer = await second.post(path, body, key=key)
            assert (made[0].status_code, answer.status_code) == (201, expected), answer.text
            assert (answer.text == made[0].text) == (expected == 201)

    _both(database, nats_url, tmp_path, scene)


def _claim(database: Database, key: str, age: str, holder: int) -> None:
    """What a process leaves behind that claimed a key for another body and did no more."""
    text = f"gpuaas-command/1\n-\nuser-1\nPOST /v1/organizations\n{key}"
    values = {
        "command": hashlib.sha256(text.encode()).digest(),
        "print": hashlib.sha256(b"another body").digest(),
        "age": age,
        "holder": holder,
    }
    with psycopg.connect(database.app_url) as conn:
        conn.execute(
            "INSERT INTO api.claim (command, fingerprint, holder, claimed_at) VALUES "
            "(%(command)s, %(print)s, %(holder)s, clock_timestamp() - %(age)s::interval)",
            values,
        )


def test_an_act_whose_writer_answered_too_late(
    database: Database, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launch of which its process never heard the end keeps its key, at every process: the same
    body gets its answer, another body is refused, and a living process's silence holds up nobody.
    """

    async def scene(first: Stage, second: Stage) -> None:
        tenant = await first.tenant()
        await first.node(gpus=8)
        body = {"project": tenant["project"], "name": "r"}
        real, late = Writer.ask, asyncio.Event()

        async def slow(writer: Writer, ask: Ask) -> Admitted:
            await late.wait()
            return await real(writer, ask)

        monkeypatch.setattr(election, "_PATIENCE_S", 0.2)
        monkeypatch.setattr(Writer, "ask", slow)
        given = await second.post("/v1/runtimes", body, key="k")
        assert (given.status_code, given.json()["code"]) == (503, "admission.unavailable")
        monkeypatch.undo()
        early = await second.post("/v1/runtimes", body | {"name": "else"}, key="k")
        assert (early.status_code, early.json()["code"]) == (422, "idempotency_key.reused")
        before = await first.size()
        late.set()
        stages = (first, second, first)
        answers = await asyncio.gather(*(one.post("/v1/runtimes", body, key="k") for one in stages))
        assert {answer.status_code for answer in answers} == {201}, [one.text for one in answers]
        assert len({answer.text for answer in answers}) == 1
        assert await first.size() == before + 5, "launched once"
        other = await second.post("/v1/runtimes", body | {"name": "else"}, key="k")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key.reused")

    _both(database, nats_url, tmp_path, scene)
