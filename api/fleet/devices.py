"""What follows from the health of devices: orders to the node, and returns by themselves.

A device that its own health put in quarantine is tested, wiped where receipts are owed, and
returned; what a person or a receipt put there waits for a person. All of it is derived from the
log, so looking again is always right.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.fleet.leases import ACTOR, for_node
from api.fleet.state import KnownNode
from contracts.devices import CheckDevices, DeviceOrder, SanitizeDevices
from contracts.fleet import Command
from domain import device, node, upkeep
from domain.words import MILLI
from evidence.append import Append, Write

_REASON = "health"


def due(known: KnownNode, now_us: int) -> node.Command | None:
    """The next thing to decide about the devices of this node; None when all is in order."""
    state = known.state
    if not isinstance(state, node.Serving) or state.upkeep.retired or state.identity.barred:
        return None
    for index, reason in enumerate(state.upkeep.quarantined):
        if not reason.startswith(device.HEALTH):
            continue
        if index in state.devices.sick:
            if device.due_test(state.devices, index, now_us):
                return device.RequestTest((index,), now_us)
        elif not state.upkeep.strict or _proven(state, index):
            return upkeep.Return((index,), now_us)
        elif _may_wipe(known, state, index):
            return upkeep.RequestSanitizing((index,), _REASON, now_us)
    return None


def appending(known: KnownNode, command: node.Command) -> Append | None:
    """The facts of what is due; None when there are none any more."""
    facts = tuple(node.decide(command, known.state))
    if not facts:
        return None
    write = Write(known.node, "-", known.version, facts)
    return Append((write,), actor=ACTOR, cause=f"pos:{known.last_position}")


def orders(key: Ed25519PrivateKey, known: KnownNode, now_us: int) -> list[Command]:
    """What the node was asked about its devices and has not answered; oldest first.

    The number is the position of the request. After BOX_US nobody asks any more.
    """
    return [
        for_node(key, known, now_us, position, _order(asked.kind, asked.devices))
        for position, asked in sorted(known.asked.items())
        if now_us - asked.decided_us < device.BOX_US
    ]


def _order(kind: str, devices: tuple[int, ...]) -> DeviceOrder:
    return SanitizeDevices(devices) if kind == "sanitize" else CheckDevices(devices)


def _proven(state: node.Serving, index: int) -> bool:
    busy = state.free[index] < MILLI
    return not (busy or state.upkeep.unproven[index] or state.kept[index])


def _may_wipe(known: KnownNode, state: node.Serving, index: int) -> bool:
    """Nobody is on it, nothing is asked already, and it was not tried in vain too often."""
    if state.free[index] < MILLI or known.unclean.get(index, 0) >= device.TRIES:
        return False
    return not any(
        index in asked.devices for asked in known.asked.values() if asked.kind == "sanitize"
    )
