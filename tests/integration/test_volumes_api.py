"""Volumes over HTTP: from creation to a launch that has it, and to its wipe; over a real log."""

import asyncio
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from api.edge import instant
from domain import meter, node, stray, volume
from domain.words import Attested
from evidence.append import Append, Write
from evidence.reader import Recorded, decode_entry
from projections import views
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow

MIB = volume.MIB


async def says(stage: Stage, name: str, *facts: Struct) -> None:
    """What the volume's node would have said, in the log."""
    recorded = await stage.services.log.read_stream(name)
    write = Write(name, recorded[0].org, recorded[-1].version, facts)
    await stage.services.log.append(
        Append((write,), "system-test", f"cmd:{uuid.uuid4().hex}{uuid.uuid4().hex}")
    )


async def told(stage: Stage) -> list[Recorded]:
    """The whole log."""
    rows = await stage.services.reads.ask(views.read, 0, 100_000)
    return [decode_entry(bytes(raw)) for _, raw in rows]


def now() -> int:
    return time.time_ns() // 1000


def word(node: str) -> Attested:
    return Attested(node, "0" * 64, "0" * 32, 1, "e30=", "AA==")


async def shown(stage: Stage, name: str) -> dict[str, Any]:
    await stage.views()
    found: dict[str, Any] = (await stage.get(f"/v1/volumes/{name}")).json()
    return found


async def ready(stage: Stage, tenant: dict[str, str]) -> dict[str, Any]:
    """A volume that its node has made, and an image that launches may name."""
    body = {"project": tenant["project"], "name": "data", "size_mib": 64}
    made = await stage.post("/v1/volumes", body)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    formatted = volume.Formatted(0, "ext4_loop", 64 * MIB, 1, now(), now(), word(found["node"]))
    await says(stage, found["id"], formatted)
    await stage.post("/v1/images", {"reference": "lab:1", "digest": "sha256:" + "1" * 64})
    await stage.views()
    return found


def test_a_launch_has_the_volume_and_nobody_else(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Created, shown, attached by the launch in its own append; a second launch, a wipe and a
    restore are refused meanwhile; growing is not; a repeat answers as the first.
    """

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        await stage.node()
        made = await ready(stage, tenant)
        assert (made["state"], made["name"]) == ("creating", "data")
        body = {
            "project": tenant["project"], "name": "r", "image": "lab:1",
            "volumes": [{"volume": made["id"], "path": "/data"}],
        }  # fmt: skip
        launched = await stage.post("/v1/runtimes", body, key="k")
        assert launched.status_code == 201, launched.text
        assert launched.json()["node"] == made["node"]
        assert (await stage.post("/v1/runtimes", body, key="k")).json() == launched.json()
        found = (await shown(stage, made["id"]))["volume"]
        assert found["used_by"]["runtime"] == launched.json()["id"]
        assert (found["used_by"]["path"], found["state"]) == ("/data", "ready")
        second = await stage.post("/v1/runtimes", body)
        assert (second.status_code, second.json()["code"]) == (409, "volume.attached")
        of = f"/v1/volumes/{made['id']}"
        refused = await stage.post(f"{of}/delete")
        assert (refused.status_code, refused.json()["code"]) == (409, "volume.attached")
        smaller = await stage.post(f"{of}/grow", {"size_mib": 32})
        assert (smaller.status_code, smaller.json()["code"]) == (400, "volume.shrinks")
        grown = await stage.post(f"{of}/grow", {"size_mib": 128})
        assert grown.json()["did"] == ["grow_requested"]
        assert (await stage.post(f"{of}/snapshot")).json()["code"] == "volume.busy"

    play(database, nats_url, tmp_path, scene)


def test_metered_volumes_need_a_price(database: Database, nats_url: str, tmp_path: Path) -> None:
    """From the meter's registration on, a volume that nothing prices is refused, by the key that is
    missing; with a price it is made. A meter of another unit is none. Of those that are asked for
    while it is registered none stands after it, or the rater would stop.
    """

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        await stage.node()
        body = {"project": tenant["project"], "name": "data", "size_mib": 64}
        assert (await stage.post("/v1/volumes", body)).status_code == 201
        odd = {"meter": "storage.capacity", "unit": "GiB-h", "source": "lifecycle"}
        refused = await stage.post("/v1/meters", odd)
        assert (refused.status_code, refused.json()["code"]) == (400, "meter.invalid")
        asked = (stage.post("/v1/volumes", body) for _ in range(12))
        half, more = [next(asked) for _ in range(6)], list(asked)
        answers = await asyncio.gather(
            *half, stage.post("/v1/meters", odd | {"unit": "MiB-us"}), *more
        )
        assert answers.pop(6).status_code == 201
        for answer in answers:
            assert answer.status_code == 201 or answer.json()["code"] == "volume.no_price"
        tags = [entry.fact for entry in await told(stage)]
        registered = next(n for n, fact in enumerate(tags) if isinstance(fact, meter.Registered))
        created = [n for n, fact in enumerate(tags) if isinstance(fact, volume.Created)]
        assert max(created) < registered
        size = await stage.size()
        refused = await stage.post("/v1/volumes", body)
        assert (refused.status_code, refused.json()["code"]) == (409, "volume.no_price")
        assert refused.json()["facts"] == {
            "meter": "storage.capacity", "model": "local", "region": "-", "state": "existing",
            "currency": "USD",
        }  # fmt: skip
        assert await stage.size() == size
        soon = now() + 2_000_000
        priced = {
            "meter": "storage.capacity", "model": "local", "state": "existing",
            "divisor": 3_686_400_000_000, "price": {"amount": "0.100000000000", "currency": "USD"},
            "effective_from": instant(soon),
        }  # fmt: skip
        answer = await stage.post("/v1/prices", priced)
        assert answer.status_code == 201, answer.text
        assert (await stage.post("/v1/volumes", body)).json()["code"] == "volume.no_price"
        await asyncio.sleep(max(0, soon + 50_000 - now()) / 1e6)
        assert (await stage.post("/v1/volumes", body)).status_code == 201

    play(database, nats_url, tmp_path, scene)


def test_volumes_keep_to_their_quota(database: Database, nats_url: str, tmp_path: Path) -> None:
    """By the MiB of all that is not deleted, in one append with it: ten at once are admitted to the
    limit and no further; growing counts too; what a person reads is what the log says.
    """

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        await stage.node()
        limit = {"scope": tenant["project"], "limit_mib": 320}
        quotas = "/v1/storage-quotas"
        assert (await stage.post(quotas, limit)).json()["limit_mib"] == 320
        member = stage.token("member", tenant["org"])
        assert (await stage.post(quotas, limit, token=member)).status_code == 403
        body = {"project": tenant["project"], "name": "data", "size_mib": 64}
        answers = await asyncio.gather(*(stage.post("/v1/volumes", body) for _ in range(10)))
        made = [answer.json() for answer in answers if answer.status_code == 201]
        refused = [answer.json() for answer in answers if answer.status_code != 201]
        assert (len(made), {one["code"] for one in refused}) == (5, {"quota.exceeded"})
        assert {one["facts"]["fits_mib"] for one in refused} == {0}

        async def used() -> list[tuple[int, int]]:
            await stage.views()
            listed = (await stage.get(quotas)).json()["items"]
            return [(one["limit_mib"], one["used_mib"]) for one in listed]

        assert await used() == [(320, 320)]
        first, second = made[0], made[1]
        for one in (first, second):
            formatted = volume.Formatted(
                0, "ext4_loop", 64 * MIB, 1, now(), now(), word(one["node"])
            )
            await says(stage, one["id"], formatted)
        grow = f"/v1/volumes/{first['id']}/grow"
        refused_grow = await stage.post(grow, {"size_mib": 65})
        assert refused_grow.json()["code"] == "quota.exceeded"
        assert (await stage.post(quotas, limit | {"limit_mib": 384})).status_code == 201
        stale = await stage.post(grow, {"size_mib": 128}, if_match='"1"')
        assert stale.json()["code"] == "if_match.stale"
        grown = await stage.post(grow, {"size_mib": 128}, key="g")
        assert (grown.json()["did"], grown.json()["id"]) == (["grow_requested"], first["id"])
        assert (await stage.post(grow, {"size_mib": 128}, key="g")).json() == grown.json()
        assert (await stage.post(grow, {"size_mib": 128})).json()["did"] == []
        assert await used() == [(384, 384)]
        await says(stage, first["id"], volume.OrderRefused(1, "grow", "volume.no_space", now()))
        assert await used() == [(384, 320)]
        assert (await stage.post(f"/v1/volumes/{second['id']}/delete")).status_code == 200
        receipt = volume.Wiped(1, "zero", 64 * MIB, 9, 1, now(), now(), word(second["node"]))
        await says(stage, second["id"], receipt, volume.Deleted(now()))
        assert await used() == [(384, 256)]
        more = await stage.post("/v1/volumes", body | {"size_mib": 129})
        assert more.json()["facts"]["fits_mib"] == 128
        assert (await stage.post("/v1/volumes", body | {"size_mib": 128})).status_code == 201
        again = await stage.post(quotas, limit | {"limit_mib": 384})
        assert (again.status_code, again.json()["limit_mib"]) == (201, 384)

    play(database, nats_url, tmp_path, scene)


def test_a_volume_of_a_dead_node_is_given_up_and_its_node_retired(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """By an operator, once its node is silent; until then its node must wipe it, and no node under
    a volume is retired. What its disk still held when it came back was wiped: its node's timeline
    says so, and the volume itself.
    """

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        await stage.node()
        made = await ready(stage, tenant)
        of, lies = f"/v1/volumes/{made['id']}", made["node"]
        reason = {"reason": "broken"}
        retire = f"/v1/nodes/{lies}/retire"
        refused = await stage.post(retire, reason)
        assert (refused.status_code, refused.json()["code"]) == (409, "node.holds_volumes")
        assert refused.json()["facts"] == {"volume": made["id"]}
        alive = await stage.post(f"{of}/lost")
        assert (alive.status_code, alive.json()["code"]) == (409, "volume.node_lives")
        await says(stage, lies, node.Unreachable(now()))
        member = stage.token("member", tenant["org"])
        assert (await stage.post(f"{of}/lost", token=member)).status_code == 403
        given_up = await stage.post(f"{of}/lost", key="l")
        assert given_up.json()["did"] == ["lost"]
        assert (await stage.post(f"{of}/lost", key="l")).json() == given_up.json()
        assert (await stage.post(f"{of}/lost")).json()["did"] == []
        found = (await shown(stage, made["id"]))["volume"]
        assert found["state"] == "lost"
        await says(
            stage, lies, stray.VolumeWipeRequested(made["id"], now()),
            stray.VolumeWiped(made["id"], 7, "zero", 64 * MIB, 5, 1, now(), word(lies)),
        )  # fmt: skip
        [receipt] = (await shown(stage, made["id"]))["receipts"]
        assert (receipt["bytes_covered"], receipt["attested"]) == (64 * MIB, True)
        told = (await stage.get(f"/v1/nodes/{lies}/timeline")).json()["items"]
        assert f"it was told to wipe {made['id']}, which is nobody's any more" in [
            one["what"] for one in told
        ]
        assert told[-1]["what"].endswith(f"by zero: {64 * MIB} bytes (attested)")
        assert (await stage.post(f"{of}/grow", {"size_mib": 128})).json()["code"] == (
            "volume.deleted"
        )
        assert (await stage.post(retire, reason)).json()["did"] == ["retired"]

    play(database, nats_url, tmp_path, scene)


def test_a_snapshot_a_restore_and_a_wipe_with_receipt(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """What the node says of each is shown; strangers see nothing; the receipt stays readable."""

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        await stage.node()
        made = await ready(stage, tenant)
        of, node = f"/v1/volumes/{made['id']}", made["node"]
        asked = (await stage.post(f"{of}/snapshot")).json()
        copied = volume.Snapshotted(1, asked["snapshot"], 4096, 7, 1, now(), word(node))
        await says(stage, made["id"], copied)
        restore = {"snapshot": asked["snapshot"]}
        assert (await stage.post(f"{of}/restore", restore)).json()["did"] == ["restore_requested"]
        restored = volume.Restored(1, asked["snapshot"], 1, now(), word(node))
        await says(stage, made["id"], restored)
        unknown = {"snapshot": "snapshot-" + made["id"].removeprefix("volume-")}
        assert (await stage.post(f"{of}/restore", unknown)).json()["code"] == (
            "volume.snapshot_unknown"
        )
        stranger = stage.token("admin", "organization-" + made["id"].removeprefix("volume-"))
        for answer in (
            await stage.get(of, token=stranger),
            await stage.post(f"{of}/delete", token=stranger),
        ):
            assert answer.status_code == 404
        assert (await stage.post(f"{of}/delete")).json()["did"] == ["wipe_requested"]
        receipt = volume.Wiped(1, "zero", 64 * MIB, 9, 1, now(), now(), word(node))
        await says(stage, made["id"], receipt, volume.Deleted(now()))
        found = await shown(stage, made["id"])
        assert found["volume"]["state"] == "deleted"
        assert [one["id"] for one in found["snapshots"]] == [asked["snapshot"]]
        [wiped] = found["receipts"]
        assert (wiped["bytes_covered"], wiped["attested"]) == (64 * MIB, True)
        listed = (await stage.get("/v1/volumes")).json()["items"]
        assert [one["id"] for one in listed] == [made["id"]]
        body = {"project": tenant["project"], "name": "r", "volumes": [
            {"volume": made["id"], "path": "/data"}]}  # fmt: skip
        bare = await stage.post("/v1/runtimes", body)
        assert (bare.status_code, bare.json()["code"]) == (400, "request.invalid")

    play(database, nats_url, tmp_path, scene)
