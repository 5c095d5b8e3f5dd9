"""A replay whose folder lies on a full disk: one sentence, and with room the same outputs."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuaas_verify import cli
from tests.conftest import Database
from tests.full_disk import Disk, small_disk
from tests.integration.replay_runs import ROOT, Inputs, command, environment, run, sliced

pytestmark = [pytest.mark.slow, pytest.mark.shared]
OUTPUTS = ("charges.csv", "invoices.json", "refused.csv")
TASKS = 60


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the server's account may enter."""
    path = Path(tempfile.mkdtemp(prefix="gpuaas-test-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def inputs(shared: Path, folder: Path) -> Inputs:
    return sliced(shared, folder, TASKS)


@pytest.fixture(scope="module")
def reference(inputs: Inputs, folder: Path) -> Path:
    """The outputs of a run with room enough."""
    run(inputs, folder / "reference")
    return folder / "reference"


def require_sentence(status: int, said: str, words: str = "No space left") -> None:
    """It failed with one line of its own after the progress, and that line says why."""
    assert status in (1, 2), said
    last = said.strip().splitlines()[-1]
    assert last.startswith("gpuaas: "), said
    assert words in last, said
    assert "Traceback" not in said, said


def require_same(out: Path, reference: Path) -> None:
    for name in OUTPUTS:
        assert (out / name).read_bytes() == (reference / name).read_bytes(), name
    key = (out / "log.vkey").read_text().strip()
    assert cli.run([str(out / "bundle.tar"), "--key", key]) == 0


def attempt(inputs: Inputs, out: Path, database_url: str | None = None) -> tuple[int, str]:
    done = subprocess.run(
        command(inputs, out, database_url), cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=60, env=environment(),
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.fixture
def disk(folder: Path) -> Iterator[Disk]:
    with small_disk(folder / "disk", 8) as disk:
        yield disk


def test_no_room_for_evidence_and_outputs(
    inputs: Inputs, reference: Path, database: Database, disk: Disk
) -> None:
    """However little room there is, it stops by a sentence; each try goes on where the
    last ended.
    """
    out = disk.root / "out"
    for leave_kib in (0, 48):
        disk.free()
        disk.fill(leave_kib)
        require_sentence(*attempt(inputs, out, database.app_url))
        assert not (out / "bundle.tar").exists()
    disk.free()
    run(inputs, out, database.app_url)
    require_same(out, reference)


def test_no_room_for_its_server(inputs: Inputs, reference: Path, folder: Path) -> None:
    """Its own PostgreSQL loses its disk in the middle: a sentence, then the same outputs."""
    with small_disk(folder / "large", 300) as disk:
        out = disk.root / "out"
        child = subprocess.Popen(
            command(inputs, out), cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment()
        )
        try:
            deadline = time.monotonic() + 30
            while not (out / "evidence" / "vkey").exists():
                assert time.monotonic() < deadline
                time.sleep(0.005)
            # Held meanwhile, or a fast replay is over before the disk is full.
            child.send_signal(signal.SIGSTOP)
            disk.fill()
            child.send_signal(signal.SIGCONT)
            _, said = child.communicate(timeout=60)
        finally:
            child.kill()
            child.wait()
        require_sentence(child.returncode, said, "")
        require_sentence(*attempt(inputs, out))
        disk.free()
        run(inputs, out)
        require_same(out, reference)
