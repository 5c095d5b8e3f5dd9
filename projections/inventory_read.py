"""Questions about nodes, devices and what is given away; all accept a position."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from domain.words import Gpu, Share
from projections.asof import fetch, fetch_one
from projections.upkeep_read import word


class Node(Struct, frozen=True):
    """One node. `model` and what follows are null until it enrolled; `name` once erased.

    `used_milli` of `gpus x 1000` is allocated; `lease_until_us` is when the ownership of all its
    runtimes ends unless renewed. `from_position`: where it was invited. `barred` by `revoked` or
    `doubled`, for the code `barred_why`; null while its identity counts.
    """

    node: str
    from_position: int
    name: str | None
    expected_model: str
    invited_us: int
    model: str | None
    simulated: bool | None
    serial: str | None
    gpus: tuple[Gpu, ...]
    enrolled_us: int | None
    state: str
    reachable: bool
    reach_since_us: int | None
    cordoned: bool
    drains: int
    quarantined: int
    retired: str | None
    barred: str | None
    barred_why: str | None
    barred_since_us: int | None
    boot: str | None
    renewed_us: int | None
    lease_until_us: int | None
    allocations: int
    used_milli: int
    version: int

    @property
    def upkeep(self) -> str:
        """In one word, as `upkeep_read.word`."""
        busy, gpus = bool(self.allocations), len(self.gpus)
        ill = bool(gpus) and self.quarantined >= gpus
        return word(self.retired, ill=ill, drained=self.drains, busy=busy, cordoned=self.cordoned)


class Device(Struct, frozen=True):
    """One device: 1000 milli, of which `used_milli` in `allocations` shares is given away."""

    node: str
    index: int
    uuid: str
    model: str
    simulated: bool
    offered: bool
    used_milli: int
    allocations: int


class Allocation(Struct, frozen=True):
    """Devices given to one runtime under one epoch, from `decided_us` on."""

    allocation: str
    from_position: int
    node: str
    runtime: str
    organization: str
    devices: tuple[Share, ...]
    gpu_milli: int
    epoch: int
    decided_us: int


class Use(Struct, frozen=True):
    """Devices of one model on nodes that take work: how much is used. Simulated ones apart.

    Only admission says what fits now (domain/admission.py); this says what is taken.
    """

    model: str
    simulated: bool
    nodes: int
    devices: int
    used_milli: int
    whole_free: int


_NODES: Final = """
WITH given AS (
  SELECT a.node, count(*) AS allocations, sum(a.gpu_milli) AS used_milli
  FROM views.allocation a WHERE [a] GROUP BY a.node)
SELECT n.node, n.from_position, w.words AS name, n.expected_model, n.invited_us,
  i.model, i.simulated, i.serial, coalesce(i.gpus, '[]'::jsonb) AS gpus, i.enrolled_us,
  x.state, x.state = 'reachable' AS reachable, r.since_us AS reach_since_us,
  coalesce(c.cordoned, false) AS cordoned,
  (SELECT count(*) FROM views.node_drain d WHERE d.node = n.node AND [d]) AS drains,
  (SELECT count(*) FROM views.node_quarantine q WHERE q.node = n.node AND [q]) AS quarantined,
  t.reason AS retired, s.barred, s.why AS barred_why, s.since_us AS barred_since_us,
  b.boot, l.renewed_us, l.until_us AS lease_until_us,
  coalesce(u.allocations, 0) AS allocations, coalesce(u.used_milli, 0) AS used_milli,
  (SELECT max(version) FROM log.entry g WHERE g.stream = n.node
     AND (%(as_of)s::bigint IS NULL OR g.position <= %(as_of)s)) AS version
FROM views.node n
[words w n.name]
LEFT JOIN views.node_identity i ON i.node = n.node AND [i]
LEFT JOIN views.node_reach r ON r.node = n.node AND [r]
LEFT JOIN views.node_cordon c ON c.node = n.node AND [c]
LEFT JOIN views.node_retired t ON t.node = n.node AND [t]
LEFT JOIN views.node_standing s ON s.node = n.node AND [s]
LEFT JOIN views.node_anchor b ON b.node = n.node AND [b]
LEFT JOIN views.node_lease l ON l.node = n.node AND [l]
LEFT JOIN given u ON u.node = n.node
CROSS JOIN LATERAL (SELECT CASE WHEN i.node IS NULL THEN 'invited'
  WHEN coalesce(r.reachable, true) THEN 'reachable' ELSE 'unreachable' END AS state) x
WHERE [n]
"""
_ONE_NODE: Final = " AND n.node = %(node)s"
_NODE_PAGE: Final = """
 AND (%(state)s::text IS NULL OR x.state = %(state)s)
 AND n.from_position > %(after)s ORDER BY n.from_position, n.node LIMIT %(limit)s
"""
_DEVICES: Final = """
WITH given AS (
  SELECT a.node, (d ->> 'index')::numeric AS index, sum((d ->> 'milli')::numeric) AS used_milli,
    count(*) AS allocations
  FROM views.allocation a CROSS JOIN jsonb_array_elements(a.devices) d
  WHERE [a] GROUP BY 1, 2)
SELECT i.node, (u ->> 'index')::numeric AS index, u ->> 'uuid' AS uuid, i.model, i.simulated,
  coalesce(r.reachable, true) AND NOT coalesce(c.cordoned, false) AND t.node IS NULL
    AND q.node IS NULL AND s.node IS NULL
    AND NOT EXISTS (SELECT 1 FROM views.node_drain d WHERE d.node = i.node AND [d]) AS offered,
  coalesce(g.used_milli, 0) AS used_milli, coalesce(g.allocations, 0) AS allocations
FROM views.node_identity i CROSS JOIN jsonb_array_elements(i.gpus) u
LEFT JOIN views.node_reach r ON r.node = i.node AND [r]
LEFT JOIN views.node_cordon c ON c.node = i.node AND [c]
LEFT JOIN views.node_retired t ON t.node = i.node AND [t]
LEFT JOIN views.node_standing s ON s.node = i.node AND [s]
LEFT JOIN views.node_quarantine q
  ON q.node = i.node AND q.device = (u ->> 'index')::numeric AND [q]
LEFT JOIN given g ON g.node = i.node AND g.index = (u ->> 'index')::numeric
WHERE [i] AND (%(node)s::text IS NULL OR i.node = %(node)s)
ORDER BY i.node, 2
"""
_ALLOCATIONS: Final = """
SELECT a.allocation, a.from_position, a.node, a.runtime, a.organization, a.devices, a.gpu_milli,
  a.epoch, a.decided_us
FROM views.allocation a
WHERE [a] AND (%(node)s::text IS NULL OR a.node = %(node)s)
  AND (%(runtime)s::text IS NULL OR a.runtime = %(runtime)s)
ORDER BY a.from_position
"""


def nodes(
    conn: psycopg.Connection[Any],
    *,
    state: str | None = None,
    after: int = -1,
    limit: int = 1000,
    as_of: int | None = None,
) -> list[Node]:
    """Nodes invited after position `after`, oldest first; the last one's position is the cursor."""
    asked = {"state": state, "after": after, "limit": limit}
    return fetch(conn, Node, _NODES + _NODE_PAGE, asked, as_of)


def node(conn: psycopg.Connection[Any], node_id: str, as_of: int | None = None) -> Node | None:
    """The node, or None when it was never invited."""
    return fetch_one(conn, Node, _NODES + _ONE_NODE, {"node": node_id}, as_of)


def devices(
    conn: psycopg.Connection[Any], node_id: str | None = None, as_of: int | None = None
) -> list[Device]:
    """Devices of one node or of all, by node and index."""
    return fetch(conn, Device, _DEVICES, {"node": node_id}, as_of)


def capacity_use(conn: psycopg.Connection[Any], as_of: int | None = None) -> list[Use]:
    """Use per model of the devices that take work: of nodes that answer and nobody closed."""
    found: dict[tuple[str, bool], list[Device]] = {}
    for device in devices(conn, None, as_of):
        if device.offered:
            found.setdefault((device.model, device.simulated), []).append(device)
    return [
        Use(
            model,
            simulated,
            len({device.node for device in these}),
            len(these),
            sum(device.used_milli for device in these),
            sum(device.used_milli == 0 for device in these),
        )
        for (model, simulated), these in sorted(found.items())
    ]


def allocations(
    conn: psycopg.Connection[Any],
    *,
    node_id: str | None = None,
    runtime_id: str | None = None,
    as_of: int | None = None,
) -> list[Allocation]:
    """Live allocations, oldest first; of one node or one runtime when named."""
    asked = {"node": node_id, "runtime": runtime_id}
    return fetch(conn, Allocation, _ALLOCATIONS, asked, as_of)
