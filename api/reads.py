"""Questions to the views and the log, on a few threads with a connection each."""

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import dict_row

from api.turns import Turns
from domain.errors import DomainError
from evidence.reader import head
from projections.live import position
from projections.reach import Reach

WAIT_US: Final = 5_000_000
_POLL_S: Final = 0.02
_BEHIND_S: Final = 0.01
_PAST: Final = 16  # questions to the past that wait in one process
# The lock comes before the snapshot, which the first SELECT takes: views that are rebuilt are not
# swapped under a question, and what it sees of them is all there (migrations/0019_swap.sql).
SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
LOCK: Final = "LOCK TABLE live.serving IN ACCESS SHARE MODE"
_BEGIN: Final = f"{SNAPSHOT}; {LOCK}"


class Reads:
    """Runs synchronous queries off the event loop. A lost connection is opened again once.

    Each question sees one snapshot: answers never mix two positions, nor the views before and
    after a rebuild.
    """

    def __init__(self, app_url: str, threads: int = 4) -> None:
        self._url = app_url
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reads")
        self._past = ThreadPoolExecutor(1, thread_name_prefix="reads-past")
        self._asked_past = 0
        self._lists = Turns(max(1, threads // 2))
        self._free: queue.SimpleQueue[psycopg.Connection[Any]] = queue.SimpleQueue()

    async def ask[T](self, question: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """`question(conn, *args)`. A list of an organization waits for other lists of it that
        take half of the threads: nobody's keep everybody waiting.

        Raises: DomainError log.unavailable, and what it raises.
        """
        whose = next((one for one in map(_whose, (*args, *kwargs.values())) if one), "")
        if not whose:
            return await self._asked(question, args, kwargs)
        async with self._lists.of(whose):
            return await self._asked(question, args, kwargs)

    async def _asked[T](self, question: Callable[..., T], args: Any, kwargs: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: self._run(question, args, kwargs))

    async def past[T](self, question: Callable[..., T], /, *args: Any) -> T:
        """`question(conn, *args)`, which folds the log anew: one at a time, and in nobody's way
        whose question the views answer. Raises: DomainError rate.limited, and as `ask`.
        """
        if self._asked_past >= _PAST:
            raise DomainError("rate.limited", "too many ask of the past", {"retry_after_s": 1})
        self._asked_past += 1
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._past, lambda: self._run(question, args, {}))
        finally:
            self._asked_past -= 1

    async def rows(self, query: LiteralString, **values: Any) -> list[dict[str, Any]]:
        """The rows of a SELECT, by column name."""
        return await self.ask(_rows, query, values)

    def _run[T](self, question: Callable[..., T], args: Any, kwargs: Any) -> T:
        for last in (False, True):
            try:
                conn = self._take()
                try:
                    conn.execute(_BEGIN, prepare=False)  # two statements in one message
                    found = question(conn, *args, **kwargs)
                    conn.rollback()
                except BaseException:
                    if not conn.closed:
                        conn.rollback()
                    raise
                finally:
                    if conn.closed:
                        conn.close()
                    else:
                        self._free.put(conn)
            except psycopg.OperationalError as error:
                if last:
                    raise DomainError("log.unavailable", "the database does not answer") from error
            else:
                return found
        raise AssertionError("the loop returns or raises")

    def _take(self) -> psycopg.Connection[Any]:
        try:
            return self._free.get_nowait()
        except queue.Empty:
            return psycopg.connect(self._url, autocommit=True)

    def close(self) -> None:
        self._pool.shutdown(wait=True)
        self._past.shutdown(wait=True)
        while not self._free.empty():
            self._free.get_nowait().close()


def _whose(term: object) -> str:
    """Whose things are asked for; empty for everybody's, and where the term says nothing of it."""
    of = term if isinstance(term, Reach) else getattr(term, "organization", None)
    return (of.organization or "") if isinstance(of, Reach) else ""


def _rows(conn: psycopg.Connection[Any], query: LiteralString, values: dict[str, Any]) -> Any:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


async def until[T](ask: Callable[[], Any], done: Callable[[T], bool], wait_us: int) -> T:
    """The first answer that is `done`, or the last one when `wait_us` has passed."""
    deadline = asyncio.get_running_loop().time() + wait_us / 1_000_000
    while True:
        found: T = await ask()
        if done(found) or asyncio.get_running_loop().time() >= deadline:
            return found
        await asyncio.sleep(_POLL_S)


async def reached(reads: Reads, wanted: int, wait_us: int = WAIT_US) -> int:
    """How many entries the views hold, once that is more than `wanted`.

    Raises: DomainError view.behind; position.unknown, at once, where the log itself has no such.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_us / 1_000_000
    known = False
    while (held := await reads.ask(position)) <= wanted:
        known = known or wanted < (await reads.ask(head)).size
        if not known:
            raise DomainError("position.unknown", "the log has not reached that position")
        if loop.time() >= deadline:
            raise DomainError(
                "view.behind",
                f"the views have not reached position {wanted} yet",
                {"position": wanted, "applied": held},
            )
        await asyncio.sleep(_BEHIND_S)
    return held
