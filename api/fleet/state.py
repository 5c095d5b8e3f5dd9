"""What ingest needs of the log: nodes with their keys and leases, runtimes until they end.

A mutable fold, kept by one task; entries go in by order of position, whoever wrote them.
"""

from typing import Literal

from msgspec import Struct, field

from api.fleet.terminals import Terminals
from api.fleet.volumes import Volumes
from contracts import fleet
from contracts.network import Egress, Policy, Protocol
from contracts.spec import VolumeMount
from domain import device, network, node, node_facts, runtime, stray, upkeep, volume
from domain.identity import Identity
from domain.instants import LEASING, Anchor, Leasing
from domain.runtime_facts import Configured
from domain.wallet_facts import EXHAUSTED, HoldPlaced
from domain.words import Attested, Share
from evidence.reader import Recorded

type RuntimeState = runtime.State
type NodeState = node.State
_UNINVITED = node.Missing()


class LiveRuntime(Struct):
    """A runtime that has not ended, its decider's state, and where the log says it.

    Positions are those of the facts that name them; -1 = none. `granted_us`: until when its
    allocation, then its start, lets it run without any renewal. `idle_since_us`: by its node, 0
    while it is used; `idle_stop_us`: it is stopped after so long, 0 for never. `prepaid`: its lease
    is renewed with its wallet's hold only.
    """

    runtime: str
    org: str
    state: RuntimeState
    version: int = 0
    node: str = ""
    allocation: str = ""
    epoch: int = 0
    devices: tuple[Share, ...] = ()
    configured: Configured | None = None
    network: str = ""
    sent_bytes: int = 0
    received_bytes: int = 0
    allocated_at: int = -1
    starting_at: int = -1
    stopping_at: int = -1
    granted_us: int = 0
    reason: str = ""
    idle_since_us: int = 0
    idle_stop_us: int = 0
    prepaid: bool = False
    mounts: list[VolumeMount] = field(default_factory=list)


class Asked(Struct, frozen=True):
    """A request about devices that the node has not answered."""

    kind: Literal["test", "sanitize"]
    devices: tuple[int, ...]
    decided_us: int


class KnownNode(Struct):
    """A node stream as far as ingest cares. `seqs`: the last number used in each boot.

    `asked`: by position of the request. `unclean`: receipts without proof since the last clean
    one, by device. `wiping`: the position of the request by volume; `lying`: volumes that it
    listed last. `lease_us`: how long its last lease lasts.
    """

    node: str
    state: NodeState = _UNINVITED
    version: int = 0
    last_position: int = -1
    anchor_position: int = -1
    nonce_position: int = -1
    lease_until_us: int = 0
    lease_us: int = 0
    since_us: int = 0
    seqs: dict[str, int] = field(default_factory=dict)
    live: dict[str, LiveRuntime] = field(default_factory=dict)
    asked: dict[int, Asked] = field(default_factory=dict)
    unclean: dict[int, int] = field(default_factory=dict)
    wiping: dict[str, int] = field(default_factory=dict)
    lying: tuple[str, ...] = ()
    clock: Anchor = Anchor("", 0, 0)

    @property
    def key(self) -> str:
        """The enrolled event key; empty before enrolment."""
        return self.state.enrolled.key if isinstance(self.state, node.Serving) else ""

    @property
    def identity(self) -> Identity:
        """Its other keys, and whether it is barred."""
        return Identity() if isinstance(self.state, node.Missing) else self.state.identity

    @property
    def anchor(self) -> Anchor:
        """Of the latest boot; its boot is empty before the first."""
        return self.state.anchor if isinstance(self.state, node.Serving) else Anchor("", 0, 0)

    @property
    def unreachable(self) -> bool:
        return isinstance(self.state, node.Serving) and self.state.unreachable

    def heard(self, boot: str, boottime_us: int, now_us: int) -> None:
        """A heartbeat arrived: by now, the clock of the present boot shows at least this."""
        if boot == self.anchor.boot:
            self.clock = Anchor(boot, boottime_us, now_us)

    def wiped(self, name: str) -> None:
        """It was listed before its receipt came: it lies there no more."""
        self.lying = tuple(one for one in self.lying if one != name)

    def boottime(self, instant_us: int) -> int:
        """The current boot's CLOCK_BOOTTIME at an instant of ours, or a little less.

        Counted from the last heartbeat: since its anchor, a clock slow within its bound may have
        fallen behind by more than any lease allows for.
        """
        clock = self._told()
        return clock.boottime_us + (instant_us - clock.anchor_us)

    def is_timed(self, now_us: int) -> bool:
        """Whether its clock was heard so lately that a deadline can be set on it.

        What it drifts since, and in the lease that follows, stays within the bound for drift. A
        platform that has just started waits for a heartbeat before it orders a start.
        """
        return now_us - self._told().anchor_us <= fleet.LEASE_US

    def _told(self) -> Anchor:
        return self.clock if self.clock.boot == self.anchor.boot else self.anchor

    def renewed_us(self, name: str) -> int | None:
        """When the last renewal that named this runtime was asked for."""
        lease = self.state.leases.get(name) if isinstance(self.state, node.Serving) else None
        return None if lease is None else lease.renewed_us

    def holding(self) -> bool:
        """Whether something runs here whose wallet must hold for it before the lease goes on."""
        return any(
            one.prepaid and not isinstance(one.state, runtime.Ending) for one in self.live.values()
        )

    def exhausted(self) -> tuple[str, ...]:
        """Runtimes whose wallets could not hold for them any longer, and that may run still."""
        return tuple(
            sorted(
                one.runtime
                for one in self.live.values()
                if isinstance(one.state, runtime.Ending) and one.reason == EXHAUSTED
            )
        )

    def lease_end_us(self) -> int:
        """Until when something may run here: the last renewal, or the grant of the last start."""
        grants = [one.granted_us for one in self.live.values()]
        return max([self.lease_until_us, *grants])


class KnownNetwork(Struct, frozen=True):
    """The policy in force, and the position of the fact that made it so."""

    policy: Policy
    changed_at: int


class FleetState:
    """`applied` = the next position to apply; `touched` = nodes with news, its reader
    empties it.
    """

    def __init__(self, leasing: Leasing = LEASING) -> None:
        self.leasing = leasing
        self.applied = 0
        self.touched: set[str] = set()
        self.nodes: dict[str, KnownNode] = {}
        self.runtimes: dict[str, LiveRuntime] = {}
        self.networks: dict[str, KnownNetwork] = {}
        self.terminals = Terminals()
        self.volumes = Volumes()

    def apply(self, entry: Recorded) -> None:
        """The state after this entry, which must be at position `applied` or later.

        Entries between that concern neither nodes nor runtimes may be left out.
        """
        assert entry.position >= self.applied, (entry.position, self.applied)
        self.applied = entry.position + 1
        attested = getattr(entry.fact, "attested", None)
        if isinstance(attested, Attested):
            seqs = self.nodes[attested.node].seqs
            seqs[attested.boot] = max(seqs.get(attested.boot, 0), attested.seq)
        if entry.stream.startswith("node-"):
            self._node(entry)
        elif entry.stream.startswith("runtime-"):
            self._runtime(entry)
        elif entry.stream.startswith("network-"):
            self._network(entry)
        elif entry.stream.startswith("access-"):
            live = self.runtimes.get(self.terminals.apply(entry))
            if live is not None and live.node:
                self.touched.add(live.node)
        elif isinstance(entry.fact, HoldPlaced):
            live = self.runtimes.get(entry.fact.runtime)
            if live is not None:
                live.prepaid = True
                # Whatever leases last now, it was given what is held for.
                live.granted_us = entry.fact.until_us - self.leasing.grace_us
        elif entry.stream.startswith("volume-"):
            lies = self.volumes.apply(entry)
            self.touched.add(lies)
            if isinstance(entry.fact, volume.Wiped) and lies in self.nodes:
                self.nodes[lies].wiped(entry.stream)
            if isinstance(entry.fact, volume.Attached):
                # Its runtime's admission is the same append: it is there, or over already.
                live = self.runtimes.get(entry.fact.runtime)
                if live is not None:
                    live.mounts.append(VolumeMount(entry.stream, entry.fact.path))

    def asks(self, known: KnownNode) -> bool:
        """Whether an order about its devices or volumes has no answer."""
        return bool(known.asked or known.wiping or self.volumes.asked.get(known.node))

    def _network(self, entry: Recorded) -> None:
        fact: network.Event = entry.fact  # type: ignore[assignment]
        internal, egress = False, tuple[network.Rule, ...]()
        if isinstance(fact, network.Created | network.PolicyChanged):
            internal, egress = fact.internal, fact.egress
        rules = tuple(
            Egress(one.cidr, _protocol(one.protocol), one.first_port, one.last_port)
            for one in egress
        )
        policy = Policy(entry.stream, entry.version, internal, rules)
        self.networks[entry.stream] = KnownNetwork(policy, entry.position)
        inside = (one.node for one in self.runtimes.values() if one.network == entry.stream)
        self.touched.update(node for node in inside if node)

    def _node(self, entry: Recorded) -> None:
        known = self.nodes.setdefault(entry.stream, KnownNode(entry.stream))
        self.touched.add(entry.stream)
        known.version = entry.version
        known.last_position = entry.position
        fact: node.Event = entry.fact  # type: ignore[assignment]
        known.state = node.evolve(known.state, fact)
        match fact:
            case node.Anchored(anchor_us=anchor_us):
                known.anchor_position = known.nonce_position = entry.position
                known.lease_until_us, known.since_us = 0, anchor_us
            case node.LeaseRenewed(renewed_us=renewed_us, until_us=until_us):
                known.nonce_position = entry.position
                known.lease_us = until_us - renewed_us
                # The node counts from before it asked, so from no later than this append: the
                # anchor's instant may lie before the true one when its clock is slow.
                lease_end = max(until_us, entry.at_us + known.lease_us)
                known.lease_until_us = max(known.lease_until_us, lease_end)
            case node.Unreachable(since_us=since_us) | node.Reachable(since_us=since_us):
                known.since_us = since_us
            case node.Enrolled():
                known.asked.clear()
            case _:
                _asked(known, entry.position, fact)

    def _runtime(self, entry: Recorded) -> None:
        fact: runtime.Event = entry.fact  # type: ignore[assignment]
        live = self.runtimes.get(entry.stream)
        if live is None:
            live = LiveRuntime(entry.stream, entry.org, runtime.Missing())
            self.runtimes[entry.stream] = live
        live.version = entry.version
        live.state = runtime.evolve(live.state, fact)
        if live.node:
            self.touched.add(live.node)
        match fact:
            case runtime.Allocated():
                live.node, live.allocation, live.epoch = fact.node, fact.allocation, fact.epoch
                live.devices, live.allocated_at = fact.devices, entry.position
                live.granted_us = fact.allocated_us + fleet.LEASE_US
                self.nodes.setdefault(fact.node, KnownNode(fact.node)).live[live.runtime] = live
            case runtime.Configured():
                live.configured = fact
            case runtime.Networked():
                live.network = fact.network
            case runtime.IdleLimited(stop_after_us=stop_after_us):
                live.idle_stop_us = stop_after_us
            case runtime.Idle(idle_us=idle_us, decided_us=decided_us):
                usable_us = getattr(live.state, "previous_us", decided_us)
                live.idle_since_us = max(usable_us, decided_us - idle_us)
            case runtime.Busy() | runtime.Usable() | runtime.Degraded():
                live.idle_since_us = 0
            case runtime.EgressCounted():
                live.sent_bytes, live.received_bytes = fact.sent_bytes, fact.received_bytes
            case runtime.Starting(decided_us=decided_us):
                live.starting_at = entry.position
                # Of a prepaid one the first hold counts from its allocation, whenever it starts.
                if not live.prepaid:
                    live.granted_us = decided_us + fleet.LEASE_US
            case runtime.Stopping(reason=reason):
                live.reason, live.stopping_at = reason, entry.position
            case runtime.Stopped() | runtime.Failed() | runtime.Cancelled() | runtime.Lost():
                del self.runtimes[entry.stream]
                self.terminals.runtime_over(entry.stream, entry.at_us)
                if live.node:
                    self.nodes[live.node].live.pop(live.runtime, None)
            case _:
                pass


def _protocol(word: str) -> Protocol:
    return "udp" if word == "udp" else "tcp"


def _asked(known: KnownNode, position: int, fact: Struct) -> None:
    match fact:
        case device.DeviceTestRequested():
            known.asked[position] = Asked("test", fact.devices, fact.decided_us)
        case device.DeviceTested():
            known.asked.pop(fact.command, None)
        case node_facts.SanitizeRequested():
            known.asked[position] = Asked("sanitize", fact.devices, fact.decided_us)
        case node_facts.Sanitized():
            clean = upkeep.is_clean(fact)
            for index in fact.devices:
                known.unclean[index] = 0 if clean else known.unclean.get(index, 0) + 1
            same = (
                at
                for at, one in sorted(known.asked.items())
                if (one.kind, one.devices) == ("sanitize", fact.devices)
            )
            known.asked.pop(next(same, -1), None)
        case stray.VolumeWipeRequested(volume=name):
            known.wiping[name] = position
        case stray.VolumeWipeRefused(volume=name):
            known.wiping.pop(name, None)
        case stray.VolumeWiped(volume=name):
            known.wiping.pop(name, None)
            known.wiped(name)
        case _:
            pass
