"""`make chaos`: the long seeded runs that `make test` samples, one part after the other.

`python -m tests.chaos [PART [COUNT [FIRST_SEED]]]`: one part alone, with a count of its own.

- `replays`: replays of a 300-task slice with kills from their seeds
- `stacks`: living stacks, twelve kills each; with the replays 200 runs
- `changes`: turns of every kind of change to the bundle of the trace told twice (more than 65,536
  entries)
- `proofs`: changes of an invoice's proof
- `terminals`: stacks of 1,000 resumes each
- `machines`: seeds of three agents in namespaces of their own (root)
- `quotas`: turns of 256 clients at once on one quota, judged from the log
- `deciders`: turns of 64 clients on one quota, without log and database
- `purses`: living stacks of prepaid accounts, thirty seconds of kills each
- `volumes`: living stacks with a prepaid volume, from its first hold to its wipe, kills meanwhile
- `wallets`: prepaid accounts in the pure simulator, with credit for some twenty hours each
- `trace`: the whole trace under three price books, every line against the oracle
- `invariants`: examples of each stateful machine that shows invariants of MONEY.md section 7
- `seeds`: of duplicates, reorder, crashes and clocks on a 300-task slice, then a few of the whole
  trace
- `prices`: accounts of 24 closed months of late, voided and re-priced use, against the oracle
- `schedules`: of leases, epochs and fences in the pure simulator
- `authorizations`: decisions in random organizations, Cedar against the oracle
- `edits`: small organizations with a guardrail, every edit from below, every question to both
  evaluators before and after it
- `softdog`: the node's watchdog on a user-mode Linux that the kernel resets (Debian:
  user-mode-linux), where that is installed

A failure names the seed.
"""

import argparse
import gc
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import uvloop

from api.embedded.nats import Nats
from api.embedded.postgres import Postgres
from api.replay.input import read_trace
from gpuaas_verify.note import Vkey
from tests.authority_edits import WORLDS, hold
from tests.authority_worlds import agree
from tests.bench.bench_log import fresh_database
from tests.fleet_model import explored
from tests.integration.replay_runs import grown, run, sliced
from tests.invariant_runs import MACHINES, holds
from tests.kills import replay_holds
from tests.kills_stack import stack_holds
from tests.large_changes import CHANGES, require_refused
from tests.netns_world import machines_hold
from tests.proof_runs import proof_changes
from tests.property.price_world import repriced
from tests.property.test_quota_crowd import decided
from tests.quota_crowd import crowded, require_held
from tests.seed_runs import agreed, told
from tests.skew import compiled
from tests.softdog import SCENARIOS, machine_of, softdog_holds
from tests.terminal_resumes import resumes_hold
from tests.trace_books import BOOKS, require_the_oracles
from tests.volume_kills import kept_hold
from tests.wallet_kills import purses_hold
from tests.wallet_sim import lived

TASKS, TIMES = 300, 2
_KILLS, _SCREENS, _ROUNDS = 12, 50, 20
_PIECE, _SEEDS, _SIDE_BY_SIDE = 500, 20, 4
_TURNS = 100_000
_WORLD = 250
_TOLD = 25
_ASKED = 500  # of one organization
_STRANDED = 0.01  # of credit for twenty hours: holds reach 632 s ahead


def main(arguments: list[str]) -> int:
    """0 when every seed held; each is one line as it ends."""
    parser = argparse.ArgumentParser(prog="tests.chaos")
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("count", nargs="?", type=int)
    parser.add_argument("first", nargs="?", type=int, default=1000)
    given = parser.parse_args(arguments)
    began = time.monotonic()
    for name in PARTS if given.part is None else (given.part,):
        part, count = PARTS[name]
        folder = Path(tempfile.mkdtemp(prefix="gpuaas-chaos-"))
        folder.chmod(0o711)
        try:
            for line in part(folder, count if given.count is None else given.count, given.first):
                print(f"[{time.monotonic() - began:6.0f} s] {line}", flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def replays(folder: Path, count: int, first: int) -> Iterator[str]:
    """Four at a time."""
    inputs = sliced(_shared(), folder, TASKS)
    reference = folder / "reference" / "out"
    reference.parent.mkdir(mode=0o711)
    run(inputs, reference)
    hits: Counter[str] = Counter()
    seeds = range(first, first + count)
    with ThreadPoolExecutor(4) as pool:
        every = pool.map(lambda seed: replay_holds(inputs, reference, folder, seed), seeds)
        for seed, killed in zip(seeds, every, strict=True):
            yield f"replay seed {seed}: {killed}"
            hits.update(killed)
    yield f"{count} replays held: {dict(hits)}"


def stacks(folder: Path, count: int, first: int) -> Iterator[str]:
    """One after the other."""
    hits: Counter[str] = Counter()
    for seed in range(first, first + count):
        fight = stack_holds(folder, seed, kills=_KILLS)
        yield f"stack seed {seed}: {fight}"
        hits.update(fight.launching + fight.closing)
    yield f"{count} stacks held: {dict(hits)}"


def changes(folder: Path, turns: int, first: int) -> Iterator[str]:
    """Of one bundle, each kind once a turn."""
    large = folder / "large" / "out"
    large.parent.mkdir(mode=0o711)
    run(grown(_shared(), folder, TIMES), large, timeout_s=1_800)
    entries = json.loads((large / "report.json").read_bytes())["entries"]
    assert entries > 65_536, "three levels of tiles"
    vkey = Vkey.parse((large / "log.vkey").read_text().strip())
    yield from require_refused(large / "bundle.tar", vkey, turns, first)
    yield f"{turns * len(CHANGES)} changes of a bundle of {entries} entries refused"


def proofs(folder: Path, count: int, first: int) -> Iterator[str]:
    """Of one invoice's proof; another invoice's lies beside it."""
    yield from proof_changes(sliced(_shared(), folder, TASKS), folder, count, first)


def _shared() -> Path:
    return Path(os.environ.get("GPUAAS_SHARED", "../shared")).resolve()


def terminals(_folder: Path, count: int, first: int) -> Iterator[str]:
    """One after the other."""
    for seed in range(first, first + count):
        yield resumes_hold(seed, _SCREENS, _ROUNDS)


def quotas(folder: Path, count: int, first: int) -> Iterator[str]:
    """As many turns as told, in runs of 100,000."""
    server = Postgres(folder)
    broker = Nats(folder)
    try:
        for seed in range(first, first + -(-count // _TURNS)):
            with fresh_database(server) as urls:
                turns = min(count, _TURNS)
                asked = crowded(
                    urls["app"], broker.url(), clients=256, turns=turns, seed=seed, rivals=True
                )
                yield f"quota seed {seed}: {require_held(urls['app'], uvloop.run(asked))}"
    finally:
        broker.close()
        server.close()


def deciders(_folder: Path, count: int, first: int) -> Iterator[str]:
    """In runs of 100,000, on all cores."""
    seeds = range(first, first + -(-count // _TURNS))
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        every = pool.map(decided, seeds, repeat(min(count, _TURNS)))
        for seed, (asked, lost, done) in zip(seeds, every, strict=True):
            yield f"deciders seed {seed}: {asked} asks, {lost} lost once: {done}"


def machines(_folder: Path, count: int, first: int) -> Iterator[str]:
    """Stacks of some seeds each, a few at a time: they mostly wait."""
    starts = range(first, first + count, _SEEDS)
    with ProcessPoolExecutor(_SIDE_BY_SIDE, get_context("spawn")) as pool:
        sizes = (min(_SEEDS, first + count - at) for at in starts)
        yield from pool.map(machines_hold, starts, sizes)


def purses(folder: Path, count: int, first: int) -> Iterator[str]:
    """One after the other."""
    for seed in range(first, first + count):
        yield f"purses seed {seed}: {purses_hold(folder, seed)}"


def volumes(folder: Path, count: int, first: int) -> Iterator[str]:
    """One after another: each has a stack to itself."""
    for seed in range(first, first + count):
        yield f"SIMULATED volumes seed {seed}: {dict(kept_hold(folder, seed))}"


def wallets(_folder: Path, count: int, first: int) -> Iterator[str]:
    """Worlds of 250 accounts, on all cores; a line each."""
    starts = range(first, first + -(-count // _WORLD))
    with ProcessPoolExecutor() as pool:
        every = pool.map(lived, repeat(_WORLD), repeat(20.0), starts)
        for seed, found in zip(starts, every, strict=True):
            assert found.stranded <= _STRANDED, f"seed {seed}: {found}"
            yield f"SIMULATED wallets seed {seed}: {found}"


def prices(_folder: Path, count: int, first: int) -> Iterator[str]:
    """On all cores; a line each thousand."""
    with ProcessPoolExecutor() as pool:
        for done, lines in enumerate(pool.map(repriced, range(first, first + count)), 1):
            if not done % 1000 or done == count:
                yield f"prices of {done} accounts; the last one has {lines} lines"


def trace(_folder: Path, count: int, _first: int) -> Iterator[str]:
    """Each of the trace's two files of tasks under so many of the books."""
    data = _shared() / "data"
    for tasks in ("pods.csv", "pods_spec.csv"):
        files = (data / "openb" / "nodes.csv", data / "openb" / tasks, data / "prices/openb.csv")
        whole = read_trace(*files, "2025-01-01T00:00:00Z", "UTC")
        for name in BOOKS[:count]:
            lines = require_the_oracles(whole, name)
            yield f"{tasks} {name}: {lines} lines of {len(whole.tasks)} tasks are the oracle's"


def invariants(_folder: Path, count: int, _first: int) -> Iterator[str]:
    """Each machine so often, side by side; a failure comes with what reproduces it."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for name in pool.map(holds, MACHINES, repeat(count)):
            yield f"{name}: {count} runs hold"


def seeds(folder: Path, count: int, first: int) -> Iterator[str]:
    """In processes of 25, on all cores, a line each; then each price book on the whole trace, twice."""
    library, shared = compiled(folder), _shared()
    starts = range(first, first + count, _TOLD)
    sizes = [min(_TOLD, first + count - at) for at in starts]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        every = pool.map(lambda at, size: told(library, shared, at, size), starts, sizes)
        done = 0
        for size, found in zip(sizes, agreed(every), strict=True):
            done += size
            yield f"{done} seeds of {TASKS} tasks agree: {found}"
        whole = range(first, first + 2 * len(BOOKS))
        every = pool.map(lambda at: told(library, shared, at, 1, "whole"), whole)
        for done, found in enumerate(agreed(every), 1):
            yield f"{done} seeds of the whole trace agree: {found}"


def schedules(_folder: Path, count: int, first: int) -> Iterator[str]:
    """On all cores; a line each ten thousand or so, the sums at the end."""
    sums: Counter[str] = Counter()
    pieces = [
        range(at, min(at + _PIECE, first + count)) for at in range(first, first + count, _PIECE)
    ]
    # Schedules leave much to collect, and nothing that grows: seldom is a sixth faster.
    with ProcessPoolExecutor(initializer=gc.set_threshold, initargs=(100_000, 10, 10)) as pool:
        for done, found in enumerate(pool.map(explored, pieces), 1):
            sums.update(found)
            if done % 20 == 0 or done == len(pieces):
                yield f"{min(done * _PIECE, count)} schedules hold"
    yield f"SIMULATED schedules: {dict(sums)}"


def authorizations(_folder: Path, count: int, first: int) -> Iterator[str]:
    """Each organization with as many questions; what was allowed is counted."""
    worlds, allowed = -(-count // _ASKED), 0
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        numbers = range(first, first + worlds)
        for done, found in enumerate(pool.map(agree, numbers, repeat(_ASKED), chunksize=20), 1):
            allowed += found
            if done % 200 == 0 or done == worlds:
                yield f"{done * _ASKED} decisions agree, {allowed} of them allow"


def edits(_folder: Path, count: int, _first: int) -> Iterator[str]:
    """All of them, in order; or as many as told, from the first one on. There are no seeds."""
    pieces = [range(at, min(at + 20, count)) for at in range(0, count, 20)]
    judged = tried = allowed = 0
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for done, (found, more, let) in enumerate(pool.map(hold, pieces), 1):
            judged, tried, allowed = judged + found, tried + more, allowed + let
            if done % 20 == 0 or done == len(pieces):
                yield f"{judged} organizations: {tried} edits, {allowed} of them let"
    assert judged == count, f"there are {judged}"


def softdog(folder: Path, count: int, _first: int) -> Iterator[str]:
    """Each scenario so often, one after the other."""
    machine = machine_of()
    if machine is None:
        yield "no softdog: this machine has no linux.uml"
        return
    for turn in range(count):
        place = folder / str(turn)
        place.mkdir()
        for scenario in SCENARIOS:
            yield softdog_holds(place, machine, scenario)


type Part = Callable[[Path, int, int], Iterator[str]]
PARTS: dict[str, tuple[Part, int]] = {
    "replays": (replays, 180),
    "stacks": (stacks, 20),
    "changes": (changes, 12),
    "proofs": (proofs, 10_000),
    "terminals": (terminals, 10),
    "machines": (machines, 1_000),
    "quotas": (quotas, 1_000_000),
    "deciders": (deciders, 1_000_000),
    "purses": (purses, 20),
    "volumes": (volumes, 5),
    "wallets": (wallets, 10_000),
    "trace": (trace, len(BOOKS)),
    "invariants": (invariants, 1_000),
    "seeds": (seeds, 1_000),
    "prices": (prices, 2_000),
    "schedules": (schedules, 1_000_000),
    "authorizations": (authorizations, 1_000_000),
    "edits": (edits, WORLDS),
    "softdog": (softdog, 1),
}

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
