"""Time that was measured wrong: hours that were not hours, ends that came late, days with a hole."""

import pytest

from domain import runtime
from tests.museum.house import DAY, GPU_HOUR, HOUR, MINUTE, SECOND, USD, House, instant


@pytest.mark.parametrize(
    ("first", "second", "quantity", "pico"),
    [
        # 4 GPUs x 30 min + 1 GPU x 20 min = 140 GPU-min = 2.33 GPU-h; they recorded 0.83
        ((4, "T4"), (1, "T4"), 140 * MINUTE * 1000, 2 * USD + 333_333_333_333),
        # 1 x 30 + 4 x 20 = 110 GPU-min = 1.83 GPU-h; they recorded 3.33
        ((1, "T4"), (4, "T4"), 110 * MINUTE * 1000, USD // 2 + 1_333_333_333_333),
        # 30 min at 1 USD/h + 20 min at 3 USD/h; they priced all 50 min as the second
        ((1, "T4"), (1, "H100"), 50 * MINUTE * 1000, USD // 2 + USD),
    ],
)
def test_gpustack_6054_reconfigured_inside_an_hour(
    first: tuple[int, str], second: tuple[int, str], quantity: int, pico: int
) -> None:
    """Usage was one figure an hour, priced at whichever configuration came last: -64 %, +82 %, or
    another model's price. Here each configuration is charged for its own time, to the microsecond.
    """
    house = House()
    us = house.tenant(0)
    for number, (model, price) in enumerate((("T4", USD), ("H100", 3 * USD))):
        house.price(model, price)
        house.machine(number, model)
    at = 5 * HOUR + 3 * MINUTE
    charged = []
    for (devices, model), minutes in ((first, 30), (second, 20)):
        one = house.begin(us, devices=devices, model=model, at=at)
        at += minutes * MINUTE
        house.report(runtime.ReportStopped, one, at)
        charged.append(house.charged(one))
        at += 2 * MINUTE  # stopped, changed, started again
    house.judged()
    assert tuple(map(sum, zip(*charged, strict=True))) == (quantity, pico)


def test_gpustack_5710_a_full_hour_is_not_3600_s() -> None:
    """A running instance's whole hour was recorded as less than 3600 s. Here an hour is what the
    node's clock says between two of its words, however late each is heard.
    """
    house = House()
    us = house.tenant(0)
    house.price("T4", USD)
    house.machine(1, "T4")
    one = house.start(us, at=HOUR)
    house.report(runtime.ReportUsable, one, HOUR + 7, told=HOUR + 2_200_000)
    house.report(runtime.ReportDegraded, one, 2 * HOUR + 7, told=2 * HOUR + 9 * SECOND)
    assert house.judged().charged(one) == (3600 * SECOND * 1000, USD)
    house.report(runtime.ReportUsable, one, 2 * HOUR + 7, told=2 * HOUR + 10 * SECOND)
    house.report(runtime.ReportStopped, one, 4 * HOUR + 7, told=5 * HOUR)
    assert house.judged().charged(one) == (3 * 3600 * SECOND * 1000, 3 * USD)


def test_wonderproxy_2016_a_day_of_23_hours() -> None:
    """The sum of a day left out its first hour, so that from midnight to one was free. Here two days over a month's midnight are 48 hours, 24 in each month."""
    house = House()
    us = house.tenant(0, at=instant("2016-10-05T00:00Z"))
    house.price("T4", USD)
    house.machine(1, "T4")
    one = house.begin(us, at=instant("2016-10-31T00:00Z"))
    house.report(runtime.ReportStopped, one, instant("2016-11-02T00:00Z"))
    house.judged()
    midnight = instant("2016-11-01T00:00Z")
    assert house.pieces(one) == [
        (1, midnight - 24 * HOUR, midnight),
        (1, midnight, midnight + 24 * HOUR),
    ]
    assert house.charged(one) == (48 * GPU_HOUR, 48 * USD)


def test_killbill_1438_the_last_partial_day_is_lost() -> None:
    """What was used on the day of the end, from its midnight to the hour of the end, was discarded.
    Here what runs from 15:00 on 1 July to 15:00 on 1 August is charged 744 hours, 15 in August.
    """
    house = House()
    us = house.tenant(0, at=instant("2021-07-01T00:00Z"))
    house.price("T4", USD)
    house.machine(1, "T4")
    one = house.begin(us, at=instant("2021-07-01T15:00Z"))
    house.report(runtime.ReportStopped, one, instant("2021-08-01T15:00Z"))
    july = house.month(us, 1, instant("2021-08-01T16:00Z"))
    august = house.month(us, 2, instant("2021-09-01T01:00Z"))
    house.judged()
    # 1 July 15:00 to 1 August 00:00 = 30 days 9 h = 729 h
    assert [(line.quantity, line.amount_pico) for line in july.lines] == [
        (729 * GPU_HOUR, 729 * USD)
    ]
    assert [(line.quantity, line.amount_pico) for line in august.lines] == [
        (15 * GPU_HOUR, 15 * USD)
    ]
    assert (july.total_minor, august.total_minor) == (72_900, 1_500)


def test_lago_api_4082_a_minute_past_midnight_on_the_old_invoice() -> None:
    """What came in at 00:01, right before the billing run, got onto the invoice of the month before.
    Here the month in which the time lies decides, not the hour at which the invoice is written.
    """
    house = House()
    us = house.tenant(0, at=instant("2025-07-01T00:00Z"))
    house.price("T4", USD)
    house.machine(1, "T4")
    old = house.begin(us, at=instant("2025-07-31T23:00Z"))
    house.report(runtime.ReportStopped, old, instant("2025-07-31T23:59Z"))
    new = house.begin(us, at=instant("2025-08-01T00:01Z"))
    house.report(runtime.ReportStopped, new, instant("2025-08-01T00:02Z"))
    july = house.month(us, 1, instant("2025-08-01T01:00Z"))
    august = house.month(us, 2, instant("2025-09-01T01:00Z"))
    house.judged()
    assert [line.quantity for line in july.lines] == [59 * MINUTE * 1000]
    assert [line.quantity for line in august.lines] == [1 * MINUTE * 1000]
    # 59/60 USD = 98.33 cents; 1/60 USD = 1.67 cents
    assert (july.total_minor, august.total_minor) == (98, 2)


def test_openmeter_4215_late_words_after_the_invoice() -> None:
    """An invoice waited out a collection period so that late events were still on it; by the tests of
    that time usage after the cutoff was ignored. Here what is heard after the invoice is on the next
    one, under the month it belongs to.
    """
    house = House()
    us = house.tenant(0)  # January 1970: 31 days
    house.price("T4", USD)
    house.machine(1, "T4")
    midnight = 31 * DAY
    late = house.start(us, at=midnight - 2 * HOUR)
    gone = house.begin(us, at=midnight - 3 * HOUR)
    january = house.month(us, 1, midnight + HOUR)
    assert [line.quantity for line in january.lines] == [3 * GPU_HOUR]
    # usable an hour before midnight, stopped half an hour before it: heard after the invoice
    house.report(runtime.ReportUsable, late, midnight - HOUR, told=midnight + 2 * HOUR)
    house.report(runtime.ReportStopped, gone, midnight - HOUR // 2, told=midnight + 2 * HOUR)
    house.report(runtime.ReportStopped, late, midnight + HOUR)
    february = house.month(us, 2, (31 + 28) * DAY + HOUR)
    house.judged()
    assert house.charged(late) == (2 * GPU_HOUR, 2 * USD)
    assert house.charged(gone) == (5 * GPU_HOUR // 2, 5 * USD // 2)
    assert house.pieces(gone) == [
        (1, midnight - 3 * HOUR, midnight),
        (-1, midnight - HOUR // 2, midnight),
    ]
    ours = {line.service_period: line for line in february.lines}
    of_january, of_february = ours[january.period], ours[february.period]
    # +1 h of `late`, -0.5 h of `gone`; then the hour of `late` after midnight
    assert (of_january.quantity, of_january.amount_pico) == (GPU_HOUR // 2, USD // 2)
    assert (of_february.quantity, of_february.amount_pico) == (GPU_HOUR, USD)
    assert january.total_minor + february.total_minor == 450
