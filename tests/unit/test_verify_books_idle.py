"""What is reserved and idle costs the price of state `reserved`, if there is one; in both sets of books.

rating.md section 15. What a case expects is worked out in the case, in device-hours.
"""

import pytest
from msgspec import Struct, structs

from domain import (
    claim,
    credit,
    launch,
    node,
    price_facts,
    pricebook,
    quota,
    reservation,
    runtime,
    together,
)
from domain.decider import fold
from domain.errors import DomainError
from domain.words import Gpu
from gpuaas_verify.books import Books, BooksReport
from projections.months import period_id
from tests.museum.house import DAY, GPU_HOUR, HOUR, MINUTE, SECOND, USD
from tests.property.books_history import stream
from tests.wallet_world import PrepaidHouse

BOOK = stream("pricebook", 1)
ONE = stream("reservation", 1)


class Hotel(PrepaidHouse):
    """A house of one tenant, two SIMULATED machines of 8 T4 at 4 USD a GPU-hour; idle at 1 USD."""

    def __init__(self, idle: int | None = USD) -> None:
        super().__init__()
        self.us = self.tenant(0)
        self.price("T4", 4 * USD)
        self.machines = [self.machine(number, "T4") for number in (1, 2)]
        if idle is not None:
            self.idle_price(idle)

    def idle_price(self, pico: int, *, since: int = 0, whose: str = "default") -> None:
        """A GPU-hour of what is reserved and idle costs that from then on."""
        key = (whose, "gpu.time", "T4", "-", "reserved", "USD")
        self.publish(pricebook.PublishEntry(*key, since, pico, GPU_HOUR, since))

    def publish(self, command: pricebook.Command) -> None:
        said = pricebook.decide(command, fold(pricebook.DECIDER, self.facts(BOOK)))
        self.append((BOOK, "-", said))

    def reserve(self, devices: int, until: int, *, at: int = 0, name: str = ONE) -> str:
        ids = (name, self.us.organization, self.us.project, "T4")
        wanted = together.Reserve(*ids, devices, until, at)
        self.emitted(together.reserve(self.state, wanted))
        return name

    def draw(self, at: int, *, devices: int = 1, name: str = ONE) -> str:
        """A runtime on it, usable at once."""
        wanted = structs.replace(self.wish(self.us, devices=devices, at=at), reservation=name)
        self.emitted(launch.admit(self.state, wanted))
        self.report(runtime.ReportUsable, wanted.runtime, at)
        return wanted.runtime

    def stop(self, name: str, at: int, told: int | None = None) -> None:
        self.report(runtime.ReportStopped, name, at, told)

    def ends(self, at: int, reason: str = "given back", *, name: str = ONE) -> None:
        self.emitted(together.end_reservation(self.state, name, reason, at))

    def hears(self, name: str, fact: Struct, *, org: str = "") -> None:
        """A fact of the log that no decider of now would make."""
        self.append((name, org or self.us.organization, [fact]), remembered=True)

    def idle(self, name: str = ONE) -> tuple[int, int]:
        """What it was charged, once both sets of books agree."""
        self.agreed()
        return self.charged(name)

    def agreed(self) -> BooksReport:
        """The auditor derives every row, balance and invoice that the platform has."""
        with Books(None) as books:
            self.history.feed(books)
            for table, rows in self.rows.items():
                derived = [list(row.values())[1:] for row in books.expected_rows(table)]
                assert derived == [list(structs.astuple(row)) for row in rows]
            mine = self.books.balances(self.us.account)
            theirs = {name: (one.seq, one.pico) for name, one in mine.items()}
            assert books.balances(self.us.account) == theirs
            return books.finish()


def test_an_hour_that_nobody_uses_costs_its_price() -> None:
    """Four devices for an hour: four device-hours, one charge, at the end."""
    hotel = Hotel()
    hotel.reserve(4, 2 * HOUR)
    hotel.ends(HOUR)
    assert hotel.idle() == (4 * GPU_HOUR, 4 * USD)
    assert hotel.pieces(ONE) == [(1, 0, HOUR)]


def test_what_runs_on_it_is_not_idle() -> None:
    """Of four one runs from 1:00 to 3:00 and two from 2:00 on; the time of each is charged once."""
    hotel = Hotel()
    hotel.reserve(4, DAY)
    one = hotel.draw(HOUR)
    two = hotel.draw(2 * HOUR, devices=2)
    hotel.stop(one, 3 * HOUR)
    hotel.ends(4 * HOUR)
    hotel.stop(two, 5 * HOUR)
    # 4 + 3 + 1 + 2 device-hours idle
    assert hotel.idle() == (10 * GPU_HOUR, 10 * USD)
    assert hotel.charged(one) == (2 * GPU_HOUR, 8 * USD)
    assert hotel.charged(two) == (6 * GPU_HOUR, 24 * USD)


def test_the_last_thousandth_of_a_device_is_idle_too() -> None:
    """One milli-GPU is left of it for an hour: charged; nothing is left of another: no interval."""
    hotel = Hotel(idle=1000 * USD)
    hotel.reserve(1, DAY)
    wanted = structs.replace(hotel.wish(hotel.us, 999), reservation=ONE)
    hotel.emitted(launch.admit(hotel.state, wanted))
    hotel.ends(HOUR)
    assert hotel.idle() == (HOUR, USD)
    whole = hotel.reserve(1, DAY, at=HOUR, name=stream("reservation", 2))
    hotel.draw(HOUR, name=whole)
    hotel.ends(2 * HOUR, name=whole)
    assert hotel.idle(whole) == (0, 0)


def test_without_a_price_nothing_is_charged_and_one_begins_when_it_takes_effect() -> None:
    """No price, no row; one that takes effect at 2:00 prices the third hour and no time before it."""
    hotel = Hotel(idle=None)
    hotel.reserve(2, DAY)
    hotel.idle_price(USD, since=2 * HOUR)
    hotel.ends(3 * HOUR)
    assert hotel.idle() == (2 * GPU_HOUR, 2 * USD)
    assert hotel.pieces(ONE) == [(1, 2 * HOUR, 3 * HOUR)]
    without = Hotel(idle=None)
    without.reserve(2, DAY)
    running = without.draw(HOUR)
    without.stop(running, 2 * HOUR)
    without.ends(3 * HOUR)
    without.agreed()
    assert {row.resource for row in without.rows["rated_interval"]} == {running}


def test_a_price_changes_in_the_midst() -> None:
    """The first hour at 1 USD, the second at 2: pieces of one interval, each in its own line."""
    hotel = Hotel()
    hotel.idle_price(2 * USD, since=HOUR)
    hotel.reserve(1, DAY)
    hotel.ends(2 * HOUR)
    assert hotel.idle() == (2 * GPU_HOUR, 3 * USD)
    assert hotel.pieces(ONE) == [(1, 0, HOUR), (1, HOUR, 2 * HOUR)]


def test_an_account_pays_its_own_price() -> None:
    """Half as much for one account, of the same time."""
    hotel = Hotel()
    hotel.idle_price(USD // 2, whose=hotel.us.account)
    hotel.reserve(1, DAY)
    hotel.ends(HOUR)
    assert hotel.idle() == (GPU_HOUR, USD // 2)


def test_a_reservation_that_was_all_drawn_costs_nothing_idle() -> None:
    """In the microsecond in which it is made: no row; one that ends then: none either."""
    hotel = Hotel()
    hotel.reserve(2, DAY)
    running = hotel.draw(0, devices=2)
    hotel.stop(running, HOUR)
    hotel.ends(HOUR)
    assert hotel.idle() == (0, 0)
    assert hotel.pieces(ONE) == []
    again = hotel.reserve(1, DAY, at=HOUR, name=stream("reservation", 2))
    hotel.ends(HOUR, name=again)
    assert hotel.idle(again) == (0, 0)


def test_draws_and_ends_of_one_microsecond_leave_nothing_twice() -> None:
    """Drawn, stopped and drawn again at 1:00, all of it: before it idle, after it not."""
    hotel = Hotel()
    hotel.reserve(2, DAY)
    hotel.stop(hotel.draw(HOUR), HOUR)
    running = hotel.draw(HOUR, devices=2)
    hotel.ends(2 * HOUR)
    hotel.stop(running, 3 * HOUR)
    assert hotel.idle() == (2 * GPU_HOUR, 2 * USD)


def test_it_costs_nothing_after_its_end_however_late_that_is_said() -> None:
    """It is over at 2:00, said at 5:00; what ran on it ends at 4:00 and makes nothing idle again."""
    hotel = Hotel()
    hotel.reserve(2, 2 * HOUR)
    running = hotel.draw(HOUR)
    hotel.stop(running, 4 * HOUR)
    hotel.ends(5 * HOUR, reservation.EXPIRED)
    # 2 until 1:00, 1 until 2:00
    assert hotel.idle() == (3 * GPU_HOUR, 3 * USD)


def test_what_is_said_out_of_order_of_clocks_charges_no_time_twice() -> None:
    """An end that was decided at 1:00 and logged after a launch of 2:00 frees from 2:00 on."""
    hotel = Hotel()
    hotel.reserve(2, DAY)
    early = hotel.draw(0)
    hotel.draw(2 * HOUR)
    hotel.stop(early, HOUR)
    hotel.ends(3 * HOUR)
    # 1 until 2:00, 0 at once, 1 from the release on
    assert hotel.idle() == (3 * GPU_HOUR, 3 * USD)


def test_a_close_in_the_midst_charges_what_is_open_and_its_end_no_more_than_that() -> None:
    """The first month closes while it stands; it ends in the second, and each month has its own."""
    hotel = Hotel()
    start, end = hotel.opened(hotel.us)[0].start_us, hotel.opened(hotel.us)[0].end_us
    hotel.reserve(2, end + DAY, at=end - 2 * HOUR)
    running = hotel.draw(end - HOUR)
    draft = hotel.month(hotel.us, 1, end + MINUTE)
    idle = [line for line in draft.lines if line.quantity == 3 * GPU_HOUR]
    assert [line.amount_pico for line in idle] == [3 * USD]
    assert draft.simulated
    hotel.stop(running, end + HOUR)
    hotel.ends(end + 2 * HOUR)
    assert start == 0
    assert hotel.idle() == (6 * GPU_HOUR, 6 * USD)


def test_a_close_charges_nothing_after_its_end() -> None:
    """It was over an hour before the month, and nobody said so: the close charges up to that hour."""
    hotel = Hotel()
    end = hotel.opened(hotel.us)[0].end_us
    hotel.reserve(1, end - HOUR, at=end - 3 * HOUR)
    draft = hotel.month(hotel.us, 1, end + MINUTE)
    assert draft.total_pico == 2 * USD
    hotel.ends(end + HOUR, reservation.EXPIRED)
    assert hotel.idle() == (2 * GPU_HOUR, 2 * USD)
    assert hotel.pieces(ONE) == [(1, end - 3 * HOUR, end - HOUR)]


def test_what_is_heard_after_a_close_is_taken_back_in_the_open_period() -> None:
    """A runtime was admitted an hour before the month ended, and logged after its close: what that
    charged of the device as idle is taken back, in the next month.
    """
    hotel = Hotel()
    end = hotel.opened(hotel.us)[0].end_us
    hotel.reserve(2, end + DAY, at=end - 2 * HOUR)
    draft = hotel.month(hotel.us, 1, end + MINUTE)
    assert draft.total_pico == 4 * USD
    hotel.draw(end - HOUR)
    assert hotel.pieces(ONE)[-1] == (-1, end - HOUR, end)
    hotel.ends(end + HOUR)
    # 2 hours of 2, less an hour of 2, then two hours of 1
    assert hotel.idle() == (4 * GPU_HOUR, 4 * USD)


def test_a_book_prices_it_only_where_the_list_does() -> None:
    """By a dearer book for all of the first day, then by the list again: only the hour that the list
    prices moves, and all of it comes back.
    """
    hotel = Hotel(idle=None)
    hotel.idle_price(USD, since=HOUR)
    shaped = pricebook.Shaped(
        *("default", "gpu.time", "T4", "-", "reserved", "USD", 0, GPU_HOUR, 0),
        *((price_facts.Tier(None, 3 * USD),), 0),
    )
    hotel.publish(pricebook.PublishBook("dear", (shaped,), 0))
    hotel.reserve(1, DAY)
    hotel.ends(2 * HOUR)
    assert hotel.idle() == (GPU_HOUR, USD)
    for book, cost in (("dear", 3 * USD), ("-", USD), ("dear", 3 * USD)):
        ask = pricebook.Rerate(hotel.us.account, "USD", book, 0, DAY, 2 * HOUR)
        hotel.publish(ask)
        assert hotel.idle() == (GPU_HOUR, cost)
    late = hotel.reserve(1, DAY, at=3 * HOUR, name=stream("reservation", 2))
    hotel.ends(4 * HOUR, name=late)
    assert hotel.idle(late) == (GPU_HOUR, 3 * USD)


def test_a_commitment_covers_what_is_of_its_own_state() -> None:
    """Two device-hours a month are committed as idle for 1 USD: of five idle ones three are paid, and
    none of what runs is covered.
    """
    hotel = Hotel()
    month = hotel.opened(hotel.us)[1]
    key = (hotel.us.account, "gpu.time", "T4", "-", "reserved", "USD")
    hotel.publish(
        pricebook.Commit(
            *(*key, month.start_us, month.end_us, 2 * GPU_HOUR, USD // 2, GPU_HOUR, HOUR)
        )
    )
    at = month.start_us + DAY
    hotel.reserve(2, at + DAY, at=at)
    running = hotel.draw(at + 2 * HOUR)
    hotel.ends(at + 3 * HOUR)
    hotel.stop(running, at + 3 * HOUR)
    assert hotel.idle() == (5 * GPU_HOUR, 3 * USD)
    assert hotel.charged(running) == (GPU_HOUR, 4 * USD)
    hotel.month(hotel.us, 1, month.start_us + 2 * DAY)
    hotel.month(hotel.us, 2, month.end_us + MINUTE)
    assert hotel.idle(hotel.us.account) == (2 * GPU_HOUR, USD)


def test_free_units_and_tiers_count_over_all_reservations() -> None:
    """One device-hour is free, then 2 USD each: the first reservation has it, the second pays all."""
    hotel = Hotel(idle=None)
    shaped = pricebook.Shaped(
        *("default", "gpu.time", "T4", "-", "reserved", "USD", 0, GPU_HOUR, GPU_HOUR),
        *((price_facts.Tier(None, 2 * USD),), 0),
    )
    hotel.publish(pricebook.PublishShaped(shaped, 0))
    first = hotel.reserve(1, DAY)
    second = hotel.reserve(1, DAY, at=HOUR, name=stream("reservation", 2))
    hotel.ends(3 * HOUR, name=second)
    assert hotel.idle(second) == (2 * GPU_HOUR, 2 * USD)
    hotel.ends(3 * HOUR)
    assert hotel.idle(first) == (3 * GPU_HOUR, 4 * USD)
    assert hotel.idle(second) == (2 * GPU_HOUR, 4 * USD)


def test_what_is_used_and_not_charged_yet_is_seen() -> None:
    """An accrual is what a charge at that instant would be, and nothing after the reservation's end."""
    hotel = Hotel()
    hotel.reserve(2, 2 * HOUR)
    period = period_id(hotel.us.account, 1)
    assert hotel.books.accrued(period, HOUR) == {ONE: 2 * USD}
    assert hotel.books.accrued(period, DAY, beyond=True) == {ONE: 4 * USD}


def test_what_a_prepaid_account_reserved_before_there_was_a_price_costs_nothing() -> None:
    """Nothing is held for it, whatever is published after it; nor for one that ends before a price."""
    hotel = Hotel(idle=None)
    hotel.prepay(hotel.us)
    hotel.grant(hotel.us, 100 * USD)
    hotel.reserve(1, DAY)
    hotel.idle_price(USD, since=HOUR)
    hotel.reserve(1, HOUR, name=stream("reservation", 2))
    for name in (ONE, stream("reservation", 2)):
        hotel.ends(HOUR + SECOND, name=name)
        assert hotel.idle(name) == (0, 0)


def test_an_account_that_may_begin_nothing_reserves_nothing_that_costs() -> None:
    """Suspended, it is refused where idle devices cost, and not where they cost nothing."""
    hotel = Hotel(idle=None)
    said = credit.Suspended(hotel.us.account, "asked", 0)
    hotel.append((hotel.us.account, hotel.us.organization, [said]))
    hotel.reserve(1, DAY)
    hotel.idle_price(USD, since=HOUR)
    with pytest.raises(DomainError, match=r"account\.suspended"):
        hotel.reserve(1, DAY, name=stream("reservation", 2))


def test_a_reservation_from_before_quotas_counted_them_costs_nothing() -> None:
    """Nothing says what ran on it; the auditor charges nothing for it either."""
    hotel = Hotel()
    made = reservation.Made(hotel.us.project, "T4", 1, (hotel.machines[0],), HOUR, 0)
    hotel.hears(ONE, made)
    assert hotel.month(hotel.us, 1, hotel.opened(hotel.us)[1].start_us).lines == ()
    hotel.hears(ONE, reservation.Over("over", HOUR))
    assert hotel.idle() == (0, 0)


@pytest.mark.parametrize("known", [True, False])
def test_what_is_simulated_is_what_one_of_its_nodes_said(known: bool) -> None:
    """Idle on real devices alone it is not; nor on a node that nobody knows."""
    hotel = Hotel()
    for number in (1, 2):
        inventory = tuple(Gpu(index, f"GPU-{number}-{index}") for index in range(8))
        again = node.Enrolled("0" * 64, "T4", number == 1, inventory, "serial", 0)
        hotel.hears(hotel.machines[number - 1], again, org="-")
    where = (hotel.machines[1],) if known else (stream("node", 9),)
    place = (stream("department", 0), hotel.us.project, "T4")
    hotel.hears(quota.quota_stream(hotel.us.organization), quota.Reserved(ONE, *place, 1000, 0))
    hotel.hears(ONE, reservation.Made(hotel.us.project, "T4", 1, where, HOUR, 0))
    draft = hotel.month(hotel.us, 1, hotel.opened(hotel.us)[1].start_us)
    assert (draft.total_pico, draft.simulated) == (USD, False)
    assert hotel.idle() == (GPU_HOUR, USD)


def test_a_draw_that_the_end_overtakes_is_use_of_its_own() -> None:
    """Named as drawing, then the reservation ends, then it is committed: idle until the end."""
    hotel = Hotel()
    hotel.reserve(1, DAY)
    held, late = quota.quota_stream(hotel.us.organization), stream("runtime", 9)
    of = structs.replace(hotel.wish(hotel.us), runtime=late, reservation=ONE)
    emits = launch.admit(hotel.state, of)
    [said] = [emit.facts for emit in emits if emit.stream == held]
    for emit in emits:
        if emit.stream != held:
            hotel.append((emit.stream, emit.org, emit.facts), remembered=True)
    hotel.hears(held, said[0])
    hotel.ends(HOUR)
    hotel.hears(held, said[1])
    hotel.report(runtime.ReportUsable, late, HOUR)
    hotel.stop(late, 2 * HOUR)
    assert hotel.idle() == (GPU_HOUR, USD)
    assert hotel.charged(late) == (GPU_HOUR, 4 * USD)


def test_a_cause_is_counted_where_rows_come_of_it_and_nowhere_else() -> None:
    """Of what the quota says only what charges is waited for by a seal."""
    for idle, causes in ((None, 0), (USD, 2)):
        hotel = Hotel(idle=idle)
        hotel.reserve(1, DAY)
        hotel.draw(HOUR)
        hotel.ends(2 * HOUR)
        hotel.reserve(1, DAY, at=2 * HOUR, name=stream("reservation", 2))
        hotel.ends(3 * HOUR, name=stream("reservation", 2))
        assert hotel.agreed().unsealed_causes == causes


def test_it_is_in_the_region_of_all_its_nodes_or_in_none() -> None:
    """Eight in `eu` cost its price; sixteen over both machines that of no region; so which it is moves
    no more once it is made.
    """
    hotel = Hotel()
    hotel.node_does(hotel.machines[0], claim.SetRegion("eu", 0))
    key = ("default", "gpu.time", "T4", "eu", "reserved", "USD")
    hotel.publish(pricebook.PublishEntry(*key, 0, 3 * USD, GPU_HOUR, 0))
    hotel.reserve(16, DAY)
    hotel.ends(HOUR)
    assert hotel.idle() == (16 * GPU_HOUR, 16 * USD)
    one = hotel.reserve(8, DAY, at=HOUR, name=stream("reservation", 2))
    two = hotel.reserve(8, DAY, at=HOUR, name=stream("reservation", 3))
    hotel.node_does(hotel.machines[0], claim.SetRegion("us", HOUR))
    for name in (one, two):
        hotel.ends(2 * HOUR, name=name)
    assert sorted([hotel.idle(one)[1], hotel.idle(two)[1]]) == [8 * USD, 24 * USD]
