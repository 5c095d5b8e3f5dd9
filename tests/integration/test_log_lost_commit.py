"""A connection lost during COMMIT: the log finds out what happened before it answers."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit, urlunsplit

import pytest

from domain.log import Heartbeat
from evidence.ids import new_id
from evidence.log import Append, EventLog, Write
from tests.conftest import Database
from tests.integration.test_log_append import SYSTEM, beat, command, verify_stored

pytestmark = pytest.mark.slow


class Proxy:
    """Forwards to PostgreSQL; `cut` swallows the next answer and drops the connection.

    `deliver` says whether the server still gets the request whose answer is swallowed.
    """

    def __init__(self, host: str, port: int) -> None:
        self.upstream = (host, port)
        self.armed = False
        self.deliver = True
        self.cuts = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.open: list[asyncio.StreamWriter] = []

    async def start(self) -> int:
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    def cut(self, *, deliver: bool) -> None:
        self.armed, self.deliver = True, deliver

    async def _accept(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        server, request = await asyncio.open_connection(*self.upstream)
        state = {"cut": False}
        up = asyncio.create_task(self._up(client, request, state))
        down = asyncio.create_task(self._down(server, answer, state))
        self.open += [answer, request]
        self.tasks |= {up, down}
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        answer.close()
        if state["cut"]:
            await asyncio.sleep(0.2)
        request.close()

    async def _up(
        self, client: asyncio.StreamReader, request: asyncio.StreamWriter, state: dict[str, bool]
    ) -> None:
        while data := await client.read(1 << 20):
            if self.armed and b"insert_entries" in data:
                self.armed, state["cut"] = False, True
                self.cuts += 1
                if not self.deliver:
                    return
            request.write(data)
            await request.drain()

    async def _down(
        self, server: asyncio.StreamReader, answer: asyncio.StreamWriter, state: dict[str, bool]
    ) -> None:
        while data := await server.read(1 << 20):
            if state["cut"]:
                return
            answer.write(data)
            await answer.drain()

    async def close(self) -> None:
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for writer in self.open:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def through(url: str, port: int) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}"))


@contextlib.contextmanager
def stored_once(database: Database, entries: int) -> Iterator[None]:
    yield
    assert len(verify_stored(database)) == entries


@pytest.mark.parametrize("deliver", [True, False])
@pytest.mark.parametrize("ahead", [True, False])
def test_the_answer_is_lost(database: Database, deliver: bool, ahead: bool) -> None:
    """Committed or not, each append is answered truthfully and stored exactly once."""

    async def run() -> None:
        parts = urlsplit(database.app_url)
        proxy = Proxy(str(parts.hostname), int(parts.port or 0))
        port = await proxy.start()
        log = await EventLog.open(through(database.app_url, port))
        warm = new_id("log")
        if ahead:
            await log.append(beat(warm))
        proxy.cut(deliver=deliver)
        by_command = [beat(new_id("log"), count=2) for _ in range(5)]
        by_position = Append((Write(new_id("log"), "-", 0, (Heartbeat(),)),), SYSTEM, "pos:0")
        if not ahead:
            by_position = beat(new_id("log"))
        answers = await asyncio.gather(*(log.append(each) for each in [*by_command, by_position]))
        assert proxy.cuts == 1
        assert not any(answer.repeated for answer in answers)
        places = [p for a in answers for p in range(a.first, a.last + 1)]
        assert sorted(places) == list(range(int(ahead), 11 + int(ahead)))
        for append, answer in zip(by_command, answers, strict=False):
            again = await log.append(append)
            assert (again.first, again.last, again.leaf) == (
                answer.first, answer.last, answer.leaf,
            )  # fmt: skip
            assert again.repeated
        await log.close()
        await proxy.close()

    with stored_once(database, 11 + int(ahead)):
        asyncio.run(run())


def test_a_restarted_server(database: Database) -> None:
    """Kill -9 of PostgreSQL under load: acknowledged appends survive, the others are answered."""
    begun = threading.Event()

    async def run() -> list[int]:
        log = await EventLog.open(database.app_url)
        places: list[int] = []

        async def caller(number: int) -> None:
            for turn in range(60):
                done = await log.append(beat(new_id("log"), cause=command(f"{number}.{turn}")))
                assert not done.repeated
                places.append(done.first)
                if len(places) == 100:
                    begun.set()

        await asyncio.gather(*(caller(number) for number in range(20)))
        await log.close()
        return places

    # The server is a child of this thread: started by another it would end with that one.
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(asyncio.run, run())
        assert begun.wait(20)
        database.server.kill()
        database.server.restart()
        places = future.result(60)
    assert sorted(places) == list(range(1200))
    assert len(verify_stored(database)) == 1200
