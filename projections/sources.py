"""Who may still say something of an account's time: nodes on which something of it is not over, and
sources of readings.

What a node says comes in order, so once it has said anything at an instant or later, all that it
had to say of lifecycles before is in the log. Readings come by themselves: their source says when
it has told all (contracts/rating.md section 8).
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from domain import node, project, runtime, source, volume_facts
from domain.reading import Reading
from domain.sealing import SourceCompleted
from projections.entries import Entry
from projections.months import derived_id

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
        "project.created",
        "project.moved",
        "source.registered",
        "source.revoked",
        "usage.source_completed",
    )
)


class Silent(Struct, frozen=True):
    """Who is missing, and how far the stream has come on which it would speak."""

    name: str
    stream: str
    version: int


class _Source(Struct, frozen=True):
    """A source of readings that may report; `account`: of its project."""

    account: str
    since_us: int


class Sources:
    """A fold of the log."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}  # of nodes
        self._payer: dict[str, str] = {}  # of runtimes that are not allocated yet
        self._there: dict[str, tuple[str, str]] = {}  # runtime or volume -> (account, node)
        self._nodes: dict[str, dict[str, int]] = {}  # account -> node -> how many are there
        self._left_us: dict[str, dict[str, int]] = {}  # account -> node -> when the last one ended
        self._spoke_us: dict[str, int] = {}
        self._projects: dict[str, str] = {}  # their accounts
        self._sources: dict[str, _Source] = {}
        self._reporting: set[str] = set()  # nodes that have reported readings
        self._told: dict[str, tuple[int, int]] = {}  # source -> until when, version of the word

    def saw(self, entry: Entry) -> None:
        """An entry of any kind: how far the streams of nodes have come."""
        if entry.stream.startswith("node-"):
            self.versions[entry.stream] = entry.version

    def reported(self, readings: Iterable[Reading]) -> None:
        """Readings that were sealed: a node among their sources will say when it has told all."""
        self._reporting.update(one.source for one in readings if one.sig)

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
            case runtime.Stopped():
                self._over(entry.stream, fact.stopped_us)
            case runtime.Failed():
                self._over(entry.stream, fact.failed_us)
            case runtime.Cancelled():
                self._over(entry.stream, fact.decided_us)
            case runtime.Lost() | volume_facts.Lost():
                self._over(entry.stream, fact.lost_us)
            case volume_facts.Wiped():
                self._over(entry.stream, fact.wiped_us)
            case project.Created() | project.Moved():
                self._projects[entry.stream] = fact.account
            case source.Registered():
                account = self._projects.get(fact.project, "")
                self._sources[entry.stream] = _Source(account, fact.registered_us)
            case source.Revoked():
                self._sources.pop(entry.stream, None)
            case SourceCompleted():
                self._told[fact.source] = (fact.until_us, entry.version)
            case _:
                pass

    def silent(self, account: str, start_us: int, end_us: int) -> tuple[Silent, ...]:
        """Who may still say something of the account's `[start_us, end_us)`, in order of their ids,
        each with how far its word has come: by then it is so.
        """
        nodes, left = self._nodes.get(account, {}), self._left_us.get(account, {})
        found = {
            name: Silent(name, name, self.versions.get(name, 0))
            for name in nodes
            if self._spoke_us.get(name, 0) < end_us
        }
        reporting = [
            name
            for name in self._reporting & (nodes.keys() | left.keys())
            if name in nodes or left[name] >= start_us
        ]
        reporting += [
            name
            for name, one in self._sources.items()
            if one.account == account and one.since_us < end_us
        ]
        for name in reporting:
            until_us, version = self._told.get(name, (0, 0))
            if until_us < end_us and name not in found:
                found[name] = Silent(name, completed_stream(name), version)
        return tuple(found[name] for name in sorted(found))

    def _spoke(self, stream: str, at_us: int) -> None:
        self._spoke_us[stream] = max(at_us, self._spoke_us.get(stream, 0))

    def _placed(self, stream: str, account: str, where: str) -> None:
        self._there[stream] = (account, where)
        nodes = self._nodes.setdefault(account, {})
        nodes[where] = nodes.get(where, 0) + 1

    def _over(self, stream: str, at_us: int) -> None:
        self._payer.pop(stream, None)
        account, where = self._there.pop(stream, ("", ""))
        nodes = self._nodes.get(account, {})
        if where in nodes:
            left = self._left_us.setdefault(account, {})
            left[where] = max(at_us, left.get(where, 0))
            nodes[where] -= 1
            if not nodes[where]:
                del nodes[where]


def completed_stream(source: str) -> str:
    """The stream on which a source says that it has told all."""
    return derived_id("usage", source, "completed")
