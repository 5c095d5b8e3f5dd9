"""`make soak`: CASES (default 100,000) of schemathesis against a living stack, from SEED.

First an example of each act, then every deterministic case, then rounds of made-up ones and of walks along links. A new kind of
failure is told at once. Ends with a table; fails where a check failed, an operation took nothing
that is not in `ALONE`, or the run was ended (SIGTERM) before its count was full.
"""

import os
import signal
import sys
import time
from functools import partial

from tests.soak.examples import exemplify
from tests.soak.run import Soak
from tests.soak.unreached import ALONE
from tests.soak.world import world

_EXAMPLES, _WALKS, _SCENARIOS = 16, 24, 20
_CASES, _STEP = 100_000, 2_000


def main() -> int:
    """0 when everything held."""
    cases, seed = int(os.environ.get("CASES") or _CASES), int(os.environ.get("SEED") or 1)
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _say(f"soak: {cases} cases, SEED={seed}")
    with world() as made:
        soak = Soak(made, seed, heard=partial(_heard, began), failed=_say)
        signal.signal(signal.SIGTERM, partial(_end, soak))
        try:
            _run(soak, cases, seed)
        except KeyboardInterrupt:
            _say("ended before its count was full")
        print(soak.table())
        unreached = soak.unreached(ALONE)
    took = int(time.monotonic() - began)
    _say(f"{soak.cases} cases in {took} s, SEED={seed}: {len(soak.failures)} kinds of failure")
    if unreached:
        print("never reached:", *unreached, sep="\n  ")
    return 1 if soak.failures or unreached or soak.cases < cases else 0


def _end(soak: Soak, *_: object) -> None:
    """Before its next case: what is raised in the midst of anything, a finalizer may swallow."""
    soak.ended = True


def _run(soak: Soak, cases: int, seed: int) -> None:
    exemplify(soak)
    soak.cover(max(1, cases // len(soak.operations) // 2))
    turn = seed * 1_000_000
    while soak.cases < cases:
        for at in range(_WALKS):
            soak.walk(_SCENARIOS, turn + at)
        soak.fuzz(_EXAMPLES, turn)
        turn += _WALKS


def _heard(began: float, done: int) -> None:
    if done % _STEP == 0:
        _say(f"{done} cases, {int(time.monotonic() - began)} s")


def _say(what: str) -> None:
    print(what, flush=True)


if __name__ == "__main__":
    sys.exit(main())
