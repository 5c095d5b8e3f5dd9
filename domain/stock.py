"""Where a request goes: free devices indexed so that no node is ever scanned.

Best fit: first the fullest device the organization already shares, then the node with the fewest
empty devices that still has enough. Ties: order of enrolment, then device index. The choice is a
function of what is free now, not of how it came about, so a rebuilt index chooses the same.
Bit masks: bit i of a level mask says that level i has someone; the lowest set bit is the tightest.
"""

from msgspec import Struct

from domain.node import Serving
from domain.words import MILLI, Share


class Shape(Struct, frozen=True, gc=False):
    """Whole devices, or (devices 1) a part of one: `each` is 1..1000 milli per device."""

    devices: int
    each: int


class Place(Struct, frozen=True):
    node: str
    devices: tuple[Share, ...]


# (1 if an empty device is opened, what is left over, ordinal): the smaller packs tighter
type Rank = tuple[int, int, int]


class Room(Struct, frozen=True):
    """What fits now on one model: the most whole devices, or the largest part of one device."""

    model: str
    devices: int
    free_devices: int
    most_devices: int
    most_milli: int


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


class Stock:
    """The index over all nodes; its owner tells it of every change of a node's state."""

    def __init__(self) -> None:
        self.states: dict[str, Serving] = {}
        self._node_ordinal: dict[str, int] = {}
        self._node_at: list[str] = []
        self._device_ordinal: dict[str, int] = {}  # of a node's device 0
        self._device_at: list[tuple[str, int]] = []
        self._empty: dict[str, _Levels] = {}  # model -> nodes by count of empty devices
        self._parts: dict[tuple[str, str], _Levels] = {}  # model, owner -> devices by free milli

    def models(self) -> list[str]:
        return sorted(self._empty)

    def update(self, node: str, new: Serving) -> None:
        """Take the node's new state into the index, touching only what changed."""
        old = self.states.get(node)
        if old is None or len(old.free) != len(new.free):
            self._number(node, new)
        self.states[node] = new
        was = old is not None and _placeable(old)
        now = _placeable(new)
        if old is not None and was and now:
            self._change(node, old, new)
        elif old is not None and was:
            self._count(node, old, add=False)
        elif now:
            self._count(node, new, add=True)

    def rank(self, model: str, organization: str, shape: Shape) -> Rank | None:
        """How the tightest fit on this model ranks, or None: then nothing of this model fits."""
        if shape.each < MILLI:
            parts = self._parts.get((model, organization))
            found = None if parts is None else parts.tightest(shape.each)
            if found is not None:
                return (0, found[0] - shape.each, found[1])
        empty = self._empty.get(model)
        found = None if empty is None else empty.tightest(shape.devices)
        return None if found is None else (1, found[0] - shape.devices, found[1])

    def place(self, rank: Rank, shape: Shape) -> Place:
        """The node and the shares that a rank, taken just now, stands for."""
        opens, _, ordinal = rank
        if not opens:
            node, index = self._device_at[ordinal]
            return Place(node, (Share(index, shape.each),))
        node = self._node_at[ordinal]
        free = self.states[node].free
        indexes = [index for index, milli in enumerate(free) if milli == MILLI]
        return Place(node, tuple([Share(index, shape.each) for index in indexes[: shape.devices]]))

    def room(self, model: str, organization: str) -> Room:
        """What `place` would find for this organization now, in numbers."""
        empty = self._empty.get(model, _Levels())
        parts = self._parts.get((model, organization), _Levels())
        free = sum(level * mask.bit_count() for level, mask in empty.members.items())
        most = max(empty.mask.bit_length() - 1, 0)
        part = MILLI if most else max(parts.mask.bit_length() - 1, 0)
        total = sum(len(s.free) for s in self.states.values() if s.enrolled.model == model)
        return Room(model, total, free, most, part)

    def _number(self, node: str, state: Serving) -> None:
        self._node_ordinal[node] = len(self._node_at)
        self._node_at.append(node)
        self._device_ordinal[node] = len(self._device_at)
        self._device_at += [(node, index) for index in range(len(state.free))]
        self._empty.setdefault(state.enrolled.model, _Levels())

    def _count(self, node: str, state: Serving, *, add: bool) -> None:
        """Add or drop all that a placeable node offers."""
        count = state.free.count(MILLI)
        self._level_empty(node, state, count, add=add)
        for index, free in enumerate(state.free):
            self._level_part(node, state, index, free, add=add)

    def _change(self, node: str, old: Serving, new: Serving) -> None:
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
            levels = self._empty[state.enrolled.model]
            (levels.add if add else levels.drop)(count, self._node_ordinal[node])

    def _level_part(self, node: str, state: Serving, index: int, free: int, *, add: bool) -> None:
        if 0 < free < MILLI:
            key = (state.enrolled.model, state.owners[index])
            levels = self._parts.get(key)
            if levels is None:
                levels = self._parts[key] = _Levels()
            (levels.add if add else levels.drop)(free, self._device_ordinal[node] + index)


def _placeable(state: Serving) -> bool:
    return not (state.cordoned or state.unreachable or state.identity.barred)


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1
