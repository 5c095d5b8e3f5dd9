from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from domain.errors import DomainError
from evidence.bundle import StorageSource, stream_tar, tar_size, write_directory, write_tar
from evidence.integrator import Integrator
from evidence.receipts import receipt
from gpuaas_verify.bundle import Scope, Trust, verify_path, verify_source
from gpuaas_verify.receipt import verify_receipt
from tests.conftest import Database
from tests.integration.evidence_stack import EvidenceStack

pytestmark = pytest.mark.slow


@pytest.fixture
def stack(database: Database, tmp_path: Path) -> Iterator[EvidenceStack]:
    stack = EvidenceStack(database, tmp_path)
    with stack.signing():
        yield stack


def test_a_log_is_signed_and_its_bundle_verifies(stack: EvidenceStack, tmp_path: Path) -> None:
    """What was appended is integrated, signed, bundled; gpuaas-verify accepts tar and directory."""
    for count in (1, 10, 300, 700):
        stack.fill(count)
        stack.integrate()
    assert stack.integrate() == 1 + 1 + 10 + 300 + 700
    source = StorageSource(stack.storage)
    write_tar(source, tmp_path / "bundle.tar")
    write_directory(source, tmp_path / "bundle")
    trust = Trust((stack.vkey,))
    for path in ("bundle.tar", "bundle"):
        report = verify_path(tmp_path / path, trust, Scope())
        assert report.valid, report.error
        assert report.checkpoint is not None
        assert report.checkpoint.size == 1012


def test_the_tar_is_a_function_of_the_checkpoint(stack: EvidenceStack) -> None:
    """A source pinned before the log grew gives the same bytes after it, and its size
    beforehand.
    """
    stack.fill(300)
    stack.integrate()
    source = StorageSource(stack.storage)
    before = b"".join(stream_tar(source))
    stack.fill(300)
    stack.integrate()
    assert b"".join(stream_tar(source)) == before
    assert tar_size(source) == len(before)


def test_receipts(stack: EvidenceStack) -> None:
    """Every signed position has a receipt that verifies alone; an unsigned one says to
    ask again.
    """
    stack.fill(600)
    stack.integrate()
    for position in (0, 1, 255, 256, 599, 600):
        got = receipt(stack.storage, position)
        report = verify_receipt(got.entry, got.proof, Trust((stack.vkey,)))
        assert report.valid, report.error
    stack.fill(1)
    with pytest.raises(DomainError) as caught:
        receipt(stack.storage, 601)
    assert caught.value.code == "receipt.not_signed"
    assert caught.value.facts["signed"] == 601


def test_one_integrator_per_storage(stack: EvidenceStack) -> None:
    """One integrator per storage; the second one is refused by name."""
    stack.fill(5)
    with (
        psycopg.connect(stack.database.app_url, autocommit=True) as conn,
        closing(Integrator(conn, stack.storage, stack.socket)),
        pytest.raises(DomainError, match=r"integrator\.second"),
    ):
        Integrator(conn, stack.storage, stack.socket)


def test_a_crash_between_signature_and_checkpoint(stack: EvidenceStack) -> None:
    """A tree that was signed but not published is extended, not forked: the next run goes on."""
    stack.fill(200)
    stack.integrate()
    unpublished = stack.storage.need("checkpoint")
    for count in (1, 300):
        stack.fill(count)
        stack.integrate()
        # The machine died before the newer checkpoint was written: the older one is still there.
        stack.storage.write({"checkpoint": unpublished})
    stack.fill(1)
    assert stack.integrate() == 1 + 200 + 1 + 300 + 1
    assert stack.refused() == 0
    report = verify_source(StorageSource(stack.storage), Trust((stack.vkey,)), Scope())
    assert report.valid, report.error


def test_a_signer_that_was_rolled_back_is_not_used(database: Database, tmp_path: Path) -> None:
    """A signer restored to an older state remembers less than was published: nothing is signed."""
    stack = EvidenceStack(database, tmp_path)
    with stack.signing():
        stack.fill(10)
        stack.integrate()
        state = (stack.signer_state / "state").read_bytes()
        stack.fill(10)
        stack.integrate()
    (stack.signer_state / "state").write_bytes(state)
    stack.fill(1)
    with stack.signing(), pytest.raises(DomainError, match=r"signer\.rolled_back"):
        stack.integrate()


def test_damaged_tiles_stop_the_integrator(stack: EvidenceStack) -> None:
    """Tiles that do not give the published root are named; nothing is signed on top of them."""
    stack.fill(10)
    stack.integrate()
    name = "tile/0/000.p/11"
    raw = stack.storage.need(name)
    stack.storage.write({name: bytes([raw[0] ^ 1]) + raw[1:]})
    with pytest.raises(DomainError, match=r"integrator\.storage_damaged"):
        stack.integrate()
    stack.storage.write({name: raw})
    assert stack.integrate() == 11
