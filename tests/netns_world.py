"""Three real agents, each on a machine of its own: network, time and mount namespaces.

What is real: the agents as programs, their disks, their network (a veth pair each, taken down for
a partition), NATS, PostgreSQL, ingest, signals, and CLOCK_BOOTTIME in a time namespace: a reboot is
another boot id and another boot clock. What is not: GPUs and runtimes are SIMULATED (their deadline
is obeyed by their source), CLOCK_REALTIME of a machine cannot be stepped, and a night's sleep is an
agent started anew with its boot clock further on, beside a platform whose clock is further on too.
"""

import asyncio
import contextlib
import os
import random
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from agent import clock
from agent import identity as agent_identity
from api.embedded.nats import Nats
from api.embedded.postgres import Postgres
from contracts import fleet, nkeys
from contracts.signing import public_hex
from domain import node, runtime
from domain.errors import DomainError
from domain.words import Share
from evidence.ids import new_id
from tests.agent_world import ORG, PRIVATE, World, now_us, story
from tests.bench.bench_log import fresh_database
from tests.conftest import Database
from tests.warm_machine import Inside

FAULTS = ("cut", "kill", "stop", "reboot", "sleep")
SLEEP_US = fleet.LEASE_US + fleet.DRIFT_US + fleet.STOP_LATENCY_US + 60_000_000
ORPHAN_S = 60.0
_NETS = "10.213"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Machine:
    """One namespace of each kind, its agent, and the files that are its disk."""

    def __init__(self, number: int, state: Path, nats_port: int) -> None:
        tag = f"{secrets.token_hex(2)}{number}"
        self.space, self.outer, inner = f"gpuaas-t{tag}", f"gpo{tag}", f"gpi{tag}"
        self.state = state
        self.node = ""
        self.boot = secrets.token_hex(16)
        self.clock_s = 1_000
        self.child: subprocess.Popen[bytes] | None = None
        third = os.getpid() % 200 + 1
        self.gate, mine = f"{_NETS}.{third}.{4 * number + 1}", f"{_NETS}.{third}.{4 * number + 2}"
        ip("netns", "add", self.space)
        ip("link", "add", self.outer, "type", "veth", "peer", "name", inner, "netns", self.space)
        ip("addr", "add", f"{self.gate}/30", "dev", self.outer)
        ip("link", "set", self.outer, "up")
        ip("-n", self.space, "addr", "add", f"{mine}/30", "dev", inner)
        ip("-n", self.space, "link", "set", inner, "up")
        self.relay = Relay(self.gate, nats_port)

    async def enrol(self, world: World) -> None:
        self.state.mkdir(parents=True)
        (self.state / "agent.db").touch()
        key = agent_identity.event_key(self.state)
        nkey = nkeys.public(agent_identity.nats_key(self.state), nkeys.USER)
        self.node = await world.enrol(public_hex(key), gpus=1, nkey=nkey)
        agent_identity.keep_enrolment(self.state, world.reply(self.node))

    def start(self) -> None:
        """The agent begins on this boot of the machine."""
        boot_file = self.state / "boot-id"
        boot_file.write_text(self.boot)
        agent = [
            *(sys.executable, "-m", "agent", "--state", str(self.state), "--gpus", "1"),
            *("--usable-after-us", "100000", "--nats", f"nats://{self.gate}:{self.relay.port}"),
        ]
        program = Inside(self.space, boot_file, self.clock_s, agent)
        self.child = subprocess.Popen(program, stderr=subprocess.DEVNULL)

    def send(self, number: signal.Signals) -> None:
        assert self.child is not None
        self.child.send_signal(number)
        if number is signal.SIGKILL:
            self.child.wait(20)

    def reboot(self, chance: random.Random) -> None:
        """Power off and on: another boot id, a boot clock that starts elsewhere."""
        self.send(signal.SIGKILL)
        self.boot = f"{chance.getrandbits(128):032x}"
        self.clock_s = chance.randrange(100_000)
        self.start()

    def cut(self, *, off: bool) -> None:
        ip("link", "set", self.outer, "down" if off else "up")

    def living(self) -> dict[str, str]:
        """Allocation -> runtime of what runs on this boot, as the machine knows it."""
        boottime_us = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000 + self.clock_s * 1_000_000
        with closing(sqlite3.connect(self.state / "simulated.db")) as conn:
            rows = conn.execute(
                "SELECT allocation, runtime FROM runtime WHERE boot = ? AND stopped_us IS NULL"
                " AND failed_us IS NULL AND deadline_us > ?",
                (clock.boot_of(self.node, self.boot), boottime_us),
            ).fetchall()
        return dict(rows)

    def close(self) -> None:
        if self.child is not None and self.child.poll() is None:
            self.child.kill()
            self.child.wait(20)
        self.relay.close()
        ip("link", "del", self.outer)
        ip("netns", "del", self.space)


class Relay:
    """Carries TCP from a machine's gate to the NATS server on loopback; a thread of its own."""

    def __init__(self, address: str, to_port: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.port = 0
        self.thread = threading.Thread(target=self._run, args=(address, to_port), daemon=True)
        self.thread.start()
        assert self.ready.wait(60)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join(10)

    def _run(self, address: str, to_port: int) -> None:
        self.ended = asyncio.Event()
        self.loop.run_until_complete(self._serve(address, to_port))
        self.loop.close()

    async def _serve(self, address: str, to_port: int) -> None:
        carried: set[asyncio.Task[None]] = set()

        async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            carried.add(task)
            there, back = await asyncio.open_connection("127.0.0.1", to_port)
            ways = [asyncio.create_task(one) for one in (_pour(reader, back), _pour(there, writer))]
            try:
                # Cut: the protocol's callback would print the cancellation of its own task.
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in ways:
                    one.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                for end in (back, writer):
                    end.transport.abort()
                carried.discard(task)

        server = await asyncio.start_server(taken, address, 0, family=socket.AF_INET)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await self.ended.wait()
        server.close()
        for task in list(carried):
            task.cancel()
        await asyncio.gather(*carried, return_exceptions=True)


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


class Told(Struct):
    """What befell the machines in one seed, by fault."""

    faults: dict[str, int]
    launched: int = 0
    ended: int = 0


def machines_hold(first: int, seeds: int) -> str:
    """A stack of its own and three machines, that many seeds one after the other; what happened."""
    sums: Counter[str] = Counter()

    async def law(world: World, tmp: Path) -> None:
        async with peopled(3, tmp, world) as made:
            for seed in range(first, first + seeds):
                told = await seed_holds(world, made, seed)
                sums.update(told.faults)
                sums.update(launched=told.launched, ended=told.ended)

    with tempfile.TemporaryDirectory(prefix="gpuaas-machines-") as place:
        folder = Path(place)
        folder.chmod(0o711)
        with (
            closing(Postgres(folder)) as server,
            fresh_database(server) as urls,
            closing(Nats(folder)) as nats,
        ):
            story(law, Database(server, urls["name"]), nats, folder)
    return f"machine seeds {first}..{first + seeds - 1}: {dict(sums)}"


@asynccontextmanager
async def peopled(count: int, folder: Path, world: World) -> AsyncIterator[list[Machine]]:
    """Machines whose agents are enrolled, running and anchored."""
    with machines(count, folder, world) as made:
        for one in made:
            await one.enrol(world)
            one.start()
        for one in made:
            await world.until(one.node, "node.anchored", 60)
        yield made


@contextmanager
def machines(count: int, folder: Path, world: World) -> Iterator[list[Machine]]:
    port = urlsplit(world.node_url).port
    assert port is not None
    made: list[Machine] = []
    try:
        # One by one into the list: what a failure leaves is closed.
        made.extend(Machine(at, folder / f"machine-{at}", port) for at in range(count))
        yield made
    finally:
        for one in made:
            one.close()


async def placed(world: World, name: str) -> str:
    """A runtime on the node's device, if its decider gives it away; else empty."""
    entries = await world.log.read_stream(name)
    state: node.State = node.Missing()
    for entry in entries:
        state = node.evolve(state, entry.fact)  # type: ignore[arg-type]
    made, allocation, at = new_id("runtime"), new_id("allocation"), now_us() + world.offset_us
    shares = (Share(0, 1000),)
    try:
        (taken,) = node.decide(node.Allocate(allocation, made, ORG, shares, at), state)
        assert isinstance(taken, node.Allocated)
        facts = (
            runtime.Requested("project-1", "department-1", "account-1", PRIVATE, 1, 1000, (), at),
            runtime.Allocated(allocation, name, "T4", shares, taken.epoch, at),
        )
        await world._admit(name, made, facts, taken, ())
    except DomainError as error:
        if error.code.startswith(("node.", "capacity.", "log.version_stale")):
            return ""
        raise
    return made


async def seed_holds(world: World, machines: list[Machine], seed: int) -> Told:
    """One short schedule of faults and launches; afterwards everything is as the log says."""
    chance = random.Random(seed)
    told = Told(dict.fromkeys(FAULTS, 0))
    touched: set[str] = set()
    before = {one.node: one.living() for one in machines}
    for _ in range(chance.randint(3, 5)):
        for one in machines:
            told.launched += bool(await placed(world, one.node))
        fault, one = chance.choice(FAULTS), chance.choice(machines)
        told.faults[fault] += 1
        await _befall(world, machines, one, fault, chance)
        if fault in {"reboot", "sleep"}:
            touched |= {one.node} if fault == "reboot" else {each.node for each in machines}
        if chance.random() < 0.3:
            told.ended += await _ended_one(world, chance.choice(machines))
    await _settled(world, machines, seed)
    for one in machines:
        if one.node not in touched:
            stopped = {name for name in before[one.node].values() if await _over(world, name)}
            now = set(one.living().values())
            kept = set(before[one.node].values()) - stopped
            assert kept <= now, f"seed {seed}: a short outage ended {kept - now}"
    return told


async def _befall(
    world: World, machines: list[Machine], one: Machine, fault: str, chance: random.Random
) -> None:
    lasting_s = chance.uniform(0.1, 1.5)
    match fault:
        case "cut":
            one.cut(off=True)
            await asyncio.sleep(lasting_s)
            one.cut(off=False)
        case "kill":
            one.send(signal.SIGKILL)
            await asyncio.sleep(lasting_s)
            one.start()
        case "stop":
            one.send(signal.SIGSTOP)
            await asyncio.sleep(lasting_s)
            one.send(signal.SIGCONT)
        case "reboot":
            one.reboot(chance)
        case _:
            # All sleep past their leases: every clock is further on, the platform's too.
            for each in machines:
                each.send(signal.SIGKILL)
            world.offset_us += SLEEP_US
            for each in machines:
                each.clock_s += SLEEP_US // 1_000_000
                each.start()


async def _ended_one(world: World, one: Machine) -> bool:
    for name in one.living().values():
        if not await _over(world, name):
            try:
                await world.stop(name)
            except AssertionError:
                return False
            return True
    return False


async def _over(world: World, name: str) -> bool:
    tags = set(await world.tags(name))
    return bool(tags & {"runtime.stopping", "runtime.stopped", "runtime.lost", "runtime.failed"})


async def _settled(world: World, machines: list[Machine], seed: int) -> None:
    """Within a minute: each boot anchored, and what runs is exactly what the log holds."""
    deadline = time.monotonic() + ORPHAN_S
    while True:
        odd = [found for one in machines if (found := await _differs(world, one))]
        if not odd:
            return
        assert time.monotonic() < deadline, f"seed {seed}: {odd}"
        await asyncio.sleep(0.2)


async def _differs(world: World, one: Machine) -> str:
    state: node.State = node.Missing()
    for entry in await world.log.read_stream(one.node):
        state = node.evolve(state, entry.fact)  # type: ignore[arg-type]
    assert isinstance(state, node.Serving)
    held = {taken.allocation for taken in state.held.values()}
    runs = set(one.living())
    assert len(held) <= 1, f"{one.node}: one device, owned by {held}"
    assert len(runs) <= 1, f"{one.node}: one device, run by {runs}"
    if state.anchor.boot != clock.boot_of(one.node, one.boot):
        return f"{one.node}: its boot is not anchored"
    for name in state.held:
        if "runtime.stopping" in await world.tags(name):
            return f"{one.node}: {name} was to stop"
    if held != runs:
        return f"{one.node}: holds {held}, runs {runs}"
    return ""
