"""Apps inside a runtime for tests, and clients that say on the wire exactly what a test wants."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from api.embedded.children import free_port
from contracts import apps
from tests.gateway_world import Gateway, World

type Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def app(handle: Handle) -> AsyncIterator[int]:
    """The port of an app that treats each connection as `handle` does."""

    async def safely(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    port = free_port()
    server = await asyncio.start_server(safely, "127.0.0.1", port)
    try:
        yield port
    finally:
        server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with the head it was given."""
    head = await reader.readuntil(b"\r\n\r\n")
    writer.write(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: own=1; Domain=apps.localhost; Path=/\r\n"
        b"Set-Cookie: gpuaas-app=mine\r\nClear-Site-Data: *\r\n"
        b"Content-Length: %d\r\n\r\n" % len(head) + head
    )
    await writer.drain()


async def given(world: World, port: int, *, token: str = "", **more: Any) -> dict[str, Any]:
    """A pass of the world's member."""
    path = f"/v1/runtimes/{world.runtime}/app-passes"
    answer = await world.stage.post(path, {"port": port, **more}, token=token or world.token)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


class Wire:
    """One connection to a gateway's HTTP side; `answer` reads one whole answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, dict[str, list[str]], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        fields: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            fields.setdefault(name.lower(), []).append(value)
        status = int(first.split()[1])
        if "content-length" in fields:
            body = await self.reader.readexactly(int(fields["content-length"][0]))
        elif "transfer-encoding" in fields:
            body = b"".join([chunk async for chunk in self._chunks()])
        else:
            body = b""
        return status, fields, body

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int((await self.reader.readuntil(b"\r\n")).strip(), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)


@asynccontextmanager
async def wire(gateway: Gateway) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.apps_port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


async def asked(
    gateway: Gateway, raw: bytes, within_s: float = 60
) -> tuple[int, dict[str, list[str]], bytes]:
    """The answer to bytes sent as they are."""
    async with asyncio.timeout(within_s), wire(gateway) as line:
        line.writer.write(raw)
        return await line.answer()


def host(gateway: Gateway, runtime: str, port: int) -> str:
    return apps.origin(gateway.apps_url, runtime, port).partition("://")[2]


def get(host_: str, *fields: str, path: str = "/") -> bytes:
    """A GET with these fields beside its Host."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host_}", *fields]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()
