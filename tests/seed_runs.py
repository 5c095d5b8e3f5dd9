"""Seeds of tests/seeds.py in processes whose wall clocks are off, and what they come to."""

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tests.integration.replay_runs import ROOT
from tests.skew import off_by

type Found = dict[str, set[str]]  # the digests of each price book


def told(library: Path, shared: Path, first: int, count: int, *more: str) -> Found:
    """By so many seeds, one process; `whole`: of the whole trace. Fails as one of them does."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.seeds", str(first), str(count), *more],
        cwd=ROOT,
        capture_output=True,
        env={**os.environ, **off_by(library, 0), "GPUAAS_SHARED": str(shared)},
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    lines = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert len(lines) == count, "it says one line a seed"
    found = defaultdict(set)
    for _, book, digest in lines:
        found[book].add(digest)
    return found


def agreed(every: Iterable[Found]) -> Iterator[dict[str, str]]:
    """The one digest of each price book so far, as each process has said its own; the last is that
    of all. Fails where one differs from those before it.
    """
    found: Found = defaultdict(set)
    for one in every:
        for book, digests in one.items():
            found[book] |= digests
        assert all(len(digests) == 1 for digests in found.values()), found
        yield {book: next(iter(digests)) for book, digests in sorted(found.items())}
