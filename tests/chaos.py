"""`make chaos`: the long seeded runs that `make test` samples.

`python -m tests.chaos [REPLAYS [STACKS [FIRST_SEED]]]`; the default is 200 runs: 180 replays of a
300-task slice and 20 living stacks, each with kills from its seed, 504 changes of every kind to the
bundle of the trace told twice (more than 65,536 entries), 10,000 resumes of terminals, 1,000 seeds
of three agents in namespaces of their own (root), and 1,000,000 schedules of leases, epochs and
fences in the pure simulator (hours). A failure names the seed.
`python -m tests.chaos terminals [STACKS [FIRST_SEED]]`: only those, 1,000 a stack.
`python -m tests.chaos machines [SEEDS [FIRST_SEED]]`: only three agents in namespaces, 1,000 seeds.
`python -m tests.chaos schedules [COUNT [FIRST_SEED]]`: only the pure simulator, 1,000,000 schedules.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from gpuaas_verify.note import Vkey
from tests.fleet_model import explored
from tests.integration.replay_runs import grown, run, sliced
from tests.kills import replay_holds
from tests.kills_stack import stack_holds
from tests.large_changes import CHANGES, require_refused
from tests.netns_world import machines_hold
from tests.terminal_resumes import resumes_hold

REPLAYS, STACKS, TASKS = 180, 20, 300
TIMES, TURNS = 2, 24
TERMINALS, SCREENS, ROUNDS = 10, 50, 20
SCHEDULES, _PIECE = 1_000_000, 500
MACHINES, _SEEDS, _SIDE_BY_SIDE = 1_000, 20, 4


def main(arguments: list[str]) -> int:
    """0 when every seed held; each is one line as it ends."""
    if arguments[:1] == ["terminals"]:
        stacks, first = (
            int(given) for given in (arguments[1:] + [str(TERMINALS), "1000"][len(arguments) - 1 :])
        )
        terminals(stacks, first)
        return 0
    if arguments[:1] == ["machines"]:
        count, first = (
            int(given) for given in (arguments[1:] + [str(MACHINES), "0"][len(arguments) - 1 :])
        )
        three_machines(count, first)
        return 0
    if arguments[:1] == ["schedules"]:
        count, first = (
            int(given) for given in (arguments[1:] + [str(SCHEDULES), "0"][len(arguments) - 1 :])
        )
        schedules(count, first)
        return 0
    replays, stacks, first = (
        int(given) for given in (arguments + [str(REPLAYS), str(STACKS), "1000"][len(arguments) :])
    )
    shared = Path(os.environ.get("GPUAAS_SHARED", "../shared")).resolve()
    folder = Path(tempfile.mkdtemp(prefix="gpuaas-chaos-"))
    folder.chmod(0o711)
    began = time.monotonic()
    try:
        inputs = sliced(shared, folder, TASKS)
        reference = folder / "reference" / "out"
        reference.parent.mkdir(mode=0o711)
        run(inputs, reference)

        def say(held: str) -> None:
            print(f"[{time.monotonic() - began:6.0f} s] {held}", flush=True)

        hits: Counter[str] = Counter()
        with ThreadPoolExecutor(4) as pool:
            seeds = range(first, first + replays)
            every = pool.map(lambda seed: replay_holds(inputs, reference, folder, seed), seeds)
            for seed, killed in zip(seeds, every, strict=True):
                say(f"replay seed {seed}: {killed}")
                hits.update(killed)
        for seed in range(first, first + stacks):
            fight = stack_holds(folder, seed, kills=12)
            say(f"stack seed {seed}: {fight}")
            hits.update(f"stack's {target}" for target in fight.launching + fight.closing)
        say(f"kills: {dict(hits)}")
        large = folder / "large" / "out"
        large.parent.mkdir(mode=0o711)
        run(grown(shared, folder, TIMES), large, timeout_s=1_800)
        entries = json.loads((large / "report.json").read_bytes())["entries"]
        assert entries > 65_536, "three levels of tiles"
        vkey = Vkey.parse((large / "log.vkey").read_text().strip())
        for refused in require_refused(large / "bundle.tar", vkey, TURNS, first):
            say(refused)
        say(f"{TURNS * len(CHANGES)} changes of a bundle of {entries} entries refused")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    terminals(TERMINALS, first)
    three_machines(MACHINES, first)
    schedules(SCHEDULES, first)
    print(f"{replays + stacks} seeded runs held in {time.monotonic() - began:.0f} s")
    return 0


def terminals(stacks: int, first: int) -> None:
    """Each stack is one line as it ends."""
    for seed in range(first, first + stacks):
        print(resumes_hold(seed, SCREENS, ROUNDS), flush=True)


def three_machines(count: int, first: int) -> None:
    """Stacks of some seeds each, a few at a time: they mostly wait. Each is one line as it ends."""
    starts = range(first, first + count, _SEEDS)
    with ProcessPoolExecutor(_SIDE_BY_SIDE, get_context("spawn")) as pool:
        sizes = (min(_SEEDS, first + count - at) for at in starts)
        for line in pool.map(machines_hold, starts, sizes):
            print(line, flush=True)


def schedules(count: int, first: int) -> None:
    """On all cores; a line each ten thousand or so, the sums at the end."""
    sums: Counter[str] = Counter()
    began = time.monotonic()
    pieces = [
        range(at, min(at + _PIECE, first + count)) for at in range(first, first + count, _PIECE)
    ]
    with ProcessPoolExecutor() as pool:
        for done, found in enumerate(pool.map(explored, pieces), 1):
            sums.update(found)
            if done % 20 == 0 or done == len(pieces):
                seconds = time.monotonic() - began
                print(f"[{seconds:6.0f} s] {min(done * _PIECE, count)} schedules hold", flush=True)
    print(f"SIMULATED schedules: {dict(sums)}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
