"""An agent whose disk is full does nothing it could not write down, says so, and resumes."""

import asyncio
from pathlib import Path

import pytest

from agent import identity
from api.embedded.nats import Nats
from tests.agent_world import World, enrolled_program, story
from tests.conftest import Database
from tests.full_disk import small_disk

pytestmark = pytest.mark.slow


def test_a_full_disk_ends_the_agent_and_loses_nothing(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Exit 1 and one sentence, as often as it is started; with room every command is done once."""

    async def law(world: World, tmp: Path) -> None:
        with small_disk(tmp / "disk", 2) as disk:
            name, agent = await enrolled_program(world, disk.root / "state")
            try:
                agent.start()
                await world.until(name, "node.anchored")
                one = await world.launch(name)
                await world.until(one, "runtime.usable")
                disk.fill()
                await world.stop(one)
                two = await world.launch(name, 1)
                for _ in range(2):
                    status, said = await asyncio.to_thread(agent.finished)
                    assert status == 1
                    assert said.startswith("agent: ")
                    assert "disk is full" in said or "No space left" in said, said
                    assert "Traceback" not in said, said
                    agent.start()
                await asyncio.to_thread(agent.finished)
                assert "runtime.stopped" not in await world.tags(one)
                disk.free()
                agent.start()
                await world.until(one, "runtime.stopped")
                await world.until(two, "runtime.usable")
                await world.stop(two)
                await world.until(two, "runtime.stopped")
                assert agent.end()[0] == 0
                for each in (one, two):
                    tags = await world.tags(each)
                    assert tags.count("runtime.usable") == tags.count("runtime.stopped") == 1, tags
            finally:
                if agent.child is not None and agent.child.poll() is None:
                    agent.kill()

    story(law, database, nats_server, tmp_path)


def test_a_full_disk_stops_an_enrolment_cleanly(tmp_path: Path) -> None:
    """No half written key: the node's identity is absent or whole."""
    with small_disk(tmp_path / "disk", 1) as disk:
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            identity.event_key(disk.root)
        assert not (disk.root / "event.key").exists()
        disk.free()
        key = identity.event_key(disk.root)
        assert identity.event_key(disk.root).private_bytes_raw() == key.private_bytes_raw()
