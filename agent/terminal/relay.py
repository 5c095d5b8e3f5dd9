"""Between NATS and the hosts: sealed frames pass through; attachments are checked and answered.

The agent holds no key of a session and no byte of it: what a restart loses here, the control
plane asks for again by offset.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Final

import msgspec
import nats.errors
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from agent.terminal import wire
from agent.terminal.desk import Terminals
from contracts import terminal
from contracts.signing import FleetError
from contracts.terminal import Attach, Attached

_STARTING_S: Final = 5.0
_PAUSE_S: Final = 0.05
_TICK_S: Final = 0.5
_RENEWED_TICKS: Final = 8
_TO_HOST: Final = 1024 * 1024  # bytes a host may leave unread before frames to it are dropped
_READ: Final = 65_536


class Line(Struct):
    """A connection to one host, and the task that reads from it."""

    writer: asyncio.StreamWriter
    reading: asyncio.Task[None] | None = None


class Relay:
    """One NATS connection's terminals. `leases()`: until when what runs here may run."""

    def __init__(
        self,
        client: Client,
        desk: Terminals,
        event_key: Ed25519PrivateKey,
        command_key: str,
        leases: Callable[[], dict[str, int]],
        count: Callable[[str], None],
    ) -> None:
        self.client = client
        self.desk = desk
        self.event_key = event_key
        self.command_key = command_key
        self.leases = leases
        self.count = count
        self.lines: dict[str, Line] = {}
        self.attaching: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Never returns; cancelled, it leaves every host running."""
        node = self.desk.node
        heard = await self.client.subscribe(terminal.subject(node, "*", "in"))
        asked = await self.client.subscribe(terminal.subject(node, "*", "ctl"))
        tasks = [
            asyncio.create_task(work)
            for work in (self._take_frames(heard), self._take_attachments(asked), self._tend())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            every = [*tasks, *self.attaching, *(one.reading for one in self.lines.values())]
            running = [task for task in every if task is not None]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _take_frames(self, subscription: Subscription) -> None:
        async for message in subscription.messages:
            session = self._session(message)
            line = None if session is None else await self._line(session)
            if line is None:
                self.count("term_nowhere")
            elif line.writer.transport.get_write_buffer_size() > _TO_HOST:
                self.count("term_host_busy")
            elif len(message.data) <= wire.MOST:
                line.writer.write(wire.packed(wire.FRAME, message.data))
        raise nats.errors.ConnectionClosedError

    async def _take_attachments(self, subscription: Subscription) -> None:
        async for message in subscription.messages:
            session = self._session(message)
            if session is None:
                continue
            try:
                attach = terminal.open_attach(message.data, self.command_key)
                self._check(attach, session)
            except FleetError as error:
                self.count(error.code)
                continue
            task = asyncio.create_task(self._attach(attach))
            self.attaching.add(task)
            task.add_done_callback(self.attaching.discard)
        raise nats.errors.ConnectionClosedError

    def _check(self, attach: Attach, session: str) -> None:
        if (attach.node, attach.session) != (self.desk.node, session):
            raise FleetError("term.foreign", "of another node or session")

    async def _attach(self, attach: Attach) -> None:
        # A host that was just started needs a moment until it listens.
        deadline = asyncio.get_running_loop().time() + _STARTING_S
        while (line := await self._line(attach.session)) is None:
            late = asyncio.get_running_loop().time() >= deadline
            if late or self.desk.settings(attach.session) is None:
                await self._answer(gone(attach))
                return
            await asyncio.sleep(_PAUSE_S)
        line.writer.write(wire.packed(wire.ATTACH, msgspec.json.encode(attach)))

    async def _line(self, session: str) -> Line | None:
        known = self.lines.get(session)
        if known is not None:
            return known
        try:
            made = wire.connected(self.desk.folder / session)
        except OSError:
            return None
        reader, writer = await asyncio.open_unix_connection(sock=made)
        if session in self.lines:  # another task was faster
            writer.close()
            return self.lines[session]
        line = self.lines[session] = Line(writer)
        line.reading = asyncio.create_task(self._read(session, reader, line))
        return line

    async def _read(self, session: str, reader: asyncio.StreamReader, line: Line) -> None:
        unpacker = wire.Unpacker()
        try:
            while data := await reader.read(_READ):
                for kind, body in unpacker.feed(data):
                    await self._heard(session, kind, body)
        except (OSError, ValueError):
            self.count("term_host_lost")
        finally:
            line.writer.close()
            if self.lines.get(session) is line:
                del self.lines[session]

    async def _heard(self, session: str, kind: bytes, body: bytes) -> None:
        if kind == wire.FRAME:
            await self._say(session, body)
        elif kind == wire.REPLY:
            await self._answer(msgspec.json.decode(body, type=Attached))

    async def _answer(self, attached: Attached) -> None:
        await self._say(attached.session, terminal.attached_message(self.event_key, attached))

    async def _say(self, session: str, raw: bytes) -> None:
        # Without a server there is nobody to say it to; it is asked for again.
        if not self.client.is_connected:
            self.count("term_unsaid")
            return
        try:
            await self.client.publish(terminal.subject(self.desk.node, session, "out"), raw)
        except (TimeoutError, OSError, nats.errors.Error):
            self.count("term_unsaid")

    async def _tend(self) -> None:
        """Leases move on, terminals of what is over end, hosts that are gone leave no folder."""
        for tick in itertools.count():
            self.desk.reap()
            leases = self.leases()
            for session in self.desk.sessions():
                line = await self._line(session)
                settings = self.desk.settings(session)
                if line is None or settings is None:
                    if self.desk.is_dead(session):
                        self.desk.forget(session)
                elif until_us := leases.get(settings.allocation):
                    if tick % _RENEWED_TICKS:
                        continue
                    line.writer.write(wire.packed(wire.UNTIL, str(until_us).encode()))
                else:
                    line.writer.write(wire.packed(wire.END, b""))
            await asyncio.sleep(_TICK_S)

    def _session(self, message: Msg) -> str | None:
        try:
            return terminal.session_of(message.subject)
        except FleetError as error:
            self.count(error.code)
            return None


def gone(attach: Attach) -> Attached:
    """The answer for a session that has no host here."""
    return Attached(
        format="gpuaas-term-attached/1",
        node=attach.node,
        session=attach.session,
        number=attach.number,
        attach_key=attach.key,
        key="",
        start=0,
        end=0,
        typed=0,
        latest=0,
        code="term.gone",
    )
