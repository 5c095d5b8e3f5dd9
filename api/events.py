"""The log as a stream of CloudEvents over SSE; resumed by position, filtered by authorization."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from litestar import get
from litestar.params import FromQuery
from litestar.response import Stream
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec.structs import replace

from api.auth import acting_in, reach_of
from api.authorization.principal import Principal
from api.authorization.tokens import bearer
from api.body import FrontRequest
from api.edge import whole
from api.services import Services, services_of
from api.tailing import ALL, Told
from domain.errors import DomainError
from evidence.reader import head
from projections.reach import Place, Reach

_QUIET_S: Final = 10.0
_POLL_S: Final = 0.5  # what was taken back ends a stream within a second, woken or not


_HELD: Final = "held"


class Held:
    """Around a route: what its request holds is let go when the call is over, whether its answer
    was begun, ended or never sent.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.ExitStack() as held:
            scope["state"][_HELD] = held
            await self._app(scope, receive, send)


@get("/v1/events", media_type="text/event-stream", middleware=[Held])
async def events(request: FrontRequest, follow: FromQuery[bool] = True) -> Stream:
    """From the entry after Last-Event-ID (the start without one), and on as they are appended.

    `follow=false` ends at the head. Who may read a part of an organization only sees what lies
    there: its runtimes, volumes, networks and access to them, its quotas and budgets.
    """
    asked = request.headers.get("last-event-id", "")
    last = whole(asked) if asked else -1
    if last is None:
        raise DomainError("position.unknown", "Last-Event-ID is a log position")
    first = last + 1
    services = services_of(request)
    size = (await services.reads.ask(head)).size
    if first > size:
        raise DomainError("position.unknown", "the log has not reached that position")
    held: contextlib.ExitStack = request.scope["state"][_HELD]
    held.enter_context(services.tail.admitted(*_who(request.user)))
    token = bearer(request.headers.get("authorization", ""))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = _stream(services, request.user, first, follow=follow, token=token, size=size)
    return Stream(stream, media_type="text/event-stream", headers=headers)


async def _stream(
    services: Services,
    principal: Principal,
    first: int,
    *,
    follow: bool,
    token: str,
    size: int | None = None,
    quiet_s: float = _QUIET_S,
) -> AsyncIterator[bytes]:
    whose = ALL if principal.reads_all else principal.org
    loop, tail = asyncio.get_running_loop(), services.tail
    position, spoke = first, loop.time()
    end = first if size is None else size
    with tail.followed(end):
        yield b": gpuaas events\n\n"
        while (now := _now(services, principal, token)) is not None:
            news = await tail.news(whose, position)
            position = news.then
            shown = await _shown(services, news.told, now)
            if shown:
                yield shown
                spoke = loop.time()
            if not news.end:
                continue
            if not follow and position >= end:
                return
            if loop.time() - spoke > quiet_s:
                # Proxies close silent streams; the comment also shows a reader that is gone.
                yield b": quiet\n\n"
                spoke = loop.time()
            await tail.wait(whose, position, _POLL_S)


def _who(principal: Principal) -> tuple[str, str]:
    """It, and the organization that it is one of; the platform's own are counted by themselves."""
    whole = "" if principal.reads_all else principal.org
    return f"{principal.org} {principal.actor}", whole


def _now(services: Services, opener: Principal, token: str) -> Principal | None:
    """Who opened the stream, as its token says now (a second factor may count no more); None when
    the token or the right to read ended, or was taken, since.
    """
    found = opener
    if token:
        try:
            said = services.tokens.principal(token)
        except DomainError:
            return None
        there = acting_in(services.directory, said, opener.org)
        if there is None:
            return None
        found = replace(
            there,
            source=opener.source,
            action=opener.action,
            door=opener.door,
            counted=opener.counted,
        )
    return found if services.door.stands(found) else None


async def _shown(services: Services, told: list[Told], principal: Principal) -> bytes:
    """The events that the principal may read: each organization is decided once, and where what
    is told lies is asked for where the principal may read parts of it only.
    """
    reach = {org: reach_of(principal, org) for org in {one.org for one in told}}
    partly = [one.position for one in told if _partly(reach[one.org])]
    at = await services.tail.places(partly, principal.org) if partly else {}
    return b"".join([one.chunk for one in told if _within(reach[one.org], at.get(one.position))])


def _partly(reach: Reach) -> bool:
    return not reach.whole and (reach.everywhere or bool(reach.scopes))


def _within(reach: Reach, at: Place | None) -> bool:
    if at is None:
        return reach.whole
    return reach.covers(at.scope or str(reach.organization), at.resource)
