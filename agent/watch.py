"""From what the probe sees to what the agent says: each change of state exactly once."""

from agent import lease
from agent.engine import Counted
from agent.orders import Node, tell
from agent.runtimes import Observed, Route
from contracts import fleet
from contracts.fleet import Said
from contracts.network import EGRESS_COUNTED

_TOLD = "SELECT state FROM told WHERE allocation = :allocation"
_TAGS = {
    "usable": fleet.USABLE,
    "degraded": fleet.DEGRADED,
    "stopped": fleet.STOPPED,
    "failed": fleet.FAILED,
}
_OVER = ("stopped", "failed")
_EGRESS_US = 60_000_000


def announce(node: Node, now_us: int) -> None:
    """The boot's anchor is the first thing said under a boot, once."""
    if node.spool.is_new_boot():
        node.spool.add(fleet.ANCHORED, node.node, now_us, {})


def report(node: Node, now_us: int) -> int:
    """How many changes were spooled.

    `usable` and recovery count from the probe that saw them, never from before it; the end and
    the loss of a GPU count from when they happened.
    """
    count = 0
    for seen in node.runtimes.observe(now_us):
        row = node.store.conn.execute(_TOLD, {"allocation": seen.allocation}).fetchone()
        told = "starting" if row is None else str(row[0])
        if seen.route is not None and told not in _OVER:
            count += _route(node, seen, seen.route, now_us)
        if told not in _OVER:
            count += _egress(node, seen, now_us)
        if seen.state in {told, "starting"} or told in _OVER:
            continue
        if seen.state == "degraded" and told == "starting":
            continue
        with node.store.transaction():
            message = node.spool.add(
                _TAGS[seen.state],
                seen.runtime,
                now_us if seen.state == "usable" else seen.since_us,
                _said(seen),
            )
            tell(node, seen.allocation, seen.state, message)
        count += 1
    return count


def _route(node: Node, seen: Observed, route: Route, now_us: int) -> int:
    """Where it answers is said before `usable`, and again when it moved."""
    key = f"{seen.allocation}/route"
    state = f"{route.address} {route.port} {route.host_key}"
    row = node.store.conn.execute(_TOLD, {"allocation": key}).fetchone()
    if row is not None and row[0] == state:
        return 0
    said: Said = {"address": route.address, "port": route.port, "host_key": route.host_key}
    with node.store.transaction():
        message = node.spool.add(fleet.ROUTED, seen.runtime, now_us, said)
        tell(node, key, state, message)
    return 1


def _egress(node: Node, seen: Observed, now_us: int) -> int:
    """What passed is said once a minute while it grows, and before the runtime's end."""
    counted = seen.counted
    if counted == Counted():
        return 0
    key = f"{seen.allocation}/egress"
    row = node.store.conn.execute(_TOLD, {"allocation": key}).fetchone()
    said, at_us = (Counted(), -_EGRESS_US) if row is None else _egress_told(str(row[0]))
    over = seen.state in _OVER
    if counted == said or (now_us - at_us < _EGRESS_US and not over):
        return 0
    words: Said = {
        "sent_bytes": counted.sent_bytes, "received_bytes": counted.received_bytes
    }  # fmt: skip
    with node.store.transaction():
        message = node.spool.add(EGRESS_COUNTED, seen.runtime, now_us, words)
        state = f"{counted.sent_bytes} {counted.received_bytes} {now_us}"
        tell(node, key, state, message)
    return 1


def _egress_told(state: str) -> tuple[Counted, int]:
    sent, received, at_us = state.split()
    return Counted(int(sent), int(received)), int(at_us)


def renew(node: Node, now_us: int, renew_us: int) -> bool:
    """True when a lease request was spooled: something lives here, and it is time.

    The request carries the instant before it is sent; however late the reply, the lease counts
    from there.
    """
    seen = node.runtimes.observe(now_us)
    if all(one.state in _OVER for one in seen) or node.spool.lease_pending():
        return False
    nonce = lease.latest_nonce(node.store, node.boot)
    if not nonce or not lease.is_due(lease.held(node.store, node.boot), now_us, renew_us):
        return False
    usable = sorted(one.runtime for one in seen if one.state == "usable")
    node.spool.add(fleet.LEASE_RENEWED, node.node, now_us, {"runtimes": usable}, nonce=nonce)
    return True


def obey(node: Node, receipt: fleet.Receipt, now_us: int) -> bool:
    """True when the receipt freed an event. Idempotent; the receipt's signature was checked."""
    if receipt.boot == node.boot:
        # Before anything is granted: a receipt that renews the rest may stop these.
        for runtime in receipt.revoked:
            for seen in node.runtimes.observe(now_us):
                if seen.runtime == runtime:
                    node.runtimes.stop(seen.allocation, now_us)
    with node.store.transaction():
        freed = node.spool.free(receipt.boot, receipt.seq)
        if receipt.boot != node.boot:
            return freed
        if isinstance(receipt.nonce, str):
            lease.learn_nonce(node.store, node.boot, receipt.nonce)
        if isinstance(receipt.granted, fleet.Granted):
            granted = receipt.granted
            until_us = min(granted.until_boottime_us, granted.from_boottime_us + node.lease_us)
            lease.hold(node.store, node.boot, until_us, granted.from_boottime_us)
            node.runtimes.arm(until_us, now_us)
    return freed


def contradict(node: Node, receipt: fleet.Receipt, now_us: int) -> bool:
    """True when a receipt showed that another agent speaks with our key, and it was told.

    Numbers are on disk before they are sent, so one we never gave is a copy's, or we are the
    copy. Any word of ours under a number that is used makes the control plane bar us both.
    """
    if receipt.boot != node.boot or node.spool.gave(receipt.boot, receipt.seq):
        return False
    if node.spool.pending(1):
        return False  # that word is under such a number, or will be
    node.spool.add(fleet.ANCHORED, node.node, now_us, {})
    return True


def leases_of(node: Node, now_us: int) -> dict[str, int]:
    """Until when (boot time) the runtime of each allocation that runs here may run."""
    held = lease.held(node.store, node.boot)
    if held is None:
        return {}
    seen = node.runtimes.observe(now_us)
    return {one.allocation: held.until_us for one in seen if one.state not in _OVER}


def void(node: Node, now_us: int) -> None:
    """Nothing runs here any more."""
    for seen in node.runtimes.observe(now_us):
        node.runtimes.stop(seen.allocation, now_us)


def _said(seen: Observed) -> Said:
    # Keys as contracts/facts.md prescribes them for the tag.
    return {"code": seen.code} if seen.state == "failed" else {}
