"""The evidence storage or the signer's folder on a full disk: signing stops, says so,
and goes on.
"""

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from domain.errors import DomainError
from domain.node import Unreachable
from evidence.bundle import StorageSource, write_tar
from evidence.condition import Condition, fault_of, read_condition, report
from evidence.custody import keep
from evidence.fsck import check
from evidence.ids import new_id
from evidence.log import EventLog
from evidence.storage import Storage
from evidence.tail import gated, published_size
from gpuaas_verify import cli
from tests.conftest import Database
from tests.full_disk import Disk, small_disk, until
from tests.integration.evidence_stack import EvidenceStack, one_stream

pytestmark = pytest.mark.slow
_PATIENCE_S = 60


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", 4) as disk:
        yield disk


def fault(storage: Storage) -> str:
    said = read_condition(storage, "integrator")
    return "" if said is None or said.fault is None else f"{said.fault.code}: {said.fault.detail}"


def require_sound(stack: EvidenceStack, folder: Path) -> None:
    """Fsck finds nothing and a bundle of what lies there verifies."""
    with psycopg.connect(stack.database.app_url, autocommit=True) as conn:
        assert not check(conn, stack.storage, stack.vkey).findings
    source = StorageSource(stack.storage)
    write_tar(source, folder / "bundle.tar")
    source.close()
    assert cli.run([str(folder / "bundle.tar"), "--key", stack.vkey_text]) == 0


async def fill_and_mend(stack: EvidenceStack, disk: Disk, word: str) -> None:
    """Appends stop by `log.unsigned_tail` while the disk is full, and go on when it is not."""
    stop, storage = asyncio.Event(), stack.storage
    keeping = asyncio.create_task(
        keep(stack.database.app_url, storage.root, stack.socket, None, stop)
    )
    try:
        async with gated(stack.database.app_url, storage, 1_000) as log:
            await _fill_and_mend(log, stack, disk, word)
    finally:
        stop.set()
        await keeping


async def _fill_and_mend(log: EventLog, stack: EvidenceStack, disk: Disk, word: str) -> None:
    storage = stack.storage
    await log.append(one_stream(new_id("node"), 0, Unreachable(1)))
    await until(lambda: published_size(storage) == 2, "the first signature")
    await until(lambda: read_condition(storage, "integrator") is not None, "its condition")
    disk.fill()
    before = (storage.root / "checkpoint").read_bytes()
    code, accepted = "", 2
    deadline = time.monotonic() + _PATIENCE_S
    while code != "log.unsigned_tail":
        assert time.monotonic() < deadline, f"appends are still accepted; {fault(storage)}"
        try:
            await log.append(one_stream(new_id("node"), 0, *map(Unreachable, range(20))))
            accepted += 20
        except DomainError as refused:
            code = refused.code
        await asyncio.sleep(0.02)
    await until(lambda: word in fault(storage), f"the fault; it says {fault(storage)!r}")
    assert (storage.root / "checkpoint").read_bytes() == before, "nothing more was signed"
    await asyncio.to_thread(require_sound, stack, disk.root.parent)
    disk.free()
    await until(lambda: published_size(storage) == accepted, "everything to be signed")
    await until(lambda: fault(storage) == "", "the fault to be taken back")
    assert (await log.append(one_stream(new_id("node"), 0, Unreachable(3)))).first == accepted
    await until(lambda: published_size(storage) == accepted + 1, "the last signature")


def test_a_full_storage_stops_signing_and_recovers(
    database: Database, disk: Disk, tmp_path: Path
) -> None:
    """Fault named, the old checkpoint served whole, appends bounded; with room again
    all is signed.
    """
    stack = EvidenceStack(database, tmp_path)
    stack.storage = Storage(disk.root / "evidence")
    stack.open()
    with stack.signing():
        asyncio.run(fill_and_mend(stack, disk, "No space left"))
    require_sound(stack, tmp_path)


def test_a_full_signer_folder_signs_nothing_and_recovers(
    database: Database, disk: Disk, tmp_path: Path
) -> None:
    """The signer makes its state durable or refuses by name; with room again it goes on."""
    stack = EvidenceStack(database, tmp_path)
    shutil.move(tmp_path / "signer", disk.root / "signer")
    stack.signer_state = disk.root / "signer"
    with stack.signing():
        asyncio.run(fill_and_mend(stack, disk, "signer.state_unwritable"))
        assert stack.refused() == 0
    require_sound(stack, tmp_path)


def test_what_a_part_says_fits_on_a_full_disk(disk: Disk) -> None:
    """A part whose disk is full replaces its old word in place, shorter and longer, or
    is silent.
    """
    storage = Storage(disk.root)
    report(storage, "integrator", Condition(7, 3))
    disk.fill()
    trouble = fault_of(OSError(28, "No space left on device"))
    report(storage, "integrator", Condition(8, fault=trouble))
    said = read_condition(storage, "integrator")
    assert said is not None
    assert (said.at_us, said.fault) == (8, trouble)
    report(storage, "integrator", Condition(9, 4))
    assert read_condition(storage, "integrator") == Condition(9, 4)
    report(storage, "scrubber", Condition(10))
    assert read_condition(storage, "scrubber") is None
