"""Sessions as facts: in the log before the first byte passes, and what had passed at the end."""

import asyncio
import hashlib
from typing import Final

from msgspec import Struct

from api.edge import now_us
from api.gateway.doors import Doors, Entry
from domain.access import SessionClosed, SessionOpened
from domain.errors import DomainError
from evidence.append import Append, Write
from evidence.ids import new_id
from evidence.log import EventLog
from evidence.private import private_value

_KILLED: Final = "gateway_ended"


class Session(Struct, frozen=True):
    stream: str
    org: str
    position: int


class Sessions:
    """A close that the log does not take now is kept and said again by `settle`."""

    def __init__(self, log: EventLog, gateway: str) -> None:
        self._log = log
        self._gateway = gateway
        self._actor = f"system-{gateway}"
        self._waiting: list[Append] = []
        self._settling = asyncio.Lock()

    async def opened(self, entry: Entry, source: str) -> Session:
        """On disk when it returns. Raises: DomainError log.unavailable, log.unsigned_tail …"""
        address, words = private_value(entry.org, source)
        fact = SessionOpened(
            entry.grant, entry.runtime, entry.way, self._gateway, address, now_us()
        )
        write = Write(new_id("access"), entry.org, 0, (fact,))
        # A session rests on its grant, not on a request that could be repeated: a cause of its own.
        cause = f"cmd:{words.digest}"
        appended = await self._log.append(Append((write,), self._actor, cause, private=(words,)))
        return Session(write.stream, entry.org, appended.last)

    async def closed(self, session: Session, reason: str, up: int, down: int) -> None:
        fact = SessionClosed(reason, up, down, now_us())
        write = Write(session.stream, session.org, 1, (fact,))
        self._waiting.append(Append((write,), self._actor, f"pos:{session.position}"))
        await self.settle()

    async def settle(self) -> None:
        """Says again what the log has not taken yet; a cancelled call loses nothing."""
        async with self._settling:
            waiting = tuple(self._waiting)
            answers = await self._log.append_many(waiting)
            for append, answer in zip(waiting, answers, strict=True):
                # Stale: it was closed already, by an append whose answer was lost.
                if not isinstance(answer, DomainError) or answer.code == "log.version_stale":
                    self._waiting.remove(append)

    async def bury(self, doors: Doors) -> int:
        """Closes what an earlier process of this gateway left open; how many there were."""
        left = list(doors.unclosed.items())
        for stream, org in left:
            fact = SessionClosed(_KILLED, None, None, now_us())
            write = Write(stream, org, 1, (fact,))
            cause = f"cmd:{_cause(stream)}"
            try:
                await self._log.append(Append((write,), self._actor, cause))
            except DomainError as error:
                if error.code != "log.version_stale":
                    raise
        return len(left)


def _cause(stream: str) -> str:
    return hashlib.sha256(f"gpuaas-gateway/1\nbury\n{stream}".encode()).hexdigest()
