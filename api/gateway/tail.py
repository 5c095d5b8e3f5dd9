"""The end of the log as a gateway meets it: followed in order, and asked before each entrance."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import psycopg

from api.gateway.doors import Doors
from domain.errors import DomainError
from evidence.reader import READ_ENTRIES, decode_entry
from evidence.wake import POLL_S, HeadWake
from evidence.watched import Watched

_BATCH: Final = 5_000
_ASK_S: Final = 5
# An envelope's own fields end well before this; a fact cannot pretend to be one.
_ENVELOPE: Final = 400
_KINDS: Final = tuple(
    f'"stream":"{kind}-'.encode() for kind in ("access", "runtime", "organization")
)


class Tail:
    """`doors` brought up to the log's head; `changed` is called after each step that read any."""

    def __init__(self, url: str, doors: Doors, changed: Callable[[], None]) -> None:
        self._url = url
        self._doors = doors
        self._changed = changed
        self._conn: psycopg.AsyncConnection[Any] | None = None
        self._lock = asyncio.Lock()
        self._asked = 0
        self._answered = 0
        self.fresh_at = asyncio.get_running_loop().time()

    async def catch_up(self) -> None:
        """The doors contain everything committed before the call.

        Callers that wait for each other share one reading that began after all of them asked.

        Raises: DomainError log.unavailable: nobody may be let in on an old state.
        """
        self._asked += 1
        mine = self._asked
        async with self._lock:
            if self._answered >= mine:
                return
            shared = self._asked
            asked_at = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(_ASK_S):
                    read = await self._read()
            except (psycopg.OperationalError, TimeoutError) as error:
                await self._drop()
                raise DomainError("log.unavailable", "the database does not answer") from error
            except BaseException:
                await self._drop()
                raise
            self._answered, self.fresh_at = shared, asked_at
        if read:
            self._changed()

    async def follow(self, heads: HeadWake) -> None:
        """Keeps the doors at the head, for ever; a lost database is asked again."""
        while True:
            await heads.wait(POLL_S)
            try:
                await self.catch_up()
            except DomainError:
                await asyncio.sleep(POLL_S)

    async def close(self) -> None:
        await self._drop()

    async def _read(self) -> bool:
        if self._conn is None:
            self._conn = await Watched.connect(self._url, autocommit=True)
        first = self._doors.applied
        while True:
            asked = {"first": self._doors.applied, "limit": _BATCH}
            cursor = await self._conn.execute(READ_ENTRIES, asked, binary=True)
            rows = await cursor.fetchall()
            for position, entry in rows:
                if _concerns_access(bytes(entry)):
                    self._doors.apply(decode_entry(bytes(entry)))
                self._doors.applied = position + 1
            if len(rows) < _BATCH:
                return self._doors.applied > first

    async def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()


def _concerns_access(entry: bytes) -> bool:
    head = entry[:_ENVELOPE]
    return any(kind in head for kind in _KINDS)
