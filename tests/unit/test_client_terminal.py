"""A terminal's client against an API that has said everything before the client reads."""

import asyncio
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from contracts import terminal_client as wire
from gpuaas_client import Client
from gpuaas_client.terminal import Screen


def test_the_exit_status_is_read_though_the_line_is_closed_already(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """Output, exit and the session's end come at once: all of it counts, nothing is `terminal.over`."""

    async def ended(socket: ServerConnection) -> None:
        said = (
            wire.hello(0, 0, 0),
            wire.message(wire.OUTPUT, 0, b"in-"),
            wire.message(wire.OUTPUT, 3, b"42"),
            wire.exited(5, 7),
        )
        for one in said:
            await socket.send(one)
        await socket.close(wire.OVER, "exited")

    async def shown() -> int | None:
        async with serve(ended, "127.0.0.1", 0) as server:
            [listener] = server.sockets
            with Client(f"http://127.0.0.1:{listener.getsockname()[1]}", "token") as client:
                screen = Screen(client, "access-1", "ticket")
                connected = screen._connected

                async def late() -> Any:
                    socket = await connected()
                    await socket.wait_closed()
                    return socket

                screen._connected = late  # type: ignore[method-assign]
                return await screen._shown()

    assert asyncio.run(shown()) == 7
    assert capfdbinary.readouterr().out == b"in-42"
