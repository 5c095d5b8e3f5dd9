"""Clocks that disagree by more than two seconds stop appends."""

import pytest

from domain.errors import DomainError
from evidence.clock import ClockWatch, SystemClock

T = 1_700_000_000_000_000
SECOND = 1_000_000


class StoppedClock:
    """A clock a test moves by hand."""

    def __init__(self) -> None:
        self.now = T
        self.boot = 50 * SECOND

    def now_us(self) -> int:
        return self.now

    def boottime_us(self) -> int:
        return self.boot

    def passes(self, seconds: int) -> None:
        self.now += seconds * SECOND
        self.boot += seconds * SECOND


@pytest.mark.parametrize("step", [3, -3, 3600, -86_400])
def test_a_stepped_clock_is_refused_until_set_right(step: int) -> None:
    """The wall clock must move as the time since boot does, from one append to the next."""
    clock = StoppedClock()
    watch = ClockWatch(clock)
    assert watch.read(0) == T
    clock.passes(1000)
    assert watch.read(T) == T + 1000 * SECOND
    clock.now += step * SECOND
    for _ in range(2):
        with pytest.raises(DomainError, match=r"clock\.disagrees"):
            watch.read(0)
    clock.now -= step * SECOND
    clock.passes(5)
    assert watch.read(T) == clock.now


def test_two_seconds_are_allowed() -> None:
    """Slewing and rounding below the limit never stop the log."""
    clock = StoppedClock()
    watch = ClockWatch(clock)
    watch.read(0)
    clock.now -= 2 * SECOND
    assert watch.read(T) == T - 2 * SECOND
    watch.compare(clock.now + 2 * SECOND, clock.now)
    watch.compare(clock.now - 2 * SECOND, clock.now)


def test_a_clock_behind_the_log_is_refused() -> None:
    """A process that starts with a clock behind the last entry must not write."""
    with pytest.raises(DomainError, match=r"clock\.disagrees"):
        ClockWatch(StoppedClock()).read(T + 3 * SECOND)


def test_the_database_clock_counts_too() -> None:
    """The database's time lies between question and answer, two seconds allowed."""
    clock = StoppedClock()
    watch = ClockWatch(clock)
    for database_us, sent_us in ((T + 3 * SECOND, T), (T - 3 * SECOND, T)):
        with pytest.raises(DomainError, match=r"clock\.disagrees"):
            watch.compare(database_us, sent_us)
    watch.compare(T - 5 * SECOND, T - 6 * SECOND)


def test_the_machines_own_clocks_agree() -> None:
    """The system clock passes its own check."""
    watch = ClockWatch(SystemClock())
    assert watch.read(0) <= watch.read(0)
