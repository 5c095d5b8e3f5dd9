"""Who uses an app just now: one session in the log a grant and address, not one a request."""

import asyncio
from collections.abc import Callable

from api.gateway.doors import Entry
from api.gateway.flows import Flow, Visit
from api.gateway.parts import Parts
from api.gateway.sessions import Session

type Key = tuple[str, str]


class Guest(Visit):
    """A visit whose flows are exchanges; it is over when it was told to end, or idle."""

    def __init__(
        self, entry: Entry, session: Session, ended: Callable[["Guest", str], None], now: float
    ) -> None:
        super().__init__(entry, lambda: None, now)
        self.session = session
        self.up = 0
        self.down = 0
        self.over = False
        self.empty = asyncio.Event()
        self.empty.set()
        self._ended = ended

    def end(self, reason: str) -> None:
        super().end(reason)
        if not self.over:
            self.over = True
            self._ended(self, reason)

    def leave(self, flow: Flow) -> None:
        """Counts what passed; the last one that leaves lets an ended session be closed."""
        self.up += flow.up
        self.down += flow.down
        if not self.flows:
            self.empty.set()


class Guests:
    """Owned by one event loop. Sessions are in the log before the first byte of an app passes."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._known: dict[Key, asyncio.Task[Guest]] = {}

    async def begin(self, entry: Entry, source: str) -> tuple[Guest, Flow]:
        """An exchange of this guest. Raises: DomainError gateway.busy, log.unavailable …"""
        guest = await self._guest(entry, source)
        if guest.over:  # it ended while we waited for its turn: what is asked now begins anew
            guest = await self._guest(entry, source)
        flow = self._parts.flows.begin(guest, asyncio.get_running_loop().time())
        guest.empty.clear()
        return guest, flow

    def finish(self, guest: Guest, flow: Flow) -> None:
        self._parts.flows.finish(guest, flow, asyncio.get_running_loop().time())
        guest.leave(flow)

    async def _guest(self, entry: Entry, source: str) -> Guest:
        key = (entry.grant, source)
        task = self._known.get(key)
        if task is None:
            task = self._known[key] = asyncio.create_task(self._opened(entry, source))
        try:
            return await asyncio.shield(task)
        except BaseException:
            if task.done() and self._known.get(key) is task:
                del self._known[key]
            raise

    async def _opened(self, entry: Entry, source: str) -> Guest:
        session = await self._parts.sessions.opened(entry, source)

        def ended(guest: Guest, reason: str) -> None:
            self._parts.flows.visits.discard(guest)
            self._known.pop((entry.grant, source), None)
            task = asyncio.create_task(self._closed(guest, reason))
            self._parts.flows.relays.add(task)
            task.add_done_callback(self._parts.flows.relays.discard)

        guest = Guest(entry, session, ended, asyncio.get_running_loop().time())
        self._parts.flows.visits.add(guest)
        return guest

    async def _closed(self, guest: Guest, reason: str) -> None:
        await guest.empty.wait()
        await self._parts.sessions.closed(guest.session, reason, guest.up, guest.down)
