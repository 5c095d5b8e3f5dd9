"""What the admission's own arithmetic said at an earlier position, from the entries it rests on.

The same state and the same functions as the writer's, fed with the streams that the question is
about and nothing else: an answer costs what is written there, however long the log is.
"""

from collections.abc import Iterable
from typing import Any, Final

import psycopg

from domain import funding, launch, quota, reservation, runtime, volume
from domain.admission import AdmissionState
from domain.errors import DomainError
from domain.funding import Purse
from domain.purses import wallet_stream
from domain.stock import Room
from domain.wallet_facts import Event, HoldsRenewed, held_for
from evidence.reader import Recorded, decode_entry
from projections.months import period_id

# Leases are most of what nodes' streams hold, and say nothing of where something would go.
_NODES: Final = """
SELECT entry FROM log.entry
WHERE stream >= 'node-' AND stream < 'node.' AND position <= %(at)s
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
_AT: Final = "SELECT entry FROM log.entry WHERE position = %(at)s"


def rooms_at(conn: psycopg.Connection[Any], organization: str, at: int) -> tuple[Room, ...]:
    """What would have fitted once entry `at` was known."""
    rows = conn.execute(_NODES, {"at": at}, binary=True)
    return launch.capacity(_folded(decode_entry(bytes(row[0])) for row in rows), organization)


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
            case runtime.Allocated(node=node):
                found.add(node)
            case volume.Created(project=project, node=node):
                found |= {project, node}
            case reservation.Made(project=project, nodes=nodes):
                found |= {project, *nodes}
            case _:
                pass
    return found
