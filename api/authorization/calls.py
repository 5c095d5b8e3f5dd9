"""Calls that were refused, that break-glass let, or that read evidence: counted, and sealed as rows
each minute.
"""

import asyncio
import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import psycopg
from msgspec import Struct
from msgspec.structs import replace

from api.authorization.cedar import PLATFORM
from api.reads import Reads
from api.stopping import ended
from domain.errors import DomainError
from domain.sealing import CallsSealed
from evidence.append import Append, Bulk, Write
from evidence.log import EventLog
from evidence.reader import decode_entry
from gpuaas_verify.merkle import leaf_hash, root_hash

TABLE: Final = "call"
ACTOR: Final = "system-authority"
DENIED, LET, READ = "denied", "let", "read"
MINUTE_S: Final = 60.0
MOST_KINDS: Final = 200  # of one organization in a minute, each a row; others are counted together
MOST_READERS: Final = 100  # besides: reads of evidence that say no more of what
MOST_ORGANIZATIONS: Final = 200  # likewise: the rest of a minute is the platform's
OTHERS: Final = "others"
CLOSE_S: Final = 5.0  # within the grace of a process that is told to stop (api/stopping.py)
# Refusals of the log that pass by themselves; any other one is a fault of ours, and is raised.
AWAY: Final = frozenset({"log.unavailable", "log.unsigned_tail", "clock.disagrees"})
SINGLE: Final = 5  # facts of their own of one principal in a minute
_TRIES: Final = 12
_AGAIN_S: Final = 0.2
_LOG: Final = logging.getLogger("gpuaas.api")
_LAST: Final = "SELECT entry FROM log.entry WHERE stream = %(stream)s ORDER BY version DESC LIMIT 1"


class Kind(Struct, frozen=True):
    """What is counted together. `credential`: the API key or session, where it came with one.
    `reason`: the refusal's code; of a read, what was read. `policies`: that decided, with commas.
    """

    org: str
    principal: str
    credential: str
    action: str
    outcome: str
    reason: str
    policies: str


class _Count(Struct):
    calls: int
    first_us: int
    last_us: int


class _Batch(Struct):
    """Rows on their way: under one command, so that they are in the log once, however often they
    are sent. `append`: what was sent, and is sent again as it is until its fate is known.
    """

    cause: str
    rows: list[tuple[Kind, _Count]]
    append: Append | None = None


class _Tail(Struct):
    stream: str
    version: int = 0
    seal: int | None = None
    next_row: int = 0


class Calls:
    """One a process, one task. A kill -9 loses what was counted since the last seal: a minute.

    At most one batch waits for the log; counting goes on beside it, in the same bounds.
    """

    def __init__(self, log: EventLog, reads: Reads, clock_us: Callable[[], int]) -> None:
        self._log = log
        self._reads = reads
        self._clock_us = clock_us
        self._counts: dict[str, dict[Kind, _Count]] = {}
        self._singles: dict[str, int] = {}
        self._batch: _Batch | None = None
        self._sealing = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def count(self, kind: Kind) -> None:
        """One more of them. Bounded: beyond so many kinds of an organization, and so many
        organizations, `others` are counted.
        """
        now_us = self._clock_us()
        if kind.org not in self._counts and len(self._counts) >= MOST_ORGANIZATIONS:
            kind = Kind(PLATFORM, OTHERS, "", OTHERS, kind.outcome, OTHERS, "")
        of = self._counts.setdefault(kind.org, {})
        if kind not in of and len(of) >= MOST_KINDS and kind.outcome == READ:
            kind = replace(kind, reason="")  # who read what kind of thing is told all the same
        most = MOST_KINDS + MOST_READERS if kind.outcome == READ else MOST_KINDS
        if kind not in of and len(of) >= most:
            kind = Kind(kind.org, OTHERS, "", OTHERS, kind.outcome, OTHERS, "")
        found = of.get(kind)
        if found is None:
            of[kind] = _Count(1, now_us, now_us)
        else:
            found.calls, found.last_us = found.calls + 1, now_us

    def alone(self, principal: str) -> bool:
        """Whether a refused administrative act of it is a fact of its own; else it is counted."""
        so_far = self._singles.get(principal, 0)
        if so_far >= SINGLE or (not so_far and len(self._singles) >= MOST_KINDS):
            return False
        self._singles[principal] = so_far + 1
        return True

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def broken(self) -> None:
        """Returns once closed. Raises: what ended its task before that."""
        await ended(self._task)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), MINUTE_S)
                return
            with passing():  # sealed with the next minute's
                await self.seal()

    async def seal(self) -> None:
        """What was counted until now is in the log: a fact for all, whoever it is of, and one for a
        batch that was left over. Raises: DomainError of AWAY; then it is counted still.
        """
        async with self._sealing:
            self._singles.clear()
            if self._batch is not None:
                await self._store(self._batch)
            counted, self._counts = self._counts, {}
            rows = [(kind, n) for of in counted.values() for kind, n in of.items()]
            if rows:
                self._batch = _Batch(f"cmd:{secrets.token_hex(32)}", rows)
                await self._store(self._batch)

    async def _store(self, batch: _Batch) -> None:
        """Again when another process sealed meanwhile: a table's seals are one chain."""
        for tries in range(_TRIES):
            if batch.append is None:
                batch.append = _append(batch, await self._reads.ask(_tail))
            try:
                await self._log.append(batch.append)
            except DomainError as error:
                if error.code != "log.version_stale":
                    raise
            else:
                self._batch = None
                return
            if await self._log.outcome(batch.cause) is not None:
                self._batch = None
                return
            batch.append = None  # not stored: its rows get other numbers
            await asyncio.sleep(0.01 * tries)
        raise DomainError("log.unavailable", "other processes seal all the time")

    async def close(self) -> None:
        """What was counted is sealed first, after a seal that is under way; a log that is away is
        waited for, CLOSE_S at most, and what is lost then is said.
        """
        if self._task is None:
            return
        self._stopping.set()
        try:
            async with asyncio.timeout(CLOSE_S):
                await asyncio.wait({self._task})
                while self._batch or self._counts:
                    with passing():
                        await self.seal()
                        return
                    await asyncio.sleep(_AGAIN_S)
        except TimeoutError:
            waiting = [] if self._batch is None else [n.calls for _, n in self._batch.rows]
            waiting += [n.calls for of in self._counts.values() for n in of.values()]
            _LOG.error("the log is away: %d counted calls may not be in it", sum(waiting))
        finally:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


@contextlib.contextmanager
def passing() -> Iterator[None]:
    """A log that is away now is no fault of who asked it; every other refusal is raised."""
    try:
        yield
    except DomainError as error:
        if error.code not in AWAY:
            raise


def _append(batch: _Batch, tail: _Tail) -> Append:
    encoded = tuple(
        row_bytes(kind, counted, tail.next_row + number)
        for number, (kind, counted) in enumerate(batch.rows)
    )
    root = root_hash(leaf_hash(row) for row in encoded).hex()
    total = sum(counted.calls for _, counted in batch.rows)
    place = (TABLE, tail.next_row, len(encoded), root, tail.seal)
    write = Write(tail.stream, PLATFORM, tail.version, (CallsSealed(*place, total),))
    return Append((write,), ACTOR, batch.cause, bulk=(Bulk(TABLE, tail.next_row, encoded),))


def row_bytes(kind: Kind, counted: _Count, number: int) -> bytes:
    """The row as it is stored (contracts/facts.md)."""
    said = msgspec.structs.asdict(kind) | msgspec.structs.asdict(counted)
    return msgspec.json.encode({"row": number, "salt": os.urandom(16).hex(), **said})


def _tail(conn: psycopg.Connection[Any]) -> _Tail:
    """Where the next seal goes. Raises: DomainError log.unavailable before the log is open."""
    first = conn.execute("SELECT stream FROM log.entry WHERE position = 0").fetchone()
    if first is None:
        raise DomainError("log.unavailable", "the log is not open yet")
    tail = _Tail(f"call-{first[0].split('-', 1)[1]}")
    row = conn.execute(_LAST, {"stream": tail.stream}, binary=True).fetchone()
    if row is not None:
        last = decode_entry(bytes(row[0]))
        seal: Any = last.fact
        tail.version, tail.seal = last.version, last.position
        tail.next_row = seal.first_row + seal.count
    return tail
