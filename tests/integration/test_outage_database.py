"""PostgreSQL on a full disk, its data and its write-ahead log: every append is answered truly."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from api.embedded.postgres import Postgres
from domain.errors import DomainError
from domain.node import Unreachable
from evidence.append import Append, Appended
from evidence.fsck import check
from evidence.ids import new_id
from evidence.log import EventLog
from migrations.runner import migrate
from tests.api_stage import staged
from tests.conftest import Database
from tests.full_disk import Disk, small_disk, until
from tests.integration.evidence_stack import EvidenceStack, one_stream

pytestmark = pytest.mark.slow
CALLERS = 8
FACTS = 120  # of one append: about 40 KB of entries
_SEGMENT = 16 * 1024 * 1024
# Segments after the one written now, and how far that one is.
_WAL_PLACE = """
SELECT (SELECT count(*) FROM pg_ls_waldir()
        WHERE name > pg_walfile_name(now.lsn) AND name ~ '^[0-9A-F]{24}$'),
       (now.lsn - '0/0')::bigint % 16777216
FROM (SELECT pg_current_wal_insert_lsn()) AS now (lsn)
"""
_EMIT = "SELECT pg_logical_emit_message(false, 'test', repeat('x', %(bytes)s))"
_STREAMS = "SELECT stream, count(*) FROM log.entry GROUP BY stream"


@pytest.fixture
def small(servers_dir: Path, tmp_path: Path) -> Iterator[tuple[Postgres, Disk]]:
    """A server whose cluster lies on a disk of 128 MiB."""
    data = servers_dir / f"small-{tmp_path.name}"
    Postgres(data).close()
    kept = data / "kept"
    (data / "postgres").rename(kept)
    with small_disk(data / "postgres", 128) as disk:
        shutil.copytree(kept, disk.root, dirs_exist_ok=True)
        shutil.chown(disk.root, kept.stat().st_uid, kept.stat().st_gid)
        _give(disk.root, kept.stat().st_uid, kept.stat().st_gid)
        server = Postgres(data)
        migrate(server.url("owner"))
        try:
            yield server, disk
        finally:
            disk.free()
            server.close()
    shutil.rmtree(data)


def _give(root: Path, uid: int, gid: int) -> None:
    root.chmod(0o700)
    for path in root.rglob("*"):
        shutil.chown(path, uid, gid)


class Callers:
    """Callers that append until told to stop; each append is acknowledged or refused by code."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.acknowledged: dict[str, Appended] = {}
        self.refused: dict[str, tuple[Append, DomainError]] = {}
        self.longest_s = 0.0
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        await asyncio.gather(*(self._call() for _ in range(CALLERS)))

    async def _call(self) -> None:
        while not self.stopping.is_set():
            append = one_stream(new_id("node"), 0, *map(Unreachable, range(FACTS)))
            await self.once(append)

    async def once(self, append: Append) -> None:
        stream, began = append.writes[0].stream, time.monotonic()
        try:
            self.acknowledged[stream] = await self.log.append(append)
            self.refused.pop(stream, None)
        except DomainError as error:
            self.refused[stream] = (append, error)
            await asyncio.sleep(0.05)
        self.longest_s = max(self.longest_s, time.monotonic() - began)


def require_truth(callers: Callers, stack: EvidenceStack) -> None:
    """What was acknowledged is there whole, what was refused is not, and all of it is sound."""
    with psycopg.connect(stack.database.app_url, autocommit=True) as conn:
        stored: dict[str, int] = dict(conn.execute(_STREAMS).fetchall())
        assert {error.code for _, error in callers.refused.values()} <= {"log.unavailable"}
        for stream in callers.acknowledged:
            assert stored[stream] == FACTS, stream
        assert not callers.refused.keys() & stored.keys()
        with stack.signing():
            assert stack.integrate() == sum(stored.values())
        assert not check(conn, stack.storage, stack.vkey).findings


async def _no_room_for_data(server: Postgres, disk: Disk) -> Callers:
    log = await EventLog.open(server.url("app"))
    try:
        callers = Callers(log)
        with psycopg.connect(server.url("superuser"), autocommit=True) as conn:
            # A fresh segment of the write-ahead log: that one has room, the data files have not.
            conn.execute("SELECT pg_switch_wal()")
            conn.execute("CREATE TABLE touched ()")
            disk.fill(leave_kib=512)
        running = asyncio.create_task(callers.run())
        await until(lambda: len(callers.refused) >= 20, "refusals")
        callers.stopping.set()
        await running
        assert all("not stored: 53100" in str(error) for _, error in callers.refused.values())
        disk.free()
        # The same log goes on, and a repeat of what was refused is stored once.
        for append, _ in list(callers.refused.values())[:5]:
            await callers.once(append)
        assert callers.longest_s < 5
    finally:
        await log.close()
    return callers


def test_no_room_for_data(small: tuple[Postgres, Disk], tmp_path: Path) -> None:
    """Appends are stored or refused with `log.unavailable`; with room again the same
    log goes on.
    """
    server, disk = small
    stack = EvidenceStack(Database(server, "gpuaas"), tmp_path)
    callers = asyncio.run(_no_room_for_data(server, disk))
    assert len(callers.refused) >= 15
    require_truth(callers, stack)


def _to_the_end_of_the_wal(server: Postgres) -> None:
    """The last segment there is has about 300 KB left."""
    with psycopg.connect(server.url("superuser"), autocommit=True) as conn:
        while True:
            row = conn.execute(_WAL_PLACE).fetchone()
            assert row is not None
            left = _SEGMENT * (row[0] + 1) - row[1] - 300_000
            if left <= 0:
                return
            conn.execute(_EMIT, {"bytes": min(left, 1_000_000)})


async def _no_room_for_the_wal(server: Postgres, disk: Disk) -> Callers:
    log = await EventLog.open(server.url("app"))
    try:
        callers = Callers(log)
        await asyncio.to_thread(_to_the_end_of_the_wal, server)
        disk.fill(leave_kib=8 * 1024)
        running = asyncio.create_task(callers.run())
        # The server panics and cannot recover: it is gone until somebody makes room.
        await until(lambda: server.child.poll() is not None, "the server's end")
        disk.free()
        server.restart()
        enough = len(callers.acknowledged) + 2 * CALLERS
        await until(lambda: len(callers.acknowledged) >= enough, "appends after the outage")
        callers.stopping.set()
        await running
    finally:
        await log.close()
    return callers


def test_no_room_for_the_write_ahead_log(small: tuple[Postgres, Disk], tmp_path: Path) -> None:
    """The server is gone; what waited is stored once it is back, exactly once, or refused."""
    server, disk = small
    stack = EvidenceStack(Database(server, "gpuaas"), tmp_path)
    callers = asyncio.run(_no_room_for_the_wal(server, disk))
    require_truth(callers, stack)


async def _asked_while_full(
    server: Postgres, disk: Disk, nats_url: str, folder: Path
) -> dict[str, httpx.Response]:
    """The last answer to each of 30 organizations' creations, repeated until it was 201."""
    found: dict[str, httpx.Response] = {}
    async with staged(Database(server, "gpuaas"), nats_url, folder) as stage:
        with psycopg.connect(server.url("superuser"), autocommit=True) as conn:
            conn.execute("SELECT pg_switch_wal()")
            conn.execute("CREATE TABLE taken (x text)")
            disk.fill(leave_kib=256)
            with suppress(psycopg.errors.DiskFull):
                while True:
                    conn.execute("INSERT INTO taken SELECT repeat('x', 1800)")
        refused = 0
        for number in range(30):
            key = f"key-{number}"
            found[key] = await stage.post("/v1/organizations", {"name": key * 20}, key=key)
            if found[key].status_code != 201:
                assert found[key].status_code == 503, found[key].text
                assert found[key].json()["code"] == "log.unavailable", found[key].text
                assert "Retry-After" in found[key].headers
                refused += 1
        for path in ("/v1/organizations", "/v1/capacity"):
            assert (await stage.get(path)).status_code == 200
        assert refused > 3
        disk.free()
        for number in range(30):
            key = f"key-{number}"
            again = await stage.post("/v1/organizations", {"name": key * 20}, key=key)
            assert again.status_code == 201, again.text
            if found[key].status_code == 201:
                assert again.json() == found[key].json()
            found[key] = again
        assert await stage.size() >= 31
    return found


def test_callers_of_the_api_hear_it(
    small: tuple[Postgres, Disk], nats_url: str, tmp_path: Path
) -> None:
    """No 500 and no traceback: 201 or 503 `log.unavailable`; with room the same keys
    succeed once.
    """
    server, disk = small
    found = asyncio.run(_asked_while_full(server, disk, nats_url, tmp_path))
    assert len({answer.json()["id"] for answer in found.values()}) == 30
    with psycopg.connect(server.url("app"), autocommit=True) as conn:
        row = conn.execute(
            "SELECT count(*) FROM log.entry WHERE stream LIKE 'organization-%' AND version = 1"
        ).fetchone()
    assert row == (30,)
