"""kill -9 of any process at random moments: nothing lost, nothing doubled, everything verifies."""

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.replay_runs import Inputs, run, sliced
from tests.kills import replay_holds, stack_holds

pytestmark = pytest.mark.slow

TASKS = 300


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that a server's account may enter."""
    path = Path(tempfile.mkdtemp(prefix="gpuaas-kills-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def inputs(shared: Path, folder: Path) -> Inputs:
    """300 tasks of the trace."""
    return sliced(shared, folder, TASKS)


@pytest.fixture(scope="module")
def reference(folder: Path, inputs: Inputs) -> Path:
    """The same replay, undisturbed."""
    out = folder / "reference" / "out"
    out.parent.mkdir(mode=0o711)
    run(inputs, out)
    return out


@pytest.mark.shared
@pytest.mark.parametrize("seeds", [range(8), range(8, 16)])
def test_a_replay_survives_kills(
    inputs: Inputs, reference: Path, folder: Path, seeds: range
) -> None:
    """Replay, PostgreSQL, signer, integrator killed: outputs, views and bundle as if undisturbed.

    Four at a time: a replay under fire mostly waits.
    """
    with ThreadPoolExecutor(4) as pool:
        for said in pool.map(lambda seed: replay_holds(inputs, reference, folder, seed), seeds):
            print(said)


@pytest.mark.parametrize("seed", range(4))
def test_a_living_stack_survives_kills(folder: Path, seed: int) -> None:
    """api, worker, signer, agent, NATS, PostgreSQL killed under load: each answer once
    in the log.
    """
    print(stack_holds(folder, seed))
