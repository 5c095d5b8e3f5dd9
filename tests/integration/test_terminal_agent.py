import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.aio.msg import Msg

from agent import clock
from agent.identity import event_key
from agent.terminal import wire
from api.embedded.nats import Nats
from contracts import fleet, terminal
from contracts.fleet import Command, Order
from contracts.signing import public_hex
from contracts.terminal import CloseTerminal, OpenTerminal
from evidence.ids import new_id
from tests.agent_world import AgentProgram, World, enrolled_program, story
from tests.conftest import Database
from tests.terminal_hand import FarTypist

pytestmark = pytest.mark.slow


class Scene:
    """A usable runtime on an agent that can be killed, and orders to it by hand."""

    def __init__(self, world: World, node: str, program: AgentProgram, runtime: str) -> None:
        self.world = world
        self.node = node
        self.program = program
        self.runtime = runtime
        self.number = 1_000_000
        self.session = new_id("access")

    async def order(self, order: Order, epoch: int | None = None) -> None:
        facts = await self.world.log.read_stream(self.runtime)
        allocated = facts[1].fact
        boot = clock.boot_of(self.node, clock.machine_boot())
        self.number += 1
        command = Command(
            *("gpuaas-command/1", self.number, self.node, boot, allocated.allocation),  # type: ignore[attr-defined]
            *(allocated.epoch if epoch is None else epoch, "n"),  # type: ignore[attr-defined]
            *(clock.boottime_us() + 60_000_000, order),
        )
        client = await nats.connect(self.world.nats_url)
        message = fleet.seal(self.world.key, command)
        await client.jetstream().publish(fleet.subject(self.node, "cmd"), message)
        await client.close()

    async def open(self, epoch: int | None = None) -> None:
        key = terminal.exchange_hex(terminal.session_key(self.world.key, self.session))
        await self.order(OpenTerminal(self.runtime, self.session, "user-1", 80, 24, key), epoch)

    @property
    def folder(self) -> Path:
        return self.program.state / "terminals" / self.session

    async def over(self, within_s: float = 60) -> None:
        deadline = time.monotonic() + within_s
        while self.folder.exists():
            assert time.monotonic() < deadline, list(self.folder.iterdir())
            await asyncio.sleep(0.05)


@asynccontextmanager
async def scene(world: World, tmp: Path) -> AsyncIterator[tuple[Scene, FarTypist]]:
    node, program = await enrolled_program(world, tmp / "agent")
    program.start()
    client = await nats.connect(world.nats_url)
    runtime = await world.launch(node)
    made = Scene(world, node, program, runtime)
    try:
        await world.until(runtime, "runtime.usable", within_s=60)
        typist = FarTypist(client, node, made.session, world.key)
        await typist.listen(public_hex(event_key(program.state)))
        yield made, typist
        await made.order(CloseTerminal(runtime, made.session, "user"))
        await made.over()
    finally:
        await client.close()
        if (made.folder / wire.PID).exists():
            os.kill(int((made.folder / wire.PID).read_text()), signal.SIGKILL)
        program.end()


def test_a_terminal_outlives_its_agent(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """Opened by a signed order; the agent is killed again and again, no byte is lost or doubled."""

    async def law(world: World, tmp: Path) -> None:
        async with scene(world, tmp) as (made, typist):
            await made.open()
            await typist.attach()
            await typist.until(b"SIMULATED $ ")
            await typist.say(typist.type(b"stty raw -echo; echo go; exec cat\n"))
            await typist.until(b"go")
            await asyncio.sleep(0.3)
            base = len(typist.shown)
            said = bytes(index % 249 for index in range(30_000))
            for part in range(3):
                typed = typist.typed
                for at in range(part * 10_000, (part + 1) * 10_000, 1000):
                    await typist.say(typist.type(said[at : at + 1000]))
                await typist.client.flush()
                made.program.kill()
                made.program.start()
                await typist.attach()
                rest = said[part * 10_000 + typist.typed - typed : (part + 1) * 10_000]
                for at in range(0, len(rest), 1000):
                    await typist.say(typist.type(rest[at : at + 1000]))
                deadline = time.monotonic() + 30
                while len(typist.shown) - base < (part + 1) * 10_000:
                    assert time.monotonic() < deadline, len(typist.shown) - base
                    await typist.say(typist.grant())
                    await asyncio.sleep(0.05)
            assert bytes(typist.shown[base:]) == said

    story(law, database, nats_server, tmp_path)


def test_nobody_else_types_reads_or_takes_over(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """On the real server: forged, replayed and foreign frames and attachments change nothing."""

    async def law(world: World, tmp: Path) -> None:
        async with scene(world, tmp) as (made, typist):
            await made.open()
            passed: list[bytes] = []
            spy = await nats.connect(world.nats_url)

            async def overheard(message: Msg) -> None:
                passed.append(message.data)

            await spy.subscribe(f"gpuaas.v1.node.{made.node}.term.>", cb=overheard)
            await spy.flush()
            await typist.attach()
            await typist.until(b"SIMULATED $ ")
            await typist.say(typist.type(b"echo s''ecret\n"))
            await typist.until(b"secret\r\n")
            await asyncio.sleep(0.3)
            assert not any(b"secret" in raw or b"SIMULATED" in raw for raw in passed)
            subject = terminal.subject(made.node, made.session, "in")
            heard = list(passed)
            for raw in heard:
                await spy.publish(subject, raw)
                await spy.publish(terminal.subject(made.node, made.session, "ctl"), raw)
                await spy.publish(subject, raw[:-1] + bytes((raw[-1] ^ 1,)))
            await spy.publish(subject, os.urandom(300))
            await spy.publish("gpuaas.v1.node.x.term.y.in", b"rubbish")
            await spy.flush()
            await typist.say(typist.type(b"echo do''ne\n"))
            await typist.until(b"done\r\n")
            deadline = time.monotonic() + 15
            while typist.status.refused < 2 * len(heard):
                assert time.monotonic() < deadline, typist.status
                await asyncio.sleep(0.1)
            assert bytes(typist.shown).count(b"secret") == 1
            await spy.close()

    story(law, database, nats_server, tmp_path)


def test_another_epoch_opens_nothing_and_a_stop_ends_what_is_open(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """The fence counts for terminals too; with its runtime a terminal is over."""

    async def law(world: World, tmp: Path) -> None:
        async with scene(world, tmp) as (made, typist):
            await made.open(epoch=99)
            await asyncio.sleep(1)
            assert not made.folder.exists()
            await made.open()
            await typist.attach()
            await typist.until(b"SIMULATED $ ")
            await world.stop(made.runtime)
            await made.over()
            await made.open()
            await asyncio.sleep(1)
            assert not made.folder.exists()

    story(law, database, nats_server, tmp_path)
