"""An agent as a real program against the real log, NATS and ingest."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent import identity
from contracts import fleet
from contracts.signing import public_hex
from domain import node, runtime
from domain.words import Attested
from evidence.log import EventLog
from tests.agent_world import AgentProgram, World
from tests.conftest import Database

pytestmark = pytest.mark.slow


@asynccontextmanager
async def world_of(database: Database, nats_url: str) -> AsyncIterator[World]:
    log = await EventLog.open(database.app_url)
    world = World(database.app_url, nats_url, log)
    world.start_ingest()
    try:
        yield world
    finally:
        await world.stop_ingest()
        await log.close()


async def enrolled(world: World, state: Path, *arguments: str) -> tuple[str, AgentProgram]:
    state.mkdir(parents=True, exist_ok=True)
    key = identity.event_key(state)
    name = await world.enrol(public_hex(key))
    (state / "agent.db").touch()
    identity.keep_enrolment(state, world.reply(name))
    return name, AgentProgram(state, "--usable-after-us", "200000", *arguments)


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


def story(
    law: Callable[[World, Path], Awaitable[None]], database: Database, url: str, tmp: Path
) -> None:
    async def told() -> None:
        async with world_of(database, url) as world:
            await law(world, tmp)

    asyncio.run(told())


def test_a_runtime_lives_and_ends_exactly_once_though_the_agent_is_killed(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """anchor, usable, stopped are each in the log once, in order, over two kills -9."""

    async def law(world: World, tmp: Path) -> None:
        name, agent = await enrolled(world, tmp / "a")
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

    story(law, database, nats_url, tmp_path)
