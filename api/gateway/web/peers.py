"""One end of an exchange: HTTP/1.1 by h11, sans-io, over a pair of streams with backpressure."""

import asyncio
from typing import Any, Final

import asyncssh
import h11

CHUNK: Final = 65_536
MOST_HEAD: Final = 32_768
BROKEN: Final = (OSError, asyncssh.Error, asyncio.IncompleteReadError, h11.LocalProtocolError)
_LINGER_S: Final = 2.0
_LINGER_BYTES: Final = 1 << 20


class Peer:
    """`reader` and `writer` are asyncio's or asyncssh's. One task reads; writes may be any's."""

    def __init__(self, role: Any, reader: Any, writer: Any) -> None:
        self.conn = h11.Connection(role, max_incomplete_event_size=MOST_HEAD)
        self.reader = reader
        self.writer = writer

    async def event(self) -> Any:
        """The next event of the peer. Raises: h11.RemoteProtocolError, BROKEN."""
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
                self.writer.write_eof()
                read = 0
                while read < _LINGER_BYTES and (data := await self.reader.read(CHUNK)):
                    read += len(data)
        except (*BROKEN, TimeoutError):
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Closes at once, whatever is on its way."""
        transport = getattr(self.writer, "transport", None) or self.writer.channel
        transport.abort()
