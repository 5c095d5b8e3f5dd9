"""Amounts that were wrong: a part billed as a whole, a fraction cut off, a unit changed under a price."""

import pytest

from domain import meter, pricebook, runtime
from domain.decider import fold
from domain.errors import DomainError
from gpuaas_verify.books import Books
from gpuaas_verify.errors import Invalid
from tests.museum.house import DAY, GPU_HOUR, HOUR, MINUTE, USD, House
from tests.property.books_history import stream


def test_opencost_3828_a_quarter_of_a_gpu_billed_whole() -> None:
    """A pod with 25 % of a GPU was charged as if it had all of it. Here four tenants with a quarter of
    one device pay for one GPU-hour together, and there is no room for a fifth.
    """
    house = House()
    us = house.tenant(0)
    house.price("T4", 4 * USD)
    house.machine(1, "T4", gpus=1)
    quarters = [house.begin(us, 250, at=HOUR) for _ in range(4)]
    with pytest.raises(DomainError, match=r"capacity\.none_fits"):
        house.begin(us, 1, at=HOUR)
    for one in quarters:
        house.report(runtime.ReportStopped, one, 2 * HOUR)
    whole = house.begin(us, at=2 * HOUR)
    house.report(runtime.ReportStopped, whole, 3 * HOUR)
    house.judged()
    assert [house.charged(one) for one in quarters] == [(GPU_HOUR // 4, USD)] * 4
    assert house.charged(whole) == (GPU_HOUR, 4 * USD)


@pytest.mark.parametrize(
    ("milli", "pico"),
    [(125, 125 * 10**9), (333, 333 * 10**9), (1, 10**9), (1000, 10**12)],
)
def test_gpustack_6054_a_partial_gpu_billed_whole(milli: int, pico: int) -> None:
    """Who asked for part of a card got an invoice four to eight times too high, with nothing on any
    page to explain it. Here an hour of so many thousandths costs so many thousandths of its price.
    """
    house = House()
    us = house.tenant(0)
    house.price("T4", USD)
    house.machine(1, "T4")
    one = house.begin(us, milli)
    house.report(runtime.ReportStopped, one, HOUR)
    assert house.judged().charged(one) == (milli * HOUR, pico)


def test_slurm_tres_four_and_a_half_billed_as_four() -> None:
    """A job's bill is computed in fractions and then stored as an integer, truncated: 4.5 => 4. Here
    4.5 yen stay 4.5 until the invoice: two jobs are 9 yen, and what one job's half is rounded by
    stands in the account `rounding`.
    """
    for jobs, total, rounding in ((2, 9, 0), (1, 4, -(10**12) // 2)):
        house = House()
        us = house.tenant(0, currency="JPY", digits=0)
        house.price("T4", 1_500_000_000_000, currency="JPY")  # 1.5 yen a GPU-hour
        house.machine(1, "T4")
        for _ in range(jobs):
            one = house.begin(us, devices=3)
            house.report(runtime.ReportStopped, one, HOUR)
            assert house.charged(one) == (3 * GPU_HOUR, 4_500_000_000_000)
        january = house.month(us, 1, 31 * DAY)
        house.judged()
        assert (january.total_pico, january.total_minor) == (jobs * 4_500_000_000_000, total)
        assert january.rounding_pico == rounding
        balances = {name: one.pico for name, one in house.books.balances(us.account).items()}
        assert balances["receivable"] == total * 10**12
        assert balances.get("rounding", 0) == -rounding
        assert balances["unbilled"] == 0


def test_cloudkitty_1860476_negative_usage() -> None:
    """Usage computed as a difference of aggregates came out negative, and some of it zero. Here what a
    node says of its clock never takes more away than was charged: a stop from before the start is
    nothing used, also when a month was charged in between.
    """
    house = House()
    us = house.tenant(0)
    house.price("T4", USD)
    house.machine(1, "T4")
    backwards = house.begin(us, at=10 * HOUR)
    house.report(runtime.ReportStopped, backwards, 9 * HOUR, told=11 * HOUR)
    assert house.judged().charged(backwards) == (0, 0)
    assert house.pieces(backwards) == []
    over = house.begin(us, at=30 * DAY)
    january = house.month(us, 1, 31 * DAY + HOUR)
    assert [line.quantity for line in january.lines] == [24 * GPU_HOUR]
    house.report(runtime.ReportStopped, over, 29 * DAY, told=31 * DAY + 2 * HOUR)
    february = house.month(us, 2, 59 * DAY + HOUR)
    house.judged()
    assert house.pieces(over) == [(1, 30 * DAY, 31 * DAY), (-1, 30 * DAY, 31 * DAY)]
    assert house.charged(over) == (0, 0)
    assert [(line.quantity, line.amount_pico) for line in february.lines] == [
        (-24 * GPU_HOUR, -24 * USD)
    ]
    assert all(row.quantity > 0 <= row.line_quantity for row in house.rows["rated_interval"])


def test_gcore_2024_11_18_the_unit_changed_under_a_plan() -> None:
    """A metric per 10,000 requests replaced one per request in a plan that stood: consumed values of
    the old unit met the new unit's price, and expenses were 10,000 times too high. Here a price has
    its divisor in itself, an entry is never changed, and a meter never gets another unit.
    """
    house = House()
    us = house.tenant(0)
    house.price("T4", 2 * USD)
    # the same price, said per 10,000 GPU-hours from noon on
    house.price("T4", 20_000 * USD, divisor=10_000 * GPU_HOUR, since=12 * HOUR)
    house.machine(1, "T4")
    one = house.begin(us, at=6 * HOUR)
    house.report(runtime.ReportStopped, one, 18 * HOUR)
    january = house.month(us, 1, 31 * DAY)
    house.judged()
    assert [(line.quantity, line.amount_pico) for line in january.lines] == [
        (6 * GPU_HOUR, 12 * USD),
        (6 * GPU_HOUR, 12 * USD),
    ]
    book = fold(pricebook.DECIDER, house.facts(stream("pricebook", 1)))
    restated = pricebook.PublishEntry(
        *("default", "gpu.time", "T4", "-", "usable", "USD", 0, 2 * USD, 10_000 * GPU_HOUR, 0)
    )
    with pytest.raises(DomainError, match=r"price\.duplicate"):
        pricebook.decide(restated, book)
    known = meter.Counting("storage.capacity", "MiB-us", "lifecycle", "sum")
    for what, state in (
        (meter.Register("storage.capacity", "GiB-us", "lifecycle", "sum", 1), known),
        (meter.Register("gpu.time", "GPU-h", "lifecycle", "sum", 1), meter.Missing()),
    ):
        with pytest.raises(DomainError, match=r"meter\.(exists|invalid)"):
            meter.decide(what, state)
    # a log in which somebody changed it nevertheless stops both books
    changed = pricebook.EntryPublished(
        *("default", "gpu.time", "T4", "-", "usable", "USD", 0, 0),
        *(2 * USD, 10_000 * GPU_HOUR),
    )
    with pytest.raises(DomainError, match=r"price\.duplicate"):
        house.books.apply(len(house.history.facts), stream("pricebook", 1), changed)
    house.history.add(stream("pricebook", 1), changed)
    with Books(None) as auditor, pytest.raises(Invalid, match=r"books\.price"):
        house.history.feed(auditor)


def test_airavata_custos_535_usage_of_somebody_else() -> None:
    """Usage was recorded under the wrong record, under-counted by miscalculated durations, or dropped
    with the rest of a polling cycle after one unknown job. Here each runtime of one node is charged
    once, to its own project and account, whatever befell its neighbours.
    """
    house = House()
    us, them = house.tenant(0), house.tenant(1)
    second = house.add_project(7, us.organization, us.account)
    house.price("T4", USD)
    house.machine(1, "T4")
    mine = house.begin(us, 500)
    ours = house.begin(us, 500, project=second)
    theirs = house.begin(them, devices=4)
    never = house.start(them)
    house.report(runtime.ReportFailed, never, 30 * MINUTE)
    house.report(runtime.ReportStopped, theirs, HOUR)
    house.report(runtime.ReportStopped, mine, 2 * HOUR)
    house.report(runtime.ReportStopped, ours, 3 * HOUR)
    bills = [house.month(of, 1, 31 * DAY) for of in (us, them)]
    house.judged()
    assert [(line.project, line.quantity, line.amount_pico) for line in bills[0].lines] == [
        (us.project, GPU_HOUR, USD),
        (second, 3 * GPU_HOUR // 2, 3 * USD // 2),
    ]
    assert [(line.project, line.quantity, line.amount_pico) for line in bills[1].lines] == [
        (them.project, 4 * GPU_HOUR, 4 * USD)  # not multiplied by its devices a second time
    ]
    house.history.orgs[mine] = them.organization
    with Books(None) as auditor, pytest.raises(Invalid, match=r"books\.org"):
        house.history.feed(auditor)
