"""The end of the log as server-sent events: read and written once, handed to whom it concerns."""

import asyncio
import contextlib
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from msgspec import Struct

from api.reads import Reads
from api.turns import Turns
from domain.errors import DomainError
from evidence.reader import read_entries
from evidence.wake import HeadWake
from projections.entries import Entry, envelope
from projections.reach import Place, places
from projections.telling import cloud_event, origin_of

BATCH: Final = 500
MOST: Final = 100  # streams that one principal may have open in one process
MOST_OF_ONE: Final = 2_000  # and all of an organization, however many programs it has
_KEPT: Final = 4_096
# A hint of the head may be lost: so often it is looked at without one.
_LOOK_S: Final = 0.25
_POSITION: Final = attrgetter("position")
ALL: Final = "*"  # whose news: everybody's


class Told(Struct, frozen=True, gc=False):
    """One entry: whose it is, and its event as it goes out."""

    position: int
    org: str
    chunk: bytes


class News(Struct, frozen=True):
    """What concerns a follower, in order, and the position from which it goes on.

    `end`: nothing is there yet from there on.
    """

    told: list[Told]
    then: int
    end: bool


class Tail:
    """Owned by one event loop. While anybody follows, one task reads what is new, and wakes those
    whom it concerns; the last few thousand entries stay, what is older is read anew.
    """

    def __init__(self, reads: Reads, heads: HeadWake) -> None:
        self._reads = reads
        self._heads = heads
        self._origin = ""
        self._start = self._end = 0
        self._told: dict[str, list[Told]] = {ALL: []}  # of each organization, and of all
        self._sleeping: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._admitted: Counter[str] = Counter()
        self._following = 0
        self._past = Turns()
        self._places: dict[int, Place] = {}
        self._placing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def admitted(self, who: str, org: str = "") -> Iterator[None]:
        """`who` of the organization has one stream more for the length of the block, begun or not.
        Raises: DomainError events.too_many when it, or all of it, has as many as there may be.
        """
        each = [(who, MOST), *([(org, MOST_OF_ONE)] if org else [])]
        for name, most in each:
            if self._admitted[name] >= most:
                raise DomainError("events.too_many", f"at most {most} streams at once in a process")
        self._admitted.update(name for name, _ in each)
        try:
            yield
        finally:
            self._admitted.subtract(name for name, _ in each)
            for name, _ in each:
                if not self._admitted[name]:
                    del self._admitted[name]

    @contextlib.contextmanager
    def followed(self, size: int) -> Iterator[None]:
        """A stream has begun, for the length of the block; the log had `size` entries."""
        self._following += 1
        if self._task is None or self._task.done():
            self._start = self._end = size
            self._told = {ALL: []}
            self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            yield
        finally:
            self._following -= 1

    async def news(self, whose: str, first: int) -> News:
        """Of the organization (ALL: of all) from `first` on, of at most BATCH entries. Of what is
        past, one batch of an organization at a time, however many streams begin there.
        """
        if first < self._start:
            async with self._past.of(whose):
                rows = await self._rows(first)
            told = [self._told_of(one) for one in rows if whose in (ALL, one.org)]
            return News(told, rows[-1].position + 1 if rows else first, not rows)
        kept = self._told.get(whose, ())
        at = bisect_left(kept, first, key=_POSITION)
        told = list(kept[at : at + BATCH])
        if len(told) == BATCH:
            return News(told, told[-1].position + 1, end=False)
        return News(told, max(first, self._end), end=True)

    async def places(self, positions: list[int], whose: str) -> dict[int, Place]:
        """Where in the tree what these entries say lies; asked once for all followers. What is past
        is asked for one of the organization at a time, and waits for no other's.
        """
        if positions and positions[0] < self._start:
            return await self._past_places(positions, whose)
        if any(one not in self._places for one in positions):
            async with self._placing:
                missing = [one for one in positions if one not in self._places]
                if len(self._places) > _KEPT:
                    self._places, missing = {}, positions
                if missing:
                    self._places |= await self._reads.ask(places, missing)
        return {one: self._places[one] for one in positions}

    async def _past_places(self, positions: list[int], whose: str) -> dict[int, Place]:
        if all(one in self._places for one in positions):
            return {one: self._places[one] for one in positions}
        async with self._past.of(f"places of {whose}"):
            found: dict[int, Place] = await self._reads.ask(places, positions)
        if len(positions) == 1:  # somebody acts on it, and may again
            if len(self._places) > _KEPT:
                self._places = {}
            self._places |= found
        return found

    async def wait(self, whose: str, first: int, seconds: float) -> None:
        """Until there may be news of the organization from `first` on, its authority changed, or
        the time has passed.
        """
        if self._task is not None and self._task.done():
            self._task.result()  # whoever follows ends with what reads for it
        if first < self._end:
            return
        woken = asyncio.get_running_loop().create_future()
        self._sleeping[whose].add(woken)
        timer = asyncio.get_running_loop().call_later(seconds, _wake, woken)
        try:
            await woken
        finally:
            timer.cancel()
            self._sleeping[whose].discard(woken)
            if not self._sleeping[whose]:
                del self._sleeping[whose]

    def wake(self, org: str) -> None:
        """Whoever follows the organization looks again at what it may."""
        for woken in self._sleeping.get(org, ()):
            _wake(woken)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._following:
            rows: list[Told] = []
            with contextlib.suppress(DomainError):  # a database that is away tells nothing
                rows = await self._read(self._end)
            if rows:
                self._keep(rows)
            if not rows or self._heads.size <= self._end:
                await self._heads.wait(_LOOK_S)

    def _keep(self, rows: list[Told]) -> None:
        for one in rows:
            self._told[ALL].append(one)
            self._told.setdefault(one.org, []).append(one)
        self._end = rows[-1].position + 1
        extra = len(self._told[ALL]) - _KEPT
        if extra > 0:
            self._start = self._told[ALL][extra].position
            for org in {one.org for one in self._told[ALL][:extra]} | {ALL}:
                kept = self._told[org]
                del kept[: bisect_left(kept, self._start, key=_POSITION)]
                if not kept and org != ALL:
                    del self._told[org]
        for org in {one.org for one in rows} | {ALL}:
            self.wake(org)

    async def _read(self, first: int) -> list[Told]:
        return [self._told_of(one) for one in await self._rows(first)]

    async def _rows(self, first: int) -> list[Entry]:
        rows = await self._reads.ask(read_entries, first, BATCH)
        if rows and not self._origin:
            origin: str | None = await self._reads.ask(origin_of)
            self._origin = origin or "-"
        return [envelope(raw) for _, raw, _ in rows]

    def _told_of(self, entry: Entry) -> Told:
        return _told(entry, self._origin)


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _told(entry: Entry, origin: str) -> Told:
    chunk = b"id: %d\nevent: %s\ndata: %s\n\n" % (
        entry.position,
        entry.tag.encode(),
        cloud_event(origin, entry),
    )
    return Told(entry.position, entry.org, chunk)
