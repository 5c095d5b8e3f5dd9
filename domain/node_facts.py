"""The facts of a node's stream, in the order of contracts/facts.md; `node` decides them."""

from msgspec import Struct

from domain.identity import IdentityEvent
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


type Event = (
    Invited | Enrolled | Anchored | Allocated | Released | LeaseRenewed | Unreachable | Reachable
    | Cordoned | Uncordoned | IdentityEvent
)  # fmt: skip
