"""The public formats, held against their specifications' examples and against programs nobody here wrote."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuaas_verify import tiles
from gpuaas_verify.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    nodes_of,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from gpuaas_verify.note import Vkey, parse_note, verify_note
from gpuaas_verify.spill import Spill
from tests.bundles import small_log, tar_of, tree_members

LEAVES = [leaf_hash(b"%d" % number) for number in range(300)]


def test_a_note_of_the_specification_verifies() -> None:
    """The example of c2sp.org/signed-note, key and note copied from its text."""
    key = Vkey.parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    note = parse_note(
        "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ER"
        "YNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n".encode()
    )
    assert verify_note(note, [key], exact=True) == {key: None}
    assert key.format().startswith("example.com/foo+530d903a+")


def test_tiles_are_named_as_the_specification_names_them() -> None:
    """Index 1234067, and the tree of size 70,000: both from c2sp.org/tlog-tiles."""
    assert tiles.tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert tiles.entries_path(273, 112) == "tile/entries/273.p/112"
    assert tiles.level_widths(70_000, 0) == (273, 112)
    assert tiles.level_widths(70_000, 1) == (1, 17)
    assert list(tiles.level_tiles(70_000, 2)) == [(0, 1)]
    assert tiles.levels(70_000) == 3
    assert list(tiles.level_tiles(256, 1)) == [(0, 1)]
    names = list(tiles.tile_names(70_000))
    assert len(names) == len(set(names)) == 274 + 2 + 1 + 274


@given(st.integers(1, 300), st.data())
def test_proofs_are_accepted_by_their_verifier_only_for_what_they_prove(
    size: int, data: st.DataObject
) -> None:
    """Inclusion and consistency, any sizes; the same proof of a neighbour is refused by the vectors' rules."""
    node, root = nodes_of(LEAVES[:size]), root_hash(LEAVES[:size])
    index = data.draw(st.integers(0, size - 1))
    verify_inclusion(index, size, LEAVES[index], inclusion_proof(index, size, node), root)
    earlier = data.draw(st.integers(1, size))
    proof = consistency_proof(earlier, size, node)
    verify_consistency(earlier, size, root_hash(LEAVES[:earlier]), root, proof)


@given(st.integers(1, 1_100))
def test_proofs_come_out_of_tiles_as_out_of_leaves(size: int) -> None:
    """tile_nodes reads every complete subtree out of the tiles of the tree's size."""
    entries = [b"%d" % number for number in range(size)]
    leaves = [leaf_hash(entry) for entry in entries]
    members = TREES.setdefault(size, tree_members(entries))
    node = tiles.tile_nodes(size, members.__getitem__)
    index = size * 7 // 11
    assert inclusion_proof(index, size, node) == inclusion_proof(index, size, nodes_of(leaves))


TREES: dict[int, dict[str, bytes]] = {}


def test_the_empty_tree_has_the_root_of_the_rfc() -> None:
    """SHA-256 of nothing; a frontier without leaves says the same."""
    assert EMPTY_ROOT.hex().startswith("e3b0c44298fc1c14")
    assert Frontier().root() == root_hash([]) == EMPTY_ROOT


def test_the_tar_is_the_one_the_standard_library_writes() -> None:
    """Byte for byte up to its own record padding, a long file name included."""
    members = {**small_log().members(), "file/" + "x" * 100: b"long name"}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(members):
            item = tarfile.TarInfo(name)
            item.size = len(members[name])
            tar.addfile(item, io.BytesIO(members[name]))
    ours, theirs = tar_of(members), out.getvalue()
    assert theirs[: len(ours)] == ours
    assert not any(theirs[len(ours) :])


def test_the_tar_program_reads_it(tmp_path: Path) -> None:
    """`tar -x` gives the members back."""
    program = shutil.which("tar")
    if program is None:
        pytest.skip("no tar program here")
    members = {**small_log().members(), "file/" + "x" * 100: b"long name"}
    (tmp_path / "bundle.tar").write_bytes(tar_of(members))
    subprocess.run([program, "-xf", "bundle.tar"], cwd=tmp_path, check=True)
    assert {name: (tmp_path / name).read_bytes() for name in members} == members


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 9) | st.none())),
    st.integers(0, 4),
)
def test_a_spilled_map_is_a_map(steps: list[tuple[str, int | None]], in_memory: int) -> None:
    """Whatever is kept in memory and whatever in the file: the same as a dictionary."""
    spill, plain = Spill(in_memory), dict[str, list[int]]()
    for key, value in steps:
        if value is None:
            spill.remove(key)
            plain.pop(key, None)
        else:
            spill.put(key, [value])
            plain[key] = [value]
        assert spill.get(key) == plain.get(key)
    assert list(spill.items()) == sorted(plain.items())
    assert (list(spill.keys()), list(spill.values())) == (
        sorted(plain),
        [plain[key] for key in sorted(plain)],
    )
    spill.close()
