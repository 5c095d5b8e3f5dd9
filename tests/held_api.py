"""The API over real HTTP, whose answers to acts never leave it: it is killed with them in hand.

Each line of its output that begins with `TOLD` is one of them: its status, its headers and its body as JSON. What is done is committed by then, as it is whenever an answer is there.
"""

import asyncio
import json
from typing import Any, cast

import uvloop
from litestar.types import ASGIApp

from api.app import create_app
from api.config import from_environment
from api.serve import front

TOLD = "held "


class Held:
    """An ASGI application around another."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        begun: dict[str, Any] = {}

        async def hold(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                begun.update(message)
                return
            headers = [[one[0].decode(), one[1].decode()] for one in begun["headers"]]
            body = json.loads(bytes(message["body"]) or b"{}")
            print(TOLD + json.dumps([begun["status"], headers, body]), flush=True)
            await asyncio.Event().wait()

        await self.app(scope, receive, hold)


async def main() -> None:
    settings = from_environment()
    server = front(settings, cast("ASGIApp", Held(create_app(settings))))
    await server.serve()


if __name__ == "__main__":
    uvloop.run(main())
