"""What is admitted can be charged: no accepted price meets a quantity it overflows on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import account, meter, period, pricebook, runtime, volume
from domain.errors import DomainError
from domain.ledger import LIMIT
from domain.rating import Books
from domain.words import MILLI, MOST_DEVICES
from tests.unit.domain_world import NAME, enrolled, word

RUNTIMES = 100_000  # the largest there can be, all of one account, each there for all time
VOLUMES = 10_000  # likewise
PICO = st.one_of(st.integers(0, 10**38), st.integers(0, pricebook.PRICE_LIMIT))
DIVISOR = st.one_of(st.integers(1, 10**38), st.integers(1, pricebook.DIVISOR_LIMIT), st.just(1))


def publish(
    pico: int, divisor: int, of: tuple[str, str, str] = ("gpu.time", "T4", "usable")
) -> pricebook.EntryPublished | None:
    """The entry, if this price is admitted."""
    key = ("default", *of[:2], "-", of[2], "USD", period.FIRST_US)
    command = pricebook.PublishEntry(*key, pico, divisor, period.FIRST_US)
    try:
        [entry] = pricebook.decide(command, pricebook.DECIDER.initial)
    except DomainError as refused:
        if refused.code != "price.too_large":
            raise
        return None
    assert isinstance(entry, pricebook.EntryPublished)
    return entry


def largest() -> runtime.Requested:
    """The runtime that no other one exceeds; one device more is refused."""
    milli = MOST_DEVICES * MILLI
    fields = ("project-1", "department-1", "account-1", NAME)
    [requested] = runtime.decide(
        runtime.Request(*fields, MOST_DEVICES, milli, (), 0), runtime.Missing()
    )
    assert isinstance(requested, runtime.Requested)
    larger = runtime.Request(*fields, MOST_DEVICES + 1, milli + MILLI, (), 0)
    with pytest.raises(DomainError, match=r"runtime\.shape_invalid"):
        runtime.decide(larger, runtime.Missing())
    return requested


@given(pico=PICO, divisor=DIVISOR)
def test_no_admitted_price_overflows(pico: int, divisor: int) -> None:
    """The largest runtime over the whole calendar stays 10^5 times below what rating refuses."""
    entry = publish(pico, divisor)
    if entry is None:
        return
    books, first, last = Books(), period.FIRST_US, period.LAST_US
    opened = period.Open("account-1", first, last, "UTC", "x", None, 0)
    [begun] = period.decide(opened, period.Missing())
    allocated = runtime.Allocated("allocation-1", "node-1", "T4", (), 1, first)
    told = (
        ("account-1", account.Opened("organization-1", "USD", 2, "UTC", "x", 0)),
        ("period-1", begun),
        ("node-1", enrolled("T4", 1)[1]),
        ("pricebook-1", entry),
        ("runtime-1", largest()),
        ("runtime-1", allocated),
        ("runtime-1", runtime.Usable(0, first, first, word())),
        ("runtime-1", runtime.Stopped(0, last, last, word())),
    )
    rows = [books.apply(position, *said) for position, said in enumerate(told)]
    [interval] = rows[-1][0]
    assert interval.quantity == MOST_DEVICES * MILLI * (last - first)
    balances = [balance.pico for balance in books.balances("account-1").values()]
    for number in (interval.line_quantity, interval.line_amount_pico, *map(abs, balances)):
        assert number * RUNTIMES < LIMIT


@given(pico=PICO, divisor=DIVISOR)
def test_no_admitted_price_overflows_on_a_volume(pico: int, divisor: int) -> None:
    """Likewise of 10^4 of the largest volumes; one MiB more is refused."""
    entry = publish(pico, divisor, ("storage.capacity", "local", "existing"))
    if entry is None:
        return
    books, first, last = Books(), period.FIRST_US, period.LAST_US
    names = ("project-1", "department-1", "account-1", "node-1", NAME)
    opened = period.Open("account-1", first, last, "UTC", "x", None, 0)
    [begun] = period.decide(opened, period.Missing())
    [created] = volume.decide(volume.Create(*names, volume.LARGEST_MIB, first), volume.Missing())
    with pytest.raises(DomainError, match=r"volume\.size_invalid"):
        volume.decide(volume.Create(*names, volume.LARGEST_MIB + 1, first), volume.Missing())
    told = (
        ("account-1", account.Opened("organization-1", "USD", 2, "UTC", "x", 0)),
        ("period-1", begun),
        ("meter-1", meter.Registered("storage.capacity", "MiB-us", "lifecycle", "sum", 0)),
        ("pricebook-1", entry),
        ("volume-1", created),
        ("volume-1", volume.Formatted(0, "x", 1, 0, first, first, word())),
        ("volume-1", volume.Wiped(0, "x", 1, 1, 0, last, last, word())),
    )
    rows = [books.apply(position, *said) for position, said in enumerate(told)]
    [interval] = rows[-1][0]
    assert interval.quantity == volume.LARGEST_MIB * (last - first)
    balances = [balance.pico for balance in books.balances("account-1").values()]
    for number in (interval.line_quantity, interval.line_amount_pico, *map(abs, balances)):
        assert number * VOLUMES < LIMIT


def test_the_bounds_are_near_what_they_protect() -> None:
    """A price at the bounds is admitted; the one above either of them is not."""
    most, rate = pricebook.PRICE_LIMIT, pricebook.RATE_LIMIT
    assert publish(most, most // rate)
    assert publish(most + 1, most) is None
    assert publish(most, most // rate - 1) is None
    assert publish(1, pricebook.DIVISOR_LIMIT + 1) is None
