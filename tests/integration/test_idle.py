"""Idle runtimes: the node's word, what the API shows of it, and the stop that a launch asked for."""

import asyncio
import uuid
from pathlib import Path

import pytest

from agent.identity import event_key
from agent.simulated_devices import SimulatedDevices
from api.embedded.nats import Nats
from contracts.signing import public_hex
from domain import runtime
from domain.words import Attested
from evidence.append import Append, Write
from tests import api_stage
from tests.agent_world import World, enrolled_program, story
from tests.api_stage import Stage
from tests.conftest import Database

pytestmark = pytest.mark.slow
S = 1_000_000
WORD = Attested("node-1", "00" * 32, "11" * 16, 1, "e30=", "aa")


async def said(world: World, name: str) -> list[str]:
    """What happened to it since it was usable."""
    tags = [one.removeprefix("runtime.") for one in await world.tags(name)]
    return tags[tags.index("usable") + 1 :]


def test_it_is_stopped_once_if_its_launch_asked_for_that(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Idle for as long as its launch allows: one stop with that reason, over kill -9 of agent and
    ingest. Without a limit it is told and goes on; while its device is at work, or when that began
    again in time, nothing stops it. An auditor believes every word.
    """

    async def law(world: World, tmp: Path) -> None:
        quick = ("--idle-after-us", "1000000", "--renew-us", "500000")
        name, agent = await enrolled_program(world, tmp / "a", *quick)
        agent.start()
        outside = SimulatedDevices(
            tmp / "a" / "simulated-devices.db", public_hex(event_key(tmp / "a")), 8, "T4"
        )
        try:
            await world.until(name, "node.anchored", within_s=60)
            gpus = [one.uuid for one in outside.inventory()]
            outside.load(gpus[2], 50)
            limited, unlimited, at_work, patient = [
                await world.launch(name, index, idle_stop_us=limit)
                for index, limit in enumerate((2 * S, 0, 2 * S, 3_600 * S))
            ]
            for one in (limited, unlimited, at_work, patient):
                await world.until(one, "runtime.usable", within_s=60)
            await world.until(limited, "runtime.idle", within_s=60)
            agent.kill()
            await world.stop_ingest()
            agent.start()
            world.start_ingest()
            await world.until(limited, "runtime.stopped", within_s=60)
            for one in (unlimited, patient):
                await world.until(one, "runtime.idle", within_s=60)
            outside.load(gpus[1], 50)
            await world.until(unlimited, "runtime.busy", within_s=60)
            outside.load(gpus[1], 0)
            await world.until(unlimited, "runtime.idle", times=2, within_s=60)
            assert await said(world, limited) == ["idle", "stopping", "stopped"]
            assert await said(world, unlimited) == ["idle", "busy", "idle"]
            assert await said(world, at_work) == []
            assert await said(world, patient) == ["idle"]
            outside.load(gpus[2], 0)
            await world.until(at_work, "runtime.stopped", within_s=60)
            for one in (limited, at_work):
                facts = [entry.fact for entry in await world.log.read_stream(one)]
                assert [f.reason for f in facts if isinstance(f, runtime.Stopping)] == ["idle"]
            assert agent.end() == (0, "")
        finally:
            if agent.child is not None and agent.child.poll() is None:
                agent.kill()
            outside.close()

    story(law, database, nats_server, tmp_path)


def test_a_launch_says_how_long_and_the_runtime_shows_since_when(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """The limit is in the admission's own append and in every answer; rubbish is refused by name
    and launches nothing. Idle and used again show at once, under a version that only rises.
    """

    async def scene(stage: Stage) -> None:
        await stage.node()
        tenant = await stage.tenant()
        body = {"project": tenant["project"], "name": "r", "gpu_milli": 100}
        for rubbish in (0, -1, 1.5, "60", True, 2_592_001, 10**30):
            answer = await stage.post("/v1/runtimes", {**body, "idle_stop_after_s": rubbish})
            assert answer.status_code == 400, rubbish
            assert answer.json()["code"] == "request.invalid"
            assert answer.json()["errors"][0]["pointer"] == "/idle_stop_after_s", rubbish
        without = (await stage.post("/v1/runtimes", body)).json()
        answer = await stage.post("/v1/runtimes", {**body, "idle_stop_after_s": 90})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert (without["idle_stop_after_s"], made["idle_stop_after_s"]) == (None, 90)
        [limit] = [
            one.fact
            for one in await stage.services.log.read_stream(made["id"])
            if isinstance(one.fact, runtime.IdleLimited)
        ]
        assert limit.stop_after_us == 90 * S
        at_us = 1_700_000_000 * S
        shown = []
        for fact in (
            runtime.Starting(1, at_us),
            runtime.Usable(1, at_us, at_us, WORD),
            runtime.Idle(30 * S, 1, at_us + 50 * S, WORD),
            runtime.Busy(1, at_us + 60 * S, WORD),
            runtime.Idle(10 * S, 1, at_us + 80 * S, WORD),
            runtime.Degraded(1, at_us + 90 * S, at_us + 90 * S, WORD),
        ):
            await append(stage, made["id"], fact)
            await stage.views()
            answer = await stage.get(f"/v1/runtimes/{made['id']}")
            shown.append(answer.json())
        assert [one["idle_since"] for one in shown] == [
            None, None, "2023-11-14T22:13:40.000000Z", None, "2023-11-14T22:14:30.000000Z", None,
        ]  # fmt: skip
        assert shown[2]["next"].endswith("not before 2023-11-14T22:15:10.000000Z")
        versions = [one["version"] for one in shown]
        assert versions == sorted(set(versions))
        [listed, other] = (await stage.get("/v1/runtimes")).json()["items"]
        assert (listed["idle_stop_after_s"], other["idle_stop_after_s"]) == (90, None)

    api_stage.play(database, nats_url, tmp_path, scene)


async def append(stage: Stage, stream: str, fact: runtime.Event) -> None:
    log = stage.services.log
    last = (await log.read_stream(stream))[-1]
    write = Write(stream, last.org, last.version, (fact,))
    await log.append(Append((write,), "system-test", f"cmd:{uuid.uuid4().hex * 2}"))
    await asyncio.sleep(0)
