"""The whole trace, three ways: every task charged what it held, every refusal right."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.integration.replay_runs import Inputs, charged, owed, rows, run, walk
from tests.verifier_process import verified

pytestmark = [pytest.mark.slow, pytest.mark.shared]


@pytest.fixture
def out() -> Iterator[Path]:
    """A folder of its own, removed afterwards: a bundle has 50 MB."""
    path = Path(tempfile.mkdtemp(prefix="gpuaas-test-"))
    yield path / "out"
    shutil.rmtree(path, ignore_errors=True)


def inputs(shared: Path, pods: str, nodes: str) -> Inputs:
    """The trace's own files."""
    data = shared / "data"
    return Inputs(data / "openb" / nodes, data / "openb" / pods, data / "prices" / "openb.csv")


@pytest.mark.parametrize("pods", ["pods.csv", "pods_spec.csv"])
def test_every_task_of_the_trace_is_charged_to_the_microsecond(
    shared: Path, out: Path, database: Database, pods: str
) -> None:
    """Charged milli-GPU-us = (deletion - scheduled) x num_gpu x gpu_milli x 10^6; none refused;
    the bundle verifies in 200 MB (EVIDENCE.md section 6).
    """
    given = inputs(shared, pods, "nodes.csv")
    run(given, out, database.app_url)
    assert not rows(out / "refused.csv")
    held = charged(out)
    assert len(held) == 6203
    assert {task["name"]: owed(task) for task in given.tasks()} == held
    assert not list(walk(given, out))
    # 51,470.67 GPU-hours, as the trace's description says.
    assert round(sum(held.values()) / 3.6e12, 2) == 51470.67
    status, memory = verified(out / "bundle.tar", out / "log.vkey")
    assert status == 0
    print(f"{pods}: verified in {memory / 1e6:.0f} MB")
    assert 10_000_000 < memory <= 200_000_000


def test_on_too_few_nodes_no_refused_task_would_have_fitted(
    shared: Path, out: Path, database: Database
) -> None:
    """Given the allocations of that second, kept by the test; no device over 1000 milli."""
    given = inputs(shared, "pods.csv", "nodes_tight.csv")
    run(given, out, database.app_url)
    refused = 0
    for task, floor in walk(given, out):
        assert not floor.fits(int(task["num_gpu"]), int(task["gpu_milli"]), task["gpu_spec"])
        refused += 1
    assert refused > 0
    assert refused == len(rows(out / "refused.csv"))
    assert {row["code"] for row in rows(out / "refused.csv")} == {"capacity.none_fits"}
    held = charged(out)
    tasks = {task["name"]: task for task in given.tasks()}
    assert {name: owed(tasks[name]) for name in held} == held
