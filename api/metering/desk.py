"""Batches of readings become sealed rows: many callers, one append; each reading once, for ever.

What is remembered is one mark per source: its latest epoch, the last number sealed in it and the
head of its chain. A number above the mark is new; one at or below it is compared with what is
sealed under it, by the chain where a batch ends as it did the first time, by the rows where not.
Durable: a batch is answered after its rows and their seal are committed. A crash anywhere between
is a repeat that finds the mark moved, or not.
"""

import asyncio
import os
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from api.metering.completing import Completions
from api.metering.known import Judged, Known
from api.metering.repeats import ACTOR, Repeats
from api.reads import Reads, reached
from contracts import usage
from contracts.usage import Batch, Taken
from domain.errors import DomainError
from domain.reading import Mark, Reading, repeated, row_bytes
from domain.sealing import ReadingsSealed
from evidence.append import Append, Bulk, Write
from evidence.log import EventLog
from gpuaas_verify.merkle import leaf_hash, root_hash
from projections import readings_read

TABLE: Final = "reading"
MOST_ROWS: Final = 4_000  # of one append: what they cost this loop at a time
_MOST_MARKS: Final = 100_000
_TRIES: Final = 24
_PAUSE_S: Final = 0.005


class _Waiting(Struct):
    """A batch that can be charged, and who waits for it."""

    batch: Batch
    judged: Judged
    standing: readings_read.Standing
    answer: asyncio.Future[Taken]

    @property
    def whose(self) -> str:
        """The organization that its readings are of: a seal holds one's alone, for it says what
        they come to (evidence/invoice-proof.md section 2). The node, where its agent (of an earlier
        release) signed several ones' at once: what is signed together is sealed together.
        """
        return self.judged.organization or self.batch.source


class _Tail(Struct):
    """Where the seals have come to; behind `since` every mark is remembered here."""

    stream: str
    version: int = 0
    seal: int | None = None
    next_row: int = 0
    since: int | None = None


class _Group(Struct):
    """What one append will seal: not true before it is committed."""

    rows: list[Reading]
    marks: dict[str, Mark]
    ends: dict[tuple[str, int, int], bytes]
    taken: list[tuple[_Waiting, Taken]]


class Desk:
    """Takes batches for one process; any number of processes may. Owned by one event loop."""

    def __init__(self, log: EventLog, reads: Reads, now_us: Callable[[], int]) -> None:
        self._log = log
        self._reads = reads
        self._now_us = now_us
        self._known = Known(log, reads)
        self._repeats = Repeats(log, reads, now_us)
        self.completions = Completions(log, reads, self._known, now_us)
        self._queue: list[_Waiting] = []
        self._work: asyncio.Task[None] | None = None
        self._at: _Tail | None = None
        self._marks: dict[str, Mark] = {}
        self._ends: dict[tuple[str, int, int], bytes] = {}  # chains where batches ended

    async def take(self, batch: Batch) -> Taken:
        """How far the source has come, once all of the batch is sealed, now or before.

        Raises:
            DomainError: `source.unknown`, `reading.*` (nothing of the batch is sealed by this
                call), `log.*`.
        """
        judged = await self._known.judged(batch, self._now_us())
        standing = await self._known.standing(batch.source)
        answer: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(batch, judged, standing, answer))
        if self._work is None:
            self._work = asyncio.create_task(self._drain())
        return await answer

    async def close(self) -> None:
        """What is not answered never will be."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    async def _drain(self) -> None:
        try:
            while self._queue:
                await self._next_group()
        finally:
            # In one step with finding the queue empty: whoever comes later starts another task.
            self._work = None
            for waiting in self._queue:  # only where a bug or the end of the process stopped it
                waiting.answer.cancel()
            self._queue.clear()

    async def _next_group(self) -> None:
        group, rest, rows = list[_Waiting](), list[_Waiting](), 0
        whose, behind = self._queue[0].whose, set[str]()  # sources of which an earlier batch waits
        for one in self._queue:
            source = one.batch.source
            if one.whose == whose and rows < MOST_ROWS and source not in behind:
                group.append(one)
                rows += len(one.batch.readings)
            else:
                rest.append(one)
                behind.add(source)
        self._queue[:] = rest
        later: list[_Waiting] = []
        try:
            later = await self._settled(group)
        finally:
            for waiting in group:
                if waiting not in later and not waiting.answer.done():
                    waiting.answer.cancel()
        self._queue[:0] = later

    async def _settled(self, waiting: list[_Waiting]) -> list[_Waiting]:
        """Seals the group, again when a stream it rests on has moved; returns who must wait on."""
        error = DomainError("log.version_stale", "the streams keep moving; repeat the request")
        for tries in range(_TRIES):
            try:
                return await self._seal(waiting)
            except DomainError as refused:
                error = refused
                if not await self._again(refused):
                    break
            await asyncio.sleep(_PAUSE_S * tries)
        for one in waiting:
            if not one.answer.done():
                one.answer.set_exception(error)
        return []

    async def _again(self, refused: DomainError) -> bool:
        """Whether it was only another one's turn; what it said is then known."""
        # What became of an append without an answer, the views will show.
        self._forget()
        if refused.code != "log.version_stale":
            return False
        stream = refused.facts.get("stream")
        self._known.forget(stream if isinstance(stream, str) else None)
        await reached(self._reads, (await self._log.head()).size - 1)
        return True

    def _forget(self) -> None:
        self._at = None
        self._marks.clear()
        self._ends.clear()

    async def _seal(self, waiting: list[_Waiting]) -> list[_Waiting]:
        """Who repeats what is not sealed yet: they come again after this group."""
        later: list[_Waiting] = []
        at = await self._tail()
        group = _Group([], {}, {}, [])
        reads: dict[str, int] = {}
        for one in waiting:
            if one.answer.done():
                continue
            try:
                reads[one.batch.source] = (await self._same_speaker(one)).version
                if not await self._count_in(one, at, group):
                    later.append(one)
            except DomainError as error:
                if error.code.startswith("log."):
                    raise
                one.answer.set_exception(error)
        position = await self._append(at, group, reads) if group.rows else None
        for one, taken in group.taken:
            if not one.answer.done():
                sealed = taken if taken.new == 0 else replace(taken, position=position)
                one.answer.set_result(sealed)
        return later

    async def _same_speaker(self, one: _Waiting) -> readings_read.Standing:
        standing = await self._known.standing(one.batch.source)
        before = one.standing
        if (standing.key, standing.project, standing.meters) != (
            *(before.key, before.project, before.meters),
        ):
            raise DomainError("source.unknown", "the source has changed meanwhile")
        return standing

    async def _count_in(self, one: _Waiting, at: _Tail, group: _Group) -> bool:
        """False: what it repeats is not sealed yet. Raises: DomainError reading.*."""
        batch = one.batch
        mark = group.marks.get(batch.source) or await self._mark(batch.source, at)
        skip = repeated(mark, batch.epoch, batch.first, len(batch.readings))
        if skip and not shown_same(batch, skip, mark, ChainMap(group.ends, self._ends)):
            if batch.source in group.marks:
                return False
            await self._repeats.require_same(batch, skip, at.seal)
        same_epoch = mark is not None and mark.epoch >= batch.epoch
        if skip == len(batch.readings):
            assert mark is not None, "nothing is repeated before anything was sealed"
            group.taken.append((one, _taken(batch, mark, 0)))
            return True
        head = mark.chain if mark and same_epoch else usage.beginning(batch.source, batch.epoch)
        for reading in batch.readings[skip:]:
            head = usage.linked(head, usage.payload(reading))
        if head.hex() != batch.chain:
            raise DomainError("reading.unsigned", "the chain is not that of these readings")
        group.rows += _rows(one, skip)
        now = group.marks[batch.source] = Mark(batch.epoch, batch.last, head)
        group.ends[batch.source, batch.epoch, batch.last] = head
        group.taken.append((one, _taken(batch, now, len(batch.readings) - skip)))
        return True

    async def _append(self, at: _Tail, group: _Group, reads: dict[str, int]) -> int:
        salts = os.urandom(16 * len(group.rows)).hex()
        rows = tuple(
            row_bytes(row, at.next_row + number, salts[32 * number : 32 * number + 32])
            for number, row in enumerate(group.rows)
        )
        root = root_hash(leaf_hash(row) for row in rows).hex()
        total = sum(row.quantity for row in group.rows)
        seal = ReadingsSealed(TABLE, at.next_row, len(rows), root, at.seal, total)
        done = await self._log.append(
            Append(
                writes=(Write(at.stream, "-", at.version, (seal,)),),
                actor=ACTOR,
                cause=f"pos:{at.seal or 0}",
                reads=tuple(reads.items()),
                bulk=(Bulk(TABLE, at.next_row, rows),),
            )
        )
        at.version, at.seal, at.next_row = at.version + 1, done.last, at.next_row + len(rows)
        if len(self._marks) > _MOST_MARKS or len(self._ends) > _MOST_MARKS:
            self._marks.clear()
            self._ends.clear()
            at.since = at.seal
        self._marks.update(group.marks)
        self._ends.update(group.ends)
        return done.last

    async def _tail(self) -> _Tail:
        if self._at is None:
            first = await self._log.entry(0)
            if first is None:
                raise DomainError("log.unavailable", "the log is not open yet")
            stream = f"usage-{first.stream.split('-', 1)[1]}"
            last = await self._reads.ask(readings_read.last_seal, stream)
            at = _Tail(stream)
            if last is not None:
                seal: Any = last.fact
                at.version, at.seal, at.since = last.version, last.position, last.position
                at.next_row = seal.first_row + seal.count
            self._at = at
        return self._at

    async def _mark(self, source: str, at: _Tail) -> Mark | None:
        found = self._marks.get(source)
        if found is None:
            if at.since is not None:
                await reached(self._reads, at.since)
            run = await self._reads.ask(readings_read.last_run, source)
            if run is None:
                return None
            found = self._marks[source] = Mark(run.epoch, run.last, bytes.fromhex(run.chain))
        return found


def shown_same(
    batch: Batch, skip: int, mark: Mark | None, ends: Mapping[tuple[str, int, int], bytes]
) -> bool:
    """Whether chains alone show that the first `skip` readings are those sealed."""
    source, epoch = batch.source, batch.epoch
    known = ends.get((source, epoch, batch.last))
    if known is not None:
        return known.hex() == batch.chain
    if mark is None or mark.epoch != epoch or skip == len(batch.readings):
        return False
    before = batch.first - 1
    head = ends.get((source, epoch, before)) if before else usage.beginning(source, epoch)
    if head is None:
        return False
    for reading in batch.readings[:skip]:
        head = usage.linked(head, usage.payload(reading))
    return head == mark.chain


def _taken(batch: Batch, mark: Mark, new: int) -> Taken:
    repeats = len(batch.readings) - new
    return Taken(
        source=batch.source,
        epoch=mark.epoch,
        sequence=mark.sequence,
        chain=mark.chain.hex(),
        new=new,
        repeated=repeats,
        position=None,
    )


def _rows(one: _Waiting, skip: int) -> list[Reading]:
    batch, rows = one.batch, list[Reading]()
    number = batch.first + skip
    for reading, dimensions in zip(
        batch.readings[skip:], one.judged.dimensions[skip:], strict=True
    ):
        last = number == batch.last
        rows.append(
            Reading(
                *(batch.source, batch.epoch, number, reading.meter, reading.resource, dimensions),
                *(reading.from_us, reading.to_us, reading.quantity),
                *((batch.chain, batch.sig) if last else ("", "")),
            )
        )
        number += 1
    return rows
