"""Billing months of every zone, and ids that follow from others."""

from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DomainError
from evidence.ids import STREAM, new_id
from projections.months import command_id, derived_id, month_after, month_of, period_id

ZONES = sorted(
    line.strip()
    for line in resources.files("tzdata").joinpath("zones").read_text().splitlines()
    if line.strip()
)
DAY_US = 86_400_000_000
instants = st.integers(0, 4_000_000_000_000_000)


@given(zone=st.sampled_from(ZONES), instant=instants)
def test_every_instant_is_in_exactly_one_month(zone: str, instant: int) -> None:
    """Invariant 14: months touch, none is empty, and the instant's month holds it."""
    start, end = month_of(instant, zone)
    assert start <= instant < end
    assert 27 * DAY_US < end - start < 32 * DAY_US
    assert month_of(end, zone)[0] == end
    assert month_after(start, zone) == end
    assert month_after(end - 1, zone) == end


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_of_months_tiles_every_zone(zone: str) -> None:
    """Twelve months from any January 2025 cover the year without gap, daylight saving or not."""
    at = month_of(1_736_000_000_000_000, zone)[0]
    for _ in range(12):
        start, end = month_of(at, zone)
        assert start == at
        at = end
    assert 364 * DAY_US < at - month_of(1_736_000_000_000_000, zone)[0] < 367 * DAY_US


@pytest.mark.parametrize("name", ["", "Nowhere/City", "../etc/passwd", "/etc/passwd", "é", "A\0"])
def test_an_unknown_zone_is_refused_by_name(name: str) -> None:
    """A zone comes from the pinned rules or not at all; never from a path."""
    with pytest.raises(DomainError, match="zone_unknown"):
        month_after(0, name)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_derived_ids_are_streams_of_their_own(one: int, other: int) -> None:
    """A derived id is a valid stream, the same for the same source, another for another."""
    account = new_id("account")
    assert STREAM.fullmatch(period_id(account, one))
    assert period_id(account, one)[21] == "7"
    assert (period_id(account, one) == period_id(account, other)) == (one == other)
    assert derived_id("invoice", account) != derived_id("files", account).replace(
        "files", "invoice"
    )


def test_the_same_deed_has_the_same_command() -> None:
    """A command id is a function of the reaction and the deed."""
    assert command_id("a", "b") == command_id("a", "b")
    assert command_id("a", "b") != command_id("a", "c")
    assert len(command_id("a", "b")) == 4 + 64
