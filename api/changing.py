"""One command on one stream: read, fold, decide, append; again when another process was faster."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from msgspec import Struct

from api.acting import Done, if_match
from api.admission.wire import Admitted, Ask, Held
from api.auth import unknown, within
from api.authorization.principal import Principal
from api.authorization.resting import still as still_let
from api.services import Services
from contracts.http import Given
from domain.decider import Decider
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.private import PrivateValue
from evidence.reader import Recorded

_TRIES: Final = 24
_PAUSE_S: Final = 0.002


class Target(Struct, frozen=True):
    """An existing stream as last read; `position` is that of its last entry."""

    stream: str
    org: str
    version: int
    facts: tuple[Struct, ...]
    position: int


async def target(
    services: Services, principal: Principal, stream: str, kind: str, as_of: int | None = None
) -> Target:
    """The stream, if it is of that kind and the caller may know of it; as it was at a position.

    Raises: DomainError resource.unknown (404).
    """
    recorded = await said_of(services, stream, kind, as_of)
    first = recorded[0].position
    place = (await services.tail.places([first], recorded[0].org))[first]
    await services.following.locate(place.scope)
    within(principal, recorded[0].org, kind, place.scope, place.resource)
    facts, last = tuple(one.fact for one in recorded), recorded[-1]
    return Target(stream, last.org, last.version, facts, last.position)


async def said_of(
    services: Services, stream: str, kind: str, as_of: int | None = None
) -> list[Recorded]:
    """What the log says of the thing of that kind, whoever asks; up to a position.

    Raises: DomainError resource.unknown (404).
    """
    recorded: list[Recorded] = []
    if stream.startswith(f"{kind}-"):
        recorded = await services.log.read_stream(stream)
    found = [one for one in recorded if as_of is None or one.position <= as_of]
    if not found:
        raise unknown(kind)
    return found


async def log_stream(services: Services) -> str:
    """The stream of entry 0. Raises: DomainError log.unavailable while the log is not open yet."""
    rows = await services.reads.rows("SELECT stream FROM log.entry WHERE position = 0")
    if not rows:
        raise DomainError("log.unavailable", "the log is not open yet")
    return str(rows[0]["stream"])


async def settled[T](services: Services, stream: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """What `attempt` returns; it reads the stream anew, decides and appends each time it is called.

    In this process's turn on the stream, so that callers here never refuse each other; again, after
    a growing pause, when another process was faster. Raises: DomainError log.version_stale after
    many tries, and what `attempt` raises.
    """
    async with services.turns.of(stream):
        for tries in range(_TRIES):
            try:
                return await attempt()
            except DomainError as error:
                if error.code != "log.version_stale":
                    raise
            await asyncio.sleep(_PAUSE_S * tries)
    raise DomainError("log.version_stale", "the stream keeps changing; repeat the request")


async def still(services: Services, held: Held) -> None:
    """Raises: DomainError if_match.stale where one of them moved since it was compared."""
    for stream, version in held:
        newer = await services.log.read_stream(stream, version)
        if newer:
            facts: dict[str, int | str] = {"version": newer[-1].version}
            raise DomainError("if_match.stale", "it has changed since you looked", facts)


async def admitted(services: Services, ask: Ask) -> Admitted:
    """As Admission.ask. Raises: also DomainError if_match.stale."""
    try:
        return await services.admission.ask(ask)
    except DomainError as error:
        if error.code == "log.version_stale":
            await still(services, ask.held)
        raise


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
    writes = (Write(new[0], new[1], 0, facts),)
    append = Append(writes, principal.actor, cause, reads, private)
    return Done(await services.log.append(append), writes)


async def change[S, C, E: Struct](
    services: Services,
    request: Any,
    cause: str,
    stream: tuple[str, str],
    decider: Decider[S, C, E],
    command: C,
    nothing: Given | Callable[[Target], Given],
    *,
    precise: bool = False,
    outlasting: bool = False,
    private: tuple[PrivateValue, ...] = (),
) -> Done:
    """The command's facts on an existing stream, or `nothing` (of it) when it was done already.

    `stream`: the kind it must be of, and its id. `precise`: the caller must name the version it
    decided on (If-Match). `outlasting`: what comes of it counts when the caller has no say any
    more, so it loses to whatever is taken from the caller.

    Raises: DomainError if_match.*, log.version_stale after many tries, what the decider refuses.
    """
    principal: Principal = request.user
    kind, name = stream

    async def attempt() -> Done:
        resting = await still_let(services, principal, principal.org) if outlasting else ()
        found = await target(services, principal, name, kind)
        if_match(request, found.version, needed=precise)
        state = decider.initial
        for fact in found.facts:
            state = decider.evolve(state, fact)  # type: ignore[arg-type]  # a stream has its own kind
        facts = tuple(decider.decide(command, state))
        if not facts:
            return Done(nothing=nothing(found) if callable(nothing) else nothing)
        writes = (Write(name, found.org, found.version, facts),)
        append = Append(writes, principal.actor, cause, resting, private)
        return Done(await services.log.append(append), writes)

    return await settled(services, name, attempt)
