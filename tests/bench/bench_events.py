"""Followers over SSE while facts are appended: from the append's answer until each has the event.

The API, its servers, whoever appends and all the readers share this machine's cores.
"""

import asyncio
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import nats

from agent.simulator.figures import quantile
from api.embedded.nats import Nats
from api.embedded.postgres import Postgres
from api.tokens import issue
from domain import webhook
from evidence.ids import new_id
from evidence.log import Append, EventLog, Write
from evidence.wake import HeadWake
from tests.bench.bench_log import Measured, fresh_database, row
from tests.conftest import Database
from tests.integration.served import Served, served

READERS: Final = int(os.environ.get("GPUAAS_BENCH_READERS", "1000"))
ORGANIZATIONS: Final = 100  # each has its share of the readers, and of the facts
FACTS_S: Final = 500
_EACH: Final = 10  # facts of one append
SECONDS: Final = 10
_IDS: Final = re.compile(rb"^id: (\d+)$", re.MULTILINE)
_PATIENCE_S: Final = 60


class Crowd:
    """`appended`: when each position was answered; `waits_s`: of every event of every reader."""

    def __init__(self) -> None:
        self.appended: dict[int, float] = {}
        self.early: dict[int, list[float]] = {}
        self.waits_s: list[float] = []
        self.open = 0

    def answered(self, position: int) -> None:
        now = time.perf_counter()
        self.appended[position] = now
        self.waits_s += [0.0 for _ in self.early.pop(position, ())]

    async def follow(self, api: Served, token: str, after: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.settings.http_port)
        writer.write(
            f"GET /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n"
            f"Last-Event-ID: {after}\r\n\r\n".encode()
        )
        assert b"200" in await reader.readline()
        self.open += 1
        try:
            while data := await reader.read(65_536):
                now = time.perf_counter()
                for found in _IDS.findall(data):
                    position = int(found)
                    if position in self.appended:
                        self.waits_s.append(now - self.appended[position])
                    else:  # it was quicker than the answer to whoever appended
                        self.early.setdefault(position, []).append(now)
        finally:
            writer.close()


async def _measured(api: Served, app_url: str, nats_url: str) -> float:
    client = await nats.connect(nats_url)
    log = await EventLog.open(app_url, wake=HeadWake(client).publish)
    crowd, orgs = Crowd(), [new_id("organization") for _ in range(ORGANIZATIONS)]
    now_us = time.time_ns() // 1000
    tokens = [issue(api.settings, "user-1", "member", org, now_us, 3600) for org in orgs]
    after = (await log.head()).size - 1
    following = [
        asyncio.create_task(crowd.follow(api, tokens[n % ORGANIZATIONS], after))
        for n in range(READERS)
    ]
    deadline = time.monotonic() + _PATIENCE_S
    while crowd.open < READERS:
        assert time.monotonic() < deadline, f"{crowd.open} follow"
        await asyncio.sleep(0.05)
    begun, each_s = time.perf_counter(), _EACH / FACTS_S
    facts = FACTS_S * SECONDS
    for n in range(facts // _EACH):
        await asyncio.sleep(max(0, begun + n * each_s - time.perf_counter()))
        appended = await log.append(_some(orgs, n * _EACH))
        for position in range(appended.first, appended.last + 1):
            crowd.answered(position)
    expected = facts * READERS // ORGANIZATIONS
    while len(crowd.waits_s) < expected:
        assert time.monotonic() < deadline + _PATIENCE_S, f"{len(crowd.waits_s)} of {expected}"
        await asyncio.sleep(0.05)
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    await log.close()
    await client.close()
    assert len(crowd.waits_s) == expected, "each event once for each reader"
    return quantile(crowd.waits_s, 0.99)


def _some(orgs: list[str], first: int) -> Append:
    """Facts that change nobody's authority, as most do not."""
    writes = tuple(
        Write(new_id("webhook"), orgs[n % ORGANIZATIONS], 0, (webhook.Deleted(n),))
        for n in range(first, first + _EACH)
    )
    return Append(writes, "system-bench", f"cmd:{first:064x}")


def followers(server: Postgres) -> list[Measured]:
    """p99 from the append's answer to each reader that may have it; the baseline is the floor."""
    with fresh_database(server) as urls, TemporaryDirectory(prefix="gpuaas-events-") as folder:
        place = Path(folder)
        place.chmod(0o711)
        queue = Nats(place)
        try:
            database = Database(server, urls["name"])
            with served(database, queue.url(), place) as api:
                p99_s = asyncio.run(_measured(api, urls["app"], queue.url()))
        finally:
            queue.close()
    name = f"{READERS:,} followers of {ORGANIZATIONS} organizations, {FACTS_S} facts/s, p99"
    return [row(name, p99_s * 1000, "ms", "the floor of 1 s (goal 250 ms)", 1000)]


BENCHES: Final[tuple[Callable[[Postgres], list[Measured]], ...]] = (followers,)
