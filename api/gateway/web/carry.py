"""One exchange between a client and an app: heads rewritten, bodies as they come, both ways."""

import asyncio
import contextlib
from typing import Any, Final

import h11
from msgspec import Struct

from api.gateway.flows import Flow
from api.gateway.relay import pump
from api.gateway.web import heads
from api.gateway.web.peers import BROKEN, Peer
from domain.errors import DomainError

_SWITCHED: Final = 101
_CONTINUE: Final = 100


class GoneError(Exception):
    """One of the two ended in the middle: nothing can be said any more."""


class Exchange(Struct, frozen=True):
    """`fields`: what the app is given as its head; `cookie`: the gateway's own, kept from it."""

    client: Peer
    app: Peer
    flow: Flow
    request: h11.Request
    fields: heads.Fields
    cookie: str


async def carry(ex: Exchange) -> None:
    """Returns when the app has answered whole.

    Raises: DomainError app.unreachable before its answer began; GoneError.
    """
    request = ex.request
    try:
        await ex.app.send(
            h11.Request(method=request.method, target=request.target, headers=ex.fields)
        )
    except BROKEN as error:
        raise DomainError("app.unreachable", "it hung up") from error
    if heads.wants_websocket(request):
        await ex.client.event()  # its end: an upgrade has no body
        await ex.app.send(h11.EndOfMessage())
        await _down(ex)
        return
    up, down = asyncio.create_task(_up(ex)), asyncio.create_task(_down(ex))
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        if not down.done():
            up.result()
        await down
    finally:
        up.cancel()
        down.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _up(ex: Exchange) -> None:
    """The client's body; then watches that the client stays. Raises: GoneError when it left."""
    client, app = ex.client, ex.app
    if client.conn.they_are_waiting_for_100_continue:
        await client.send(h11.InformationalResponse(status_code=_CONTINUE, headers=[]))
    while True:
        try:
            event = await client.event()
        except (h11.RemoteProtocolError, *BROKEN) as error:
            raise GoneError from error
        if isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            raise GoneError
        if isinstance(event, h11.Data):
            _count(ex.flow, up=len(event.data))
        # Trailers are dropped: few apps read them, and they may repeat what was checked above.
        last = isinstance(event, h11.EndOfMessage)
        try:
            await app.send(h11.EndOfMessage() if last else h11.Data(data=event.data))
        except BROKEN:
            # An app may answer before it has read all, and hang up: its answer still counts.
            return
        if last:
            with contextlib.suppress(*BROKEN):
                if not await client.gone():
                    return
            raise GoneError


async def _down(ex: Exchange) -> None:
    began = False
    while True:
        try:
            event = await ex.app.event()
        except (h11.RemoteProtocolError, *BROKEN) as error:
            raise _broken(began) from error
        if isinstance(event, h11.ConnectionClosed):
            raise _broken(began)
        if isinstance(event, h11.InformationalResponse):
            if event.status_code == _SWITCHED:
                await _switched(ex, event)
                return
            continue
        try:
            began = True
            await _said(ex, event)
        except BROKEN as error:
            raise GoneError from error
        if isinstance(event, h11.EndOfMessage):
            return


async def _said(ex: Exchange, event: Any) -> None:
    if isinstance(event, h11.Response):
        fields = heads.answered(list(event.headers), ex.cookie)
        await ex.client.send(
            h11.Response(status_code=event.status_code, headers=fields, reason=event.reason)
        )
    elif isinstance(event, h11.Data):
        _count(ex.flow, down=len(event.data))
        await ex.client.send(h11.Data(data=event.data))
    else:
        await ex.client.send(h11.EndOfMessage())


async def _switched(ex: Exchange, event: h11.InformationalResponse) -> None:
    """From here on bytes of a WebSocket, as they come, until either side ends."""
    if not heads.wants_websocket(ex.request):
        raise DomainError("app.unreachable", "it changes to what nobody asked for")
    client, app = ex.client, ex.app
    fields = heads.answered(list(event.headers), ex.cookie)
    fields += [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
    early, late = app.conn.trailing_data[0], client.conn.trailing_data[0]
    try:
        await client.send(h11.InformationalResponse(status_code=_SWITCHED, headers=fields))
        for peer, data in ((client, early), (app, late)):
            peer.writer.write(data)
            await peer.writer.drain()
    except BROKEN as error:
        raise GoneError from error
    tasks = (
        asyncio.create_task(
            pump(client.reader.read, app.writer, lambda size: _count(ex.flow, up=size))
        ),
        asyncio.create_task(
            pump(app.reader.read, client.writer, lambda size: _count(ex.flow, down=size))
        ),
    )
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _broken(began: bool) -> Exception:
    return GoneError() if began else DomainError("app.unreachable", "it gave no answer in HTTP")


def _count(flow: Flow, up: int = 0, down: int = 0) -> None:
    flow.up += up
    flow.down += down
    flow.last = asyncio.get_running_loop().time()
