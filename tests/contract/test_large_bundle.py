"""A bundle of a real trace, as an auditor has it: a file on disk, judged in two processes or in one."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuaas_verify.note import Vkey
from tests.conftest import Database
from tests.integration.replay_runs import run, sliced
from tests.large_changes import CHANGES, require_refused

pytestmark = [pytest.mark.slow, pytest.mark.shared]

TASKS = 1_200  # a bundle of more entries than are judged in one process


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of its own, removed afterwards: a bundle has 10 MB."""
    path = Path(tempfile.mkdtemp(prefix="gpuaas-test-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_no_change_of_a_large_bundle_is_accepted(
    shared: Path, database: Database, folder: Path
) -> None:
    """Entries, rows, files, tiles and members of the trace's first 1,200 tasks dropped, doubled,
    swapped, cut, flipped or taken from another log: refused, at the position or row where it is.
    """
    out = folder / "out"
    run(sliced(shared, folder, TASKS), out, database.app_url)
    vkey = Vkey.parse((out / "log.vkey").read_text().strip())
    said = list(require_refused(out / "bundle.tar", vkey, turns=1, seed=5))
    assert len(said) == len(CHANGES)
    print("\n".join(said))
