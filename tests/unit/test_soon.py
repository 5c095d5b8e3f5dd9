"""What will fit soon: from observed medians and known instants, and nothing else."""

import pytest

from domain.soon import RESERVED, STOPPING, WIPING, Observed, Soon, soon
from domain.stock import Coming

MINUTE = 60_000_000
NOW = 1_000 * MINUTE
SEEN = Observed(stop_us=2 * MINUTE, wipe_us=20 * MINUTE)


def node(
    *,
    name: str = "node-1",
    free: int = 4,
    stopping: tuple[tuple[int, int, bool], ...] = (),
    wiping: int = 0,
    reserved: tuple[tuple[int, int], ...] = (),
) -> Coming:
    return Coming(name, free, stopping, wiping, reserved)


def told(*nodes: Coming, seen: Observed = SEEN, most: int = 4) -> list[tuple[int, int, str]]:
    found = soon(nodes, most, seen, NOW)
    return [(one.devices, (one.at_us - NOW) // MINUTE, "+".join(one.because)) for one in found]


def test_each_cause_alone() -> None:
    """A wipe takes as long as wipes took; a stop what is left of it, and the wipe after it where
    somebody else's devices are; a reservation ends when it ends.
    """
    assert told(node(wiping=4)) == [(8, 20, WIPING)]
    assert told(node(stopping=((NOW - MINUTE, 2, False),))) == [(6, 1, STOPPING)]
    assert told(node(stopping=((NOW - MINUTE, 2, True),))) == [(6, 21, STOPPING)]
    assert told(node(reserved=((NOW + 5 * MINUTE, 1), (NOW + 9 * MINUTE, 3)))) == [
        (5, 5, RESERVED), (8, 9, RESERVED),
    ]  # fmt: skip


def test_where_nothing_is_known_nothing_is_said() -> None:
    """No stop or wipe was seen yet; one that takes twice as long as they did is no usual one."""
    unseen = Observed(None, None)
    stuck = node(stopping=((NOW - 5 * MINUTE, 2, False),))
    assert told(node(wiping=4, stopping=((NOW, 2, False),)), seen=unseen) == []
    assert told(node(stopping=((NOW, 2, True),)), seen=Observed(MINUTE, None)) == []
    assert told(stuck) == []
    assert told(node(reserved=((NOW + MINUTE, 1),)), seen=unseen) == [(5, 1, RESERVED)]


def test_devices_of_one_node_add_up_and_those_of_two_do_not() -> None:
    """A launch has one node; only what is more than fits before is said, with all that it rests on."""
    both = node(wiping=2, reserved=((NOW + 5 * MINUTE, 2),))
    assert told(both) == [(6, 5, RESERVED), (8, 20, f"{WIPING}+{RESERVED}")]
    apart = (node(wiping=2), node(name="node-2", free=1, reserved=((NOW + MINUTE, 2),)))
    assert told(*apart) == [(6, 20, WIPING)]
    assert told(node(free=0, wiping=3)) == []


@pytest.mark.parametrize("late", [0, 1, 2, 3])
def test_what_is_late_is_never_said_to_be_there(late: int) -> None:
    """A stop that should be over is still under way: at least a quarter of what one takes is left."""
    [one] = soon([node(stopping=((NOW - 2 * MINUTE - late, 1, False),))], 4, SEEN, NOW)
    assert one == Soon(5, NOW + MINUTE // 2, (STOPPING,))
