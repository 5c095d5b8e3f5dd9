"""Views rebuilt and swapped while everybody reads, appends and applies."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from api.reads import Reads
from domain import organization
from domain.errors import DomainError
from projections.rebuild import SWAP_TRIES, rebuild
from projections.views import applied, step
from tests.conftest import Database
from tests.integration.projections_facts import RawLog, Told, uuid

pytestmark = pytest.mark.slow

BEGUN = 3_000
REBUILDS = 4
_COUNT = "SELECT count(*) FROM views.organization_standing"

type Answer = tuple[int, int, int]


def suspensions(log: RawLog, count: int) -> None:
    """So many entries, each of which opens one row of one view: rows = position, always."""
    log.append(
        Told(
            f"organization-{uuid(log.position + number)}",
            "gpuaas.organization.suspended.v1",
            organization.Suspended("why", 5),
        )
        for number in range(count)
    )


def position_and_rows(conn: psycopg.Connection[Any]) -> Answer:
    """The position, the rows and the position again, as one question asks them."""
    before = applied(conn)
    row = conn.execute(_COUNT).fetchone()
    assert row is not None
    return before, int(row[0]), applied(conn)


@pytest.fixture
def log(database: Database) -> Iterator[RawLog]:
    """A log of 3,000 entries, all applied."""
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("SET synchronous_commit = off")
        made = RawLog(owner)
        suspensions(made, BEGUN)
        with psycopg.connect(database.app_url, autocommit=True) as conn:
            while step(conn, 1_000):
                continue
        yield made


@contextmanager
def reads(database: Database) -> Iterator[Reads]:
    """What the API asks its questions through."""
    opened = Reads(database.app_url, threads=2)
    try:
        yield opened
    finally:
        opened.close()


def rebuilt(database: Database, swap_tries: int = SWAP_TRIES) -> list[str]:
    """The tables that differed: none."""
    with (
        psycopg.connect(database.app_url, autocommit=True) as conn,
        psycopg.connect(database.app_url, autocommit=True) as reader,
    ):
        return rebuild(conn, reader, swap_tries=swap_tries)


def test_readers_are_served_while_the_views_are_rebuilt(database: Database, log: RawLog) -> None:
    """No question fails or mixes two positions and no answer is older than one before, while
    entries are appended and applied, and the views are rebuilt and swapped again and again.
    """
    ended = threading.Event()
    rebuilding = threading.Event()
    served = itertools.count()

    def append() -> None:
        while not ended.wait(0.005):
            suspensions(log, 7)

    def apply() -> None:
        with psycopg.connect(database.app_url, autocommit=True) as conn:
            while not ended.is_set():
                step(conn, 50)

    def read() -> int:
        answers, seen = 0, 0
        with reads(database) as asked:
            while not ended.is_set():
                before, rows, after = asyncio.run(asked.ask(position_and_rows))
                assert before == rows == after, "one answer, two positions"
                assert before >= seen, "an answer older than the last one"
                answers, seen = answers + 1, before
                if rebuilding.is_set():
                    next(served)
        return answers

    with ThreadPoolExecutor(4) as pool:
        at_work = [pool.submit(each) for each in (append, apply, read, read)]
        try:
            moved = []
            for _ in range(REBUILDS):
                with psycopg.connect(database.app_url, autocommit=True) as conn:
                    before = applied(conn)
                    rebuilding.set()
                    assert rebuilt(database) == []
                    rebuilding.clear()
                    moved.append(applied(conn) - before)
        finally:
            ended.set()
        for each in at_work:
            each.result()
    assert min(moved) > 0, "nothing was applied while a rebuild ran"
    assert next(served) > REBUILDS, "nothing was read while a rebuild ran"
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        while step(conn, 1_000):
            continue
        assert position_and_rows(conn) == (log.position,) * 3
    assert rebuilt(database) == []


def test_the_swap_waits_for_a_question_under_way(database: Database, log: RawLog) -> None:
    """A question that began before the swap ends before it: after it, the new tables would be empty
    to its snapshot. The next question is answered whole.
    """
    with ThreadPoolExecutor(1) as pool, reads(database) as api:
        swaps: list[Future[list[str]]] = []

        def question(conn: psycopg.Connection[Any]) -> Answer:
            before = applied(conn)
            swaps.append(pool.submit(rebuilt, database))
            assert not wait(swaps, timeout=0.7).done, "swapped under a question"
            _, rows, after = position_and_rows(conn)
            return before, rows, after

        assert asyncio.run(api.ask(question)) == (BEGUN, BEGUN, BEGUN)
        assert swaps[0].result() == []
        assert asyncio.run(api.ask(position_and_rows)) == (BEGUN, BEGUN, BEGUN)


def test_a_question_that_does_not_end_stops_the_rebuild(database: Database, log: RawLog) -> None:
    """By name, with nothing swapped; nobody waits for it longer than a moment."""
    with reads(database) as api:

        def question(conn: psycopg.Connection[Any]) -> Answer:
            applied(conn)
            with pytest.raises(DomainError, match=r"rebuild\.readers"):
                rebuilt(database, swap_tries=1)
            return position_and_rows(conn)

        assert asyncio.run(api.ask(question)) == (BEGUN, BEGUN, BEGUN)
    assert rebuilt(database) == []
