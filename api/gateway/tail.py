"""The end of the log as a gateway meets it: followed in order, and asked before each entrance."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import psycopg

from domain.errors import DomainError
from evidence.following import Folded, Shared, fold_to_head, streams_of_kinds
from evidence.wake import POLL_S, HeadWake
from evidence.watched import Watched

_ASK_S: Final = 5
_STREAMS: Final = streams_of_kinds("access", "runtime", "organization")


class Tail:
    """`doors` brought up to the log's head; `changed` is called after each step that read any."""

    def __init__(
        self,
        url: str,
        doors: Folded,
        changed: Callable[[], None],
        streams: tuple[bytes, ...] = _STREAMS,
    ) -> None:
        self._url = url
        self._doors = doors
        self._changed = changed
        self._streams = streams
        self._conn: psycopg.AsyncConnection[Any] | None = None
        self._reading = Shared()
        self._told = doors.applied
        self.fresh_at = asyncio.get_running_loop().time()

    async def catch_up(self) -> None:
        """The doors contain everything committed before the call.

        Callers that wait for each other share one reading that began after all of them asked.

        Raises: DomainError log.unavailable: nobody may be let in on an old state.
        """
        await self._reading.done(self._read)
        if self._doors.applied > self._told:
            self._told = self._doors.applied
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

    async def _read(self) -> None:
        asked_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(_ASK_S):
                if self._conn is None:
                    self._conn = await Watched.connect(self._url, autocommit=True)
                await fold_to_head(self._conn, self._doors, self._streams)
        except (psycopg.OperationalError, TimeoutError) as error:
            await self._drop()
            raise DomainError("log.unavailable", "the database does not answer") from error
        except BaseException:
            await self._drop()
            raise
        self.fresh_at = asked_at

    async def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()
