"""Which methods a path takes: what every GET is also asked by (HEAD), and who asks (OPTIONS).

OPTIONS is answered to anybody, for the public document says it too; the framework's own answer
names the methods of the path's first handler alone.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from litestar import Litestar
from litestar.datastructures import MutableScopeHeaders
from litestar.types import (
    HTTPResponseStartEvent,
    LifeSpanReceive,
    LifeSpanScope,
    LifeSpanSend,
    Message,
    Receive,
    Scope,
    Send,
)

_TYPE: Final = re.compile(r":\w+}")


class Api(Litestar):
    """HEAD is a GET whose body nobody is sent: the same decision, facts, status and headers. What
    would stream is told that its reader has gone as soon as its head is out.
    """

    async def __call__(
        self,
        scope: Scope | LifeSpanScope,
        receive: Receive | LifeSpanReceive,
        send: Send | LifeSpanSend,
    ) -> None:
        if cast("Any", scope).get("method") != "HEAD":  # nothing but HTTP has one
            await super().__call__(scope, receive, send)
            return
        head = _Head(cast("Receive", receive), cast("Send", send))
        await super().__call__(cast("Scope", {**scope, "method": "GET"}), head.receive, head.send)


class _Head:
    """One answer, up to where its body would begin."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._begun = False

    async def receive(self) -> Any:
        if self._begun:
            return {"type": "http.disconnect"}
        return await self._receive()

    async def send(self, message: Message) -> None:
        if message["type"] != "http.response.start":
            return
        self._begun = True
        await self._send(message)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def listed(methods: Iterable[str]) -> str:
    """As `Allow` says it: with HEAD, where there is GET. Source: RFC 9110 section 9.3.2."""
    found = set(methods)
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))


def saying(handlers: Iterable[Any]) -> Callable[[HTTPResponseStartEvent, Scope], None]:
    """All methods of the path, into the head of an answer to whoever asks for them."""
    methods: dict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
    for handler in handlers:
        for path in handler.paths:
            methods[_TYPE.sub("}", path)] |= getattr(handler, "http_methods", set())

    def say(message: HTTPResponseStartEvent, scope: Scope) -> None:
        if scope.get("method") != "OPTIONS":
            return
        found = methods.get(_TYPE.sub("}", scope["path_template"]))
        if found is not None and message["status"] == 204:
            MutableScopeHeaders.from_message(message)["Allow"] = listed(found)

    return say
