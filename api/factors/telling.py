"""The log says first what becomes of a factor; its row follows, at the latest when next looked at.

A crash between the two leaves a fact: its row is made as it says by whoever comes next, the repeat
of the same request included.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response
from msgspec import Struct

from api.acting import Answer, Done, if_match
from api.authorization.cedar import PLATFORM
from api.authorization.principal import Principal
from api.body import FrontRequest
from api.changing import log_stream, settled
from api.factors.store import Whose
from api.services import Services, services_of
from domain.factor import Told, told
from evidence.append import Append, Write
from evidence.reader import outcome
from projections.months import derived_id


class Heard(Struct, frozen=True):
    """Its stream as last read."""

    stream: str
    version: int
    told: Told
    causes: frozenset[str]


type Allowed = Callable[[Told], Awaitable[None]]


async def hear(services: Services, whose: Whose) -> Heard:
    """What the log says, and the row as it says. Raises: DomainError log.unavailable."""
    source = whose.organization if whose.organization != PLATFORM else await log_stream(services)
    stream = derived_id("token", source, f"factor\n{whose.principal}")
    recorded = await services.log.read_stream(stream)
    said = told((one.version, one.fact) for one in recorded)
    await services.factors.follow(whose, said)
    causes = frozenset(one.cause for one in recorded)
    return Heard(stream, recorded[-1].version if recorded else 0, said, causes)


async def tell(
    services: Services,
    caller: Principal,
    whose: Whose,
    cause: str,
    fact: Struct,
    allowed: Allowed | None = None,
) -> tuple[Done, int]:
    """The fact, once for a command, and its version; 0 where an earlier request's stands.

    Raises: DomainError as `allowed` does, of what the log says where it is appended.
    """
    stream = (await hear(services, whose)).stream

    async def attempt() -> tuple[Done, int]:
        heard = await hear(services, whose)
        if allowed is not None and cause not in heard.causes:
            await allowed(heard.told)
        write = Write(stream, whose.organization, heard.version, (fact,))
        appended = await services.log.append(Append((write,), caller.actor, cause))
        return Done(appended, (write,)), 0 if appended.repeated else heard.version + 1

    return await settled(services, stream, attempt)


async def once(
    request: FrontRequest,
    whose: Whose,
    do: Callable[[str, Told], Awaitable[Done]],
    answer: Answer,
    status: int = 201,
) -> Response[Any]:
    """As `Acting.perform`; the row is as the log says before it answers, a repeat too."""
    services, acted = services_of(request), False

    async def act(cause: str) -> Done:
        nonlocal acted
        heard = await hear(services, whose)
        if cause in heard.causes:
            return Done(await services.reads.ask(outcome, cause))
        if_match(request, heard.version)
        done = await do(cause, heard.told)
        acted = done.appended is not None and not done.appended.repeated
        return done

    response = await services.acting.perform(request, act, answer, status)
    if not acted:
        await hear(services, whose)
    return response
