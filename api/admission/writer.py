"""The one admission writer: decides whole batches in order on cached state, appends them at once.

The state runs ahead of the log: the next batch is decided while the last one commits. A decision
whose append lost is taken back, its streams are read again, and it is decided anew. A crash loses
nothing but the queue: whoever asked repeats the command.
"""

import asyncio
import contextlib
from collections import deque
from typing import Final

import psycopg
from msgspec import Struct

from api.admission.deciding import decide
from api.admission.due import due
from api.admission.wire import (
    Admitted,
    Ask,
    ClaimAsk,
    LimitAsk,
    ShareAsk,
    StorageLimitAsk,
    UnclaimAsk,
)
from api.edge import now_us
from api.reads import Reads
from domain import funding, launch
from domain.access import Decided
from domain.admission import AdmissionState
from domain.decider import Emit
from domain.errors import DomainError
from domain.explain import Verdict, explain
from domain.funding import Purse
from domain.instants import KEEPING, LEASING, Keeping, Leasing
from domain.stock import Room
from evidence.append import Append, Appended
from evidence.log import EventLog
from evidence.reader import READ_ENTRIES, Recorded, decode_entry, read_stream
from evidence.wake import HeadWake

# Measured: a batch as large as one of the log's own transactions, and enough of them to decide
# the next while others are written, keeps both the loop and the database at work.
_BATCH: Final = 32
_IN_FLIGHT: Final = 8
# So many are worth a batch of their own while one is written: sixteen callers who wait for their
# answers are decided in two halves, each while the database has the other.
_COMPANY: Final = 8
_TRIES: Final = 20
_READ: Final = 5_000
_IDLE_S: Final = 1.0
_SETTINGS: Final = (LimitAsk, StorageLimitAsk, ShareAsk, ClaimAsk, UnclaimAsk)


class _Waiting(Struct):
    ask: Ask
    answer: asyncio.Future[Admitted]
    tries: int = 0


class _Sent(Struct):
    """One batch being committed, and what the state believes because of it."""

    waiting: list[_Waiting]
    emits: list[tuple[Emit, ...]]
    appends: list[Append]
    answers: asyncio.Future[list[Appended | DomainError]]
    setting: bool  # its last is one: nothing is decided upon it until it stands


class Writer:
    """Owned by one event loop. Decides in the order in which it was asked."""

    def __init__(
        self,
        app_url: str,
        log: EventLog,
        heads: HeadWake,
        keeping: Keeping = KEEPING,
        leasing: Leasing = LEASING,
    ) -> None:
        self._log = log
        self._heads = heads
        self._reads = Reads(app_url, 1)
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._queue: deque[_Waiting] = deque()
        self._sent: deque[_Sent] = deque()
        self._state = AdmissionState(keeping, leasing)
        self._position = 0  # entries below are in the state
        self._overtaken = False  # what is in flight loses: nothing is decided upon it
        self._own: dict[int, int] = {}  # first -> last of our own appends beyond `_position`
        # Wherever an ask is when the term ends, decided upon or not: somebody waits for it.
        self._unanswered: set[asyncio.Future[Admitted]] = set()
        self._task: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """The state folded from the whole log. Raises: DomainError log.unavailable."""
        await self._absorb()

    async def ask(self, ask: Ask) -> Admitted:
        """As Admission.ask, on this writer."""
        return await self._enqueue(ask)

    def _enqueue(self, ask: Ask) -> asyncio.Future[Admitted]:
        answer: asyncio.Future[Admitted] = asyncio.get_running_loop().create_future()
        self._unanswered.add(answer)
        answer.add_done_callback(self._unanswered.discard)
        self._queue.append(_Waiting(ask, answer))
        self._wake.set()
        return answer

    async def capacity(self, organization: str) -> tuple[tuple[Room, ...], int]:
        """What fits now, and how many entries the state has taken in by then."""
        async with self._turn:
            await self._absorb()
            return launch.capacity(self._state, organization), self._position

    async def explain(self, wanted: launch.Launch) -> tuple[tuple[Verdict, ...], int]:
        """Every node's answer to a launch now, and how many entries the state has taken in."""
        async with self._turn:
            await self._absorb()
            return explain(self._state, wanted), self._position

    async def purse(self, account: str) -> tuple[Purse, int]:
        """The account's wallet now, and how many entries the state has taken in."""
        async with self._turn:
            await self._absorb()
            return funding.purse_of(self._state, account, now_us()), self._position

    def start(self) -> asyncio.Task[None]:
        """Begins to answer. A DomainError that ends the task ends the term of office."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self._task

    async def _run(self) -> None:
        listening = asyncio.get_running_loop().create_task(self._listen())
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                async with self._turn:
                    await self._work()
        finally:
            listening.cancel()

    async def _work(self) -> None:
        """Decides what may be sent and hears what was committed, until there is neither."""
        while True:
            if self._queue and self._may_send():
                await self._send()
            elif self._sent and self._sent[0].answers.done():
                await self._settle()
            else:
                return

    def _may_send(self) -> bool:
        # A few asks wait for company while others are written; they never wait for a clock.
        if not self._sent:
            self._overtaken = False
            return True
        enough = _BATCH if len(self._sent) > 1 else _COMPANY
        full = len(self._queue) >= enough and len(self._sent) < _IN_FLIGHT
        return full and not self._overtaken and not self._sent[-1].setting

    async def close(self) -> None:
        """Ends the term; whoever still waits is told to repeat the command."""
        if self._task is not None and not self._task.done():  # what broke it was told by it
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, DomainError):
                await self._task
        for sent in self._sent:
            sent.answers.cancel()
        for answer in self._unanswered:
            if not answer.done():
                gone = DomainError("admission.unavailable", "the writer has stepped down")
                answer.set_exception(gone)
        self._reads.close()

    async def _listen(self) -> None:
        # Others' facts (a node enrols, a lease is renewed) are taken in before they conflict.
        loop = asyncio.get_running_loop()
        looked = told = loop.time()
        while True:
            await self._heads.wait(_IDLE_S)
            # Our own commits wake us too; the slow look is for a wake-up that was lost.
            if self._heads.size <= self._position and loop.time() - looked < _IDLE_S:
                continue
            async with self._turn:
                if not self._queue and not self._sent:
                    looked = loop.time()
                    with contextlib.suppress(DomainError):
                        await self._absorb()
                # However much is asked meanwhile: time does not wait for a pause.
                if loop.time() - told >= _IDLE_S:
                    told = loop.time()
                    self._expire()

    def _expire(self) -> None:
        """What is due is asked for like any other decision.

        Asked twice, by this writer or the next one, it is one command: it is appended once.
        """
        for ask in due(self._state, now_us()):
            self._enqueue(ask).add_done_callback(_heard)

    async def _send(self) -> None:
        """Decides what waits and starts its append."""
        taken: list[_Waiting] = []
        # Half of a few, so that the other half is decided while they are written.
        most = min(_BATCH, max(_COMPANY, -(-len(self._queue) // 2)))
        while self._queue and len(taken) < most:
            taken.append(self._queue.popleft())
            if isinstance(taken[-1].ask, _SETTINGS):
                break
        refused = self._start(taken)
        if not refused:
            # The log's own task sends it now: the database has this while the next is decided.
            await asyncio.sleep(0)
            return
        # What fits is never refused: a refusal counts only on a state that knows the whole log,
        # and rests on nothing that may still lose.
        await self._whole()
        for one, _ in refused:
            if self._sent:
                await self._whole()
            for again, error in self._start([one]):
                if error.code.startswith("quota."):
                    error.facts["position"] = self._position  # as of which log it did not fit
                await self._refuse(again, error)

    async def _whole(self) -> None:
        """Nothing is in flight, and the state is that of the log up to its head."""
        while self._sent:
            await self._settle()
        await self._absorb()

    def _start(self, taken: list[_Waiting]) -> list[tuple[_Waiting, DomainError]]:
        """Starts the append of what the state admits; returns the rest and why not."""
        waiting, emits, appends, refused = [], [], [], []
        for one in taken:
            try:
                decided, append = decide(self._state, one.ask)
            except DomainError as error:
                refused.append((one, error))
            else:
                waiting.append(one)
                emits.append(decided)
                appends.append(append)
        if appends:
            answers = self._log.append_many(appends)
            answers.add_done_callback(lambda _: self._wake.set())
            setting = isinstance(waiting[-1].ask, _SETTINGS)
            self._sent.append(_Sent(waiting, emits, appends, answers, setting))
        return refused

    async def _refuse(self, one: _Waiting, error: DomainError) -> None:
        # A repeat of what was done before is no refusal: its outcome is in the log.
        done = None
        if one.ask.cause.startswith("cmd:"):
            done = await self._log.outcome(one.ask.cause)
        _answer(one, error if done is None else Admitted(done))

    async def _settle(self) -> None:
        """Hears the oldest batch in flight and answers it; what lost is taken back."""
        sent = self._sent[0]
        answers = await sent.answers
        self._sent.popleft()
        lost: list[int] = []
        for index, answer in enumerate(answers):
            if not await self._stands(sent, index, answer):
                lost.append(index)
        self._skip_own()
        if lost:
            await self._take_back(sent, answers, lost)
        if self._own:
            await self._absorb()

    async def _take_back(
        self, sent: _Sent, answers: list[Appended | DomainError], lost: list[int]
    ) -> None:
        """Undoes the losers; a batch decided after them may lose too and is heard first."""
        later = [self._sent.popleft() for _ in range(len(self._sent))]
        undone = [(sent.waiting[index], sent.emits[index], answers[index]) for index in lost]
        for batch in later:
            for index, answer in enumerate(await batch.answers):
                if not await self._stands(batch, index, answer):
                    undone.append((batch.waiting[index], batch.emits[index], answer))
        for _, emits, _ in reversed(undone):
            self._state.undo(emits)
        for stream in {emit.stream for _, emits, _ in undone for emit in emits}:
            known = self._state.version(stream)
            for found in await self._reads.ask(read_stream, stream, known):
                self._state.apply(found.stream, found.version, found.fact)
        await self._absorb()
        again = []
        for one, _, answer in undone:
            one.tries += 1
            if not isinstance(answer, DomainError):
                _answer(one, Admitted(answer))
            elif (
                answer.code == "log.version_stale" and one.tries < _TRIES and not _over(one, answer)
            ):
                again.append(one)
            else:
                _answer(one, answer)
        self._queue.extendleft(reversed(again))

    async def _stands(self, sent: _Sent, index: int, answer: Appended | DomainError) -> bool:
        """Whether the log holds what was decided; then it is answered.

        Done before by a writer whose term is over: as decided here, or otherwise, and then not.
        """
        if isinstance(answer, DomainError):
            return False
        if answer.repeated:
            many = answer.last - answer.first + 1
            rows = await self._reads.ask(_entries, answer.first, many)
            held = [decode_entry(entry) for _, entry in rows]
            believed = {
                (emit.stream, emit.expected + number): fact
                for emit in sent.emits[index]
                for number, fact in enumerate(emit.facts, 1)
            }
            facts = {(one.stream, one.version): one.fact for one in held}
            told = {at: fact for at, fact in facts.items() if not isinstance(fact, Decided)}
            if told != believed:
                return False
        self._own[answer.first] = answer.last
        writes = () if answer.repeated else sent.appends[index].writes
        _answer(sent.waiting[index], Admitted(answer, writes))
        return True

    def _skip_own(self) -> None:
        for first in [first for first in self._own if first < self._position]:
            self._position = max(self._position, self._own.pop(first) + 1)
        while (last := self._own.pop(self._position, None)) is not None:
            self._position = last + 1

    async def _absorb(self) -> None:
        """Takes in every entry up to the head that is not in the state yet.

        While something is in flight, up to one that stands where that believed itself: taken on top
        of what will be undone, the rest would be counted twice, or not at all.
        """
        while True:
            self._skip_own()
            rows = await self._reads.ask(_entries, self._position, _READ)
            for position, entry in rows:
                if position < self._position:
                    continue
                found = decode_entry(entry)
                new = self._state.apply(found.stream, found.version, found.fact)
                if not new and self._sent and self._believed(found) != found.fact:
                    self._overtaken = True
                    return
                self._position = position + 1
                self._skip_own()
            if len(rows) < _READ:
                return

    def _believed(self, found: Recorded) -> Struct | None:
        """The fact in flight for that version of the stream, None without one."""
        for sent in self._sent:
            for emits in sent.emits:
                for emit in emits:
                    number = found.version - emit.expected - 1
                    if emit.stream == found.stream and 0 <= number < len(emit.facts):
                        return emit.facts[number]
        return None


def _entries(conn: psycopg.Connection, first: int, limit: int) -> list[tuple[int, bytes]]:
    return conn.execute(READ_ENTRIES, {"first": first, "limit": limit}, binary=True).fetchall()


def _over(one: _Waiting, error: DomainError) -> bool:
    """It lost to the end of what whoever asks came with: it would again."""
    beside = one.ask.beside
    return beside is not None and error.facts.get("stream") in dict(beside.reads)


def _heard(answer: asyncio.Future[Admitted]) -> None:
    # Nobody waits for an expiry: one that was refused is due again at the next look.
    if not answer.cancelled():
        answer.exception()


def _answer(one: _Waiting, answer: Admitted | DomainError) -> None:
    if one.answer.done():
        return
    if isinstance(answer, DomainError):
        one.answer.set_exception(answer)
    else:
        one.answer.set_result(answer)
