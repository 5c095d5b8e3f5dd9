"""Orders about volumes from the log to a SIMULATED node and back, against the real NATS and ingest."""

from pathlib import Path

import pytest

from api.embedded.nats import Nats
from domain import volume
from evidence.ids import new_id
from tests.agent_world import ORG, PRIVATE, World, enrolled_program, now_us, story
from tests.conftest import Database

pytestmark = pytest.mark.slow


def created(node: str, size_mib: int = 64) -> volume.Created:
    return volume.Created(
        "project-1", "department-1", "account-1", node, PRIVATE, size_mib, now_us()
    )


def test_a_volume_is_made_grown_copied_restored_and_wiped(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Each request is answered by one attested word, over a kill -9 of the agent and of ingest;
    SIMULATED says so; the auditor's own code believes every word.
    """

    async def law(world: World, tmp: Path) -> None:
        node, agent = await enrolled_program(world, tmp / "a")
        agent.start()
        try:
            await world.until(node, "node.anchored", 60)
            name, snapshot = new_id("volume"), new_id("snapshot")
            await world.write(name, created(node), org=ORG)
            await world.until(name, "volume.formatted", 30)
            agent.kill()
            await world.write(name, volume.GrowRequested(128, now_us()), org=ORG)
            agent.start()
            await world.until(name, "volume.grown", 60)
            await world.stop_ingest()
            await world.write(name, volume.SnapshotRequested(snapshot, now_us()), org=ORG)
            world.start_ingest()
            await world.until(name, "volume.snapshotted", 60)
            await world.write(name, volume.RestoreRequested(snapshot, now_us()), org=ORG)
            await world.until(name, "volume.restored", 30)
            await world.write(name, volume.WipeRequested(now_us()), org=ORG)
            await world.until(name, "volume.deleted", 30)
            facts = [entry.fact for entry in await world.log.read_stream(name)]
            methods = [one.method for one in facts if isinstance(one, volume.Formatted)]
            assert methods == ["SIMULATED"]
            words = (
                "created formatted grow_requested grown snapshot_requested snapshotted"
                " restore_requested restored wipe_requested wiped deleted"
            )
            assert await world.tags(name) == [f"volume.{word}" for word in words.split()]
            assert agent.end() == (0, "")
        finally:
            if agent.child is not None and agent.child.poll() is None:
                agent.kill()

    story(law, database, nats_server, tmp_path)
