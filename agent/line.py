"""The agent's connections to NATS over TLS end when they are told to (as evidence/line.py).

nats-py waits for its transport's end without a bound. A handshake that failed leaves a writer whose
end nobody tells it, and TLS waits half a minute for the farewell of a peer that is gone: whoever
reconnected would stand still for so long, or for ever.
"""

import asyncio
import contextlib
import ssl
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.transport import TcpTransport

_LEAVE_S: Final = 1


class _Line(TcpTransport):
    def __bool__(self) -> bool:
        """True: nats-py puts one of its own in the place of what is false."""
        return True

    async def connect_tls(self, *what: Any) -> None:
        await super().connect_tls(*what)
        assert self._io_writer is not None, "just made"
        transport = self._io_writer.transport
        # nats-py forgets to: without it the reader holds nobody back, and asyncio warns at the end.
        transport.get_protocol().connection_made(transport)

    async def wait_closed(self) -> None:
        """Returns within a second; what has not ended by then is torn off."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_LEAVE_S):
                await super().wait_closed()  # type: ignore[no-untyped-call]
        for writer in (self._io_writer, self._bare_io_writer):
            if writer is not None:
                writer.transport.abort()


def client_with(tls: ssl.SSLContext | None) -> Client:
    """A client to be connected with `with_tls(tls)`."""
    client = Client()
    if tls is not None:
        client._transport = _Line()  # type: ignore[no-untyped-call]  # noqa: SLF001 - no setting
    return client


def with_tls(tls: ssl.SSLContext | None) -> dict[str, Any]:
    """Options of `Client.connect`. TLS comes before the first byte of NATS: nobody on the way can
    take it away by saying that the server has none.
    """
    return {} if tls is None else {"tls": tls, "tls_handshake_first": True}


def forget_lost(loop: asyncio.AbstractEventLoop) -> None:
    """A server that goes while nats-py takes leave of it is no event, as any lost server.

    The task in which it does so is nobody's: asyncio would print its error when it is collected.
    """

    def said(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        task = context.get("future")
        of = task.get_coro() if isinstance(task, asyncio.Task) else None
        lost = isinstance(context.get("exception"), OSError)
        if not lost or getattr(of, "__qualname__", "") != Client._close.__qualname__:  # noqa: SLF001
            loop.default_exception_handler(context)

    loop.set_exception_handler(said)
