"""Duplicates, reorder, crashes, clocks that are off: whatever the seed, the same money."""

from pathlib import Path

import pytest

from tests.seed_runs import agreed, told
from tests.skew import compiled

SEEDS = 25


@pytest.mark.shared
@pytest.mark.machine
def test_every_seed_comes_to_the_same_lines_amounts_and_balances(
    shared: Path, tmp_path: Path
) -> None:
    """300 tasks of the trace; a fifth of all messages twice, readings in no order, five kills of
    control plane or agents, wall clocks up to ten minutes off: each price book has one digest, the
    oracle's. More seeds, and the whole trace: `python -m tests.chaos seeds`.
    """
    [found] = agreed([told(compiled(tmp_path), shared, 1000, SEEDS)])
    assert len(found) == 3


def test_processes_that_differ_are_found() -> None:
    """What one process says of a book is held against what every other one said of it."""
    one, other = {"flat": {"aa"}, "tiers": {"bb"}}, {"flat": {"aa"}}
    *_, last = agreed([one, other, one])
    assert last == {"flat": "aa", "tiers": "bb"}
    for wrong in ({"tiers": {"cc"}}, {"flat": {"aa", "ab"}}):
        with pytest.raises(AssertionError):
            list(agreed([one, other, wrong]))
