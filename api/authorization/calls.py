"""Calls that were refused, and those that break-glass let: counted, sealed as rows each minute."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Any, Final

import msgspec
import psycopg
from msgspec import Struct

from api.authorization.cedar import PLATFORM
from api.reads import Reads
from domain.errors import DomainError
from domain.sealing import CallsSealed
from evidence.append import Append, Bulk, Write
from evidence.log import EventLog
from evidence.reader import decode_entry
from gpuaas_verify.merkle import leaf_hash, root_hash

TABLE: Final = "call"
ACTOR: Final = "system-authority"
DENIED, LET = "denied", "let"
MINUTE_S: Final = 60.0
MOST_KINDS: Final = 200  # of one organization in a minute, each a row; others are counted together
MOST_ORGANIZATIONS: Final = 200  # likewise: the rest of a minute is the platform's
OTHERS: Final = "others"
SINGLE: Final = 5  # facts of their own of one principal in a minute
_TRIES: Final = 12
_LAST: Final = "SELECT entry FROM log.entry WHERE stream = %(stream)s ORDER BY version DESC LIMIT 1"


class Kind(Struct, frozen=True):
    """What is counted together. `credential`: the API key or session, where it came with one.
    `reason`: the refusal's code. `policies`: that decided, with commas.
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


class _Tail(Struct):
    stream: str
    version: int = 0
    seal: int | None = None
    next_row: int = 0


class Calls:
    """One a process, one task. A kill -9 loses what was counted since the last seal: a minute."""

    def __init__(self, log: EventLog, reads: Reads, clock_us: Callable[[], int]) -> None:
        self._log = log
        self._reads = reads
        self._clock_us = clock_us
        self._counts: dict[str, dict[Kind, _Count]] = {}
        self._singles: dict[str, int] = {}
        self._sealing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def count(self, kind: Kind) -> None:
        """One more of them. Bounded: beyond so many kinds of an organization, and so many
        organizations, `others` are counted.
        """
        now_us = self._clock_us()
        if kind.org not in self._counts and len(self._counts) >= MOST_ORGANIZATIONS:
            kind = Kind(PLATFORM, OTHERS, "", OTHERS, kind.outcome, OTHERS, "")
        of = self._counts.setdefault(kind.org, {})
        if kind not in of and len(of) >= MOST_KINDS:
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

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(MINUTE_S)
            with contextlib.suppress(DomainError):  # sealed with the next minute's
                await self.seal()

    async def seal(self) -> None:
        """What was counted until now is in the log: one fact, whoever it is of. Raises: DomainError
        log.unavailable; then it is counted still.
        """
        async with self._sealing:
            counted, self._counts = self._counts, {}
            self._singles.clear()
            rows = [(kind, n) for of in counted.values() for kind, n in of.items()]
            try:
                if rows:
                    await self._append(rows)
            except BaseException:
                self._again(rows)
                raise

    def _again(self, rows: list[tuple[Kind, _Count]]) -> None:
        for kind, before in rows:
            now = self._counts.setdefault(kind.org, {}).get(kind)
            if now is not None:
                before.calls, before.last_us = before.calls + now.calls, now.last_us
            self._counts[kind.org][kind] = before

    async def _append(self, rows: list[tuple[Kind, _Count]]) -> None:
        """Again when another process sealed meanwhile: a table's seals are one chain."""
        for tries in range(_TRIES):
            tail = await self._reads.ask(_tail)
            encoded = tuple(
                row_bytes(kind, counted, tail.next_row + number)
                for number, (kind, counted) in enumerate(rows)
            )
            root = root_hash(leaf_hash(row) for row in encoded).hex()
            total = sum(counted.calls for _, counted in rows)
            place = (TABLE, tail.next_row, len(rows), root, tail.seal)
            write = Write(tail.stream, PLATFORM, tail.version, (CallsSealed(*place, total),))
            bulk = (Bulk(TABLE, tail.next_row, encoded),)
            try:
                await self._log.append(Append((write,), ACTOR, f"pos:{tail.seal or 0}", bulk=bulk))
            except DomainError as error:
                if error.code != "log.version_stale":
                    raise
                await asyncio.sleep(0.01 * tries)
            else:
                return
        raise DomainError("log.unavailable", "other processes seal all the time")

    async def close(self) -> None:
        """What was counted is sealed first."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            with contextlib.suppress(DomainError):
                await self.seal()


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
