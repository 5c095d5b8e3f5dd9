"""What ingest needs of the log: nodes with their keys and leases, runtimes until they end.

A mutable fold, kept by one task; entries go in by order of position, whoever wrote them.
"""

from typing import Literal

from msgspec import Struct, field

from contracts import fleet
from domain import node, runtime
from domain.words import Attested, Share
from evidence.reader import Recorded

type Standing = Literal["requested", "allocated", "starting", "usable", "degraded", "stopping"]
_ENDED = (runtime.Stopped, runtime.Failed, runtime.Cancelled, runtime.Lost)


class LiveRuntime(Struct):
    """A runtime that has not ended. Positions are those of the facts that name them; -1 = none."""

    runtime: str
    org: str
    version: int = 0
    standing: Standing = "requested"
    node: str = ""
    allocation: str = ""
    epoch: int = 0
    devices: tuple[Share, ...] = ()
    allocated_at: int = -1
    starting_at: int = -1
    stopping_at: int = -1
    granted_us: int = 0
    previous_us: int = 0
    named_us: int | None = None
    was_usable: bool = False
    reason: str = ""

    @property
    def lost_us(self) -> int:
        """contracts/facts.md: the last renewal that named it, or its previous instant if later."""
        return max(self.previous_us, self.named_us or 0)


class KnownNode(Struct):
    """A node stream as far as ingest cares. `seqs`: the last number of each boot in the log."""

    node: str
    version: int = 0
    last_position: int = -1
    key: str = ""
    boot: str = ""
    anchor_position: int = -1
    anchor_us: int = 0
    anchor_boottime_us: int = 0
    nonce_position: int = -1
    lease_until_us: int = 0
    reachable: bool | None = None
    since_us: int = 0
    seqs: dict[str, int] = field(default_factory=dict)
    live: dict[str, LiveRuntime] = field(default_factory=dict)

    def instant(self, boottime_us: int) -> int:
        """Control-plane time of a boot time of the current boot (contracts/facts.md)."""
        return self.anchor_us + (boottime_us - self.anchor_boottime_us)

    def boottime(self, instant_us: int) -> int:
        """The current boot's CLOCK_BOOTTIME at an instant of ours."""
        return self.anchor_boottime_us + (instant_us - self.anchor_us)

    def lease_end_us(self) -> int:
        """Until when something may run here: the last renewal, or the grant of the last start."""
        grants = [one.granted_us for one in self.live.values()]
        return max([self.lease_until_us, *grants])


class FleetState:
    """`applied` = the next position to apply."""

    def __init__(self) -> None:
        self.applied = 0
        self.nodes: dict[str, KnownNode] = {}
        self.runtimes: dict[str, LiveRuntime] = {}

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

    def _node(self, entry: Recorded) -> None:
        known = self.nodes.setdefault(entry.stream, KnownNode(entry.stream))
        known.version = entry.version
        known.last_position = entry.position
        match entry.fact:
            case node.Enrolled(key=key):
                known.key = key
            case node.Anchored() as fact:
                known.boot = fact.boot
                known.anchor_us, known.anchor_boottime_us = fact.anchor_us, fact.boottime_us
                known.anchor_position = known.nonce_position = entry.position
                known.lease_until_us = 0
                if known.reachable is None:
                    known.reachable, known.since_us = True, fact.anchor_us
            case node.LeaseRenewed() as fact:
                known.nonce_position = entry.position
                known.lease_until_us = max(known.lease_until_us, fact.until_us)
                for name in fact.runtimes:
                    if name in known.live:
                        known.live[name].named_us = fact.renewed_us
            case node.Unreachable(since_us=since_us):
                known.reachable, known.since_us = False, since_us
            case node.Reachable(since_us=since_us):
                known.reachable, known.since_us = True, since_us
            case _:
                pass

    def _runtime(self, entry: Recorded) -> None:
        if isinstance(entry.fact, runtime.Requested):
            self.runtimes[entry.stream] = LiveRuntime(entry.stream, entry.org, entry.version)
            return
        live = self.runtimes.get(entry.stream)
        if live is None:
            return
        live.version = entry.version
        match entry.fact:
            case runtime.Allocated() as fact:
                self._allocated(live, entry.position, fact)
            case runtime.Starting(decided_us=decided_us):
                live.standing, live.starting_at = "starting", entry.position
                live.granted_us = decided_us + fleet.LEASE_US
            case runtime.Usable(usable_us=usable_us):
                live.standing, live.previous_us, live.was_usable = "usable", usable_us, True
            case runtime.Degraded(degraded_us=degraded_us):
                live.standing, live.previous_us = "degraded", degraded_us
            case runtime.Stopping(reason=reason):
                live.standing, live.reason, live.stopping_at = "stopping", reason, entry.position
            case fact if isinstance(fact, _ENDED):
                del self.runtimes[entry.stream]
                if live.node:
                    self.nodes[live.node].live.pop(live.runtime, None)
            case _:
                pass

    def _allocated(self, live: LiveRuntime, position: int, fact: runtime.Allocated) -> None:
        live.standing, live.allocated_at = "allocated", position
        live.node, live.allocation, live.epoch = fact.node, fact.allocation, fact.epoch
        live.devices, live.previous_us = fact.devices, fact.allocated_us
        live.granted_us = fact.allocated_us + fleet.LEASE_US
        self.nodes.setdefault(fact.node, KnownNode(fact.node)).live[live.runtime] = live
