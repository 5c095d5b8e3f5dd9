"""Kill -9 of any process of a replay at a random moment: it resumes, and nothing shows."""

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuaas_verify import cli
from tests.integration.replay_runs import (
    ROOT,
    Inputs,
    charged,
    command,
    environment,
    owed,
    run,
    sliced,
)

pytestmark = [pytest.mark.slow, pytest.mark.shared]
SEEDS = int(os.environ.get("GPUAAS_CHAOS_SEEDS", "20"))
TASKS = 300
OUTPUTS = ("charges.csv", "invoices.json", "refused.csv")
VICTIMS = ("api.cli", "evidence.signer", "api.replay_integrator", "postgres")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the server's account may enter."""
    path = Path(tempfile.mkdtemp(prefix="gpuaas-test-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def slice_of_trace(shared: Path, folder: Path) -> Inputs:
    """300 tasks that run side by side."""
    return sliced(shared, folder, TASKS)


@pytest.fixture(scope="module")
def undisturbed(slice_of_trace: Inputs, folder: Path) -> Path:
    """The outputs of a run that nobody disturbed, and how long it took."""
    out = folder / "undisturbed"
    began = time.monotonic()
    run(slice_of_trace, out)
    (out / "took").write_text(str(time.monotonic() - began))
    return out


def children(pid: int) -> dict[str, int]:
    """Processes of the replay that can be killed, itself included, by name."""
    found = {VICTIMS[0]: pid}
    try:
        pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        lines = {int(each): Path(f"/proc/{each}/cmdline").read_text() for each in pids}
    except OSError:  # it ended while we looked
        return found
    for each, line in lines.items():
        found |= {name: each for name in VICTIMS[1:] if name in line}
    return found


def disturbed(inputs: Inputs, out: Path, chance: random.Random, took: float) -> str:
    """One run in which one process was killed; which."""
    with out.with_name(f"{out.name}.log").open("ab") as log:
        child = subprocess.Popen(command(inputs, out), cwd=ROOT, stderr=log, env=environment())
        time.sleep(chance.uniform(0.2, took))
        victim = chance.choice(VICTIMS)
        pid = children(child.pid).get(victim)
        if pid is not None and child.poll() is None:
            os.kill(pid, signal.SIGKILL)
        try:
            child.wait(60)
        finally:
            child.kill()
            child.wait()
    return victim


@pytest.mark.parametrize("seed", range(SEEDS))
def test_killed_at_any_moment_it_resumes(
    slice_of_trace: Inputs, undisturbed: Path, folder: Path, seed: int
) -> None:
    """The outputs are those of an undisturbed run, each entry once, and the bundle verifies."""
    chance = random.Random(seed)
    out = folder / f"seed-{seed}"
    took = float((undisturbed / "took").read_text())
    try:
        for _ in range(chance.choice((1, 1, 2))):
            disturbed(slice_of_trace, out, chance, took)
        run(slice_of_trace, out)
        for name in OUTPUTS:
            assert (out / name).read_bytes() == (undisturbed / name).read_bytes(), name
        assert charged(out) == {task["name"]: owed(task) for task in slice_of_trace.tasks()}
        entries = [
            json.loads((each / "report.json").read_bytes())["entries"]
            for each in (out, undisturbed)
        ]
        assert entries[0] == entries[1]
        key = (out / "log.vkey").read_text().strip()
        assert cli.run([str(out / "bundle.tar"), "--key", key]) == 0
    finally:
        shutil.rmtree(out, ignore_errors=True)
