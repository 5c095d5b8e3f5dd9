"""Following the log: in order, nothing missed, woken over NATS and looking by itself on silence."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import psycopg
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from evidence import reader
from evidence.watched import Watched
from gpuaas_verify.merkle import leaf_hash

SUBJECT: Final = "gpuaas.v1.log.head"
POLL_S: Final = timedelta(milliseconds=250).total_seconds()
_TOLD_S: Final = 1
# By then a server that answers no PING has been left by the client itself.
_LOST_S: Final = 600
_GATHER_S: Final = timedelta(milliseconds=20).total_seconds()


class HeadWake:
    """Tells and hears the log's size. Hints only: a lost one costs a reader `POLL_S`.

    Give `publish` to `EventLog.open(wake=…)`. The first size goes out at once; those that follow
    within 20 ms, or faster than NATS takes them, are merged into the newest. `size` is the largest
    heard of.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.size = 0
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._flush: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to hear other processes."""
        await self._client.subscribe(SUBJECT, cb=self._on_message)

    def publish(self, size: int) -> None:
        """Never blocks, never fails an append that is already on disk."""
        self.size = max(self.size, size)
        self._heard.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._tell())

    async def wait(self, seconds: float) -> None:
        """Returns once the log has grown, or after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._heard.wait()
        self._heard.clear()

    async def close(self) -> None:
        if self._task is not None:
            await self._task
        if self._flush is not None:
            self._flush.cancel()  # the client is closed next
            await asyncio.gather(self._flush, return_exceptions=True)

    async def _tell(self) -> None:
        told = -1
        while told != self.size and self._client.is_connected:
            told = self.size
            with contextlib.suppress(NatsError, OSError):
                await self._client.publish(SUBJECT, str(told).encode())
                await self._flushed()
            await asyncio.sleep(_GATHER_S)

    async def _flushed(self) -> None:
        """Returns when the server has what was sent, or after a second.

        A flush is not given up after that: over the PONG of one that was, when it comes after all,
        the library's reader ends, and the client hears nothing any more, for ever.
        """
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._client.flush(timeout=_LOST_S))
        done, _ = await asyncio.wait({self._flush}, timeout=_TOLD_S)
        for flush in done:
            flush.result()

    async def _on_message(self, message: Msg) -> None:
        if message.data.isdigit() and len(message.data) < 20:
            self.size = max(self.size, int(message.data))
            self._heard.set()


async def follow(
    url: str, first: int, *, wake: HeadWake | None = None, limit: int = 1000
) -> AsyncIterator[list[tuple[int, bytes, bytes]]]:
    """(position, entry, leaf hash) from `first` on, in lists, for ever; never an empty list.

    A lost connection is the caller's to handle: it begins again at the position it reached.
    """
    async with await Watched.connect(url, autocommit=True) as conn:
        while True:
            found = await _read(conn, first, limit)
            if found:
                first += len(found)
                yield found
            elif wake is None:
                await asyncio.sleep(POLL_S)
            else:
                await wake.wait(POLL_S)


async def _read(
    conn: psycopg.AsyncConnection[Any], first: int, limit: int
) -> list[tuple[int, bytes, bytes]]:
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(reader.READ_ENTRIES, {"first": first, "limit": limit})
        rows = await cursor.fetchall()
    return [(position, entry, leaf_hash(entry)) for position, entry in rows]
