"""kill -9 of any process at random moments: nothing lost, nothing doubled, everything verifies."""

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.replay_runs import Inputs, run, sliced
from tests.kills import replay_under_fire, require_same, stack_under_fire

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


def under_fire(inputs: Inputs, reference: Path, folder: Path, seed: int) -> str:
    place = folder / f"seed-{seed}"
    place.mkdir(mode=0o711)
    killed = replay_under_fire(inputs, place / "out", seed)
    require_same(place / "out", reference)
    shutil.rmtree(place)
    return f"seed {seed}: {killed}"


@pytest.mark.shared
@pytest.mark.parametrize("seeds", [range(8), range(8, 16)])
def test_a_replay_survives_kills(
    inputs: Inputs, reference: Path, folder: Path, seeds: range
) -> None:
    """Replay, PostgreSQL, signer, integrator killed: outputs, views and bundle as if undisturbed.

    Four at a time: a replay under fire mostly waits.
    """
    with ThreadPoolExecutor(4) as pool:
        for said in pool.map(lambda seed: under_fire(inputs, reference, folder, seed), seeds):
            print(said)


@pytest.mark.parametrize("seed", range(4))
def test_a_living_stack_survives_kills(folder: Path, seed: int) -> None:
    """api, worker, signer, agent, NATS, PostgreSQL killed under load: each answer once in the log."""
    place = folder / f"stack-{seed}"
    place.mkdir(mode=0o711)
    print(stack_under_fire(place, seed))
    shutil.rmtree(place)
