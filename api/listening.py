"""The API's port: one server, and for a while two when its certificate is renewed.

The HTTP server reads its pair once. So a renewed pair gets a server of its own at the same port;
when a new connection is shown the new certificate, the server before takes no more and ends with
its last connection. A connection that is being made at just that instant may be cut.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from granian.server.embed import Server
from msgspec import Struct

from api.renewal import Renewal
from domain.errors import DomainError

_TRIES: Final = 200  # with two servers at the port, half of them come to the one before
_PAUSE_S: Final = 0.05
_PROBE_S: Final = 5


class _Running(Struct):
    server: Server
    task: asyncio.Task[None]


class Listener:
    """`make` gives a server of one port that has not begun; `renewal` None for plain HTTP."""

    def __init__(
        self, make: Callable[[], Server], address: tuple[str, int], renewal: Renewal | None
    ) -> None:
        self._make = make
        self._address = address
        self._renewal = renewal
        self._before: list[_Running] = []
        self._now = self._begun()

    def _begun(self) -> _Running:
        server = self._make()
        return _Running(server, asyncio.get_running_loop().create_task(server.serve()))

    async def run(self) -> None:
        """Until the server that takes connections ends. Raises: what ended it."""
        watching = None
        if self._renewal is not None:
            watching = asyncio.ensure_future(self._renewal.watch(self.renew))
        try:
            while True:
                current = self._now
                waiting = {current.task} | ({watching} if watching else set())
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if watching is not None and watching.done():
                    watching.result()
                if current is self._now and current.task.done():
                    return current.task.result()
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    async def renew(self) -> None:
        """New connections get the files as they are now; those that stand go on.

        Raises: DomainError tls.not_shown, tls.unreadable; then the server before stays.
        """
        assert self._renewal is not None
        try:
            fresh = self._begun()
        except OSError as error:  # between a look and this the files changed again
            raise DomainError("tls.unreadable", str(error)) from error
        try:
            await self._shown(fresh, self._renewal.pair.leaf().public_bytes(Encoding.DER))
        except BaseException:
            await _stopped([fresh])
            raise
        before, self._now = self._now, fresh
        self._before = [*(one for one in self._before if not one.task.done()), before]
        before.server.stop()  # type: ignore[no-untyped-call]

    async def _shown(self, fresh: _Running, certificate: bytes) -> None:
        for _ in range(_TRIES):
            if fresh.task.done():
                break
            try:
                seen = await asyncio.to_thread(_seen, self._address)
            except OSError:
                seen = b""
            if seen == certificate:
                return
            await asyncio.sleep(_PAUSE_S)
        raise DomainError("tls.not_shown", "no connection was shown the renewed certificate")

    async def close(self) -> None:
        """Every server has ended, with its last connection."""
        await _stopped([*self._before, self._now])


async def _stopped(running: list[_Running]) -> None:
    for one in running:
        one.server.stop()  # type: ignore[no-untyped-call]
    await asyncio.gather(*(one.task for one in running), return_exceptions=True)


def _seen(address: tuple[str, int]) -> bytes:
    """The certificate (DER) that our own port shows; who it is is what is asked, so not checked."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(address, timeout=_PROBE_S))
