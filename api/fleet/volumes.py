"""Volumes as ingest knows them: the orders that their nodes have not answered."""

from collections import defaultdict
from typing import Final

from msgspec import Struct

from contracts.volumes import (
    CreateVolume,
    GrowVolume,
    RestoreVolume,
    SnapshotVolume,
    VolumeOrder,
    WipeVolume,
)
from domain import volume
from domain.volume_facts import (
    Created,
    GrowRequested,
    Request,
    RestoreRequested,
    SnapshotRequested,
    WipeRequested,
)
from evidence.append import Append, Write
from evidence.reader import Recorded

ACTOR: Final = "system-ingest"


type VolumeState = volume.State


class LiveVolume(Struct):
    """`asked_at`: position of the order that its node has not answered; -1 = none."""

    volume: str
    org: str
    state: VolumeState
    version: int = 0
    asked_at: int = -1


class Wanted(Struct, frozen=True):
    """What a node is to be told about a volume; `number` = position of the fact that asks it."""

    number: int
    order: VolumeOrder


class Volumes:
    """A mutable fold, kept by the task that keeps the fleet's."""

    def __init__(self) -> None:
        self.known: dict[str, LiveVolume] = {}
        self.asked: defaultdict[str, dict[str, LiveVolume]] = defaultdict(dict)  # by node
        self.over: set[str] = set()  # lost or deleted: nobody's for good

    def apply(self, entry: Recorded) -> str:
        """The node that this fact concerns."""
        found = self.known.get(entry.stream)
        if found is None:
            found = LiveVolume(entry.stream, entry.org, volume.Missing())
            self.known[entry.stream] = found
        before = found.state
        found.version = entry.version
        fact: volume.Event = entry.fact  # type: ignore[assignment]
        found.state = volume.evolve(before, fact)
        held = found.state if isinstance(found.state, volume.Held) else before
        assert isinstance(held, volume.Held), "the first fact of a volume creates it"
        node = held.created.node
        if isinstance(found.state, volume.Held) and found.state.asked is not None:
            found.asked_at = (
                entry.position if isinstance(fact, Request.__value__) else found.asked_at
            )
            self.asked[node][entry.stream] = found
        else:
            found.asked_at = -1
            self.asked[node].pop(entry.stream, None)
        if isinstance(found.state, volume.Gone):
            del self.known[entry.stream]
            self.over.add(entry.stream)
        return node

    def wanted(self, node: str) -> list[Wanted]:
        """Orders that the node has not answered, oldest first."""
        asked = sorted(self.asked.get(node, {}).values(), key=lambda one: one.asked_at)
        return [Wanted(one.asked_at, _order(one)) for one in asked]

    def refused(self, node: str, number: int, code: str, now_us: int) -> Append | None:
        """The end of the order of that number; None when no such order is under way."""
        for one in self.asked.get(node, {}).values():
            if one.asked_at == number:
                command = volume.RefuseOrder(number, code, now_us)
                facts = tuple(volume.decide(command, one.state))
                write = Write(one.volume, one.org, one.version, facts)
                return Append((write,), actor=ACTOR, cause=f"pos:{number}")
        return None


def _order(one: LiveVolume) -> VolumeOrder:
    assert isinstance(one.state, volume.Held), "only what is held is asked for"
    match one.state.asked:
        case Created(size_mib=size_mib):
            return CreateVolume(one.volume, size_mib)
        case GrowRequested(size_mib=size_mib):
            return GrowVolume(one.volume, size_mib)
        case SnapshotRequested(snapshot=snapshot):
            return SnapshotVolume(one.volume, snapshot)
        case RestoreRequested(snapshot=snapshot):
            return RestoreVolume(one.volume, snapshot)
        case WipeRequested():
            return WipeVolume(one.volume)
        case _:
            raise AssertionError(one)
