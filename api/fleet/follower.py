"""The log as ingest meets it: followed in order, appended to, asked for what a cause became."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from api.fleet.state import FleetState
from api.fleet.words import Ending
from evidence.append import Append, Appended
from evidence.reader import READ_ENTRIES, READ_OUTCOME, command_of, decode_entry, outcome_of

type Appending = Callable[[Append], Awaitable[Appended]]
type Ends = Callable[[Ending], Awaitable[Appended]]

_BATCH = 5_000
# An envelope's own fields end well before this; a fact cannot pretend to be one.
_ENVELOPE = 400
_KINDS = (
    *(b'"stream":"node-', b'"stream":"runtime-', b'"stream":"access-'),
    *(b'"stream":"volume-', b'"stream":"network-'),
)


class Follower:
    """`state` folded from the log; only `catch_up` changes it."""

    def __init__(self, conn: psycopg.AsyncConnection[Any]) -> None:
        self.conn = conn
        self.state = FleetState()
        self._lock = asyncio.Lock()
        self._asked = 0
        self._answered = 0

    async def catch_up(self) -> None:
        """The state contains everything committed before the call.

        Callers that wait for each other share one reading that began after all of them asked.
        """
        self._asked += 1
        mine = self._asked
        async with self._lock:
            if self._answered >= mine:
                return
            shared = self._asked
            while True:
                asked = {"first": self.state.applied, "limit": _BATCH}
                cursor = await self.conn.execute(READ_ENTRIES, asked, binary=True)
                rows = await cursor.fetchall()
                for position, entry in rows:
                    if _concerns_fleet(bytes(entry)):
                        self.state.apply(decode_entry(bytes(entry)))
                    self.state.applied = position + 1
                if len(rows) < _BATCH:
                    break
            self._answered = shared

    async def reached(self, position: int) -> None:
        """The state contains the entry at `position`, which is committed.

        Many words committed together are read once: whoever comes second finds it done.
        """
        if self.state.applied <= position:
            await self.catch_up()

    async def outcome(self, cause: str) -> Appended | None:
        """What `cmd:…` appended; None when it never was."""
        asked = {"command": command_of(cause)}
        cursor = await self.conn.execute(READ_OUTCOME, asked, binary=True)
        row = await cursor.fetchone()
        return None if row is None else outcome_of(*row)


def _concerns_fleet(entry: bytes) -> bool:
    head = entry[:_ENVELOPE]
    return any(kind in head for kind in _KINDS)
