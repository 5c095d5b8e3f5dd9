"""What break-glass is used for, and when it is over, as facts on the organization's own stream."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final

from litestar.types import Scope

from api.authorization.caller import Caller
from api.authorization.calls import LET, Calls, Kind, passing
from api.authorization.cedar import PLATFORM, Place, Verdict
from api.authorization.directory import ASKING, Directory
from api.authorization.folded import Authorities
from api.stopping import ended
from api.turns import Turns
from domain import authority
from domain.authority import DECIDER
from domain.authority_commands import Command, Put, Use
from domain.break_glass import LEFT
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.log import EventLog

ACTOR: Final = "system-authority"
GRANT: Final = "break_glass-"
_EVERY_S: Final = 1.0
_CLOSE_S: Final = 2.0  # with what counted calls wait for, within the grace of a stop
_TRIES: Final = 24
_PAUSE_S: Final = 0.002
_LOG: Final = logging.getLogger("gpuaas.api")

type _Used = tuple[str, str, str, str, str]  # actor, organization, grant, action, scope


class GlassUse:
    """One a process, one task. The first use of each action of a grant is in the log before its
    answer goes out; a stream of events, which goes on meanwhile, within a second.
    """

    def __init__(
        self,
        log: EventLog,
        directory: Directory,
        calls: Calls,
        clock_us: Callable[[], int],
        turning: tuple[Authorities, Turns],
    ) -> None:
        self._log = log
        self._authorities, self._turns = turning
        self._calls = calls
        self._directory = directory
        self._clock_us = clock_us
        self._noted: dict[_Used, tuple[str, ...]] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, caller: Caller, action: str, place: Place, verdict: Verdict) -> None:
        """That the caller was let there by nothing but grants: counted once a request, however
        often it is decided.
        """
        if not all(one.startswith(GRANT) for one in verdict.policies):
            return
        org = place[-2]
        if (action, org) not in caller.counted:
            caller.counted.add((action, org))
            said = (caller.credential, action, LET, "", ",".join(verdict.policies))
            self._calls.count(Kind(org, caller.actor, *said))
        for grant in verdict.policies:
            found = self._directory.authority(org).glass.get(grant)
            if found is not None and action not in found.used:
                self._noted[caller.actor, org, grant, action, place[0]] = verdict.policies

    async def written(self, actor: str = "") -> None:
        """What was noted until now, of one of the staff or of all, is in the log: nobody waits for
        what another one did in an organization that changes all the time.

        Raises: DomainError, as an append does, once everything was tried.
        """
        failed: DomainError | None = None
        for used in [one for one in self._noted if actor in ("", one[0])]:
            who, org, grant, action, scope = used
            policies = self._noted.get(used)
            if policies is None:  # written by another request meanwhile
                continue
            try:
                await self._put(Use(grant, action, scope), org, who, policies)
            except DomainError as error:
                failed = failed or error
            else:
                self._noted.pop(used, None)
        if failed is not None:
            raise failed

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def broken(self) -> None:
        """Returns once closed. Raises: what ended its task before that."""
        await ended(self._task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            with passing():  # repeated in a second
                await self.written()
                await self._end()

    async def _end(self) -> None:
        """Those whose time is over, or whose holder is of the staff no more, say so: until then
        they give nothing, and from then on never again, whoever binds the holder anew.
        """
        for name, org in self._directory.grants.every():
            grant = self._directory.authority(org).glass[name]
            why = grant.due(self._clock_us()) or self._left(grant.asked.principal)
            if why:
                await self._put(Put(name, why), org, ACTOR, ())

    def _left(self, who: str) -> str:
        known, now_us = self._directory, self._clock_us()
        bases = (one for one in known.staff(who) if one.role in ASKING and one.stands(now_us))
        return LEFT if who in known.people.ever and not any(bases) else ""

    async def _put(self, wish: Put | Use, org: str, actor: str, policies: tuple[str, ...]) -> None:
        """In its turn, on what is folded already: whoever may change the organization's authority
        could otherwise keep it from ever being written.
        """
        stream = authority.authority_stream(org)
        async with self._turns.of(stream):
            for tries in range(_TRIES):
                found = await self._authorities.of(org)
                command = Command(wish, org, policies, self._clock_us())
                new = DECIDER.decide(command, found.state)
                if not new:
                    return
                write = Write(stream, org, found.version, tuple(new))
                cause = f"pos:{found.made[wish.grant].position}"
                try:
                    await self._log.append(Append((write,), actor, cause))
                except DomainError as error:
                    if error.code != "log.version_stale":
                        raise
                    await asyncio.sleep(_PAUSE_S * tries)
                else:
                    return
        raise DomainError("log.unavailable", "the use of break-glass could not be written down")

    async def close(self) -> None:
        """What was noted is written down first, if the log answers soon; else it is said."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(TimeoutError), passing():
            async with asyncio.timeout(_CLOSE_S):
                await self.written()
        if self._noted:
            _LOG.error("the log is away: %d uses of break-glass may not be in it", len(self._noted))


async def told_before(scope: Scope) -> None:
    """No answer to the platform's staff goes out before what let them is in the log."""
    principal = scope.get("user")
    if not isinstance(principal, Caller):
        return
    if principal.org == PLATFORM and not principal.role:
        services: Any = scope["litestar_app"].state.services
        await services.glass.written(principal.actor)
