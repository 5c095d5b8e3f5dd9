"""Leases as the control plane sees them: nonces, silence, and what is over when one has lapsed."""

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from api.ingest_state import KnownNode, LiveRuntime
from api.ingest_words import Ending
from contracts import fleet
from domain import node, runtime
from evidence.append import Append, Write

ACTOR = "system-ingest"


class Timing(Struct, frozen=True):
    """How long silence may last, us. A lapsed lease is only believed after `grace_us` more."""

    unreachable_us: int = fleet.UNREACHABLE_US
    grace_us: int = fleet.DRIFT_US + fleet.STOP_LATENCY_US


def nonce_of(key: Ed25519PrivateKey, node_id: str, position: int) -> str:
    """The nonce given with the anchor or renewal at `position`: nothing is stored, none is guessed.

    Derived from the command key, so a restarted control plane gives the same one again.
    """
    text = f"gpuaas-nonce/1\n{node_id}\n{position}".encode()
    return hmac.new(key.private_bytes_raw(), text, hashlib.sha256).hexdigest()[:32]


def silence(known: KnownNode, last_seen_us: int, now_us: int, timing: Timing) -> Append | None:
    """A change of reachability, if there is one: beats themselves never reach the log."""
    quiet = now_us - last_seen_us > timing.unreachable_us
    if quiet and known.reachable is True:
        return _on_node(known, node.Unreachable(max(last_seen_us, known.since_us)))
    if not quiet and known.reachable is False:
        return _on_node(known, node.Reachable(last_seen_us))
    return None


def overdue(known: KnownNode, now_us: int, timing: Timing) -> list[Ending]:
    """Runtimes of a node that can no longer be running, in order of allocation.

    Either the node has rebooted since they were started (its signed anchor proves it), or every
    lease of the node has lapsed so long ago that even a slow clock has stopped them.
    """
    lapsed = now_us > known.lease_end_us() + timing.grace_us
    return [
        _gone(known, live, now_us)
        for live in sorted(known.live.values(), key=lambda one: one.allocated_at)
        if lapsed or 0 <= live.starting_at < known.anchor_position
    ]


def _gone(known: KnownNode, live: LiveRuntime, now_us: int) -> Ending:
    cause = f"pos:{max(known.last_position, live.allocated_at)}"
    if not live.was_usable:
        return Ending(live.runtime, runtime.Cancelled("node.lost", now_us), ACTOR, cause)
    decided_us = max(now_us, live.lost_us)
    return Ending(live.runtime, runtime.Lost(live.lost_us, decided_us), ACTOR, cause)


def _on_node(known: KnownNode, fact: Struct) -> Append:
    write = Write(known.node, "-", known.version, (fact,))
    return Append((write,), actor=ACTOR, cause=f"pos:{known.last_position}")
