"""The log as a stream of CloudEvents over SSE; resumed by position, filtered by authorization."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from litestar import get
from litestar.params import FromQuery
from litestar.response import Stream

from api.auth import may_read
from api.authorization.cedar import PLATFORM
from api.authorization.principal import Principal
from api.authorization.tokens import bearer
from api.body import FrontRequest
from api.edge import whole
from api.services import Services, services_of
from api.tailing import Told
from domain.errors import DomainError
from evidence.reader import head

_QUIET_S: Final = 10.0
_POLL_S: Final = 1.0


@get("/v1/events", media_type="text/event-stream")
async def events(request: FrontRequest, follow: FromQuery[bool] = True) -> Stream:
    """From the entry after Last-Event-ID (the start without one), and on as they are appended.

    `follow=false` ends at the head. An organization's member sees its organization's entries.
    """
    asked = request.headers.get("last-event-id", "")
    last = whole(asked) if asked else -1
    if last is None:
        raise DomainError("position.unknown", "Last-Event-ID is a log position")
    first = last + 1
    services = services_of(request)
    if first > (await services.reads.ask(head)).size:
        raise DomainError("position.unknown", "the log has not reached that position")
    who = f"{request.user.org} {request.user.actor}"
    services.tail.admit(who)
    token = bearer(request.headers.get("authorization", ""))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = _stream(services, request.user, first, follow=follow, token=token)
    return Stream(_followed(services, who, stream), media_type="text/event-stream", headers=headers)


async def _followed(
    services: Services, who: str, stream: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    with services.tail.followed(who):
        async for chunk in stream:
            yield chunk


async def _stream(
    services: Services,
    principal: Principal,
    first: int,
    *,
    follow: bool,
    token: str,
    quiet_s: float = _QUIET_S,
) -> AsyncIterator[bytes]:
    position = first
    loop = asyncio.get_running_loop()
    spoke = loop.time()
    yield b": gpuaas events\n\n"
    while _stands(services, principal, token):
        told = await services.tail.after(position)
        shown = _shown(told, principal)
        if shown:
            yield shown
            spoke = loop.time()
        if told:
            position = told[-1].position + 1
            continue
        if not follow:
            return
        if loop.time() - spoke > quiet_s:
            # Proxies close silent streams; the comment also shows a reader that is gone.
            yield b": quiet\n\n"
            spoke = loop.time()
        await services.heads.wait(_POLL_S)


def _stands(services: Services, principal: Principal, token: str) -> bool:
    """Neither the token nor the right to read ended, or was taken, since the stream began."""
    if token and not services.tokens.kind(token).stands(token):
        return False
    return services.door.stands(principal)


def _shown(told: list[Told], principal: Principal) -> bytes:
    """The events that the principal may read; each organization is decided once."""
    allowed = {org: _may(principal, org) for org in {one.org for one in told}}
    return b"".join([one.chunk for one in told if allowed[one.org]])


def _may(principal: Principal, org: str) -> bool:
    """As `may_read`, without asking where the answer is known: in another organization that has no
    binding of the caller's nothing gives it.
    """
    door = principal.door
    assert door is not None, "the guard gives it"
    if principal.org not in (org, PLATFORM) and not door.tenants.bindings(org, principal.actor):
        return False
    return may_read(principal, org)
