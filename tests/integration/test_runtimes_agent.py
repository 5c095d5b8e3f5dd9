"""The agent as a program, its runtimes real containers: killed, stopped, cut off, robbed."""

import asyncio
import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from agent import clock
from agent.clock import boottime_us
from agent.keeper import read_deadline, read_seen
from api.embedded.nats import Nats
from contracts import fleet
from contracts.fleet import Command, Share, StartRuntime
from contracts.spec import Spec
from domain import runtime
from evidence.ids import new_id
from tests.agent_world import World, hand_of, story
from tests.conftest import Database
from tests.containers import Image, podman, until
from tests.crew import Crew, crew_of
from tests.kept_world import alive

pytestmark = [pytest.mark.slow, pytest.mark.machine, pytest.mark.timeout(900)]

S = 1_000_000


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with podman() as found:
        yield found


def test_from_launch_to_stop_over_a_killed_agent(
    database: Database, nats_server: Nats, tmp_path: Path, image: Image
) -> None:
    """Configured, routed, usable, stopped are in the log, in order, each word verified; the agent
    is killed between: the container is adopted, not started again. An image that the operator did
    not list ends by that name.
    """

    async def law(world: World, tmp: Path) -> None:
        crew = await crew_of(world, image, tmp / "a")
        try:
            one = await world.launch(crew.node, 0, image.spec())
            await world.until(one, "runtime.usable", 90)
            before = await asyncio.to_thread(crew.containers)
            assert len(before) == 1
            crew.program.kill()
            crew.program.start()
            other = await world.launch(crew.node, 1, image.spec(image="localhost/other:1"))
            await world.until(other, "runtime.stopped", 60)
            assert await asyncio.to_thread(crew.containers) == before
            facts = [entry.fact for entry in await world.log.read_stream(other)]
            reasons = [fact.reason for fact in facts if isinstance(fact, runtime.Stopping)]
            assert reasons == ["image.refused"]
            await world.stop(one)
            await world.until(one, "runtime.stopped", 60)
            assert await asyncio.to_thread(crew.containers) == {}
            wanted = "requested allocated configured starting routed usable stopping stopped"
            assert await world.tags(one) == [f"runtime.{word}" for word in wanted.split()]
        finally:
            await asyncio.to_thread(crew.clear)

    story(law, database, nats_server, tmp_path)


@pytest.mark.parametrize(
    "harm", [signal.SIGKILL, signal.SIGSTOP, None], ids=["killed", "stopped", "cut off"]
)
def test_the_container_is_gone_by_its_deadline(
    database: Database, nats_server: Nats, tmp_path: Path, image: Image, harm: signal.Signals | None
) -> None:
    """Whatever becomes of the agent, and of the control plane, which here never answers again."""

    async def law(world: World, tmp: Path) -> None:
        crew = await crew_of(world, image, tmp / "a")
        try:
            name = await ordered(world, crew, image.spec(), 20)
            folder = crew.state / "runtimes" / name
            await asyncio.to_thread(until, lambda: is_usable(folder), "it is usable", 19)
            if harm is not None:
                assert crew.program.child is not None
                os.kill(crew.program.child.pid, harm)
            left = (read_deadline(folder) - boottime_us()) / 1e6
            assert left > 0, "the harm came too late to show anything"
            [pid] = (await asyncio.to_thread(crew.containers)).values()
            assert alive(pid)
            await asyncio.sleep((read_deadline(folder) - boottime_us()) / 1e6)
            assert not alive(pid)
            await crew.gone()
        finally:
            await asyncio.to_thread(crew.clear)

    story(law, database, nats_server, tmp_path)


def test_a_lost_journal_ends_everything(
    database: Database, nats_server: Nats, tmp_path: Path, image: Image
) -> None:
    """Nobody knows which epochs are true: the agent ends what runs, and itself."""

    async def law(world: World, tmp: Path) -> None:
        crew = await crew_of(world, image, tmp / "a")
        try:
            one = await world.launch(crew.node, 0, image.spec())
            await world.until(one, "runtime.usable", 90)
            crew.program.kill()
            for path in crew.state.glob("agent.db*"):
                path.unlink()
            crew.program.start()
            status, said = await asyncio.to_thread(crew.program.finished, 60)
            assert (status, "journal.missing" in said) == (1, True), said
            await crew.gone(10)
        finally:
            await asyncio.to_thread(crew.clear)

    story(law, database, nats_server, tmp_path)


def test_an_agent_too_old_for_a_spec_ends_the_launch_by_name(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """One release back: it cannot read the order's number and refuses number 0; what was sent is
    known by its digest, so the runtime ends as `command.unknown` instead of waiting.
    """

    async def law(world: World, _tmp: Path) -> None:
        async with hand_of(world) as hand:
            await hand.say(hand.word(1, fleet.ANCHORED))
            await hand.receipt(1)
            spec = Spec("lab:1", "sha256:" + "0" * 64, 500, 2**26, 64)
            one = await world.launch(hand.node, 0, spec)
            await world.until(one, "runtime.starting")
            pulled = await hand.client.jetstream().pull_subscribe_bind(
                durable=hand.node, stream=fleet.CMD_STREAM
            )
            [message] = await pulled.fetch(1, timeout=60)
            sha256 = hashlib.sha256(message.data).hexdigest()
            refusal: fleet.Said = {"command": 0, "code": "command.unknown", "sha256": sha256}
            await hand.say(hand.word(2, fleet.COMMAND_REFUSED, hand.node, refusal))
            await world.until(one, "runtime.stopping")
            facts = [entry.fact for entry in await world.log.read_stream(one)]
            reasons = [fact.reason for fact in facts if isinstance(fact, runtime.Stopping)]
            assert reasons == ["command.unknown"]

    story(law, database, nats_server, tmp_path)


async def ordered(world: World, crew: Crew, spec: Spec, within_s: float) -> str:
    """The allocation of an order by hand, whose lease nobody will renew."""
    await asyncio.sleep(1)  # the node's consumer is made after its anchor
    await world.stop_ingest()
    name, until_us = new_id("allocation"), boottime_us() + int(within_s * S)
    boot = clock.boot_of(crew.node, clock.machine_boot())
    order = StartRuntime(new_id("runtime"), (Share(0, 1000),), until_us, spec)
    command = Command(
        *("gpuaas-command/1", 1_000_000, crew.node, boot, name, 1, "n", until_us, order)
    )
    client = await nats.connect(world.nats_url)
    message = fleet.seal(world.key, command)
    await client.jetstream().publish(fleet.subject(crew.node, "cmd"), message)
    await client.close()
    return name


def is_usable(folder: Path) -> bool:
    seen = read_seen(folder)
    return seen is not None and seen.state == "usable"
