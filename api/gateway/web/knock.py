"""TLS before HTTP: each connection is counted and given its time before it has shaken hands."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

from api.gateway.web.peers import BROKEN, CHUNK

type Received = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
type Holding = Callable[[str], contextlib.AbstractContextManager[bool]]

_BACKLOG: Final = 256
_FULL_S: Final = 0.1


class Knocking:
    """Listens, and hands on streams as `asyncio.start_server` does, once TLS is there.

    `holding(source)` counts a connection while it shakes hands, and says whether it may; one that
    takes longer than `within_s` ends. (`start_server` calls nobody before the handshake is over:
    whoever never ends one would be counted by nobody.)
    """

    def __init__(
        self, tls: ssl.SSLContext, within_s: float, holding: Holding, received: Received
    ) -> None:
        self._tls = tls
        self._within_s = within_s
        self._holding = holding
        self._received = received
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None

    def listen(self, host: str, port: int) -> None:
        """Raises: OSError when the port is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        listener.setblocking(False)
        self._accepting = self._begin(self._accept(listener))

    def close(self) -> None:
        """Nobody new comes; who is inside stays."""
        if self._accepting is not None:
            self._accepting.cancel()

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself holds a task only weakly
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    line, source = await loop.sock_accept(listener)
                except OSError:
                    await asyncio.sleep(_FULL_S)  # no descriptor is free, or it left already
                    continue
                self._begin(self._enter(line, str(source[0])))

    async def _enter(self, line: socket.socket, source: str) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        with self._holding(source) as stays:
            if stays:
                with contextlib.suppress(*BROKEN, TimeoutError):
                    streams = await self._shaken(line)
        if streams is None:
            line.close()
            return
        await self._received(*streams)

    async def _shaken(
        self, line: socket.socket
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises: OSError, TimeoutError when there was no handshake."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=CHUNK)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol, line, ssl=self._tls, ssl_handshake_timeout=self._within_s
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
