"""What would fit soon over HTTP: in refusals, in capacity and in explanations."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from api.admission.wire import end_ask
from api.edge import instant
from domain import node_facts, runtime
from domain.errors import DomainError
from evidence.append import Append, Write
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.integration.projections_world import attested, command

pytestmark = pytest.mark.slow


async def _launched(stage: Stage, project: str, devices: int = 4) -> Any:
    body = {"project": project, "name": "r", "models": ["T4"], "devices": devices}
    return await stage.post("/v1/runtimes", body)


async def _stopped(stage: Stage, name: str, took_us: int) -> None:
    """Told to stop, and attested to have stopped so long after."""
    now = time.time_ns() // 1000
    said = attested("node-x", "runtime.stopped", name, 1)
    log = stage.services.log
    recorded = await log.read_stream(name)
    usable = attested("node-x", "runtime.usable", name, 1)
    facts = (
        runtime.Starting(1, now), runtime.Usable(1, now, now, usable),
        runtime.Stopping("asked", now), runtime.Stopped(1, now + took_us, now + took_us, said),
    )  # fmt: skip
    write = Write(name, recorded[0].org, recorded[-1].version, facts)
    await log.append(Append((write,), "node-x", command()))


def test_a_refused_launch_says_when_it_would_fit(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Nothing while nothing was observed; then what stops, by the median of the last stops, and what
    is reserved, by its end: in the refusal, in capacity and in the explanation alike.
    """

    async def scene(stage: Stage) -> None:
        project = (await stage.tenant())["project"]
        await stage.node(gpus=8)
        ran = [(await _launched(stage, project)).json()["id"] for _ in range(2)]
        await stage.views()
        refused = (await _launched(stage, project)).json()
        assert refused["code"] == "capacity.none_fits"
        assert "in_about_s" not in refused["facts"]
        assert (await stage.post(f"/v1/runtimes/{ran[0]}/stop")).status_code == 200
        assert (await _fit(stage))["soon"] == [], "no stop was ever seen"
        await stage.node("A10", gpus=3)
        await _observe(stage, project, (50, 60, 70))
        refused = (await _launched(stage, project)).json()
        facts = refused["facts"]
        assert (facts["soon_devices"], facts["soon_model"]) == (4, "T4")
        assert facts["because"] == "runtimes.stopping"
        assert facts["in_about_s"] == 60
        [soon] = (await _fit(stage))["soon"]
        assert (soon["devices"], soon["because"]) == (4, ["runtimes.stopping"])
        path = f"/v1/placement/explain?project={project}&devices=8&model=T4"
        explained = (await stage.get(path)).json()
        assert [one["devices"] for one in explained["fits"][0]["soon"]] == [4]
        eight = (await _launched(stage, project, 8)).json()["facts"]
        assert eight["soon_devices"] == 4, "the most that is known of"
        fact = runtime.Cancelled("asked", 1)
        ask = end_ask(ran[0], fact, "system-test", command())
        await stage.services.admission.ask(ask)
        await _reserved(stage, project)

    play(database, nats_url, tmp_path, scene)


async def _reserved(stage: Stage, project: str) -> None:
    until = time.time_ns() // 1000 + 1_200_000_000
    body = {"project": project, "model": "T4", "devices": 4, "until": instant(until)}
    assert (await stage.post("/v1/reservations", body)).status_code == 201
    refused = (await _launched(stage, project)).json()
    assert refused["code"] == "capacity.none_fits"
    assert refused["facts"]["because"] == "reservation.ends"
    assert refused["facts"]["in_about_s"] == 1200
    then = await stage.size() - 1
    await stage.views()
    assert (await _fit(stage, f"?as_of={then}"))["soon"] == []


async def _observe(stage: Stage, project: str, took_s: tuple[int, ...]) -> None:
    """Stops that took so long, on another model."""
    await stage.price("A10")
    for seconds in took_s:
        body = {"project": project, "name": "r", "models": ["A10"]}
        made = await stage.post("/v1/runtimes", body)
        assert made.status_code == 201, made.text
        await _stopped(stage, made.json()["id"], seconds * 1_000_000)
    await stage.views()


async def _fit(stage: Stage, query: str = "") -> Any:
    models = (await stage.get(f"/v1/capacity{query}")).json()["models"]
    return next(one for one in models if one["model"] == "T4")


def test_devices_that_are_wiped_come_back_after_as_long_as_wipes_take(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Whose they were may have them at once; to others they come back with the node's receipt."""

    async def scene(stage: Stage) -> None:
        tenants = [await stage.tenant() for _ in range(2)]
        node = await stage.node(gpus=2)
        assert (await stage.post(f"/v1/nodes/{node}/require-sanitization")).status_code == 200
        project = tenants[0]["project"]
        for took_s in (300, None):
            made = (await _launched(stage, project, 2)).json()
            now = time.time_ns() // 1000
            cancelled = runtime.Cancelled("asked", now)
            ask = end_ask(made["id"], cancelled, "system-test", command())
            await stage.services.admission.ask(ask)
            if took_s is not None:
                await _wiped(stage, node, now + took_s * 1_000_000)
        await stage.views()
        seen = []
        for tenant in tenants:
            token = stage.token("admin", tenant["org"])
            models = (await stage.get("/v1/capacity", token=token)).json()["models"]
            seen.append([(one["most_devices"], one["soon"]) for one in models])
        assert seen[0] == [(2, [])]
        [(most, [soon])] = seen[1]
        assert (most, soon["devices"], soon["because"]) == (0, 2, ["devices.wiped"])
        assert soon["in_about_s"] == 300, "whole minutes"
        past = f"/v1/capacity?as_of={await stage.size() - 1}"
        assert (await stage.get(past)).status_code == 200
        spied = await stage.get(past, token=stage.token("admin", tenants[1]["org"]))
        assert (spied.status_code, spied.json()["code"]) == (403, "auth.forbidden")

    play(database, nats_url, tmp_path, scene)


async def _wiped(stage: Stage, node: str, at: int) -> None:
    recorded = await stage.services.log.read_stream(node)
    word = attested(node, "node.sanitized", node, 1)
    fact = node_facts.Sanitized((0, 1), "zero", 1, 1, "d", 0, 0, 1, at, word)
    write = Write(node, "-", recorded[-1].version, (fact,))
    await stage.services.log.append(Append((write,), node, command()))


def test_questions_to_the_past_wait_in_a_line_of_their_own(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """One is folded at a time; as many as wait are bounded; what the views answer goes on."""

    async def scene(stage: Stage) -> None:
        reads, going, done = stage.services.reads, threading.Event(), threading.Event()

        def folds(_: object) -> None:
            going.set()
            assert done.wait(60)

        first = [asyncio.create_task(reads.past(folds)) for _ in range(16)]
        await asyncio.to_thread(going.wait, 60)
        with pytest.raises(DomainError, match=r"rate\.limited"):
            await reads.past(folds)
        assert (await stage.get("/v1/projects")).status_code == 200
        done.set()
        await asyncio.gather(*first)
        await reads.past(folds)

    play(database, nats_url, tmp_path, scene)
