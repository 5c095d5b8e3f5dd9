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


_HEALTH: Final = """
SELECT h.node, h.device, h.uuid, h.state, h.cause, h.xid, h.ecc_uncorrected, h.since_us
FROM views.device_health h
WHERE [h] AND (%(node)s::text IS NULL OR h.node = %(node)s) ORDER BY h.node, h.device
"""
_XIDS: Final = """
SELECT x.node, x.uuid, x.xid, x.count, x.decided_us FROM views.device_xid x
WHERE [x] AND (%(node)s::text IS NULL OR x.node = %(node)s) ORDER BY x.node, x.uuid, x.xid
"""
_HARDWARE: Final = """
SELECT h.node, h.device, h.uuid, h.product, h.memory_bytes, h.serial, h.driver, h.library
FROM views.device_hardware h
WHERE [h] AND (%(node)s::text IS NULL OR h.node = %(node)s) ORDER BY h.node, h.device
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
