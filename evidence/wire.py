"""One connection in libpq's pipeline mode: transactions are sent without waiting for earlier ones.

Statements up to a sync form one transaction: it commits at the sync, or none of it happened. What
is sent after a failed transaction runs in its own; the server executes strictly in order.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Self

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGconn, PGresult

from evidence.watched import Watched

type Statement = tuple[bytes, Sequence[bytes]]
type Found = list[PGresult] | Refused | ConnectionLost
type Taker = Callable[[Found], None]

_BINARY: Final = 1
# uvloop stops watching a socket that was reset, without a word: whoever waits also looks.
_LOOK_S: Final = timedelta(milliseconds=100).total_seconds()


class ConnectionLost(Exception):  # noqa: N818 - a state of the environment, named as one
    """Whether transactions not answered yet have committed is unknown until someone looks."""


class Refused(Exception):  # noqa: N818 - as ConnectionLost
    """The database refused a statement; nothing of its transaction happened."""

    def __init__(self, sqlstate: str, detail: str) -> None:
        super().__init__(f"{sqlstate}: {detail}")
        self.sqlstate = sqlstate


class _Unit:
    __slots__ = ("results", "statements", "synced", "taker")

    def __init__(self, statements: int, taker: Taker, *, synced: bool) -> None:
        self.statements = statements
        self.taker = taker
        self.synced = synced
        self.results: list[PGresult] = []


class Wire:
    """A pipeline on one connection of one event loop. Not for concurrent asking: order matters."""

    def __init__(self, conn: psycopg.AsyncConnection) -> None:
        self._conn = conn
        self._pg: PGconn = conn.pgconn
        self._loop = asyncio.get_running_loop()
        self._units: deque[_Unit] = deque()
        self._writing = False
        self._looking: asyncio.TimerHandle | None = None
        self._socket = self._pg.socket
        self.lost = False
        self.backend_pid = self._pg.backend_pid

    @classmethod
    async def open(cls, url: str, name: str, prepared: dict[bytes, bytes], setup: str) -> Self:
        """A connection with the statements prepared by name.

        Raises:
            ConnectionLost: no server answered.
        """
        try:
            conn = await Watched.connect(
                url, autocommit=True, application_name=name, connect_timeout=5
            )
        except psycopg.OperationalError as error:
            raise ConnectionLost(str(error)) from error
        try:
            await conn.execute(setup)
            wire = cls(conn)
            wire._start(prepared)
        except psycopg.OperationalError as error:
            await conn.close()
            raise ConnectionLost(str(error)) from error
        return wire

    def _start(self, prepared: dict[bytes, bytes]) -> None:
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        for name, query in prepared.items():
            self._pg.send_prepare(name, query)
        self._pg.pipeline_sync()
        self._units.append(_Unit(len(prepared), _must_succeed, synced=True))
        self._loop.add_reader(self._socket, self._on_readable)
        self._flush()

    def send(self, statements: Sequence[Statement], taker: Taker) -> None:
        """Sends one transaction; `taker` hears, in order, its results or why there are none."""
        self._send(statements, taker, synced=True)

    async def ask(self, statements: Sequence[Statement], *, synced: bool) -> list[PGresult]:
        """The results of the statements; without `synced` their transaction stays open.

        Raises:
            Refused: and with `synced` nothing happened; without, a sync is still due.
            ConnectionLost
        """
        answer: asyncio.Future[Found]
        answer = self._loop.create_future()

        def take(found: Found) -> None:
            if not answer.done():
                answer.set_result(found)

        self._send(statements, take, synced=synced)
        found = await answer
        if isinstance(found, list):
            return found
        raise found

    def _send(self, statements: Sequence[Statement], taker: Taker, *, synced: bool) -> None:
        if self.lost:
            taker(ConnectionLost("the connection was lost before"))
            return
        try:
            for name, values in statements:
                self._pg.send_query_prepared(name, values, [_BINARY] * len(values), _BINARY)
            if synced:
                self._pg.pipeline_sync()
            else:
                self._pg.send_flush_request()
        except psycopg.OperationalError as error:
            self._units.append(_Unit(len(statements), taker, synced=synced))
            self._lose(error)
            return
        self._units.append(_Unit(len(statements), taker, synced=synced))
        if self._looking is None:
            self._looking = self._loop.call_later(_LOOK_S, self._look)
        self._flush()

    def _look(self) -> None:
        self._looking = None
        if self.lost or not self._units:
            return
        self._looking = self._loop.call_later(_LOOK_S, self._look)
        self._on_readable()

    def _flush(self) -> None:
        try:
            more = self._pg.flush()
        except psycopg.OperationalError as error:
            self._lose(error)
            return
        if more and not self._writing:
            self._loop.add_writer(self._socket, self._flush)
            self._writing = True
        elif not more and self._writing:
            self._loop.remove_writer(self._socket)
            self._writing = False

    def _on_readable(self) -> None:
        try:
            self._pg.consume_input()
        except psycopg.OperationalError as error:
            self._lose(error)
            return
        while self._units and not self._pg.is_busy():
            result = self._pg.get_result()
            if result is None:
                # The end of one statement; a second None in a row means nothing is left to read.
                result = self._pg.get_result() if not self._pg.is_busy() else None
                if result is None:
                    break
            self._take(result)
        if self._pg.status == pq.ConnStatus.BAD:
            self._lose(psycopg.OperationalError("the server closed the connection"))

    def _take(self, result: PGresult) -> None:
        unit = self._units[0]
        if result.status != pq.ExecStatus.PIPELINE_SYNC:
            unit.results.append(result)
            if unit.synced or len(unit.results) < unit.statements:
                return
        self._units.popleft()
        unit.taker(_refusal(unit.results) or unit.results)

    def _lose(self, error: Exception) -> None:
        if not self.lost:
            self.lost = True
            self._detach()
        units, self._units = self._units, deque()
        for unit in units:
            unit.taker(ConnectionLost(str(error)))

    def _detach(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self._loop.remove_reader(self._socket)
        if self._writing:
            self._loop.remove_writer(self._socket)
            self._writing = False

    async def close(self) -> None:
        if not self.lost:
            self.lost = True
            self._detach()
        await self._conn.close()


def _refusal(results: list[PGresult]) -> Refused | None:
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            state = result.error_field(pq.DiagnosticField.SQLSTATE) or b"?????"
            return Refused(state.decode(), result.error_message.decode(errors="replace").strip())
    return None


def _must_succeed(found: Found) -> None:
    # A lost connection is met again by the next one to use it; a refusal is a broken schema.
    if isinstance(found, Refused):
        raise found
