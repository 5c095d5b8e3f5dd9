from pathlib import Path

import pytest

from domain.errors import DomainError
from evidence.storage import Storage, join_bundle, split_bundle


def test_a_name_is_absent_or_complete(tmp_path: Path) -> None:
    """What was written reads back, half-written files are not names, absent names read as None."""
    storage = Storage(tmp_path / "evidence")
    storage.write({"tile/0/000.p/3": b"abc", "checkpoint": b"note"})
    (storage.root / "tile/0/001~").write_bytes(b"half")
    assert storage.names("tile") == ["tile/0/000.p/3"]
    assert storage.read("checkpoint") == b"note"
    assert storage.read("tile/0/007") is None
    assert storage.read("checkpoint/below") is None


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A write that fails changes nothing: the old bytes stay under the name."""
    storage = Storage(tmp_path)
    storage.write({"checkpoint": b"old"})
    (tmp_path / "checkpoint~").mkdir()  # stands in the way of the fresh file
    with pytest.raises(OSError, match="directory"):
        storage.write({"checkpoint": b"new"})
    assert storage.read("checkpoint") == b"old"


def test_a_wider_partial_serves_a_narrower_reader(tmp_path: Path) -> None:
    """A reader with an older checkpoint finds its hashes in a wider partial or the full tile."""
    storage = Storage(tmp_path)
    hashes = bytes(range(256)) * 32
    storage.write({"tile/0/000.p/7": hashes[: 7 * 32]})
    assert storage.tile(0, 0, 5) == hashes[: 5 * 32]
    with pytest.raises(DomainError, match=r"storage\.missing"):
        storage.tile(0, 0, 8)
    storage.write({"tile/0/000": hashes})
    assert storage.tile(0, 0, 8) == hashes[: 8 * 32]
    storage.write({"tile/entries/000.p/2": join_bundle([b"one", b"two"])})
    assert storage.entries(0, 1) == [b"one"]


def test_bundles_split_back_into_their_items() -> None:
    """split_bundle is the inverse of join_bundle; a length that runs past the end is refused."""
    items = [b"", b"x" * 65_535, b"abc"]
    assert split_bundle(join_bundle(items)) == items
    for broken in (b"\x00", b"\x00\x05abc"):
        with pytest.raises(DomainError, match=r"storage\.malformed"):
            split_bundle(broken)
