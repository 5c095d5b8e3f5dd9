"""The log: append atomically, many callers at once; read streams, head and outcomes.

EVIDENCE.md sections 1 to 3 and 5. One `EventLog` per process; any number of processes.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

import psycopg

from domain.errors import DomainError
from evidence import reader
from evidence.append import Append, Appended, Bulk, Write
from evidence.batch import Answer, Pending
from evidence.clock import Clock, ClockWatch, SystemClock
from evidence.commit import Committer, Gate, Wake
from evidence.encoding import encode_append
from evidence.private import PrivateValue, private_value
from evidence.reader import Head, Recorded
from evidence.startup import require_safe
from evidence.watched import Watched
from evidence.wire import ConnectionLost

__all__ = [
    "Append",
    "Appended",
    "Bulk",
    "EventLog",
    "PrivateValue",
    "Write",
    "private_value",
]


def _open_gate() -> None:
    return None


def _silent(_size: int) -> None:
    return None


def alone(append: Append) -> Append:
    """With nothing beside it."""
    return append


type Beside = Callable[[Append], Append]


class EventLog:
    """The append and read port. Owned by one event loop; `close` before leaving it."""

    def __init__(
        self,
        committer: Committer,
        conn: psycopg.AsyncConnection[Any],
        url: str,
        beside: Beside = alone,
    ) -> None:
        self._committer = committer
        self._beside = beside
        self._conn = conn
        self._url = url
        self._reading = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        app_url: str,
        *,
        clock: Clock | None = None,
        wake: Wake = _silent,
        gate: Gate = _open_gate,
        beside: Beside = alone,
        allow_unsafe: frozenset[str] = frozenset(),
    ) -> Self:
        """The log behind a URL of the application role.

        Args:
            app_url: libpq URL of `gpuaas_app` on a migrated database.
            clock: whose clocks to stamp and compare with; the machine's by default.
            wake: told the new size after each commit; must not block.
            gate: asked before each batch; its refusal answers the appends (`log.unsigned_tail`).
            beside: what each append that is asked for by itself is sent as; must not block.
            allow_unsafe: server settings that may be off, by name; for tests only.

        Raises:
            DomainError: `log.unsafe_server`, `log.unavailable`.
        """
        committer = Committer(app_url, ClockWatch(clock or SystemClock()), wake, gate)
        try:
            conn = await Watched.connect(app_url, autocommit=True)
            try:
                await require_safe(conn, allow_unsafe)
                await committer.start()
            except BaseException:
                await conn.close()
                raise
        except (psycopg.OperationalError, ConnectionLost) as error:
            raise DomainError(
                "log.unavailable", f"the database does not answer: {error}"
            ) from error
        return cls(committer, conn, app_url, beside)

    async def append(self, append: Append) -> Appended:
        """Committed and on disk when it returns; concurrent appends share a transaction.

        Idempotent for a `cmd:` cause: a repeat returns the first outcome with `repeated`, whatever
        else it says. Cancelling the caller does not take the append back.

        Raises:
            DomainError: `log.version_stale` (facts: stream, expected, actual), `entry.refused`,
                `entry.oversized`, `clock.disagrees`, `log.unavailable` (the outcome may be
                unknown: repeat the command), `log.unsigned_tail`. Nothing was stored.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def deliver(answer: Answer) -> None:
            if not future.done():
                future.set_result(answer)

        self._committer.put([Pending(encode_append(self._beside(append)), deliver)])
        answer = await future
        if isinstance(answer, DomainError):
            raise answer
        return answer

    def append_many(self, appends: Sequence[Append]) -> asyncio.Future[list[Answer]]:
        """Queued when it returns. Then one answer per append, in order, each atomic by itself and
        decided after those before.

        What `append` raises is returned in its place.
        """
        done: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        answers: list[Answer | None] = [None] * len(appends)
        left = len(appends)

        def deliver_at(index: int, answer: Answer) -> None:
            nonlocal left
            if answers[index] is not None:
                return
            answers[index] = answer
            left -= 1
            if not left and not done.done():
                done.set_result([answer for answer in answers if answer is not None])

        pending = []
        for index, append in enumerate(appends):
            try:
                encoded = encode_append(append)
            except DomainError as error:
                deliver_at(index, error)
            else:
                pending.append(Pending(encoded, partial(deliver_at, index)))
        if not appends:
            done.set_result([])
        self._committer.put(pending)
        return done

    async def read_stream(self, stream: str, after: int = 0) -> list[Recorded]:
        """As `reader.read_stream`."""
        rows = await self._rows(reader.READ_STREAM, {"stream": stream, "after": after})
        return [reader.decode_entry(entry) for (entry,) in rows]

    async def head(self) -> Head:
        """As `reader.head`."""
        return Head(*(await self._rows(reader.READ_HEAD, {}))[0])

    async def appended_us(self, position: int) -> int | None:
        """The `at_us` of the entry there, or None while the log is shorter."""
        found = await self.entry(position)
        return None if found is None else found.at_us

    async def entry(self, position: int) -> Recorded | None:
        """The entry there, or None while the log is shorter."""
        rows = await self._rows(reader.READ_ENTRIES, {"first": position, "limit": 1})
        return reader.decode_entry(rows[0][1]) if rows else None

    async def outcome(self, cause: str) -> Appended | None:
        """As `reader.outcome`."""
        rows = await self._rows(reader.READ_OUTCOME, {"command": reader.command_of(cause)})
        return reader.outcome_of(*rows[0]) if rows else None

    async def broken(self) -> None:
        """Returns once the log was closed. Raises: the bug that ended its appender before that.

        Whoever runs a process on this log waits here too: nothing is appended any more.
        """
        await self._committer.broken()

    async def close(self) -> None:
        """Everything queued is committed and answered first."""
        try:
            await self._committer.close()
        finally:
            await self._conn.close()

    async def _rows(self, query: str, asked: dict[str, object]) -> list[tuple[Any, ...]]:
        async with self._reading:
            try:
                return await self._ask(query, asked)
            except psycopg.OperationalError:
                # Reading twice is harmless; a second failure is the caller's to hear.
                await self._conn.close()
            try:
                self._conn = await Watched.connect(self._url, autocommit=True)
                return await self._ask(query, asked)
            except psycopg.OperationalError as error:
                raise DomainError("log.unavailable", f"no answer: {error}") from error

    async def _ask(self, query: str, asked: dict[str, object]) -> list[tuple[Any, ...]]:
        async with self._conn.cursor(binary=True) as cursor:
            await cursor.execute(query, asked)
            return await cursor.fetchall()
