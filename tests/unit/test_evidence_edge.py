from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.edge import Edge, load_edge
from evidence.storage import Storage
from gpuaas_verify.merkle import leaf_hash, root_hash
from gpuaas_verify.tiles import tile_names

ENTRIES = [b'{"n":%d}' % n for n in range(1200)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 300), max_size=5))
def test_any_batching_gives_the_same_tree(batches: list[int]) -> None:
    """However the leaves arrive, the root is RFC 6962's and the names are those the
    size implies.
    """
    edge, size = Edge(0, [], []), 0
    files: dict[str, bytes] = {}
    for batch in batches:
        end = min(size + batch, len(LEAVES))
        files |= edge.extend(ENTRIES[size:end], LEAVES[size:end])
        size = end
    files |= edge.partials()
    assert edge.size == size
    assert edge.root() == root_hash(LEAVES[:size])
    assert sorted(files) == sorted(tile_names(size))


def test_two_levels_and_a_restart(tmp_path: Path) -> None:
    """An edge loaded from storage goes on as the one that wrote it, across a level-1 tile."""
    storage = Storage(tmp_path)
    leaves = [n.to_bytes(32, "big") for n in range(65_536 + 300)]
    entries = [b"x"] * len(leaves)
    edge = Edge(0, [], [])
    for start in range(0, 65_000, 5000):
        storage.write(edge.extend(entries[start : start + 5000], leaves[start : start + 5000]))
    storage.write(edge.partials())
    again = load_edge(storage, 65_000)
    assert again.root() == edge.root() == root_hash(leaves[:65_000])
    done = again.extend(entries[65_000:], leaves[65_000:])
    assert "tile/1/000" in done
    assert again.root() == root_hash(leaves)
    assert set(again.partials()) == {
        "tile/0/257.p/44", "tile/1/001.p/1", "tile/2/000.p/1", "tile/entries/257.p/44"
    }  # fmt: skip
