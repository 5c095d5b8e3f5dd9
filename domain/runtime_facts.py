"""What happened to a runtime, as the log holds it (contracts/facts.md); `runtime.py` decides it."""

from msgspec import Struct

from domain.words import Attested, Private, Share


class Requested(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.requested.v1"):
    project: str
    department: str
    account: str
    name: Private
    devices: int
    gpu_milli: int
    models: tuple[str, ...]
    requested_us: int


class Allocated(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.allocated.v1"):
    allocation: str
    node: str
    model: str
    devices: tuple[Share, ...]
    epoch: int
    allocated_us: int


class Configured(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.configured.v1"
):
    image: str
    digest: str
    cpu_milli: int
    memory_bytes: int
    pids: int
    restarts: int
    decided_us: int


class Routed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.routed.v1"):
    boottime_us: int
    address: str
    port: int
    host_key: str
    decided_us: int
    attested: Attested


class Networked(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.networked.v1"):
    network: str
    decided_us: int


class EgressCounted(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.egress_counted.v1"
):
    """Bytes of IP packets that left and came by the policy, since the runtime was created."""

    sent_bytes: int
    received_bytes: int
    boottime_us: int
    decided_us: int
    attested: Attested


class IdleLimited(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.idle_limited.v1"
):
    """Idle for so long, it is stopped."""

    stop_after_us: int
    decided_us: int


class Spot(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.spot.v1"):
    """It is priced in state `spot`, and goes first when a claim takes back what is lent."""

    decided_us: int


class RegionAsked(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.region_asked.v1"
):
    """It was to be placed in this region, and was."""

    region: str
    decided_us: int


class Idle(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.idle.v1"):
    """Nothing was done in it for `idle_us` when the node said so."""

    idle_us: int
    boottime_us: int
    decided_us: int
    attested: Attested


class Busy(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.busy.v1"):
    boottime_us: int
    decided_us: int
    attested: Attested


class Starting(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.starting.v1"):
    command: int
    decided_us: int


class Usable(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.usable.v1"):
    boottime_us: int
    usable_us: int
    decided_us: int
    attested: Attested


class Degraded(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.degraded.v1"):
    boottime_us: int
    degraded_us: int
    decided_us: int
    attested: Attested


class Stopping(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.stopping.v1"):
    reason: str
    decided_us: int


class Stopped(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.stopped.v1"):
    boottime_us: int
    stopped_us: int
    decided_us: int
    attested: Attested


class Failed(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.failed.v1"):
    code: str
    boottime_us: int
    failed_us: int
    decided_us: int
    attested: Attested


class Cancelled(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.cancelled.v1"):
    reason: str
    decided_us: int


class Lost(Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.runtime.lost.v1"):
    lost_us: int
    decided_us: int


type Event = (
    Requested | Allocated | RegionAsked | Spot | Configured | Networked | IdleLimited | Starting
    | Routed | EgressCounted
    | Usable | Idle | Busy | Degraded | Stopping | Stopped | Failed | Cancelled | Lost
)  # fmt: skip
type Final = Stopped | Failed | Cancelled | Lost
