"""What a request meets before its route."""

import asyncio
from typing import Any

import pytest
from litestar import Litestar, get
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.testing import TestClient

from api import front
from api.auth import action_of, authenticated, permitted
from api.problems import HANDLERS
from domain.errors import DomainError


@get("/here", opt={"action": "capacity.read"}, sync_to_thread=False)
def here() -> str:
    """Answers."""
    return "here"


def test_guards_are_asked_in_turn_of_the_route_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a guard remembers of a route is found again at the next request, so it does not grow;
    the first that refuses has the last word.
    """
    seen: list[tuple[str, int]] = []

    async def first(_: Any, handler: BaseRouteHandler) -> None:
        seen.append((action_of(handler), id(handler)))

    async def second(connection: Any, _: BaseRouteHandler) -> None:
        seen.append(("second", 0))
        if connection.headers.get("no"):
            raise DomainError("auth.missing", "no")

    monkeypatch.setattr(front, "GUARDS", (first, second))
    known = action_of.cache_info().currsize
    app = Litestar([here], middleware=[front.Front], exception_handlers=HANDLERS)
    with TestClient(app) as client:
        assert [client.get("/here").status_code for _ in range(3)] == [200] * 3
        assert client.get("/here", headers={"no": "1"}).status_code == 401
        assert client.get("/nowhere").status_code == 404
    assert [name for name, _ in seen] == ["capacity.read", "second"] * 4
    assert len({of for name, of in seen if name != "second"}) == 1
    assert action_of.cache_info().currsize == known + 1


def test_a_guard_keeps_nothing_of_a_request() -> None:
    """Each is asked anew: what a guard remembered of a request would hold its token and its body,
    and an answer that was awaited once.
    """
    scope: Any = {"type": "http", "method": "OPTIONS", "headers": []}
    connection: Any = ASGIConnection(scope)

    async def twice() -> None:
        for guard in front.GUARDS:
            assert not hasattr(guard, "cache_info")
        for guard in (authenticated, permitted):
            for _ in range(2):
                await guard(connection, here)

    asyncio.run(twice())
