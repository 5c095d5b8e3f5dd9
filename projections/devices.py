"""Devices as their nodes say they are: health, since when, why; tests, XIDs, hardware, speed."""

from typing import Final

from domain import device
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, nullable, text

SHAPES: Final = (
    Shape(
        "device_health",
        ("node", "device"),
        "node, device, from_position, to_position, uuid, state, cause, xid, ecc_uncorrected, "
        "boottime_us, since_us",
        types=("text", "numeric"),
    ),
    Shape(
        "device_xid",
        ("node", "uuid", "xid"),
        "node, uuid, xid, from_position, to_position, count, boottime_us, decided_us",
        types=("text", "text", "numeric"),
        hashed=True,
    ),
    Shape(
        "device_test",
        (),
        "from_position, to_position, node, device, command, passed, method, cause, duration_us, "
        "decided_us",
    ),
    Shape(
        "device_hardware",
        ("node", "device"),
        "node, device, from_position, to_position, uuid, product, memory_bytes, serial, driver, "
        "library, decided_us",
        types=("text", "numeric"),
    ),
    Shape(
        "device_probe",
        ("node", "device"),
        "node, device, from_position, to_position, uuid, method, bytes, duration_us, decided_us",
        types=("text", "numeric"),
    ),
)


def _described(b: Batch, e: Entry, f: device.DeviceDescribed) -> None:
    tail = (
        f"{text(f.uuid)}\t{text(f.product)}\t{f.memory_bytes}\t{text(f.serial)}\t"
        f"{text(f.driver)}\t{text(f.library)}\t{f.decided_us}"
    )
    for index in f.devices:
        head = f"{e.stream}\t{index}\t{e.position}"
        b["device_hardware"].open((e.stream, str(index)), e.position, head, tail)


def _probed(b: Batch, e: Entry, f: device.DeviceProbed) -> None:
    tail = f"{text(f.uuid)}\t{text(f.method)}\t{f.bytes}\t{f.duration_us}\t{f.decided_us}"
    for index in f.devices:
        head = f"{e.stream}\t{index}\t{e.position}"
        b["device_probe"].open((e.stream, str(index)), e.position, head, tail)


def _reported(b: Batch, e: Entry, f: device.DeviceReported) -> None:
    tail = (
        f"{text(f.uuid)}\t{text(f.state)}\t{text(f.cause)}\t{f.xid}\t"
        f"{nullable(f.ecc_uncorrected)}\t{f.boottime_us}\t{f.decided_us}"
    )
    for index in f.devices:
        head = f"{e.stream}\t{index}\t{e.position}"
        b["device_health"].open((e.stream, str(index)), e.position, head, tail)


def _xid(b: Batch, e: Entry, f: device.DeviceXid) -> None:
    head = f"{e.stream}\t{text(f.uuid)}\t{f.xid}\t{e.position}"
    tail = f"{f.count}\t{f.boottime_us}\t{f.decided_us}"
    b["device_xid"].open((e.stream, f.uuid, str(f.xid)), e.position, head, tail)


def _tested(b: Batch, e: Entry, f: device.DeviceTested) -> None:
    # One row a test: it names its devices by the first; a request names one device. Whatever
    # append accepts is applied: a test of none is one of device -1.
    passed = "t" if f.passed else "f"
    first = f.devices[0] if f.devices else -1
    tail = (
        f"{e.stream}\t{first}\t{f.command}\t{passed}\t{text(f.method)}\t{text(f.cause)}\t"
        f"{f.duration_us}\t{f.decided_us}"
    )
    b["device_test"].add(str(e.position), tail)
    if f.passed:
        for index in f.devices:
            b["device_health"].close((e.stream, str(index)), e.position)


APPLY: Final[dict[type, Apply]] = {
    device.DeviceDescribed: _described,
    device.DeviceProbed: _probed,
    device.DeviceReported: _reported,
    device.DeviceXid: _xid,
    device.DeviceTested: _tested,
}
