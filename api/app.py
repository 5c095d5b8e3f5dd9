"""The Litestar application: routes, guard, problems; its services are opened with its lifespan."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar
from litestar.openapi import OpenAPIConfig

from api.allowing import Api
from api.authorization import denials
from api.body import FrontRequest
from api.config import Settings
from api.front import all_judged, judged, telling
from api.limiting import Limits
from api.problems import HANDLERS
from api.refusal_log import RefusalLog
from api.routes import ROUTES
from api.services import Services, opened
from contracts.http import BODY_LIMIT

type Open = Callable[[], AbstractAsyncContextManager[Services]]


def create_app(
    settings: Settings, *, open_services: Open | None = None, more: tuple[Any, ...] = ()
) -> Litestar:
    """The application, not yet connected: its lifespan opens and closes the services.

    `more` adds routes of a bench or a test behind the same guard and problems.
    """

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with (open_services or (lambda: opened(settings)))() as services:
            app.state.services = services
            app.state.tokens, app.state.door = services.tokens, services.door
            app.state.limits = Limits(settings.rate)
            app.state.public_limits = Limits(settings.public_rate, "address")
            app.state.refusal_log = RefusalLog()
            yield

    app = Api(
        route_handlers=[*ROUTES, *more],
        request_class=FrontRequest,
        before_request=judged,
        before_send=[telling((*ROUTES, *more))],
        exception_handlers=HANDLERS,
        after_exception=[denials.tell],
        lifespan=[lifespan],
        request_max_body_size=BODY_LIMIT + 1,
        openapi_config=OpenAPIConfig(
            title="gpuaas",
            version="1",
            create_examples=False,
            render_plugins=[],
            path="/v1/schema",
            use_handler_docstrings=True,
        ),
        logging_config=None,
    )
    all_judged(app)
    return app
