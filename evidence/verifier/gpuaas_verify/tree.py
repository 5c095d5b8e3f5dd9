"""The tree rebuilt from its lowest tiles, each higher tile compared with the one that is stored."""

from gpuaas_verify.errors import Invalid
from gpuaas_verify.merkle import HASH_BYTES, Frontier, complete_root
from gpuaas_verify.source import Place, Source
from gpuaas_verify.tiles import TILE_HEIGHT, TILE_WIDTH, tile_path

FULL_TILE = TILE_WIDTH * HASH_BYTES


def find_tile(source: Source, name: str, width: int) -> Place:
    """Where a hash tile of that width lies. Raises: Invalid `tile.missing`, `tile.size`."""
    place = source.find(name)
    if place is None:
        raise Invalid("tile.missing", "the size implies this tile", member=name)
    if place.size != width * HASH_BYTES:
        raise Invalid("tile.size", f"a tile of {width} hashes has other bytes", member=name)
    return place


def first_difference(one: bytes, other: bytes) -> int:
    """Index of the first 32-byte hash that differs between two unequal tiles."""
    pairs = range(0, max(len(one), len(other)), HASH_BYTES)
    return next(at for at in pairs if one[at : at + 32] != other[at : at + 32]) // HASH_BYTES


class TreeCheck:
    """Fed the lowest tiles in order, checks all tiles above; O(log n) memory.

    The first tile that differs is told by `root`, after all leaves have had their turn.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._frontier = Frontier()
        self._growing: list[bytearray] = []
        self._done: list[int] = []
        self._mismatch: Invalid | None = None

    def full(self, root: bytes) -> None:
        """The next full tile of level 0, by the root of its hashes."""
        self._frontier.append_subtree(TILE_HEIGHT, root)
        self._push(1, root)

    def partial(self, leaves: bytes) -> None:
        """The last tile of level 0, when it is not full."""
        for at in range(0, len(leaves), HASH_BYTES):
            self._frontier.append(leaves[at : at + HASH_BYTES])

    def root(self) -> bytes:
        """The root, once the partial tile of every level is compared. Raises: Invalid `tile.*`."""
        for above, hashes in enumerate(self._growing):
            if hashes:
                self._compare(above + 1, bytes(hashes))
        if self._mismatch is not None:
            raise self._mismatch
        return self._frontier.root()

    def _push(self, level: int, root: bytes) -> None:
        if len(self._growing) < level:
            self._growing.append(bytearray())
            self._done.append(0)
        hashes = self._growing[level - 1]
        hashes += root
        if len(hashes) == FULL_TILE:
            self._compare(level, bytes(hashes))
            parent = complete_root(bytes(hashes))
            hashes.clear()
            self._done[level - 1] += 1
            self._push(level + 1, parent)

    def _compare(self, level: int, hashes: bytes) -> None:
        if self._mismatch is not None:
            return
        index, width = self._done[level - 1], len(hashes) // HASH_BYTES
        name = tile_path(level, index, width)
        stored = self._source.read(find_tile(self._source, name, width))
        if stored != hashes:
            first = index * TILE_WIDTH + first_difference(stored, hashes)
            position = first << (TILE_HEIGHT * level)
            detail = "not the hashes of the tiles below"
            self._mismatch = Invalid("tile.mismatch", detail, position=position, member=name)
