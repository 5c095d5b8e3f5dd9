"""A JSON answer whose bytes are there already, sent as they are."""

from typing import Any

from litestar import Response
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

type Headers = list[tuple[bytes, bytes]]


class Ready(Response[bytes]):
    """Has no background task and no cookie: all that Litestar's own response prepares for, which
    is therefore not begun, and is nobody's to ask.
    """

    def __init__(self, body: bytes, status: int, headers: Headers | None = None) -> None:
        length = (b"content-length", b"%d" % len(body))
        self._head: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json"), length, *(headers or ())],
        }
        self._body: HTTPResponseBodyEvent = {
            "type": "http.response.body",
            "body": body,
            "more_body": False,
        }

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        """Itself: the application that sends it, again for every request that waited for it."""
        return self

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        await send({**self._head})  # whoever is on its way adds headers of one request
        await send(self._body)
