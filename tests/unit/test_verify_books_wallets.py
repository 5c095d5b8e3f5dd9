"""Facts of wallets that contradict each other, or the books: refused by name."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from domain import account, node, runtime, wallet_facts
from domain.instants import LEASE_US, Leasing, hold_end
from domain.wallet_facts import Held
from tests.museum.house import DAY, HOUR, MINUTE, SECOND, USD, Tenant
from tests.property.books_history import stream
from tests.property.books_judged import Said, judge, refused
from tests.wallet_world import PrepaidHouse, wallet_stream

type Change = Callable[[Any], Struct]


@cache
def told() -> tuple[tuple[Said, ...], str, dict[str, str]]:
    """Two prepaid runtimes: held, renewed, one exhausted and settled, promotional credit that
    expires, a hold that does, and a charge that comes after it and cannot be recovered in full.
    """
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", USD)
    machine = house.machine(1, "T4")
    house.prepay(us)
    house.grant(us, 60 * USD // 100)
    house.grant(us, USD // 100, bucket="promo", expires=HOUR)
    first, second = house.begin(us), house.begin(us)
    for at in (2, 4, 6, 8):
        house.lease(machine, at * MINUTE)
    assert isinstance(house.state.runtimes[second].state, runtime.Ending)
    house.report(runtime.ReportDegraded, first, 9 * MINUTE)
    house.settle(9 * MINUTE + SECOND)
    house.report(runtime.ReportStopped, second, 9 * MINUTE)
    house.settle(9 * MINUTE + 2 * SECOND)
    house.grant(us, USD // 50, bucket="promo", expires=HOUR, at=20 * MINUTE)
    house.expire(DAY)
    house.grant(us, USD, at=DAY)
    never = house.start(us, at=DAY)
    house.does(never, runtime.Cancel("changed", DAY))
    house.settle(DAY)
    house.report(runtime.ReportStopped, first, 9 * MINUTE, DAY)
    house.settle(DAY + SECOND)
    house.judged()
    facts = [fact for _, _, fact in house.history.facts]
    kinds = {
        type(fact).__name__ for fact in facts if isinstance(fact, wallet_facts.Event.__value__)
    }
    assert kinds == {
        "CreditGranted", "CreditExpired", "HoldPlaced", "HoldsRenewed", "HoldCaptured",
        "HoldReleased", "HoldExpired", "LevelReached",
    }  # fmt: skip
    return tuple(house.history.facts), us.account, dict(house.history.orgs)


def at(kind: type[Struct], number: int = 0) -> int:
    """The position of the fact of that kind, counted from 0."""
    return [n for n, (_, _, fact) in enumerate(told()[0]) if isinstance(fact, kind)][number]


def test_the_whole_life_of_a_wallet_is_believed() -> None:
    """Else every refusal below would prove nothing."""
    facts, _, orgs = told()
    judge(list(facts), orgs)


W = wallet_facts
CASES: list[tuple[type[Struct], int, Change, str, str]] = [
    (account.TermsSet, 0, lambda f: replace(f, terms="credit"), "books.terms", "terms"),
    (W.CreditGranted, 0, lambda f: replace(f, bucket="gift"), "books.credit", "bucket"),
    (W.CreditGranted, 0, lambda f: replace(f, amount_pico=0), "books.credit", "amount_pico"),
    (W.CreditGranted, 1, lambda f: replace(f, expires_us=-1), "books.credit", "expires_us"),
    (W.CreditGranted, 1, lambda f: replace(f, reference="r1"), "books.credit", "reference"),
    (W.CreditGranted, 1, lambda f: replace(f, grant=stream("grant", 1)), "books.credit", "grant"),
    (W.CreditGranted, 1, lambda f: replace(f, grant="lot"), "books.credit", "grant"),
    (W.CreditGranted, 1, lambda f: replace(f, balance_pico=1), "books.wallet", "balance_pico"),
    (W.CreditGranted, 1, lambda f: replace(f, held_pico=1), "books.wallet", "held_pico"),
    (W.CreditExpired, 0, lambda f: replace(f, decided_us=HOUR - 1), "books.credit", "amount_pico"),
    (W.CreditExpired, 0, lambda f: replace(f, amount_pico=1), "books.credit", "amount_pico"),
    (W.CreditExpired, 0, lambda f: replace(f, grant="grant-9"), "books.credit", "amount_pico"),
    (W.CreditExpired, 0, lambda f: replace(f, grant=stream("grant", 1)), "books.credit", "amount_pico"),
    (W.HoldPlaced, 0, lambda f: replace(f, runtime=stream("runtime", 9)), "books.hold", "runtime"),
    (W.HoldPlaced, 0, lambda f: replace(f, until_us=f.from_us), "books.hold", "until_us"),
    (W.HoldPlaced, 0, lambda f: replace(f, amount_pico=-1), "books.hold", "until_us"),
    (W.HoldPlaced, 1, lambda f: replace(f, amount_pico=USD), "books.wallet", "amount_pico"),
    (W.HoldPlaced, 0, lambda f: replace(f, amount_pico=1), "books.wallet", "held_pico"),
    (W.HoldsRenewed, 0, lambda f: replace(f, holds=()), "books.hold", "holds"),
    (W.HoldsRenewed, 0, lambda f: replace(f, holds=f.holds + f.holds), "books.hold", "holds"),
    (W.HoldsRenewed, 0, lambda f: replace(f, node=stream("node", 7)), "books.hold", "cause"),
    (
        W.HoldsRenewed, 0,
        lambda f: replace(f, holds=(Held(f.holds[0].runtime, -1),)), "books.hold", "holds",
    ),
    (
        W.HoldsRenewed, 0,
        lambda f: replace(f, holds=(Held(stream("runtime", 9), 1),)), "books.hold", "runtime",
    ),
    (W.HoldCaptured, 0, lambda f: replace(f, amount_pico=f.amount_pico + 1), "books.hold", "amount_pico"),
    (W.HoldCaptured, 0, lambda f: replace(f, amount_pico=-1), "books.hold", "amount_pico"),
    (W.HoldCaptured, 0, lambda f: replace(f, runtime="runtime-9"), "books.hold", "runtime"),
    (W.HoldReleased, 0, lambda f: replace(f, amount_pico=f.amount_pico + 1), "books.hold", "amount_pico"),
    (W.HoldReleased, 0, lambda f: replace(f, runtime="runtime-9"), "books.hold", "runtime"),
    (W.HoldExpired, 0, lambda f: replace(f, amount_pico=1), "books.hold", "amount_pico"),
    (W.LevelReached, 0, lambda f: replace(f, percent=55), "books.wallet", "percent"),
    (W.LevelReached, 0, lambda f: replace(f, percent=0), "books.wallet", "percent"),
    (W.LevelReached, 0, lambda f: replace(f, held_pico=0), "books.wallet", "held_pico"),
    (W.HoldExpired, 0, lambda f: replace(f, decided_us=MINUTE), "books.hold", "decided_us"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "number", "change", "code", "field"), CASES)
def test_a_fact_that_contradicts_the_books_is_refused(
    kind: type[Struct], number: int, change: Change, code: str, field: str
) -> None:
    """One field of one fact at a time."""
    facts, _, orgs = told()
    changed, place = list(facts), at(kind, number)
    where, cause, fact = changed[place]
    changed[place] = (where, cause, change(fact))
    assert refused(changed, orgs) == (code, field)


def test_a_lot_is_expired_once() -> None:
    """Of nothing there is nothing to expire."""
    facts, _, orgs = told()
    where, cause, fact = facts[at(W.CreditExpired)]
    said: Any = fact
    again = (where, cause, replace(said, amount_pico=0))
    place = at(W.CreditExpired)
    assert refused([*facts[: place + 1], again], orgs) == ("books.credit", "amount_pico")


def test_a_level_is_said_once_and_when_it_is_reached() -> None:
    """Not twice after one grant, not before, and not of a wallet that was never given anything."""
    facts, paying, orgs = told()
    place = at(W.LevelReached)
    again = [*facts[: place + 1], facts[place]]
    assert refused(again, orgs) == ("books.wallet", "percent")
    said: Any = facts[place][2]
    assert said.percent == 50
    granted = at(W.CreditGranted)
    credit: Any = facts[granted][2]
    early = W.LevelReached(50, 0, credit.balance_pico, 0)
    where = wallet_stream(paying)
    assert refused([*facts[: granted + 1], (where, "cmd:1", early)], orgs) == (
        "books.wallet",
        "percent",
    )
    empty = (where, "cmd:1", W.LevelReached(50, 0, 0, 0))
    assert refused([*facts[:granted], empty], orgs) == ("books.wallet", "percent")
    assert [f.percent for _, _, f in facts if isinstance(f, W.LevelReached)][:3] == [50, 80, 100]


def without(kind: type[Struct], number: int = 0) -> list[Said]:
    place = at(kind, number)
    return [one for n, one in enumerate(told()[0]) if n != place]


@pytest.mark.parametrize("cut", [False, True])
def test_no_admission_of_a_prepaid_account_without_its_hold(cut: bool) -> None:
    """Neither followed by other entries, nor as the last one of the log."""
    facts, _, orgs = told()
    place = at(W.HoldPlaced, 0)
    left = list(facts[:place]) if cut else without(W.HoldPlaced)
    assert refused(left, orgs) == ("books.hold", "cause")


def test_holds_are_placed_with_admissions_of_prepaid_accounts_only() -> None:
    """Not without terms, not twice, not in another append, not from another account's wallet."""
    facts, _, orgs = told()
    assert refused(without(account.TermsSet), orgs)[0] == "books.hold"
    place = at(W.HoldPlaced)
    where, cause, fact = facts[place]
    assert (
        refused([*facts[: place + 1], facts[place], *facts[place + 1 :]], orgs)[0] == "books.hold"
    )
    later = [*facts[:place], (where, f"cmd:{'f' * 64}", fact), *facts[place + 1 :]]
    assert refused(later, orgs)[0] == "books.hold"
    other, org = stream("account", 5), stream("organization", 5)
    orgs = {**orgs, other: org, wallet_stream(other): org}
    opened = account.Opened(org, "USD", 2, "UTC", "x", 0)
    credit = W.CreditGranted(stream("grant", 50), "paid", USD, 0, "r", 0, USD, 0)
    foreign = [
        (other, "cmd:1", opened),
        (wallet_stream(other), "cmd:2", credit),
        *facts[:place],
        (wallet_stream(other), cause, replace(fact, balance_pico=USD)),
    ]
    assert refused(foreign, orgs) == ("books.hold", "runtime")


def test_terms_are_of_an_account_of_the_same_organization() -> None:
    """Or nobody's."""
    facts, paying, orgs = told()
    entry = (stream("account", 8), "cmd:1", account.TermsSet("prepaid", 0, 0))
    assert refused([*facts, entry], orgs) == ("books.account", "account")
    orgs = {**orgs, wallet_stream(paying): stream("organization", 8)}
    assert refused(list(facts), orgs) == ("books.org", "org")


def test_holds_are_resolved_once_after_the_end_and_with_all_charges_met() -> None:
    """Not again, not before the runtime ended, not with charges open."""
    facts, _, orgs = told()
    place = at(W.HoldReleased)
    assert refused([*facts[: place + 1], facts[place]], orgs) == ("books.hold", "runtime")
    ended = at(runtime.Stopped)
    stop, release = facts[ended], facts[place]
    early = list(facts[:ended])
    fact: Any = release[2]
    first_capture = [n for n, one in enumerate(facts) if isinstance(one[2], W.HoldCaptured)][-1]
    assert ended < first_capture < place
    amount = sum(
        one.amount_pico
        for _, _, renewed in facts[:ended]
        if isinstance(renewed, W.HoldsRenewed)
        for one in renewed.holds[-1:]
    )
    assert amount
    early.append((release[0], release[1], replace(fact, amount_pico=0)))
    assert refused(early, orgs) == ("books.hold", "runtime")
    unmet = [*facts[:ended], stop, release]
    assert refused(unmet, orgs) == ("books.hold", "runtime")
    over = at(W.HoldExpired)
    assert refused([*facts[: over + 1], facts[over]], orgs) == ("books.hold", "runtime")


def settled_late(more: int = 1) -> tuple[PrepaidHouse, Tenant, str]:
    """A hold expired, then its runtime turned out to have been used: of its charge only so much is
    there.
    """
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", USD)
    house.machine(1, "T4")
    house.prepay(us)
    house.grant(us, USD // 5, bucket="promo", expires=HOUR)
    house.grant(us, more)
    name = house.begin(us)
    house.expire(DAY)
    house.report(runtime.ReportStopped, name, MINUTE, DAY)
    house.settle(DAY + SECOND)
    return house, us, name


def test_what_no_hold_meets_is_taken_from_what_is_there_and_the_rest_is_the_providers() -> None:
    """All of it, no more than is due, and nothing is unrecovered while the wallet has it."""
    house, us, name = settled_late()
    recovered = house.history.facts[-1][2]
    assert isinstance(recovered, W.ChargeRecovered)
    charged = house.charged(name)[1]
    assert (recovered.recovered_pico, recovered.unrecovered_pico) == (1, charged - 1)
    assert house.wallet(us).balance_pico == 0
    facts, orgs = list(house.history.facts), dict(house.history.orgs)
    judge(facts, orgs)
    *before, (where, cause, _) = facts
    for got, lost, code, field in (
        (1, charged, "books.hold", "recovered_pico"),
        (0, 0, "books.hold", "recovered_pico"),
        (-1, charged + 1, "books.hold", "recovered_pico"),
        (2, charged - 2, "books.wallet", "amount_pico"),
        (0, charged, "books.hold", "unrecovered_pico"),
        (-1, 0, "books.hold", "recovered_pico"),
    ):
        said = replace(recovered, recovered_pico=got, unrecovered_pico=lost, balance_pico=1 - got)
        assert refused([*before, (where, cause, said)], orgs) == (code, field), (got, lost)
    rich, us, name = settled_late(USD)
    judge(list(rich.history.facts), dict(rich.history.orgs))
    assert rich.wallet(us).balance_pico == USD - rich.charged(name)[1]


def short_hold() -> PrepaidHouse:
    """A hold that was made too small by hand: its charges at a close exceed all credit, and are
    taken back when the runtime turns out to have ended long before.
    """
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", USD)
    machine = house.machine(1, "T4")
    house.prepay(us)
    house.grant(us, 176 * USD // 1000)
    name = house.begin(us)
    house.price("T4", 2 * USD, since=MINUTE)  # from the end of the hold that stands
    held, purse = wallet_stream(us.account), house.wallet(us)
    boottime = 2 * MINUTE
    said = house.history.attested(machine, "gpuaas.node.lease_renewed.v1", machine, boottime)
    asked = node.RenewLease((name,), boottime, said, boottime)
    lease = node.decide(asked, house.state.stock.states[machine])
    until = hold_end(boottime + LEASE_US)
    small = W.HoldsRenewed(machine, (Held(name, 5),), until, boottime, purse.balance_pico, 5)
    house.append((held, us.organization, [small]), (machine, "-", lease))
    house.next_period(us)
    house.close(us, 1, 40 * DAY)
    house.settle(40 * DAY)
    house.report(runtime.ReportStopped, name, 10 * SECOND, 40 * DAY + SECOND)
    house.settle(40 * DAY + SECOND)
    house.judged()
    return house


@pytest.mark.parametrize("named", [True, False])
def test_a_word_that_a_lease_overtakes_is_held_for_where_the_lease_names_it(*, named: bool) -> None:
    """Usable since half a minute, which is heard after a renewal at two: named there, all of it is
    met by the hold. Not named, the hold begins at the renewal, and the time before is met by what
    is available.
    """
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", USD)
    machine = house.machine(1, "T4")
    house.prepay(us)
    over = hold_end(2 * MINUTE + LEASE_US)
    house.grant(us, over * USD // HOUR + 1)
    name = house.start(us)
    house.lease(machine, 2 * MINUTE, named={name} if named else ())
    left = house.wallet(us).available_pico(2 * MINUTE)
    assert (left == 0) == named
    house.report(runtime.ReportUsable, name, MINUTE // 2, 3 * MINUTE)
    house.report(runtime.ReportStopped, name, over, 20 * MINUTE)
    house.settle(20 * MINUTE)
    house.judged()
    facts = [fact for _, _, fact in house.history.facts]
    [captured] = [fact.amount_pico for fact in facts if isinstance(fact, W.HoldCaptured)]
    recovered = [fact for fact in facts if isinstance(fact, W.ChargeRecovered)]
    assert [one.unrecovered_pico for one in recovered] == [0] * (not named)
    assert captured + sum(one.recovered_pico for one in recovered) == house.charged(name)[1]


def test_holds_end_as_the_deployments_leases_do() -> None:
    """A launch is held for as long as its first lease may last, a renewal likewise; the auditor takes
    the ends from the facts, so a change of the setting between two renewals moves nothing back.
    """
    house = PrepaidHouse()
    us = house.tenant(0)
    house.price("T4", USD)
    machine = house.machine(1, "T4")
    house.prepay(us)
    house.grant(us, USD)
    short, long = Leasing(300 * SECOND, 50, 10 * SECOND), Leasing()
    house.state.leasing = short
    name = house.begin(us)
    for at, leasing in ((2, short), (4, long), (6, short)):
        house.state.leasing = leasing
        house.lease(machine, at * MINUTE)
    house.report(runtime.ReportStopped, name, 7 * MINUTE)
    house.settle(8 * MINUTE)
    house.judged()
    facts = [fact for _, _, fact in house.history.facts]
    [placed] = [fact for fact in facts if isinstance(fact, W.HoldPlaced)]
    assert placed.until_us - placed.from_us == 300 * SECOND + short.grace_us
    leases = [one for one in facts if isinstance(one, node.LeaseRenewed)]
    renewed = [one for one in facts if isinstance(one, W.HoldsRenewed)]
    assert [one.until_us - one.renewed_us for one in leases] == [
        300 * SECOND,
        LEASE_US,
        300 * SECOND,
    ]
    assert [hold.until_us - one.until_us for hold, one in zip(renewed, leases, strict=True)] == [
        short.grace_us, long.grace_us, short.grace_us,
    ]  # fmt: skip


def test_what_is_taken_back_goes_where_it_came_from() -> None:
    """What was spent to the wallet, the rest to the provider; in that order only."""
    house = short_hold()
    facts, orgs = list(house.history.facts), dict(house.history.orgs)
    judge(facts, orgs)
    said = [fact for _, _, fact in facts if isinstance(fact, W.HoldCaptured | W.ChargeRecovered)]
    taken, lacked, back, given = said
    assert isinstance(taken, W.HoldCaptured)
    assert isinstance(back, W.HoldCaptured)
    assert isinstance(lacked, W.ChargeRecovered)
    assert isinstance(given, W.ChargeRecovered)
    [first, then] = [one for one in house.rows["rated_interval"] if one.sign > 0]
    assert (first.end_us, then.start_us) == (hold_end(LEASE_US), hold_end(LEASE_US))
    assert (taken.amount_pico, given.recovered_pico) == (5, 0)
    assert lacked.recovered_pico + 5 == -back.amount_pico == 176 * USD // 1000
    assert lacked.unrecovered_pico > -given.unrecovered_pico > 0
    place = next(n for n, (_, _, fact) in enumerate(facts) if fact is back)
    where, cause, _ = facts[place]
    early = replace(given, balance_pico=0, held_pico=0)
    assert refused([*facts[:place], (where, cause, early)], orgs) == (
        "books.hold",
        "unrecovered_pico",
    )
    balance, held = house.books.balances(house.accounts[0]), 0
    assert balance["hold"].pico == held
    assert balance["wallet"].pico == -176 * USD // 1000 + house.charged(stream("runtime", 1))[1] + (
        balance["provider:unrecovered"].pico * -1
    )


def test_nothing_is_renewed_after_its_runtime_has_ended() -> None:
    """Though its hold is not resolved yet."""
    facts, _, orgs = told()
    place = at(runtime.Stopped)
    lease = at(W.HoldsRenewed, 3)
    ended = facts[place][0]
    where, cause, renewed = facts[lease]
    said: Any = renewed
    late = replace(said, holds=(Held(ended, 0),))
    assert refused([*facts[: place + 1], (where, cause, late)], orgs) == ("books.hold", "runtime")


def test_a_hold_comes_before_what_is_available() -> None:
    """A charge that its hold meets is not taken from elsewhere; nor is there one without a hold."""
    facts, paying, orgs = told()
    place = at(W.HoldCaptured)
    where, cause, captured = facts[place]
    said: Any = captured
    instead = W.ChargeRecovered(said.runtime, 1, 0, 0, said.balance_pico, said.held_pico)
    assert refused([*facts[:place], (where, cause, instead)], orgs) == (
        "books.hold",
        "recovered_pico",
    )
    foreign = replace(instead, runtime="runtime-9")
    assert refused([*facts, (where, cause, foreign)], orgs) == ("books.hold", "recovered_pico")
    assert wallet_stream(paying) == where
