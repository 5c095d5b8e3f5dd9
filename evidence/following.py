"""A log followed in memory: what concerns the follower applied in order, reading shared by many."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import psycopg

from evidence.reader import READ_ENTRIES, Recorded, decode_entry

_BATCH: Final = 5_000
# An envelope's own fields end well before this; a fact cannot pretend to be one.
_ENVELOPE: Final = 400


class Folded(Protocol):
    """State of a log up to, and without, position `applied`."""

    applied: int

    def apply(self, entry: Recorded, /) -> None:
        """The next entry of the kinds that it asked for."""


def streams_of_kinds(*kinds: str) -> tuple[bytes, ...]:
    """What the envelope of an entry in a stream `<kind>-…` contains."""
    return tuple(f'"stream":"{kind}-'.encode() for kind in kinds)


async def fold_to_head(
    conn: psycopg.AsyncConnection[Any], state: Folded, streams: tuple[bytes, ...]
) -> None:
    """The state has everything committed before the call, of these streams.

    What an error cut short is applied up to `applied`; the next call goes on there. Only
    entries that may concern it are decoded. Raises: psycopg.OperationalError.
    """
    while True:
        asked = {"first": state.applied, "limit": _BATCH}
        cursor = await conn.execute(READ_ENTRIES, asked, binary=True)
        rows = await cursor.fetchall()
        for position, entry in rows:
            envelope = bytes(entry[:_ENVELOPE])
            if any(stream in envelope for stream in streams):
                state.apply(decode_entry(bytes(entry)))
            state.applied = position + 1
        if len(rows) < _BATCH:
            return


class Shared:
    """Callers that wait for each other share one reading, begun after all of them asked."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._asked = 0
        self._answered = 0

    async def done(self, read: Callable[[], Awaitable[None]]) -> None:
        """Returns when a `read` that began after this call has ended. Raises: what it raised."""
        self._asked += 1
        mine = self._asked
        async with self._lock:
            if self._answered >= mine:
                return
            covers = self._asked
            await read()
            self._answered = covers
