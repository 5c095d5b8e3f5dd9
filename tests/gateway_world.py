"""A runtime in the log, an sshd of the test's that stands for it, gateways, and a client."""

import asyncio
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from api.authorization import sessions
from api.authorization.keys import hash_of, minted
from api.embedded.children import free_port
from api.ssh import desk
from api.tls import Pair
from contracts import ssh
from domain import runtime, session
from domain.facts import TAGS
from domain.words import Attested
from evidence.append import Append, Write
from evidence.ids import new_id
from evidence.reader import decode_entry
from tests.api_stage import Stage, staged
from tests.conftest import Database
from tests.ssh_world import Key, run_ssh, sshd, wait_for_port

WORD = Attested("node-1", "00" * 32, "11" * 16, 1, "e30=", "aa")
MEMBER = "user-7"


class Gateway:
    """A gateway process of its own on a port of its own."""

    def __init__(self, stage: Stage, folder: Path, name: str, tls: Pair | None = None) -> None:
        self.name = name
        self.port = free_port()
        self.apps_port = free_port()
        # A gateway with TLS has the name that the API gives out, under https.
        self.apps_url = stage.services.settings.apps_url
        if tls is not None:
            self.apps_url = self.apps_url.replace("http:", "https:")
        self.log = folder / f"{name}.log"
        settings = msgspec.structs.replace(
            stage.services.settings,
            gateway_port=self.port,
            apps_port=self.apps_port,
            gateway_name=name,
            gateway_networks="127.0.0.1/32",
            apps_url=self.apps_url,
            tls=tls,
        )
        self._env = settings.environment()
        self.child = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "api.cli", "gateway"],
                env=self._env, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        return self.child

    async def ready(self) -> None:
        try:
            await asyncio.to_thread(wait_for_port, self.port, self.child)
        except AssertionError as error:
            raise AssertionError(self.log.read_text()) from error

    def end(self, *, kill: bool = False) -> int:
        (self.child.kill if kill else self.child.terminate)()
        return self.child.wait(20)

    @property
    def rss_kib(self) -> int:
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])


class World:
    """One organization, one runtime at `principal`, a member who may enter it."""

    def __init__(
        self, stage: Stage, folder: Path, tenant: dict[str, str], exits: AsyncExitStack
    ) -> None:
        self._exits = exits
        self.stage = stage
        self.folder = folder
        self.tenant = tenant
        self.token = stage.token("member", tenant["org"], MEMBER)
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(ssh.known_hosts_line(stage.services.ssh.host_ca))
        self.runtime = ""
        self.allocation = ""
        self.epoch = 0
        self.sshd_port = 0

    @property
    def principal(self) -> str:
        return ssh.principal(self.allocation, self.epoch)

    async def launch(self) -> None:
        """Another runtime is the current one, with an sshd behind it and its route in the log."""
        body = {"project": self.tenant["project"], "name": "r", "devices": 1, "gpu_milli": 100}
        answer = await self.stage.post("/v1/runtimes", body, token=self.token)
        assert answer.status_code == 201, answer.text
        self.runtime = answer.json()["id"]
        [placed] = [
            one.fact
            for one in await self.stage.services.log.read_stream(self.runtime)
            if isinstance(one.fact, runtime.Allocated)
        ]
        self.allocation, self.epoch = placed.allocation, placed.epoch
        keys = self.stage.services.ssh
        folder = self.folder / self.allocation
        serving = sshd(folder, keys, self.allocation, self.epoch)
        self.sshd_port = self._exits.enter_context(serving)
        await self.routed(self.sshd_port)

    async def say(self, fact: Struct) -> None:
        """Appends to the runtime's stream, as its node's words would."""
        log = self.stage.services.log
        last = (await log.read_stream(self.runtime))[-1]
        write = Write(self.runtime, last.org, last.version, (fact,))
        await log.append(Append((write,), "system-test", f"cmd:{uuid.uuid4().hex * 2}"))

    async def routed(self, port: int, address: str = "127.0.0.1") -> None:
        await self.say(runtime.Routed(1, address, port, "ssh-ed25519 AAAA", 1, WORD))

    async def enter(self, key: Key, **more: Any) -> dict[str, Any]:
        """A certificate from the API, beside the key."""
        body = {"public_key": key.public, **more}
        path = f"/v1/runtimes/{self.runtime}/ssh-certificates"
        answer = await self.stage.post(path, body, token=self.token)
        assert answer.status_code == 201, answer.text
        given: dict[str, Any] = answer.json()
        key.certify(given["certificate"])
        return given

    async def credential(self, kind: str) -> tuple[str, str]:
        """An API key, or a session, of a member bound to the project: its token and its id."""
        boss, who = self.stage.operator, f"user-{uuid.uuid4().hex[:8]}"
        org = self.tenant["org"]
        bound = {"principal": who, "role": "member", "scope": self.tenant["project"]}
        for path, body in (
            ("/v1/members", {"principal": who, "organization": org}),
            ("/v1/role-bindings", bound),
        ):
            answer = await self.stage.post(path, body, token=boss)
            assert answer.status_code in (200, 201), answer.text
        if kind == "key":
            user = self.stage.token("user", org, who)
            made = (await self.stage.post("/v1/api-keys", {"name": "k"}, token=user)).json()
            return made["key"], made["id"]
        token, stream, now = minted(sessions.PREFIX), new_id("token"), time.time_ns() // 1000
        facts = (session.Opened("", who, org, hash_of(token), (), "", now + 600_000_000, now),)
        append = Append((Write(stream, org, 0, facts),), who, f"cmd:{uuid.uuid4().hex * 2}")
        await self.stage.services.log.append(append)
        return token, stream

    async def over(self, credential: str, kind: str) -> None:
        """The key is revoked, the session ended."""
        path = "/v1/api-keys/{}/revoke" if kind == "key" else "/v1/sessions/{}/end"
        answer = await self.stage.post(path.format(credential), {})
        assert answer.status_code == 200, answer.text

    def config(self, key: Key, gateway: Gateway) -> list[str]:
        """`ssh` options: the file that a client would be given."""
        entry = ssh.Entry(self.runtime, self.principal, "127.0.0.1", gateway.port)
        path = self.folder / f"{key.path.name}-{gateway.port}.conf"
        text = ssh.client_config(entry, str(key.path), str(self.known_hosts))
        text = f"{text}  BatchMode yes\n  LogLevel ERROR\n  ConnectTimeout 60\n"
        if not path.exists() or path.read_text() != text:  # others may be reading it
            path.write_text(text)
        return ["-F", str(path)]

    async def run(
        self, key: Key, gateway: Gateway, command: str
    ) -> "subprocess.CompletedProcess[str]":
        argv = [*self.config(key, gateway), self.runtime, command]
        return await asyncio.to_thread(run_ssh, argv, 120)

    async def facts(self, kind: type[Struct]) -> list[Any]:
        """All facts of one type in the log, oldest first."""
        tag = next(tag for tag, known in TAGS.items() if known is kind)
        rows = await self.stage.services.reads.rows(
            "SELECT entry FROM log.entry WHERE entry LIKE %(like)s ORDER BY position",
            like=f'%"tag":"{tag}"%'.encode(),
        )
        return [decode_entry(bytes(row["entry"])).fact for row in rows]

    async def until_facts(self, kind: type[Struct], count: int, seconds: float = 120) -> list[Any]:
        deadline = time.monotonic() + seconds
        while len(found := await self.facts(kind)) < count:
            assert time.monotonic() < deadline, (kind, len(found))
            await asyncio.sleep(0.05)
        return found


class Live:
    """A shell in the runtime that says a line every 50 ms; `ended_s` after it was told to end."""

    def __init__(self, world: World, key: Key, gateway: Gateway) -> None:
        argv = ["ssh", *world.config(key, gateway), world.runtime]
        argv.append("while echo alive; do sleep 0.05; done")
        self.child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def first_line(self) -> bytes:
        assert self.child.stdout is not None
        return self.child.stdout.readline()

    def wait(self, seconds: float = 30) -> int:
        assert self.child.stdout is not None
        self.child.stdout.read()
        return self.child.wait(seconds)

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        if self.child.stdout is not None:
            self.child.stdout.close()


@asynccontextmanager
async def gateways(world: World, *names: str) -> AsyncIterator[list[Gateway]]:
    made = [Gateway(world.stage, world.folder, name) for name in names]
    try:
        for one in made:
            await one.ready()
        yield made
    finally:
        for one in made:
            one.end()


@asynccontextmanager
async def worlds(database: Database, nats_url: str, folder: Path) -> AsyncIterator[World]:
    """A world with its runtime launched, an sshd behind it and its route in the log."""
    async with AsyncExitStack() as exits:
        stage = await exits.enter_async_context(staged(database, nats_url, folder))
        await desk.attend(stage.services.nats, stage.services.ssh)
        await stage.node()
        world = World(stage, folder, await stage.tenant(), exits)
        await world.launch()
        yield world


def play(
    database: Database, nats_url: str, folder: Path, scene: Callable[[World], Awaitable[None]]
) -> None:
    async def run() -> None:
        async with worlds(database, nats_url, folder) as world:
            await scene(world)

    asyncio.run(run())
