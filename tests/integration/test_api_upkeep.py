"""Operators' verbs, placement and timelines over a real log and real views."""

import asyncio
import random
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.admission.wire import end_ask
from api.edge import instant
from domain import node_facts as f
from domain import runtime
from domain.words import Attested
from evidence.append import Append, Write
from evidence.ids import new_id
from evidence.reader import read_entries
from gpuaas_verify.books import Books
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow


async def verb(stage: Stage, node: str, name: str, body: Any = None) -> Any:
    answer = await stage.post(f"/v1/nodes/{node}/{name}", {} if body is None else body)
    return answer.json() | {"status": answer.status_code}


async def launched(stage: Stage, project: str, **shape: Any) -> Any:
    answer = await stage.post("/v1/runtimes", {"project": project, "name": "r", **shape})
    return answer.json()


async def end(stage: Stage, name: str) -> None:
    """It was never started, so it is cancelled: its devices are free in the same append."""
    fact = runtime.Cancelled("test", time.time_ns() // 1000)
    cause = f"cmd:{uuid.uuid4().hex * 2}"
    await stage.services.admission.ask(end_ask(name, fact, "system-test", cause))


async def ended(stage: Stage) -> Any:
    """The only reservation, once the views say that it has ended."""
    while True:
        await stage.views()
        [shown] = (await stage.get("/v1/reservations")).json()["items"]
        if shown["state"] == "ended":
            return shown
        await asyncio.sleep(0.2)


async def upkeep_of(stage: Stage, node: str) -> Any:
    await stage.views()
    return (await stage.get(f"/v1/nodes/{node}/upkeep")).json()


def test_drain_quarantine_return_retire(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Each verb is a fact once, shows in views and readiness, and keeps new work away."""

    async def scene(stage: Stage) -> None:
        first, second = await stage.node(gpus=1), await stage.node(gpus=2)
        project = (await stage.tenant())["project"]
        assert (await launched(stage, project))["node"] == first
        did = await verb(stage, first, "drain", {"reason": "fan"})
        assert (did["status"], did["did"]) == (200, ["drain_started"])
        assert (await verb(stage, first, "drain", {"reason": "fan"}))["did"] == []
        assert (await upkeep_of(stage, first))["state"] == "draining"
        empty = await verb(stage, second, "drain", {"reason": "fan"})
        assert empty["did"] == ["drain_started", "drained"]
        assert (await upkeep_of(stage, second))["state"] == "drained"
        foreign = await verb(stage, second, "undrain", {"reason": "disk"})
        assert (foreign["status"], foreign["code"]) == (409, "node.drain_foreign")
        assert (await launched(stage, project))["code"] == "capacity.none_fits"
        assert (await verb(stage, second, "undrain", {"reason": "fan"}))["did"] == ["drain_ended"]
        ill = await verb(stage, second, "quarantine", {"reason": "xid", "devices": [0]})
        assert ill["did"] == ["quarantined"]
        place = await launched(stage, project)
        assert (place["node"], place["devices"]) == (second, [{"index": 1, "milli": 1000}])
        await stage.views()
        listed = (await stage.get("/v1/nodes")).json()["items"]
        assert [one["upkeep"] for one in listed] == ["draining", "serving"]
        ready = (await stage.client.get("/v1/readiness")).json()
        assert ready["closed_nodes"] == {first: "draining", second: "1 devices quarantined"}
        assert not [why for why in ready["reasons"] if "quarantine" in why or "drain" in why]
        assert (await verb(stage, second, "return"))["did"] == ["returned"]
        busy = await verb(stage, second, "retire", {"reason": "old"})
        assert busy["code"] == "node.not_empty"
        third = await stage.node(gpus=1)
        assert (await verb(stage, third, "retire", {"reason": "old"}))["did"] == ["retired"]
        await stage.views()
        shown = (await stage.get(f"/v1/nodes/{third}")).json()
        assert (shown["upkeep"], shown["cordoned"]) == ("retired", False)
        again = await verb(stage, third, "cordon")
        assert again["code"] == "node.retired"
        member = stage.token("member", new_id("organization"))
        path = f"/v1/nodes/{second}/drain"
        answer = await stage.post(path, {"reason": "x"}, token=member)
        assert answer.status_code == 403

    play(database, nats_url, tmp_path, scene)


def test_no_reuse_between_organizations_without_a_receipt(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """The whole way by the API: emptied, kept, refused to another, receipt, given to another."""

    async def scene(stage: Stage) -> None:
        node = await stage.node(gpus=1)
        assert (await verb(stage, node, "require-sanitization"))["did"]
        project = (await stage.tenant())["project"]
        other = (await stage.tenant())["project"]
        used = await launched(stage, project)
        await end(stage, used["id"])
        assert (await launched(stage, other))["code"] == "capacity.none_fits"
        why = await stage.get(f"/v1/placement/explain?project={other}")
        assert [each["why"] for each in why.json()["nodes"]] == ["awaiting_receipt"]
        mine = await launched(stage, project)
        assert mine["node"] == node, "its last tenant may have it again"
        await end(stage, mine["id"])
        await receipt(stage, node, left=1)
        assert (await launched(stage, other))["code"] == "capacity.none_fits"
        await receipt(stage, node, left=0)
        assert (await verb(stage, node, "return"))["did"] == ["returned"]
        assert (await launched(stage, other))["node"] == node
        shown = await upkeep_of(stage, node)
        assert shown["owes_receipts"]
        assert [each["residual_processes"] for each in shown["receipts"]] == [0, 1]
        assert all(each["attested"] for each in shown["receipts"])
        await timeline(stage, node, used["id"])

    async def timeline(stage: Stage, node: str, used: str) -> None:
        seen, cursor = [], ""
        while cursor is not None:
            path = f"/v1/nodes/{node}/timeline?limit=5" + (cursor and f"&cursor={cursor}")
            got = (await stage.get(path)).json()
            seen += got["items"]
            cursor = got["next"]
        assert [one["position"] for one in seen] == sorted({one["position"] for one in seen})
        assert {one["stream"] for one in seen} >= {node, used}
        told = [one["what"] for one in seen]
        assert "it was told to sanitize devices 0: emptied" in told
        assert any(what.startswith("it says it sanitized devices 0 by fill: 9") for what in told)
        assert "devices 0 went into quarantine: sanitize.left" in told
        unknown = await stage.get(f"/v1/nodes/{new_id('node')}/timeline")
        assert unknown.status_code == 404

    async def receipt(stage: Stage, node: str, left: int) -> None:
        # What ingest appends for a node's word; its signature is another test's.
        log = stage.services.log
        version = (await log.read_stream(node))[-1].version
        word = Attested(node, "0" * 64, "0" * 32, version, "e30=", "e30=")
        fact = f.Sanitized((0,), "fill", 9, 1, "d", None, left, 1, 1, word)
        ill = (f.Quarantined((0,), "sanitize.left", 1),) if left else ()
        write = Write(node, "-", version, (fact, *ill))
        await log.append(Append((write,), node, f"cmd:{version:064x}"))

    play(database, nats_url, tmp_path, scene)


def test_blocks_and_reservations(database: Database, nats_url: str, tmp_path: Path) -> None:
    """A block is one append, repeated once; a reservation expires by itself, as a fact."""

    async def scene(stage: Stage) -> None:
        nodes = [await stage.node(gpus=2) for _ in range(2)]
        project = (await stage.tenant())["project"]
        wanted = {"project": project, "name": "b", "count": 3, "policy": "spread"}
        before = await stage.size()
        block = await stage.post("/v1/blocks", wanted, key="k")
        assert block.status_code == 201, block.text
        again = await stage.post("/v1/blocks", wanted, key="k")
        assert again.text == block.text
        assert await stage.size() == before + 4 * 3 + 2
        runtimes = block.json()["runtimes"]
        assert [one["name"] for one in runtimes] == ["b-0", "b-1", "b-2"]
        assert {one["node"] for one in runtimes} == set(nodes)
        too_many = await stage.post("/v1/blocks", wanted | {"count": 2})
        assert too_many.json()["code"] == "capacity.none_fits"
        assert too_many.json()["facts"]["placed"] == 1
        for one in runtimes:
            await end(stage, one["id"])
        until = instant(time.time_ns() // 1000 + 2_000_000)
        limit = {"scope": project, "model": "T4", "limit_milli": 4_000}
        assert (await stage.post("/v1/quotas", limit)).status_code == 201
        asked = {"project": project, "model": "T4", "devices": 4, "until": until}
        made = await stage.post("/v1/reservations", asked)
        assert made.status_code == 201, made.text
        name = made.json()["id"]
        second = (await stage.post("/v1/reservations", asked | {"devices": 1})).json()
        assert (second["code"], second["facts"]["used_milli"]) == ("quota.exceeded", 4_000)
        assert (await launched(stage, project))["code"] == "capacity.none_fits"
        drawn = await launched(stage, project, reservation=name)
        assert drawn["node"] in nodes, drawn
        await stage.views()
        [use] = (await stage.get("/v1/quotas")).json()["items"]
        assert (use["used_milli"], use["reserved_milli"]) == (4_000, 4_000)
        shown = await ended(stage)
        assert (shown["state"], shown["why"]) == ("ended", "expired")
        [use] = (await stage.get("/v1/quotas")).json()["items"]
        assert (use["used_milli"], use["reserved_milli"]) == (1_000, 0)
        assert (await launched(stage, project, devices=2))["node"] in nodes
        late = await launched(stage, project, reservation=name)
        assert late["code"] == "reservation.ended"
        again = await stage.post(f"/v1/reservations/{name}/end", {"reason": "unused"})
        assert (again.status_code, again.json()["why"]) == (200, "expired")

    play(database, nats_url, tmp_path, scene)


def test_verbs_beside_launches_leave_books_that_hold(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Drains, quarantines, reservations, blocks and ends at once: the auditor's books take it all."""

    async def scene(stage: Stage) -> None:
        nodes = [await stage.node(gpus=3) for _ in range(3)]
        for node in nodes[:2]:
            await verb(stage, node, "require-sanitization")
        projects = [(await stage.tenant())["project"] for _ in range(2)]
        mine: list[str] = []
        codes: Counter[str] = Counter()

        async def launches(seed: int) -> None:
            some = random.Random(seed)
            for _ in range(12):
                body = {"project": some.choice(projects), "name": "r"}
                if some.random() < 0.3:
                    answer = await stage.post("/v1/blocks", body | {"count": 2, "policy": "spread"})
                    made = [one["id"] for one in answer.json().get("runtimes", [])]
                else:
                    shape = {"gpu_milli": some.choice([300, 1000])}
                    answer = await stage.post("/v1/runtimes", body | shape)
                    made = [answer.json()["id"]] if answer.status_code == 201 else []
                codes[answer.json().get("code", "placed")] += 1
                mine.extend(made)
                while len(mine) > 3:
                    await end(stage, mine.pop(some.randrange(len(mine))))

        async def verbs(seed: int) -> None:
            some = random.Random(seed)
            for _ in range(12):
                node = some.choice(nodes)
                reason, owner = some.choice(["fan", "disk"]), {"owner": "operator"}
                await verb(stage, node, "drain", {"reason": reason})
                device = [some.randrange(3)]
                await verb(stage, node, "quarantine", {"reason": "xid", "devices": device})
                until = instant(time.time_ns() // 1000 + 300_000)
                wanted = {"project": projects[0], "model": "T4", "devices": 1, "until": until}
                await stage.post("/v1/reservations", wanted)
                await verb(stage, node, "undrain", {"reason": reason, **owner})
                answer = await verb(stage, node, "return", {"devices": device})
                codes[answer.get("code", "returned")] += 1

        await asyncio.gather(*(launches(n) for n in range(3)), *(verbs(n) for n in range(2)))
        assert codes["placed"] > 3, codes
        assert codes["returned"] > 0, codes
        rows = await stage.services.reads.ask(read_entries, 0, 100_000)
        with Books(None) as books:
            for position, entry, _ in rows:
                books.feed(position, msgspec.json.decode(entry))

    play(database, nats_url, tmp_path, scene)
