"""Accounts over their limit and invoices that are overdue: told once, obeyed, and over when paid."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from domain import account, credit, dunning, invoice, runtime
from domain.credit import Credit, CreditSet, Dun, Dunned, DunningEnded, Observe, SetCredit
from domain.decider import fold
from domain.errors import DomainError
from tests.museum.house import DAY, HOUR, USD, House, Tenant
from tests.property.books_history import stream
from tests.property.books_judged import Said, judge, refused
from tests.property.tax_history import PARTY, TaxWorld

type Change = Callable[[Any], Struct]

TERMS = SetCredit(USD, 14, (3, 7), 10, 20, 0)
MONTH = 31 * DAY
DUE = MONTH + 14 * DAY


def says(made: House, us: Tenant, command: credit.Command) -> list[Any]:
    """What the account's decider makes of it, appended."""
    facts = account.decide(command, fold(account.DECIDER, made.facts(us.account)))
    if facts:
        made.append((us.account, us.organization, facts))
    return list(facts)


@cache
def told() -> tuple[tuple[Said, ...], dict[str, str], str, Tenant]:
    """Over its limit and within it again; an invoice that is dunned to the end and then paid."""
    made = House()
    us = made.tenant(0)
    made.price("T4", USD)
    made.machine(1, "T4")
    says(made, us, TERMS)
    first = made.begin(us)
    made.report(runtime.ReportStopped, first, 2 * HOUR)
    assert says(made, us, Observe(USD, 2 * HOUR)) == []
    [over] = says(made, us, Observe(2 * USD, 2 * HOUR))
    assert says(made, us, Observe(3 * USD, 2 * HOUR)) == []
    with pytest.raises(DomainError, match=r"account\.over_limit") as caught:
        made.start(us, at=2 * HOUR)
    assert caught.value.facts == {
        "limit_pico": USD, "used_pico": 2 * USD, "fits_pico": 0, "pay_pico": USD,
    }  # fmt: skip
    says(made, us, replace(TERMS, limit_pico=1000 * USD, now_us=2 * HOUR))
    [within] = says(made, us, Observe(2 * USD, 2 * HOUR))
    assert (type(over), type(within)) == (credit.OverLimit, credit.WithinLimit)
    runs = made.begin(us, at=2 * HOUR)
    draft = made.month(us, 1, MONTH)
    [bill] = [where for where, _, fact in made.history.facts if isinstance(fact, invoice.Finalized)]
    made.append((bill, us.organization, [invoice.Issued(MONTH)]))
    due = draft.total_minor
    steps = []
    for day in (-1, 0, 1, 3, 8, 10):
        steps += says(made, us, Dun(bill, DUE, due, DUE + day * DAY))
    assert [(one.step, one.days) for one in steps] == [
        ("due", 0), ("reminded", 3), ("reminded", 7), ("suspended", 10),
    ]  # fmt: skip
    with pytest.raises(DomainError, match=r"account\.suspended") as caught:
        made.start(us, at=DUE + 10 * DAY)
    assert caught.value.facts == {"about": bill, "reason": "account.overdue"}
    assert dunning.due_stops(made.state) == []
    assert dunning.stop(made.state, runs, DUE) == ()
    [stopped] = says(made, us, Dun(bill, DUE, due, DUE + 21 * DAY))
    assert stopped.step == "stopped"
    assert dunning.due_stops(made.state) == [runs]
    made.emitted(dunning.stop(made.state, runs, DUE + 21 * DAY))
    assert dunning.due_stops(made.state) == []
    assert made.facts(runs)[-1] == runtime.Stopping("account.overdue", DUE + 21 * DAY)
    assert dunning.stop(made.state, first, DUE) == ()
    made.report(runtime.ReportStopped, runs, MONTH + DAY)
    made.append((bill, us.organization, [invoice.Paid(due, 0, PARTY, 0, DUE + 22 * DAY)]))
    assert says(made, us, Dun(bill, DUE, 0, DUE + 22 * DAY)) == [DunningEnded(bill, DUE + 22 * DAY)]
    assert says(made, us, Dun(bill, DUE, 0, DUE + 23 * DAY)) == []
    made.start(us, at=DUE + 22 * DAY)
    made.judged()
    return tuple(made.history.facts), dict(made.history.orgs), bill, us


def at(kind: type[Struct], number: int = 0) -> int:
    return [n for n, (_, _, fact) in enumerate(told()[0]) if isinstance(fact, kind)][number]


def test_the_whole_course_is_believed() -> None:
    """Else every refusal below would prove nothing."""
    facts = [fact for _, _, fact in told()[0]]
    assert sum(isinstance(fact, Dunned) for fact in facts) == 5


L, D = "books.limit", "books.dunning"
CASES: list[tuple[type[Struct], int, Change, str, str]] = [
    (CreditSet, 0, lambda f: replace(f, limit_pico=-1), L, "limit_pico"),
    (CreditSet, 0, lambda f: replace(f, due_days=-1), L, "due_days"),
    (CreditSet, 0, lambda f: replace(f, remind_days=(0, 3)), L, "remind_days"),
    (CreditSet, 0, lambda f: replace(f, suspend_days=-1, stop_days=0), L, "suspend_days"),
    (CreditSet, 0, lambda f: replace(f, stop_days=9), L, "stop_days"),
    (CreditSet, 0, lambda f: replace(f, suspend_days=0), L, "stop_days"),
    (credit.OverLimit, 0, lambda f: replace(f, limit_pico=USD + 1), L, "limit_pico"),
    (credit.OverLimit, 0, lambda f: replace(f, used_pico=USD), L, "used_pico"),
    (credit.WithinLimit, 0, lambda f: replace(f, limit_pico=USD), L, "limit_pico"),
    (credit.WithinLimit, 0, lambda f: replace(f, used_pico=1001 * USD), L, "used_pico"),
    (Dunned, 0, lambda f: replace(f, invoice="invoice-9"), D, "invoice"),
    (Dunned, 0, lambda f: replace(f, step="late"), D, "step"),
    (Dunned, 0, lambda f: replace(f, days=3, step="reminded"), D, "step"),
    (Dunned, 1, lambda f: replace(f, days=0, step="due"), D, "step"),
    (Dunned, 0, lambda f: replace(f, due_us=f.due_us - 1), D, "due_us"),
    (Dunned, 0, lambda f: replace(f, due_minor=f.due_minor - 1), D, "due_minor"),
    (Dunned, 0, lambda f: replace(f, decided_us=f.due_us - 1), D, "decided_us"),
    (Dunned, 3, lambda f: replace(f, decided_us=f.due_us + 10 * DAY - 1), D, "decided_us"),
    (Dunned, 4, lambda f: replace(f, step="late"), D, "step"),
    (Dunned, 4, lambda f: replace(f, step="suspended", days=10), D, "step"),
    (DunningEnded, 0, lambda f: replace(f, invoice="invoice-9"), D, "invoice"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "number", "change", "code", "field"), CASES)
def test_a_fact_that_does_not_follow_is_refused(
    kind: type[Struct], number: int, change: Change, code: str, field: str
) -> None:
    """One fact at a time."""
    facts, orgs, *_ = told()
    changed, place = list(facts), at(kind, number)
    where, cause, fact = changed[place]
    changed[place] = (where, cause, change(fact))
    assert refused(changed, orgs) == (code, field)


def test_what_stands_forbids_what_begins() -> None:
    """Without the word that ends it, each of the two launches that it allowed is refused; what is
    told of a limit is told once; what stops a runtime stands.
    """
    facts, orgs, bill, us = told()
    for kind, code in ((credit.WithinLimit, "books.limit"), (DunningEnded, "books.suspended")):
        place = at(kind)
        assert refused([*facts[:place], *facts[place + 1 :]], orgs) == (code, "account")
    place = at(credit.OverLimit)
    assert refused([*facts[: place + 1], facts[place]], orgs) == ("books.limit", "used_pico")
    place = at(credit.WithinLimit)
    assert refused([*facts[: place + 1], facts[place]], orgs) == ("books.limit", "used_pico")
    place = at(DunningEnded)
    assert refused([*facts[: place + 1], facts[place]], orgs) == ("books.dunning", "invoice")
    place = at(Dunned, 4)
    assert refused([*facts[:place], *facts[place + 1 :]], orgs) == ("books.dunning", "reason")
    only = [one for one in facts if not isinstance(one[2], CreditSet)]
    assert refused(only, orgs) == ("books.limit", "limit_pico")
    idle = account.TermsSet("postpaid", 0, 0)
    of_terms = CreditSet | credit.OverLimit | credit.WithinLimit
    bare: list[Said] = [
        (where, cause, idle if isinstance(fact, of_terms) else fact) for where, cause, fact in facts
    ]
    assert refused(bare, orgs) == ("books.dunning", "invoice")
    place = at(invoice.Issued)
    assert refused([*facts[:place], *facts[place + 1 :]], orgs) == ("books.dunning", "invoice")
    other, org = stream("account", 5), stream("organization", 5)
    foreign: list[Said] = [
        (other, "cmd:1", account.Opened(org, "USD", 2, "UTC", "x", 0)),
        (other, "cmd:2", facts[at(CreditSet)][2]),
        (other, "cmd:3", facts[at(Dunned)][2]),
    ]
    upto = list(facts[: at(Dunned)])
    assert refused([*upto, *foreign], {**orgs, other: org}) == ("books.dunning", "invoice")
    entry = (stream("account", 8), "cmd:1", facts[at(CreditSet)][2])
    assert refused([*facts, entry], orgs) == ("books.account", "account")
    assert (bill, us.account) == (facts[at(Dunned)][2].invoice, facts[at(Dunned)][0])  # type: ignore[attr-defined]


def test_a_sellers_invoice_is_due_by_the_sellers_days() -> None:
    """And not by the account's."""
    for days, verdict in ((14, None), (5, ("books.dunning", "due_us"))):
        world = TaxWorld()
        world.taxed()
        world.use(0, HOUR)
        bill = world.invoice()
        world.catch_up()
        due = world.books.balances(world.owner)["receivable"].pico // 10**10
        world.history.add(bill, invoice.Issued(0))
        world.history.add(world.owner, CreditSet(0, 5, (), 0, 0, 0))
        when = days * DAY
        world.history.add(world.owner, Dunned(bill, "due", 0, when, due, when))
        if verdict is not None:
            assert refused(world.history.facts, world.history.orgs) == verdict
            continue
        judge(world.history.facts, world.history.orgs)


def test_terms_that_cannot_be_are_refused_and_the_same_again_is_nothing() -> None:
    """Negative or endless days, reminders out of order, a stop before or without a suspension."""
    for terms in (
        replace(TERMS, limit_pico=-1), replace(TERMS, due_days=-1),
        replace(TERMS, remind_days=(3, 3)), replace(TERMS, remind_days=(7, 3)),
        replace(TERMS, remind_days=(0,)), replace(TERMS, stop_days=9),
        replace(TERMS, suspend_days=0), replace(TERMS, stop_days=3651),
        replace(TERMS, remind_days=tuple(range(1, 14))), replace(TERMS, limit_pico=10**31),
    ):  # fmt: skip
        with pytest.raises(DomainError, match=r"account\.credit_invalid"):
            credit.decide(terms, Credit())
    [fact] = credit.decide(TERMS, Credit())
    state = credit.evolve(Credit(), fact)
    assert credit.decide(replace(TERMS, now_us=9), state) == []
    none = credit.evolve(state, CreditSet(0, 0, (), 0, 0, 1))
    assert credit.decide(Observe(10**20, 2), none) == []
    assert credit.decide(Dun("invoice-1", 0, 5, 1), Credit()) == []


def test_a_limit_that_is_lifted_is_not_exceeded_any_more() -> None:
    """Whatever was used; and what a payment took back suspended ends with its payment."""
    state = Credit(terms=CreditSet(5, 0, (), 0, 0, 0))
    [over] = credit.decide(Observe(6, 1), state)
    state = credit.evolve(credit.evolve(state, over), CreditSet(0, 0, (), 0, 0, 2))
    assert credit.decide(Observe(10**9, 3), state) == [credit.WithinLimit(0, 10**9, 3)]
    held = Credit(suspended=(credit.Suspended("invoice-1", "chargeback", 1),))
    assert credit.decide(Dun("invoice-1", 0, 0, 9), held) == [
        credit.Resumed("invoice-1", "invoice.paid", 9)
    ]
