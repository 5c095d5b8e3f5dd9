"""Refused calls are counted and sealed: one stolen token does not flood the log."""

import asyncio
import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.authorization import calls
from api.authorization.calls import DENIED, MOST_KINDS, OTHERS, SINGLE, Kind
from domain.errors import DomainError
from domain.sealing import CallsSealed
from evidence.append import Append, Appended
from evidence.log import EventLog
from gpuaas_verify.merkle import leaf_hash, root_hash, verify_inclusion
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow
FLOOD = 10_000


async def seals(stage: Stage) -> list[tuple[int, CallsSealed]]:
    """The seals of counted calls so far."""
    opened = await stage.services.log.entry(0)
    assert opened is not None
    stream = f"call-{opened.stream.partition('-')[2]}"
    recorded = await stage.services.log.read_stream(stream)
    return [(one.position, one.fact) for one in recorded if isinstance(one.fact, CallsSealed)]


async def flood(stage: Stage, token: str, path: str, times: int) -> None:
    """So many calls that are refused, straight to the application: no client in between."""
    app: Any = stage.client._transport.app  # type: ignore[attr-defined]
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"host", b"api")]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": headers, "client": ("10.0.0.1", 1), "server": ("api", 80), "root_path": "",
    }  # fmt: skip
    said: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            said.append(message["status"])

    for _ in range(times):
        await app({**scope, "headers": list(headers)}, receive, send)
    assert set(said) <= {403, 429}
    assert len(said) == times
    assert said.count(403) > times // 2


def test_a_stolen_token_does_not_flood_the_log(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """10,000 refused calls of one token add one fact, and refused administrative acts a few; the
    count is there, provable by its seal's root, and shown to the organization's auditor, also as
    OCSF; nobody else is shown it, and a foreign id is counted as a missing one is.
    """

    async def scene(stage: Stage) -> None:
        mine, other = await stage.tenant(), await stage.tenant()
        org = mine["org"]
        thief = stage.token("member", org, subject="user-thief")
        minutes = stage.services.calls._task
        assert minutes is not None
        minutes.cancel()  # how long a flood takes is this machine's affair
        before = await stage.size()
        await flood(stage, thief, "/v1/audit", FLOOD)
        body = {"principal": "user-x", "organization": org}
        for _ in range(SINGLE + 15):
            assert (await stage.post("/v1/members", body, token=thief)).status_code == 403
        unknown = "runtime-00000000-0000-7000-8000-000000000001"
        assert (await stage.get(f"/v1/runtimes/{unknown}", token=thief)).status_code == 404
        foreign = await stage.get(f"/v1/projects?organization={other['org']}", token=thief)
        assert foreign.status_code == 404
        await stage.services.calls.seal()
        assert await stage.size() - before == 1 + SINGLE
        await stage.services.calls.seal()
        assert await stage.size() - before == 1 + SINGLE, "nothing was counted since"
        [(position, fact)] = await seals(stage)
        with psycopg.connect(database.app_url) as conn:
            sql = "SELECT row_bytes FROM log.bulk_row WHERE bulk_table = 'call' ORDER BY row_number"
            rows = [bytes(row[0]) for row in conn.execute(sql)]
        assert root_hash(leaf_hash(row) for row in rows).hex() == fact.root
        told = [json.loads(row) for row in rows]
        assert sum(one["calls"] for one in told) == fact.calls_sum
        assert {one["org"] for one in told} == {org}
        counted = {(one["action"], one["reason"]): one["calls"] for one in told}
        assert counted["member.add", "auth.forbidden"] == 15
        assert counted["runtime.read", "resource.unknown"] == 1
        assert counted["project.list", "resource.unknown"] == 1
        assert counted["audit.list", "auth.forbidden"] > FLOOD // 2
        await stage.views()
        owner = stage.token("admin", org, subject="user-owner")
        shown = (await stage.get("/v1/audit?actor=user-thief", token=owner)).json()["items"]
        assert [one["outcome"] for one in shown] == ["denied"] * (len(rows) + SINGLE)
        by_action = {one["action"]: one for one in shown}
        assert by_action["audit.list"]["calls"] == counted["audit.list", "auth.forbidden"]
        assert by_action["audit.list"]["since"] < by_action["audit.list"]["at"]
        assert by_action["audit.list"]["receipt"] == f"/v1/receipts/{position}"
        proof = (await stage.get(by_action["audit.list"]["proof"], token=owner)).json()
        leaf, path = leaf_hash(proof["row"].encode()), list(map(bytes.fromhex, proof["path"]))
        root = bytes.fromhex(fact.root)
        verify_inclusion(proof["index"], proof["count"], leaf, path, root)
        assert json.loads(proof["row"])["calls"] == by_action["audit.list"]["calls"]
        seal = await stage.get(proof["receipt"], token=owner)
        assert seal.json()["code"] == "receipt.not_signed"  # nobody signs on a stage
        paged, query = [], "?actor=user-thief&limit=2"
        while query:
            answer = (await stage.get(f"/v1/audit{query}", token=owner)).json()
            paged += answer["items"]
            more = answer["next"]
            query = f"?actor=user-thief&limit=2&cursor={more}" if more else ""
        assert paged == shown
        lines = (await stage.get("/v1/audit/ocsf?actor=user-thief", token=owner)).text.splitlines()
        events = [json.loads(line) for line in lines]
        assert {one["status_id"] for one in events} == {2}
        assert sum(one["count"] for one in events) == sum(one["calls"] for one in shown)
        assert len({one["metadata"]["uid"] for one in events}) == len(events)
        foreigner = stage.token("admin", other["org"])
        for path in (by_action["audit.list"]["proof"], by_action["audit.list"]["receipt"]):
            assert (await stage.get(path, token=foreigner)).status_code == 404
        assert (await stage.get("/v1/audit/calls/99", token=owner)).status_code == 404
        assert (await stage.get("/v1/audit/calls/0", token=thief)).status_code == 403
        assert (await stage.get("/v1/audit?actor=user-thief", token=foreigner)).json()[
            "items"
        ] == []

    play(database, nats_url, tmp_path, scene)


def test_what_is_counted_is_bounded_and_two_processes_share_one_chain(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Kinds beyond the bound are one row of others; nothing is lost when two seal at once."""

    async def scene(stage: Stage) -> None:
        mine = stage.services.calls
        other = calls.Calls(stage.services.log, stage.services.reads, lambda: 7)
        for number in range(MOST_KINDS + 10):
            kind = Kind("organization-1", f"user-{number}", "", "a.b", DENIED, "auth.forbidden", "")
            mine.count(kind)
            other.count(kind)
        one = Kind("organization-2", "user-1", "", "a.b", DENIED, "auth.forbidden", "")
        mine.count(one)
        mine.count(one)
        await asyncio.gather(mine.seal(), other.seal())
        found = [fact for _, fact in await seals(stage)]
        assert sorted(fact.count for fact in found) == [MOST_KINDS + 1, MOST_KINDS + 2]
        assert sorted(fact.calls_sum for fact in found) == [MOST_KINDS + 10, MOST_KINDS + 12]
        with psycopg.connect(database.app_url) as conn:
            sql = "SELECT row_bytes FROM log.bulk_row WHERE bulk_table = 'call'"
            told = [json.loads(bytes(row[0])) for row in conn.execute(sql)]
        others = [row for row in told if row["principal"] == OTHERS]
        assert [row["calls"] for row in others] == [10, 10]
        assert [row["calls"] for row in told if row["org"] == "organization-2"] == [2]

    play(database, nats_url, tmp_path, scene)


class Away:
    """The log behind a network that loses answers: before the append arrives, or after it."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.before = self.after = 0
        self.arrived = asyncio.Event()
        self.refusal = "log.unavailable"
        self.meanwhile: Callable[[], None] = lambda: None

    async def append(self, append: Append) -> Appended:
        self.arrived.set()
        self.meanwhile()
        if self.before:
            self.before -= 1
            raise DomainError(self.refusal, "it did not arrive")
        found = await self._log.append(append)
        if self.after:
            self.after -= 1
            raise DomainError(self.refusal, "whether it was stored is not known")
        return found

    async def outcome(self, cause: str) -> Appended | None:
        return await self._log.outcome(cause)


ONE = Kind("organization-2", "user-1", "", "a.b", DENIED, "auth.forbidden", "")


def away(stage: Stage) -> tuple[calls.Calls, Away]:
    """A counter of its own on a log that may be away; not started."""
    log = Away(stage.services.log)
    log_port: Any = log
    return calls.Calls(log_port, stage.services.reads, lambda: 7), log


async def sums(stage: Stage) -> list[int]:
    return [fact.calls_sum for _, fact in await seals(stage)]


def test_what_is_counted_is_sealed_once_whatever_the_log_answers(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A batch whose fate is unknown is sent again as it was and is in the log once: after an answer
    that was lost, a cancelled caller, another's seal in between, and a close during a seal.
    """

    async def scene(stage: Stage) -> None:
        mine, log = away(stage)
        mine.count(ONE)
        log.after = 1
        with pytest.raises(DomainError, match=r"log\.unavailable"):
            await mine.seal()
        mine.count(ONE)
        mine.count(ONE)
        await mine.seal()
        assert await sums(stage) == [1, 2]
        mine.count(ONE)
        log.arrived.clear()
        sealing = asyncio.create_task(mine.seal())
        await log.arrived.wait()
        sealing.cancel()
        await asyncio.gather(sealing, return_exceptions=True)
        await mine.seal()
        assert await sums(stage) == [1, 2, 1]
        mine.count(ONE)
        log.before = 1
        with pytest.raises(DomainError, match=r"log\.unavailable"):
            await mine.seal()
        other, _ = away(stage)
        for _ in range(5):
            other.count(ONE)
        await other.seal()
        await mine.seal()
        assert await sums(stage) == [1, 2, 1, 5, 1]
        mine.start()
        mine.count(ONE)
        log.arrived.clear()
        sealing = asyncio.create_task(mine.seal())
        await log.arrived.wait()
        await mine.close()
        await sealing
        assert await sums(stage) == [1, 2, 1, 5, 1, 1]

    play(database, nats_url, tmp_path, scene)


def test_counters_wait_for_a_log_that_is_away(
    database: Database,
    nats_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Closing waits for it, but not longer than it says, and then says what is lost; meanwhile no
    more is kept than two minutes' bounds, however many seals fail; a refusal that is no absence
    ends the task, and whoever waits on it hears.
    """

    async def scene(stage: Stage) -> None:
        mine, log = away(stage)
        minutes = count()

        def flooded() -> None:
            minute = next(minutes)
            for number in range(MOST_KINDS + 1):
                user = f"user-{minute}-{number}"
                mine.count(Kind("organization-1", user, "", "a.b", DENIED, "auth.forbidden", ""))

        flooded()
        log.before, log.meanwhile = 10, flooded
        for _ in range(10):
            with pytest.raises(DomainError, match=r"log\.unavailable"):
                await mine.seal()
        log.meanwhile = lambda: None
        await mine.seal()
        found = [fact for _, fact in await seals(stage)]
        assert [fact.count for fact in found] == [MOST_KINDS + 1] * 2
        assert sum(fact.calls_sum for fact in found) == 11 * (MOST_KINDS + 1)
        mine.start()
        mine.count(ONE)
        log.before = 2
        await mine.close()
        assert (await sums(stage))[2:] == [1]
        mine, log = away(stage)
        mine.start()
        mine.count(ONE)
        mine.count(ONE)
        log.before = 1_000
        monkeypatch.setattr(calls, "CLOSE_S", 0.3)
        await asyncio.wait_for(mine.close(), 60)
        assert "2 counted calls may not be in it" in caplog.text
        await asyncio.wait_for(mine.broken(), 60)
        monkeypatch.setattr(calls, "MINUTE_S", 0.01)
        mine, log = away(stage)
        mine.count(ONE)
        log.before, log.refusal = 1, "entry.refused"
        mine.start()
        with pytest.raises(DomainError, match=r"entry\.refused"):
            await asyncio.wait_for(mine.broken(), 60)

    play(database, nats_url, tmp_path, scene)
