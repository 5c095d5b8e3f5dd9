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
    assert len(agreed([told(compiled(tmp_path), shared, 1000, SEEDS)])) == 3
