"""Lives of runtimes and volumes by hand: what of each is charged, and what is priced anew."""

from typing import Any

import pytest
from msgspec import Struct

from domain import (
    account,
    invoice,
    meter,
    pricebook,
    project,
    quota,
    reservation,
    runtime,
)
from domain import volume_facts as v
from domain.errors import DomainError
from domain.price_facts import BookPublished, Rerated, ShapedEntry, Tier
from tests.unit.domain_world import NAME, word
from tests.unit.test_domain_money import Told

A = word()
STORED = ("default", "storage.capacity", "local", "-", "existing", "USD")
COUNTED = meter.Registered("storage.capacity", "MiB-us", "lifecycle", "sum", 0)
CREATED = v.Created("project-1", "d", "account-1", "node-1", NAME, 4, 5)
FORMATTED = v.Formatted(0, "x", 1, 10, 10, 10, A)
LOCKED = v.Locked(20, 99, 20)
UNLOCKED = v.Unlocked(30)
WIPED = v.Wiped(0, "zero", 1, 1, 40, 40, 40, A)
type Lived = list[tuple[int, int, int, int]]


def lived(*facts: Struct, metered: bool = True) -> Lived:
    """(sign, from, to, quantity) of all rows of a volume."""
    told, rows = Told(), []
    told.say("pricebook-1", pricebook.EntryPublished(*STORED, 0, 0, 3, 1))
    if metered:
        told.say("meter-1", COUNTED)
    for fact in facts:
        found, _ = told.books.apply(told.position, "volume-1", fact)
        assert all(row.cause == told.position for row in found)
        rows += found
        told.position += 1
    return [(row.sign, row.start_us, row.end_us, row.quantity) for row in rows]


@pytest.mark.parametrize(
    ("facts", "rows"),
    [
        ((CREATED, FORMATTED, WIPED), [(1, 10, 40, 120)]),
        ((CREATED, FORMATTED, v.Lost(15, 40)), [(1, 10, 15, 20)]),
        ((CREATED, WIPED), []),
        ((CREATED, FORMATTED, LOCKED, UNLOCKED, WIPED), [(1, 10, 20, 40), (1, 30, 40, 40)]),
        ((CREATED, FORMATTED, LOCKED, WIPED), [(1, 10, 20, 40)]),
        ((CREATED, LOCKED, FORMATTED, WIPED), []),
        ((CREATED, LOCKED, FORMATTED, UNLOCKED, WIPED), [(1, 30, 40, 40)]),
        ((CREATED, LOCKED, UNLOCKED, WIPED), []),
        ((CREATED, FORMATTED, v.Grown(0, 6, 25, 25, 25, A), WIPED), [(1, 10, 25, 60), (1, 25, 40, 90)]),
        (
            (CREATED, FORMATTED, LOCKED, UNLOCKED, v.Grown(0, 6, 35, 35, 35, A), WIPED),
            [(1, 10, 20, 40), (1, 30, 35, 20), (1, 35, 40, 30)],
        ),
        (
            (CREATED, FORMATTED, LOCKED, v.Grown(0, 6, 25, 25, 25, A), UNLOCKED, WIPED),
            [(1, 10, 20, 40), (1, 30, 40, 60)],
        ),
    ],
)  # fmt: skip
def test_a_volume_costs_what_it_is_while_it_is_made_and_not_locked(
    facts: tuple[Struct, ...], rows: Lived
) -> None:
    """By its size then; from its making or unlocking on; where nobody meters storage, nothing."""
    assert lived(*facts) == rows
    assert lived(*facts, metered=False) == []


def test_what_lies_and_runs_is_cut_where_its_project_moved() -> None:
    """A volume, a runtime and what is reserved and idle: two pieces of one line, by whom it was then."""
    told, rows = Told(), []
    told.say("meter-1", COUNTED)
    idle = ("default", "gpu.time", "T4", "-", "reserved", "USD")
    for key in (STORED, idle):
        told.say("pricebook-1", pricebook.EntryPublished(*key, 0, 0, 3, 1))
    told.say("project-1", project.Created("organization-1", "d", "account-1", NAME, 0))
    told.say("volume-1", CREATED)
    told.say("volume-1", FORMATTED)
    told.say("quota-1", quota.Reserved("reservation-1", "d", "project-1", "T4", 1000, 0))
    made = reservation.Made("project-1", "T4", 1, ("node-1",), 90, 10)
    told.say("reservation-1", made)
    told.say("runtime-1", runtime.Usable(10, 10, 10, A))
    told.say("project-1", project.Moved("e", "account-1", 25))
    for stream, fact in (
        ("volume-1", WIPED),
        ("quota-1", quota.Unreserved("reservation-1", 40)),
        ("runtime-1", runtime.Stopped(40, 40, 40, A)),
    ):
        found, _ = told.books.apply(told.position, stream, fact)
        told.position += 1
        rows += [(row.resource, row.start_us, row.end_us) for row in found]
    assert rows == [
        (name, *span)
        for name in ("volume-1", "reservation-1", "runtime-1")
        for span in ((10, 25), (25, 40))
    ]


def test_a_volume_costs_what_its_region_costs() -> None:
    """Of the list where nothing else is said; its invoice is as simulated as its node."""
    told = Told()
    told.say("meter-1", COUNTED)
    told.say("pricebook-1", pricebook.EntryPublished(*STORED, 0, 0, 3, 1))
    told.say("volume-1", CREATED)
    assert told.books.open_resources == {"runtime-1": 10}
    told.say("volume-1", FORMATTED)
    assert told.books.open_resources == {"runtime-1": 10, "volume-1": 10}
    told.say("volume-1", WIPED)
    [line] = told.books.invoice_of("period-1").lines
    assert (line.sku, line.quantity, line.amount_pico) == ("storage.capacity:local", 120, 360)
    assert told.books.invoice_of("period-1").simulated


@pytest.mark.parametrize(
    ("end", "until"),
    [
        (runtime.Stopped(50, 50, 60, A), 50),
        (runtime.Failed("agent.failed", 50, 50, 60, A), 50),
        (runtime.Degraded(50, 50, 60, A), 50),
        (runtime.Lost(50, 60), 50),
        (runtime.Cancelled("x", 60), 60),
    ],
)
def test_a_runtime_is_charged_until_it_ends_however_it_does(end: Struct, until: int) -> None:
    """Up to the instant its fact says, or at which nobody wanted it any more."""
    told = Told()
    assert told.say("runtime-1", end) == [(10, until, 1, "period-1", "period-1")]
    assert told.books.open_resources == {}


def pieces(rows: Any) -> Lived:
    return [(row.sign, row.start_us, row.end_us, row.quantity) for row in rows]


def test_what_was_charged_is_priced_anew_where_it_was_and_nowhere_else() -> None:
    """Two intervals with a pause, of which the second was cut back by a late end; in two periods."""
    told = Told()
    told.say("runtime-1", runtime.Degraded(20, 20, 20, A))
    told.say("runtime-1", runtime.Usable(30, 30, 30, A))
    told.close(1)
    told.say("runtime-1", runtime.Stopped(80, 80, 101, A))
    told.say("runtime-2", runtime.Requested("project-1", "d", "account-1", NAME, 1, 1, (), 0))
    told.say("runtime-2", runtime.Allocated("a", "node-1", "T4", (), 1, 0))
    told.say("runtime-2", runtime.Usable(90, 90, 90, A))
    told.say("runtime-2", runtime.Stopped(110, 110, 110, A))
    key = ("default", "gpu.time", "T4", "-", "usable", "USD")
    told.say("pricebook-1", ShapedEntry("b", 1, *key, 0, 0, 1, 0, (Tier(None, 2),), 0))
    told.say("pricebook-1", BookPublished("b", 1, 1, 0))
    rows, _ = told.books.apply(50, "pricebook-1", Rerated("account-1", "b", 1, 15, 105, 0))
    assert pieces(rows) == [
        (-1, 15, 20, 35), (1, 15, 20, 35), (-1, 30, 80, 350), (1, 30, 80, 350),
        (-1, 90, 100, 10), (1, 90, 100, 10), (-1, 100, 105, 5), (1, 100, 105, 5),
    ]  # fmt: skip
    assert {row.booked for row in rows} == {"period-2"}
    assert told.books.apply(51, "pricebook-1", Rerated("account-1", "b", 1, 15, 105, 0))[0] == []
    rows, _ = told.books.apply(52, "pricebook-1", Rerated("account-1", "-", 0, 70, 95, 0))
    assert pieces(rows) == [(-1, 70, 80, 70), (1, 70, 80, 70), (-1, 90, 95, 5), (1, 90, 95, 5)]


def test_an_account_with_a_seller_is_invoiced_with_tax_only() -> None:
    """A plain invoice of it is none, though it says what is booked."""
    told = Told()
    told.close(1)
    draft = told.books.invoice_of("period-1")
    [final] = invoice.decide(invoice.Finalize("N-1", draft, "00", 0, 0), invoice.Missing())
    told.say("account-1", account.Taxed("seller-1", NAME, "DE", "standard", 0))
    with pytest.raises(DomainError) as refused:
        told.books.apply(91, "invoice-1", final)
    assert (refused.value.code, refused.value.detail) == (
        *("rating.invoice_order", "invoice-1: not closed, or invoiced twice"),
    )
