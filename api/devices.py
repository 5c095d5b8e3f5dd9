"""Devices of a node: what it says of their health and hardware, and why one takes no work."""

from litestar import get
from litestar.params import FromPath, FromQuery

from api.auth import unknown
from api.body import FrontRequest
from api.edge import instant
from api.viewing import viewed
from contracts.http_devices import DeviceReport, DeviceReports, XidCount
from projections import devices_read, inventory_read


@get("/v1/nodes/{node_id:str}/devices")
async def list_devices(
    request: FrontRequest, node_id: FromPath[str], as_of: FromQuery[str | None] = None
) -> DeviceReports:
    """Health, quarantine, hardware and XID counts of each device of the node."""
    services, position = await viewed(request, as_of)
    found = await services.reads.ask(inventory_read.node, node_id, position)
    if found is None:
        raise unknown("node")
    seen = await services.reads.ask(devices_read.seen, node_id, position)
    return DeviceReports(
        node=node_id,
        items=[_report(gpu.index, gpu.uuid, bool(found.simulated), seen) for gpu in found.gpus],
    )


def _report(index: int, uuid: str, simulated: bool, seen: devices_read.Seen) -> DeviceReport:
    ill, hardware = seen.unhealthy.get(index), seen.hardware.get(index)
    probe = seen.probes.get(index)
    gpu = uuid if ill is None else ill.uuid
    return DeviceReport(
        index=index,
        uuid=uuid,
        simulated=simulated,
        says="attested",
        health="healthy" if ill is None else ill.state,
        cause=None if ill is None else ill.cause,
        xid=None if ill is None or not ill.xid else ill.xid,
        since=None if ill is None else instant(ill.since_us),
        quarantined=seen.quarantined.get(index),
        product=None if hardware is None else hardware.product,
        memory_bytes=None if hardware is None else str(hardware.memory_bytes),
        driver=None if hardware is None else hardware.driver,
        nvml_sha256=None if hardware is None else hardware.library,
        memory_bytes_per_s=None if probe is None else _rate(probe),
        xids=[XidCount(xid=one.xid, count=one.count) for one in seen.xids if one.uuid == gpu],
    )


def _rate(probe: devices_read.Probe) -> str | None:
    if not (probe.bytes and probe.duration_us):
        return None
    return str(probe.bytes * 1_000_000 // probe.duration_us)
