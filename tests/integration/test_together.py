"""Runtimes asked for one by one are read together: each its own, as new as its asking, for ever."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest

from api.together import _AROUND, Together
from domain.errors import DomainError
from evidence.log import EventLog
from evidence.wire import Refused
from projections.rebuild import rebuild
from projections.runner import catch_up
from projections.runtimes_read import RUNTIMES, Runtime, runtime, runtimes
from tests.conftest import Database
from tests.integration.projections_world import T0, World

type Scene = Callable[[Together[Runtime], list[str]], Awaitable[None]]


@pytest.fixture
def views(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """Three runtimes in use, and a connection."""
    asyncio.run(_lived(database.app_url, World(), 3))
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        catch_up(conn)
        yield conn


async def _lived(url: str, world: World, count: int) -> None:
    log = await EventLog.open(url)
    await log.append(world.opening())
    for number in range(count):
        for append in world.life(world.nodes[0], T0 + number, None):
            await log.append(append)
    await log.close()


def acted(database: Database, conn: psycopg.Connection[Any], scene: Scene) -> None:
    ids = [one.runtime for one in runtimes(conn)]

    async def run() -> None:
        together = Together(database.app_url, RUNTIMES)
        try:
            await scene(together, ids)
        finally:
            await together.close()

    asyncio.run(run())


def test_each_gets_its_own(database: Database, views: psycopg.Connection[Any]) -> None:
    """What is read together is what is read alone; what does not exist is none; text that is no id
    reaches no statement.
    """

    async def scene(together: Together[Runtime], ids: list[str]) -> None:
        strange = ["x", ids[0] + "}", "a'); DROP TABLE views.runtime; --", "{", ids[0].upper(), ""]
        absent = "runtime-00000000-0000-7000-8000-000000000000"
        asked = [*ids, absent, *ids, *strange]
        found = await asyncio.gather(*(together.of(one) for one in asked))
        assert found[:7] == [*(runtime(views, one) for one in ids), None, *found[:3]]
        assert found[7:] == [None] * len(strange)

    acted(database, views, scene)


def test_each_is_found_by_its_own_index(
    database: Database, views: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan looks each up where its id stands, and reads nothing whole: no table, no index."""
    monkeypatch.setitem(_AROUND, b"plan", b"EXPLAIN EXECUTE several ('{x}')")

    async def scene(together: Together[Runtime], ids: list[str]) -> None:
        assert await together.of(ids[0])
        [asked] = await (await together._connected()).ask(((b"plan", ()),), synced=True)
        rows = [asked.get_value(row, 0) or b"" for row in range(asked.ntuples)]
        plan = b"\n".join(rows).decode()
        scans = plan.count("Scan")
        assert scans == plan.count("Index Scan") == plan.count("Index Cond") > 10, plan

    acted(database, views, scene)


def test_no_answer_is_older_than_its_asking(
    database: Database, views: psycopg.Connection[Any]
) -> None:
    """Who asks while a question is under way is in the next: what was committed before it asked is
    in its answer. So it is after a swap of rebuilt views, under a plan that was made before.
    """

    async def scene(together: Together[Runtime], ids: list[str]) -> None:
        with psycopg.connect(database.app_url, autocommit=True) as reader:
            for why in range(20):
                waiting = asyncio.create_task(together.of(ids[0]))
                await asyncio.sleep(0.0001 * why)
                if why == 10:
                    assert rebuild(views, reader, expect_equal=False) == ["runtime_state"]
                said = {"why": str(why), "runtime": ids[0]}
                views.execute(
                    "UPDATE views.runtime_state SET why = %(why)s WHERE runtime = %(runtime)s", said
                )
                later = await together.of(ids[0])
                assert later is not None
                assert later.why == str(why)
                await waiting

    acted(database, views, scene)


def test_a_lost_connection_is_opened_again(
    database: Database, views: psycopg.Connection[Any]
) -> None:
    """Whoever asks next sees nothing of it; a database that does not answer, or refuses, is told to
    all who wait, and later ones are answered again.
    """

    async def scene(together: Together[Runtime], ids: list[str]) -> None:
        assert await together.of(ids[0])
        assert together._wire is not None
        views.execute("SELECT pg_terminate_backend(%s)", (together._wire.backend_pid,))
        assert all(await asyncio.gather(*(together.of(one) for one in ids)))
        await together.close()
        together._url, there = "host=127.0.0.1 port=1", together._url
        found = await asyncio.gather(*(together.of(one) for one in ids), return_exceptions=True)
        assert [type(one) for one in found] == [DomainError] * 3
        together._url = there
        assert await together.of(ids[1])
        owner.execute("ALTER TABLE views.runtime_spot RENAME TO elsewhere")
        found = await asyncio.gather(*(together.of(one) for one in ids), return_exceptions=True)
        assert [type(one) for one in found] == [Refused] * 3
        owner.execute("ALTER TABLE views.elsewhere RENAME TO runtime_spot")
        assert all(await asyncio.gather(*(together.of(one) for one in ids)))

    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        acted(database, views, scene)


def test_who_leaves_takes_nobodys_answer(
    database: Database, views: psycopg.Connection[Any]
) -> None:
    """One of two that wait for the same is cancelled: the other is answered."""

    async def scene(together: Together[Runtime], ids: list[str]) -> None:
        leaving, staying = (asyncio.create_task(together.of(ids[0])) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == runtime(views, ids[0])
        with pytest.raises(asyncio.CancelledError):
            await leaving

    acted(database, views, scene)


def test_whoever_waits_when_it_closes_is_told(
    database: Database, views: psycopg.Connection[Any]
) -> None:
    """Nobody waits for ever for an answer that does not come."""

    async def scene(together: Together[Runtime], ids: list[str]) -> None:
        assert await together.of(ids[0])
        asked = asyncio.create_task(together.of(ids[1]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        later = asyncio.create_task(together.of(ids[2]))
        await asyncio.sleep(0)
        await together.close()
        found = await asyncio.wait_for(asyncio.gather(asked, later, return_exceptions=True), 60)
        assert [type(one) for one in found] == [DomainError] * 2

    acted(database, views, scene)
