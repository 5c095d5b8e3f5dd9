"""What a request meets before its route."""

import asyncio
from typing import Any

import pytest
from litestar import Litestar, WebSocket, get, websocket
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.testing import TestClient

from api import front
from api.auth import action_of, authenticated, permitted
from api.limiting import limited
from api.parameters import plain
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

    monkeypatch.setattr(front, "authenticated", first)
    monkeypatch.setattr(front, "permitted", second)
    for name in ("limited", "plain"):
        monkeypatch.setattr(front, name, lambda *_: None)
    known = action_of.cache_info().currsize
    app = Litestar([here], before_request=front.judged, exception_handlers=HANDLERS)
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
        for asked in (authenticated, limited, plain, permitted):
            assert not hasattr(asked, "cache_info")
        for guard in (authenticated, permitted):
            for _ in range(2):
                await guard(connection, here)

    asyncio.run(twice())


@get("/open", before_request=lambda _: None, sync_to_thread=False)
def hooked() -> str:
    """Has a hook of its own."""
    return ""


@get("/kept", cache=True, sync_to_thread=False)
def kept() -> str:
    """Answers from a cache, before anything is asked."""
    return ""


@websocket("/bare")
async def bare(socket: WebSocket[Any, Any, Any]) -> None:
    """Is no HTTP."""


@pytest.mark.parametrize("route", [hooked, kept, bare])
def test_no_route_gets_round_what_every_request_is_asked(route: Any) -> None:
    """The application does not start with one that has another hook, an answer that is kept, or a
    WebSocket that nothing stands before.
    """
    front.all_judged(Litestar([here], before_request=front.judged))
    with pytest.raises(AssertionError, match="/"):
        front.all_judged(Litestar([here, route], before_request=front.judged))
