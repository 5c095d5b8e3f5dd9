"""A control plane just wide enough for agents: the real log and ingest, facts appended by hand."""

import asyncio
import contextlib
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import nats
import nats.errors
import psycopg
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client
from nats.aio.msg import Msg

from agent import clock
from agent import identity as agent_identity
from agent.enrol import trusting
from api.embedded.nats import Nats
from api.fleet.commands import ensure_streams
from api.fleet.desk import Pace
from api.fleet.loops import run
from api.fleet.node_ca import node_certificate
from api.fleet.words import Ending
from contracts import enrolment, fleet, nkeys
from contracts.signing import public_hex
from contracts.spec import Spec, VolumeMount
from domain import identity, node, quota, runtime, volume
from domain.errors import DomainError
from domain.words import Gpu, Private, Share
from evidence.ids import new_id
from evidence.line import client_with, with_tls
from evidence.log import Append, Appended, EventLog, Write
from evidence.reader import Recorded, decode_entry, read_entries
from gpuaas_verify.attest import WATCHED, Attestations, check_words
from gpuaas_verify.entry import parse_entry
from tests.conftest import Database

PRIVATE = Private("0" * 64)
ORG = "organization-01936f00-0000-7000-8000-000000000001"
SYSTEM = "system-test"


def now_us() -> int:
    return time.time_ns() // 1000


class World:
    """Owns one log, one command key and the ingest over them; `restart_ingest` is a crash."""

    def __init__(self, app_url: str, server: Nats, log: EventLog) -> None:
        self.app_url = app_url
        self.nats_url = server.url()
        self.node_url = server.node_url()
        self.account = server.account_key
        self.tls = server.platform_tls()
        self.ca = server.ca
        self.offset_us = 0
        self.log = log
        self.key = Ed25519PrivateKey.generate()
        self.quota = new_id("quota")
        self.epoch = 0
        self.attached: dict[str, tuple[str, ...]] = {}
        self.task: asyncio.Task[None] | None = None
        self.pace = Pace(tend_s=0.1, resend_s=1.0, settle_us=500_000)
        self.appended: Callable[[Append], Awaitable[Appended]] = log.append
        self.ended: Callable[[Ending], Awaitable[Appended]] = self.end

    def start_ingest(self) -> None:
        self.task = asyncio.create_task(
            run(
                self.app_url,
                self.nats_url,
                self.key,
                self.appended,
                self.ended,
                account=self.account,
                pace=self.pace,
                now_us=lambda: now_us() + self.offset_us,
                tls=self.tls,
            )
        )

    async def stop_ingest(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def write(self, stream: str, *facts: msgspec.Struct, org: str = "-") -> Appended:
        version = len(await self.log.read_stream(stream))
        return await self.log.append(
            Append((Write(stream, org, version, facts),), SYSTEM, f"cmd:{os.urandom(32).hex()}")
        )

    async def enrol(
        self,
        key: str,
        node_id: str | None = None,
        gpus: int = 8,
        nkey: str = "",
        at_us: int | None = None,
    ) -> str:
        name = node_id or new_id("node")
        devices = tuple(Gpu(i, f"GPU-SIMULATED-{i}") for i in range(gpus))
        await self.write(
            name,
            node.Invited(PRIVATE, "T4", "0" * 64, now_us() + 10**9, now_us()),
            node.Enrolled(key, "T4", True, devices, "SIMULATED-1", at_us or now_us()),
            *([identity.Certified(nkey, "0" * 64, "0" * 64, 0, now_us() + 10**12)] if nkey else []),
        )
        return name

    async def launch(
        self, node_id: str, index: int = 0, spec: Spec | None = None, *, idle_stop_us: int = 0,
        payer: tuple[str, str, str] = ("project-1", "department-1", "account-1"),
    ) -> str:  # fmt: skip
        """An admission as the writer would append it; `spec`: what its launch configured, and
        the volumes that it has. `idle_stop_us`: how long it may be idle, 0 for ever.
        """
        name, allocation, at = new_id("runtime"), new_id("allocation"), now_us()
        self.epoch += 1
        shares = (Share(index, 1000),)
        requested = runtime.Requested(*payer, PRIVATE, 1, 1000, (), at)
        allocated = runtime.Allocated(allocation, node_id, "T4", shares, self.epoch, at)
        limited = (runtime.IdleLimited(idle_stop_us, at),) if idle_stop_us else ()
        await self.retried(
            lambda: self._admit(
                node_id,
                name,
                (requested, allocated, *configured(spec, at), *limited),
                node.Allocated(allocation, name, ORG, shares, self.epoch, at),
                () if spec is None else spec.volumes,
            )
        )
        return name

    async def _admit(
        self,
        node_id: str,
        name: str,
        facts: tuple[msgspec.Struct, ...],
        taken: node.Allocated,
        mounts: tuple[VolumeMount, ...],
    ) -> Appended:
        committed = quota.Committed(name, "department-1", "project-1", "T4", 1000, taken.decided_us)
        return await self.log.append(
            Append(
                (
                    Write(name, ORG, 0, facts),
                    Write(node_id, "-", await self.version(node_id), (taken,)),
                    Write(self.quota, ORG, await self.version(self.quota), (committed,)),
                    *[await self._attach(one, name, taken) for one in mounts],
                ),
                SYSTEM,
                f"cmd:{os.urandom(32).hex()}",
            )
        )

    async def _attach(self, mount: VolumeMount, name: str, taken: node.Allocated) -> Write:
        self.attached[name] = (*self.attached.get(name, ()), mount.volume)
        of = (name, taken.allocation, taken.epoch, mount.path, taken.decided_us)
        version = await self.version(mount.volume)
        return Write(mount.volume, ORG, version, (volume.Attached(*of),))

    async def stop(self, name: str) -> None:
        async def once() -> Appended:
            fact = runtime.Stopping("user", now_us())
            version = await self.version(name)
            return await self.log.append(
                Append((Write(name, ORG, version, (fact,)),), SYSTEM, f"cmd:{os.urandom(32).hex()}")
            )

        await self.retried(once)

    async def end(self, ending: Ending) -> Appended:
        """Stands in for the admission writer: the end and its releases in one atomic append."""
        events = await self.log.read_stream(ending.runtime)
        taken = next(e.fact for e in events if isinstance(e.fact, runtime.Allocated))
        at = now_us()
        released = node.Released(taken.allocation, ending.runtime, at)
        return await self.log.append(
            Append(
                (
                    Write(ending.runtime, ORG, len(events), (ending.fact,)),
                    Write(taken.node, "-", await self.version(taken.node), (released,)),
                    Write(
                        self.quota,
                        ORG,
                        await self.version(self.quota),
                        (quota.Released(ending.runtime, at),),
                    ),
                    *[
                        Write(
                            *(one, ORG, await self.version(one)),
                            (volume.Detached(taken.allocation, taken.epoch, "ended", at),),
                        )
                        for one in self.attached.get(ending.runtime, ())
                    ],
                ),
                ending.actor,
                ending.cause,
            )
        )

    async def version(self, stream: str) -> int:
        return len(await self.log.read_stream(stream))

    async def retried(self, once: Callable[[], Awaitable[Appended]]) -> Appended:
        for _ in range(20):
            try:
                return await once()
            except DomainError as error:
                if error.code != "log.version_stale":
                    raise
        raise AssertionError("the stream kept moving")

    async def tags(self, stream: str) -> list[str]:
        return [
            e.tag.split(".", 1)[1].rsplit(".", 1)[0] for e in await self.log.read_stream(stream)
        ]

    async def until(self, stream: str, tag: str, within_s: float = 60, times: int = 1) -> None:
        """Returns when the stream holds the tag so often; fails with what it holds."""
        deadline = time.monotonic() + within_s
        while (await self.tags(stream)).count(tag) < times:
            assert time.monotonic() < deadline, (tag, await self.tags(stream))
            await asyncio.sleep(0.05)

    def entries(self) -> list[Recorded]:
        with psycopg.connect(self.app_url) as conn:
            return [decode_entry(raw) for _, raw, _ in read_entries(conn, 0, 100_000)]

    def reply(self, node_id: str) -> enrolment.EnrolReply:
        return enrolment.EnrolReply(node_id, 0, public_hex(self.key), self.node_url, "", "")

    def shown(self, node_id: str) -> dict[str, Any]:
        """What a client enters NATS with as this node: nothing more, or a certificate of now."""
        if self.ca is None:
            return {}
        key = Ed25519PrivateKey.generate()
        pem, _ = node_certificate(self.ca, node_id, key.public_key(), now_us())
        return with_tls(showing(self.ca.pem, pem, key))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.app_url) as conn:
            return conn.execute(query).fetchall()


def configured(spec: Spec | None, at: int) -> tuple[msgspec.Struct, ...]:
    if spec is None:
        return ()
    limits = (spec.cpu_milli, spec.memory_bytes, spec.pids, spec.restarts)
    made = runtime.Configured(spec.image, spec.digest, *limits, at)
    if spec.network is None:
        return (made,)
    return (made, runtime.Networked(spec.network.network, at))


def showing(ca: str, pem: str, key: Ed25519PrivateKey) -> ssl.SSLContext:
    """A client's context that believes this CA and shows this certificate."""
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, *plain)
    with tempfile.NamedTemporaryFile() as file:
        file.write(private + pem.encode())
        file.flush()
        return trusting(ca, Path(file.name))


class AgentProgram:
    """The agent as a program of its own, to be killed at will."""

    def __init__(self, state: Path, *arguments: str, token: str = "") -> None:
        self.state = state
        self.arguments = arguments
        self.env = {**os.environ, "GPUAAS_ENROL_TOKEN": token}
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-m", "agent", "--state", str(self.state), *self.arguments],
            env=self.env,
            stderr=subprocess.PIPE,
        )

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Exit status and what it said on stderr. SIGTERM waits until it is minded: a program that
        only begins just dies of it.
        """
        assert self.child is not None
        deadline = time.monotonic() + 30
        while number is signal.SIGTERM and self.child.poll() is None and not self._minds(number):
            assert time.monotonic() < deadline, "it does not begin"
            time.sleep(0.02)
        self.child.send_signal(number)
        try:
            _, said = self.child.communicate(timeout=60)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"it does not end: {late.stderr!r}\n{self._stuck()}") from late
        return self.child.returncode, said.decode()

    def _stuck(self) -> str:
        """Where each of its threads is."""
        assert self.child is not None
        spy = Path(sys.executable).with_name("py-spy")
        argv = [str(spy), "dump", "--pid", str(self.child.pid)]
        found = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
        return found.stdout + found.stderr

    def line(self) -> str:
        """The next line that it says on stderr; waits for it."""
        assert self.child is not None
        assert self.child.stderr is not None
        said: bytes = self.child.stderr.readline()
        return said.decode()

    def _minds(self, number: signal.Signals) -> bool:
        assert self.child is not None
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self.child.pid}/status").read_text()
            return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (number - 1) & 1)
        return False

    def finished(self, within_s: float = 60) -> tuple[int, str]:
        """As `end`, for an agent that ends by itself."""
        assert self.child is not None
        _, said = self.child.communicate(timeout=within_s)
        return self.child.returncode, said.decode()


class Front:
    """POST /v1/enrol and nothing else, answered by `answer`, in a thread."""

    def __init__(self, answer: Callable[[enrolment.EnrolRequest], tuple[int, bytes]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                status, body = answer(msgspec.json.decode(raw, type=enrolment.EnrolRequest))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


async def entered(url: str, node_id: str, within_s: int = 10, **options: Any) -> Client:
    """A client under the node's name, let in. Raises: nats.errors.Error when it was not."""
    client = client_with(options.get("tls"))
    try:
        await client.connect(
            url,
            inbox_prefix=fleet.inbox_prefix(node_id).encode(),
            name=node_id,
            allow_reconnect=False,
            connect_timeout=within_s,
            **options,
        )
        await client.flush(within_s)
    except BaseException:
        await client.close()
        raise
    return client


class Hand:
    """An agent moved by hand: any word, in any order, signed by any key, on any subject."""

    client: Client

    def __init__(self, world: World) -> None:
        self.world = world
        self.key = Ed25519PrivateKey.generate()
        self.nats_key = Ed25519PrivateKey.generate()
        self.node = new_id("node")
        self.boot = os.urandom(16).hex()
        self.booted_us = 0
        self.receipts: list[fleet.Receipt] = []
        self.nonce = ""

    def boottime_us(self) -> int:
        return clock.boottime_us() - self.booted_us

    async def enrol(self) -> None:
        nkey = nkeys.public(self.nats_key, nkeys.USER)
        await self.world.enrol(public_hex(self.key), self.node, nkey=nkey)
        # Nobody answers at the door while ingest begins, and the server holds whoever asked then.
        for within_s in (1, 2, 4, 8, 16):
            with contextlib.suppress(nats.errors.Error, OSError):
                self.client = await self.connect(within_s=within_s)
                break
        else:
            raise AssertionError("not let in")

        async def keep(message: Msg) -> None:
            self.take(message.data)

        await self.client.subscribe(fleet.receipt_subject(self.node), cb=keep)

    async def connect(self, key: Ed25519PrivateKey | None = None, *, within_s: int = 10) -> Client:
        """A connection as this node, proven by its own NATS key unless another is given."""
        seed = nkeys.seed(key or self.nats_key, nkeys.USER)
        shown = self.world.shown(self.node)
        return await entered(self.world.node_url, self.node, within_s, nkeys_seed_str=seed, **shown)

    def take(self, raw: bytes) -> fleet.Receipt:
        receipt = fleet.open_receipt(raw, public_hex(self.world.key))
        self.receipts.append(receipt)
        if isinstance(receipt.nonce, str):
            self.nonce = receipt.nonce
        return receipt

    def word(
        self, seq: int, tag: str, stream: str = "", said: fleet.Said | None = None
    ) -> fleet.Attested:
        body = fleet.Body(
            *("gpuaas-attest/1", self.node, self.boot, seq, tag, stream or self.node),
            *(self.boottime_us(), said or {}),
        )
        return fleet.attest(self.key, body)

    async def say(self, word: fleet.Attested, subject: str = "") -> None:
        await self.client.jetstream().publish(
            subject or fleet.subject(self.node, "evt"), msgspec.json.encode(word)
        )

    async def ask(self, word: fleet.Attested, nonce: str | None = None) -> fleet.Receipt:
        request = fleet.LeaseRequest(word, self.nonce if nonce is None else nonce)
        reply = await self.client.request(
            fleet.subject(self.node, "lease"), msgspec.json.encode(request), timeout=5
        )
        return self.take(reply.data)

    async def beat(self) -> None:
        word = fleet.Beat("gpuaas-beat/1", self.node, self.boot, self.boottime_us())
        await self.client.publish(
            fleet.subject(self.node, "hb"), fleet.beat_message(self.key, word)
        )

    async def receipt(self, seq: int, times: int = 1, within_s: float = 60) -> fleet.Receipt:
        """The `times`-th receipt for this number."""
        deadline = time.monotonic() + within_s
        while True:
            found = [one for one in self.receipts if one.seq == seq]
            if len(found) >= times:
                return found[times - 1]
            assert time.monotonic() < deadline, (seq, self.receipts)
            await asyncio.sleep(0.02)


@asynccontextmanager
async def hand_of(world: World) -> AsyncIterator[Hand]:
    """An enrolled hand, let into NATS as its node."""
    hand = Hand(world)
    await hand.enrol()
    try:
        yield hand
    finally:
        await hand.client.close()


async def enrolled_program(
    world: World, state: Path, *arguments: str
) -> tuple[str, "AgentProgram"]:
    """A node enrolled beside the HTTP API, and its agent, not yet started."""
    key = await asyncio.to_thread(_key_in, state)
    nkey = nkeys.public(agent_identity.nats_key(state), nkeys.USER)
    name = await world.enrol(public_hex(key), nkey=nkey)
    agent_identity.keep_enrolment(state, world.reply(name))
    return name, AgentProgram(state, "--usable-after-us", "200000", *arguments)


def _key_in(state: Path) -> Ed25519PrivateKey:
    state.mkdir(parents=True, exist_ok=True)
    (state / "agent.db").touch()
    return agent_identity.event_key(state)


def audited(world: World) -> None:
    """Every attested fact as the auditor's own code judges it: words, order, instants."""
    with psycopg.connect(world.app_url) as conn:
        raws = [raw for _, raw, _ in read_entries(conn, 0, 100_000)]
    attestations = Attestations()
    try:
        for raw in raws:
            entry = parse_entry(raw)
            if "attested" in entry.fact:
                check_words(entry)
            if entry.tag in WATCHED:
                attestations.apply(entry)
    finally:
        attestations.close()


async def emptied_streams(nats_url: str, tls: ssl.SSLContext | None = None) -> None:
    """The streams exist and hold nothing of other tests."""
    client = await nats.connect(nats_url, **with_tls(tls))
    stream = client.jetstream()
    await ensure_streams(stream)
    await stream.purge_stream(fleet.EVT_STREAM)
    await stream.purge_stream(fleet.CMD_STREAM)
    await client.close()


def story(
    law: Callable[[World, Path], Awaitable[None]], database: Database, server: Nats, tmp: Path
) -> None:
    """Runs `law` in a fresh world whose agents use the restricted NATS user."""

    async def told() -> None:
        log = await EventLog.open(database.app_url)
        world = World(database.app_url, server, log)
        await emptied_streams(world.nats_url, world.tls)
        world.start_ingest()
        try:
            await law(world, tmp)
            audited(world)
        finally:
            await world.stop_ingest()
            await log.close()

    asyncio.run(told())
