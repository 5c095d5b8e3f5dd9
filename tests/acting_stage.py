"""Two API processes of one deployment, on which every act of the document is done."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from api.config import Settings
from domain.access import Decided
from domain.authority_facts import GlassUsed
from domain.bounds import Bounds
from evidence.reader import Recorded, decode_entry, read_entries
from projections.views import step
from tests.acting_asker import SECRET, Asker, differs
from tests.acting_calls import CALLS
from tests.acting_proofs import STRIPE_SECRETS
from tests.acting_world import Act, World, prepared
from tests.api_stage import Stage, staged
from tests.conftest import Database
from tests.issuer_stage import issuer

_MOST = 30  # facts of one append here
_MANY = Bounds(webhooks=1_000)  # of one organization, which each test adds to


class Two:
    """Two API processes of one deployment, and what did not hold."""

    def __init__(self, first: Stage, second: Stage, world: World) -> None:
        self.first, self.second, self.world = first, second, world
        self.broken: list[str] = []

    def hold(self, route: str, law: str, held: object, *told: object) -> None:
        if not held:
            self.broken.append(f"{route}: {law}: {' '.join(map(str, told))}"[:600])

    async def asked(self, route: str) -> Asker:
        asker = Asker(await CALLS[route](self.world))
        await self.second.services.following.catch_up()  # it hears within a second by itself
        return asker

    async def before(self, route: str, *, withheld: int = -1) -> tuple[Asker, Act | None]:
        """A new request of the route, and the last act that led to it, which is not done yet where
        it is the one `withheld` of them.
        """
        since = len(self.world.acts)
        self.world.withheld = -1 if withheld < 0 else since + withheld
        try:
            asker = await self.asked(route)
        finally:
            self.world.withheld = -1
        return asker, self.world.acts[-1] if len(self.world.acts) > since else None

    async def repeats(
        self, route: str, first: httpx.Response, again: Awaitable[httpx.Response]
    ) -> None:
        """A late duplicate is answered as ever, and appends nothing."""
        size = await self.first.size()
        found = differs(first, await again)
        self.hold(route, "late duplicate", not found, found)
        self.hold(route, "a late duplicate appends", await self.first.size() == size)


class Playing:
    """Scenes on the same two processes, one after the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop, two: Two) -> None:
        self._loop, self._two = loop, two

    def __call__(self, scene: Callable[[Two], Coroutine[Any, Any, None]]) -> None:
        self._two.broken.clear()
        asyncio.run_coroutine_threadsafe(scene(self._two), self._loop).result()
        assert not self._two.broken, "\n".join(self._two.broken)


@contextlib.contextmanager
def playing(database: Database, nats_url: str, data: Path) -> Iterator[Playing]:
    """In a thread's loop, where they go on between scenes."""
    ready: Future[Playing] = Future()
    over: list[Callable[[], object]] = []

    async def run() -> None:
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        over.append(lambda: loop.call_soon_threadsafe(ended.set))
        try:
            async with both(database, nats_url, data) as two:
                ready.set_result(Playing(loop, two))
                await ended.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    with pytest.MonkeyPatch.context() as environment, ThreadPoolExecutor(1) as thread:
        environment.setenv("GPUAAS_STRIPE_SECRETS", STRIPE_SECRETS)
        ending = thread.submit(asyncio.run, run())
        try:
            yield ready.result()
        finally:
            over[0]()
            ending.result()


@contextlib.asynccontextmanager
async def both(database: Database, nats_url: str, data: Path) -> AsyncIterator[Two]:
    with issuer() as trusted:
        world = World(trusted.url, trusted)
        await prepared(database, world.taxed)
        async with (
            staged(database, nats_url, data, bounds=_MANY) as first,
            staged(database, nats_url, data, elect=False, bounds=_MANY) as second,
        ):
            await world.furnish(first, database)
            yield Two(first, second, world)


async def entries(stage: Stage, since: int) -> list[Recorded]:
    """From there on, but for what is noted of a use of break-glass some moments after it."""
    size = await stage.size()
    rows = await stage.services.reads.ask(read_entries, since, max(1, size - since))
    found = [decode_entry(entry) for _, entry, _ in rows]
    return [one for one in found if not isinstance(one.fact, GlassUsed)]


def on_whose_authority(found: list[Recorded]) -> dict[int, tuple[str, ...]]:
    """Of one append, by position: the ids of the policies that decided, in the fact or in the one
    beside it.
    """
    by = {one.position: tuple(getattr(one.fact, "policies", ())) for one in found}
    for one in found:
        if isinstance(one.fact, Decided):
            assert [one.fact.about, one.fact.entries] == [found[0].stream, len(found) - 1]
            by |= {at: by[at] or one.fact.policies for at in by}
    return by


async def asked_for(stage: Stage, since: int) -> list[Recorded]:
    """Those by a command: what follows of acts by itself may be appended meanwhile."""
    return [one for one in await entries(stage, since) if one.cause.startswith("cmd:")]


async def causes_of(stage: Stage, since: int) -> list[str]:
    """Of each of these."""
    return [one.cause for one in await asked_for(stage, since)]


async def appends(stage: Stage, since: int) -> set[tuple[str, str]]:
    """All from there on: what is proved rests on a position, which is of one stream once."""
    return {
        (one.cause, "" if one.cause.startswith("cmd:") else one.stream)
        for one in await entries(stage, since)
    }


@contextlib.contextmanager
def viewing(settings: Settings) -> Iterator[None]:
    """The views follow the log meanwhile, as a worker makes them."""
    over = threading.Event()

    def follow() -> None:
        with psycopg.connect(settings.database_url) as conn:
            while not over.wait(0.01):
                while step(conn, 1000):
                    pass

    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(follow)
        try:
            yield
        finally:
            over.set()
            following.result()


async def became(stage: Stage, answer: httpx.Response | None) -> tuple[Any, ...]:
    """Its status, its code where it was refused, and the kinds of its facts in order."""
    assert answer is not None
    last = answer.headers.get("log-position")
    if last is None:
        return answer.status_code, answer.json().get("code")
    first = max(0, int(last) - _MOST)
    rows = await stage.services.reads.ask(read_entries, first, int(last) - first + 1)
    found = [decode_entry(entry) for _, entry, _ in rows]
    facts = [one.fact for one in found if one.cause == found[-1].cause]
    kinds = tuple(type(one).__name__ for one in facts if not isinstance(one, Decided))
    return answer.status_code, kinds


def reversible(asker: Asker, act: Act | None) -> bool:
    """The request needs nothing of what the act before it answered."""
    if act is None or act.answer is None or SECRET & act.answer.json().keys():
        return False
    asked = act.path + msgspec.json.encode(act.body).decode()
    later = asker.call.path + asker.raw.decode()
    return not any(one in later and one not in asked for one in _texts(act.answer.json()))


def _texts(said: Any) -> list[str]:
    """All of them that are longer than a word."""
    if isinstance(said, dict):
        return [text for value in said.values() for text in _texts(value)]
    if isinstance(said, list):
        return [text for value in said for text in _texts(value)]
    return [said] if isinstance(said, str) and len(said) > 7 else []
