"""The tail of events as a follower meets it: new facts, silence, a way back, an end."""

import asyncio
import contextlib
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import events, tailing
from api.authorization.principal import Principal
from api.reads import Reads
from api.tokens import issue
from evidence.reader import read_entries
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.integration.served import Served, served

pytestmark = pytest.mark.slow

PATIENCE_S = 60


class Tail:
    """What one follower has heard: ids in order; `task` ends when the stream does."""

    def __init__(self, client: httpx.AsyncClient, token: str, after: int | None = None) -> None:
        self.ids: list[int] = []
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"}
        if after is not None:
            self._headers["Last-Event-ID"] = str(after)
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self._client.stream("GET", "/v1/events", headers=self._headers) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for line in answer.aiter_lines():
                if line.startswith("id: "):
                    self.ids.append(int(line[4:]))

    async def heard(self, last: int) -> list[int]:
        """Everything, once `last` has come."""
        await until(lambda: last in self.ids or self.task.done(), f"event {last}")
        return list(self.ids)

    async def leave(self) -> None:
        """The connection is dropped."""
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


async def until(ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
        await asyncio.sleep(0.02)


class World:
    """A running API and who acts on it; `last` is the position of the latest own act."""

    def __init__(self, api: Served, client: httpx.AsyncClient) -> None:
        self._api = api
        self._client = client
        self.operator = self.token("platform-operator", None)
        self.last = 0

    def token(self, role: str, org: str | None, seconds: int = 600) -> str:
        return issue(self._api.settings, "user-1", role, org, time.time_ns() // 1000, seconds)

    async def post(self, path: str, **body: str) -> str:
        """The id of what was made."""
        headers = {"Authorization": f"Bearer {self.operator}", "Idempotency-Key": uuid.uuid4().hex}
        answer = await self._client.post(path, json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        self.last = max(self.last, int(answer.headers["Log-Position"]))
        return str(answer.json()["id"])

    def tail(self, token: str | None = None, after: int | None = None) -> Tail:
        return Tail(self._client, token or self.operator, after)


@asynccontextmanager
async def world(api: Served) -> AsyncIterator[World]:
    limits = httpx.Timeout(10, read=PATIENCE_S)
    async with httpx.AsyncClient(base_url=api.url, timeout=limits) as client:
        yield World(api, client)


def test_followers_hear_every_new_fact(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Each of several hears all that was there and all that comes, once, in order; one that lost
    its connection goes on after the last it heard; a member hears its organization's only; a stream
    ends with its token; and the process ends although others still follow.
    """

    async def scene(api: Served) -> None:
        async with world(api) as of:
            first = await of.post("/v1/organizations", name="First")
            tails = [of.tail() for _ in range(3)]
            for tail in tails:
                assert await tail.heard(of.last) == list(range(of.last + 1))
            mine = of.tail(of.token("member", first))
            await asyncio.gather(*(of.post("/v1/organizations", name=f"{n}") for n in range(5)))
            for tail in tails:
                assert await tail.heard(of.last) == list(range(of.last + 1))
            left = tails.pop()
            await left.leave()
            kept = left.ids[-1]
            for number in range(3):
                await of.post("/v1/departments", organization=first, name=f"d{number}")
            back = of.tail(after=kept)
            assert await back.heard(of.last) == list(range(kept + 1, of.last + 1))
            own = await mine.heard(of.last)
            assert own == [own[0], own[0] + 1, *range(of.last - 5, of.last + 1)], "and departments"
            brief = of.tail(of.token("platform-operator", None, seconds=3))
            await asyncio.wait_for(brief.task, PATIENCE_S)
            assert brief.ids == list(range(of.last + 1))
            api.child.send_signal(signal.SIGTERM)
            status = await asyncio.to_thread(api.child.wait, 30)
            assert status == 0, api.said()
            followers = [each.task for each in (*tails, back, mine)]
            await asyncio.gather(*followers, return_exceptions=True)

    with served(database, nats_url, tmp_path) as api:
        asyncio.run(scene(api))


def test_a_silent_stream_is_kept_alive(database: Database, nats_url: str, tmp_path: Path) -> None:
    """On silence a comment goes out, again and again, and the next fact still follows in order."""

    async def scene(stage: Stage) -> None:
        size = await stage.size()
        door = stage.services.door
        principal = Principal("user-1", "platform-operator", "-", action="event.stream", door=door)
        stream = events._stream(stage.services, principal, size, follow=True, token="", quiet_s=0.2)
        async with asyncio.timeout(PATIENCE_S):
            assert await anext(stream) == b": gpuaas events\n\n"
            assert [await anext(stream) for _ in range(2)] == [b": quiet\n\n"] * 2
            made = await stage.post("/v1/organizations", {"name": "Org"})
            told = await anext(stream)
            while told == b": quiet\n\n":
                told = await anext(stream)
        assert told.startswith(b"id: %d\nevent: gpuaas.organization.created.v1\n" % size)
        assert made.json()["id"].encode() in told
        await stream.aclose()  # type: ignore[attr-defined]

    play(database, nats_url, tmp_path, scene)


class Counted(Reads):
    """Counts the questions that it is asked."""

    asked = 0

    async def ask[T](self, question: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        self.asked += 1
        return await super().ask(question, *args, **kwargs)


def test_followers_at_the_head_share_one_reading(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """However many follow, what is new is read once, and told to those whom it concerns alone;
    from wherever one goes on, it is told exactly what the log holds, past what is kept too.
    """

    async def scene(stage: Stage) -> None:
        reads = Counted(stage.services.settings.database_url)
        tail = tailing.Tail(reads, stage.services.heads)
        orgs = [await _organization(stage) for _ in range(2)]
        size = await stage.size()
        with tail.followed(size):
            assert await tail.news(orgs[0], size) == tailing.News([], size, end=True)
            waiting = [asyncio.create_task(tail.wait(orgs[0], size, 60)) for _ in range(50)]
            others = asyncio.create_task(tail.wait(orgs[1], size, 60))
            await until(lambda: reads.asked > 0, "the first look")
            before = reads.asked
            await stage.post("/v1/departments", {"organization": orgs[0], "name": "d"})
            await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_S)
            # Each look without a hint asks once too, four times a second.
            assert reads.asked - before < len(waiting) / 2, "no follower asks for itself"
            assert not others.done()
            told = (await tail.news(orgs[0], size)).told
            assert [one.org for one in told] == [orgs[0]] * len(told) != []
            assert await tail.news(orgs[1], size) == tailing.News([], size + len(told), end=True)
            await _all_is_told(tail, reads, orgs)
            tail.wake(orgs[1])
            await asyncio.wait_for(others, PATIENCE_S)
        await tail.close()
        reads.close()

    play(database, nats_url, tmp_path, scene)


async def _organization(stage: Stage) -> str:
    return str((await stage.post("/v1/organizations", {"name": "Org"})).json()["id"])


async def _all_is_told(tail: tailing.Tail, reads: Reads, orgs: list[str]) -> None:
    rows = await reads.ask(read_entries, 0, 500)
    for whose in (tailing.ALL, *orgs):
        for first in range(len(rows) + 1):
            heard, news = [], tailing.News([], first, end=False)
            while not news.end:
                news = await tail.news(whose, news.then)
                heard += news.told
            mine = [one for one in rows[first:] if whose == tailing.ALL or whose.encode() in one[1]]
            assert [one.position for one in heard] == [one[0] for one in mine]
            for one, told in zip(mine, heard, strict=True):
                assert one[1].rpartition(b'"fact":')[2][:-1] in told.chunk


def test_what_is_kept_is_bounded(
    database: Database, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest entries are let go, of each organization and of all; a follower that is behind
    them is told them all the same.
    """

    async def scene(stage: Stage) -> None:
        monkeypatch.setattr(tailing, "_KEPT", 4)
        reads = Reads(stage.services.settings.database_url)
        tail = tailing.Tail(reads, stage.services.heads)
        size = await stage.size()
        with tail.followed(size):
            orgs = [await _organization(stage) for _ in range(6)]
            head = await stage.size()
            async with asyncio.timeout(PATIENCE_S):
                while (await tail.news(tailing.ALL, head)).then < head or tail._end < head:
                    await tail.wait(tailing.ALL, head, 0.05)
            assert len(tail._told[tailing.ALL]) == 4
            assert sum(map(len, tail._told.values())) == 8
            await _all_is_told(tail, reads, orgs)
        await tail.close()
        reads.close()

    play(database, nats_url, tmp_path, scene)


def test_many_followers_leave_room_for_others(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Two hundred streams are open and the API answers everybody else; of one principal's the
    hundred and first is refused, until one of them is closed.
    """

    async def scene(api: Served) -> None:
        async with world(api) as of, contextlib.AsyncExitStack() as exits:
            tokens = [of.token("member", f"organization-{uuid.uuid4()}") for _ in range(2)]
            streams = [await opened(api, tokens[n % 2]) for n in range(2 * tailing.MOST)]
            for stream in streams:
                exits.callback(stream[1].close)
            async with httpx.AsyncClient(base_url=api.url, timeout=60) as other:
                assert (await other.get("/v1/health")).status_code == 200
                path, headers = "/v1/events", {"Authorization": f"Bearer {tokens[0]}"}
                refused = await other.get(path, headers=headers)
                assert (refused.status_code, refused.json()["code"]) == (429, "events.too_many")
                streams[0][1].close()
                deadline = time.monotonic() + PATIENCE_S
                ended = {"follow": "false"}
                while (await other.get(path, headers=headers, params=ended)).status_code != 200:
                    assert time.monotonic() < deadline, "its place is free again"
                    await asyncio.sleep(0.5)

    with served(database, nats_url, tmp_path) as api:
        asyncio.run(scene(api))


class GoneError(Exception):
    """Stands for a follower that is gone before its answer begins."""


def test_places_are_taken_before_streams_begin(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Of many that one principal asks for at once, none begun yet, as many as it may have are let;
    each place is free again although its stream never began.
    """
    most, more = tailing.MOST, 5

    async def scene(stage: Stage) -> None:
        app: Any = stage.client._transport.app  # type: ignore[attr-defined]
        token = stage.token("member", f"organization-{uuid.uuid4()}")
        headers = [(b"authorization", f"Bearer {token}".encode()), (b"host", b"api")]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": "/v1/events", "raw_path": b"/v1/events", "query_string": b"",
            "client": ("10.0.0.1", 1), "server": ("api", 80), "root_path": "",
        }  # fmt: skip
        said: list[int] = []
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(PATIENCE_S)
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                said.append(message["status"])
                await gone.wait()
                raise GoneError

        async def ask() -> None:
            await app({**scope, "headers": list(headers)}, receive, send)

        asking = [asyncio.create_task(ask()) for _ in range(most + more)]
        await until(lambda: len(said) == most + more, "every answer's beginning")
        assert (said.count(200), said.count(429)) == (most, more)
        gone.set()
        await asyncio.gather(*asking, return_exceptions=True)
        assert not stage.services.tail._admitted
        assert not stage.services.tail._following

    play(database, nats_url, tmp_path, scene)


async def opened(api: Served, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream that has begun."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.settings.http_port)
    head = f"GET /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(PATIENCE_S):
        assert b" 200 " in await reader.readline()
        while await reader.readline() != b": gpuaas events\n":
            pass
    return reader, writer
