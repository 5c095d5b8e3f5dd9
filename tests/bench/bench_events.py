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
import uvloop
from msgspec import Struct

from agent.simulator.figures import quantile
from api.embedded.nats import Nats
from api.embedded.postgres import Postgres
from api.tokens import issue
from domain import webhook
from domain.authority import authority_stream
from domain.authority_facts import BindingGranted, GuardrailSet, MemberAdded
from domain.binding import NEVER
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


async def _measured(api: Served, app_url: str, nats_url: str, *, authority: bool) -> float:
    client = await nats.connect(nats_url)
    log = await EventLog.open(app_url, wake=HeadWake(client).publish)
    crowd, facts_of = Crowd(), Facts(authority=authority)
    now_us, orgs = time.time_ns() // 1000, facts_of.orgs
    tokens = [
        issue(api.settings, f"user-{n}", "member", orgs[n % ORGANIZATIONS], now_us, 3600)
        for n in range(READERS)
    ]
    after = (await log.head()).size - 1
    following = [asyncio.create_task(crowd.follow(api, token, after)) for token in tokens]
    deadline = time.monotonic() + _PATIENCE_S
    while crowd.open < READERS:
        assert time.monotonic() < deadline, f"{crowd.open} follow"
        await asyncio.sleep(0.05)
    begun, each_s = time.perf_counter(), _EACH / FACTS_S
    facts = FACTS_S * SECONDS
    for n in range(facts // _EACH):
        await asyncio.sleep(max(0, begun + n * each_s - time.perf_counter()))
        appended = await log.append(facts_of.some(n * _EACH))
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


class Facts:
    """Of 100 organizations in turn, which change nobody's authority, as most do not; with
    `authority` each tenth does: members come and are bound, and each tenth of these is a guardrail,
    which is everybody's of the organization.
    """

    def __init__(self, *, authority: bool) -> None:
        self.orgs = [new_id("organization") for _ in range(ORGANIZATIONS)]
        self._authority = authority
        self._versions = dict.fromkeys(self.orgs, 0)

    def some(self, first: int) -> Append:
        writes = tuple(self._one(n) for n in range(first, first + _EACH))
        return Append(writes, "system-bench", f"cmd:{first:064x}")

    def _one(self, n: int) -> Write:
        # Another organization in each append is the one whose authority changes.
        turn = n // _EACH
        org = self.orgs[n % ORGANIZATIONS]
        if not self._authority or n % _EACH != turn % _EACH:
            return Write(new_id("webhook"), org, 0, (webhook.Deleted(n),))
        version = self._versions[org]
        self._versions[org] += 1
        return Write(authority_stream(org), org, version, (self._of_authority(n, turn, org),))

    def _of_authority(self, n: int, turn: int, org: str) -> Struct:
        if turn % 10 == 0:
            rail = (new_id("guardrail"), ("network.*",), org)
            return GuardrailSet(*rail, True, (), "bench", (), n)
        if turn % 2:
            return MemberAdded(f"user-new-{n}", "", (), n)
        bound = (new_id("binding"), "user-0", "viewer", org)
        return BindingGranted(*bound, False, (), NEVER, (), n)


def followers(server: Postgres) -> list[Measured]:
    """p99 from the append's answer to each reader that may have it; the baseline is the floor."""
    name = f"{READERS:,} followers of {ORGANIZATIONS} organizations, {FACTS_S} facts/s, p99"
    return [_row(server, name, authority=False)]


def changing(server: Postgres) -> list[Measured]:
    """The same while each tenth fact changes what somebody may."""
    name = f"followers while authority changes, {READERS:,}, {FACTS_S // 10} changes/s, p99"
    return [_row(server, name, authority=True)]


def _row(server: Postgres, name: str, *, authority: bool) -> Measured:
    with fresh_database(server) as urls, TemporaryDirectory(prefix="gpuaas-events-") as folder:
        place = Path(folder)
        place.chmod(0o711)
        queue = Nats(place)
        try:
            database = Database(server, urls["name"])
            with served(database, queue.url(), place) as api:
                measured = _measured(api, urls["app"], queue.url(), authority=authority)
                p99_s = uvloop.run(measured)
        finally:
            queue.close()
    return row(name, p99_s * 1000, "ms", "the floor of 1 s (goal 250 ms)", 1000)


BENCHES: Final[tuple[Callable[[Postgres], list[Measured]], ...]] = (followers, changing)
