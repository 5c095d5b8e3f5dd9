"""Who holds an Idempotency-Key, in the database, before anything is appended under it.

Rows are committed without waiting for the disk: the append that follows flushes the same WAL, so
a durable append always has its durable claim. Many callers share one statement.
"""

import asyncio
import contextlib
import secrets
from typing import Any, Final

import psycopg
from msgspec import Struct

from api.stopping import ended
from domain.errors import DomainError
from evidence.watched import Watched

# New keys are taken, the others are left as they are.
_TAKE: Final = """
INSERT INTO api.claim (command, fingerprint, holder)
SELECT c, f, %(holder)s FROM unnest(%(commands)s::bytea[], %(prints)s::bytea[]) AS t (c, f)
ON CONFLICT DO NOTHING RETURNING command
"""
_FIND: Final = """
SELECT command, fingerprint, holder, clock_timestamp() - claimed_at > interval '30 s', answer
FROM api.claim WHERE command = ANY(%(commands)s)
"""
_DROP: Final = "DELETE FROM api.claim WHERE command = ANY(%(commands)s) AND holder = %(holder)s"
# No process's number, and nobody has its lock: whoever comes next takes the key over.
NOBODY: Final = 0
_LEAVE: Final = """
UPDATE api.claim SET holder = 0, claimed_at = clock_timestamp()
WHERE command = ANY(%(commands)s) AND holder = %(holder)s
"""
_ANSWER: Final = """
UPDATE api.claim SET answer = %(answer)s WHERE command = %(command)s AND holder = %(holder)s
"""
# True when the claiming process no longer lives: its lock is free.
_DEAD: Final = "SELECT pg_try_advisory_xact_lock(%(holder)s)"
_TAKE_OVER: Final = """
UPDATE api.claim SET holder = %(holder)s, fingerprint = %(print)s, claimed_at = clock_timestamp()
WHERE command = %(command)s AND holder = %(old)s
"""
_ALIVE: Final = "SELECT pg_advisory_lock(%(holder)s)"
_GATHER_S: Final = 0.005
_AGAIN_S: Final = 0.25
_CHEAP: Final = "SET synchronous_commit = off"


class Claim(Struct, frozen=True):
    """What the table says of a key. `mine`: taken just now by this request."""

    mine: bool
    fingerprint: bytes
    holder: int
    old: bool = False
    answer: bytes | None = None


class Claims:
    """One connection, one statement at a time, whole queues at once. Owned by one event loop.

    A key on an idle server is taken at once; under load at most one statement begins in 5 ms.
    """

    def __init__(self, app_url: str) -> None:
        self._url = app_url
        self._holder = secrets.randbits(62)
        self._conn: psycopg.AsyncConnection[Any] | None = None
        self._taking: dict[bytes, tuple[bytes, asyncio.Future[Claim]]] = {}
        self._dropping: list[bytes] = []
        self._leaving: list[bytes] = []
        self._wake = asyncio.Event()
        self._busy = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._loop())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._conn is not None:
            await self._conn.close()

    async def broken(self) -> None:
        """Returns once closed. Raises: what ended its task before that."""
        await ended(self._task)

    async def take(self, command: bytes, fingerprint: bytes) -> Claim:
        """The claim on `command`, taken now when nobody held it. Raises: log.unavailable."""
        waiting: asyncio.Future[Claim] = asyncio.get_running_loop().create_future()
        self._taking[command] = (fingerprint, waiting)
        self._wake.set()
        return await waiting

    def drop(self, command: bytes) -> None:
        """Frees the key of a refused request, soon."""
        self._dropping.append(command)
        self._wake.set()

    def leave(self, command: bytes) -> None:
        """Lets go of the key of a request whose outcome is not known, soon: whoever repeats it, at
        whatever process, looks for that first. It binds to its body for 30 s from then on.
        """
        self._leaving.append(command)
        self._wake.set()

    async def keep_answer(self, command: bytes, answer: bytes) -> None:
        """Remembers the answer of an act that appended nothing. Raises: log.unavailable."""
        await self._run(_ANSWER, {"answer": answer, "command": command, "holder": self._holder})

    async def dead(self, claim: Claim) -> bool:
        """Whether the key's holder can append no more: this process's own, or its lock is free.

        Raises: log.unavailable.
        """
        if claim.holder in (self._holder, NOBODY):
            return True
        cursor = await self._run(_DEAD, {"holder": claim.holder})
        row = await cursor.fetchone()
        return row is not None and bool(row[0])

    async def take_over(self, command: bytes, fingerprint: bytes, old: Claim) -> bool:
        """True when the key, of a dead holder, is now this request's. Raises: log.unavailable."""
        names = {"command": command, "print": fingerprint, "old": old.holder}
        done = await self._run(_TAKE_OVER, {**names, "holder": self._holder})
        return done.rowcount == 1

    async def _run(self, query: str, names: dict[str, Any]) -> psycopg.AsyncCursor[Any]:
        async with self._busy:
            try:
                conn = await self._open()
                return await conn.execute(query.encode(), names)
            except psycopg.Error as error:
                await self._lost()
                raise _away() from error

    async def _loop(self) -> None:
        loop = asyncio.get_running_loop()
        began = 0.0
        while True:
            await self._wake.wait()
            await asyncio.sleep(max(0.0, began + _GATHER_S - loop.time()))
            began = loop.time()
            self._wake.clear()
            taking, self._taking = self._taking, {}
            try:
                async with self._busy:
                    await self._step(taking)
            except psycopg.Error as error:
                # Not taken, or taken and unheard of: the callers' repeats find out which.
                await self._lost()
                self._leaving += taking
                loop.call_later(_AGAIN_S, self._wake.set)
                for _, waiting in taking.values():
                    if not waiting.done():
                        refusal = _away()
                        refusal.__cause__ = error
                        waiting.set_exception(refusal)

    async def _step(self, taking: dict[bytes, tuple[bytes, asyncio.Future[Claim]]]) -> None:
        """What is to be let go first, so that it is nobody's when it is asked for."""
        conn = await self._open()
        for query, commands in ((_DROP, self._dropping), (_LEAVE, self._leaving)):
            if told := list(commands):
                await conn.execute(query, {"commands": told, "holder": self._holder})
                del commands[: len(told)]
        if not taking:
            return
        names = {"commands": list(taking), "prints": [entry[0] for entry in taking.values()]}
        cursor = await conn.execute(_TAKE, {**names, "holder": self._holder}, binary=True)
        mine = {bytes(row[0]) for row in await cursor.fetchall()}
        held = {}
        if len(mine) < len(taking):
            others = [command for command in taking if command not in mine]
            cursor = await conn.execute(_FIND, {"commands": others}, binary=True)
            held = {bytes(row[0]): Claim(False, *row[1:]) for row in await cursor.fetchall()}
        for command, (fingerprint, waiting) in taking.items():
            found = held.get(command) or Claim(command in mine, fingerprint, self._holder)
            if not waiting.done():
                waiting.set_result(found)

    async def _open(self) -> psycopg.AsyncConnection[Any]:
        if self._conn is None or self._conn.closed:
            self._conn = await Watched.connect(self._url, autocommit=True)
            await self._conn.execute(_CHEAP)
            await self._conn.execute(_ALIVE, {"holder": self._holder})
        return self._conn

    async def _lost(self) -> None:
        if self._conn is not None:
            await self._conn.close()
            self._conn = None


def _away() -> DomainError:
    return DomainError("log.unavailable", "the database does not answer")
