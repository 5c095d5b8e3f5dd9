"""Admissions through the one writer, and launches over HTTP, each beside its baseline in one run.

`python -m tests.bench.bench_api serve` is the server the HTTP bench starts: the real API process
with one more route, an empty handler behind the same guard.
"""

import asyncio
import os
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, cast

import nats
import psycopg
import uvloop
from litestar import post

from api.admission.deciding import decide
from api.admission.wire import Beside, LaunchAsk
from api.admission.writer import Writer
from api.config import from_environment
from api.embedded.nats import Nats
from api.embedded.postgres import Postgres
from api.reads import Reads
from api.serve import calm_collector, serving
from api.stopping import until_signal
from api.tokens import developer_token
from domain import (
    account,
    lending,
    node,
    organization,
    period,
    pricebook,
    project,
    quota,
    wallet_facts,
)
from domain.admission import AdmissionState
from domain.errors import DomainError
from domain.launch import Launch
from domain.purses import wallet_stream
from domain.words import Gpu
from evidence.ids import new_id
from evidence.log import Append, EventLog, Write, private_value
from evidence.wake import HeadWake
from tests.api_stage import open_log
from tests.bench.bench_log import CALLERS, ROUNDS, SECONDS, Measured, Urls, fresh_database, row

# Room for 51,200 shares of a fiftieth: no node holds thousands of runtimes, as none would.
_NODES: Final = 128
_GPUS: Final = 8
MILLI: Final = 20
_CONNECTIONS: Final = 256
_VERSIONS: Final = """
SELECT stream, max(version) FROM log.entry WHERE stream = ANY(%(streams)s) GROUP BY stream
"""


class World:
    """Ids of a tenant that may launch, and of the nodes that have room for it."""

    def __init__(self) -> None:
        self.org = new_id("organization")
        self.department, self.project = new_id("department"), new_id("project")
        self.account = new_id("account")
        self.nodes = [new_id("node") for _ in range(_NODES)]

    def writes(self) -> list[Write]:
        now = time.time_ns() // 1000
        name, _ = private_value(self.org, "bench")
        gpus = [tuple(Gpu(i, f"GPU-{n}-{i}") for i in range(_GPUS)) for n in range(_NODES)]
        entry = pricebook.EntryPublished(
            *(
                "default",
                "gpu.time",
                "T4",
                "-",
                "usable",
                "USD",
                now,
                now,
                10**12,
                3_600_000_000_000,
            )
        )
        created = project.Created(self.org, self.department, self.account, name, now)
        opened = account.Opened(self.org, "USD", 2, "UTC", "x", now)
        begun = period.Opened(self.account, 1, 0, 4 * 10**15, "UTC", "x", now)
        return [
            Write(self.org, self.org, 0, (organization.Created(name, now),)),
            Write(self.project, self.org, 0, (created,)),
            Write(self.account, self.org, 0, (opened,)),
            Write(new_id("period"), self.org, 0, (begun,)),
            Write(new_id("pricebook"), "-", 0, (entry,)),
            *(
                Write(
                    *(stream, "-", 0),
                    (
                        node.Invited(name, "T4", "0" * 64, now + 1, now),
                        node.Enrolled("0" * 64, "T4", True, gpus[index], "s", now),
                    ),
                )
                for index, stream in enumerate(self.nodes)
            ),
        ]

    def prepaid(self) -> list[Write]:
        """Its account pays beforehand, and has."""
        now, pico = time.time_ns() // 1000, 10**30
        credit = wallet_facts.CreditGranted(
            *(new_id("grant"), "paid", pico, 0, "bench", now, pico, 0)
        )
        return [
            Write(self.account, self.org, 1, (account.TermsSet(account.PREPAID, 0, now),)),
            Write(wallet_stream(self.account), self.org, 0, (credit,)),
        ]

    def quota(self) -> Write:
        """All three levels with a share and a limit, far from used up."""
        now, most = time.time_ns() // 1000, 10**9
        tree = ((self.org, ""), (self.department, self.org), (self.project, self.department))
        shares = [
            lending.ShareSet(scope, above, "T4", most // 2, 0, most, now) for scope, above in tree
        ]
        limits = [quota.LimitSet(scope, "*", most, now) for scope, _ in tree]
        return Write(quota.quota_stream(self.org), self.org, 0, (*shares, *limits))

    def ask(self) -> LaunchAsk:
        name, words = private_value(self.org, "r")
        launch = Launch(
            *(self.org, self.project, new_id("runtime"), new_id("allocation"), name),
            *(1, MILLI, (), time.time_ns() // 1000),
        )
        said = ("runtime.launch", self.project, ("binding-bench",), launch.now_us)
        by = Beside(new_id("access"), *said)
        cause = f"cmd:{secrets.token_hex(32)}"
        return LaunchAsk(launch, "user-bench", cause, (words,), beside=by)


async def _begun(url: str) -> tuple[EventLog, World]:
    log = await EventLog.open(url)
    await open_log(log)
    world = World()
    await log.append(Append(tuple(world.writes()), "system-bench", f"cmd:{secrets.token_hex(32)}"))
    return log, world


async def rate_of(callers: int, act: Callable[[], Awaitable[object]]) -> float:
    """How many acts `callers` at once finish per second, one after another each."""
    done = 0
    end = time.perf_counter() + SECONDS

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await act()
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return done / (time.perf_counter() - began)


async def writer_rate(
    url: str, nats_url: str, callers: int = CALLERS, *, limited: bool = False
) -> float:
    """Admissions per second, each durable when its caller hears of it."""
    log, world = await _begun(url)
    if limited:
        writes = (world.quota(), *world.prepaid())
        await log.append(Append(writes, "system-bench", f"cmd:{secrets.token_hex(32)}"))
    client = await nats.connect(nats_url)
    writer = Writer(url, log, HeadWake(client))
    await writer.load()
    writer.start()
    rate = await rate_of(callers, lambda: writer.ask(world.ask()))
    await writer.close()
    await client.close()
    await log.close()
    return rate


async def optimistic_rate(url: str) -> float:
    """The same facts, one append per caller: read the versions, append, again when stale.

    Each caller has a device of its own, so that only the quota's stream is shared. Deciding costs
    nothing here: the facts are those of one decision, made once.
    """
    log, world = await _begun(url)
    state = AdmissionState()
    for write in world.writes():
        for version, fact in enumerate(write.facts, 1):
            state.apply(write.stream, version, fact)
    model = decide(state, world.ask())[1].writes
    reads = Reads(url, 4)

    async def act() -> None:
        runtime, stream = new_id("runtime"), secrets.choice(world.nodes)
        names = [stream, quota.quota_stream(world.org)]
        while True:
            known = dict(await reads.ask(_versions, names))
            writes = (
                Write(runtime, world.org, 0, model[0].facts),
                Write(stream, "-", known[stream], model[1].facts),
                Write(names[1], world.org, known.get(names[1], 0), model[2].facts),
                Write(new_id("access"), world.org, 0, model[3].facts),
            )
            try:
                await log.append(Append(writes, "user-bench", f"cmd:{secrets.token_hex(32)}"))
            except DomainError as error:
                if error.code != "log.version_stale":
                    raise
            else:
                return

    rate = await rate_of(CALLERS, act)
    reads.close()
    await log.close()
    return rate


def _versions(conn: psycopg.Connection[Any], streams: list[str]) -> list[tuple[str, int]]:
    return conn.execute(_VERSIONS, {"streams": streams}).fetchall()


def admissions(server: Postgres) -> list[Measured]:
    """Floor 20, goal 60. Both sides in a process that collects like the API's."""
    calm_collector()
    ours, base = [], []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        broker = Nats(Path(folder))
        for _ in range(ROUNDS):
            with fresh_database(server) as urls:
                base.append(uvloop.run(optimistic_rate(urls["app"])))
            with fresh_database(server) as urls:
                ours.append(uvloop.run(writer_rate(urls["app"], broker.url())))
        broker.close()
    value, baseline = statistics.median(ours), statistics.median(base)
    than = "one optimistic append each on the same stream"
    return [row("admissions, one writer, 256 callers", value, "admissions/s", than, baseline)]


@post("/v1/bench/nothing", opt={"action": "capacity.read"})
async def nothing() -> None:
    """The empty handler, behind the same guard."""


class Caller(asyncio.Protocol):
    """One keep-alive connection: sends a request, counts its answer, sends the next."""

    def __init__(self, request: Callable[[], bytes], count: Callable[[int], bool]) -> None:
        self._request = request
        self._count = count
        self._held = b""
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._transport.write(self._request())

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, found, body = self._held.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) < length:
            return
        self._held = body[length:]
        if self._count(int(head[9:12])):
            self._transport.write(self._request())
        else:
            self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        self.closed.set_result(None)


async def http_rate(port: int, path: str, body: bytes, token: str) -> float:
    """Answers per second over keep-alive connections; every one must be a 201."""
    done = 0
    end = time.perf_counter() + SECONDS
    fixed = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nIdempotency-Key: "
    ).encode()

    def request() -> bytes:
        return fixed + secrets.token_hex(16).encode() + b"\r\n\r\n" + body

    def count(status: int) -> bool:
        nonlocal done
        assert status == 201, status
        done += 1
        return time.perf_counter() < end

    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    made = [
        await loop.create_connection(lambda: Caller(request, count), "127.0.0.1", port)
        for _ in range(_CONNECTIONS)
    ]
    await asyncio.gather(*(caller.closed for _, caller in made))
    return done / (time.perf_counter() - began)


def launches(server: Postgres) -> list[Measured]:
    """Floor 0.15, goal 0.35."""
    ours, base = [], []
    with tempfile.TemporaryDirectory() as name, fresh_database(server) as urls:
        folder = Path(name)
        folder.chmod(0o711)
        broker = Nats(folder)
        log, world = uvloop.run(_closed(urls["app"]))
        port, env = free_port(), _environment(urls, broker, folder)
        argv = [sys.executable, "-m", "tests.bench.bench_api", "serve"]
        with (folder / "serve.log").open("wb") as out:
            child = subprocess.Popen(
                argv, env={**env, "GPUAAS_HTTP_PORT": str(port)}, stdout=out, stderr=out
            )
        try:
            answers(port, folder / "serve.log")
            token = developer_token(from_environment(env))
            body = b'{"project":"%s","name":"r","gpu_milli":%d}' % (world.project.encode(), MILLI)
            # The first round is not counted: ingest still makes a consumer for each new node.
            for _ in range(ROUNDS + 1):
                base.append(uvloop.run(http_rate(port, "/v1/bench/nothing", body, token)))
                ours.append(uvloop.run(http_rate(port, "/v1/runtimes", body, token)))
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(20)
            broker.close()
    del log
    value, baseline = statistics.median(ours[1:]), statistics.median(base[1:])
    return [row("HTTP launches, durable", value, "1/s", "POST to an empty handler", baseline)]


async def _closed(url: str) -> tuple[None, World]:
    log, world = await _begun(url)
    await log.close()
    return None, world


def _environment(urls: Urls, broker: Nats, folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "GPUAAS_DATA": str(folder / "data"),
        "GPUAAS_SIGNER_STATE": str(folder / "signer"),
        "GPUAAS_DATABASE_URL": urls["app"],
        "GPUAAS_OWNER_DATABASE_URL": urls["owner"],
        "GPUAAS_NATS_URL": broker.url(),
        "GPUAAS_EMBEDDED": "1",
    }


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answers(port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(log.read_text()[-2000:])


BENCHES: list[Callable[[Postgres], list[Measured]]] = [admissions, launches]


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        uvloop.run(until_signal(lambda stop: serving(from_environment(), stop, more=(nothing,))))
    else:
        with tempfile.TemporaryDirectory() as where:
            Path(where).chmod(0o711)
            postgres = Postgres(Path(where))
            for bench in BENCHES:
                print(bench(postgres), flush=True)
            postgres.close()
