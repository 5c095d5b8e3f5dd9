"""Terminals as ingest knows them: orders to open and close, and sessions whose runtime is over."""

from collections import defaultdict
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from contracts import terminal as wire
from contracts.terminal import CloseTerminal, OpenTerminal
from domain import terminal
from evidence.append import Append, Write
from evidence.reader import Recorded

ACTOR: Final = "system-ingest"
ORDERED_US: Final = 60_000_000  # an order is sent again until then, and good until then
ORPHANED_US: Final = 30_000_000  # the program that shows it closes it sooner, with its counts


class LiveTerminal(Struct):
    """Positions are those of the facts that name them; -1 = none. 0 us = not yet."""

    session: str
    org: str
    user: str
    opened: terminal.Opened
    opened_at: int
    version: int
    closed_at: int = -1
    closed_us: int = 0
    reason: str = ""
    orphaned_us: int = 0


class Wanted(Struct, frozen=True):
    """What a node is to be told about a terminal; `number` = position of the fact that asks it."""

    number: int
    order: OpenTerminal | CloseTerminal
    until_us: int


class Terminals:
    """A mutable fold, kept by the task that keeps the fleet's."""

    def __init__(self) -> None:
        self.sessions: dict[str, LiveTerminal] = {}
        self.of_runtime: defaultdict[str, dict[str, LiveTerminal]] = defaultdict(dict)

    def apply(self, entry: Recorded) -> str:
        """The runtime this fact concerns; empty for an `access-` stream of another kind."""
        found = self.sessions.get(entry.stream)
        if isinstance(entry.fact, terminal.Opened):
            opened = entry.fact
            found = LiveTerminal(
                *(entry.stream, entry.org, entry.actor, opened, entry.position, entry.version)
            )
            self.sessions[entry.stream] = found
            self.of_runtime[opened.runtime][entry.stream] = found
        if found is None:
            return ""
        found.version = entry.version
        if isinstance(entry.fact, terminal.Closed):
            found.closed_at, found.closed_us = entry.position, entry.fact.closed_us
            found.reason = entry.fact.reason
            if found.orphaned_us:
                self._forget(found)
        return found.opened.runtime

    def runtime_over(self, runtime: str, at_us: int) -> None:
        """Its terminals end with it on the node; here they are closed unless somebody does."""
        for found in list(self.of_runtime.get(runtime, {}).values()):
            found.orphaned_us = at_us
            if found.closed_at >= 0:
                self._forget(found)

    def wanted(self, key: Ed25519PrivateKey, runtime: str, now_us: int) -> list[Wanted]:
        """Orders about a runtime's terminals that may still be on their way."""
        found = []
        for one in list(self.of_runtime.get(runtime, {}).values()):
            if one.closed_at < 0 and now_us < one.opened.opened_us + ORDERED_US:
                found.append(Wanted(one.opened_at, _open(key, one), ORDERED_US))
            elif one.closed_at >= 0 and now_us < one.closed_us + ORDERED_US:
                order = CloseTerminal(runtime, one.session, one.reason)
                found.append(Wanted(one.closed_at, order, ORDERED_US))
            elif one.closed_at >= 0:
                self._forget(one)
        return found

    def orphaned(self, now_us: int) -> list[Append]:
        """Closings of sessions whose runtime has been over for a while."""
        return [
            Append(
                (
                    Write(
                        *(one.session, one.org, one.version),
                        (terminal.Closed("runtime.ended", None, None, now_us),),
                    ),
                ),
                actor=ACTOR,
                cause=f"pos:{one.opened_at}",
            )
            for one in self.sessions.values()
            if one.orphaned_us and now_us > one.orphaned_us + ORPHANED_US
        ]

    def _forget(self, one: LiveTerminal) -> None:
        self.sessions.pop(one.session, None)
        mine = self.of_runtime.get(one.opened.runtime, {})
        mine.pop(one.session, None)
        if not mine:
            self.of_runtime.pop(one.opened.runtime, None)


def _open(key: Ed25519PrivateKey, one: LiveTerminal) -> OpenTerminal:
    opened = one.opened
    session_key = wire.exchange_hex(wire.session_key(key, one.session))
    return OpenTerminal(
        *(opened.runtime, one.session, one.user, opened.columns, opened.rows, session_key)
    )
