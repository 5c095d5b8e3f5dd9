"""What a runtime is told and what is said of it; `runtime.py` decides."""

from msgspec import Struct

from domain.instants import LEASING, Anchor
from domain.words import Attested, Private, Share


class Request(Struct, frozen=True):
    project: str
    department: str
    account: str
    name: Private
    devices: int
    gpu_milli: int
    models: tuple[str, ...]
    now_us: int


class Allocate(Struct, frozen=True):
    allocation: str
    node: str
    model: str
    devices: tuple[Share, ...]
    epoch: int
    now_us: int


class Start(Struct, frozen=True):
    """`command` is the number of the signed command that goes to the node."""

    command: int
    now_us: int


class Configure(Struct, frozen=True):
    """What runs and its limits: an image by reference and digest; `restarts` after failures."""

    image: str
    digest: str
    cpu_milli: int
    memory_bytes: int
    pids: int
    restarts: int
    now_us: int


class Join(Struct, frozen=True):
    """Its network, which stands and is of its project: the admission has looked."""

    network: str
    now_us: int


class LimitIdle(Struct, frozen=True):
    """It is stopped when it was idle for so long."""

    stop_after_us: int
    now_us: int


class BeIn(Struct, frozen=True):
    """It was asked for in this region."""

    region: str
    now_us: int


class GoFirst(Struct, frozen=True):
    """It is spot."""

    now_us: int


class ReportIdle(Struct, frozen=True):
    """Nothing was done in it for so long, by the node's word."""

    idle_us: int
    boottime_us: int
    anchor: Anchor
    attested: Attested
    now_us: int


class ReportBusy(Struct, frozen=True):
    boottime_us: int
    anchor: Anchor
    attested: Attested
    now_us: int


class ReportEgress(Struct, frozen=True):
    """What passed by its network's policy so far, by the node's word."""

    sent_bytes: int
    received_bytes: int
    boottime_us: int
    anchor: Anchor
    attested: Attested
    now_us: int


class ReportRouted(Struct, frozen=True):
    """Where its sshd answers, by the node's word: an address of the node's own networks."""

    address: str
    port: int
    host_key: str
    boottime_us: int
    anchor: Anchor
    attested: Attested
    now_us: int


class ReportUsable(Struct, frozen=True):
    """A verified attestation; `anchor` is the latest of its node, of the same boot."""

    boottime_us: int
    anchor: Anchor
    attested: Attested
    now_us: int


class ReportDegraded(Struct, frozen=True):
    boottime_us: int
    anchor: Anchor
    attested: Attested
    now_us: int


class ReportStopped(Struct, frozen=True):
    boottime_us: int
    anchor: Anchor
    attested: Attested
    now_us: int


class ReportFailed(Struct, frozen=True):
    code: str
    boottime_us: int
    anchor: Anchor
    attested: Attested
    now_us: int


class Stop(Struct, frozen=True):
    reason: str
    now_us: int


class Cancel(Struct, frozen=True):
    reason: str
    now_us: int


class DeclareLost(Struct, frozen=True):
    """`renewed_us`: of the last lease naming the runtime, None without one; `until_us`: its end,
    which is sure `grace_us` later.

    `until_us` 0 means that the machine is proven to be off: another boot of it has spoken.
    """

    renewed_us: int | None
    until_us: int
    now_us: int
    grace_us: int = LEASING.grace_us


type Report = ReportUsable | ReportDegraded | ReportStopped | ReportFailed
type Command = (
    Request | Allocate | BeIn | GoFirst | Configure | Join | LimitIdle | Start | ReportRouted
    | ReportEgress | ReportIdle | ReportBusy | Report | Stop | Cancel | DeclareLost
)  # fmt: skip
