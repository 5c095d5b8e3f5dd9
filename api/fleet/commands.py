"""Signed orders to nodes: derived from the log alone, so sending them again is always right."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import UNSET, UnsetType
from nats.js import api as jetstream
from nats.js.client import JetStreamContext

from api.fleet import devices, idleness, strays
from api.fleet.leases import ACTOR, for_node, nonce_of
from api.fleet.state import FleetState, KnownNetwork, KnownNode, LiveRuntime
from api.fleet.terminals import Wanted
from api.work_queue import ensure_work_queue
from contracts import fleet
from contracts.fleet import Command, Order, Share, StartRuntime, StopRuntime
from contracts.network import Policy, SetPolicy
from contracts.spec import Spec, principal
from domain import runtime
from evidence.append import Append, Write

_DAY_S = 86_400
_PER_SUBJECT = 1_000


async def ensure_streams(stream: JetStreamContext) -> None:
    """NODE_EVT and NODE_CMD exist. Acknowledged messages are gone; a full subject refuses more."""
    for name, subjects in (
        (fleet.EVT_STREAM, fleet.EVT_SUBJECTS),
        (fleet.CMD_STREAM, fleet.CMD_SUBJECTS),
    ):
        await ensure_work_queue(stream, name, subjects, per_subject=_PER_SUBJECT, age_s=_DAY_S)


async def ensure_consumer(stream: JetStreamContext, node: str) -> None:
    """The node's durable pull consumer on NODE_CMD; a repeat changes nothing."""
    await stream.add_consumer(
        fleet.CMD_STREAM,
        jetstream.ConsumerConfig(
            durable_name=node,
            filter_subject=fleet.subject(node, "cmd"),
            ack_policy=jetstream.AckPolicy.EXPLICIT,
            ack_wait=10,
            max_ack_pending=64,
        ),
    )


def terminal_order(
    key: Ed25519PrivateKey, known: KnownNode, live: LiveRuntime, wanted: Wanted, now_us: int
) -> Command:
    """The order to open or close a terminal, under the allocation that it was opened for."""
    return Command(
        format="gpuaas-command/1",
        number=wanted.number,
        node=known.node,
        boot=known.anchor.boot,
        allocation=live.allocation,
        epoch=live.epoch,
        nonce=nonce_of(key, known.node, known.nonce_position),
        expires_boottime_us=known.boottime(now_us) + wanted.until_us,
        order=wanted.order,
    )


def lasting(
    key: Ed25519PrivateKey, known: KnownNode, state: FleetState, now_us: int
) -> list[Command]:
    """What the node was asked about its devices and volumes and has not answered.

    The number is the position of the request.
    """
    return (
        devices.orders(key, known, now_us)
        + [
            for_node(key, known, now_us, wanted.number, wanted.order)
            for wanted in state.volumes.wanted(known.node)
        ]
        + strays.orders(key, known, now_us)
    )


def starting(live: LiveRuntime, now_us: int) -> Append:
    """The fact that comes before the order: from it on, the device is held for a whole lease."""
    return _decided(live, runtime.Start(live.allocated_at, now_us), live.allocated_at)


def stopping(live: LiveRuntime, reason: str, now_us: int) -> Append:
    """The platform gives up on a start: only the node's word that it stopped frees the device."""
    return _decided(live, runtime.Stop(reason, now_us), live.starting_at)


def unused(live: LiveRuntime, now_us: int) -> Append:
    """Nobody uses it, for longer than its launch allows. It loses to any word that came first."""
    return _decided(live, runtime.Stop(idleness.REASON, now_us), live.starting_at)


def _decided(live: LiveRuntime, command: runtime.Command, cause: int) -> Append:
    facts = tuple(runtime.decide(command, live.state))
    write = Write(live.runtime, live.org, live.version, facts)
    return Append((write,), actor=ACTOR, cause=f"pos:{cause}")


def order_of(
    key: Ed25519PrivateKey,
    known: KnownNode,
    live: LiveRuntime,
    now_us: int,
    ssh_ca: tuple[str, ...] = (),
    policy: Policy | None = None,
) -> Command | None:
    """What the node must be told about this runtime now; None when nothing.

    Its number is the position of the fact that caused it, so the same order has the same number
    however often and by whomever it is sent. A start is good until the lease its `starting` fact
    granted ends; a stop is renewed each time it is sent. `ssh_ca`: the user CAs its sshd trusts.
    `policy`: of its network, as it is now.
    """
    match live.state:
        case runtime.Booting():
            number = live.allocated_at
            lease_end = known.boottime(live.granted_us)
            shares = tuple(Share(one.index, one.milli) for one in live.devices)
            order: Order = StartRuntime(
                live.runtime, shares, lease_end, spec_of(live, ssh_ca, policy)
            )
            expires = lease_end
        case runtime.Ending():
            number = live.stopping_at
            order = StopRuntime(live.runtime, live.reason)
            expires = known.boottime(now_us) + fleet.LEASE_US
        case _:
            return None
    return Command(
        format="gpuaas-command/1",
        number=number,
        node=known.node,
        boot=known.anchor.boot,
        allocation=live.allocation,
        epoch=live.epoch,
        nonce=nonce_of(key, known.node, known.nonce_position),
        expires_boottime_us=expires,
        order=order,
    )


def policies(
    key: Ed25519PrivateKey, known: KnownNode, networks: dict[str, KnownNetwork], now_us: int
) -> list[Command]:
    """The changed policies of all networks that runtimes of this node are in, in order of change.

    Each is good for all of them here, those that start later included: its number is the position
    of the change. What was never changed, starts carry.
    """
    used = {live.network for live in known.live.values() if live.network in networks}
    changed = (networks[name] for name in used if networks[name].policy.version > 1)
    return [
        for_node(key, known, now_us, one.changed_at, SetPolicy(one.policy))
        for one in sorted(changed, key=lambda one: one.changed_at)
    ]


def spec_of(
    live: LiveRuntime, ssh_ca: tuple[str, ...], policy: Policy | None = None
) -> Spec | UnsetType:
    """What the container is made of; UNSET for a runtime launched without an image."""
    made = live.configured
    if made is None:
        return UNSET
    return Spec(
        image=made.image,
        digest=made.digest,
        cpu_milli=made.cpu_milli,
        memory_bytes=made.memory_bytes,
        pids=made.pids,
        restarts=made.restarts,
        ssh_ca=ssh_ca,
        principal=principal(live.allocation, live.epoch),
        volumes=tuple(live.mounts),
        network=policy,
    )
