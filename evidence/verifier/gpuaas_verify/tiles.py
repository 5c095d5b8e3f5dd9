"""C2SP tlog-tiles: names and widths of hash tiles and entry bundles, and proofs read from them."""

from collections.abc import Callable, Iterator

from gpuaas_verify.merkle import HASH_BYTES, NodeReader, complete_root

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT


def index_path(index: int) -> str:
    """Three-digit groups, all but the last with an `x`: 1234067 -> `x001/x234/067`."""
    path = f"{index % 1000:03d}"
    index //= 1000
    while index:
        path = f"x{index % 1000:03d}/{path}"
        index //= 1000
    return path


def _suffix(width: int) -> str:
    assert 1 <= width <= TILE_WIDTH
    return "" if width == TILE_WIDTH else f".p/{width}"


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    return f"tile/{level}/{index_path(index)}{_suffix(width)}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    return f"tile/entries/{index_path(index)}{_suffix(width)}"


def level_widths(size: int, level: int) -> tuple[int, int]:
    """(full tiles, width of the partial tile or 0) at a level of a tree of that size."""
    nodes = size >> (TILE_HEIGHT * level)
    return nodes // TILE_WIDTH, nodes % TILE_WIDTH


def levels(size: int) -> int:
    """How many tile levels a tree of that size has."""
    count = 0
    while size >> (TILE_HEIGHT * count):
        count += 1
    return count


def level_tiles(size: int, level: int) -> Iterator[tuple[int, int]]:
    """(index, width) of every tile of one level, in order, exactly those the size implies."""
    full, partial = level_widths(size, level)
    for index in range(full):
        yield index, TILE_WIDTH
    if partial:
        yield full, partial


def tile_names(size: int) -> Iterator[str]:
    """Every tile and entry bundle a tree of that size has, and no other."""
    for level in range(levels(size)):
        for index, width in level_tiles(size, level):
            yield tile_path(level, index, width)
    for index, width in level_tiles(size, 0):
        yield entries_path(index, width)


def tile_nodes(size: int, read: Callable[[str], bytes]) -> NodeReader:
    """Subtree hashes of a tree of that size out of its tiles; `read` returns a tile by its path."""

    def node(level: int, index: int) -> bytes:
        tile_level, inside = divmod(level, TILE_HEIGHT)
        first = index << inside
        tile, offset = divmod(first, TILE_WIDTH)
        full, partial = level_widths(size, tile_level)
        data = read(tile_path(tile_level, tile, TILE_WIDTH if tile < full else partial))
        start = offset * HASH_BYTES
        return complete_root(data[start : start + (HASH_BYTES << inside)])

    return node
