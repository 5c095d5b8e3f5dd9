"""What a node's words about its devices mean: pure, one shape per tag (contracts/facts.md)."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from api.fleet.state import KnownNode
from contracts import devices as tags
from contracts.fleet import Body
from domain import device, node, upkeep
from domain.canary import CanaryLooked
from domain.words import Attested

type Text = Annotated[str, Meta(max_length=128)]
type Code = Annotated[str, Meta(pattern=r"^[a-z0-9_.:]{0,64}$")]
type Count = Annotated[int, Meta(ge=0, le=10**18)]
type Indexes = Annotated[tuple[Annotated[int, Meta(ge=0, le=1023)], ...], Meta(max_length=1024)]


class _Described(Struct, forbid_unknown_fields=True):
    devices: Annotated[tuple[int, ...], Meta(min_length=1, max_length=1)]
    uuid: Text
    product: Text
    memory_bytes: Count
    serial: Text
    driver: Text
    library: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class _Probed(Struct, forbid_unknown_fields=True):
    devices: Annotated[tuple[int, ...], Meta(min_length=1, max_length=1)]
    uuid: Text
    method: Text
    bytes: Count
    duration_us: Count


class _Reported(Struct, forbid_unknown_fields=True):
    devices: Indexes
    uuid: Text
    state: Literal["suspect", "failed"]
    cause: Code
    xid: Annotated[int, Meta(ge=0, le=65535)]
    ecc_uncorrected: Count | None


class _Xid(Struct, forbid_unknown_fields=True):
    devices: Indexes
    uuid: Text
    xid: Annotated[int, Meta(ge=0, le=65535)]
    count: Count


class _Tested(Struct, forbid_unknown_fields=True):
    devices: Indexes
    command: Count
    passed: bool
    method: Text
    cause: Code
    duration_us: Count


class _Canary(Struct, forbid_unknown_fields=True):
    devices: Indexes
    command: Count
    method: Text
    planted: Count
    looked: Count
    found: Count
    duration_us: Count


class _Sanitized(Struct, forbid_unknown_fields=True):
    devices: Indexes
    method: Text
    bytes_covered: Count
    duration_us: Count
    driver: Text
    ecc_uncorrected: Count | None
    residual_processes: Count


type _Said = _Described | _Probed | _Reported | _Xid | _Tested | _Canary | _Sanitized
SHAPES: Final[dict[str, type[_Said]]] = {
    tags.DEVICE_DESCRIBED: _Described,
    tags.DEVICE_PROBED: _Probed,
    tags.DEVICE_REPORTED: _Reported,
    tags.DEVICE_XID: _Xid,
    tags.DEVICE_TESTED: _Tested,
    tags.CANARY_LOOKED: _Canary,
    tags.SANITIZED: _Sanitized,
}


def command_of(
    known: KnownNode, body: Body, attested: Attested, now_us: int
) -> node.Command | None:
    """The command that the word is; None when it has not the shape of its tag, in its order."""
    shape = SHAPES[body.tag]
    if tuple(body.said) != shape.__struct_fields__ or body.stream != known.node:
        return None
    try:
        said = msgspec.convert(dict(body.said), shape)
    except msgspec.ValidationError:
        return None
    given: tuple[Any, ...] = msgspec.structs.astuple(said)
    fact = (*given, body.boottime_us, now_us, attested)
    match said:
        case _Described():
            return device.Say(device.DeviceDescribed(*fact))
        case _Probed():
            return device.Say(device.DeviceProbed(*fact))
        case _Reported():
            return device.Say(device.DeviceReported(*fact))
        case _Xid():
            return device.Say(device.DeviceXid(*fact))
        case _Tested():
            return device.Say(device.DeviceTested(*fact))
        case _Canary():
            return upkeep.ReportCanary(CanaryLooked(*fact))
        case _Sanitized():
            words: tuple[Any, ...] = (*given, body.boottime_us, attested, now_us)
            return upkeep.ReportSanitized(*words)
