"""A slice of the trace under three price books, each line against the oracle and the auditor."""

from pathlib import Path

import pytest

from api.replay.input import read_trace
from tests.integration.replay_runs import sliced
from tests.trace_books import BOOKS, require_the_oracles

TASKS = 300


@pytest.mark.shared
@pytest.mark.parametrize("name", BOOKS)
def test_every_line_of_the_slice_is_the_oracles(shared: Path, tmp_path: Path, name: str) -> None:
    """Quantity and amount of each, commitments paid included; the auditor derives every row. The
    whole trace: `python -m tests.chaos trace`.
    """
    inputs = sliced(shared, tmp_path, TASKS)
    trace = read_trace(inputs.nodes, inputs.pods, inputs.prices, "2025-01-01T00:00:00Z", "UTC")
    assert require_the_oracles(trace, name) >= len(trace.tasks) == TASKS
