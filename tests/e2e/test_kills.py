"""kill -9 of any process at random moments: nothing lost, nothing doubled, everything verifies."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.replay_runs import Inputs, run, sliced
from tests.kills import TARGETS as REPLAYED
from tests.kills import replay_holds
from tests.kills_stack import TARGETS as STACK
from tests.kills_stack import stack_holds

# A seed that begins anew as often as it must takes its time on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

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
    """Replay, PostgreSQL, signer, integrator killed at work: outputs, views and bundle as if
    undisturbed.

    Four at a time: a replay under fire mostly waits.
    """
    hits: Counter[str] = Counter()
    with ThreadPoolExecutor(4) as pool:
        every = pool.map(lambda seed: replay_holds(inputs, reference, folder, seed), seeds)
        for seed, killed in zip(seeds, every, strict=True):
            print(f"replay seed {seed}: {killed}")
            hits.update(killed)
    assert min(hits[target] for target in REPLAYED) >= 2, hits


@pytest.mark.parametrize("seed", range(4))
def test_a_living_stack_survives_kills(folder: Path, seed: int) -> None:
    """api, worker, signer, agent, NATS, PostgreSQL, each killed while a launch waits for its
    answer, and more while a period closes: each answer once in the log, each microsecond charged
    once, one invoice, of exactly what was used.
    """
    fight = stack_holds(folder, seed)
    print(f"stack seed {seed}: {fight}")
    assert sorted(fight.launching) == sorted(STACK)
    assert fight.closing, "nothing was killed while the period closed"
    assert fight.repeated, "no request lost its answer"
