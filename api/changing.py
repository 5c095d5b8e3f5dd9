"""One command on one stream: read, fold, decide, append; again when somebody was faster."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from api.acting import Done, if_match
from api.auth import Principal, unknown, within
from api.services import Services
from contracts.http import Given
from domain.decider import Decider
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.private import PrivateValue
from evidence.reader import Recorded

_TRIES: Final = 8


class Target(Struct, frozen=True):
    """An existing stream as last read."""

    stream: str
    org: str
    version: int
    facts: tuple[Struct, ...]


async def target(services: Services, principal: Principal, stream: str) -> Target:
    """The stream, if the caller may know of it. Raises: DomainError resource.unknown (404)."""
    kind = stream.partition("-")[0]
    recorded: list[Recorded] = await services.log.read_stream(stream)
    if not recorded:
        raise unknown(kind)
    within(principal, recorded[0].org, kind)
    facts = tuple(one.fact for one in recorded)
    return Target(stream, recorded[0].org, recorded[-1].version, facts)


async def create[S, C, E: Struct](
    services: Services,
    principal: Principal,
    cause: str,
    new: tuple[str, str],
    decider: Decider[S, C, E],
    command: C,
    *,
    private: tuple[PrivateValue, ...] = (),
    reads: tuple[tuple[str, int], ...] = (),
) -> Done:
    """The first facts of a new stream; `new` = (stream, org). Raises: what the decider refuses."""
    facts = tuple(decider.decide(command, decider.initial))
    write = Write(new[0], new[1], 0, facts)
    append = Append((write,), principal.actor, cause, reads, private)
    return Done(await services.log.append(append), (write,))


async def change[S, C, E: Struct](
    services: Services,
    request: Any,
    cause: str,
    stream: str,
    decider: Decider[S, C, E],
    command: C,
    nothing: Given | Callable[[Target], Given],
    *,
    precise: bool = False,
) -> Done:
    """The command's facts on an existing stream, or `nothing` (of it) when it was done already.

    `precise`: the caller must name the version it decided on (If-Match).
    Raises: DomainError if_match.*, log.version_stale after many tries, what the decider refuses.
    """
    principal: Principal = request.user
    for _ in range(_TRIES):
        found = await target(services, principal, stream)
        if_match(request, found.version, needed=precise)
        state = decider.initial
        for fact in found.facts:
            state = decider.evolve(state, fact)  # type: ignore[arg-type]  # a stream has its own kind
        facts = tuple(decider.decide(command, state))
        if not facts:
            return Done(nothing=nothing(found) if callable(nothing) else nothing)
        write = Write(stream, found.org, found.version, facts)
        try:
            appended = await services.log.append(Append((write,), principal.actor, cause))
        except DomainError as error:
            if error.code != "log.version_stale":
                raise
        else:
            return Done(appended, (write,))
    raise DomainError("log.version_stale", "the stream keeps changing; repeat the request")
