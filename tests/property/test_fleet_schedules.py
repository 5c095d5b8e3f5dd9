"""Leases, epochs, fences and routes under made-up clocks, networks and crashes: SIMULATED."""

import pytest

from api.fleet.leases import Timing
from api.gateway.flows import Limits
from domain.instants import Leasing
from tests.fleet_model import Rules, Schedule, broken_by, explored

SCHEDULES = 500
SEARCHED = 1_000  # the search ends with the first that is found


def test_no_schedule_gives_a_device_a_volume_or_a_route_two_owners() -> None:
    """Slow and fast clocks after weeks, delays, loss, repeats, partitions, crashes and reboots:
    nobody runs on a device or writes a volume that the log gives to another, nobody is let into a
    runtime but the one they asked for, nor after its end was decided, nothing is charged after it
    ended, an outage shorter than the lease ends nothing, and no orphan outlives a minute of
    reachability. The schedules are no idle ones.
    """
    found = explored(range(SCHEDULES))
    assert all(count > SCHEDULES // 20 for count in found.values()), found


def test_a_schedule_repeats_from_its_seed() -> None:
    """The same seed goes the same way."""
    assert Schedule(11).run() == Schedule(11).run()


MUTANTS = {
    "the agent checks no epoch, boot, fence or expiry": Rules(fenced=False),
    "the deadline is counted from the reply": Rules(from_reply=True),
    "nobody outside the agent ends a container": Rules(kept=False),
    "each start counts as a renewal of what runs already": Rules(apart=False),
    "the platform trusts a clock since its anchor": Rules(hears=False, timed=False),
    "a platform just started trusts the anchor until a heartbeat": Rules(timed=False),
    "a volume is let go when its runtime is asked to stop": Rules(held=False),
    "a boot speaks before the last word of the one before is held": Rules(in_turn=False),
    "who connects believes whoever answers at the address": Rules(identified=False),
    "a route lasts until its runtime has ended": Rules(closed=False),
    "the gateway lets in by the log as it last read it": Rules(current=False),
    "a gateway that does not see the log keeps its connections": Rules(
        limits=Limits(blind_s=10**9)
    ),
}


# Where the search begins for those that few seeds show.
FIRST = {
    "the deadline is counted from the reply": 100,
    "a platform just started trusts the anchor until a heartbeat": 700,
    "a volume is let go when its runtime is asked to stop": 100,
    "a boot speaks before the last word of the one before is held": 100,
    "a gateway that does not see the log keeps its connections": 200,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_each_rule_of_the_protocol_is_needed(mutant: str) -> None:
    """One rule less, and a schedule shows two owners, or a charge, death or entry out of its time."""
    first = FIRST.get(mutant, 0)
    assert broken_by(MUTANTS[mutant], range(first, first + SEARCHED)), mutant


def test_the_bound_for_drift_and_stop_is_needed() -> None:
    """A device given away right at the deadline is given away too early: by the decider alone
    that is refused, and without the decider's bound a schedule shows two owners.
    """
    early = Rules(timing=Timing(grace_us=0))
    assert "may still run" in broken_by(early, range(SEARCHED))
    unbounded = Leasing(drift_ppm=0, stop_us=-1_000_000)
    early = Rules(timing=Timing(grace_us=0, leasing=unbounded))
    assert "still runs" in broken_by(early, range(SEARCHED))
