"""Questions about the health of devices; all accept a position. What is said is the node's word."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch


class DeviceHealth(Struct, frozen=True):
    """A device that is not healthy, since `since_us`, because of `cause`, as its node attested."""

    node: str
    device: int
    uuid: str
    state: str
    cause: str
    xid: int
    ecc_uncorrected: int | None
    since_us: int


class XidCount(Struct, frozen=True):
    """How often an XID was seen on a GPU since it was enrolled, last said at `decided_us`."""

    node: str
    uuid: str
    xid: int
    count: int
    decided_us: int


class Hardware(Struct, frozen=True):
    """What a device says it is; `library` is the SHA-256 of the NVML library its node loaded."""

    node: str
    device: int
    uuid: str
    product: str
    memory_bytes: int
    serial: str
    driver: str
    library: str


class Probe(Struct, frozen=True):
    """How fast its memory was when it was last measured; 0 bytes: `method` says why not."""

    device: int
    method: str
    bytes: int
    duration_us: int


class Seen(Struct, frozen=True):
    """All that is known of one node's devices at one position; by index, but XIDs by GPU."""

    unhealthy: dict[int, DeviceHealth]
    quarantined: dict[int, str]
    hardware: dict[int, Hardware]
    probes: dict[int, Probe]
    xids: list[XidCount]


class _Quarantine(Struct, frozen=True):
    device: int
    reason: str


_QUARANTINE: Final = """
SELECT q.device, q.reason FROM views.node_quarantine q WHERE [q] AND q.node = %(node)s
"""
_HEALTH: Final = """
SELECT d.node, d.device, d.uuid, d.state, d.cause, d.xid, d.ecc_uncorrected, d.since_us
FROM views.device_health d
WHERE [d] AND (%(node)s::text IS NULL OR d.node = %(node)s) ORDER BY d.node, d.device
"""
_XIDS: Final = """
SELECT t.node, t.uuid, t.xid, t.count, t.decided_us FROM views.device_xid t
WHERE [t] AND (%(node)s::text IS NULL OR t.node = %(node)s) ORDER BY t.node, t.uuid, t.xid
"""
_HARDWARE: Final = """
SELECT d.node, d.device, d.uuid, d.product, d.memory_bytes, d.serial, d.driver, d.library
FROM views.device_hardware d
WHERE [d] AND (%(node)s::text IS NULL OR d.node = %(node)s) ORDER BY d.node, d.device
"""
_PROBES: Final = """
SELECT p.device, p.method, p.bytes, p.duration_us FROM views.device_probe p
WHERE [p] AND p.node = %(node)s
"""


def unhealthy(
    conn: psycopg.Connection[Any], node: str | None = None, as_of: int | None = None
) -> list[DeviceHealth]:
    """Devices that are suspect or failed, of one node or all; one that is not here is healthy."""
    return fetch(conn, DeviceHealth, _HEALTH, {"node": node}, as_of)


def xids(
    conn: psycopg.Connection[Any], node: str | None = None, as_of: int | None = None
) -> list[XidCount]:
    """Counts of XIDs by GPU and code."""
    return fetch(conn, XidCount, _XIDS, {"node": node}, as_of)


def hardware(
    conn: psycopg.Connection[Any], node: str | None = None, as_of: int | None = None
) -> list[Hardware]:
    """What devices say they are, by node and index; SIMULATED ones say nothing here."""
    return fetch(conn, Hardware, _HARDWARE, {"node": node}, as_of)


def seen(conn: psycopg.Connection[Any], node: str, as_of: int | None = None) -> Seen:
    """Everything about one node's devices."""
    kept_back = fetch(conn, _Quarantine, _QUARANTINE, {"node": node}, as_of)
    return Seen(
        {one.device: one for one in unhealthy(conn, node, as_of)},
        {one.device: one.reason for one in kept_back},
        {one.device: one for one in hardware(conn, node, as_of)},
        {one.device: one for one in fetch(conn, Probe, _PROBES, {"node": node}, as_of)},
        xids(conn, node, as_of),
    )
