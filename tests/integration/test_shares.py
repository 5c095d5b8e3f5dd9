"""One tenant's questions keep nobody else waiting, however many and however slow they are."""

import asyncio
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api import tailing
from api.reads import Reads
from api.tailing import ALL, Tail
from api.turns import Turns
from domain.errors import DomainError
from projections.audit_read import Wanted
from projections.reach import Reach, places
from tests.api_stage import Stage, play
from tests.conftest import Database


def test_lists_of_one_organization_leave_room_for_others(database: Database) -> None:
    """Of its lists half of the threads are asked at once; another's, and what is no list, goes
    beside them, and in the end each is answered.
    """
    free, asked = threading.Event(), threading.Semaphore(0)

    def slow(_: psycopg.Connection[Any], **__: Any) -> str:
        asked.release()
        assert free.wait(60)
        return "slow"

    def quick(_: psycopg.Connection[Any], **__: Any) -> str:
        return "quick"

    async def scene() -> None:
        reads = Reads(database.app_url)
        mine, other = Reach("organization-a"), Reach("organization-b", everywhere=False)
        try:
            slows = [
                asyncio.create_task(reads.ask(slow, organization=mine) if n % 2 else
                                    reads.ask(slow, wanted=Wanted(mine)))
                for n in range(8)
            ]  # fmt: skip
            async with asyncio.timeout(60):
                for _ in range(2):
                    await asyncio.to_thread(asked.acquire)
                assert await reads.ask(quick, organization=other) == "quick"
                assert await reads.ask(quick) == "quick"
            assert not asked.acquire(blocking=False), "no more than two of them"
            free.set()
            assert await asyncio.gather(*slows) == ["slow"] * 8
        finally:
            free.set()
            await asyncio.to_thread(reads.close)

    asyncio.run(scene())


def test_what_is_past_is_read_for_one_stream_of_an_organization_at_a_time() -> None:
    """However many begin at the start of the log; another organization's goes beside them."""

    class Log:
        """That says how many read at once, in place of the reads of a process."""

        def __init__(self) -> None:
            self.now = self.most = 0

        async def ask(self, question: object, *_: Any) -> Any:
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.001)
            self.now -= 1
            return {} if question is places else []

    async def scene() -> None:
        log = Log()
        tail = Tail(log, None)  # type: ignore[arg-type]  # what it asks of them
        tail._start = 10
        await asyncio.gather(*(tail.news("organization-a", 0) for _ in range(20)))
        assert log.most == 1
        await asyncio.gather(*(tail.news(one, 0) for one in ("organization-a", "b", ALL)))
        assert log.most == 3
        log.most = 0
        await asyncio.gather(*(tail.places([n, 9], "organization-a") for n in range(9)))
        assert (log.most, len(tail._places)) == (1, 0)
        await asyncio.gather(*(tail.places([1], one) for one in ("organization-a", "b")))
        assert log.most == 2

    asyncio.run(scene())


def test_streams_of_one_organization_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many programs it has; another's are not, and one that ended is one less."""
    monkeypatch.setattr(tailing, "MOST_OF_ONE", 3)
    tail = Tail(None, None)  # type: ignore[arg-type]  # which are asked for nothing
    with ExitStack() as held:
        for number in range(3):
            held.enter_context(tail.admitted(f"a {number}", "a"))
        with pytest.raises(DomainError, match=r"^events\.too_many"):
            held.enter_context(tail.admitted("a 4", "a"))
        held.enter_context(tail.admitted("b 1", "b"))
        held.enter_context(tail.admitted("- 1"))
    assert not tail._admitted
    with tail.admitted("a 4", "a"):
        pass


def test_turns_of_one_name_are_few_at_once_and_forgotten() -> None:
    """No more than said run at once, first come first served; a name nobody waits for is no row."""

    async def scene() -> None:
        turns, ran = Turns(2), list[int]()

        async def one(number: int) -> None:
            async with turns.of("a"):
                ran.append(number)
                assert turns._waiting["a"] >= 1
                await asyncio.sleep(0)

        await asyncio.gather(*map(one, range(6)))
        assert ran == [*range(6)]
        assert not turns._locks
        assert not turns._waiting

    asyncio.run(scene())


@pytest.mark.slow
def test_few_are_drawn_at_once_and_one_of_an_organization(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Papers and recordings, however many are asked for."""

    async def scene(stage: Stage) -> None:
        now, most = Counter[str](), Counter[str]()

        async def draw(org: str) -> None:
            async with stage.services.drawing(org):
                now.update((org, "all"))
                most.update({one: max(0, now[one] - most[one]) for one in (org, "all")})
                await asyncio.sleep(0.001)
                now.subtract((org, "all"))

        await asyncio.gather(*(draw(org) for org in "abcd" for _ in range(5)))
        assert most == {"all": 2, "a": 1, "b": 1, "c": 1, "d": 1}

    play(database, nats_url, tmp_path, scene)
