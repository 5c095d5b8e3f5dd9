"""HTTP to machines of strangers: no more is heard of an answer than was said, in small pieces.

What was read is taken apart at once, and may be interim answers without end, or chunks of one byte:
of a large piece nobody else here would have a turn for as long as that takes.
"""

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any, Final

import httpcore
import httpx

from api.webhooks.addresses import Lookups

_PIECE: Final = 4 * 1024
_NEXT_S: Final = 1.0  # then another address of the name is tried, if there is one


class Listened(httpx.AsyncHTTPTransport):
    """Connections of one request each; at most so many bytes are heard, then it is broken. Names
    are looked up for `of`.
    """

    def __init__(
        self, context: ssl.SSLContext, most_bytes: int, lookups: Lookups, of: str = ""
    ) -> None:
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=None,
            max_keepalive_connections=0,  # kept, it could serve another name at the same address
            network_backend=_Network(most_bytes, lookups, of),
        )


class _Network(httpcore.AsyncNetworkBackend):
    def __init__(self, most_bytes: int, lookups: Lookups, of: str) -> None:
        self._most_bytes = most_bytes
        self._lookups = lookups
        self._of = of
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's own
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Not by the loop's own few threads for names: a dead name server would keep them all."""
        *others, last = await self._addresses(host, port, timeout)
        more = (local_address, socket_options)
        for one in others:
            try:
                inner = await self._inner.connect_tcp(one, port, _NEXT_S, *more)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
            return _Heard(inner, self._most_bytes)
        inner = await self._inner.connect_tcp(last, port, timeout, *more)
        return _Heard(inner, self._most_bytes)

    async def _addresses(self, host: str, port: int, timeout: float | None) -> list[str]:  # noqa: ASYNC109
        try:
            async with asyncio.timeout(timeout):
                found = await self._lookups.addresses(self._of, host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("no name server answers") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from error
        return [str(one) for one in found]


class _Heard(httpcore.AsyncNetworkStream):
    def __init__(self, inner: httpcore.AsyncNetworkStream, left: int) -> None:
        self._inner = inner
        self._left = left

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        await asyncio.sleep(0)
        data = await self._inner.read(min(max_bytes, _PIECE), timeout)
        self._left -= len(data)
        if self._left < 0:
            raise httpcore.ReadError("it says more than is listened to")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        inner = await self._inner.start_tls(ssl_context, server_hostname, timeout)
        return _Heard(inner, self._left)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
