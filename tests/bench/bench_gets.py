"""One authorized GET of one resource against an empty Litestar handler, in turn in one run.

Ours is `gpuaas serve` as it is shipped: an API key, the decision by the bindings of its principal,
and the runtime read from PostgreSQL. The empty handler is a bare application, no guards and
nothing read, in a process of its own with the same server and the same loop
(`python -m tests.bench.bench_gets empty`).
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import psycopg
import uvloop
from litestar import Litestar, get

from api.authorization.keys import hash_of, minted
from api.config import Settings, from_environment
from api.embedded.nats import Nats
from api.embedded.postgres import Postgres
from api.serve import calm_collector, front
from domain.api_key import KeyCreated
from domain.authority import authority_stream
from domain.authority_facts import BindingGranted, MemberAdded
from domain.binding import NEVER
from domain.words import Private
from evidence.ids import new_id
from evidence.log import Append, EventLog, Write
from projections.runner import catch_up
from tests.bench.bench_api import Caller, answers, free_port
from tests.bench.bench_log import Measured, fresh_database, row
from tests.bench.bench_projections import GROUP, lives
from tests.conftest import Database
from tests.integration.projections_world import T0, World, command
from tests.integration.served import served

CONNECTIONS: Final = 64
PEOPLE: Final = 32  # none asks more often than one principal may
ROUNDS: Final = 7
SECONDS: Final = 1.5


@get("/v1/bench/nothing")
async def nothing() -> None:
    """The empty handler."""


def empty() -> None:
    """Serves a bare application until it is ended."""
    calm_collector()
    settings = from_environment()
    server = front(settings, Litestar([nothing], openapi_config=None, logging_config=None))
    uvloop.run(server.serve())


class Tenant:
    """An organization with runtimes in use, and people in it, each of whom may see its project, or
    all of it, with an API key.
    """

    def __init__(self, *, everything: bool = False) -> None:
        self._everything = everything
        self.world = World(nodes=GROUP)  # of two groups at once, each has room for one of both
        self.tokens = [minted() for _ in range(PEOPLE)]
        self.runtimes: list[str] = []

    def appends(self) -> Iterator[Append]:
        yield self.world.opening()
        yield self._authority()
        for append in islice(lives(self.world), 3):
            self.runtimes += [one.stream for one in append.writes if one.stream[:8] == "runtime-"]
            yield append

    def _authority(self) -> Append:
        org, access, keys = self.world.org, [], []
        for number, token in enumerate(self.tokens):
            who = f"user-{number}"
            access += [MemberAdded(who, "", (), T0), self._bound(who)]
            named = (who, Private("0" * 64), token[:12], hash_of(token))
            key = KeyCreated(*named, ("runtime.read", "runtime.list"), NEVER, (), T0)
            keys.append(Write(new_id("token"), org, 0, (key,)))
        told = Write(authority_stream(org), org, 0, tuple(access))
        return Append((told, *keys), "system-bench", command())

    def _bound(self, who: str) -> BindingGranted:
        scope = self.world.org if self._everything else self.world.project
        held = (new_id("binding"), who, "viewer", scope)
        return BindingGranted(*held, False, (), NEVER, (), T0)


async def told(url: str, tenant: Tenant) -> None:
    log = await EventLog.open(url)
    for append in tenant.appends():
        await log.append(append)
    await log.close()


async def rate(port: int, requests: list[bytes]) -> float:
    """Answers per second over keep-alive connections; every one must be a 200."""
    done, turn = 0, cycle(requests)
    end = time.perf_counter() + SECONDS

    def count(status: int) -> bool:
        nonlocal done
        assert status == 200, status
        done += 1
        return time.perf_counter() < end

    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    made = [
        await loop.create_connection(lambda: Caller(lambda: next(turn), count), "127.0.0.1", port)
        for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(caller.closed for _, caller in made))
    return done / (time.perf_counter() - began)


def _request(path: str, token: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


@contextmanager
def _empty(folder: Path, settings: Settings) -> Iterator[int]:
    port = free_port()
    argv = [sys.executable, "-m", "tests.bench.bench_gets", "empty"]
    env = {**settings.environment(), "GPUAAS_HTTP_PORT": str(port)}
    with (folder / "empty.log").open("wb") as out:
        child = subprocess.Popen(argv, env=env, stdout=out, stderr=out)
    try:
        answers(port, folder / "empty.log")
        yield port
    finally:
        child.kill()
        child.wait()


def gets(server: Postgres) -> list[Measured]:
    """The median of what each round found, both sides in turn."""
    ours, base = [], []
    tenant = Tenant()
    with fresh_database(server) as urls, TemporaryDirectory(prefix="gpuaas-gets-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        asyncio.run(told(urls["app"], tenant))
        with psycopg.connect(urls["app"], autocommit=True) as conn:
            catch_up(conn)
        paths = [f"/v1/runtimes/{one}" for one in tenant.runtimes]
        requests = [*map(_request, paths, cycle(tenant.tokens))]
        nothing_asked = [_request("/v1/bench/nothing", tenant.tokens[0])]
        queue = Nats(folder)
        try:
            database = Database(server, urls["name"])
            with served(database, queue.url(), folder) as api, _empty(folder, api.settings) as port:
                for _ in range(ROUNDS + 1):
                    base.append(uvloop.run(rate(port, nothing_asked)))
                    ours.append(uvloop.run(rate(api.settings.http_port, requests)))
        finally:
            queue.close()
    ratio = statistics.median(one / other for one, other in zip(ours[1:], base[1:], strict=True))
    value = statistics.median(ours[1:])
    name = "authorized GET of one runtime"
    return [row(name, value, "1/s", "GET of an empty Litestar handler", value / ratio)]


BENCHES: Final[tuple[Callable[[Postgres], list[Measured]], ...]] = (gets,)

if __name__ == "__main__":
    assert sys.argv[1:] == ["empty"]
    empty()
