"""Volumes that are over and still lie on a node's disk: the node is told to wipe them.

A node lists what lies there in its heartbeats. What the log knows as lost or deleted is wiped,
whoever it had enrolled as when it made that; what the log has never heard of is left alone.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.fleet import devices
from api.fleet.devices import appending
from api.fleet.leases import for_node
from api.fleet.state import FleetState, KnownNode
from contracts.fleet import Command
from contracts.volumes import WipeStray
from domain import node, stray
from evidence.append import Append


def due(state: FleetState, known: KnownNode, now_us: int) -> stray.RequestWipe | None:
    """The next wipe to ask of the node; None when nothing that is over lies there unasked."""
    serving = known.state
    if not isinstance(serving, node.Serving) or serving.upkeep.retired or serving.identity.barred:
        return None
    for name in known.lying:
        if name in state.volumes.over and stray.due(serving.strays, name, now_us):
            return stray.RequestWipe(name, now_us)
    return None


def next_due(state: FleetState, known: KnownNode, now_us: int) -> node.Command | None:
    """The next thing to decide about its devices, or to ask of what lies on its disk."""
    return devices.due(known, now_us) or due(state, known, now_us)


def refused(known: KnownNode, number: int, code: str, now_us: int) -> Append | None:
    """The end of the request of that number; None when no such one is open."""
    for name, position in known.wiping.items():
        if position == number:
            return appending(known, stray.RefuseWipe(name, number, code, now_us))
    return None


def orders(key: Ed25519PrivateKey, known: KnownNode, now_us: int) -> list[Command]:
    """What was asked and not answered, oldest first; numbered by the position of the request."""
    return [
        for_node(key, known, now_us, position, WipeStray(name))
        for name, position in sorted(known.wiping.items(), key=lambda one: one[1])
    ]
