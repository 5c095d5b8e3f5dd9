"""What a prepaid account reserves and leaves idle is held for, as long as a lease, and ends with its hold.

By the admission, the platform's books and the auditor's. A device is 1 USD an hour idle, 4 in use.
"""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from domain import account, quota, reservation, reserving, together
from domain import wallet_facts as W  # noqa: N812 - said on every line below
from domain.errors import DomainError
from domain.instants import LEASING
from domain.purses import wallet_stream
from domain.wallet_facts import EXHAUSTED
from tests.museum.house import DAY, GPU_HOUR, HOUR, MINUTE, SECOND, USD
from tests.property.books_history import stream
from tests.property.books_judged import Said, judge, refused
from tests.unit.test_verify_books_idle import ONE, Hotel

FIRST = LEASING.hold_end(10 * MINUTE)  # when the first hold ends, of a reservation made at 0
TWO = stream("reservation", 2)

type Change = Callable[[Any], Struct]


class Paid(Hotel):
    """A hotel whose tenant has that much credit, in advance."""

    def __init__(self, credit: int, idle: int | None = USD) -> None:
        super().__init__(idle)
        self.prepay(self.us)
        self.grant(self.us, credit)

    def keep(self, at: int) -> int:
        """What is due of reservations; of how many something was."""
        due = reserving.due(self.state, at)
        for name in due:
            assert self.emitted(together.hold_on(self.state, name, at))
        return len(due)

    def goes_on(self, since: int, until: int) -> None:
        """Every two minutes: kept, leased and settled."""
        for at in range(since, until, 2 * MINUTE):
            self.keep(at)
            for machine in self.machines:
                self.lease(machine, at)
            self.settle(at)

    def leaves(self, pico: int) -> None:
        """All of the credit but so much, beside what is held, goes back to the payer."""
        back = self.wallet(self.us).available_pico(0) - pico
        self.gives_back(self.us, "r1", "back", pico=back, taken=False)

    def held(self, name: str = ONE) -> int:
        hold = self.wallet(self.us).holds.get(name)
        return 0 if hold is None else hold.amount_pico

    def said(self, kind: type[Struct]) -> list[Any]:
        return [
            fact for fact in self.facts(wallet_stream(self.us.account)) if isinstance(fact, kind)
        ]

    def over(self, name: str = ONE) -> str:
        """Why it ended."""
        [fact] = [one for one in self.facts(name) if isinstance(one, reservation.Over)]
        return fact.reason

    def ended_well(self, credit: int, used: int) -> None:
        """The wallet has what was not used, holds nothing, and both sets of books agree."""
        purse = self.wallet(self.us)
        assert (purse.balance_pico, purse.held_pico) == (credit - used, 0)
        self.agreed()
        judge(list(self.history.facts), dict(self.history.orgs))


def cost(devices: int, us: int) -> int:
    return -(-devices * us * USD // HOUR)


def test_it_is_held_for_as_a_whole_as_long_as_a_lease() -> None:
    """With its making, in one append; of a shorter one until its end; refused by what lacks, and then
    nothing of it is there.
    """
    house = Paid(10 * USD)
    house.reserve(4, DAY)
    [held] = house.said(W.ReservationHeld)
    assert (held.reservation, held.from_us, held.until_us) == (ONE, 0, FIRST)
    assert held.amount_pico == cost(4, FIRST) == house.wallet(house.us).held_pico
    house.reserve(4, 5 * MINUTE, name=TWO)
    assert (house.said(W.ReservationHeld)[1].until_us, house.held(TWO)) == (
        5 * MINUTE,
        cost(4, 5 * MINUTE),
    )
    poor = Paid(cost(4 * 9, FIRST) - 1, idle=9 * USD)  # dearer than in use
    with pytest.raises(DomainError, match=r"wallet\.insufficient"):
        poor.reserve(4, DAY)
    assert (poor.state.reservations, poor.state.purses.idle) == ({}, set())
    poor.reserve(3, DAY)
    assert poor.held() == cost(3 * 9, FIRST)


def test_what_was_idle_is_paid_from_the_hold_and_the_rest_comes_back() -> None:
    """Two devices for three hours, one of which runs for one: five idle hours."""
    house = Paid(100 * USD)
    house.reserve(2, DAY)
    house.goes_on(2 * MINUTE, HOUR)
    running = house.draw(HOUR)
    house.goes_on(HOUR, 2 * HOUR)
    house.stop(running, 2 * HOUR)
    house.goes_on(2 * HOUR, 3 * HOUR)
    house.ends(3 * HOUR)
    house.settle(3 * HOUR)
    assert house.idle() == (5 * GPU_HOUR, 5 * USD)
    house.ended_well(100 * USD, 9 * USD)
    assert len(house.said(W.ReservationReleased)) == 1


def test_of_what_was_in_use_nothing_stays_held() -> None:
    """While all of it runs only the time ahead is held for, however long that was."""
    house = Paid(100 * USD)
    house.reserve(2, DAY)
    running = [house.draw(0), house.draw(0)]
    house.goes_on(0, 2 * HOUR)
    assert house.held() <= cost(2, FIRST + 2 * MINUTE)
    for one in running:
        house.stop(one, 2 * HOUR)
    house.goes_on(2 * HOUR, 3 * HOUR)
    # An hour of both, and as long ahead.
    assert cost(2, HOUR) < house.held() <= cost(2, HOUR + FIRST)
    house.ends(3 * HOUR)
    house.settle(3 * HOUR)
    house.ended_well(100 * USD, (2 + 16) * USD)


def test_it_ends_with_its_hold_when_that_cannot_be_renewed() -> None:
    """Told of at the renewal that failed, ended as a fact when nothing is held any more: what it cost is
    what was there, to the pico, and no wallet is below zero at any fact.
    """
    credit = cost(4, FIRST) + cost(4, 3 * MINUTE)
    house = Paid(100 * USD)
    house.reserve(4, DAY)
    house.leaves(cost(4, 3 * MINUTE))
    assert house.keep(MINUTE) == 0
    assert house.keep(2 * MINUTE) == 1
    until = house.said(W.ReservationRenewed)[-1].until_us
    assert until == LEASING.hold_end(12 * MINUTE)
    assert [house.keep(at) for at in (3 * MINUTE, 5 * MINUTE, 7 * MINUTE)] == [0, 1, 0]
    assert house.said(W.LevelReached)[-1].percent == 100
    assert house.keep(until - 1) == 0
    assert house.keep(until + SECOND) == 1
    assert house.over() == EXHAUSTED
    house.settle(until + MINUTE)
    due = 4 * until * USD // HOUR
    assert house.idle()[1] == due
    house.ended_well(credit, due)
    for fact in house.facts(wallet_stream(house.us.account)):
        assert 0 <= fact.held_pico <= fact.balance_pico


def test_credit_that_comes_before_the_end_of_the_hold_keeps_it() -> None:
    """Also at the last moment, and what runs on it was never in question."""
    house = Paid(100 * USD)
    house.reserve(4, DAY)
    house.leaves(0)
    assert house.keep(2 * MINUTE) == 1  # told of
    house.grant(house.us, 10 * USD, at=FIRST - 1)
    assert house.keep(FIRST - 1) == 1
    assert house.keep(FIRST + SECOND) == 0
    assert house.held() == cost(4, LEASING.hold_end(FIRST - 1 + 10 * MINUTE))


def test_a_hold_that_is_not_settled_yet_is_never_made_smaller() -> None:
    """What was idle before something was drawn is met late: until then it stays held for."""
    house = Paid(100 * USD)
    house.reserve(4, DAY)
    for at in range(0, HOUR, 2 * MINUTE):
        house.keep(at)
    house.draw(HOUR, devices=4)
    before = house.held()
    assert house.keep(HOUR + 2 * MINUTE) == 1
    assert house.held() > before
    house.settle(HOUR + 3 * MINUTE)
    assert house.keep(HOUR + 4 * MINUTE) == 1
    assert house.held() <= cost(4, FIRST)
    assert house.wallet(house.us).holds[ONE].met_pico == 4 * USD


def test_prices_are_those_that_were_known_when_it_was_held_for() -> None:
    """A dearer one published meanwhile prices what is held for after it; one that takes effect in the
    midst of a hold, and was known, from then on; none before the first takes effect.
    """
    house = Paid(100 * USD)
    house.idle_price(2 * USD, since=5 * MINUTE)
    house.reserve(1, DAY)
    assert house.held() == cost(1, 5 * MINUTE) + cost(2, FIRST - 5 * MINUTE)
    house.idle_price(6 * USD, since=6 * MINUTE)
    house.goes_on(7 * MINUTE, 10 * MINUTE)
    house.ends(FIRST + MINUTE)
    house.settle(FIRST + MINUTE)
    due = cost(1, 5 * MINUTE) + cost(2, FIRST - 5 * MINUTE) + cost(6, MINUTE)
    assert abs(house.idle()[1] - due) <= 2
    late = Paid(100 * USD, idle=None)
    late.idle_price(USD, since=HOUR)
    late.reserve(1, 2 * HOUR)
    assert late.held() == 0
    late.goes_on(2 * MINUTE, 2 * HOUR)
    late.ends(2 * HOUR, reservation.EXPIRED)
    late.settle(2 * HOUR)
    assert late.idle() == (GPU_HOUR, USD)
    late.ended_well(100 * USD, USD)


def test_what_costs_nothing_needs_no_hold_and_gets_none() -> None:
    """Of an account that pays afterwards, and where the list has no price before its end."""
    house = Paid(100 * USD, idle=None)
    house.reserve(16, DAY)
    after = Hotel()
    after.reserve(16, DAY)
    for one in (house, after):
        assert not [fact for _, _, fact in one.history.facts if isinstance(fact, W.ReservationHeld)]
        assert one.state.purses.idle == set()
        one.ends(HOUR)
        one.agreed()


def test_a_period_that_closes_charges_what_is_idle_and_the_hold_meets_it() -> None:
    """Like any other use."""
    house = Paid(2000 * USD)
    month = house.opened(house.us)[1].start_us
    house.reserve(1, 40 * DAY, at=month - HOUR)
    house.goes_on(month - HOUR, month)
    assert house.month(house.us, 1, month).total_pico == USD
    house.settle(month + MINUTE)
    assert house.wallet(house.us).holds[ONE].met_pico == USD
    house.agreed()


def test_a_decision_that_is_taken_back_leaves_no_trace() -> None:
    """A reservation, its renewal and its release, each refused by the log."""
    house = Paid(100 * USD)
    ids = (ONE, house.us.organization, house.us.project, "T4")
    emits = together.reserve(house.state, together.Reserve(*ids, 2, DAY, 0))
    house.state.undo(emits)
    assert (house.state.purses.idle, house.state.purses.prepaid) == (set(), {})
    assert house.wallet(house.us).held_pico == 0
    house.reserve(2, DAY)
    before, covered = house.held(), house.state.purses.prepaid[ONE].cover.until_us
    emits = together.hold_on(house.state, ONE, 2 * MINUTE)
    house.state.undo(emits)
    assert (house.held(), house.state.purses.prepaid[ONE].cover.until_us) == (before, covered)
    assert house.keep(2 * MINUTE) == 1


@functools.cache
def told() -> tuple[tuple[Said, ...], dict[str, str]]:
    house = Paid(100 * USD)
    house.reserve(2, DAY)
    house.goes_on(2 * MINUTE, 10 * MINUTE)
    running = house.draw(10 * MINUTE)
    house.goes_on(10 * MINUTE, 20 * MINUTE)
    house.stop(running, 20 * MINUTE)
    house.goes_on(20 * MINUTE, 30 * MINUTE)
    house.ends(30 * MINUTE)
    house.settle(30 * MINUTE)
    house.agreed()
    return tuple(house.history.facts), dict(house.history.orgs)


def at(kind: type[Struct], number: int = 0) -> int:
    """The position of the fact of that kind, counted from 0."""
    return [n for n, (_, _, fact) in enumerate(told()[0]) if isinstance(fact, kind)][number]


CASES: list[tuple[type[Struct], Change, str, str]] = [
    (W.ReservationHeld, lambda f: replace(f, reservation=TWO), "books.hold", "reservation"),
    (W.ReservationHeld, lambda f: replace(f, until_us=f.from_us), "books.hold", "until_us"),
    (W.ReservationHeld, lambda f: replace(f, amount_pico=-1), "books.hold", "until_us"),
    (W.ReservationHeld, lambda f: replace(f, amount_pico=1), "books.wallet", "held_pico"),
    (W.ReservationRenewed, lambda f: replace(f, amount_pico=-1), "books.hold", "holds"),
    (W.ReservationRenewed, lambda f: replace(f, reservation=TWO), "books.hold", "reservation"),
    (W.ReservationRenewed, lambda f: replace(f, amount_pico=USD), "books.wallet", "held_pico"),
    (W.ReservationCaptured, lambda f: replace(f, amount_pico=f.amount_pico + 1), "books.hold", "amount_pico"),
    (W.ReservationCaptured, lambda f: replace(f, reservation=TWO), "books.hold", "reservation"),
    (W.ReservationReleased, lambda f: replace(f, amount_pico=f.amount_pico + 1), "books.hold", "amount_pico"),
    (W.ReservationReleased, lambda f: replace(f, reservation=TWO), "books.hold", "reservation"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "change", "code", "field"), CASES)
def test_a_fact_that_contradicts_the_books_is_refused(
    kind: type[Struct], change: Change, code: str, field: str
) -> None:
    """One field of one fact at a time."""
    facts, orgs = told()
    changed, place = list(facts), at(kind)
    where, cause, fact = changed[place]
    changed[place] = (where, cause, change(fact))
    assert refused(changed, orgs) == (code, field)


def test_a_reservation_is_held_for_with_its_making_or_not_at_all() -> None:
    """In another append, twice, or of an account that pays afterwards: refused. Without, it is free: no
    hold, no charge.
    """
    facts, orgs = told()
    held = at(W.ReservationHeld)
    where, _, fact = facts[held]
    alone = (where, f"cmd:{'e' * 64}", fact)
    assert refused([*facts[:held], alone], orgs) == ("books.hold", "reservation")
    assert refused([*facts[: held + 1], facts[held]], orgs) == ("books.hold", "reservation")
    postpaid = [one for one in facts[: held + 1] if not isinstance(one[2], account.TermsSet)]
    assert refused(postpaid, orgs) == ("books.hold", "reservation")
    judge([*facts[:held], facts[held + 1]], orgs)


def test_a_hold_of_a_reservation_is_released_and_renewed_in_its_time() -> None:
    """Not while it stands, not with charges open; and not renewed after its end."""
    facts, orgs = told()
    release, end = facts[at(W.ReservationReleased)], at(quota.Unreserved)
    assert refused([*facts[:end], release], orgs) == ("books.hold", "reservation")
    assert refused([*facts[: end + 1], release], orgs) == ("books.hold", "reservation")
    where, cause, fact = facts[at(W.ReservationRenewed)]
    late = (where, cause, replace(fact, until_us=90 * DAY))
    assert refused([*facts[: end + 1], late], orgs) == ("books.hold", "reservation")
