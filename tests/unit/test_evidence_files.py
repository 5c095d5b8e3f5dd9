from hashlib import sha256
from pathlib import Path

import pytest

from domain.errors import DomainError
from domain.sealing import FileSealed
from evidence.files import content_name, publish, sealed_content, stage
from evidence.storage import Storage
from gpuaas_verify.entry import NO_PREV, Entry
from gpuaas_verify.errors import Invalid


def sealed(fact: FileSealed) -> Entry:
    return Entry(
        7, NO_PREV, 0, "0" * 32, "files-x", 1, "gpuaas.evidence.file_sealed.v1", "-",
        "system-x", "pos:1",
        {"name": fact.name, "sha256": fact.sha256, "bytes": fact.bytes, "as_of_size": 3,
         "supersedes": None},
    )  # fmt: skip


def test_content_is_durable_before_its_fact(tmp_path: Path) -> None:
    """Staging keeps the bytes by digest and gives the fact; the name appears with the entry."""
    storage = Storage(tmp_path)
    fact = stage(storage, "invoice-1.json", b"{}", 3)
    assert fact == FileSealed("invoice-1.json", sha256(b"{}").hexdigest(), 2, 3, None)
    assert storage.read("file/invoice-1.json") is None
    assert sealed_content(storage, fact.sha256) == b"{}"
    publish(storage, sealed(fact))
    assert storage.read("file/invoice-1.json") == b"{}"
    assert stage(storage, "invoice-1.json", b"{}", 3) == fact


def test_names_are_those_of_the_format(tmp_path: Path) -> None:
    """A name that could leave the folder, or that no bundle can have, is refused."""
    for name in ("", "../x", "A", "a/b", ".x", "x" * 101):
        with pytest.raises(DomainError, match=r"file\.name"):
            stage(Storage(tmp_path), name, b"", 0)


def test_content_that_is_not_what_was_sealed_is_never_published(tmp_path: Path) -> None:
    """Missing, changed or resized content stops the integrator at the fact's position."""
    storage = Storage(tmp_path)
    fact = stage(storage, "a", b"abc", 3)
    with pytest.raises(Invalid, match=r"file\.bytes"):
        publish(storage, sealed(FileSealed("a", fact.sha256, 4, 3, None)))
    storage.write({content_name(fact.sha256): b"abd"})
    with pytest.raises(Invalid, match=r"file\.bytes") as caught:
        publish(storage, sealed(fact))
    assert caught.value.position == 7
    storage.remove([content_name(fact.sha256)])
    with pytest.raises(Invalid, match=r"file\.missing"):
        publish(storage, sealed(fact))
    assert storage.read("file/a") is None
