"""Billing months of every zone, and ids that follow from others."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DomainError
from evidence.ids import STREAM, new_id
from projections.months import command_id, derived_id, month_after, month_of, period_id, zone

ZONES = sorted(
    line.strip()
    for line in resources.files("tzdata").joinpath("zones").read_text().splitlines()
    if line.strip()
)
DAY_US = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Y2020_US, Y2041_US = 1_577_836_800_000_000, 2_240_524_800_000_000
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


def _changes(name: str, first_us: int, last_us: int) -> list[int]:
    """Every instant of `[first_us, last_us)` at which the zone's offset changes, by halving fortnights:
    none changes there and back within one.
    """
    where = zone(name)

    def offset(us: int) -> timedelta | None:
        return (EPOCH + timedelta(microseconds=us)).astimezone(where).utcoffset()

    found, then = [], offset(first_us)
    for fortnight in range(first_us, last_us, 14 * DAY_US):
        low, high, before = fortnight, fortnight + 14 * DAY_US, then
        then = offset(high)
        if then == before:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == before else (low, middle)
        found.append(high)
    return found


def test_every_microsecond_is_in_one_month_of_every_zone_2020_to_2040() -> None:
    """Invariant 14, all of it: the months of every zone from 2020 to 2040 touch one another, and
    the microseconds around each of their ends and around each change of the zone's clock are in
    exactly the month that holds them. Of zones whose rules are the same bytes one is looked at.
    """
    rules = {resources.files("tzdata.zoneinfo").joinpath(one).read_bytes(): one for one in ZONES}
    changes = 0
    for name in rules.values():
        first, end = month_of(Y2020_US, name)
        starts = [first]
        while end < Y2041_US:
            starts.append(end)
            assert 27 * DAY_US < end - starts[-2] < 32 * DAY_US
            end = month_after(end, name)
        assert len(starts) in {252, 253}
        changed = _changes(name, Y2020_US, Y2041_US)
        changes += len(changed)
        edges = (*starts, end)
        # That a month begins at an edge is how the edges were found.
        for instant in {*(at - 1 for at in starts[1:]), *(at - 1 for at in changed), *changed}:
            number = bisect_right(edges, instant)
            assert month_of(instant, name) == (edges[number - 1], edges[number])
    assert changes > 2000
    assert len(rules) > 300


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
