"""The growing right edge of the tiled tree: what turns leaf hashes into tiles (C2SP tlog-tiles)."""

from collections.abc import Sequence

from evidence.storage import Storage, join_bundle
from gpuaas_verify.merkle import HASH_BYTES, Frontier, complete_root
from gpuaas_verify.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    entries_path,
    level_widths,
    levels,
    tile_path,
)


class Edge:
    """The unfinished tile of every level and the unfinished entry bundle; O(log n) memory."""

    def __init__(self, size: int, tails: list[bytearray], bundle: list[bytes]) -> None:
        self.size = size
        self._tails = tails
        self._bundle = bundle

    def extend(self, entries: Sequence[bytes], leaves: Sequence[bytes]) -> dict[str, bytes]:
        """The tiles and bundles these entries complete, by name; the edge then ends after them."""
        done: dict[str, bytes] = {}
        at = 0
        while at < len(leaves):
            room = TILE_WIDTH - len(self._bundle)
            self._bundle += entries[at : at + room]
            self._tail(0).extend(b"".join(leaves[at : at + room]))
            self.size += len(leaves[at : at + room])
            at += room
            if len(self._bundle) == TILE_WIDTH:
                done[entries_path(self.size // TILE_WIDTH - 1)] = join_bundle(self._bundle)
                self._bundle = []
                self._complete(0, done)
        return done

    def _tail(self, level: int) -> bytearray:
        while len(self._tails) <= level:
            self._tails.append(bytearray())
        return self._tails[level]

    def _complete(self, level: int, done: dict[str, bytes]) -> None:
        """The full tile at this level, and the node it adds to the level above."""
        tile = bytes(self._tails[level])
        index = (self.size >> (TILE_HEIGHT * (level + 1))) - 1
        done[tile_path(level, index)] = tile
        self._tails[level] = bytearray()
        above = self._tail(level + 1)
        above += complete_root(tile)
        if len(above) == TILE_WIDTH * HASH_BYTES:
            self._complete(level + 1, done)

    def tail(self, level: int) -> bytes:
        """The hashes of the unfinished tile at this level, maybe none."""
        return bytes(self._tails[level]) if level < len(self._tails) else b""

    def partials(self) -> dict[str, bytes]:
        """The partial tiles and the partial entry bundle of the present size, by name."""
        found = {
            tile_path(level, (self.size >> (TILE_HEIGHT * level)) // TILE_WIDTH, len(tail) // 32): (
                bytes(tail)
            )
            for level, tail in enumerate(self._tails)
            if tail
        }
        if self._bundle:
            name = entries_path(self.size // TILE_WIDTH, len(self._bundle))
            found[name] = join_bundle(self._bundle)
        return found

    def root(self) -> bytes:
        """RFC 6962 root of everything so far."""
        frontier = Frontier()
        for level in reversed(range(len(self._tails))):
            tail = self._tails[level]
            for start in range(0, len(tail), HASH_BYTES):
                node = bytes(tail[start : start + HASH_BYTES])
                frontier.append_subtree(TILE_HEIGHT * level, node)
        return frontier.root()


def load_edge(storage: Storage, size: int) -> Edge:
    """The edge of a tree of that size as it lies in storage; the caller compares its root.

    Raises: DomainError storage.missing.
    """
    tails = []
    for level in range(levels(size)):
        full, width = level_widths(size, level)
        tails.append(bytearray(storage.tile(level, full, width) if width else b""))
    full, width = level_widths(size, 0)
    return Edge(size, tails, storage.entries(full, width) if width else [])
