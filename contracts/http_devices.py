"""The front door's devices: health and hardware as the node attested them (see http.py)."""

from typing import Literal

from contracts.http import Given, Instant


class XidCount(Given, frozen=True):
    """How often this XID was seen on the GPU since it was enrolled."""

    xid: int
    count: int


class DeviceReport(Given, frozen=True):
    """One device. `health`, `cause`, `xids`, hardware and speed are its node's word, no measurement
    of ours.

    `since` is when the platform heard that it is not healthy; `quarantined` says why it takes no
    work, null when it does. Hardware is null where the node never described it (SIMULATED), and
    `memory_bytes_per_s` where it never measured it.
    """

    index: int
    uuid: str
    simulated: bool
    says: Literal["attested"]
    health: str
    cause: str | None
    xid: int | None
    since: Instant | None
    quarantined: str | None
    product: str | None
    memory_bytes: str | None
    driver: str | None
    nvml_sha256: str | None
    memory_bytes_per_s: str | None
    xids: list[XidCount]


class DeviceReports(Given, frozen=True):
    """All devices of one node, by index."""

    node: str
    items: list[DeviceReport]
