"""Bytes between a client's forwarding and a runtime's sshd, counted, and cut when told to."""

import asyncio
import contextlib
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncssh

from api.edge import now_us
from api.gateway.doors import Doors, Entry, Route
from api.gateway.flows import Flow, Visit
from api.gateway.parts import Networks, Parts
from domain.errors import DomainError

type Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CHUNK: Final = 65_536
_BANNER: Final = b"SSH-2.0-"
_LONGEST_BANNER: Final = 255
_BROKEN: Final = (OSError, asyncssh.Error, asyncio.IncompleteReadError)


async def relay(parts: Parts, visit: Visit, source: str, reader: Any, writer: Any) -> None:
    """One session from its admission to its end; what refuses it is counted, never told apart.

    The session's fact is on disk before the client sees a byte of the runtime.
    """
    clock = asyncio.get_running_loop().time
    try:
        flow = parts.flows.begin(visit, clock())
    except DomainError:
        return
    try:
        await parts.tail.catch_up()
        upstream, banner = await _reached(parts, visit)
        try:
            session = await parts.sessions.opened(visit.entry, source)
            try:
                await _pass(flow, (reader, writer), upstream, banner)
            finally:
                reason = flow.reason or "client_gone"
                await asyncio.shield(parts.sessions.closed(session, reason, flow.up, flow.down))
        finally:
            upstream[1].transport.abort()
    except DomainError as error:
        parts.flows.refused[error.code.partition(".")[2]] += 1
    finally:
        parts.flows.finish(visit, flow, clock())


async def _reached(parts: Parts, visit: Visit) -> tuple[Streams, bytes]:
    """The runtime's sshd, which has said that it is one.

    Where to connect is a node's word, and nodes lie: only addresses of the operator's networks,
    and nothing of the client's goes to a server that did not greet as SSH does.

    Raises: DomainError gateway.no_route, gateway.unreachable, gateway.not_ssh.
    """
    route = way(parts, visit.entry)
    try:
        async with asyncio.timeout(parts.limits.connect_s):
            streams = await asyncio.open_connection(route.address, route.port, limit=_CHUNK)
            try:
                banner = await streams[0].readuntil(b"\n")
            except BaseException:
                streams[1].transport.abort()
                raise
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise DomainError("gateway.unreachable", "its sshd does not answer") from error
    if not banner.startswith(_BANNER) or len(banner) > _LONGEST_BANNER:
        streams[1].transport.abort()
        raise DomainError("gateway.not_ssh", "what answers there is no SSH server")
    return streams, banner


def way(parts: Parts, entry: Entry) -> Route:
    """Where the runtime's sshd answers. Raises: DomainError gateway.no_route."""
    return leading(parts.doors, parts.networks, entry, now_us())


def leading(doors: Doors, networks: Networks, entry: Entry, now_us: int) -> Route:
    """`way`, as these doors have it. Raises: DomainError gateway.no_route."""
    why = doors.why_not(entry, now_us)
    door = doors.doors.get(entry.runtime)
    if why is not None or door is None or door.route is None:
        raise DomainError("gateway.no_route", why or "the node has not said where it answers")
    if not any(ipaddress.ip_address(door.route.address) in network for network in networks):
        raise DomainError("gateway.no_route", "its address is in no network for runtimes")
    return door.route


async def _pass(flow: Flow, client: tuple[Any, Any], upstream: Streams, banner: bytes) -> None:
    """Both directions until both have ended, or the flow was cut."""
    clock = asyncio.get_running_loop().time

    def sent(size: int) -> None:
        flow.up += size
        flow.last = clock()

    def came(size: int) -> None:
        flow.down += size
        flow.last = clock()

    client[1].write(banner)
    came(len(banner))
    up = asyncio.create_task(pump(client[0].read, upstream[1], sent))
    down = asyncio.create_task(pump(upstream[0].read, client[1], came))
    cut = asyncio.create_task(flow.cut.wait())
    try:
        # A client may end its half and still listen; when the runtime ends, nothing is left.
        await asyncio.wait({down, cut}, return_when=asyncio.FIRST_COMPLETED)
        if not cut.done():
            flow.end("broken" if _broken(down) else "ended")
    finally:
        tasks = (up, down, cut)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _broken(task: "asyncio.Task[None]") -> bool:
    return not task.cancelled() and task.exception() is not None


async def pump(
    read: Callable[[int], Awaitable[bytes]], writer: Any, count: Callable[[int], None]
) -> None:
    """Copies until the reader ends, as fast as the writer takes it."""
    while data := await read(_CHUNK):
        writer.write(data)
        count(len(data))
        await writer.drain()
    if writer.can_write_eof():  # TLS has no half end
        with contextlib.suppress(*_BROKEN):
            writer.write_eof()
