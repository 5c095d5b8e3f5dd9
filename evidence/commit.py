"""Group commit: concurrent appends become one transaction at a time on the one head.

Two ways to commit a batch. **Direct**: lock the head, look up commands, versions and rows, drop
the losers, number, chain, insert, advance, commit. **Ahead**: decide, chain and encode on the
predicted head while earlier batches are still committing; the database checks the prediction
under the lock, and a batch predicted wrongly is done again directly, whole, as if never sent.
An answer is given only after its batch committed, refusals that rest on the batch included.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from struct import unpack
from typing import Final

import psycopg
from psycopg.pq.abc import PGresult

from domain.errors import DomainError
from evidence import batch as batches
from evidence import exchange
from evidence import statements as sql
from evidence.append import Appended
from evidence.batch import Answer, Batch, Pending, Place
from evidence.clock import ClockWatch
from evidence.reader import outcome_of
from evidence.watched import Watched
from evidence.wire import ConnectionLost, Found, Refused, Wire
from gpuaas_verify.merkle import leaf_hash

# Measured: more in a batch starves the database while callers run, fewer pay for more commits.
MAX_ENTRIES: Final = 128
DEPTH: Final = 3
_PATIENCE_S: Final = 15
_PAUSE_MS: Final = 20
_LONGEST_PAUSE_MS: Final = 500
_LONGEST_DIRECT: Final = 64
_TERMINATE: Final = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE pid = %(pid)s AND application_name = %(name)s
"""

type Gate = Callable[[], DomainError | None]
type Wake = Callable[[int], None]


class Committer:
    """The one writer of this process; its task owns the connection and the predicted place."""

    def __init__(self, url: str, clock: ClockWatch, wake: Wake, gate: Gate) -> None:
        self._url = url
        self._clock = clock
        self._wake = wake
        self._gate = gate
        self._name = f"gpuaas-log-{os.getpid()}-{os.urandom(4).hex()}"
        self._queue: deque[Pending] = deque()
        self._signal = asyncio.Event()
        self._place = Place()
        self._in_flight: deque[Batch] = deque()
        self._failed: list[Pending] = []
        self._taken: list[Pending] = []
        self._unknown: list[Pending] = []
        self._direct_left = 1
        self._penalty = 1
        self._closing = False
        self._wire: Wire | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises: ConnectionLost when no server answers now."""
        self._wire = await self._connect()
        self._task = asyncio.create_task(self._run(), name="log-appender")
        self._task.add_done_callback(self._ended)

    def put(self, pending: list[Pending]) -> None:
        """Queues appends in order; each is answered exactly once, after its commit."""
        if self._closing or self._task is None or self._task.done():
            for each in pending:
                each.deliver(DomainError("log.unavailable", "the log is closed"))
            return
        self._queue.extend(pending)
        self._signal.set()

    async def close(self) -> None:
        """Commits what is queued, then closes."""
        self._closing = True
        self._signal.set()
        try:
            if self._task is not None:
                await self._task
        finally:
            if self._wire is not None:
                await self._wire.close()

    async def broken(self) -> None:
        """Returns once the log was closed. Raises: what the appender ended with before that."""
        assert self._task is not None, "started"
        await asyncio.shield(self._task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Nobody waits for ever on an appender that broke; `close` raises what broke it."""
        if not task.cancelled() and task.exception() is None:
            return
        for batch in self._in_flight:
            self._unknown += batch.pending
        self._in_flight.clear()
        self._give_up("the appender has stopped")

    async def _run(self) -> None:
        while self._queue or self._in_flight or self._failed or self._unknown or not self._closing:
            self._signal.clear()
            try:
                await self._step()
            except ConnectionLost:
                await self._reconnect()

    async def _step(self) -> None:
        """Does what can be done now, or waits until there is something."""
        if self._wire is None or (self._wire.lost and not self._in_flight):
            raise ConnectionLost("no connection")
        if self._failed and not self._in_flight:
            self._queue.extendleft(reversed(self._failed))
            self._failed = []
        known = self._place.next >= 0 and not self._wire.lost
        ahead = self._direct_left == 0 and not self._failed and known
        if self._queue and ahead and len(self._in_flight) < DEPTH:
            self._taken = self._take()
            self._send_ahead(self._wire, self._taken)
            self._taken = []
        elif self._queue and not ahead and not self._in_flight:
            self._taken = self._take()
            try:
                await self._commit_directly(self._wire, self._taken)
            except ConnectionLost:
                self._unknown += self._taken
                self._taken = []
                raise
            self._taken = []
        elif not self._closing or self._in_flight:
            await self._signal.wait()

    def _take(self) -> list[Pending]:
        taken: list[Pending] = []
        entries = 0
        while self._queue:
            entries += len(self._queue[0].encoded.suffixes)
            if taken and entries > MAX_ENTRIES:
                break
            taken.append(self._queue.popleft())
        return taken

    # --- ahead

    def _send_ahead(self, wire: Wire, pending: list[Pending]) -> None:
        try:
            clock_us = self._clock.read(self._place.at_us)
        except DomainError:
            clock_us = 0
        if not clock_us or self._gate() or _needs_the_lock(pending, self._place):
            # Only the lock knows what to answer here.
            self._queue.extendleft(reversed(pending))
            self._direct_left = 1
            return
        batch = batches.decide(pending, self._place, clock_us, assume=True)
        if not batch.winners:
            self._failed += pending
            self._direct_left = 1
            self._signal.set()
            return
        work = exchange.insertion(batch, clock_us)
        if batch.required:
            work.insert(1, (sql.REQUIRE, batches.required_columns(batch.required)))
        self._in_flight.append(batch)
        wire.send(work, lambda found: self._settle(batch, found))

    def _settle(self, batch: Batch, found: Found) -> None:
        assert self._in_flight[0] is batch, "the server answers in order"
        self._in_flight.popleft()
        self._signal.set()
        if isinstance(found, list):
            self._penalty = max(1, self._penalty // 2)
            self._answer(batch)
            return
        self._place.forget()
        self._direct_left = self._penalty
        if isinstance(found, ConnectionLost):
            self._unknown += batch.pending
        else:
            # Everything sent after it was chained on it and fails the same way.
            self._penalty = min(self._penalty * 2, _LONGEST_DIRECT)
            self._failed += batch.pending

    def _answer(self, batch: Batch) -> None:
        for each, answer in batch.answers:
            each.deliver(answer)
        # Not from here: what a wake-up raises must not stop the reading of other answers.
        asyncio.get_running_loop().call_soon(self._wake, batch.first + len(batch.entries))

    # --- directly

    async def _commit_directly(self, wire: Wire, pending: list[Pending]) -> None:
        refusal = self._gate()
        if refusal is not None:
            _answer_all(pending, refusal)
            return
        self._direct_left = max(0, self._direct_left - 1)
        sent_us = self._clock.now_us()
        try:
            found = await wire.ask(exchange.questions(pending), synced=False)
            clock_us = self._learn(found, sent_us)
        except (Refused, DomainError) as error:
            # Cancelled, timed out, no head: nothing was stored, and the lock is given back.
            await wire.ask([], synced=True)
            self._place.forget()
            _answer_all(pending, _unstored(error) if isinstance(error, Refused) else error)
            return
        batch = batches.decide(pending, self._place, clock_us, assume=False)
        work = exchange.insertion(batch, clock_us) if batch.winners else []
        try:
            await wire.ask(work, synced=True)
        except Refused as error:
            await self._isolate(wire, pending, error)
            return
        self._answer(batch)

    def _learn(self, found: list[PGresult], sent_us: int) -> int:
        """The clock to stamp with; the place becomes what the database says under the lock."""
        next_position, leaf, at_us, database_us = exchange.head(found[0])
        self._clock.compare(database_us, sent_us)
        clock_us = self._clock.read(at_us)
        place = self._place
        place.move(next_position, leaf, at_us)
        for stream, version, org in exchange.texts(found[1]):
            place.versions[stream.decode()] = (unpack(">i", version)[0], org.decode())
        for command, position, span, entry in exchange.texts(found[2]):
            place.outcomes[command] = outcome_of(
                unpack(">q", position)[0], unpack(">i", span)[0], entry
            )
        for table, row in exchange.texts(found[3]) if len(found) > 3 else ():
            place.rows[table.decode()] = unpack(">q", row)[0]
        return clock_us

    async def _isolate(self, wire: Wire, pending: list[Pending], error: Refused) -> None:
        """One append the database would not store must not take its neighbours along."""
        self._place.forget()
        if error.sqlstate == "GL002":
            _answer_all(pending, DomainError("clock.disagrees", str(error)))
        elif len(pending) == 1:
            _answer_all(pending, _unstored(error))
        else:
            for each in pending:
                await self._commit_directly(wire, [each])

    # --- after a lost connection

    async def _connect(self) -> Wire:
        return await Wire.open(self._url, self._name, sql.PREPARED, sql.SETUP)

    async def _reconnect(self) -> None:
        """A new connection, and the fate of everything the old one left without an answer.

        The old session is ended first and the head locked: no late commit can follow the look.
        """
        old, self._wire = self._wire, None
        self._place.forget()
        self._direct_left = max(1, self._direct_left)
        if old is not None:
            await old.close()
        deadline = time.monotonic() + _PATIENCE_S
        pause_ms = _PAUSE_MS
        while True:
            wire = None
            try:
                wire = await self._connect()
                await self._look_up(wire, old)
            except (ConnectionLost, Refused) as error:
                if wire is not None:
                    await wire.close()
                if time.monotonic() > deadline:
                    self._give_up(str(error))
                    deadline = time.monotonic() + _PATIENCE_S
                if self._closing and not (self._queue or self._failed or self._unknown):
                    return
                await asyncio.sleep(timedelta(milliseconds=pause_ms).total_seconds())
                pause_ms = min(2 * pause_ms, _LONGEST_PAUSE_MS)
            else:
                self._wire = wire
                return

    async def _look_up(self, wire: Wire, old: Wire | None) -> None:
        if old is not None:
            await self._end_session(old)
        if not self._unknown:
            return
        lost = [each.encoded for each in self._unknown]
        asked = [
            batches.text_array([each.writes[-1][0] for each in lost]),
            batches.int4_array([each.versions[-1] for each in lost]),
        ]
        found = await wire.ask([(sql.LOCK_HEAD, []), (sql.FIND_ENTRIES, asked)], synced=True)
        stored = {
            unpack(">q", n)[0]: (position, entry) for n, position, entry in exchange.texts(found[1])
        }
        again = []
        for number, each in enumerate(self._unknown, 1):
            position, entry = stored.get(number, (b"", b""))
            # The salt in the suffix is ours alone: these very bytes were stored, or they were not.
            if entry.endswith(each.encoded.suffixes[-1]):
                last = unpack(">q", position)[0]
                first = last - len(each.encoded.suffixes) + 1
                each.deliver(Appended(first, last, leaf_hash(entry)))
            else:
                again.append(each)
        self._unknown = []
        self._queue.extendleft(reversed(self._failed))
        self._failed = []
        self._queue.extendleft(reversed(again))

    async def _end_session(self, old: Wire) -> None:
        try:
            async with await Watched.connect(self._url, autocommit=True) as conn:
                await conn.execute(_TERMINATE, {"pid": old.backend_pid, "name": self._name})
        except psycopg.OperationalError as error:
            raise ConnectionLost(str(error)) from error

    def _give_up(self, why: str) -> None:
        refusal = DomainError(
            "log.unavailable",
            f"no answer, and whether it was stored is not known: {why}",
        )
        waiting = [*self._taken, *self._unknown, *self._failed, *self._queue]
        self._taken, self._unknown, self._failed = [], [], []
        self._queue.clear()
        _answer_all(waiting, refusal)


def _answer_all(pending: list[Pending], answer: Answer) -> None:
    for each in pending:
        each.deliver(answer)


def _needs_the_lock(pending: list[Pending], place: Place) -> bool:
    for each in pending:
        encoded = each.encoded
        if encoded.opens or (encoded.bulk and any(b.table not in place.rows for b in encoded.bulk)):
            return True
    return False


def _unstored(error: Refused) -> DomainError:
    return DomainError("log.unavailable", f"not stored: {error.sqlstate} from the database")


__all__ = ["DEPTH", "MAX_ENTRIES", "Appended", "Committer", "Gate", "Wake"]
