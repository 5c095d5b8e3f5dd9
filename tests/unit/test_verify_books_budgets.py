"""Budgets as the auditor reads them: each refusal has its history here."""

import pytest
from msgspec import Struct
from msgspec.structs import replace

from domain import budget as f
from domain import project, quota, runtime, volume
from domain.words import Private
from tests.property.books_history import ORG, History, stream
from tests.unit.test_verify_books import MONTH, simple
from tests.unit.test_verify_books_refusals import refused
from tests.unit.test_verify_books_upkeep import holds

BUDGETS = f.budget_stream(ORG)
ACCOUNT, OTHER = stream("account", 1), stream("account", 2)
DEPARTMENT, PROJECT = stream("department", 1), stream("project", 1)
FIRST, SECOND = stream("period", 1), stream("period", 2)
NAME = Private("0" * 64)


def put(amount: int = 100, mode: str = f.REFUSE, scope: str = PROJECT) -> f.BudgetSet:
    return f.BudgetSet(scope, ACCOUNT, "USD", amount, mode, 0)


def told(percent: int, spent: int = 100, *, scope: str = PROJECT, at: int = 5) -> f.Reached:
    return f.Reached(scope, FIRST, MONTH, percent, spent, at)


def coming(pico: int = 101) -> f.Forecast:
    return f.Forecast(PROJECT, FIRST, MONTH, pico, 5)


def history(*facts: Struct) -> History:
    made = simple()[0]
    made.account(2)
    made.add(PROJECT, project.Created(ORG, DEPARTMENT, ACCOUNT, NAME, 0))
    for fact in facts:
        made.add(BUDGETS, fact)
    return made


SPENT = (put(), told(50), told(80), told(100))


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ((put(scope="account-1"),), "scope"),
        ((put(scope=stream("organization", 9)),), "scope"),
        ((put(scope=stream("project", 9)),), "scope"),
        ((replace(put(), currency="EUR"),), "currency"),
        ((put(0),), "amount_pico"),
        ((put(10**38),), "amount_pico"),
        ((put(mode="hard"),), "mode"),
        ((put(), replace(put(), account=OTHER)), "account"),
        ((f.Cleared(PROJECT, 5),), "scope"),
        ((put(), f.Cleared(PROJECT, 5), told(50)), "scope"),
        ((told(50),), "scope"),
        ((put(), told(50, 49)), "spent_pico"),
        ((put(), told(80)), "percent"),
        ((put(), told(60)), "percent"),
        ((put(), told(50), told(60)), "percent"),
        ((put(), told(50), told(50)), "percent"),
        ((*SPENT, put(200), told(50, 200)), "percent"),
        ((*SPENT, put(201), told(50, 200), told(50, 200)), "percent"),
        ((*SPENT, put(99), told(100)), "percent"),
        ((put(), replace(told(50), until_us=7)), "until_us"),
        ((put(), replace(told(50), decided_us=MONTH)), "period"),
        ((put(), replace(told(50), period=SECOND, until_us=2 * MONTH)), "period"),
        ((put(), coming(100)), "forecast_pico"),
        ((put(), coming(), coming()), "scope"),
        ((*SPENT, coming()), "scope"),
        ((put(), coming(), put(90), coming()), "scope"),
    ],
)
def test_what_is_told_of_a_budget(facts: tuple[Struct, ...], field: str) -> None:
    """Its own scope, account, currency and period; true of its amount, once, the lower ones first;
    a higher amount is told of anew.
    """
    refused(history(*facts), "books.budget", field)


@pytest.mark.parametrize(
    "facts",
    [
        (put(scope=ORG), put(scope=DEPARTMENT), put()),
        (put(), coming(), told(50), told(80)),
        (*SPENT, put(201), told(50, 150), coming(300)),
        (*SPENT, f.Cleared(PROJECT, 5), put(), told(50)),
        (*SPENT, replace(told(50), period=SECOND, until_us=2 * MONTH, decided_us=MONTH)),
        (put(), put(mode=f.STOP), f.Cleared(PROJECT, 5)),
        (put(), coming(), put(150), coming(160)),
    ],
)
def test_budgets_as_they_are_told(facts: tuple[Struct, ...]) -> None:
    """These hold: the next period, a raise and a clearing begin anew."""
    holds(history(*facts))


def begun(made: History, kind: str, at: int, *, account: str = ACCOUNT) -> History:
    """The last fact begins something in the project."""
    if kind == "runtime":
        names = (PROJECT, DEPARTMENT, account, NAME)
        made.add(stream("runtime", 1), runtime.Requested(*names, 1, 1000, (), at))
    elif kind == "volume":
        made.volume(1, account, stream("node", 1), at)
    else:
        made.volume(1, account, stream("node", 1), at)
        made.facts.insert(0, made.facts.pop())  # before all of it
        made.add(stream("volume", 1), volume.GrowRequested(99, at))
    return made


@pytest.mark.parametrize("kind", ["runtime", "volume", "growth"])
@pytest.mark.parametrize("scope", [PROJECT, DEPARTMENT, ORG])
def test_nothing_begins_below_what_is_spent(kind: str, scope: str) -> None:
    """In modes that refuse, of its account, until the period's end; else it does."""
    spent = tuple(told(percent, scope=scope) for percent in (50, 80, 100))
    for mode in (f.REFUSE, f.STOP):
        made = begun(history(put(mode=mode, scope=scope), *spent), kind, 6)
        refused(made, "books.budget", "project")
    holds(begun(history(put(mode=f.SOFT, scope=scope), *spent), kind, 6))
    holds(begun(history(put(scope=scope), *spent[:2]), kind, 6))
    holds(begun(history(put(scope=scope), *spent), kind, MONTH))
    holds(begun(history(put(scope=scope), *spent, put(101, scope=scope)), kind, 6))
    holds(begun(history(put(scope=scope), *spent, f.Cleared(scope, 6)), kind, 6))
    if kind != "growth":
        holds(begun(history(put(scope=scope), *spent), kind, 6, account=OTHER))


@pytest.mark.parametrize(
    ("facts", "right"),
    [
        ((put(mode=f.STOP), *SPENT[1:]), True),
        (SPENT, False),
        ((put(mode=f.STOP), *SPENT[1:3]), False),
        ((put(mode=f.STOP), *SPENT[1:], put(101, f.STOP)), False),
        ((), False),
    ],
)
def test_a_budget_stops_only_what_spends_it(facts: tuple[Struct, ...], right: bool) -> None:
    """`stopping` with that reason needs a budget that is spent and says so."""
    made = history()
    name = made.start(1, ACCOUNT, stream("node", 1), 1)
    commit = quota.Committed(name, DEPARTMENT, PROJECT, "T4", 1000, 1)
    made.add(quota.quota_stream(ORG), commit)
    for fact in facts:
        made.add(BUDGETS, fact)
    made.add(name, runtime.Stopping(f.EXHAUSTED, 6))
    if right:
        holds(made)
    else:
        refused(made, "books.budget", "reason")


def test_a_budget_is_told_on_its_own_stream() -> None:
    """Another organization's stream tells nothing."""
    made = history()
    made.add(f.budget_stream(stream("organization", 9)), put())
    refused(made, "books.budget", "stream")
    made = history(put())
    made.add(f.budget_stream(stream("organization", 9)), told(50))
    refused(made, "books.budget", "scope")


def test_what_nobody_created_spends_nothing() -> None:
    """A volume of a project that the log has not, and a runtime that is none: of no account."""
    spent = tuple(told(percent, scope=DEPARTMENT) for percent in (50, 80, 100))
    made = history(put(mode=f.STOP, scope=DEPARTMENT), *spent)
    made.facts = [one for one in made.facts if one[0] != PROJECT]
    holds(begun(made, "growth", 6))
    made.facts.pop()
    made.add(stream("runtime", 9), runtime.Stopping(f.EXHAUSTED, 6))
    refused(made, "books.budget", "reason")
