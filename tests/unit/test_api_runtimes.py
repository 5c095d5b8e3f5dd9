"""What the API says of a runtime that was told to stop before."""

import pytest

from api.changing import Target
from api.runtimes import _as_it_is
from domain import runtime
from domain.words import Attested

WORD = Attested("node-1", "00" * 32, "11" * 16, 1, "e30=", "aa")


@pytest.mark.parametrize(
    ("last", "state", "why"),
    [
        (runtime.Stopping("asked", 1), "stopping", "asked"),
        (runtime.Stopped(1, 1, 1, WORD), "stopped", ""),
        (runtime.Failed("agent.failed", 1, 1, 1, WORD), "failed", "agent.failed"),
        (runtime.Lost(1, 1), "lost", ""),
        (runtime.Cancelled("changed", 1), "cancelled", "changed"),
    ],
)
def test_a_stop_of_what_is_over_says_how_it_ended(
    last: runtime.Event, state: str, why: str
) -> None:
    """However it did: a stop may always lose the race to the end."""
    facts = (runtime.Starting(1, 1), runtime.Usable(1, 1, 1, WORD), last)
    shown = _as_it_is(Target("runtime-1", "organization-1", 3, facts, 3))
    assert (shown.state, shown.why) == (state, why)
