"""The facts of a node's stream, in the order of contracts/facts.md; `node` decides them."""

from typing import Final, get_args

from msgspec import Struct

from domain.canary import CanaryLooked
from domain.device import DeviceEvent
from domain.identity import IdentityEvent
from domain.stray import StrayEvent
from domain.words import Attested, Gpu, Private, Share


class Invited(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.invited.v1"):
    name: Private
    model: str
    token_sha256: str
    expires_us: int
    invited_us: int


class Enrolled(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.enrolled.v1"):
    key: str
    model: str
    simulated: bool
    gpus: tuple[Gpu, ...]
    serial: str
    enrolled_us: int


class Anchored(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.anchored.v1"):
    boot: str
    boottime_us: int
    anchor_us: int
    attested: Attested


class Allocated(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.allocated.v1"):
    allocation: str
    runtime: str
    organization: str
    devices: tuple[Share, ...]
    epoch: int
    decided_us: int


class Released(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.released.v1"):
    allocation: str
    runtime: str
    decided_us: int


class LeaseRenewed(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.lease_renewed.v1"
):
    runtimes: tuple[str, ...]
    boottime_us: int
    renewed_us: int
    until_us: int
    attested: Attested


class Unreachable(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.unreachable.v1"
):
    since_us: int


class Reachable(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.reachable.v1"):
    since_us: int


class Cordoned(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.cordoned.v1"):
    decided_us: int


class Uncordoned(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.uncordoned.v1"):
    decided_us: int


class DrainStarted(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.drain_started.v1"
):
    """`owner`: `operator` for people, else the name of the system part that drains."""

    owner: str
    reason: str
    decided_us: int


class Drained(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.drained.v1"):
    decided_us: int


class DrainEnded(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.drain_ended.v1"):
    owner: str
    reason: str
    decided_us: int


class Quarantined(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.quarantined.v1"
):
    devices: tuple[int, ...]
    reason: str
    decided_us: int


class SanitizationRequired(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.sanitization_required.v1"
):
    decided_us: int


class SanitizeRequested(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.sanitize_requested.v1"
):
    devices: tuple[int, ...]
    reason: str
    decided_us: int


class Sanitized(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.sanitized.v1"):
    """A receipt: the node's word, no measurement of ours. `ecc_uncorrected` null: not readable."""

    devices: tuple[int, ...]
    method: str
    bytes_covered: int
    duration_us: int
    driver: str
    ecc_uncorrected: int | None
    residual_processes: int
    boottime_us: int
    decided_us: int
    attested: Attested


class Returned(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.returned.v1"):
    devices: tuple[int, ...]
    decided_us: int


class Retired(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.retired.v1"):
    reason: str
    decided_us: int


class TopologySet(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.topology_set.v1"
):
    zone: str
    group: int
    decided_us: int


class RegionSet(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.region_set.v1"):
    """Of what is placed on it from then on; `-`: it is in no region."""

    region: str
    decided_us: int


class Reserved(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.reserved.v1"):
    reservation: str
    organization: str
    devices: tuple[int, ...]
    until_us: int
    decided_us: int


class Unreserved(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.unreserved.v1"):
    reservation: str
    devices: tuple[int, ...]
    decided_us: int


type Event = (
    Invited | Enrolled | Anchored | Allocated | Released | LeaseRenewed | Unreachable | Reachable
    | Upkept | Claimed | IdentityEvent | DeviceEvent | StrayEvent
)  # fmt: skip
type Claimed = TopologySet | RegionSet | Reserved | Unreserved
type Upkept = (
    Cordoned | Uncordoned | DrainStarted | Drained | DrainEnded | Quarantined
    | SanitizationRequired | SanitizeRequested | CanaryLooked | Sanitized | Returned | Retired
)  # fmt: skip

EVENTS: Final[tuple[type[Struct], ...]] = (
    *[kind for kind in get_args(Event.__value__) if isinstance(kind, type)],
    *get_args(Upkept.__value__),
    *get_args(Claimed.__value__),
    *get_args(IdentityEvent.__value__),
    *get_args(DeviceEvent.__value__),
    *get_args(StrayEvent.__value__),
)
