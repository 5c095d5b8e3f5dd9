"""What every request meets between its routing and its route, and every answer on its way out.

A hook and not guards: for each guard Litestar copies the route's handler, which costs as much as a
quarter of an empty request, and what is remembered of a copy is never found again. Nor middleware,
which is wrapped in the framework's handler of exceptions once more.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from litestar import Litestar, Response
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.allowing import saying
from api.auth import authenticated, permitted
from api.authorization.reading import read_told
from api.authorization.using import told_before
from api.limiting import limited, say_limits
from api.parameters import of_words, plain
from api.problems import in_place
from domain.errors import DomainError

_BEGINS: Final = "http.response.start"
_BODY: Final = "http.response.body"
_REFUSED: Final = "gpuaas.refused"


async def judged(connection: ASGIConnection[Any, Any, Any, Any]) -> Response[Any] | None:
    """Before a route of HTTP, and before its body is read; of a route that takes but words of its
    path, also its answer. Raises: what its parts raise.
    """
    scope = connection.scope
    handler: BaseRouteHandler = scope["route_handler"]
    await authenticated(connection, handler)
    limited(connection)
    plain(connection, handler)
    await permitted(connection, handler)
    if scope.get("query_string") or not of_words(handler):
        return None
    # The framework would take these words through two mappings, a struct and a third mapping.
    found: Response[Any] = await handler.fn(request=connection, **scope["path_params"])
    return found


class Front:
    """Likewise around a route that is no HTTP: a WebSocket's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await judged(ASGIConnection(scope, receive, send))
        await self._app(scope, receive, send)


def telling(handlers: Iterable[Any]) -> Callable[[Message, Scope], Awaitable[None]]:
    """Before the head of an answer is sent: what is left of whose share, which methods there are,
    that what let staff in is in the log, and that evidence is handed out is counted.
    """
    say_methods = saying(handlers)

    async def tell(message: Message, scope: Scope) -> None:
        if message["type"] == _BEGINS:
            try:
                await told_before(scope)
            except DomainError as error:
                _refuse(message, scope, error)
            say_limits(message, scope)
            say_methods(message, scope)
            await read_told(message, scope)
        elif _REFUSED in scope and message["type"] == _BODY:
            _say_why(message, scope)

    return tell


def _refuse(message: Any, scope: Any, error: DomainError) -> None:
    """The framework takes the answer for begun: a refusal raised here would be a bare 500."""
    message["status"], scope[_REFUSED], message["headers"] = in_place(error)


def _say_why(message: Any, scope: Any) -> None:
    """Once, and nothing of what was the answer. Raises: DomainError, which ends a stream."""
    if not scope[_REFUSED]:
        raise DomainError("log.unavailable", "the refusal was said")
    message["body"], message["more_body"] = scope[_REFUSED], False
    scope[_REFUSED] = b""


def all_judged(app: Litestar) -> None:
    """Raises AssertionError for a route that nothing is asked of: one with a hook of its own in
    place of ours, one whose answers are kept, or one that is no HTTP and not behind `Front`.
    """
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                assert handler.resolve_before_request() is judged, route.path
                assert not handler.cache, route.path
        else:
            assert Front in route.route_handler.resolve_middleware(), route.path
