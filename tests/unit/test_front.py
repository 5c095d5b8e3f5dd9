"""What a request meets before its route."""

import asyncio
from typing import Annotated, Any

import pytest
from litestar import Litestar, Response, WebSocket, get, post, websocket
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers.base import BaseRouteHandler
from litestar.params import FromHeader, FromPath, FromQuery, PathParameter
from litestar.testing import TestClient

from api import front
from api.auth import action_of, authenticated, permitted
from api.body import FrontRequest
from api.limiting import limited
from api.parameters import of_words, plain
from api.problems import HANDLERS
from domain.errors import DomainError


@get("/here", opt={"action": "capacity.read"}, sync_to_thread=False)
def here() -> str:
    """Answers."""
    return "here"


class Untold:
    """Of an application without services."""

    def tell(self, *_: object) -> None:
        """Says nothing."""


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
    app = Litestar(
        [here],
        before_request=front.judged,
        state=State({"refusal_log": Untold()}),
        exception_handlers=HANDLERS,
    )
    with TestClient(app) as client:
        assert [client.get("/here").status_code for _ in range(3)] == [200] * 3
        assert client.get("/here", headers={"no": "1"}).status_code == 401
        assert client.get("/nowhere").status_code == 404
    assert [name for name, _ in seen] == ["capacity.read", "second"] * 4
    assert len({of for name, of in seen if name != "second"}) == 1
    assert action_of.cache_info().currsize == known + 1


@get("/word/{word:str}")
async def word(
    request: FrontRequest, word: FromPath[str], more: FromQuery[str | None] = None
) -> Response[str]:
    """Takes a word as it is."""
    request.app.state.called.append((word, more))
    return Response(f"{word} {more}", status_code=203, headers={"ETag": "1"})


@get("/digit/{digit:str}")
async def digit(
    request: FrontRequest, digit: Annotated[str, PathParameter(pattern="[0-9]")]
) -> Response[str]:
    """Takes no word but a digit."""
    return Response(digit)


@get("/headed")
async def headed(request: FrontRequest, agent: FromHeader[str] = "") -> Response[str]:
    """Takes a header."""
    return Response(agent)


@get("/needing")
async def needing(request: FrontRequest, needed: FromQuery[str]) -> Response[str]:
    """Takes what must be there."""
    return Response(needed)


@get("/listed")
async def listed(request: FrontRequest) -> list[str]:
    """Gives what the framework makes an answer of."""
    return []


@get("/threaded", sync_to_thread=True)
def threaded(request: FrontRequest) -> Response[str]:
    """Is nothing to await."""
    return Response("")


@post("/sent")
async def sent(request: FrontRequest) -> Response[str]:
    """Acts."""
    return Response("")


def test_a_route_of_words_is_answered_once_and_as_it_would_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a query, what the framework would have made of the path and of the answer; whoever
    may not is not answered; every other route is left to the framework.
    """
    for name in ("authenticated", "permitted"):
        monkeypatch.setattr(front, name, _nothing)
    for name in ("limited", "plain"):
        monkeypatch.setattr(front, name, lambda *_: None)
    others = (digit, headed, needing, listed, threaded, sent)
    app = Litestar(
        [word, *others],
        before_request=front.judged,
        request_class=FrontRequest,
        state=State({"called": [], "refusal_log": Untold()}),
        exception_handlers=HANDLERS,
    )
    assert [of_words(one) for one in (word, *others)] == [True] + [False] * len(others)
    with TestClient(app) as client:
        found = client.get("/word/a%20b")
        assert (found.status_code, found.text, found.headers["etag"]) == (203, "a b None", "1")
        assert client.get("/word/a?more=c").text == "a c"
        assert app.state.called == [("a b", None), ("a", "c")]
        assert [client.get(f"/digit/{one}").status_code for one in "1x"] == [200, 400]
        assert client.get("/headed", headers={"agent": "me"}).text == "me"
        assert client.get("/needing").status_code == 400
        assert client.get("/listed").json() == []
        monkeypatch.setattr(front, "permitted", _refusing)
        assert client.get("/word/a").status_code == 403
    assert len(app.state.called) == 2


async def _nothing(*_: Any) -> None:
    """Asks nothing."""


async def _refusing(*_: Any) -> None:
    raise DomainError("auth.forbidden", "no")


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
