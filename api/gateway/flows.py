"""Live connections and what passes through them; every one can be cut from outside, at once."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from api.gateway.doors import Doors, Entry
from domain.errors import DomainError

SECOND_US: Final = 1_000_000


class Limits(Struct, frozen=True):
    """Bounds of one gateway: counts, and seconds.

    `idle_s` without a byte ends a flow (an OpenSSH client and sshd ask each other every 30 s, so
    it ends what is dead); `lonely_s` a connection without a flow. `blind_s` without sight of the
    log ends everything: as long as an ownership lease, after which a runtime may be someone else's.
    """

    handshakes: int = 256
    handshakes_per_source: int = 64
    connections: int = 2_000
    flows_per_principal: int = 64
    login_s: int = 20
    connect_s: int = 10
    idle_s: int = 3_600
    lonely_s: int = 60
    blind_s: int = 600


class Flow:
    """Bytes between a client and one runtime. `reason` is set once, by whoever ends it first."""

    def __init__(self, entry: Entry, now: float) -> None:
        self.entry = entry
        self.up = 0
        self.down = 0
        self.last = now
        self.reason: str | None = None
        self.cut = asyncio.Event()

    def end(self, reason: str) -> None:
        """Ends it, the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self.cut.set()


class Visit:
    """One admitted connection; `drop` closes it without waiting for the peer."""

    def __init__(self, entry: Entry, drop: Callable[[], None], now: float) -> None:
        self.entry = entry
        self.drop = drop
        self.flows: set[Flow] = set()
        self.lonely_since = now

    def end(self, reason: str) -> None:
        for flow in self.flows:
            flow.end(reason)
        self.drop()


class Flows:
    """All visits of one gateway, `quiet` while nothing flows. Owned by one event loop."""

    def __init__(self, doors: Doors, limits: Limits) -> None:
        self.doors = doors
        self.limits = limits
        self.visits: set[Visit] = set()
        self.refused: Counter[str] = Counter()
        self.per_principal: Counter[str] = Counter()
        self.relays: set[asyncio.Task[None]] = set()
        self.quiet = asyncio.Event()
        self.quiet.set()

    @property
    def open(self) -> int:
        return sum(self.per_principal.values())

    def begin(self, visit: Visit, now: float) -> Flow:
        """A new flow of the visit. Raises: DomainError gateway.busy."""
        name = visit.entry.principal
        if self.per_principal[name] >= self.limits.flows_per_principal:
            self.refused["busy"] += 1
            raise DomainError("gateway.busy", "too many sessions to this runtime at once")
        flow = Flow(visit.entry, now)
        visit.flows.add(flow)
        self.per_principal[name] += 1
        self.quiet.clear()
        return flow

    def finish(self, visit: Visit, flow: Flow, now: float) -> None:
        visit.flows.discard(flow)
        visit.lonely_since = now
        name = visit.entry.principal
        self.per_principal[name] -= 1
        if not self.per_principal[name]:
            del self.per_principal[name]
        if not self.per_principal:
            self.quiet.set()

    def check(self, now_us: int) -> None:
        """Ends every visit that the doors no longer allow."""
        for visit in list(self.visits):
            reason = self.doors.why_not(visit.entry, now_us)
            if reason is not None:
                visit.end(reason)

    def sweep(self, now: float, fresh_at: float) -> None:
        """Ends what is idle or lonely for too long, and everything once the log is out of sight."""
        for visit in list(self.visits):
            if now - fresh_at > self.limits.blind_s:
                visit.end("log_out_of_sight")
            elif not visit.flows and now - visit.lonely_since > self.limits.lonely_s:
                visit.end("idle")
            for flow in visit.flows:
                if now - flow.last > self.limits.idle_s:
                    flow.end("idle")
