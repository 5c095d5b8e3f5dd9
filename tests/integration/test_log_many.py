"""Many writers on one log, some of them killed: no gap, no double, and followers miss nothing."""

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

import nats
import psycopg
import pytest

from evidence import reader
from evidence.ids import new_id
from evidence.log import EventLog
from evidence.wake import HeadWake, follow
from gpuaas_verify.merkle import leaf_hash
from tests.conftest import Database
from tests.integration.test_log_append import beat, verify_stored

pytestmark = pytest.mark.slow


class Writer:
    """A writer process; what it prints goes to a file, since a full pipe would stop it."""

    def __init__(
        self, folder: Path, url: str, shared: list[str], seconds: float, seed: int
    ) -> None:
        argv = [sys.executable, "-m", "tests.integration.log_writer"]
        argv += [url, ",".join(shared), str(seconds), str(seed)]
        self.path = folder / f"writer-{seed}"
        with self.path.open("w") as out:
            self.child = subprocess.Popen(argv, stdout=out)

    def output(self, timeout: float = 60) -> str:
        """What it was told, once it has ended."""
        self.child.wait(timeout)
        return self.path.read_text()

    def kill_after(self, seconds: float) -> str:
        """Killed this long after its first answer."""
        while not self.path.stat().st_size:
            time.sleep(0.01)
        time.sleep(seconds)
        self.child.kill()
        return self.output()


def acknowledged(output: str) -> tuple[dict[str, tuple[int, int, str]], int]:
    """What a writer was told: outcomes by cause, and how many appends lost."""
    lines = [line.split() for line in output.splitlines() if line.count(" ") in {1, 4}]
    told = {
        words[1]: (int(words[2]), int(words[3]), words[4]) for words in lines if words[0] == "ok"
    }
    return told, sum(words[0] == "stale" for words in lines)


class Follower(threading.Thread):
    """Reads the log in order from the beginning while it grows."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.seen: list[tuple[int, bytes]] = []
        self.stopping = threading.Event()
        self.url = url

    def run(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as conn:
            while True:
                last_look = self.stopping.is_set()
                found = reader.read_entries(conn, len(self.seen), 200)
                self.seen += [(position, leaf) for position, _, leaf in found]
                if not found:
                    if last_look:
                        return
                    time.sleep(0.005)


def check_outcomes(database: Database, told: dict[str, tuple[int, int, str]]) -> None:
    entries = verify_stored(database)
    with psycopg.connect(database.app_url) as conn:
        for cause, (first, last, leaf) in told.items():
            assert leaf_hash(entries[last]).hex() == leaf
            assert all(cause.encode() in entry for entry in entries[first : last + 1])
            outcome = reader.outcome(conn, cause)
            assert outcome is not None
            assert (outcome.first, outcome.last) == (first, last)
    causes = [reader.open_entry(entry).cause for entry in entries]
    runs = [cause for at, cause in enumerate(causes) if at == 0 or causes[at - 1] != cause]
    assert len(runs) == len(set(runs)), "an append is one run, and no cause comes twice"


def test_six_processes_and_a_follower(database: Database, tmp_path: Path) -> None:
    """6 processes, at least 15 % conflicts: no gap, no double, a follower sees each entry once."""
    shared = [new_id("log") for _ in range(3)]
    follower = Follower(database.app_url)
    follower.start()
    writers = [Writer(tmp_path, database.app_url, shared, 2, seed) for seed in range(6)]
    outputs = [writer.output() for writer in writers]
    follower.stopping.set()
    follower.join()
    assert [writer.child.returncode for writer in writers] == [0] * 6
    told: dict[str, tuple[int, int, str]] = {}
    lost = 0
    for output in outputs:
        own, stale = acknowledged(output)
        assert own
        told |= own
        lost += stale
    assert lost / (lost + len(told)) >= 0.15
    check_outcomes(database, told)
    entries = verify_stored(database)
    assert follower.seen == [(at, leaf_hash(entry)) for at, entry in enumerate(entries)]


def test_a_writer_killed_at_any_moment(database: Database, tmp_path: Path) -> None:
    """Kill -9 of writers: what they were told is stored once, the others carry on at once."""
    shared = [new_id("log") for _ in range(2)]
    told: dict[str, tuple[int, int, str]] = {}
    steady = Writer(tmp_path, database.app_url, shared, 4, 1000)
    for seed in range(4):
        victim = Writer(tmp_path, database.app_url, shared, 60, seed)
        told |= acknowledged(victim.kill_after(0.1 + 0.13 * seed))[0]
    told |= acknowledged(steady.output())[0]
    assert steady.child.returncode == 0
    check_outcomes(database, told)


def test_sessions_ended_by_the_server(database: Database, tmp_path: Path) -> None:
    """Backends killed again and again: every append is answered once, stored once."""
    shared = [new_id("log")]
    writer = Writer(tmp_path, database.app_url, shared, 3, 7)
    query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'gpuaas-log-%%' AND datname = %(name)s"
    ended = 0
    with psycopg.connect(database.superuser_url, autocommit=True) as conn:
        while writer.child.poll() is None and ended < 12:
            time.sleep(0.2)
            row = conn.execute(query, {"name": database.name}).fetchone()
            assert row is not None
            ended += row[0]
    output = writer.output()
    assert writer.child.returncode == 0
    assert ended >= 5
    told, _ = acknowledged(output)
    check_outcomes(database, told)
    with psycopg.connect(database.app_url) as conn:
        causes = {reader.open_entry(e).cause for _, e, _ in reader.read_entries(conn, 0, 10**6)}
    assert causes == set(told), "nothing unacknowledged is left behind by a writer that finished"


def test_followers_are_woken_over_nats(database: Database, nats_url: str) -> None:
    """A follower with a wake-up hears of an append long before it would look by itself."""

    async def run() -> None:
        client = await nats.connect(nats_url)
        other = await nats.connect(nats_url)
        wake, heard = HeadWake(client), HeadWake(other)
        await heard.start()
        await other.flush()
        log = await EventLog.open(database.app_url, wake=wake.publish)
        found: list[int] = []
        arrived = asyncio.Event()

        async def reading() -> None:
            async for entries in follow(database.app_url, 0, wake=heard, limit=3):
                found.extend(position for position, _, _ in entries)
                arrived.set()

        task = asyncio.create_task(reading())
        for number in range(5):
            arrived.clear()
            await log.append(beat(new_id("log"), count=4))
            async with asyncio.timeout(5):
                while len(found) < 4 * (number + 1):
                    await arrived.wait()
                    arrived.clear()
        assert found == list(range(20))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await log.close()
        await wake.close()
        await client.close()
        await other.close()

    asyncio.run(run())
