"""Admission for a whole deployment: one elected writer decides, everybody else asks it.

Elected by a PostgreSQL advisory lock, fenced by expected versions: an old writer that does not
know it has lost the lock can only lose its appends.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final

import msgspec
import nats.errors
import psycopg
from nats.aio.client import Client
from nats.aio.msg import Msg

from api.admission.wire import (
    SUBJECT,
    Admitted,
    Ask,
    CapacityAsk,
    ExplainAsk,
    PurseAsk,
    decode_answer,
    decode_ask,
    decode_purse,
    decode_rooms,
    decode_verdicts,
    encode_answer,
    encode_purse,
    encode_rooms,
    encode_verdicts,
)
from api.admission.writer import Writer
from domain.errors import DomainError
from domain.explain import Verdict
from domain.funding import Purse
from domain.instants import KEEPING, LEASING, Keeping, Leasing
from domain.launch import Launch
from domain.stock import Room
from evidence.log import EventLog
from evidence.wake import HeadWake
from evidence.watched import Watched

_LOCK: Final = "SELECT pg_try_advisory_lock(7214036824)"
_ALIVE: Final = "SELECT 1"
_RETRY_S: Final = 0.25
_WATCH_S: Final = 1.0
_PATIENCE_S: Final = 5.0
_LOG: Final = logging.getLogger("gpuaas.admission")


class Admission:
    """Owned by one event loop. `ask` works in every process of the deployment; `asking`: as what
    something is asked.
    """

    def __init__(
        self,
        app_url: str,
        log: EventLog,
        client: Client,
        heads: HeadWake,
        keeping: Keeping = KEEPING,
        leasing: Leasing = LEASING,
        asking: Callable[[Ask], Ask] = lambda ask: ask,
    ) -> None:
        self._url = app_url
        self._log = log
        self._client = client
        self._heads = heads
        self._terms = (keeping, leasing)
        self._asking = asking
        self._writer: Writer | None = None
        self._office = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._answering: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Takes part in the election; returns at once."""
        self._task = asyncio.get_running_loop().create_task(self._elections())

    async def close(self) -> None:
        """Everything queued here is decided first."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def ask(self, ask: Ask) -> Admitted:
        """The decision, durably appended.

        Raises: DomainError: what said no; admission.unavailable when no writer answers in time
        (the outcome may be unknown: repeat the command).
        """
        ask = self._asking(ask)
        if self._writer is not None:
            return await self._writer.ask(ask)
        return decode_answer(await self._elsewhere(msgspec.json.encode(ask)))

    async def capacity(self, organization: str) -> tuple[tuple[Room, ...], int]:
        """What fits now for an organization, and how many entries the writer had taken in.

        Raises: DomainError admission.unavailable.
        """
        if self._writer is not None:
            return await self._writer.capacity(organization)
        return decode_rooms(await self._elsewhere(msgspec.json.encode(CapacityAsk(organization))))

    async def explain(self, launch: Launch) -> tuple[tuple[Verdict, ...], int]:
        """Every node's answer to the launch, and how many entries the writer had taken in.

        Raises: DomainError admission.unavailable, and what refuses it before any node.
        """
        if self._writer is not None:
            return await self._writer.explain(launch)
        return decode_verdicts(await self._elsewhere(msgspec.json.encode(ExplainAsk(launch))))

    async def purse(self, account: str) -> tuple[Purse, int]:
        """An account's wallet, and how many entries the writer had taken in.

        Raises: DomainError admission.unavailable, account.unknown.
        """
        if self._writer is not None:
            return await self._writer.purse(account)
        return decode_purse(await self._elsewhere(msgspec.json.encode(PurseAsk(account))))

    async def elected(self, seconds: float) -> bool:
        """True once this process is the writer; for start-up and tests."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._office.wait()
        return self._writer is not None

    async def _elsewhere(self, raw: bytes) -> bytes:
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            left = deadline - asyncio.get_running_loop().time()
            try:
                if left > 0:
                    answer = await self._client.request(SUBJECT, raw, timeout=left)
                    return bytes(answer.data)
            except nats.errors.NoRespondersError:
                await asyncio.sleep(min(_RETRY_S, max(left, 0)))
                continue
            except (nats.errors.Error, OSError) as error:
                raise _unavailable() from error
            raise _unavailable()

    async def _elections(self) -> None:
        while True:
            try:
                async with await Watched.connect(self._url, autocommit=True) as conn:
                    await self._term(conn)
            except (psycopg.Error, DomainError) as error:
                _LOG.warning("admission: %s", error)
            except Exception:  # noqa: BLE001 - the outermost loop: what reads goes on, and it is tried anew
                _LOG.exception("admission: its writer broke")
            await asyncio.sleep(_RETRY_S)

    async def _term(self, conn: psycopg.AsyncConnection[Any]) -> None:
        """One term of office: from the lock until its connection or the writer fails."""
        cursor = await conn.execute(_LOCK)
        row = await cursor.fetchone()
        if row is None or not row[0]:
            return
        writer = Writer(self._url, self._log, self._heads, *self._terms)
        try:
            await writer.load()
            await self._serve(conn, writer)
        finally:
            await writer.close()

    async def _serve(self, conn: psycopg.AsyncConnection[Any], writer: Writer) -> None:
        task = writer.start()
        subscription = await self._client.subscribe(SUBJECT, cb=self._asked)
        self._writer = writer
        self._office.set()
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=_WATCH_S)
                await conn.execute(_ALIVE)  # the lock dies with this connection
            await task
        finally:
            self._writer = None
            self._office.clear()
            if self._client.is_connected:
                await subscription.unsubscribe()

    async def _asked(self, message: Msg) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(message))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, message: Msg) -> None:
        writer = self._writer
        try:
            if writer is None:
                raise _unavailable()
            ask = decode_ask(message.data)
            if isinstance(ask, CapacityAsk):
                answer = encode_rooms(*await writer.capacity(ask.organization))
            elif isinstance(ask, ExplainAsk):
                answer = encode_verdicts(*await writer.explain(ask.launch))
            elif isinstance(ask, PurseAsk):
                answer = encode_purse(*await writer.purse(ask.account))
            else:
                answer = encode_answer(await writer.ask(ask))
        except DomainError as error:
            answer = encode_answer(error)
        await message.respond(answer)


def _unavailable() -> DomainError:
    return DomainError("admission.unavailable", "no admission writer answers; repeat the request")
