"""kill -9 of a replay and its servers, from a seed: finished, it is as if nobody had disturbed it."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path

import psycopg

from api.embedded.postgres import Postgres
from gpuaas_verify import cli
from projections.rebuild import rebuild
from projections.runner import catch_up
from tests.clusters import ready_cluster
from tests.integration.replay_runs import ROOT, Inputs, command, environment

OUTPUTS = ("charges.csv", "invoices.json", "refused.csv")
TARGETS = ("replay", "postgres", "evidence.signer", "replay.integrator")
PLAIN = 5  # every fifth seed may be hit while its cluster is made; the others begin with one
_PATIENCE_S = 90
_TRIES = 40
# How long each runs in an undisturbed replay of 300 tasks; beyond it a kill hits nothing.
_LIFE_S = {"replay": 4.0, "postgres": 3.0, "evidence.signer": 1.5, "replay.integrator": 1.2}


def replay_under_fire(inputs: Inputs, out: Path, seed: int) -> list[str]:
    """The replay finished in spite of 1 to 4 kills, each of a process at work; says of which.

    The target is chosen first and hit a moment after it began to run, so that each is hit in all of
    its life: chosen among those that run, the servers that start first would take most of the hits.
    The first target follows from the seed: any four seeds in a row hit each once at least. A
    replay that ends before its first kill is begun anew and hit sooner.
    """
    chance = random.Random(seed)
    order = [TARGETS[seed % len(TARGETS)], *chance.choices(TARGETS, k=chance.randint(1, 3))]
    killed: list[str] = []
    share = 1.0
    child = _begin(inputs, out, seed)
    for _ in range(_TRIES):
        target = order[len(killed)]
        child = _begun(target, child, inputs, out)
        time.sleep(chance.uniform(0, _LIFE_S[target] * share))
        if (out / "report.json").exists():
            if killed:
                break
            child.wait()
            shutil.rmtree(out)
            share /= 2
            child = _begin(inputs, out, seed)
        elif _kill(target, child):
            killed.append(target)
            if len(killed) == len(order):
                break
    _finish(child, inputs, out)
    assert killed, f"{_TRIES} times the target had ended before it was hit"
    return killed


def _kill(target: str, child: subprocess.Popen[bytes]) -> bool:
    """Whether something was hit that ran."""
    hit = [child.pid] if target == "replay" else _children_of(child.pid, target)
    if not hit or child.poll() is not None:
        return False
    struck = 0
    for pid in hit:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
            os.kill(pid, signal.SIGKILL)
            struck += 1
    if target == "replay":
        child.wait()
    return struck > 0


def _begun(
    target: str, child: subprocess.Popen[bytes], inputs: Inputs, out: Path
) -> subprocess.Popen[bytes]:
    """The replay in which the target runs now, started again as often as it ended before that."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            child = _start(inputs, out)
        if target == "replay" or _children_of(child.pid, target):
            return child
        time.sleep(0.01)
    raise AssertionError(f"{target} does not start in {_PATIENCE_S} s")


def replay_holds(inputs: Inputs, reference: Path, folder: Path, seed: int) -> list[str]:
    """One seed in a folder of its own: killed, finished, the same as the reference; what was hit."""
    place = folder / f"replay-{seed}"
    place.mkdir(mode=0o711)
    killed = replay_under_fire(inputs, place / "out", seed)
    require_same(place / "out", reference)
    shutil.rmtree(place)
    return killed


def _finish(child: subprocess.Popen[bytes], inputs: Inputs, out: Path) -> None:
    """Runs to the end; a replay that lost its server ends with a sentence and is started again."""
    for _ in range(5):
        if child.wait(_PATIENCE_S) == 0:
            return
        child = _start(inputs, out)
    said = out.with_name("replay.log").read_text()[-3000:]
    raise AssertionError(f"the replay does not finish: {said}")


def _begin(inputs: Inputs, out: Path, seed: int) -> subprocess.Popen[bytes]:
    if seed % PLAIN:
        ready_cluster(out / "server")
    return _start(inputs, out)


def _start(inputs: Inputs, out: Path) -> subprocess.Popen[bytes]:
    with out.with_name("replay.log").open("ab") as log:
        return subprocess.Popen(command(inputs, out), cwd=ROOT, stderr=log, env=environment())


def _children_of(parent: int, word: str) -> list[int]:
    """Direct children whose command line has the word; asked of the kernel, not of every process."""
    found = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{parent}/task").iterdir():
            found += [int(pid) for pid in (thread / "children").read_text().split()]
    return [pid for pid in found if word in _command_line(pid)]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def require_same(out: Path, reference: Path) -> None:
    """Outputs, entries, views and evidence are those of a run nobody disturbed."""
    for name in OUTPUTS:
        assert (out / name).read_bytes() == (reference / name).read_bytes(), name
    counts = [
        json.loads((each / "report.json").read_bytes())["entries"] for each in (out, reference)
    ]
    assert counts[0] == counts[1], "an acknowledged command is in the log exactly once"
    key = (out / "log.vkey").read_text().strip()
    assert cli.run([str(out / "bundle.tar"), "--key", key]) == 0
    with closing(Postgres(out / "server")) as server:
        require_views_equal_a_rebuild(server.url("app"), limit=777)


def require_views_equal_a_rebuild(app_url: str, limit: int = 5_000) -> None:
    """Views caught up in their own batches equal views rebuilt in others, byte for byte."""
    with (
        psycopg.connect(app_url, autocommit=True) as conn,
        psycopg.connect(app_url, autocommit=True) as reader,
    ):
        catch_up(conn, limit)
        assert rebuild(conn, reader) == []
