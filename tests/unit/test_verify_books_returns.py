"""Payments that go back, accounts that are suspended for it, and money put aside: by both books."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from domain import account, credit, funding, invoice, runtime, suspense, volume, wallet
from domain import wallet_facts as W  # noqa: N812 - as the tables of cases of wallets
from domain.errors import DomainError
from domain.words import Private
from gpuaas_verify.books import Books
from tests.museum.house import DAY, MINUTE, NAME, SECOND, USD, Tenant
from tests.property.books_history import History, stream
from tests.property.books_judged import Said, judge, refused
from tests.property.tax_history import PARTY, TaxWorld
from tests.wallet_world import PrepaidHouse, wallet_stream

type Change = Callable[[Any], Struct]

TOLD = Private("c" * 64)


CENT = USD // 100


def house() -> tuple[PrepaidHouse, Tenant, str]:
    """A prepaid tenant with 25 cents paid in three payments, one of which ends, and one given; all
    but 8.5 of them are spent.
    """
    made = PrepaidHouse()
    us = made.tenant(0)
    made.price("T4", USD)
    made.machine(1, "T4", gpus=2)
    made.prepay(us)
    made.grant(us, 10 * CENT, reference="p1")
    made.grant(us, 10 * CENT, reference="p2", expires=DAY)
    made.grant(us, 5 * CENT, reference="p3")
    made.grant(us, CENT, reference="gift", bucket="promo")
    name = made.begin(us)
    made.report(runtime.ReportStopped, name, 50 * MINUTE)
    made.settle(50 * MINUTE + SECOND)
    return made, us, name


@cache
def told() -> tuple[tuple[Said, ...], dict[str, str]]:
    """Charged back after it was spent, met from two later payments, one of them put aside before,
    refunded; other money that was put aside goes back.
    """
    made, us, _ = house()
    made.gives_back(us, "p2", "c1", at=DAY // 2)
    made.gives_back(us, "p1", "c2", pico=5 * CENT, at=DAY // 2)
    for number in (1, 2):
        made.puts_aside(number, 2 * CENT)
    made.grant(us, 2 * CENT, aside=stream("suspense", 1), at=DAY)
    made.expire(DAY)
    made.grant(us, USD, reference="p5", at=DAY)
    made.expire(DAY + SECOND)
    made.gives_back(us, "p5", "r1", pico=10 * CENT, taken=False, at=DAY + SECOND)
    made.append((stream("suspense", 2), "-", [suspense.Resolved("returned", "", DAY)]))
    made.start(us, at=DAY + SECOND)
    made.judged()
    return tuple(made.history.facts), dict(made.history.orgs)


def at(kind: type[Struct], number: int = 0) -> int:
    return [n for n, (_, _, fact) in enumerate(told()[0]) if isinstance(fact, kind)][number]


def fact_of(kind: type[Struct], number: int = 0) -> Any:
    return told()[0][at(kind, number)][2]


def test_what_goes_back_is_what_is_there_and_the_rest_is_in_arrears() -> None:
    """Never below zero; later payments meet it first, and then the account goes on; both books
    post the same.
    """
    facts, orgs = told()
    first, second = fact_of(W.CreditChargedBack), fact_of(W.CreditChargedBack, 1)
    left = 26 * CENT - 175_444_444_444
    assert (first.taken_pico, first.balance_pico) == (left, 0)
    assert (second.amount_pico, second.taken_pico) == (5 * CENT, 0)
    arrears = 15 * CENT - left
    met = [fact.amount_pico for _, _, fact in facts if isinstance(fact, W.ArrearsMet)]
    assert met == [2 * CENT, arrears - 2 * CENT]
    resumed = [fact.about for _, _, fact in facts if isinstance(fact, credit.Resumed)]
    assert resumed == [first.grant, second.grant]
    judge(list(facts), orgs)


CASES: list[tuple[type[Struct], int, Change, str, str]] = [
    (W.CreditChargedBack, 0, lambda f: replace(f, amount_pico=10 * CENT + 1), "books.credit", "amount_pico"),
    (W.CreditChargedBack, 0, lambda f: replace(f, amount_pico=0), "books.credit", "amount_pico"),
    (W.CreditChargedBack, 0, lambda f: replace(f, taken_pico=f.taken_pico - 1), "books.credit", "taken_pico"),
    (W.CreditChargedBack, 0, lambda f: replace(f, taken_pico=f.taken_pico + 1), "books.credit", "taken_pico"),
    (W.CreditChargedBack, 0, lambda f: replace(f, grant=stream("grant", 4)), "books.credit", "grant"),
    (W.CreditChargedBack, 0, lambda f: replace(f, grant="grant-9"), "books.credit", "grant"),
    (W.CreditChargedBack, 1, lambda f: replace(f, reference="c1"), "books.credit", "reference"),
    (W.CreditChargedBack, 1, lambda f: replace(f, grant=stream("grant", 2)), "books.credit", "amount_pico"),
    (W.CreditChargedBack, 0, lambda f: replace(f, balance_pico=1), "books.wallet", "balance_pico"),
    (W.ArrearsMet, 0, lambda f: replace(f, amount_pico=f.amount_pico - 1), "books.credit", "amount_pico"),
    (W.ArrearsMet, 1, lambda f: replace(f, amount_pico=f.amount_pico - 1), "books.credit", "amount_pico"),
    (W.ArrearsMet, 1, lambda f: replace(f, amount_pico=f.amount_pico + 1), "books.credit", "amount_pico"),
    (W.ArrearsMet, 0, lambda f: replace(f, held_pico=1), "books.wallet", "held_pico"),
    (W.CreditRefunded, 0, lambda f: replace(f, amount_pico=USD), "books.credit", "amount_pico"),
    (W.CreditRefunded, 0, lambda f: replace(f, amount_pico=0), "books.credit", "amount_pico"),
    (W.CreditRefunded, 0, lambda f: replace(f, grant=stream("grant", 2)), "books.credit", "amount_pico"),
    (W.CreditRefunded, 0, lambda f: replace(f, grant=stream("grant", 4)), "books.credit", "grant"),
    (W.CreditRefunded, 0, lambda f: replace(f, reference="c1"), "books.credit", "reference"),
    (W.CreditRefunded, 0, lambda f: replace(f, balance_pico=1), "books.wallet", "balance_pico"),
    (credit.Suspended, 0, lambda f: replace(f, about="grant-9"), "books.suspended", "cause"),
    (credit.Suspended, 1, lambda f: replace(f, about=stream("grant", 2)), "books.suspended", "about"),
    (credit.Resumed, 0, lambda f: replace(f, about="grant-9"), "books.suspended", "about"),
    (suspense.Received, 1, lambda f: replace(f, line="line-1"), "books.suspense", "line"),
    (suspense.Received, 0, lambda f: replace(f, amount_pico=0), "books.suspense", "line"),
    (suspense.Received, 0, lambda f: replace(f, amount_pico=CENT), "books.suspense", "about"),
    (suspense.Received, 0, lambda f: replace(f, currency="EUR"), "books.suspense", "about"),
    (suspense.Resolved, 0, lambda f: replace(f, about="grant-9"), "books.suspense", "about"),
    (suspense.Resolved, 0, lambda f: replace(f, how="payment"), "books.suspense", "about"),
    (suspense.Resolved, 1, lambda f: replace(f, how="kept"), "books.suspense", "how"),
    (suspense.Resolved, 1, lambda f: replace(f, about="grant-1"), "books.suspense", "how"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "number", "change", "code", "field"), CASES)
def test_a_fact_that_contradicts_the_books_is_refused(
    kind: type[Struct], number: int, change: Change, code: str, field: str
) -> None:
    """One field of one fact at a time."""
    facts, orgs = told()
    changed, place = list(facts), at(kind, number)
    where, cause, fact = changed[place]
    changed[place] = (where, cause, change(fact))
    assert refused(changed, orgs) == (code, field)


def test_nothing_begins_while_an_account_is_suspended() -> None:
    """Neither refused by the platform alone nor believed by the auditor, until the last of what it
    is suspended for is over; what runs goes on.
    """
    made, us, _ = house()
    made.grant(us, USD)
    name = made.begin(us)
    made.gives_back(us, "p1", "c1")
    made.append((us.account, us.organization, [credit.Suspended(us.account, "asked", 1)]))
    with pytest.raises(DomainError, match=r"account\.suspended") as caught:
        made.start(us)
    assert caught.value.facts == {"about": stream("grant", 1), "reason": "chargeback"}
    made.report(runtime.ReportStopped, name, MINUTE)
    made.settle(MINUTE)
    for one in (stream("grant", 1), us.account):
        with pytest.raises(DomainError, match=r"account\.suspended"):
            made.start(us)
        made.append((us.account, us.organization, [credit.Resumed(one, "looked", 2)]))
    made.start(us)
    made.judged()
    facts, orgs = list(made.history.facts), dict(made.history.orgs)
    [last] = [
        n for n, (_, _, fact) in enumerate(facts) if fact == credit.Resumed(us.account, "looked", 2)
    ]
    assert refused([*facts[:last], *facts[last + 1 :]], orgs) == ("books.suspended", "account")


def test_a_suspended_account_gets_no_volume_and_no_larger_one() -> None:
    """Asked for, or grown; one of another account is none of its matter."""
    made, us, _ = house()
    other = made.tenant(5)
    kept = [(of, stream("volume", number)) for number, of in enumerate((us, other))]
    asked = {
        of.account: volume.Created(
            of.project, of.organization, of.account, stream("node", 1), NAME, 64, 0
        )
        for of in (us, other)
    }
    for of, name in kept:
        made.append((name, of.organization, [asked[of.account]]))
    facts, orgs = list(made.history.facts), dict(made.history.orgs)
    facts.append((us.account, "cmd:1", credit.Suspended(us.account, "asked", 1)))
    grow = volume.GrowRequested(128, 2)
    for of, name in kept:
        more = {**orgs, stream("volume", 7): of.organization}
        new: list[Said] = [(stream("volume", 7), "cmd:2", asked[of.account]), (name, "cmd:2", grow)]
        for one, field in zip(new, ("account", "stream"), strict=True):
            if of is us:
                assert refused([*facts, one], more) == ("books.suspended", field)
            else:
                judge([*facts, one], more)
    assert refused(facts[-1:], orgs) == ("books.account", "account")


def test_nothing_in_arrears_is_not_met() -> None:
    """Of nothing there is nothing to meet."""
    made, us, _ = house()
    facts, orgs = list(made.history.facts), dict(made.history.orgs)
    purse = made.wallet(us)
    said = W.ArrearsMet(0, 0, purse.balance_pico, purse.held_pico)
    assert refused([*facts, (wallet_stream(us.account), "cmd:1", said)], orgs) == (
        *("books.credit", "amount_pico"),
    )


def test_what_is_in_arrears_comes_before_a_refund_and_no_reference_twice() -> None:
    """By the platform; the auditor likewise refuses what another platform would have said."""
    made, us, _ = house()
    made.gives_back(us, "p2", "c1")
    assert made.gives_back(us, "p2", "c1") == ()
    for what, payment, reference, pico in (
        ("wallet.not_returnable", "p2", "c9", 1), ("wallet.reference_reused", "p2", "c1", 1),
        ("wallet.reference_reused", "p1", "c1", 0), ("wallet.payment_unknown", "gift", "c9", 0),
        ("wallet.payment_unknown", "p9", "c9", 0), ("wallet.not_returnable", "p1", "c9", 11 * CENT),
    ):  # fmt: skip
        with pytest.raises(DomainError) as caught:
            made.gives_back(us, payment, reference, pico=pico)
        assert caught.value.code == what
    made.grant(us, USD, reference="p5")
    with pytest.raises(DomainError, match=r"wallet\.arrears"):
        made.gives_back(us, "p5", "r1", taken=False)
    facts, orgs = list(made.history.facts), dict(made.history.orgs)
    said = W.CreditRefunded(stream("grant", 5), CENT, "r1", DAY, USD - CENT, 0)
    assert refused([*facts, (wallet_stream(us.account), "cmd:1", said)], orgs) == (
        *("books.credit", "grant"),
    )
    made.expire(DAY)
    with pytest.raises(DomainError, match=r"wallet\.not_returnable"):
        made.gives_back(us, "p5", "r1", pico=USD, taken=False, at=DAY)
    made.gives_back(us, "p5", "r1", taken=False, at=DAY)
    assert made.wallet(us).balance_pico == 0
    made.judged()


def test_what_is_held_stays_held_and_what_comes_back_of_it_meets_arrears() -> None:
    """A chargeback stops nothing that was promised to run; undone, the wallet is as before."""
    made, us, _ = house()
    made.grant(us, 20 * CENT, reference="p5")
    name = made.begin(us)
    held = made.wallet(us).held_pico
    assert held > 17 * CENT
    before = (dict(made.wallet(us).lots), made.wallet(us).arrears_pico)
    command = wallet.GiveBack("p5", 0, "c1", MINUTE)
    emits = funding.give_back(made.state, us.organization, us.account, command, taken=True)
    made.state.undo(emits)
    assert (dict(made.wallet(us).lots), made.wallet(us).arrears_pico) == before
    made.state.purses.standing(us.account)
    made.gives_back(us, "p5", "c1", at=MINUTE)
    assert (made.wallet(us).held_pico, made.wallet(us).balance_pico) == (held, held)
    made.report(runtime.ReportStopped, name, 2 * MINUTE)
    made.settle(2 * MINUTE)
    back, owing = made.wallet(us).available_pico(2 * MINUTE), made.wallet(us).arrears_pico
    assert back > owing > 0
    made.expire(2 * MINUTE + SECOND)
    assert made.wallet(us).available_pico(2 * MINUTE) == back - owing
    assert made.wallet(us).arrears_pico == 0
    made.judged()


def due_of(world: TaxWorld) -> int:
    """What is receivable, in minor units, by the platform's books."""
    world.catch_up()
    return world.books.balances(world.owner)["receivable"].pico // 10**10


def paid() -> tuple[TaxWorld, str, int]:
    """An invoice that is paid in two parts."""
    world = TaxWorld()
    world.taxed()
    world.use(0, 2 * 3_600_000_000)
    bill = world.invoice()
    total = due_of(world)
    world.pay(bill, 100, total - 100)
    world.pay(bill, total - 100, 0)
    return world, bill, total


def returned(world: TaxWorld, bill: str, minor: int, due: int, *, suspends: bool = True) -> None:
    cause = f"cmd:{len(world.history.facts):064x}"
    world.history.add(bill, invoice.PaymentReturned(minor, due, PARTY, 0, 0), cause)
    if suspends:
        world.history.add(world.owner, credit.Suspended(bill, "chargeback", 0), cause)


def agreed(world: TaxWorld) -> dict[str, int]:
    """Balances, by both books."""
    world.catch_up()
    mine = {name: one.pico for name, one in world.books.balances(world.owner).items()}
    with Books(None) as auditor:
        world.history.feed(auditor)
        for table in ("rated_interval", "transfer"):
            list(auditor.expected_rows(table))
        assert {name: pico for name, (_, pico) in auditor.balances(world.owner).items()} == mine
        auditor.finish()
    return mine


def wrong(world: TaxWorld) -> tuple[str, str | None]:
    return refused(world.history.facts, world.history.orgs)


def test_a_payment_that_is_taken_back_is_due_again() -> None:
    """Up to what was paid, in parts; it is receivable, and may be paid again."""
    world, bill, total = paid()
    returned(world, bill, 40, 40)
    assert agreed(world)["receivable"] == 40 * 10**10
    returned(world, bill, total - 40, total, suspends=False)
    world.pay(bill, total, 0)
    balances = agreed(world)
    assert (balances["receivable"], balances["cash"]) == (0, total * 10**10)
    for minor, due, field in (
        (total + 1, total + 1, "amount_minor"), (0, 0, "amount_minor"), (-1, -1, "amount_minor"),
        (1, 0, "due_minor"),
    ):  # fmt: skip
        world, bill, _ = paid()
        returned(world, bill, minor, due)
        assert wrong(world) == ("books.paid", field)
    world, bill, total = paid()
    returned(world, bill, 1, 1, suspends=False)
    world.pay(bill, 1, 0)
    assert wrong(world) == ("books.suspended", "cause")
    history = History()
    history.add(stream("invoice", 9), invoice.Refunded(1, 1, PARTY, 0, 0))
    assert refused(history.facts, {}) == ("books.paid", "stream")


def test_only_what_was_paid_too_much_is_given_back() -> None:
    """What credit notes have taken after it was paid, and no more than was paid."""
    for minor, due, verdict in (
        (119, 0, None), (100, -19, None), (120, 1, "amount_minor"), (0, -119, "amount_minor"),
        (119, 1, "due_minor"),
    ):  # fmt: skip
        world, bill, total = paid()
        world.credit(bill, [(0, 100)])
        world.history.add(bill, invoice.Refunded(minor, due, PARTY, 0, 0))
        if verdict is not None:
            assert wrong(world) == ("books.paid", verdict)
        else:
            assert agreed(world)["cash"] == (total - minor) * 10**10
    world, bill, total = paid()
    returned(world, bill, total - 10, total - 10)
    world.credit(bill)
    world.history.add(bill, invoice.Refunded(11, 1, PARTY, 0, 0))
    assert wrong(world) == ("books.paid", "amount_minor")
    state: Any = invoice.DECIDER.initial
    for where, _, fact in world.history.facts[:-1]:
        state = invoice.evolve(state, fact) if where == bill else state  # type: ignore[arg-type]
    with pytest.raises(DomainError, match=r"invoice\.not_overpaid"):
        invoice.decide(invoice.Refund(11, PARTY, 0, 0), state)
    [fact] = invoice.decide(invoice.Refund(10, PARTY, 0, 0), state)
    assert fact == invoice.Refunded(10, 0, PARTY, 0, 0)
    with pytest.raises(DomainError, match=r"invoice\.not_paid"):
        invoice.decide(invoice.ReturnPayment(11, PARTY, 0, 0), state)


def test_money_put_aside_may_pay_an_invoice() -> None:
    """In the append of that payment, of its amount; nothing waits twice."""
    for minor, about, verdict in (
        (100, "", None), (99, "", ("books.suspense", "about")),
        (100, "invoice-9", ("books.suspense", "about")),
    ):  # fmt: skip
        world = TaxWorld()
        world.taxed()
        world.use(0, 2 * 3_600_000_000)
        bill, aside = world.invoice(), stream("suspense", 1)
        world.history.add(aside, suspense.Received("EUR", 10**12, "l", TOLD, "names.nobody", 0))
        cause = f"cmd:{len(world.history.facts):064x}"
        due = due_of(world)
        world.history.add(bill, invoice.Paid(minor, due - minor, PARTY, 0, 0), cause)
        world.history.add(aside, suspense.Resolved("payment", about or bill, 0), cause)
        if verdict is not None:
            assert wrong(world) == verdict
            continue
        assert agreed(world)["cash"] == 10**12
        world.history.add(aside, suspense.Resolved("returned", "", 0))
        assert wrong(world) == ("books.suspense", "stream")


def test_an_account_is_suspended_for_a_thing_once() -> None:
    """By its decider: a repeat is none, and it is resumed for what it was suspended for."""
    opened = account.Opened("organization-1", "USD", 2, "UTC", "x", 0)
    state: Any = account.evolve(account.Missing(), opened)
    [first] = account.decide(credit.Suspend("invoice-1", "late", 1), state)
    state = account.evolve(state, first)
    assert account.decide(credit.Suspend("invoice-1", "late", 2), state) == []
    with pytest.raises(DomainError, match=r"account\.not_suspended"):
        account.decide(credit.Resume("invoice-2", "x", 3), state)
    state = account.evolve(state, credit.Suspended("invoice-2", "late", 2))
    both = account.decide(credit.Resume("", "paid", 4), state)
    assert [one.about for one in both] == ["invoice-1", "invoice-2"]  # type: ignore[union-attr]
    with pytest.raises(DomainError, match=r"account\.unknown"):
        account.decide(credit.Suspend("a", "b", 1), account.Missing())


def test_suspense_is_received_once_a_line_and_resolved_once() -> None:
    """A repeat is none; another amount under the same number is refused."""
    receive = suspense.Receive("USD", 5, "l1", TOLD, "names.nobody", 1)
    [fact] = suspense.decide(receive, suspense.Missing())
    state = suspense.evolve(suspense.Missing(), fact)
    assert suspense.decide(receive, state) == []
    for command, where, code in (
        (replace(receive, amount_pico=6), state, "suspense.line_reused"),
        (replace(receive, amount_pico=0), suspense.Missing(), "suspense.invalid"),
        (suspense.Resolve("returned", "", 2), suspense.Missing(), "suspense.unknown"),
    ):
        with pytest.raises(DomainError) as caught:
            suspense.decide(command, where)
        assert caught.value.code == code
    [done] = suspense.decide(suspense.Resolve("returned", "", 2), state)
    over = suspense.evolve(state, done)
    assert suspense.decide(suspense.Resolve("returned", "", 3), over) == []
    with pytest.raises(DomainError, match=r"suspense\.resolved"):
        suspense.decide(suspense.Resolve("credit", "grant-1", 3), over)
