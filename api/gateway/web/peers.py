"""One end of an exchange: HTTP/1.1 by h11, sans-io, over a pair of streams with backpressure."""

import asyncio
import contextlib
from typing import Any, Final

import asyncssh
import h11

CHUNK: Final = 65_536
MOST_HEAD: Final = 32_768
BROKEN: Final = (OSError, asyncssh.Error, asyncio.IncompleteReadError, h11.LocalProtocolError)
# Events of a piece that may be as small as its sender likes: a thousand of them in one reading.
_TURN: Final = 32
_LINGER_S: Final = 2.0
_PAUSE_S: Final = 0.2
_LINGER_BYTES: Final = 1 << 20


class Peer:
    """`reader` and `writer` are asyncio's or asyncssh's. One task reads; writes may be any's."""

    def __init__(self, role: Any, reader: Any, writer: Any) -> None:
        self.conn = h11.Connection(role, max_incomplete_event_size=MOST_HEAD)
        self.reader = reader
        self.writer = writer
        self._events = 0

    async def event(self) -> Any:
        """The next event of the peer; others have their turns however many lie in what was read.

        Raises: h11.RemoteProtocolError, BROKEN.
        """
        self._events += 1
        if not self._events % _TURN:
            await asyncio.sleep(0)
        while True:
            event = self.conn.next_event()
            if event is not h11.NEED_DATA:
                return event
            self.conn.receive_data(await self.reader.read(CHUNK))

    async def send(self, event: Any) -> None:
        """Waits while the peer takes it slowly, so nothing piles up here. Raises: BROKEN."""
        data = self.conn.send(event)
        if data:
            self.writer.write(data)
            await self.writer.drain()

    async def gone(self) -> bool:
        """Waits for more of a peer that has said all: False when it sends on, True when it left."""
        data = await self.reader.read(CHUNK)
        if data:
            self.conn.receive_data(data)
        return not data

    async def farewell(self) -> None:
        """Closes so that the last words arrive: bytes still unread would reset the connection."""
        try:
            async with asyncio.timeout(_LINGER_S):
                if self.writer.can_write_eof():
                    self.writer.write_eof()
                    await self._rest(_LINGER_S)
                    return
                # TLS ends both ways at once: what is under way is read before it does.
                await self._rest(_PAUSE_S)
                self.writer.close()
                await self.writer.wait_closed()
        except (*BROKEN, TimeoutError):
            pass
        finally:
            self.abort()

    async def _rest(self, pause_s: float) -> None:
        """Reads what the peer still says, until it ends, pauses, or said more than is waited for.

        Raises: BROKEN.
        """
        read = 0
        with contextlib.suppress(TimeoutError):
            while read < _LINGER_BYTES:
                async with asyncio.timeout(pause_s):
                    data = await self.reader.read(CHUNK)
                if not data:
                    return
                read += len(data)

    def abort(self) -> None:
        """Closes at once, whatever is on its way."""
        transport = getattr(self.writer, "transport", None) or self.writer.channel
        transport.abort()
