"""What the admission's own arithmetic said at an earlier position, from the entries it rests on.

The same state and the same functions as the writer's, fed with the streams that the question is
about and nothing else: an answer costs what is written there, however long the log is; what all
nodes had room for is folded from a mark on the way.
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, Final

import psycopg
from msgspec import Struct

from domain import funding, launch, node, quota, reservation, runtime, volume
from domain.admission import AdmissionState
from domain.errors import DomainError
from domain.funding import Purse
from domain.purses import wallet_stream
from domain.stock import Kept, Room
from domain.wallet_facts import Event, HoldsRenewed, held_for
from evidence.reader import Recorded, decode_entry
from projections.months import period_id

# Leases are most of what nodes' streams hold, and say nothing of where something would go.
_NODES: Final = """
SELECT entry FROM log.entry
WHERE stream >= 'node-' AND stream < 'node.' AND position >= %(first)s AND position <= %(at)s
  AND position(convert_to('"tag":"gpuaas.node.lease_renewed.v1"', 'UTF8') IN entry) = 0
ORDER BY position
"""
_STREAMS: Final = """
SELECT entry FROM log.entry
WHERE (stream = ANY (%(streams)s)
    OR stream >= 'pricebook-' AND stream < 'pricebook.')
  AND position <= %(at)s
  AND (stream < 'node-' OR stream >= 'node.' OR
    position(convert_to('"tag":"gpuaas.node.lease_renewed.v1"', 'UTF8') IN entry) = 0)
ORDER BY position
"""
_STREAM: Final = """
SELECT entry FROM log.entry WHERE stream = %(stream)s AND position <= %(at)s ORDER BY version
"""
_READ: Final = 2_000
_AT: Final = "SELECT entry FROM log.entry WHERE position = %(at)s"


class Mark(Struct, frozen=True):
    """What entries below `position` made of the nodes."""

    position: int
    stock: Kept
    expected: dict[str, node.State]


class Rooms:
    """What would have fitted, of one log; asked by one thread at a time.

    A fold goes on from the nearest of at most `most` marks, one each `every` entries of nodes, or,
    once there are more, each twice as many.
    """

    def __init__(self, every: int = 4_000, most: int = 64) -> None:
        self._every = every
        self._most = most
        self._marks: list[Mark] = []

    def at(self, conn: psycopg.Connection[Any], organization: str, at: int) -> tuple[Room, ...]:
        """Once entry `at` was known."""
        state, first, folded = AdmissionState(), 0, 0
        known = bisect_right(self._marks, at + 1, key=lambda mark: mark.position)
        if known:
            mark = self._marks[known - 1]
            state.stock.restore(mark.stock)
            state.expected |= mark.expected
            first = mark.position
        ends = known == len(self._marks)
        with conn.cursor("rooms", binary=True) as cursor:
            cursor.itersize = _READ
            for (raw,) in cursor.execute(_NODES, {"first": first, "at": at}):
                entry = decode_entry(bytes(raw))
                state.remember(entry.stream, (entry.fact,))
                folded += 1
                if ends and folded % self._every == 0:
                    self._keep(Mark(entry.position + 1, state.stock.kept(), dict(state.expected)))
        return launch.capacity(state, organization)

    def _keep(self, mark: Mark) -> None:
        self._marks.append(mark)
        if len(self._marks) > self._most:
            del self._marks[::2]
            self._every *= 2


def purse_at(conn: psycopg.Connection[Any], account: str, org: str, at: int) -> Purse:
    """The wallet once entry `at` was known, at that entry's time. Raises: resource.unknown."""
    if not _stream(conn, account, at):
        raise DomainError("resource.unknown", "there is no such account here")
    own = wallet_stream(account)
    streams = {account, own, quota.quota_stream(org), *_periods(conn, account, at)}
    for name in _held(_stream(conn, own, at)):
        streams |= {name, *_places(_stream(conn, name, at))}
    asked = {"streams": sorted(streams), "at": at}
    rows = conn.execute(_STREAMS, asked, binary=True)
    state = _folded(decode_entry(bytes(row[0])) for row in rows)
    [(last,)] = conn.execute(_AT, {"at": at}, binary=True).fetchall()
    return funding.purse_of(state, account, decode_entry(bytes(last)).at_us)


def _folded(entries: Iterable[Recorded]) -> AdmissionState:
    state = AdmissionState()
    for entry in entries:
        state.remember(entry.stream, (entry.fact,))
    return state


def _stream(conn: psycopg.Connection[Any], stream: str, at: int) -> list[Recorded]:
    rows = conn.execute(_STREAM, {"stream": stream, "at": at}, binary=True)
    return [decode_entry(bytes(row[0])) for row in rows]


def _periods(conn: psycopg.Connection[Any], account: str, at: int) -> list[str]:
    """The streams of its periods, which are numbered from 1 without a gap."""
    found: list[str] = []
    while _stream(conn, period_id(account, len(found) + 1), at):
        found.append(period_id(account, len(found) + 1))
    return found


def _held(entries: list[Recorded]) -> set[str]:
    """The runtimes, volumes and reservations that the wallet holds or held for."""
    names: set[str] = set()
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, HoldsRenewed):
            names |= {one.runtime for one in fact.holds}
        elif isinstance(fact, Event.__value__):
            named = str(held_for(fact))
            if named.startswith(("runtime-", "volume-", "reservation-")):
                names.add(named)
    return names


def _places(entries: list[Recorded]) -> set[str]:
    """The projects and the nodes of such a thing."""
    found: set[str] = set()
    for entry in entries:
        match entry.fact:
            case runtime.Requested(project=project):
                found.add(project)
            case runtime.Allocated(node=on):
                found.add(on)
            case volume.Created(project=project, node=on):
                found |= {project, on}
            case reservation.Made(project=project, nodes=nodes):
                found |= {project, *nodes}
            case _:
                pass
    return found
