"""Every microsecond in exactly one billing period, in every IANA zone (MONEY.md section 7)."""

from importlib.resources import files
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain import period
from domain.decider import fold
from domain.errors import DomainError
from projections.months import TZDATA, month_after, month_of

ZONES = tuple(files("tzdata").joinpath("zones").read_text().split())
DAY_US = 86_400_000_000
FIRST, LAST = -10 * 365 * DAY_US, 67 * 365 * DAY_US  # 1960 to 2037


def open_months(zone: str, instant: int, count: int) -> list[period.Opened]:
    """Consecutive periods, each opened by the decider after the one before it."""
    opened: list[period.Opened] = []
    start, end = month_of(instant, zone)
    for _ in range(count):
        last = opened[-1] if opened else None
        command = period.Open("account-1", start, end, zone, TZDATA, last, instant)
        [event] = period.decide(command, fold(period.DECIDER, ()))
        assert isinstance(event, period.Opened)
        opened.append(event)
        start, end = end, month_after(end, zone)
    return opened


@settings(max_examples=400, deadline=None)
@given(zone=st.sampled_from(ZONES), instant=st.integers(FIRST, LAST))
def test_an_instant_is_in_exactly_one_period(zone: str, instant: int) -> None:
    """The month of an instant holds it; its first and last microsecond agree; the next begins."""
    start, end = month_of(instant, zone)
    assert start <= instant < end
    assert month_of(start, zone) == month_of(end - 1, zone) == (start, end)
    assert month_of(end, zone)[0] == end
    assert 27 * DAY_US < end - start < 32 * DAY_US


@pytest.mark.parametrize("first_letter", sorted({zone[0] for zone in ZONES}))
def test_months_of_every_zone_are_contiguous(first_letter: str) -> None:
    """Fourteen months over both clock changes of a year: no gap, no overlap, in every zone."""
    for zone in (zone for zone in ZONES if zone.startswith(first_letter)):
        opened = open_months(zone, 1_735_686_000_000_000, 14)
        assert [one.sequence for one in opened] == list(range(1, 15))
        for before, after in pairwise(opened):
            assert before.end_us == after.start_us


def test_there_are_zones() -> None:
    """The two laws above cannot hold by an empty list."""
    assert {"Europe/Berlin", "Pacific/Apia", "Asia/Kathmandu"} <= set(ZONES)
    assert len(ZONES) > 500


class Periods(RuleBasedStateMachine):
    """An account's periods opened, opened again, closed and crossed, in a drawn zone."""

    @initialize(zone=st.sampled_from(ZONES), instant=st.integers(FIRST, LAST))
    def begin(self, zone: str, instant: int) -> None:
        self.zone, self.now, self.off = zone, instant, 0
        self.facts: list[list[period.Event]] = []

    @property
    def clock(self) -> int:
        """What whoever decides takes for now."""
        return self.now + self.off

    def _open(self, start: int, end: int, previous: period.Opened | None) -> period.Open:
        return period.Open("account-1", start, end, self.zone, TZDATA, previous, self.clock)

    def _opened(self) -> list[period.Opened]:
        return [facts[0] for facts in self.facts if isinstance(facts[0], period.Opened)]

    def _state(self, number: int) -> period.State:
        return fold(period.DECIDER, self.facts[number])

    @rule()
    def open_the_next(self) -> None:
        opened = self._opened()
        last = opened[-1] if opened else None
        start, end = month_of(self.clock, self.zone)
        if last is not None:
            start, end = last.end_us, month_after(last.end_us, self.zone)
        command = self._open(start, end, last)
        fresh = period.decide(command, period.Missing())
        assert period.decide(command, fold(period.DECIDER, fresh)) == [], "opened twice is once"
        self.facts.append(fresh)

    @precondition(lambda self: self.facts)
    @rule(shift=st.sampled_from((-DAY_US, -1, 1, DAY_US)))
    def open_beside_it(self, shift: int) -> None:
        """A gap or an overlap is refused."""
        last = self._opened()[-1]
        start = last.end_us + shift
        command = self._open(start, month_after(start, self.zone), last)
        with pytest.raises(DomainError, match="not_contiguous"):
            period.decide(command, period.Missing())

    @rule(days=st.integers(1, 40))
    def wait(self, days: int) -> None:
        self.now += days * DAY_US

    @rule(seconds=st.integers(-600, 600))
    def drift(self, seconds: int) -> None:
        """Whoever decides next has a clock that is up to ten minutes off."""
        self.off = seconds * 1_000_000

    @precondition(lambda self: self.facts)
    @rule(seconds=st.integers(-600, 600), bound=st.integers(0, 40))
    def use(self, seconds: int, bound: int) -> None:
        """What a clock that is off says near a bound is of one period, or before the first."""
        opened = self._opened()
        bounds = [opened[0].start_us, *(one.end_us for one in opened)]
        at = bounds[bound % len(bounds)] + seconds * 1_000_000
        holding = [one for one in opened if one.start_us <= at < one.end_us]
        assert len(holding) == (opened[0].start_us <= at < opened[-1].end_us)
        assert all(month_of(at, self.zone) == (one.start_us, one.end_us) for one in holding)

    @precondition(lambda self: self.facts)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        """Once over and followed, in any order; closed again it is nothing; closing moves no bound.
        Whoever closes begins anew from the facts (`_state`).
        """
        opened = self._opened()
        number = data.draw(st.integers(0, len(opened) - 1))
        later = opened[number + 1] if number + 1 < len(opened) else None
        command = period.Close(later, self.clock)
        closed = isinstance(self._state(number), period.Over)
        if not closed and (later is None or self.clock < opened[number].end_us):
            with pytest.raises(DomainError, match=r"not_over|next_missing"):
                period.decide(command, self._state(number))
            return
        self.facts[number] += period.decide(command, self._state(number))
        assert isinstance(self._state(number), period.Over)
        assert period.decide(command, self._state(number)) == []

    @invariant()
    def each_instant_is_in_exactly_one(self) -> None:
        """Invariant 14, at every bound and beside it."""
        opened = self._opened() if hasattr(self, "facts") else []
        for at in (one.start_us + beside for one in opened for beside in (-1, 0, 1)):
            holding = [one for one in opened if one.start_us <= at < one.end_us]
            assert len(holding) == (at >= opened[0].start_us)


Periods.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestPeriods = Periods.TestCase
