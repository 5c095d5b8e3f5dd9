"""Budgets on the real admission writer and the worker's reaction, over HTTP; then the auditor."""

import asyncio
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from domain import budget, runtime
from domain.words import Attested
from evidence.ids import new_id
from evidence.log import Append, Write
from evidence.storage import Storage
from gpuaas_verify.books import Books
from projections import worker
from projections.views import read
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow

SECOND_US = 1_000_000
WORD = Attested("node-1", "00" * 32, "11" * 16, 1, "e30=", "aa")


class Told:
    """What the log says of the budgets of one organization."""

    def __init__(self, stage: Stage, org: str) -> None:
        self._stage, self._stream = stage, budget.budget_stream(org)

    async def facts(self) -> list[Any]:
        return [one.fact for one in await self._stage.services.log.read_stream(self._stream)]

    async def until(self, right: Callable[[list[Any]], bool]) -> list[Any]:
        async with asyncio.timeout(60):
            while True:
                found = await self.facts()
                if right(found):
                    return found
                await asyncio.sleep(0.05)


async def launch(stage: Stage, project: str) -> Any:
    return await stage.post("/v1/runtimes", {"project": project, "name": "r"})


async def usable(stage: Stage, name: str) -> int:
    """Its node says so, from when it was allocated: that instant."""
    found = await stage.services.log.read_stream(name)
    [at] = [one.fact.allocated_us for one in found if isinstance(one.fact, runtime.Allocated)]
    write = Write(name, found[0].org, len(found), (runtime.Usable(1, at, at, WORD),))
    await stage.services.log.append(Append((write,), "system-test", f"cmd:{uuid.uuid4().hex * 2}"))
    return int(at)


async def stops(stage: Stage, *names: str) -> list[int]:
    """Positions of their `stopping`, once all of them have one."""
    found: list[int] = []
    async with asyncio.timeout(60):
        for name in names:
            while True:
                last = (await stage.services.log.read_stream(name))[-1]
                if isinstance(last.fact, runtime.Stopping):
                    assert last.fact.reason == "budget.exhausted"
                    found.append(last.position)
                    break
                await asyncio.sleep(0.05)
    return found


def percents(facts: list[Any]) -> list[int]:
    return [one.percent for one in facts if isinstance(one, budget.Reached)]


def audited(stage: Stage) -> None:
    """The auditor's own books take every entry."""
    with psycopg.connect(stage.services.settings.database_url) as conn, Books(None) as books:
        for position, raw in read(conn, 0, 10_000):
            entry = json.loads(raw)
            if entry["tag"] == "gpuaas.runtime.usable.v1":  # nobody's word, see `usable`
                entry["tag"] = "gpuaas.log.heartbeat.v1"
            books.feed(position, entry)


def test_a_project_spends_its_budget(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Told at 50, 80 and 100 % of what runs, and by the forecast, once each although two workers
    look; then refused, raised and admitted, stopped the newest first, cleared and admitted.
    """

    async def scene(stage: Stage) -> None:
        us, told_of = await stage.tenant(), stage.token("admin", new_id("organization"))
        await stage.node(gpus=8)
        project, admin = us["project"], stage.token("admin", us["org"])
        told = Told(stage, us["org"])

        async def put(amount: str, mode: str, **more: str) -> Any:
            token = more.pop("token", admin)
            body = {"scope": project, "amount": {"amount": amount, "currency": "USD"}, "mode": mode}
            return await stage.post("/v1/budgets", {**body, **more}, token=token)

        ten = "0.009694444444"  # what 10 s of a T4 cost, rounded down
        assert (await put(ten, "refuse", token=told_of)).status_code == 404
        assert (await put("0.000000000000", "soft")).json()["code"] == "budget.invalid"
        assert (await put(ten, "refuse")).status_code == 201
        assert (await put(ten, "refuse")).status_code == 201
        assert len(await told.facts()) == 1, "the same again is nothing"
        body = {"scope": us["department"], "amount": {"amount": "9" + ten, "currency": "EUR"}}
        await stage.views()
        other = await stage.post("/v1/budgets", body, token=admin)
        assert other.json()["code"] == "budget.invalid", "not the currency of its only account"
        assert other.json()["facts"] == {"currency": "USD"}, "which it would be"
        member = stage.token("member", us["org"])
        assert (await put(ten, "soft", token=member)).status_code == 403
        first = (await launch(stage, project)).json()["id"]
        began = await usable(stage, first)
        clock = [began + 4 * SECOND_US]
        bells = [worker.Bell(), worker.Bell()]

        async def work(bell: worker.Bell) -> None:
            rest = (stage.services.log, Storage(tmp_path), bell)
            await worker.react(database.app_url, *rest, now_us=lambda: clock[0])

        workers = [asyncio.create_task(work(bell)) for bell in bells]
        await told.until(lambda facts: isinstance(facts[-1], budget.Forecast))
        for seconds, level in ((5, 50), (8, 80), (10, 100)):
            assert level not in percents(await told.facts())
            clock[0] = began + seconds * SECOND_US
            await told.until(lambda facts, level=level: percents(facts)[-1:] == [level])  # type: ignore[misc]
        assert percents(await told.facts()) == [50, 80, 100]
        workers.pop().cancel()  # as if killed: the next one folds the log anew and tells nothing
        workers.append(asyncio.create_task(work(bells[1])))

        refused = await launch(stage, project)
        assert (refused.status_code, refused.json()["code"]) == (409, "budget.exhausted")
        assert refused.json()["facts"]["scope"] == project
        assert int(refused.json()["facts"]["spent_pico"]) == 9_694_444_444
        await stage.views()
        shown = (await stage.get(f"/v1/budgets/{project}", token=admin)).json()
        assert shown["spent"]["amount"] == ten
        assert [one["what"] for one in shown["alerts"]] == ["forecast", "50", "80", "100"]
        assert (await stage.get(f"/v1/budgets/{project}", token=told_of)).status_code == 404

        assert (await put("0.019388888888", "refuse")).status_code == 201
        second = (await launch(stage, project)).json()["id"]
        await told.until(lambda facts: percents(facts)[3:] == [50])
        assert (await put(ten, "stop")).status_code == 201
        old, new = await stops(stage, first, second)
        assert new < old, "the newest first"
        assert percents(await told.facts()) == [50, 80, 100, 50, 80, 100]

        assert (await launch(stage, project)).json()["code"] == "budget.exhausted"
        for _ in range(2):
            end = await stage.post("/v1/budgets/clear", {"scope": project}, token=admin)
            assert end.status_code == 200
        assert (await launch(stage, project)).status_code == 201
        for bell in bells:
            bell.stop()
        await asyncio.gather(*workers)
        await asyncio.to_thread(audited, stage)

    play(database, nats_url, tmp_path, scene)
