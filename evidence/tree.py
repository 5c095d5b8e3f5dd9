"""Reading the tiled tree in storage: nodes for proofs, the entries that seal something, streams."""

import re
import sys
from collections.abc import Iterator

from evidence.edge import Edge
from evidence.storage import Storage
from gpuaas_verify.block import SEALING
from gpuaas_verify.entry import Entry, parse_entry
from gpuaas_verify.merkle import NodeReader, complete_root, range_root
from gpuaas_verify.tiles import TILE_HEIGHT, TILE_WIDTH, level_tiles, level_widths

_MARKS = tuple(f'"tag":"{tag}"'.encode() for tag in sorted(SEALING))


def node_reader(storage: Storage, size: int, edge: Edge | None = None) -> NodeReader:
    """Subtree hashes of a tree of that size; unfinished tiles come from `edge` where
    it is given.
    """
    seen: dict[tuple[int, int], bytes] = {}

    def tile(level: int, index: int) -> bytes:
        if (level, index) not in seen:
            full, partial = level_widths(size, level)
            if index == full and edge is not None:
                seen[level, index] = edge.tail(level)
            else:
                width = TILE_WIDTH if index < full else partial
                seen[level, index] = storage.tile(level, index, width)
        return seen[level, index]

    def node(level: int, index: int) -> bytes:
        tile_level, inside = divmod(level, TILE_HEIGHT)
        number, offset = divmod(index << inside, TILE_WIDTH)
        return complete_root(tile(tile_level, number)[32 * offset : 32 * (offset + (1 << inside))])

    return node


def watched_entries(storage: Storage, size: int) -> Iterator[Entry]:
    """Entry 0 and every seal below `size`, in order. Only bundles that name one are parsed."""
    for index, width in level_tiles(size, 0):
        # Looked for in the whole bundle first: most name none, and need not be taken apart.
        if not any(mark in storage.bundle(index, width) for mark in _MARKS):
            continue
        for raw in storage.entries(index, width):
            if any(mark in raw for mark in _MARKS):
                entry = parse_entry(raw)
                if entry.tag in SEALING:
                    yield entry


# Bytes that occur in no text of a fact: a quotation mark inside one is escaped.
_PLACE = re.compile(
    rb'"salt":"[0-9a-f]{32}","stream":"([^"]+)","version":([0-9]+),"tag":"[^"]+","org":"([^"]+)"'
)


def streams_of(storage: Storage, size: int) -> dict[str, tuple[int, str]]:
    """The last version and the organization of every stream below `size`."""
    found: dict[str, tuple[int, str]] = {}
    for index, width in level_tiles(size, 0):
        # An unfinished bundle may hold more by now than the tree of that size.
        whole = width == TILE_WIDTH
        data = storage.bundle(index, width) if whole else b"".join(storage.entries(index, width))
        for stream, version, org in _PLACE.findall(data):
            found[stream.decode()] = (int(version), sys.intern(org.decode()))
    return found


def root_of(storage: Storage, size: int) -> bytes:
    """The RFC 6962 root of the first `size` entries, `size` > 0, no more than were integrated.

    Raises: DomainError storage.missing.
    """
    return range_root(0, size, node_reader(storage, size))
