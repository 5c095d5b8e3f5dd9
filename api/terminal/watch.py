"""What ends a terminal, seen in the log: its runtime's end, a newer epoch, a revocation."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

import psycopg
from msgspec import Struct

from api.authorization.holding import Holds
from api.reads import Reads
from domain import grant, organization, runtime, terminal
from domain.errors import DomainError
from evidence.reader import decode_entry, head
from evidence.wake import HeadWake

_POLL_S: Final = 0.25
_GATHER_S: Final = 0.02
# Only what is new and watched: the range is read by its primary key.
_NEW: Final = """
SELECT entry FROM log.entry
WHERE position >= %(first)s AND position < %(end)s AND stream = ANY(%(streams)s)
ORDER BY position"""

type Ends = Callable[[str], None]


class Watched(Struct, frozen=True, eq=False):
    """One open terminal; `ends(reason)` is called at most once for each thing that ends it.

    `holds`: whether its user may still be inside.
    """

    session: str
    runtime: str
    org: str
    epoch: int
    ends: Ends
    holds: Holds


class Watch:
    """One task a process. Nothing is read while nothing is watched."""

    def __init__(self, reads: Reads, heads: HeadWake) -> None:
        self._reads = reads
        self._heads = heads
        self._streams: defaultdict[str, set[Watched]] = defaultdict(set)
        self._next = 0
        self._task: asyncio.Task[None] | None = None

    async def add(self, watched: Watched) -> None:
        """From the head of now on; the caller reads the streams after this. Raises: log.*."""
        if not self._streams:
            self._next = (await self._reads.ask(head)).size
        for stream in (watched.session, watched.runtime, watched.org):
            self._streams[stream].add(watched)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def remove(self, watched: Watched) -> None:
        for stream in (watched.session, watched.runtime, watched.org):
            self._streams[stream].discard(watched)
            if not self._streams[stream]:
                del self._streams[stream]

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._streams:
            # A database that does not answer tells nothing: the node ends what is over itself.
            with contextlib.suppress(DomainError):
                await self._look()
            self._ask()
            await self._heads.wait(_POLL_S)
            await asyncio.sleep(_GATHER_S)

    def _ask(self) -> None:
        """Ends those whose user lost the right to be there; a binding ends without a fact, too."""
        for watched in {one for watching in self._streams.values() for one in watching}:
            if not watched.holds():
                watched.ends("revoked")

    async def _look(self) -> None:
        end = (await self._reads.ask(head)).size
        if end <= self._next:
            return
        asked = {"first": self._next, "end": end, "streams": list(self._streams)}
        for raw in await self._reads.ask(_entries, asked):
            entry = decode_entry(raw)
            for watched in list(self._streams.get(entry.stream, ())):
                reason = ends_by(entry.fact, watched.epoch)
                if reason:
                    watched.ends(reason)
        self._next = end


def ends_by(fact: Struct, epoch: int) -> str:
    """Why this fact ends a terminal of that epoch; empty when it does not."""
    match fact:
        case terminal.Closed(reason=reason):
            return reason
        case grant.Revoked():
            return "revoked"
        case runtime.Stopping() | runtime.Stopped() | runtime.Failed() | runtime.Cancelled():
            return "runtime.ended"
        case runtime.Lost():
            return "runtime.ended"
        case runtime.Allocated(epoch=newer) if newer > epoch:
            return "epoch.newer"
        case organization.Suspended():
            return "organization.suspended"
        case _:
            return ""


def _entries(conn: psycopg.Connection[Any], asked: dict[str, Any]) -> list[bytes]:
    return [bytes(row[0]) for row in conn.execute(_NEW, asked, binary=True).fetchall()]
