from typing import Any

import pytest
from msgspec import Struct

from domain import (
    account,
    attribution,
    cost_centre,
    department,
    invoice,
    meter,
    organization,
    period,
    pricebook,
    project,
)
from domain import quota as q
from domain.access import TokenIssued
from domain.decider import Decider
from domain.statement import InvoiceDraft
from domain.words import Private
from tests.unit.domain_world import NAME, decided, refused

OTHER = Private("bb")
ORG = organization.Created(NAME, 1)
HELD = (ORG, organization.Suspended("unpaid", 2))
RENAMED = organization.Renamed(OTHER, 7)
CLOSING = (ORG, organization.ClosingStarted("left", 5, 6, 4))
TOKEN = TokenIssued("user-1", "member", 9)
DEPT = department.Created("organization-1", NAME, 1)
CENTRE = cost_centre.Created("organization-1", "department-1", NAME, 1)
SEATED = (CENTRE, cost_centre.ProjectAdded("project-1", 5))
LEFT = (*SEATED, cost_centre.ProjectRemoved("project-1", 6))
SHUT = (CENTRE, cost_centre.Closed(7))
CHARGED_TO = attribution.AttributionSet("project-1", "cost_centre-1", 5)
PROJ = project.Created("organization-1", "department-1", "account-1", NAME, 1)
PUT = project.Moved("department-2", "account-1", 5)
ACCT = account.Opened("organization-1", "USD", 2, "UTC", "x", 1)
PERIOD = period.Opened("account-1", 1, 0, 100, "UTC", "x", 1)
LATER = period.Opened("account-1", 2, 100, 200, "UTC", "x", 1)
OTHERS = period.Opened("account-2", 2, 100, 200, "UTC", "x", 1)
CLOSED = (PERIOD, period.Closed("account-1", 0, 100, 100))
METER = meter.Registered("gpu.time", "milli-GPU-us", "lifecycle", "sum", 1)
PRICE = ("default", "gpu.time", "T4", "-", "usable", "USD")
ENTRY = pricebook.EntryPublished(*PRICE, 10, 5, 349, 3600)
DRAFT = InvoiceDraft(
    *("organization-1", "account-1", "period-1", 0, 100, "USD", 2),
    *(False, (), 5, -5, 0),
)
FINAL = invoice.Finalized(
    *("N-1", "account-1", "period-1", "USD", 2, 5, 0, 0, "invoice-n-1.json", "aa", 7, 9),
)


def new_project(of: str = "organization-1", name: Private = NAME) -> project.Create:
    return project.Create(
        *("organization-1", "department-1", "account-1", name, "organization-1", of, 1)
    )


def new_centre(name: Private = NAME) -> cost_centre.Create:
    return cost_centre.Create("organization-1", "department-1", name, 1)


def attribute(to: str, now: int) -> attribution.Attribute:
    return attribution.Attribute("project-1", to, now)


def open_account(currency: str = "USD", digits: int = 2) -> account.Open:
    return account.Open("organization-1", currency, digits, "UTC", "x", 1)


def open_period(start: int, end: int, previous: period.Opened | None = None) -> period.Open:
    return period.Open("account-1", start, end, "UTC", "x", previous, 1)


def publish(
    since: int, pico: int = 349, divisor: int = 3600, now: int = 5
) -> pricebook.PublishEntry:
    return pricebook.PublishEntry(*PRICE, since, pico, divisor, now)


def register(unit: str = "milli-GPU-us", source: str = "lifecycle") -> meter.Register:
    return meter.Register("gpu.time", unit, source, "sum", 1)


def finalize(digest: str = "aa") -> invoice.Finalize:
    return invoice.Finalize("N-1", DRAFT, digest, 7, 9)


TABLE: list[tuple[str, Decider[Any, Any, Any], tuple[Struct, ...], Struct, object]] = [
    ("create", organization.DECIDER, (), organization.Create(NAME, 1), [ORG]),
    ("create again", organization.DECIDER, HELD, organization.Create(NAME, 9), []),
    ("create another", organization.DECIDER, (ORG,), organization.Create(OTHER, 1), "organization.exists"),
    ("suspend", organization.DECIDER, (ORG,), organization.Suspend("unpaid", 2), [HELD[1]]),
    ("suspend again", organization.DECIDER, HELD, organization.Suspend("x", 3), []),
    ("reactivate", organization.DECIDER, HELD, organization.Reactivate("paid", 3), [organization.Reactivated("paid", 3)]),
    ("suspend with tokens out", organization.DECIDER, (ORG, TOKEN), organization.Suspend("unpaid", 2), [HELD[1]]),
    ("reactivate with tokens out", organization.DECIDER, (*HELD, TOKEN), organization.Reactivate("paid", 3), [organization.Reactivated("paid", 3)]),
    ("reactivate the active", organization.DECIDER, (ORG,), organization.Reactivate("x", 3), []),
    ("suspend nobody", organization.DECIDER, (), organization.Suspend("x", 3), "organization.unknown"),
    ("rename it", organization.DECIDER, (ORG,), organization.Rename(OTHER, 7), [RENAMED]),
    ("rename the suspended", organization.DECIDER, HELD, organization.Rename(OTHER, 7), [RENAMED]),
    ("rename it again", organization.DECIDER, (*HELD, RENAMED), organization.Rename(OTHER, 8), []),
    ("reactivate the renamed", organization.DECIDER, (*HELD, RENAMED), organization.Reactivate("paid", 8), [organization.Reactivated("paid", 8)]),
    ("rename what is closing", organization.DECIDER, CLOSING, organization.Rename(OTHER, 7), "organization.closing"),
    ("rename what is over", organization.DECIDER, (*CLOSING, organization.ClosedForGood(6)), organization.Rename(OTHER, 7), "organization.closed"),
    ("rename nobody", organization.DECIDER, (), organization.Rename(OTHER, 7), "organization.unknown"),
    ("department", department.DECIDER, (), department.Create("organization-1", NAME, 1), [DEPT]),
    ("department again", department.DECIDER, (DEPT,), department.Create("organization-1", NAME, 2), []),
    ("other department", department.DECIDER, (DEPT,), department.Create("organization-1", OTHER, 2), "department.exists"),
    ("rename a department", department.DECIDER, (DEPT,), department.Rename(OTHER, 7), [department.Renamed(OTHER, 7)]),
    ("rename the renamed department", department.DECIDER, (DEPT, department.Renamed(OTHER, 7)), department.Rename(OTHER, 8), []),
    ("back to its first name", department.DECIDER, (DEPT, department.Renamed(OTHER, 7)), department.Rename(NAME, 8), [department.Renamed(NAME, 8)]),
    ("rename no department", department.DECIDER, (), department.Rename(OTHER, 7), "department.unknown"),
    ("cost centre", cost_centre.DECIDER, (), new_centre(), [CENTRE]),
    ("cost centre again", cost_centre.DECIDER, (CENTRE,), new_centre(), []),
    ("other cost centre", cost_centre.DECIDER, (CENTRE,), new_centre(OTHER), "cost_centre.exists"),
    ("rename", cost_centre.DECIDER, SEATED, cost_centre.Rename(OTHER, 7), [cost_centre.Renamed(OTHER, 7)]),
    ("rename the renamed", cost_centre.DECIDER, (CENTRE, cost_centre.Renamed(OTHER, 7)), cost_centre.Rename(OTHER, 8), []),
    ("rename what is closed", cost_centre.DECIDER, SHUT, cost_centre.Rename(OTHER, 8), "cost_centre.closed"),
    ("rename nothing", cost_centre.DECIDER, (), cost_centre.Rename(OTHER, 8), "cost_centre.unknown"),
    ("a project comes", cost_centre.DECIDER, (CENTRE,), cost_centre.AddProject("project-1", 5), [SEATED[1]]),
    ("and again", cost_centre.DECIDER, SEATED, cost_centre.AddProject("project-1", 9), []),
    ("after it left", cost_centre.DECIDER, LEFT, cost_centre.AddProject("project-1", 9), [cost_centre.ProjectAdded("project-1", 9)]),
    ("to what is closed", cost_centre.DECIDER, SHUT, cost_centre.AddProject("project-1", 9), "cost_centre.closed"),
    ("it leaves", cost_centre.DECIDER, SEATED, cost_centre.RemoveProject("project-1", 6), [LEFT[2]]),
    ("leaves again", cost_centre.DECIDER, LEFT, cost_centre.RemoveProject("project-1", 7), []),
    ("one of before", cost_centre.DECIDER, (CENTRE,), cost_centre.RemoveProject("project-1", 6), [LEFT[2]]),
    ("from what is closed", cost_centre.DECIDER, SHUT, cost_centre.RemoveProject("project-1", 8), []),
    ("close", cost_centre.DECIDER, (CENTRE,), cost_centre.Close((), 7), [SHUT[1]]),
    ("close again", cost_centre.DECIDER, SHUT, cost_centre.Close(("project-1",), 8), []),
    ("close with a project", cost_centre.DECIDER, SEATED, cost_centre.Close((), 7), "cost_centre.in_use"),
    ("with one of before", cost_centre.DECIDER, (CENTRE,), cost_centre.Close(("project-1",), 7), "cost_centre.in_use"),
    ("that left, as no view has it yet", cost_centre.DECIDER, LEFT, cost_centre.Close(("project-1",), 7), [cost_centre.Closed(7)]),
    ("attributed", attribution.DECIDER, (), attribute("cost_centre-1", 5), [CHARGED_TO]),
    ("attributed again", attribution.DECIDER, (CHARGED_TO,), attribute("cost_centre-1", 9), []),
    ("attributed to another, by a clock behind", attribution.DECIDER, (CHARGED_TO,), attribute("cost_centre-2", 3), [attribution.AttributionSet("project-1", "cost_centre-2", 6)]),
    ("to none", attribution.DECIDER, (CHARGED_TO,), attribute("", 9), [attribution.AttributionSet("project-1", "", 9)]),
    ("none to none", attribution.DECIDER, (), attribute("", 9), []),
    ("project", project.DECIDER, (), new_project(), [PROJ]),
    ("project again", project.DECIDER, (PROJ,), new_project(), []),
    ("other project", project.DECIDER, (PROJ,), new_project(name=OTHER), "project.exists"),
    ("project paid by others", project.DECIDER, (), new_project("organization-2"), "project.foreign"),
    ("rename a project", project.DECIDER, (PROJ,), project.Rename(OTHER, 7), [project.Renamed(OTHER, 7)]),
    ("rename the moved", project.DECIDER, (PROJ, PUT), project.Rename(OTHER, 7), [project.Renamed(OTHER, 7)]),
    ("move the renamed to where it is", project.DECIDER, (PROJ, PUT, project.Renamed(OTHER, 7)), project.Move("department-2", "account-1", 9), []),
    ("rename the renamed project", project.DECIDER, (PROJ, project.Renamed(OTHER, 7)), project.Rename(OTHER, 8), []),
    ("rename no project", project.DECIDER, (), project.Rename(OTHER, 7), "project.unknown"),
    ("account", account.DECIDER, (), open_account(), [ACCT]),
    ("account again", account.DECIDER, (ACCT,), open_account(), []),
    ("account in EUR", account.DECIDER, (ACCT,), open_account("EUR"), "account.exists"),
    ("no currency", account.DECIDER, (), open_account("usd"), "account.currency_invalid"),
    ("five digits", account.DECIDER, (), open_account("USD", 5), "account.currency_invalid"),
    ("first invoice", account.DECIDER, (ACCT,), account.NumberInvoice("invoice-1"), [account.Invoiced("invoice-1", 1)]),
    ("same invoice", account.DECIDER, (ACCT, account.Invoiced("invoice-1", 1)), account.NumberInvoice("invoice-1"), []),
    ("next invoice", account.DECIDER, (ACCT, account.Invoiced("invoice-1", 1)), account.NumberInvoice("invoice-2"), [account.Invoiced("invoice-2", 2)]),
    ("number for nobody", account.DECIDER, (), account.NumberInvoice("invoice-1"), "account.unknown"),
    ("period", period.DECIDER, (), open_period(0, 100), [PERIOD]),
    ("period again", period.DECIDER, (PERIOD,), open_period(0, 100), []),
    ("other period", period.DECIDER, (PERIOD,), open_period(0, 101), "period.exists"),
    ("next period", period.DECIDER, (), open_period(100, 200, PERIOD), [period.Opened("account-1", 2, 100, 200, "UTC", "x", 1)]),
    ("gap", period.DECIDER, (), open_period(101, 200, PERIOD), "period.not_contiguous"),
    ("overlap", period.DECIDER, (), open_period(99, 200, PERIOD), "period.not_contiguous"),
    ("period after the year 9999", period.DECIDER, (), open_period(100, 10**18, PERIOD), "period.out_of_calendar"),
    ("period before the year 1", period.DECIDER, (), open_period(-(10**17), 0), "period.out_of_calendar"),
    ("empty", period.DECIDER, (), open_period(100, 100, PERIOD), "period.not_contiguous"),
    ("close", period.DECIDER, (PERIOD,), period.Close(LATER, 100), [CLOSED[1]]),
    ("close the last", period.DECIDER, (PERIOD,), period.Close(None, 100), "period.next_missing"),
    ("close before another's", period.DECIDER, (PERIOD,), period.Close(OTHERS, 100), "period.next_missing"),
    ("close before itself", period.DECIDER, (PERIOD,), period.Close(PERIOD, 100), "period.next_missing"),
    ("close early", period.DECIDER, (PERIOD,), period.Close(LATER, 99), "period.not_over"),
    ("close again", period.DECIDER, CLOSED, period.Close(None, 200), []),
    ("close nothing", period.DECIDER, (), period.Close(LATER, 200), "period.unknown"),
    ("finalize", invoice.DECIDER, (), finalize(), [FINAL]),
    ("finalize again", invoice.DECIDER, (FINAL,), finalize(), []),
    ("finalize otherwise", invoice.DECIDER, (FINAL,), finalize("bb"), "invoice.exists"),
    ("issue", invoice.DECIDER, (FINAL,), invoice.Issue(10), [invoice.Issued(10)]),
    ("issue again", invoice.DECIDER, (FINAL, invoice.Issued(10)), invoice.Issue(11), []),
    ("issue nothing", invoice.DECIDER, (), invoice.Issue(11), "invoice.unknown"),
    ("meter", meter.DECIDER, (), register(), [METER]),
    ("meter again", meter.DECIDER, (METER,), register(), []),
    ("unit changed", meter.DECIDER, (METER,), register("GPU-h"), "meter.exists"),
    ("odd source", meter.DECIDER, (), register(source="guess"), "meter.invalid"),
    ("price", pricebook.DECIDER, (), publish(10), [ENTRY]),
    ("price again", pricebook.DECIDER, (ENTRY,), publish(10), []),
    ("price again, late", pricebook.DECIDER, (ENTRY,), publish(10, now=99), []),
    ("same key, other price", pricebook.DECIDER, (ENTRY,), publish(10, 350), "price.duplicate"),
    ("effective in the past", pricebook.DECIDER, (), publish(4), "price.too_late"),
    ("negative price", pricebook.DECIDER, (), publish(10, -1), "price.invalid"),
    ("largest price", pricebook.DECIDER, (), publish(10, 10**21, 10**12), [pricebook.EntryPublished(*PRICE, 10, 5, 10**21, 10**12)]),
    ("price too large", pricebook.DECIDER, (), publish(10, 10**21 + 1, 10**18), "price.too_large"),
    ("price of a unit too large", pricebook.DECIDER, (), publish(10, 10**9 + 1, 1), "price.too_large"),
    ("divisor too large", pricebook.DECIDER, (), publish(10, 1, 10**18 + 1), "price.too_large"),
    ("divisor 0", pricebook.DECIDER, (), publish(10, 1, 0), "price.invalid"),
    ("limit", q.DECIDER, (), q.SetLimit("project-1", "*", 5, 1), [q.LimitSet("project-1", "*", 5, 1)]),
    ("same limit", q.DECIDER, (q.LimitSet("project-1", "*", 5, 1),), q.SetLimit("project-1", "*", 5, 2), []),
    ("negative limit", q.DECIDER, (), q.SetLimit("project-1", "*", -1, 1), "quota.limit_invalid"),
    ("commit", q.DECIDER, (), q.Commit("r-1", "d-1", "p-1", "T4", 5, 1), [q.Committed("r-1", "d-1", "p-1", "T4", 5, 1)]),
    ("commit again", q.DECIDER, (q.Committed("r-1", "d-1", "p-1", "T4", 5, 1),), q.Commit("r-1", "d-1", "p-1", "T4", 5, 1), []),
    ("commit at the limit", q.DECIDER, (q.LimitSet("organization-1", "T4", 5, 1),), q.Commit("r-1", "d-1", "p-1", "T4", 5, 1), [q.Committed("r-1", "d-1", "p-1", "T4", 5, 1)]),
    ("commit above it", q.DECIDER, (q.LimitSet("organization-1", "T4", 4, 1),), q.Commit("r-1", "d-1", "p-1", "T4", 5, 1), "quota.exceeded"),
    ("other models do not count", q.DECIDER, (q.LimitSet("d-1", "A10", 0, 1),), q.Commit("r-1", "d-1", "p-1", "T4", 5, 1), [q.Committed("r-1", "d-1", "p-1", "T4", 5, 1)]),
    ("release", q.DECIDER, (q.Committed("r-1", "d-1", "p-1", "T4", 5, 1),), q.Release("r-1", 2), [q.Released("r-1", 2)]),
    ("release again", q.DECIDER, (), q.Release("r-1", 2), []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("decider", "given", "when", "then"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE]
)
def test_truth_table(
    decider: Decider[Any, Any, Any],
    given: tuple[Struct, ...],
    when: Struct,
    then: object,
) -> None:
    """Each command in each state has one answer: facts, nothing when done already, or a code."""
    if isinstance(then, str):
        assert refused(decider, given, when) == then
    else:
        assert decided(decider, given, when) == then


def test_release_gives_back_in_every_scope() -> None:
    """Use counts in project, department and organization at once, and leaves all of them."""
    given: tuple[q.Event, ...] = (
        *(q.LimitSet(scope, "*", 5, 1) for scope in ("organization-1", "d-1", "p-1")),
        q.Committed("r-1", "d-1", "p-1", "T4", 5, 1),
        q.Released("r-1", 2),
    )
    assert decided(q.DECIDER, given, q.Commit("r-2", "d-1", "p-1", "T4", 5, 3))


def test_evolve_leaves_the_state_before_as_it_was() -> None:
    """A state is a value: whoever holds the old one still has it."""
    before = q.DECIDER.initial
    q.evolve(before, q.LimitSet("p-1", "*", 5, 1))
    assert before == q.Tree({}, {}, {})
