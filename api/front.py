"""What every request meets between its routing and its route.

Middleware and not guards: for each guard Litestar copies the route's handler, which costs as much
as a quarter of an empty request, and what is remembered of a copy is never found again.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from api.auth import authenticated, permitted
from api.limiting import limited
from api.parameters import plain

type Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]

GUARDS: Final[tuple[Guard, ...]] = (authenticated, limited, plain, permitted)


class Front:
    """Around each route: asks the guards in turn. Raises: what they raise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler: BaseRouteHandler = scope["route_handler"]
        connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(scope, receive, send)
        for guard in GUARDS:
            await guard(connection, handler)
        await self._app(scope, receive, send)
