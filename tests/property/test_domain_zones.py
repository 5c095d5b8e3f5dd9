"""Every microsecond in exactly one billing period, in every IANA zone (MONEY.md section 7)."""

from importlib.resources import files
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import period
from domain.decider import fold
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
