"""A runtime's terminal in this terminal, over the API's WebSocket: no ssh, no way past the gateway.

A lost connection is taken up where it was: output from the byte that was seen last, input from the
byte that was taken last. `Enter ~ .` leaves; the session goes on and can be entered again.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import sys
import termios
import tty
from collections.abc import Coroutine, Iterator
from typing import Any, Final

import websockets
from websockets.asyncio.client import ClientConnection

from gpuaas_client import terminal_wire as wire
from gpuaas_client.call import quoted
from gpuaas_client.client import Client
from gpuaas_client.errors import GpuaasError, Unreachable

_RETRY_S: Final = 0.5
_PATIENCE_S: Final = 60.0
_MOST_BYTES: Final = 1 << 20
_LEAVES: Final = b"~."
_END_OF_FILE: Final = b"\x04"
_SAID_AGAIN_S: Final = 1.0
_LONGEST_S: Final = 60.0
_ENDS: Final = (signal.SIGTERM, signal.SIGHUP)
_FINAL: Final = {
    wire.OVER: ("terminal.over", "the session is over"),
    wire.TAKEN: ("terminal.taken", "it is open in another place"),
    wire.RULES: ("terminal.rules", "the API closed it for what was said"),
}


class Leaving:
    """Finds `~.` typed at the beginning of a line; what it took is typed unless it was that."""

    def __init__(self) -> None:
        self._held = b""
        self._begins = True

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """What is to be typed, and whether the person leaves."""
        typed = bytearray()
        for one in data:
            byte = bytes((one,))
            if self._held and self._held + byte == _LEAVES:
                return bytes(typed), True
            typed += self._held
            self._held = b""
            if self._begins and byte == _LEAVES[:1]:
                self._held, self._begins = byte, False
                continue
            typed += byte
            self._begins = byte in {b"\r", b"\n"}
        return bytes(typed), False


class Screen:
    """One session in this terminal, until it ends or the person leaves."""

    def __init__(self, client: Client, session: str, ticket: str | None) -> None:
        self._client = client
        self._session = session
        self._ticket = ticket
        self._line = wire.Line()
        self._leaving = Leaving()
        self._person = sys.stdin.isatty()
        self._begins = True
        self._socket: ClientConnection | None = None
        self._work: set[asyncio.Task[None]] = set()
        self._left = asyncio.Event()
        self._pushing = asyncio.Lock()

    async def run(self) -> int | None:
        """The shell's exit status; None when the person left.

        Raises: GpuaasError terminal.over, terminal.taken, terminal.rules, api.*, and what the API
        refuses a ticket with.
        """
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), self._key)
        loop.add_signal_handler(signal.SIGWINCH, self._resized)
        for one in _ENDS:
            # As leaving does: the terminal is left as it was, not raw.
            loop.add_signal_handler(one, self._left.set)
        shown = loop.create_task(self._shown())
        leaving = loop.create_task(self._left.wait())
        try:
            await asyncio.wait((shown, leaving), return_when=asyncio.FIRST_COMPLETED)
            return shown.result() if shown.done() else None
        finally:
            loop.remove_reader(sys.stdin.fileno())
            for one in (signal.SIGWINCH, *_ENDS):
                loop.remove_signal_handler(one)
            left = (shown, leaving, *self._work)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _shown(self) -> int | None:
        loop = asyncio.get_running_loop()
        seen = loop.time()
        while True:
            try:
                async with await self._connected() as socket:
                    self._socket = socket
                    return await self._read(socket)
            except (OSError, websockets.WebSocketException) as error:
                code = socket_code(error)
                if code in _FINAL:
                    raise GpuaasError(*_FINAL[code]) from error
                if self._socket is not None:
                    seen = loop.time()
                elif loop.time() > seen + _PATIENCE_S:
                    raise Unreachable(
                        "api.unreachable", f"the terminal is lost: {error}"
                    ) from error
            finally:
                self._socket = None
            await asyncio.sleep(_RETRY_S)

    async def _connected(self) -> ClientConnection:
        if self._ticket is None:
            issued = await asyncio.to_thread(self._client.issue_ticket, self._session)
            self._ticket = issued.ticket
        place, (ticket, self._ticket) = self._client.place, (self._ticket, None)
        url = f"{place.url.replace('http', 'ws', 1)}/v1/terminals/{quoted(self._session)}"
        tls = place.tls() if place.url.startswith("https") else None
        return await _Straight(
            f"{url}?ticket={quoted(ticket)}&from={self._line.shown}",
            compression=None,
            max_size=_MOST_BYTES,
            ssl=tls,
            # A proxy of the environment would read what a plain connection carries.
            proxy=None if tls is None else True,
        )

    async def _read(self, socket: ClientConnection) -> int:
        first = True
        while True:
            raw = await socket.recv()
            try:
                found = self._line.take(raw if isinstance(raw, bytes) else raw.encode())
            except ValueError as error:
                raise GpuaasError("terminal.rules", f"the API said: {error}") from error
            if isinstance(found, wire.Exited):
                return found.status
            if isinstance(found, wire.Shown):
                self._show(found)
            # It may be closed while what came before its end, an exit status above all, is unread.
            with contextlib.suppress(websockets.ConnectionClosed):
                if first:
                    first = False
                    await socket.send(wire.resize(*shutil.get_terminal_size()))
                await socket.send(self._line.ack())
                await self._push(socket)

    @staticmethod
    def _show(found: wire.Shown) -> None:
        out = sys.stdout.buffer
        if found.gap:
            out.write(f"\r\n[{found.gap} bytes of output are lost]\r\n".encode())
        out.write(found.data)
        out.flush()

    async def _push(self, socket: ClientConnection) -> None:
        async with self._pushing:  # input goes in its order
            for one in self._line.sends():
                await socket.send(one)

    def _key(self) -> None:
        try:
            data = os.read(sys.stdin.fileno(), wire.PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # a terminal that is gone
        if not data:
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            if self._person:
                self._left.set()
            else:
                self._later(self._ended())
            return
        # From a pipe every byte is meant, from a terminal some leave.
        typed, leaves = self._leaving.take(data) if self._person else (data, False)
        self._begins = data[-1:] in {b"\r", b"\n"}
        self._type(typed)
        if leaves:
            self._left.set()

    def _type(self, typed: bytes) -> None:
        self._line.type(typed)
        if self._socket is not None:
            self._later(self._push(self._socket))

    async def _ended(self) -> None:
        """The end of what was piped in is typed, as a person would, until the shell has ended.

        Whatever reads there at a time takes one of them as its own end, and one that comes before
        the shell edits its line is lost: so it is said again, ever more rarely.
        """
        if not self._begins:
            self._type(b"\n")
        pause_s = _SAID_AGAIN_S
        while True:
            self._type(_END_OF_FILE)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_S)

    def _resized(self) -> None:
        if self._socket is not None:
            self._later(self._told_size(self._socket))

    async def _told_size(self, socket: ClientConnection) -> None:
        await socket.send(wire.resize(*shutil.get_terminal_size()))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        async def quietly() -> None:
            # A connection that is lost meanwhile is the reader's to take up.
            with contextlib.suppress(OSError, websockets.WebSocketException):
                await work

        task = asyncio.get_running_loop().create_task(quietly())
        self._work.add(task)
        task.add_done_callback(self._work.discard)


class _Straight(websockets.connect):
    """To the API and nowhere else: whoever sends elsewhere would get what is typed."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """What is raised."""
        return exc


def socket_code(error: Exception) -> int:
    """With which the API closed; 0 where it did not."""
    closed = error.rcvd if isinstance(error, websockets.ConnectionClosed) else None
    return 0 if closed is None else closed.code


def can_type() -> bool:
    """Standard input is a terminal, a pipe or a socket; the loop waits for no file, nor for
    /dev/null.
    """
    if sys.stdin is None or sys.stdin.closed:
        return False
    mode = os.fstat(sys.stdin.fileno()).st_mode
    return sys.stdin.isatty() or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


@contextlib.contextmanager
def raw() -> Iterator[None]:
    """Every key goes through, Ctrl-C included; afterwards the terminal is as it was."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
