"""Who may still say something of an account's time: nodes on which something of it is not over.

What a node says comes in order, so once it has said anything at an instant or later, all that it
had to say of the time before is in the log.
"""

from typing import Final

from msgspec import Struct

from domain import meter, node, runtime, volume_facts
from projections.entries import Entry

TAGS: Final = frozenset(
    f"gpuaas.{name}.v1"
    for name in (
        "node.anchored",
        "node.lease_renewed",
        "runtime.requested",
        "runtime.allocated",
        "runtime.stopped",
        "runtime.failed",
        "runtime.cancelled",
        "runtime.lost",
        "volume.created",
        "volume.wiped",
        "volume.lost",
        "meter.registered",
    )
) | {"gpuaas.meter.registered.v2"}
_OVER: Final = (
    *(runtime.Stopped, runtime.Failed, runtime.Cancelled, runtime.Lost),
    *(volume_facts.Wiped, volume_facts.Lost),
)


class Sources:
    """A fold of the log."""

    def __init__(self) -> None:
        self.readings = False  # a meter of readings is registered
        self.versions: dict[str, int] = {}  # of nodes
        self._payer: dict[str, str] = {}  # of runtimes that are not allocated yet
        self._there: dict[str, tuple[str, str]] = {}  # runtime or volume -> (account, node)
        self._nodes: dict[str, dict[str, int]] = {}  # account -> node -> how many are there
        self._spoke_us: dict[str, int] = {}

    def saw(self, entry: Entry) -> None:
        """An entry of any kind: how far the streams of nodes have come."""
        if entry.stream.startswith("node-"):
            self.versions[entry.stream] = entry.version

    def apply(self, entry: Entry, fact: Struct) -> None:
        """Remembers the fact; facts of other kinds change nothing."""
        match fact:
            case node.Anchored():
                self._spoke(entry.stream, fact.anchor_us)
            case node.LeaseRenewed():
                self._spoke(entry.stream, fact.renewed_us)
            case runtime.Requested():
                self._payer[entry.stream] = fact.account
            case runtime.Allocated():
                self._placed(entry.stream, self._payer.pop(entry.stream, ""), fact.node)
            case volume_facts.Created():
                self._placed(entry.stream, fact.account, fact.node)
            case meter.Registered():
                self.readings |= fact.source == "readings"
            case _ if isinstance(fact, _OVER):
                self._over(entry.stream)
            case _ if entry.tag == "gpuaas.meter.registered.v2":
                self.readings = True
            case _:
                pass

    def silent(self, account: str, end_us: int) -> tuple[tuple[str, int], ...]:
        """The account's nodes that have said nothing since the instant, in order of their ids, and
        how far each one's stream has come: by then it is so.
        """
        nodes = self._nodes.get(account, {})
        names = sorted(one for one in nodes if self._spoke_us.get(one, 0) < end_us)
        return tuple((one, self.versions.get(one, 0)) for one in names)

    def _spoke(self, stream: str, at_us: int) -> None:
        self._spoke_us[stream] = max(at_us, self._spoke_us.get(stream, 0))

    def _placed(self, stream: str, account: str, where: str) -> None:
        self._there[stream] = (account, where)
        nodes = self._nodes.setdefault(account, {})
        nodes[where] = nodes.get(where, 0) + 1

    def _over(self, stream: str) -> None:
        self._payer.pop(stream, None)
        account, where = self._there.pop(stream, ("", ""))
        nodes = self._nodes.get(account, {})
        if where in nodes:
            nodes[where] -= 1
            if not nodes[where]:
                del nodes[where]
