"""`make soak`: CASES (default 100,000) of schemathesis against a living stack, from SEED.

First every deterministic case, then rounds of made-up ones and of walks along links. Ends with a
table; fails where a check failed, or an operation took nothing that is not in `ALONE`.
"""

import os
import sys
import time

from tests.soak.run import Soak
from tests.soak.unreached import ALONE
from tests.soak.world import world

_EXAMPLES, _WALKS, _SCENARIOS = 16, 24, 20
_CASES, _STEP = 100_000, 2_000


def main() -> int:
    """0 when everything held."""
    cases, seed = int(os.environ.get("CASES") or _CASES), int(os.environ.get("SEED") or 1)
    began = time.monotonic()
    print(f"soak: {cases} cases, SEED={seed}", flush=True)
    with world() as made:
        soak = Soak(made, seed, lambda done: _told(done, began))
        soak.cover(max(1, cases // len(soak.operations) // 2))
        turn = seed * 1_000_000
        while soak.cases < cases:
            for at in range(_WALKS):
                soak.walk(_SCENARIOS, turn + at)
            soak.fuzz(_EXAMPLES, turn)
            turn += _WALKS
            took = int(time.monotonic() - began)
            print(
                f"{soak.cases} cases, {took} s, {len(soak.failures)} kinds of failure", flush=True
            )
        print(soak.table())
        unreached = soak.unreached(ALONE)
    for told in soak.failures.values():
        print(told)
    took = int(time.monotonic() - began)
    print(f"{soak.cases} cases in {took} s, SEED={seed}: {len(soak.failures)} kinds of failure")
    if unreached:
        print("never reached:", *unreached, sep="\n  ")
    return 1 if soak.failures or unreached else 0


def _told(done: int, began: float) -> None:
    if done % _STEP == 0:
        print(f"{done} cases, {int(time.monotonic() - began)} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
