"""One WebSocket and one session: output to the client as it grants, input from it, a recording."""

import asyncio
import contextlib
import time
from typing import Any, Final, Protocol

from api.authorization.holding import Holds
from api.edge import now_us
from api.terminal.far import GAP, EndedError, Far, Place
from api.terminal.recorder import LOGGED_US, Recorder
from api.terminal.sessions import Session, Terminals
from api.terminal.watch import Watched
from contracts import terminal as node_side
from contracts import terminal_client as client
from contracts.signing import FleetError
from contracts.terminal import Frame
from domain import terminal
from domain.errors import DomainError

_BEGINS_S: Final = 40.0
_ORDERED_S: Final = 30.0
_LOCK_S: Final = 12.0
_TICK_S: Final = 0.25


class ClosedError(Exception):
    """The connection ends with this code; `over`: the session does too."""

    def __init__(self, code: int, reason: str, *, over: bool = False) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason
        self.over = over


class Socket(Protocol):
    """The client's connection. `receive` raises ClosedError when the client has gone."""

    async def send(self, data: bytes) -> None: ...

    async def receive(self) -> bytes: ...


class Show:
    """From an accepted connection to its end; the session goes on unless something ends it."""

    def __init__(
        self,
        shared: Terminals,
        found: Session,
        socket: Socket,
        start: int,
        holds: Holds = lambda: True,
    ) -> None:
        self.shared = shared
        self.found = found
        self.socket = socket
        self.start = start
        self.ended: asyncio.Future[ClosedError] = asyncio.get_running_loop().create_future()
        self.recorder: Recorder | None = None
        self.logged_us = now_us()
        self.told_typed = (-1, -1)
        opened = found.opened
        self.watched = Watched(
            *(found.session, opened.runtime, found.org, opened.epoch, self._ends, holds)
        )
        self.far: Far

    async def run(self) -> ClosedError:
        """Why it ended. Whatever happens, what was recorded is sealed and the line is given up."""
        shared, opened = self.shared, self.found.opened
        await shared.watch.add(self.watched)
        try:
            await self._still_open()
            place = Place(
                node=opened.node,
                session=self.found.session,
                event_key=await shared.event_key(opened.node),
                command_key=shared.command_key,
            )
            self.far = self._far(place)
            try:
                return await self._shown()
            finally:
                await self.far.close()
        except ClosedError as closed:
            return closed
        finally:
            shared.watch.remove(self.watched)

    def _far(self, place: Place) -> Far:
        opened, count = self.found.opened, self.shared.count
        size = (opened.columns, opened.rows)
        return Far(self.shared.client, place, size, lambda code: count(opened.node, code))

    async def _still_open(self) -> None:
        found = await self.shared.session(self.found.session)
        if isinstance(found.state, terminal.Over):
            raise ClosedError(client.OVER, found.state.closed.reason)

    async def _shown(self) -> ClosedError:
        try:
            await self._begin()
            closed = await self._until_closed()
        except ClosedError as error:
            closed = error
        except EndedError as error:
            closed = _of_code(error.code)
        except TimeoutError:
            closed = ClosedError(client.UNREACHABLE, "the node does not answer")
        await self._finish(closed)
        return closed

    async def _begin(self) -> None:
        if self.found.opened.recorded:
            self.recorder = await self._record()
        recorded = self.recorder.shown if self.recorder else self.start
        age_s = (now_us() - self.found.opened.opened_us) / 1_000_000
        begin = min(self.start, recorded)
        answer = await self.far.open(begin, _BEGINS_S, max(0.0, _ORDERED_S - age_s))
        if self.start > answer.end:
            raise ClosedError(client.RULES, "term.ahead")
        if answer.start > self.start:
            await self.socket.send(client.gap(self.start, answer.start))
            self.start = answer.start
        # Input the node took while nobody recorded it is a gap, said with the next that comes.
        await self.socket.send(client.hello(self.start, answer.typed, self.far.limit))

    async def _record(self) -> Recorder:
        """The recording, given up by whoever had the session before, in whichever process."""
        deadline = time.monotonic() + _LOCK_S
        taking: Far | None = None
        try:
            while True:
                try:
                    return await self._opened()
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ClosedError(client.UNREACHABLE, "recorded elsewhere") from None
                if taking is None:
                    # It may not know yet that its client is gone: taken over, it lets go.
                    taking = self._far(self.far.place)
                    await taking.open(self.start, _LOCK_S, 0.0)
                await asyncio.sleep(0.05)
        finally:
            if taking is not None:
                await taking.close()

    async def _opened(self) -> Recorder:
        """Read off the loop: it may be long. Raises: BlockingIOError."""
        opening = asyncio.ensure_future(asyncio.to_thread(self.shared.recorder, self.found))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_given_up)
            raise

    async def _until_closed(self) -> ClosedError:
        works = (self._outward(), self._inward(), self._sealing())
        tasks: list[asyncio.Future[Any]] = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait([*tasks, self.ended], return_when=asyncio.FIRST_COMPLETED)
            if self.ended in done:
                return self.ended.result()
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        raise AssertionError("each of them ends by raising")

    async def _outward(self) -> None:
        while True:
            frame = await self.far.frames.get()
            if isinstance(frame, EndedError):
                raise frame
            await self._out(frame)

    async def _out(self, frame: Frame) -> None:
        if frame.kind == node_side.OUTPUT:
            if self.recorder is not None:
                self.recorder.output(frame.offset, frame.data)
            new = frame.data[max(0, self.start - frame.offset) :]
            if new:
                start = frame.offset + len(frame.data) - len(new)
                await self.socket.send(client.message(client.OUTPUT, start, new))
            else:  # only the recording had missed it: nobody else acknowledges it
                await self.far.grant(self.far.received + node_side.WINDOW)
        elif frame.kind == node_side.STATUS:
            await self._tell_typed()
        elif frame.kind == GAP:
            await self.socket.send(client.gap(self.far.received, frame.offset))
        elif frame.kind == node_side.EXIT:
            status = node_side.open_exit(frame.data)
            if self.recorder is not None:
                self.recorder.exited(status)
            await self.socket.send(client.exited(frame.offset, status))
            raise ClosedError(client.OVER, "exited", over=True)

    async def _tell_typed(self) -> None:
        news = (self.far.typed, self.far.limit)
        if news != self.told_typed:
            self.told_typed = news
            await self.socket.send(client.typed(*news))

    async def _inward(self) -> None:
        # What the client sends goes ahead of any output: it has a task of its own.
        typed = self.far.typed
        while True:
            try:
                message = client.opened(await self.socket.receive())
                typed = await self._in(message, typed)
            except FleetError as error:
                raise ClosedError(client.RULES, error.code) from error

    async def _in(self, message: client.Message, typed: int) -> int:
        match message.kind:
            case client.INPUT:
                if message.offset > typed:
                    raise ClosedError(client.RULES, "term.hole")
                new = message.data[typed - message.offset :]
                if typed + len(new) > self.far.limit:
                    raise ClosedError(client.RULES, "term.typed_too_far")
                if self.recorder is not None:
                    self.recorder.input(typed, new)
                await self.far.type(new)
                return typed + len(new)
            case client.ACK:
                window = min(client.open_window(message.data), node_side.WINDOW)
                await self.far.grant(min(message.offset, self.far.received) + window)
            case client.RESIZE:
                size = client.open_size(message.data)
                if self.recorder is not None and size != self.far.size:
                    self.recorder.resized(*size)
                await self.far.resize(*size)
            case client.PING:
                await self.socket.send(client.message(client.PONG, message.offset, message.data))
            case client.CLOSE:
                raise ClosedError(client.OVER, "closed", over=True)
            case _:
                raise FleetError("term.malformed", f"kind {message.kind}")
        return typed

    async def _sealing(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            if self.recorder is None:
                continue
            if self.recorder.due():
                self.recorder.seal()
            if self.recorder.full:
                raise ClosedError(client.OVER, "recording.full", over=True)
            if now_us() - self.logged_us >= LOGGED_US:
                # The log does not answer: the head is said with the next one.
                with contextlib.suppress(DomainError):
                    await self._log_seal(self.recorder)
                self.logged_us = now_us()

    async def _log_seal(self, recorder: Recorder) -> None:
        commands = await self._sealed(recorder)
        if commands:
            await self.shared.say(self.found.session, commands)

    async def _sealed(self, recorder: Recorder) -> tuple[terminal.Command, ...]:
        last = recorder.last
        if last is None:
            return ()
        # First on disk, then in the log: a head never names what a power cut can take.
        await asyncio.to_thread(recorder.durable)
        return (terminal.Seal(last.chunk, last.head, last.size, last.final, now_us()),)

    async def _finish(self, closed: ClosedError) -> None:
        if closed.over:
            await self.far.end()
        commands: tuple[terminal.Command, ...] = ()
        if self.recorder is not None:
            self.recorder.seal(final=closed.over)
            commands = await self._sealed(self.recorder)
        if closed.over:
            counts = (self.far.received, self.far.typed)
            commands += (terminal.Close(closed.reason, *counts, now_us()),)
        try:
            # Without the log's word the session stays open there: whoever comes next finds it over.
            with contextlib.suppress(DomainError):
                if commands:
                    await self.shared.say(self.found.session, commands)
        finally:
            if self.recorder is not None:
                self.recorder.close()

    def _ends(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(ClosedError(client.OVER, reason, over=True))


def _given_up(opening: asyncio.Future[Recorder]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _of_code(code: str) -> ClosedError:
    if code == "term.taken":
        return ClosedError(client.TAKEN, code)
    if code == "term.gone":
        return ClosedError(client.OVER, "node.gone", over=True)
    return ClosedError(client.RULES, code)
