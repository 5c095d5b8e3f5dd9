"""A terminal's client against an API that has said everything before the client reads."""

import asyncio
import os
import signal
import sys
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request, Response

from contracts import terminal_client as wire
from gpuaas_client import Client, terminal
from gpuaas_client.terminal import Screen
from tests.commands import gpuaas
from tests.serving import Answer, problem, serving


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


def test_the_end_of_a_pipe_is_the_shells_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was piped in is typed, its last line ended, then the end of file, again until the shell
    has taken one; from a pipe `~.` leaves nothing.
    """
    typed = b""

    async def shell(socket: ServerConnection) -> None:
        nonlocal typed
        await socket.send(wire.hello(0, 0, 1000))
        async for raw in socket:
            assert isinstance(raw, bytes)
            if raw[0] == wire.INPUT:
                typed += raw[9:]
                await socket.send(wire.typed(len(typed), 1000))
            if typed.count(b"\x04") == 2:  # the first was the end of what the shell ran
                await socket.send(wire.exited(0, 3))

    monkeypatch.setattr(terminal, "_SAID_AGAIN_S", 0.01)
    read, write = os.pipe()
    os.write(write, b"cat\n~.x")
    os.close(write)
    with os.fdopen(read) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert asyncio.run(entered(shell)) == 3
    assert typed == b"cat\n~.x\n\x04\x04"


async def entered(shell: Any, *, then: Any = None) -> int | None:
    async with serve(shell, "127.0.0.1", 0) as server:
        [listener] = server.sockets
        with Client(f"http://127.0.0.1:{listener.getsockname()[1]}", "token") as client:
            screen = Screen(client, "access-1", "ticket")
            if then is not None:
                asyncio.get_running_loop().call_later(0.05, then)
            return await screen.run()


def test_who_is_told_to_end_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """By SIGTERM, with no answer and no connection: the terminal is not left raw, the session goes
    on.
    """

    async def never(_: Screen) -> ClientConnection:
        await asyncio.sleep(60)
        raise AssertionError

    async def silent(_: ServerConnection) -> None: ...

    read, write = os.pipe()
    monkeypatch.setattr(Screen, "_connected", never)
    with os.fdopen(read) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        ended = asyncio.run(entered(silent, then=lambda: os.kill(os.getpid(), signal.SIGTERM)))
    os.close(write)
    assert ended is None


def test_what_is_typed_goes_to_the_api_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not where an answer sends one, not over a proxy that could read it; the session's name is one
    segment of the path.
    """
    heard: list[str] = []

    async def elsewhere(socket: ServerConnection) -> None:
        heard.append(socket.request.path if socket.request else "")

    async def tried() -> None:
        async with serve(elsewhere, "127.0.0.1", 0) as other:
            port = other.sockets[0].getsockname()[1]

            def send(_: ServerConnection, request: Request) -> Response:
                asked.append(request.path)
                return Response(307, "", Headers({"Location": f"ws://127.0.0.1:{port}/"}))

            async with serve(elsewhere, "127.0.0.1", 0, process_request=send) as server:
                at = server.sockets[0].getsockname()[1]
                with (
                    Client(f"http://127.0.0.1:{at}", "t") as client,
                    pytest.raises(InvalidStatus),
                ):
                    await Screen(client, "a/../b", "t?x")._connected()

    asked: list[str] = []
    for name in ("HTTP_PROXY", "ALL_PROXY", "ws_proxy", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    asyncio.run(tried())
    assert asked == ["/v1/terminals/a%2F..%2Fb?ticket=t%3Fx&from=0"]
    assert heard == []


def test_a_screen_of_any_size_is_one_that_the_api_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS may be as large as somebody likes, so that nothing is cut off."""
    monkeypatch.setattr(terminal, "can_type", lambda: True)
    monkeypatch.setenv("COLUMNS", "100000")
    monkeypatch.setenv("LINES", "24")
    with serving(Answer(404, problem("resource.unknown"))) as (url, asked):
        gpuaas("terminal", "runtime-1", env={"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"})
    assert (asked[0].body["columns"], asked[0].body["rows"]) == (1000, 24)
