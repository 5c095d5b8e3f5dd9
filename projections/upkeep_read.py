"""Questions about upkeep, placement and what happened on a node; all accept a position."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch, fetch_one
from projections.reach import Of


class Standing(Struct, frozen=True):
    """A node's upkeep as one word would not say it."""

    node: str
    cordoned: bool
    allocations: int
    gpus: int
    quarantined: int
    drains: int
    retired: str | None
    simulated: bool | None
    told_to_owe: bool
    zone: str
    group: int
    region: str

    @property
    def state(self) -> str:
        """In one word."""
        ill, busy = bool(self.gpus) and self.quarantined >= self.gpus, bool(self.allocations)
        return word(self.retired, ill=ill, drained=self.drains, busy=busy, cordoned=self.cordoned)


def word(retired: str | None, *, ill: bool, drained: int, busy: bool, cordoned: bool) -> str:
    """What keeps new work away, the strongest first; `serving` when nothing does.

    `ill`: all devices are in quarantine. `drained`: by so many; it is draining while `busy`.
    """
    if retired is not None:
        return "retired"
    if ill:
        return "quarantined"
    if drained:
        return "draining" if busy else "drained"
    return "cordoned" if cordoned else "serving"


class Drain(Struct, frozen=True):
    owner: str
    reason: str
    decided_us: int


class Device(Struct, frozen=True):
    """A device that new work does not get: `reason` of its quarantine, or its reservation."""

    index: int
    reason: str
    reservation: str
    since_us: int


class Receipt(Struct, frozen=True):
    """The node's word, with the position of the fact."""

    from_position: int
    devices: tuple[int, ...]
    method: str
    bytes_covered: int
    duration_us: int
    driver: str
    ecc_uncorrected: int | None
    residual_processes: int
    decided_us: int


class Canary(Struct, frozen=True):
    """The node's word, with the position of the fact."""

    from_position: int
    devices: tuple[int, ...]
    method: str
    planted: int
    looked: int
    found: int
    duration_us: int
    decided_us: int


class Reservation(Struct, frozen=True):
    """`ended` null while it stands."""

    reservation: str
    from_position: int
    organization: str
    project: str
    model: str
    devices: int
    nodes: tuple[str, ...]
    until_us: int
    ended: str | None
    state: str
    version: int


_STANDING: Final = """
SELECT n.node, coalesce(c.cordoned, false) AS cordoned,
  (SELECT count(*) FROM views.allocation a
   WHERE hashtextextended(a.node, 0) = hashtextextended(n.node, 0) AND a.node = n.node AND [a])
   AS allocations,
  coalesce(jsonb_array_length(i.gpus), 0) AS gpus,
  (SELECT count(*) FROM views.node_quarantine q WHERE q.node = n.node AND [q]) AS quarantined,
  (SELECT count(*) FROM views.node_drain d WHERE d.node = n.node AND [d]) AS drains,
  r.reason AS retired, i.simulated, o.node IS NOT NULL AS told_to_owe,
  coalesce(t.zone, '') AS zone, coalesce(t."group", 0) AS "group",
  coalesce(e.region, '-') AS region
FROM views.node n
LEFT JOIN views.node_identity i ON i.node = n.node AND [i]
LEFT JOIN views.node_cordon c ON c.node = n.node AND [c]
LEFT JOIN views.node_retired r ON r.node = n.node AND [r]
LEFT JOIN views.node_owes o ON o.node = n.node AND [o]
LEFT JOIN views.node_topology t ON t.node = n.node AND [t]
LEFT JOIN views.node_region e ON e.node = n.node AND [e]
WHERE [n] AND CASE WHEN %(node)s::text IS NULL THEN
    c.cordoned OR r.node IS NOT NULL
    OR EXISTS (SELECT 1 FROM views.node_drain d WHERE d.node = n.node AND [d])
    OR EXISTS (SELECT 1 FROM views.node_quarantine q WHERE q.node = n.node AND [q])
  ELSE n.node = %(node)s END
ORDER BY n.from_position
"""
_DRAINS: Final = """
SELECT d.owner, d.reason, d.decided_us FROM views.node_drain d
WHERE d.node = %(node)s AND [d] ORDER BY d.from_position
"""
_DEVICES: Final = """
SELECT q.device AS index, q.reason, '' AS reservation, q.decided_us AS since_us
FROM views.node_quarantine q WHERE q.node = %(node)s AND [q]
UNION ALL
SELECT c.device, '', c.reservation, (SELECT r.decided_us FROM views.reservation r
  WHERE r.reservation = c.reservation ORDER BY r.from_position LIMIT 1)
FROM views.node_claim c WHERE c.node = %(node)s AND [c]
ORDER BY 1, 2
"""
_RECEIPTS: Final = """
SELECT r.from_position, r.devices, r.method, r.bytes_covered, r.duration_us, r.driver,
  r.ecc_uncorrected, r.residual_processes, r.decided_us
FROM views.node_receipt r WHERE r.node = %(node)s AND [r]
ORDER BY r.from_position DESC LIMIT %(limit)s
"""
_CANARIES: Final = """
SELECT c.from_position, c.devices, c.method, c.planted, c.looked, c.found, c.duration_us,
  c.decided_us
FROM views.node_canary c WHERE c.node = %(node)s AND [c]
ORDER BY c.from_position DESC LIMIT %(limit)s
"""
_RESERVATIONS: Final = """
SELECT r.reservation, r.from_position, r.organization, r.project, r.model, r.devices, r.nodes,
  r.until_us, e.reason AS ended, x.state, CASE WHEN e.reason IS NULL THEN 1 ELSE 2 END AS version
FROM views.reservation r
LEFT JOIN views.reservation_end e ON e.reservation = r.reservation AND [e]
CROSS JOIN LATERAL (SELECT CASE WHEN e.reason IS NULL THEN 'standing' ELSE 'ended' END AS state) x
WHERE [r] AND r.from_position > %(after)s
  AND (%(project)s::text IS NULL OR r.project = %(project)s)
  AND (%(state)s::text IS NULL OR x.state = %(state)s)
  AND (%(organization)s::text IS NULL OR r.organization = %(organization)s)
  AND [reach r.project]
ORDER BY r.from_position LIMIT %(limit)s
"""
# Leases are renewed for ever: they are left out unless asked for.
_TIMELINE: Final = """
WITH stream AS (
  SELECT %(node)s::text AS name
  UNION SELECT a.runtime FROM views.allocation a
  WHERE hashtextextended(a.node, 0) = hashtextextended(%(node)s, 0) AND a.node = %(node)s)
SELECT e.position, e.entry FROM stream s JOIN log.entry e ON e.stream = s.name
WHERE e.position > %(after)s AND (%(as_of)s::bigint IS NULL OR e.position <= %(as_of)s)
  AND (%(leases)s OR position(
    convert_to('"tag":"gpuaas.node.lease_renewed.v1"', 'UTF8') IN e.entry) = 0)
ORDER BY e.position LIMIT %(limit)s
"""


def not_serving(conn: psycopg.Connection[Any], as_of: int | None = None) -> list[Standing]:
    """Nodes that somebody keeps work from, wholly or in part, in order of invitation."""
    return fetch(conn, Standing, _STANDING, {"node": None}, as_of)


def standing(conn: psycopg.Connection[Any], node: str, as_of: int | None = None) -> Standing | None:
    """The node's upkeep, or None when it was never invited."""
    return fetch_one(conn, Standing, _STANDING, {"node": node}, as_of)


def drains(conn: psycopg.Connection[Any], node: str, as_of: int | None = None) -> list[Drain]:
    """Drains that stand, oldest first."""
    return fetch(conn, Drain, _DRAINS, {"node": node}, as_of)


def devices(conn: psycopg.Connection[Any], node: str, as_of: int | None = None) -> list[Device]:
    """Devices in quarantine or reserved, by index."""
    return fetch(conn, Device, _DEVICES, {"node": node}, as_of)


def receipts(
    conn: psycopg.Connection[Any], node: str, limit: int = 50, as_of: int | None = None
) -> list[Receipt]:
    """The latest sanitization receipts, newest first."""
    return fetch(conn, Receipt, _RECEIPTS, {"node": node, "limit": limit}, as_of)


def canaries(
    conn: psycopg.Connection[Any], node: str, limit: int = 50, as_of: int | None = None
) -> list[Canary]:
    """The latest canaries that were looked for, newest first."""
    return fetch(conn, Canary, _CANARIES, {"node": node, "limit": limit}, as_of)


def reservations(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    project: str | None = None,
    state: str | None = None,
    after: int = -1,
    limit: int = 1000,
    as_of: int | None = None,
) -> list[Reservation]:
    """Reservations made after a position, oldest first."""
    asked = {
        "organization": organization, "project": project, "state": state, "after": after,
        "limit": limit,
    }  # fmt: skip
    return fetch(conn, Reservation, _RESERVATIONS, asked, as_of)


def timeline(
    conn: psycopg.Connection[Any],
    node: str,
    *,
    after: int = -1,
    limit: int = 100,
    leases: bool = False,
    as_of: int | None = None,
) -> list[tuple[int, bytes]]:
    """(position, entry) of the node and of every runtime ever allocated on it, in order."""
    asked = {"node": node, "after": after, "limit": limit, "leases": leases, "as_of": as_of}
    return conn.execute(_TIMELINE, asked, binary=True).fetchall()
