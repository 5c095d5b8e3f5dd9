"""An agent as a real program against the real log, NATS and ingest."""

from pathlib import Path

import pytest

from api.embedded.nats import Nats
from contracts import fleet
from domain import node
from domain.words import Attested
from tests.agent_world import World, enrolled_program, story
from tests.conftest import Database

pytestmark = pytest.mark.slow


def checked_words(world: World, name: str) -> list[tuple[str, int]]:
    """(boot, seq) of each attested fact in log order, after verifying each as an auditor would."""
    entries = world.entries()
    key = next(e.fact.key for e in entries if isinstance(e.fact, node.Enrolled))
    numbers = []
    for entry in entries:
        words = getattr(entry.fact, "attested", None)
        if not isinstance(words, Attested):
            continue
        body = fleet.open_attested(
            fleet.Attested(words.node, words.key, words.boot, words.seq, words.body, words.sig), key
        )
        assert (body.tag, body.stream, body.node) == (entry.tag, entry.stream, name)
        assert body.boottime_us == entry.fact.boottime_us  # type: ignore[attr-defined]
        numbers.append((words.boot, words.seq))
    return numbers


def test_a_runtime_lives_and_ends_exactly_once_though_the_agent_is_killed(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """anchor, usable, stopped are each in the log once, in order, over two kills -9."""

    async def law(world: World, tmp: Path) -> None:
        name, agent = await enrolled_program(world, tmp / "a")
        agent.start()
        await world.until(name, "node.anchored")
        one = await world.launch(name)
        await world.until(one, "runtime.usable")
        agent.kill()
        await world.stop(one)
        two = await world.launch(name, 1)
        agent.start()
        await world.until(one, "runtime.stopped")
        await world.until(two, "runtime.usable")
        agent.kill()
        agent.start()
        await world.stop(two)
        await world.until(two, "runtime.stopped")
        status, said = agent.end()
        assert (status, said) == (0, "")
        whole = [
            "runtime.requested", "runtime.allocated", "runtime.starting",
            "runtime.usable", "runtime.stopping", "runtime.stopped",
        ]  # fmt: skip
        assert await world.tags(one) == whole
        assert await world.tags(two) == whole
        assert (await world.tags(name)).count("node.anchored") == 1
        numbers = checked_words(world, name)
        assert [seq for _, seq in numbers] == [1, 2, 3, 4, 5]
        assert len({boot for boot, _ in numbers}) == 1

    story(law, database, nats_server, tmp_path)
