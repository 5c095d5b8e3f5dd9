"""Leases as the control plane sees them: nonces, silence, and what is over when one has lapsed."""

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from api.fleet.state import KnownNode, LiveRuntime
from api.fleet.words import Ending
from contracts import fleet
from contracts.fleet import Command, Order
from domain import node, runtime
from domain.instants import LEASING, Leasing
from evidence.append import Append, Write

ACTOR = "system-ingest"
_BOOTS = 8


class Timing(Struct, frozen=True):
    """How long silence may last, us. A lapsed lease is only believed after `grace_us` more; the
    decider holds that against `leasing`.
    """

    unreachable_us: int = fleet.UNREACHABLE_US
    grace_us: int = LEASING.grace_us
    leasing: Leasing = LEASING


def timing_of(leasing: Leasing) -> Timing:
    """That of a deployment with these leases."""
    return Timing(grace_us=leasing.grace_us, leasing=leasing)


def nonce_of(key: Ed25519PrivateKey, node_id: str, position: int) -> str:
    """The nonce given with the anchor or renewal at `position`: nothing is stored, none is guessed.

    Derived from the command key, so a restarted control plane gives the same one again.
    """
    text = f"gpuaas-nonce/1\n{node_id}\n{position}".encode()
    return hmac.new(key.private_bytes_raw(), text, hashlib.sha256).hexdigest()[:32]


def for_node(
    key: Ed25519PrivateKey, known: KnownNode, now_us: int, number: int, order: Order
) -> Command:
    """A command about the node itself: of no allocation, good for an ownership lease."""
    return Command(
        format="gpuaas-command/1",
        number=number,
        node=known.node,
        boot=known.anchor.boot,
        allocation="",
        epoch=0,
        nonce=nonce_of(key, known.node, known.nonce_position),
        expires_boottime_us=known.boottime(now_us) + fleet.LEASE_US,
        order=order,
    )


def heard_before(boots: dict[str, tuple[str, ...]], node_id: str, boot: str) -> bool:
    """True when a boot speaks again after another one did: no machine goes back to an old boot.

    `boots` remembers, per node, the last few in the order they were first heard.
    """
    before = boots.get(node_id, ())
    if before and before[-1] == boot:
        return False
    boots[node_id] = (*before[1 - _BOOTS :], boot)
    return boot in before


def silence(known: KnownNode, last_seen_us: int, now_us: int, timing: Timing) -> Append | None:
    """A change of reachability, if there is one: beats themselves never reach the log."""
    if not known.anchor.boot:
        return None
    quiet = now_us - last_seen_us > timing.unreachable_us
    if quiet == known.unreachable:
        return None
    since_us = max(last_seen_us, known.since_us)
    command = node.MarkUnreachable(since_us) if quiet else node.MarkReachable(since_us)
    facts = node.decide(command, known.state)
    if not facts:
        return None
    write = Write(known.node, "-", known.version, tuple(facts))
    return Append((write,), actor=ACTOR, cause=f"pos:{known.last_position}")


def is_of_old_boot(known: KnownNode, live: LiveRuntime) -> bool:
    """True when its start was decided before the node's present boot: it is over, not to begin."""
    return 0 <= live.starting_at < known.anchor_position


def may_start(known: KnownNode, live: LiveRuntime, now_us: int) -> bool:
    """Whether an order to start it may leave: under this boot, by a clock heard lately."""
    return known.is_timed(now_us) and not is_of_old_boot(known, live)


def overdue(known: KnownNode, now_us: int, timing: Timing) -> list[Ending]:
    """Runtimes of a node that can no longer be running, in order of allocation.

    Either the node has rebooted since they were started (its signed anchor proves it), or every
    lease of the node has lapsed so long ago that even a slow clock has stopped them.
    """
    if not known.live:
        return []
    end_us = known.lease_end_us()
    lapsed = now_us > end_us + timing.grace_us
    over = [live for live in known.live.values() if lapsed or is_of_old_boot(known, live)]
    over.sort(key=lambda one: one.allocated_at)
    return [
        _gone(known, live, 0 if is_of_old_boot(known, live) else end_us, now_us, timing.leasing)
        for live in over
    ]


def _gone(
    known: KnownNode, live: LiveRuntime, until_us: int, now_us: int, leasing: Leasing
) -> Ending:
    cause = f"pos:{max(known.last_position, live.allocated_at)}"
    command: runtime.Command
    if live.starting_at < 0:
        command = runtime.Cancel("node.silent", now_us)
    else:
        renewed_us = known.renewed_us(live.runtime)
        command = runtime.DeclareLost(renewed_us, until_us, now_us, leasing.grace_us)
    (fact,) = runtime.decide(command, live.state)
    assert isinstance(fact, runtime.Cancelled | runtime.Lost)
    return Ending(live.runtime, fact, ACTOR, cause)
