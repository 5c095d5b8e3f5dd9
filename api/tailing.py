"""The end of the log as server-sent events: read and written once for all who follow it."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from api.reads import Reads
from domain.errors import DomainError
from evidence.reader import read_entries
from evidence.wake import HeadWake
from projections.entries import envelope
from projections.telling import cloud_event, origin_of

BATCH: Final = 500
MOST: Final = 100  # streams that one principal may have open in one process
_KEPT: Final = 4_096
# A hint of the head may be lost: so often it is looked at without one.
_LOOK_S: Final = 0.25


class Told(Struct, frozen=True, gc=False):
    """One entry: whose it is, and its event as it goes out."""

    position: int
    org: str
    chunk: bytes


class Tail:
    """Owned by one event loop. The last few thousand entries stay; what is older is read anew."""

    def __init__(self, reads: Reads, heads: HeadWake) -> None:
        self._reads = reads
        self._heads = heads
        self._origin = ""
        self._start = 0
        self._told: list[Told] = []
        self._looked_s = float("-inf")
        self._filling = asyncio.Lock()
        self._following: Counter[str] = Counter()

    def admit(self, who: str) -> None:
        """Raises: DomainError events.too_many when `who` has as many streams as one may have."""
        if self._following[who] >= MOST:
            raise DomainError("events.too_many", f"at most {MOST} streams at once in a process")

    @contextlib.contextmanager
    def followed(self, who: str) -> Iterator[None]:
        """A stream of `who` is open for the length of the block."""
        self._following[who] += 1
        try:
            yield
        finally:
            self._following[who] -= 1
            if not self._following[who]:
                del self._following[who]

    async def after(self, first: int) -> list[Told]:
        """Entries from `first` on, in order, at most BATCH; [] at the head."""
        if first < self._start:
            return await self._read(first)
        if first >= self._start + len(self._told):
            await self._fill(first)
        at = first - self._start
        return self._told[at : at + BATCH] if at >= 0 else await self._read(first)

    async def _fill(self, first: int) -> None:
        async with self._filling:
            now_s = asyncio.get_running_loop().time()
            end = self._start + len(self._told)
            if first < end:
                return  # somebody else has just read it
            if first >= end + BATCH or (first > end and not self._told):
                self._start, self._told, end = first, [], first
            elif self._heads.size <= end and now_s - self._looked_s < _LOOK_S:
                return
            self._looked_s = now_s
            self._told += await self._read(end)
            extra = len(self._told) - _KEPT
            if extra > 0:
                self._start += extra
                del self._told[:extra]

    async def _read(self, first: int) -> list[Told]:
        rows = await self._reads.ask(read_entries, first, BATCH)
        if rows and not self._origin:
            origin: str | None = await self._reads.ask(origin_of)
            self._origin = origin or "-"
        return [_told(raw, self._origin) for _, raw, _ in rows]


def _told(raw: bytes, origin: str) -> Told:
    entry = envelope(raw)
    chunk = b"id: %d\nevent: %s\ndata: %s\n\n" % (
        entry.position,
        entry.tag.encode(),
        cloud_event(origin, entry),
    )
    return Told(entry.position, entry.org, chunk)
