"""Foreign bookkeepers read the journal of everything that moves money (rating.md sections 5 to 13)."""

from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from domain import invoice, suspense
from domain.decider import fold
from domain.ledger import Transfer
from projections.exporting.bookkeeping import Beancount, Hledger, Syntax
from projections.exporting.proof import Proof
from projections.journal_read import Posted
from tests.bookkeepers import of_beancount, of_hledger
from tests.machine import need
from tests.museum.house import MINUTE, USD
from tests.property.test_invariants import Invariants

pytestmark = [pytest.mark.slow, pytest.mark.machine]

KINDS = {
    *("grant", "capture", "charge", "chargeback", "arrears", "arrears_met", "refund", "suspense"),
    *("invoice", "tax", "payment", "payment_returned", "credit", "credit_tax", "rounding"),
}
PROOF = Proof("test.example/0", 10**6, "0" * 64)


def test_both_read_what_goes_back_what_is_owed_and_what_is_put_aside(tmp_path: Path) -> None:
    """Chargebacks of spent credit, arrears that a later payment meets, refunds, money that names
    nobody (kept, granted, returned), an invoice paid, taken back, credited and refunded: hledger and
    beancount accept each journal and agree with the books on every balance.
    """
    need("hledger")
    world = lived()
    by_account: dict[str, list[Transfer]] = defaultdict(list)
    for row in world.house.rows["transfer"]:
        by_account[row.account].append(row)
    missing = KINDS - {row.kind for row in world.house.rows["transfer"]}
    assert not missing
    assert any(name.startswith("suspense-") for name in by_account)
    for name, rows in by_account.items():
        kept = balances(rows)
        for payer in world.tenants:
            if payer.account == name:
                mine = world.house.books.balances(name)
                assert kept == {ledger: one.pico for ledger, one in mine.items()}
        said = [posted(number, row) for number, row in enumerate(rows)]
        books: tuple[tuple[str, Syntax], ...] = (
            ("hledger", Hledger(name, "USD", PROOF)),
            ("beancount", Beancount(name, "USD", PROOF)),
        )
        for form, book in books:
            (tmp_path / form).write_text(book.head() + book.posted(said) + book.tail())
        found = of_hledger(tmp_path / "hledger")
        assert found == of_beancount(tmp_path / "beancount")
        assert sorted(found.values()) == sorted(pico for pico in kept.values() if pico)


def balances(rows: list[Transfer]) -> dict[str, int]:
    """By ledger account, added up."""
    found: dict[str, int] = defaultdict(int)
    for row in rows:
        found[row.debit] += row.amount_pico
        found[row.credit] -= row.amount_pico
    return dict(found)


def posted(number: int, row: Transfer) -> Posted:
    """As the views have it; each cause a minute after the one before it."""
    fields = msgspec.structs.asdict(row)
    return Posted(row=number, from_position=row.cause, at_us=row.cause * MINUTE, **fields)


def lived() -> Invariants:
    """A world where all of it has happened."""
    world = Invariants()
    world.begin(0, 20)
    house, us = world.house, world.us[0]
    house.grant(us, USD, reference="first", at=world.now)
    world.job(0, 1000, 4)
    world.stop(0)
    world.stopped(0, 0)
    world.settle(again=False)
    house.gives_back(us, "first", "dispute", at=world.now)
    waits, becomes, goes = (house.puts_aside(n, n * USD) for n in (1, 2, 3))
    assert waits
    returned = suspense.Resolve("returned", "", world.now)
    state = fold(suspense.DECIDER, house.facts(goes))
    house.append((goes, "-", suspense.decide(returned, state)))
    house.grant(us, 2 * USD, reference="second", aside=becomes, at=world.now)
    world.expire()
    house.gives_back(us, "second", "back", pico=USD // 8, taken=False, at=world.now)
    world.sale(tokens=True, counts=[10**6])
    assert world.sold is not None
    due = world.due_minor()
    for what, minor in (
        (invoice.Pay, due), (invoice.ReturnPayment, 3), (invoice.Pay, 3),
    ):  # fmt: skip
        world.money(what, minor, 0)
    for line in range(len(world.sold.lines)):
        world.credit([(line, 1)])
    world.credit([])
    world.money(invoice.Refund, 1, 0)
    return world
