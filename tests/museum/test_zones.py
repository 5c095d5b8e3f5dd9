"""Months that were not the customer's: billed twice, billed late, billed in the wrong month."""

from typing import Any

import pytest

from domain import account, invoice, period, runtime
from domain.decider import fold
from domain.errors import DomainError
from gpuaas_verify.books import Books
from gpuaas_verify.errors import Invalid
from projections.months import TZDATA, derived_id, month_after, month_of, period_id
from tests.museum.house import DAY, GPU_HOUR, HOUR, MINUTE, USD, House, Tenant, instant


def refused(house: House, of: Tenant, number: int, now: int) -> str:
    """Why the period does not close."""
    with pytest.raises(DomainError) as caught:
        house.close(of, number, now)
    return caught.value.code


def paid(zone: str, at: str) -> tuple[House, Tenant]:
    """A house with one tenant of the zone, and a T4 at 1 USD an hour."""
    house = House()
    of = house.tenant(0, zone=zone, at=instant(at))
    house.price("T4", USD)
    house.machine(1, "T4")
    return house, of


def test_lago_api_662_billed_twice_on_the_day_of_creation() -> None:
    """A subscription had to be kept from being billed on its creation date and again on its billing
    date. Here an account made at the first instant of a local month has one period for it, whose id
    follows from account and number: who opens it again opens nothing.
    """
    at = instant("2022-12-01T00:00+01:00")
    house, us = paid("Europe/Paris", "2022-12-01T00:00+01:00")
    first, second = house.opened(us)
    # 1 December 00:00 in Paris is 30 November 23:00 UTC; December has 31 days
    assert (first.start_us, first.end_us) == (
        1_669_849_200_000_000,
        1_669_849_200_000_000 + 31 * DAY,
    )
    assert second.start_us == first.end_us
    name = period_id(us.account, 1)
    again = period.Open(us.account, first.start_us, first.end_us, us.zone, TZDATA, None, at + 5)
    assert period.decide(again, fold(period.DECIDER, house.facts(name))) == []
    one = house.begin(us, at=at)
    house.report(runtime.ReportStopped, one, at + HOUR)
    december = house.month(us, 1, first.end_us + HOUR)
    house.judged()
    assert [(line.quantity, line.shown_minor) for line in december.lines] == [(GPU_HOUR, 100)]
    assert house.charged(one) == (GPU_HOUR, USD)


def test_lago_api_879_utc_plus_x_billed_twice() -> None:
    """Whether a day was billed already was looked up without the customer's zone, so that in UTC+X a
    second invoice was made. Here both midnights of that day are one month, which closes once; a log
    that says it twice stops both books.
    """
    house, us = paid("Pacific/Auckland", "2023-02-10T00:00Z")
    ours, greenwich = instant("2023-02-28T11:00Z"), instant("2023-03-01T00:00Z")
    one = house.begin(us, at=ours - HOUR)
    house.report(runtime.ReportStopped, one, ours + HOUR)
    house.next_period(us)
    # 1 March 00:00 in Auckland (UTC+13) is 28 February 11:00 UTC
    assert house.opened(us)[0].end_us == ours == month_after(ours - 1, us.zone)
    assert month_of(ours, us.zone) == month_of(greenwich, us.zone)
    assert len(house.close(us, 1, ours)) == 1
    february = house.bill(us, 1, ours)
    assert house.close(us, 1, greenwich) == []
    house.judged()
    assert [line.quantity for line in february.lines] == [GPU_HOUR]
    twice = period.Closed(us.account, february.start_us, february.end_us, greenwich)
    name = period_id(us.account, 1)
    with pytest.raises(DomainError, match=r"rating\.period_order"):
        house.books.apply(len(house.history.facts), name, twice)
    house.history.add(name, twice)
    with Books(None) as auditor, pytest.raises(Invalid):
        house.history.feed(auditor)


def test_lago_api_1074_one_evening_two_invoices() -> None:
    """Paris, UTC+2: a run at 20:00 UTC made an invoice and one at 23:00, the next local day, another.
    Here the first run comes too early by the local month, the second closes it, the third does
    nothing; the invoice has its stream from the period and is final.
    """
    house, us = paid("Europe/Paris", "2023-05-23T10:00+02:00")
    one = house.begin(us, at=instant("2023-05-31T20:00Z"))
    house.report(runtime.ReportStopped, one, instant("2023-05-31T21:00Z"))
    house.next_period(us)
    assert refused(house, us, 1, instant("2023-05-31T20:00Z")) == "period.not_over"
    assert refused(house, us, 1, instant("2023-05-31T22:00Z") - 1) == "period.not_over"
    assert len(house.close(us, 1, instant("2023-05-31T22:00Z"))) == 1
    may = house.bill(us, 1, instant("2023-05-31T22:00Z"))
    assert house.close(us, 1, instant("2023-05-31T23:00Z")) == []
    assert may.total_minor == 100
    name = derived_id("invoice", period_id(us.account, 1))
    [done] = house.facts(name)
    final = fold(invoice.DECIDER, [done])
    same = invoice.Finalize(done.number, may, done.sha256, done.closed, done.finalized_us + HOUR)
    assert invoice.decide(same, final) == []
    second = invoice.Finalize("INV-2", may, done.sha256, done.closed, done.finalized_us)
    with pytest.raises(DomainError, match=r"invoice\.exists"):
        invoice.decide(second, final)
    house.judged()


def test_lago_api_660_a_zone_that_changes_leaves_no_hole_and_no_overlap() -> None:
    """When a customer's zone changed, a period could overlap the invoice before it, or leave a hole.
    Here a period starts where the last one ends or not at all, and the zone is the account's own.
    """
    house, us = paid("America/New_York", "2022-12-09T12:00Z")
    _, january = house.opened(us)
    end = month_after(january.end_us, "UTC")
    for start in (month_of(january.end_us, "UTC")[0], january.end_us + HOUR, january.start_us):
        command = period.Open(us.account, start, end, "UTC", TZDATA, january, start)
        with pytest.raises(DomainError, match=r"period\.not_contiguous"):
            period.decide(command, period.Missing())
    other = account.Open(us.organization, "USD", 2, "UTC", TZDATA, 0)
    with pytest.raises(DomainError, match=r"account\.exists"):
        account.decide(other, fold(account.DECIDER, house.facts(us.account)))


def test_killbill_1856_a_period_billed_again_outside_utc() -> None:
    """The end of a day was computed without the account's zone; the next run did not find the item it
    had made and billed the period again. Here an end is computed once and stored as an instant: what
    runs over it is cut there and each microsecond is charged once, run after run.
    """
    house, us = paid("America/Los_Angeles", "2023-05-11T00:00Z")
    end = instant("2023-06-01T07:00Z")  # 1 June 00:00 in Los Angeles, UTC-7
    one = house.begin(us, at=end - 10 * HOUR)
    may = house.month(us, 1, end + HOUR)
    for later in range(1, 4):
        assert house.close(us, 1, end + later * DAY) == []
    house.report(runtime.ReportStopped, one, end + 5 * HOUR)
    june = house.month(us, 2, instant("2023-07-01T08:00Z"))
    house.judged()
    assert house.pieces(one) == [(1, end - 10 * HOUR, end), (1, end, end + 5 * HOUR)]
    assert [line.quantity for line in may.lines] == [10 * GPU_HOUR]
    assert [line.quantity for line in june.lines] == [5 * GPU_HOUR]
    assert house.charged(one) == (15 * GPU_HOUR, 15 * USD)


def test_killbill_1981_the_same_use_another_bill_in_pst() -> None:
    """Made at 06:00 UTC, used and cancelled at once: in UTC an invoice came, in PST one of $0 and the
    real one a month later. Here the same use gives the same lines in the month it is in.
    """
    bills: dict[str, Any] = {}
    for zone, offset in (("UTC", 0), ("America/Los_Angeles", 8)):
        house, us = paid(zone, "2024-02-16T06:00Z")
        one = house.begin(us, at=instant("2024-02-16T06:30Z"))
        house.report(runtime.ReportStopped, one, instant("2024-02-16T06:40Z"))
        february = house.month(us, 1, instant("2024-03-02T00:00Z"))
        house.judged()
        # February 2024 begins at 1706745600 in UTC, eight hours later in Los Angeles; 29 days
        start = 1_706_745_600_000_000 + offset * HOUR
        assert (february.start_us, february.end_us) == (start, start + 29 * DAY)
        bills[zone] = [(line.quantity, line.amount_pico) for line in february.lines]
    # 10 minutes at 1 USD an hour = 1/6 USD
    assert bills["UTC"] == bills["America/Los_Angeles"] == [(10 * MINUTE * 1000, 166_666_666_667)]


def test_killbill_1987_a_new_plan_billed_in_several_items_in_pst() -> None:
    """After a change of plan an account in PST got several items for one use. Here a price that
    changes at a local midnight cuts there, once: two lines, no microsecond in both or in neither.
    """
    house, us = paid("America/Los_Angeles", "2024-05-04T09:05Z")
    change = instant("2024-06-04T07:00Z")  # 4 June 00:00 in Los Angeles
    house.price("T4", 3 * USD, since=change, whose=us.account, now=change - DAY)
    one = house.begin(us, at=instant("2024-06-04T06:30Z"))
    house.report(runtime.ReportStopped, one, instant("2024-06-04T08:30Z"))
    house.month(us, 1, instant("2024-06-01T08:00Z"))
    june = house.month(us, 2, instant("2024-07-01T08:00Z"))
    house.judged()
    # half an hour at 1 USD, then an hour and a half at 3 USD
    assert [(line.quantity, line.amount_pico) for line in june.lines] == [
        (GPU_HOUR // 2, USD // 2),
        (3 * GPU_HOUR // 2, 9 * USD // 2),
    ]
    assert house.pieces(one) == [
        (1, change - HOUR // 2, change),
        (1, change, change + 3 * HOUR // 2),
    ]


@pytest.mark.parametrize(
    ("opened", "hours"),
    [
        ("2023-10-15T00:00Z", 721),  # daylight saving time ends on 5 November
        ("2023-11-04T00:00Z", 721),  # opened the day before it ends
        ("2023-11-06T00:00Z", 721),  # and the day after
        ("2024-02-20T00:00Z", 743),  # it begins on 10 March 2024
    ],
)
def test_killbill_1934_an_offset_fixed_when_the_account_was_opened(opened: str, hours: int) -> None:
    """An account's offset was fixed when it was opened, so that equal accounts opened before and after
    a change of daylight saving time had other last hours. Here each month has its own, by the zone.
    """
    house, us = paid("America/New_York", opened)
    month = next(
        one for one in house.opened(us) if one.end_us - one.start_us in {721 * HOUR, 743 * HOUR}
    )
    number = month.sequence
    assert month.end_us - month.start_us == hours * HOUR
    one = house.begin(us, at=month.start_us)
    house.report(runtime.ReportStopped, one, month.end_us)
    if number == 2:
        house.month(us, 1, month.start_us)
    bill = house.month(us, number, month.end_us)
    house.judged()
    assert [(line.quantity, line.amount_pico) for line in bill.lines] == [
        (hours * GPU_HOUR, hours * USD)
    ]


def test_killbill_2306_blocked_and_unblocked_until_the_account_is_parked() -> None:
    """Each unblocking began a new full term; after two cycles three overlapped, invoicing stopped with
    ILLEGAL INVOICING STATE and the account was parked for ever. Here each stretch is charged for
    itself, and the month closes and the next one too.
    """
    house, us = paid("UTC", "2026-08-01T00:00Z")
    start = instant("2026-08-21T00:00Z")
    one = house.begin(us, at=start)
    for cycle in range(3):
        house.report(runtime.ReportDegraded, one, start + (2 * cycle + 1) * HOUR)
        house.report(runtime.ReportUsable, one, start + (2 * cycle + 2) * HOUR)
    august = house.month(us, 1, instant("2026-09-01T01:00Z"))
    house.report(runtime.ReportStopped, one, instant("2026-09-01T02:00Z"))
    september = house.month(us, 2, instant("2026-10-01T01:00Z"))
    house.judged()
    # three hours, then from 06:00 on the 21st to the end of the 31st: 10 days 18 h = 258 h
    assert [line.quantity for line in august.lines] == [261 * GPU_HOUR]
    assert [line.quantity for line in september.lines] == [2 * GPU_HOUR]
    end = instant("2026-09-01T00:00Z")
    assert house.pieces(one) == [
        (1, start, start + HOUR),
        (1, start + 2 * HOUR, start + 3 * HOUR),
        (1, start + 4 * HOUR, start + 5 * HOUR),
        (1, start + 6 * HOUR, end),
        (1, end, end + 2 * HOUR),
    ]
