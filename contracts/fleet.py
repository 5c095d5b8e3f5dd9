"""What crosses between the control plane and a node: subjects, messages, signatures, enrolment.

Agent to control plane: `Attested` (numbered events on `.evt`), `LeaseRequest` (`.lease`),
`Heartbeat` (`.hb`). Control plane to agent: `Envelope` of a `Command` (`.cmd`) or of a `Receipt`
(core NATS, only to `_INBOX.<node>.…`). Everything is signed; NATS decides nothing about truth.
Source: FLEET.md "Messages", contracts/facts.md "Agents' words".
"""

import base64
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import UNSET, Meta, Struct, UnsetType

from contracts.devices import CheckDevices, SanitizeDevices
from contracts.enrolment import NODE
from contracts.network import SetPolicy
from contracts.signing import FleetError, decode, opened, public_hex, sealed, unbase64, verify
from contracts.spec import Spec
from contracts.terminal import CloseTerminal, OpenTerminal
from contracts.volumes import (
    VOLUME_ORDERS,
    CreateVolume,
    GrowVolume,
    RestoreVolume,
    SnapshotVolume,
    WipeStray,
    WipeVolume,
)

# ------------------------------------------------------------------ subjects and streams
EVT_STREAM = "NODE_EVT"
CMD_STREAM = "NODE_CMD"
EVT_SUBJECTS = "gpuaas.v1.node.*.evt"
CMD_SUBJECTS = "gpuaas.v1.node.*.cmd"
HB_SUBJECTS = "gpuaas.v1.node.*.hb"
LEASE_SUBJECTS = "gpuaas.v1.node.*.lease"
# Batches of readings (contracts/usage.py), from nodes as sources.
USE_STREAM = "NODE_USE"
USE_SUBJECTS = "gpuaas.v1.node.*.use"

type Leaf = Literal["cmd", "evt", "hb", "lease", "use"]

# Leases (MONEY.md section 5), us.
LEASE_US = 600_000_000
RENEW_US = 120_000_000
DRIFT_US = LEASE_US // 1000 + 1_000_000
STOP_LATENCY_US = 30_000_000
HEARTBEAT_US = 5_000_000
UNREACHABLE_US = 15_000_000

# Tags an agent attests; the last is no fact of the log: ingest records it beside the log.
ANCHORED = "gpuaas.node.anchored.v1"
LEASE_RENEWED = "gpuaas.node.lease_renewed.v1"
ROUTED = "gpuaas.runtime.routed.v1"
USABLE = "gpuaas.runtime.usable.v1"
DEGRADED = "gpuaas.runtime.degraded.v1"
STOPPED = "gpuaas.runtime.stopped.v1"
FAILED = "gpuaas.runtime.failed.v1"
IDLE = "gpuaas.runtime.idle.v1"
BUSY = "gpuaas.runtime.busy.v1"
COMMAND_REFUSED = "gpuaas.command.refused.v1"


def subject(node: str, leaf: Leaf) -> str:
    """`gpuaas.v1.node.<node id>.<leaf>`."""
    assert NODE.fullmatch(node), node
    return f"gpuaas.v1.node.{node}.{leaf}"


def node_of(received_subject: str) -> str:
    """The node id a message's subject names. Raises: FleetError subject.malformed."""
    parts = received_subject.split(".")
    if len(parts) != 5 or not NODE.fullmatch(parts[3]):
        raise FleetError("subject.malformed", received_subject[:100])
    return parts[3]


def inbox_prefix(node: str) -> str:
    """The only place the node listens; the control plane answers nowhere else."""
    return f"_INBOX.{node}"


def receipt_subject(node: str) -> str:
    """Where receipts of `.evt` events go (leases are answered on the request's reply subject)."""
    return f"_INBOX.{node}.receipt"


def usage_subject(node: str) -> str:
    """Where answers to batches of readings go: sealed `usage.Answer`."""
    return f"_INBOX.{node}.usage"


def anchor_subject(node: str) -> str:
    """Where a boot hears what its clock means: sealed `Anchor`."""
    return f"_INBOX.{node}.anchor"


# ------------------------------------------------------------------ agents' words
type Said = dict[str, str | int | bool | Sequence[str | int] | None]


class Body(Struct, frozen=True, forbid_unknown_fields=True):
    """The signed sentence of an agent; field order is the byte order (contracts/facts.md)."""

    format: Literal["gpuaas-attest/1"]
    node: str
    boot: str
    seq: int
    tag: str
    stream: str
    boottime_us: int
    said: Said


class Attested(Struct, frozen=True, forbid_unknown_fields=True):
    """A signed body as it travels on `.evt` and as it lies in the fact, field for field."""

    node: str
    key: str
    boot: str
    seq: int
    body: str
    sig: str


def attest(key: Ed25519PrivateKey, body: Body) -> Attested:
    """`body` encoded canonically and signed with the node's event key."""
    raw = msgspec.json.encode(body)
    return Attested(
        node=body.node,
        key=public_hex(key),
        boot=body.boot,
        seq=body.seq,
        body=base64.b64encode(raw).decode("ascii"),
        sig=base64.b64encode(key.sign(raw)).decode("ascii"),
    )


def open_attested(attested: Attested, key: str) -> Body:
    """The body, once the signature by `key` (hex, the enrolled one) and the copies outside hold.

    Raises: FleetError attest.key_unknown | attest.signature | attest.malformed | attest.differs.
    """
    if attested.key != key:
        raise FleetError("attest.key_unknown", "the key is not the node's enrolled key")
    raw = unbase64(attested.body, "attest.malformed")
    verify(key, unbase64(attested.sig, "attest.malformed"), raw, "attest.signature")
    body = decode(raw, Body, "attest.malformed")
    if (body.node, body.boot, body.seq) != (attested.node, attested.boot, attested.seq):
        raise FleetError("attest.differs", "node, boot or seq differ from the signed body")
    return body


# ------------------------------------------------------------------ control plane's words
class Share(Struct, frozen=True, forbid_unknown_fields=True):
    index: int
    milli: int


class StartRuntime(Struct, frozen=True, forbid_unknown_fields=True, tag="runtime.start"):
    """Start `runtime` on `devices`; its ownership lease first ends at `lease_boottime_us`.

    Without `spec` it is a SIMULATED runtime's plain start, in the bytes of the release before it.
    """

    runtime: str
    devices: tuple[Share, ...]
    lease_boottime_us: int
    spec: Spec | UnsetType = UNSET


class StopRuntime(Struct, frozen=True, forbid_unknown_fields=True, tag="runtime.stop"):
    """Stop `runtime`. An allocation never started here becomes a tombstone: stopped for good."""

    runtime: str
    reason: str


# The compiled catalogue: nothing else can be asked of a node.
type Order = (
    StartRuntime | StopRuntime | OpenTerminal | CloseTerminal | CheckDevices | SanitizeDevices
    | SetPolicy | CreateVolume | GrowVolume | SnapshotVolume | RestoreVolume | WipeVolume
    | WipeStray
)  # fmt: skip
# Of devices, networks and volumes, not of an allocation, which is empty, its epoch 0: they outlive
# a boot, so one may be sent again to the next.
LASTING = (CheckDevices, SanitizeDevices, SetPolicy, *VOLUME_ORDERS)


class Command(Struct, frozen=True, forbid_unknown_fields=True):
    """One order to one boot of one node.

    `number` is the log position that caused it: it grows per node, and sending the same order
    again gives the same number. `expires_boottime_us` is on the node's own CLOCK_BOOTTIME.
    `nonce` is that of the latest lease reply (or anchor receipt) the control plane gave.
    """

    format: Literal["gpuaas-command/1"]
    number: int
    node: str
    boot: str
    allocation: str
    epoch: int
    nonce: str
    expires_boottime_us: int
    order: Order

    def same_as(self, other: "Command") -> bool:
        """True when both ask for the same thing; expiry, nonce and lease end may differ.

        A LASTING order outlives a boot, so it may be sent again to the next one.
        """
        mine, others = self.order, other.order
        if isinstance(mine, LASTING):
            return (self.number, self.node, mine) == (other.number, other.node, others)
        if isinstance(others, LASTING):
            return False
        return (self.number, self.node, self.boot, self.allocation, self.epoch) == (
            other.number,
            other.node,
            other.boot,
            other.allocation,
            other.epoch,
        ) and (type(mine), mine.runtime) == (type(others), others.runtime)


class _Numbered(Struct, frozen=True):
    # A newer release's command: what it orders is not known here, its number is.
    number: int


class Granted(Struct, frozen=True, forbid_unknown_fields=True):
    """An ownership lease for all runtimes of the node, on the node's CLOCK_BOOTTIME.

    It counts from the instant the request named, which lies before the request was sent.
    """

    from_boottime_us: int
    until_boottime_us: int


class Receipt(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The control plane holds event (boot, seq) durably; the agent may free it.

    `position`: of the fact it became, null when it became none (`code` says why).
    `nonce`: to be echoed by the next lease request. `revoked`: runtimes that ended elsewhere, or
    that nobody pays for, and must be stopped. A receipt is repeated, never contradicted.
    """

    format: Literal["gpuaas-receipt/1"]
    node: str
    boot: str
    seq: int
    position: int | None
    code: str | UnsetType = UNSET
    nonce: str | UnsetType = UNSET
    granted: Granted | UnsetType = UNSET
    revoked: tuple[str, ...] = ()


class Anchor(Struct, frozen=True, forbid_unknown_fields=True):
    """`boottime_us` on that boot's clock is the instant `anchor_us`, as `node.anchored` says.

    Told beside the receipts of anchors and leases, to whoever listens: a node's readings are dated
    by it, never by the node's own calendar.
    """

    format: Literal["gpuaas-anchor/1"]
    node: str
    boot: str
    boottime_us: int
    anchor_us: int


def seal(key: Ed25519PrivateKey, message: Command | Receipt | Anchor) -> bytes:
    """The envelope's bytes as published."""
    return sealed(key, message)


def open_command(raw: bytes, key: str) -> Command:
    """The command signed by `key` (hex). Raises: FleetError command.forged | command.unknown."""
    return decode(opened(raw, key, "command.forged"), Command, "command.unknown")


def number_in(raw: bytes, key: str) -> int:
    """The number of a command signed by `key` that `open_command` does not know; 0 = none."""
    try:
        return msgspec.json.decode(opened(raw, key, "command.forged"), type=_Numbered).number
    except (FleetError, msgspec.DecodeError, UnicodeDecodeError):
        return 0


def open_receipt(raw: bytes, key: str) -> Receipt:
    """The receipt signed by `key`. Raises: FleetError receipt.forged | receipt.malformed."""
    return decode(opened(raw, key, "receipt.forged"), Receipt, "receipt.malformed")


def open_anchor(raw: bytes, key: str) -> Anchor:
    """The anchor signed by `key`. Raises: FleetError anchor.forged."""
    return decode(opened(raw, key, "anchor.forged"), Anchor, "anchor.forged")


# ------------------------------------------------------------------ heartbeats and leases
class Beat(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`volumes`: some of those that lie on the node's disk; `instance`: drawn at random by each
    process of an agent, so that two with one identity are told apart.

    Both are left out but in every sixth beat, which follows a plain one: a platform that does not
    know them refuses it, and still hears the node.
    """

    format: Literal["gpuaas-beat/1"]
    node: str
    boot: str
    boottime_us: int
    volumes: tuple[str, ...] = ()
    instance: Annotated[str, Meta(max_length=32)] = ""


class LeaseRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A numbered `lease_renewed` event and the nonce of the reply before it."""

    event: Attested
    nonce: str


def beat_message(key: Ed25519PrivateKey, beat: Beat) -> bytes:
    """The signed heartbeat as published."""
    return sealed(key, beat)


def open_beat(raw: bytes, key: str) -> Beat:
    """The heartbeat signed by `key`. Raises: FleetError beat.forged | beat.malformed."""
    return decode(opened(raw, key, "beat.forged"), Beat, "beat.malformed")


def decode_attested(raw: bytes) -> Attested:
    """The message of `.evt`, not yet verified. Raises: FleetError attest.malformed."""
    return decode(raw, Attested, "attest.malformed", canonical=False)


def decode_lease(raw: bytes) -> LeaseRequest:
    """The message of `.lease`, not yet verified. Raises: FleetError lease.malformed."""
    return decode(raw, LeaseRequest, "lease.malformed", canonical=False)
