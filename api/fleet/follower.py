"""The log as ingest meets it: followed in order, appended to, asked for what a cause became."""

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from api.fleet.state import FleetState
from api.fleet.words import Ending, Renewing
from domain.instants import LEASING, Leasing
from evidence.append import Append, Appended
from evidence.following import Shared, fold_to_head, streams_of_kinds
from evidence.reader import READ_OUTCOME, command_of, outcome_of

type Appending = Callable[[Append], Awaitable[Appended]]
type Ends = Callable[[Ending], Awaitable[Appended]]
type Renews = Callable[[Renewing], Awaitable[Appended]]

_STREAMS = streams_of_kinds("node", "runtime", "access", "volume", "network", "wallet")


class Follower:
    """`state` folded from the log; only `catch_up` changes it."""

    def __init__(self, conn: psycopg.AsyncConnection[Any], leasing: Leasing = LEASING) -> None:
        self.conn = conn
        self.state = FleetState(leasing)
        self._reading = Shared()

    async def catch_up(self) -> None:
        """The state contains everything committed before the call.

        Callers that wait for each other share one reading that began after all of them asked.
        """
        await self._reading.done(self._read)

    async def _read(self) -> None:
        await fold_to_head(self.conn, self.state, _STREAMS)

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
