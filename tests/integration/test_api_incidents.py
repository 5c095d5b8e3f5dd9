"""Incidents by the API, and the credit that proposes itself, over a real log and real views."""

import asyncio
import time
import uuid
from pathlib import Path

import psycopg
import pytest

from api.admission.wire import end_ask
from domain import node_facts as f
from domain import runtime
from domain.words import Attested
from evidence.append import Append, Write
from evidence.ids import new_id
from projections.losses import propose_due
from projections.rater import Rater
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow


async def lost_with_its_node(stage: Stage) -> tuple[str, str]:
    """A node, and a runtime on it that was started, fell silent and was declared lost."""
    node = await stage.node(gpus=1)
    project = (await stage.tenant())["project"]
    body = {"project": project, "name": "r"}
    launched = (await stage.post("/v1/runtimes", body)).json()
    name, org, log = launched["id"], launched["organization"], stage.services.log
    version = (await log.read_stream(node))[-1].version
    word = Attested(node, "0" * 64, "0" * 32, 1, "e30=", "e30=")
    now = time.time_ns() // 1000
    for stream, of, expected, fact in (
        (node, "-", version, f.Anchored("0" * 32, 1, now - 2_000_000_000, word)),
        (name, org, 2, runtime.Starting(1, now)),
        (node, "-", version + 1, f.LeaseRenewed((name,), 1, now - 1_900_000_000, now - 1, word)),
        (node, "-", version + 2, f.Unreachable(now)),
    ):
        write = Write(stream, of, expected, (fact,))
        await log.append(Append((write,), "system-test", f"cmd:{uuid.uuid4().hex * 2}"))
    allocated = (await log.read_stream(name))[1].fact
    assert isinstance(allocated, runtime.Allocated)
    lost = runtime.Lost(allocated.allocated_us, now + 1_000_000)
    cause = f"cmd:{uuid.uuid4().hex * 2}"
    await stage.services.admission.ask(end_ask(name, lost, "system-test", cause))
    return node, name


def test_a_lost_runtime_has_its_credit_proposed_once(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Two reactions at once, and again after a start from nothing: one incident, one proposal."""

    async def scene(stage: Stage) -> None:
        node, name = await lost_with_its_node(stage)
        log, now = stage.services.log, time.time_ns() // 1000
        with psycopg.connect(database.app_url, autocommit=True) as conn:
            raters = [Rater(conn, log), Rater(conn, log)]
            for rater in raters:
                await rater.catch_up()
                assert len(rater.losses.due) == 1
            done = await asyncio.gather(*(propose_due(log, r.losses, now) for r in raters))
            assert sorted(done) == [0, 3]
            for rater in (*raters, Rater(conn, log)):
                await rater.catch_up()
                assert await propose_due(log, rater.losses, now) == 0
                assert rater.losses.due == {}
        await stage.views()
        [found] = (await stage.get("/v1/incidents")).json()["items"]
        assert (found["what"], found["subject"]) == ("runtime.lost", node)
        shown = (await stage.get(f"/v1/incidents/{found['id']}")).json()
        [credit] = shown["credits"]
        assert (credit["runtime"], credit["granted"]) == (name, False)
        assert credit["milli_gpu_us"] > 0
        assert [one["runtime"] for one in shown["affected"]] == [name]
        assert [one["what"] for one in shown["facts"]] == ["it was lost with its node"]

    play(database, nats_url, tmp_path, scene)


def test_an_incident_ties_facts_together(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Opened, tied, noted, resolved; once each by their keys; words may be erased."""

    async def scene(stage: Stage) -> None:
        node = await stage.node(gpus=2)
        project = (await stage.tenant())["project"]
        ran = (await stage.post("/v1/runtimes", {"project": project, "name": "r"})).json()
        await stage.post(f"/v1/nodes/{node}/drain", {"reason": "fan"})
        opened = await stage.post("/v1/incidents", {"title": "Fan of node 1", "subject": node})
        assert opened.status_code == 201, opened.text
        path = f"/v1/incidents/{opened.json()['id']}"
        where = {"position": await stage.size() - 4}  # before what let it, and the incident
        tied = await stage.post(f"{path}/tie", where)
        assert tied.status_code == 200, tied.text
        assert tied.json()["did"] == ["tied"]
        assert (await stage.post(f"{path}/tie", where)).json()["did"] == []
        beyond = await stage.post(f"{path}/tie", {"position": 10**9})
        assert beyond.json()["code"] == "as_of.in_future"
        noted = await stage.post(f"{path}/note", {"note": "Bearing is loud."}, key="n")
        again = await stage.post(f"{path}/note", {"note": "Bearing is loud."}, key="n")
        assert noted.text == again.text
        assert (await stage.post(f"{path}/resolve", {})).json()["did"] == ["resolved"]
        late = await stage.post(f"{path}/note", {"note": "x"})
        assert (late.status_code, late.json()["code"]) == (409, "incident.resolved")
        await stage.views()
        shown = (await stage.get(path)).json()
        assert shown["incident"]["title"] == "Fan of node 1"
        assert shown["incident"]["resolved_at"] is not None
        assert [one["tag"] for one in shown["facts"]] == ["gpuaas.node.drain_started.v1"]
        assert [one["note"] for one in shown["notes"]] == ["Bearing is loud."]
        assert shown["affected"] == [{"runtime": ran["id"], "organization": ran["organization"]}], (
            "what was on the node meanwhile"
        )
        assert shown["credits"] == []
        member = stage.token("member", ran["organization"])
        assert (await stage.get(path, token=member)).status_code == 403
        assert (await stage.get(f"/v1/incidents/{new_id('incident')}")).status_code == 404

    play(database, nats_url, tmp_path, scene)
