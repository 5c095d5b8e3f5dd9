"""Where a request goes: free devices indexed so that no node is ever scanned.

Best fit: first the fullest device the organization already has, then the node with the fewest
empty devices that still has enough (those kept for the organization count, and are taken first).
Ties: order of enrolment, then device index. The choice is a function of what is free now, not of
how it came about, so a rebuilt index chooses the same.
Bit masks: bit i of a level mask says that level i has someone; the lowest set bit is the tightest.
"""

from bisect import insort
from collections.abc import Iterable, Iterator

from msgspec import Struct

from domain.node import Serving, placeable
from domain.words import MILLI, NOWHERE, Share, one_of


class Shape(Struct, frozen=True, gc=False):
    """Whole devices, or (devices 1) a part of one: `each` is 1..1000 milli per device."""

    devices: int
    each: int


class Place(Struct, frozen=True):
    node: str
    devices: tuple[Share, ...]


type Kind = tuple[str, str]  # model, region
# (1 if an empty device is opened, what is left over, ordinal): the smaller packs tighter
type Rank = tuple[int, int, int]


class Coming(Struct, frozen=True):
    """Whole devices of one node: `free` now, and what comes: (since when, how many, whether
    they are wiped first) of what stops, how many are being wiped, (until when, how many) of
    what is reserved.
    """

    node: str
    free: int
    stopping: tuple[tuple[int, int, bool], ...]
    wiping: int
    reserved: tuple[tuple[int, int], ...]


class Room(Struct, frozen=True):
    """What fits now on one model: the most whole devices, or the largest part of one device; and by
    node what is coming.
    """

    model: str
    devices: int
    free_devices: int
    most_devices: int
    most_milli: int
    coming: tuple[Coming, ...] = ()


class Kept(Struct, frozen=True):
    """`kinds`: all that there ever were; `states` in order of enrolment."""

    kinds: tuple[Kind, ...]
    states: dict[str, Serving]


class _Levels(Struct):
    """Members (a bit mask of ordinals) by level, and which levels have any."""

    mask: int = 0
    members: dict[int, int] = {}  # msgspec copies an empty default

    def add(self, level: int, ordinal: int) -> None:
        self.members[level] = self.members.get(level, 0) | 1 << ordinal
        self.mask |= 1 << level

    def drop(self, level: int, ordinal: int) -> None:
        left = self.members[level] & ~(1 << ordinal)
        if left:
            self.members[level] = left
        else:
            del self.members[level]
            self.mask &= ~(1 << level)

    def tightest(self, at_least: int) -> tuple[int, int] | None:
        """The lowest level not below `at_least` and its first member."""
        above = self.mask >> at_least
        if not above:
            return None
        level = at_least + _lowest(above)
        return level, _lowest(self.members[level])

    def loosest(self, at_least: int) -> tuple[int, int] | None:
        """The highest level not below `at_least` and its first member."""
        level = self.mask.bit_length() - 1
        return None if level < at_least else (level, _lowest(self.members[level]))

    def all(self, at_least: int) -> int:
        """Members of every level not below `at_least`, as a mask."""
        mask = 0
        for level, members in self.members.items():
            mask |= members if level >= at_least else 0
        return mask


class Stock:
    """The index over all nodes; its owner tells it of every change of a node's state."""

    def __init__(self) -> None:
        self.states: dict[str, Serving] = {}
        self._node_ordinal: dict[str, int] = {}
        self._node_at: list[str] = []
        self._device_ordinal: dict[str, int] = {}  # of a node's device 0
        self._device_at: list[tuple[str, int]] = []
        self._kinds: dict[str, list[Kind]] = {}  # by model
        self._empty: dict[Kind, _Levels] = {}  # nodes by count of empty devices
        self._parts: dict[tuple[Kind, str], _Levels] = {}  # of an owner: devices by free milli
        # of an owner: nodes that keep empty devices for it, by those and the empty ones
        self._whole: dict[tuple[Kind, str], _Levels] = {}

    def kept(self) -> Kept:
        """All that it knows, for a stock that goes on from here."""
        return Kept(
            tuple(kind for kinds in self._kinds.values() for kind in kinds), dict(self.states)
        )

    def restore(self, kept: Kept) -> None:
        """Into one that knows nothing yet: what `kept` was of says the same from then on."""
        for kind in kept.kinds:
            self._know(kind)
        for node, state in kept.states.items():
            self.update(node, state)

    def models(self) -> list[str]:
        return sorted(self._kinds)

    def regions(self, model: str) -> list[str]:
        """In which its nodes are, or were, in order."""
        return [region for _, region in self._kinds.get(model, ())]

    def region_of(self, nodes: Iterable[str]) -> str:
        """Where all of them stand now; nowhere when they stand apart."""
        return one_of({self.region(name) for name in nodes})

    def region(self, node: str) -> str:
        """Where it stands now."""
        known = self.states.get(node)
        return NOWHERE if known is None else known.claims.region

    def update(self, node: str, new: Serving) -> None:
        """Take the node's new state into the index, touching only what changed."""
        old = self.states.get(node)
        if old is None or len(old.free) != len(new.free):
            self._number(node, new)
        self._know(kind_of(new))
        self.states[node] = new
        was = old is not None and placeable(old)
        now = placeable(new)
        if old is not None and was and now:
            self._change(node, old, new)
        elif old is not None and was:
            self._count(node, old, add=False)
        elif now:
            self._count(node, new, add=True)

    def rank(
        self, model: str, organization: str, shape: Shape, region: str | None = None
    ) -> Rank | None:
        """How the tightest fit on this model ranks, in the region, or anywhere; None: then nothing
        of this model fits there.
        """
        kinds = self._of(model, region)
        if shape.each < MILLI:
            parts = [
                (0, found[0] - shape.each, found[1])
                for kind in kinds
                if (found := _tightest(self._parts.get((kind, organization)), shape.each))
            ]
            if parts:
                return min(parts)
        ranks = [
            (1, found[0] - shape.devices, found[1])
            for kind in kinds
            for levels in (self._empty.get(kind), self._whole.get((kind, organization)))
            if (found := _tightest(levels, shape.devices)) is not None
        ]
        return min(ranks, default=None)

    def place(self, rank: Rank, organization: str, shape: Shape) -> Place:
        """The node and the shares that a rank, taken just now, stands for."""
        opens, _, ordinal = rank
        if not opens:
            node, index = self._device_at[ordinal]
            return Place(node, (Share(index, shape.each),))
        node = self._node_at[ordinal]
        free = whole(self.states[node], organization)
        indexes = sorted(free[: shape.devices])
        return Place(node, tuple([Share(index, shape.each) for index in indexes]))

    def loosest(
        self, model: str, organization: str, shape: Shape, region: str | None = None
    ) -> tuple[tuple[int, int], Place] | None:
        """The place that leaves most, an empty device before a part; its order, smaller = better.

        None exactly when `rank` says None.
        """
        kinds = self._of(model, region)
        found = [
            each
            for kind in kinds
            for levels in (self._empty.get(kind), self._whole.get((kind, organization)))
            if levels is not None and (each := levels.loosest(shape.devices)) is not None
        ]
        if found:
            level, ordinal = max(found, key=lambda each: (each[0], -each[1]))
            place = self.place((1, 0, ordinal), organization, shape)
            return (0, shape.devices - level), place
        parts = [
            each
            for kind in kinds
            if (levels := self._parts.get((kind, organization))) is not None
            if shape.each < MILLI and (each := levels.loosest(shape.each)) is not None
        ]
        if not parts:
            return None
        part = max(parts, key=lambda each: (each[0], -each[1]))
        return (1, shape.each - part[0]), self.place((0, 0, part[1]), organization, shape)

    def candidates(
        self, model: str, organization: str, devices: int, region: str | None = None
    ) -> Iterator[tuple[str, Serving]]:
        """Nodes of the model with that many whole devices for it, in order of enrolment."""
        mask = 0
        for kind in self._of(model, region):
            for levels in (self._empty.get(kind), self._whole.get((kind, organization))):
                mask |= 0 if levels is None else levels.all(devices)
        while mask:
            ordinal = _lowest(mask)
            mask &= mask - 1
            yield self._node_at[ordinal], self.states[self._node_at[ordinal]]

    def wholes(
        self, model: str, organization: str, region: str | None = None
    ) -> Iterator[tuple[str, list[int]]]:
        """Nodes with any whole device for the organization, and which, in order of enrolment."""
        for node, state in self.candidates(model, organization, 1, region):
            yield node, whole(state, organization)

    def room(self, model: str, organization: str, region: str | None = None) -> Room:
        """What `place` would find for this organization now, in numbers."""
        kinds = self._of(model, region)
        empty = [self._empty.get(kind) for kind in kinds]
        kept = [self._whole.get((kind, organization)) for kind in kinds]
        most = _highest([*empty, *kept])
        part = (
            MILLI if most else _highest([self._parts.get((kind, organization)) for kind in kinds])
        )
        total = free = 0
        for state in self.states.values():
            if kind_of(state) in kinds and not state.upkeep.retired:
                total += len(state.free)
                free += len(whole(state, organization)) if placeable(state) else 0
        return Room(model, total, free, most, part)

    def _number(self, node: str, state: Serving) -> None:
        self._node_ordinal[node] = len(self._node_at)
        self._node_at.append(node)
        self._device_ordinal[node] = len(self._device_at)
        self._device_at += [(node, index) for index in range(len(state.free))]

    def _know(self, kind: Kind) -> None:
        known = self._kinds.setdefault(kind[0], [])
        if kind not in known:
            insort(known, kind)
            self._empty[kind] = _Levels()

    def _of(self, model: str, region: str | None) -> list[Kind]:
        """The model in the region, or in each."""
        kinds = self._kinds.get(model, [])
        return kinds if region is None else [kind for kind in kinds if kind[1] == region]

    def _count(self, node: str, state: Serving, *, add: bool) -> None:
        """Add or drop all that a placeable node offers."""
        empty, kept = 0, dict[str, int]()
        for index, owner in enumerate(state.owners):
            offered = state.offers(index)
            if not owner:
                empty += offered == MILLI
            elif offered:
                self._level_part(node, state, index, offered, add=add)
                if offered == MILLI:
                    kept[owner] = kept.get(owner, 0) + 1
        self._level_empty(node, state, empty, add=add)
        for owner, count in kept.items():
            levels = self._whole.setdefault((kind_of(state), owner), _Levels())
            (levels.add if add else levels.drop)(empty + count, self._node_ordinal[node])

    def _change(self, node: str, old: Serving, new: Serving) -> None:
        if not (old.plain and new.plain) or kind_of(old) != kind_of(new):
            self._count(node, old, add=False)
            self._count(node, new, add=True)
            return
        before, after = old.free.count(MILLI), new.free.count(MILLI)
        if before != after:
            self._level_empty(node, old, before, add=False)
            self._level_empty(node, new, after, add=True)
        for index, (was, now) in enumerate(zip(old.free, new.free, strict=True)):
            if was != now:
                self._level_part(node, old, index, was, add=False)
                self._level_part(node, new, index, now, add=True)

    def _level_empty(self, node: str, state: Serving, count: int, *, add: bool) -> None:
        if count:
            levels = self._empty[kind_of(state)]
            (levels.add if add else levels.drop)(count, self._node_ordinal[node])

    def _level_part(self, node: str, state: Serving, index: int, free: int, *, add: bool) -> None:
        if free and state.owners[index]:
            key = (kind_of(state), state.owners[index])
            levels = self._parts.get(key)
            if levels is None:
                levels = self._parts[key] = _Levels()
            (levels.add if add else levels.drop)(free, self._device_ordinal[node] + index)


def kind_of(state: Serving) -> Kind:
    """What a launch chooses by, and what it is priced by."""
    return state.enrolled.model, state.claims.region


def whole(state: Serving, organization: str, reservation: str = "") -> list[int]:
    """Devices this organization may have whole: those kept for it first, each in order."""
    count = len(state.free)
    free = [index for index in range(count) if state.offers(index, reservation) == MILLI]
    kept = [index for index in free if organization and state.owners[index] == organization]
    return kept + [index for index in free if not state.owners[index]]


def _tightest(levels: _Levels | None, at_least: int) -> tuple[int, int] | None:
    return None if levels is None else levels.tightest(at_least)


def _highest(found: list[_Levels | None]) -> int:
    """The highest level that has anyone, 0 if none has."""
    return max(
        (levels.mask.bit_length() - 1 for levels in found if levels and levels.mask), default=0
    )


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1
