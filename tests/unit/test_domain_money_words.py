"""What invoices, credit notes and the books say when they refuse: whole, to the last word and number.

People read the sentence, programs the code, both the numbers; and edges that no history meets often.
"""

from collections.abc import Callable
from functools import partial

import pytest
from msgspec.structs import replace

from domain import invoice, meter, pricebook, project, rating, runtime, seller
from domain.cover import per_hour
from domain.crediting import Left, Part
from domain.decider import fold
from domain.errors import DomainError
from domain.ledger import Ledger
from domain.period import FIRST_US
from domain.reading import Reading
from domain.tariff import Price
from domain.taxed import read_taxed_file, taxed_file
from domain.taxing import Taxes
from domain.words import Private
from tests.property.books_history import HOUR_US, ORG, History, stream
from tests.property.tax_history import MONTH, PARTY, SELLER, TaxWorld

WHO = Private("a" * 64)
NOWHERE = stream("invoice", 99)
type Facts = dict[str, int | str]


def word(act: Callable[[], object]) -> tuple[str, str, Facts]:
    """All that a refusal says."""
    with pytest.raises(DomainError) as caught:
        act()
    return caught.value.code, caught.value.detail, caught.value.facts


def sold() -> tuple[TaxWorld, str, invoice.State, Left]:
    """An invoice of 2.00 and 0.38 of tax: its world, stream, state, and what is left of it."""
    world = TaxWorld()
    world.taxed()
    world.use(0, 2 * HOUR_US)
    name = world.invoice()
    world.catch_up()
    facts = [fact for at, _, fact in world.history.facts if at == name]
    return world, name, fold(invoice.DECIDER, facts), world.drafts[name]  # type: ignore[misc]


def decided(command: invoice.Command, state: invoice.State) -> invoice.State:
    for event in invoice.decide(command, state):
        state = invoice.evolve(state, event)
    return state


def test_what_an_invoice_says_when_it_refuses() -> None:
    """A step that is not possible changes nothing and says why."""
    _, _, state, left = sold()
    assert isinstance(state, invoice.Final)
    done = state.finalized
    draft = left.copy().take((), "void")
    credit = invoice.Credit("credit_note-1", "ACME-C000001", draft, "ab", 4)
    order = invoice.OrderCredit("credit_note-1", left, (), "void", 3)
    assert word(lambda: invoice.decide(invoice.Pay(239, WHO, 6, 7), state)) == (
        *("invoice.overpaid", "not as much of it is due"),
        {"due_minor": 238},
    )
    assert word(lambda: invoice.decide(credit, state)) == (
        *("credit.unknown", "nobody ordered this credit note"),
        {},
    )
    for command in (credit, order, invoice.Issue(1), invoice.Pay(1, WHO, 6, 7)):
        said = word(partial(invoice.decide, command, invoice.Missing()))
        assert said == ("invoice.unknown", "no such invoice", {})
    assert isinstance(done, invoice.TaxedFinalized)
    taxed = left._draft
    again = invoice.FinalizeTaxed(done.number, taxed, done.sha256, done.closed, 9)
    other = invoice.FinalizeTaxed(done.number, taxed, "ff", done.closed, 9)
    renamed = invoice.FinalizeTaxed("ACME-000009", taxed, done.sha256, done.closed, 9)
    for of in (state, decided(invoice.Issue(5), state)):
        assert invoice.decide(again, of) == []
        for wrong in (other, renamed):
            said = word(partial(invoice.decide, wrong, of))
            assert said == ("invoice.exists", "a final invoice never changes", {})


def test_a_minor_unit_can_be_paid_before_and_after_it_is_sent() -> None:
    """What was ordered, credited and paid before an invoice is sent still holds after."""
    _, _, state, left = sold()
    state = decided(invoice.OrderCredit("credit_note-1", left, (Part(0, 50),), "outage", 3), state)
    draft = left.copy().take((Part(0, 50),), "outage")
    credit = invoice.Credit("credit_note-1", "ACME-C000001", draft, "ab", 4)
    state = decided(invoice.Pay(1, WHO, 6, 7), decided(credit, state))
    sent = decided(invoice.Issue(5), state)
    assert invoice.decide(credit, sent) == []
    assert invoice.decide(invoice.Pay(1, WHO, 6, 7), sent) == [invoice.Paid(1, 176, WHO, 6, 7)]


def test_what_is_left_of_an_invoice_says_when_it_refuses() -> None:
    """Line, what is left, and the smallest step: nothing is taken."""
    _, name, _, left = sold()
    for line in (-1, 1):
        assert word(partial(left.take, (Part(line, 1),), "x")) == (
            *("credit.unknown_line", "the invoice has no such line"),
            {"line": line},
        )
    for minor in (0, 201, -1):
        assert word(partial(left.take, (Part(0, minor),), "x")) == (
            *("credit.exceeds", "not as much is left of that line"),
            {"line": 0, "left_minor": 200, "step_minor": 1},
        )
    for parts in ((Part(0, 1), Part(0, 1)), tuple(Part(at, 1) for at in range(501))):
        assert word(partial(left.take, parts, "x")) == (
            *("credit.too_many", "at most 500 lines, each once, in order"),
            {},
        )
    note = left.copy().take((Part(0, 200),), "outage")
    assert (note.invoice, note.invoice_number, note.why) == (name, "ACME-000001", "outage")
    left.take((), "void")
    assert word(lambda: left.take((), "void")) == (
        *("credit.nothing_left", "credit notes have taken all of it"),
        {},
    )


def test_a_line_below_zero_is_credited_down_to_all_of_it() -> None:
    """Of a line of -2.00: -2.00 or less of it, never 0 and never the other way."""
    world = TaxWorld()
    world.taxed()
    world.overcharge()
    left = world.drafts[world.invoice(1)]
    for minor in (0, 1, -201):
        assert word(partial(left.take, (Part(0, minor),), "x")) == (
            *("credit.exceeds", "not as much is left of that line"),
            {"line": 0, "left_minor": -200, "step_minor": 1},
        )
    assert left.copy().take((Part(0, -1),), "x").net_minor == -1
    assert left.take((Part(0, -200),), "x").net_minor == -200


def test_what_the_books_say_of_an_invoice_nobody_finalized() -> None:
    """A log that pays, credits or looks at what is not there is none that could be."""
    books, none = rating.Books(), Taxes()
    assert word(lambda: books.apply(7, NOWHERE, invoice.Paid(1, 0, WHO, 6, 7))) == (
        *("rating.invoice_order", f"{NOWHERE}: paid and never finalized"),
        {},
    )
    assert word(lambda: none.left(NOWHERE)) == (
        *("rating.credit_differs", f"{NOWHERE} was not finalized with tax"),
        {},
    )
    world, name, _, left = sold()
    draft = left.copy().take((), "void")
    fact = invoice.Credited(
        *("credit_note-1", "ACME-C000001", world.owner, SELLER, (), "void"),
        *(draft.net_minor, draft.tax_minor, draft.total_minor, "f", "ab", 1),
    )
    assert word(lambda: world.books.apply(99, NOWHERE, fact)) == (
        *("rating.credit_differs", f"{NOWHERE} was not finalized with tax"),
        {},
    )
    wrong = invoice.Credited(*("credit_note-1", "ACME-C000001", world.owner, SELLER, (), "void"),
                             *(draft.net_minor + 1, draft.tax_minor, 0, "f", "ab", 1))  # fmt: skip
    assert word(lambda: world.books.apply(99, name, wrong)) == (
        *("rating.credit_differs", f"{name}: not what its parts come to"),
        {},
    )


def test_what_is_left_by_the_books_is_taken_from_apart() -> None:
    """A preview takes nothing; invoice, number and reason stand on the note."""
    world, name, _, _ = sold()
    note = world.books.taxes.left(name).take((), "preview")
    assert (note.invoice, note.invoice_number, note.why) == (name, "ACME-000001", "preview")
    assert world.books.taxes.left(name).take((), "preview") == note


def test_no_invoice_but_the_one_that_is_booked() -> None:
    """Each number of the fact is compared."""
    world = TaxWorld()
    world.taxed()
    world.use(0, 2 * HOUR_US)
    name = world.invoice()
    [(_, _, fact)] = [
        one for one in world.history.facts if isinstance(one[2], invoice.TaxedFinalized)
    ]
    draft = world.drafts[name]._draft
    assert isinstance(fact, invoice.TaxedFinalized)
    taxes, ledger = Taxes(), Ledger(fact.account, "EUR", {})
    for field in ("account", "seller", "total_pico", "net_minor", "tax_minor", "line_count"):
        old = getattr(fact, field)
        of = replace(fact, **{field: f"{old}x" if isinstance(old, str) else old + 1})
        assert word(partial(taxes.finalized, 9, name, of, draft, ledger)) == (
            *("rating.invoice_differs", f"{name} differs from what is booked"),
            {},
        )


def test_a_payment_needs_a_period_that_is_open() -> None:
    """All three are closed: there is nowhere to book it."""
    world, name, _, _ = sold()
    for number in (1, 2):
        start = number * MONTH
        world.history.close(world.owner, world.periods[number], start, start + MONTH)
    world.pay(name, 1, 237)
    assert word(world.catch_up) == ("rating.no_period", f"no open period books {name}", {})


def test_what_open_use_would_cost_by_then() -> None:
    """A runtime at 1.00 an hour since an hour: asked for, not charged; an unknown period is refused."""
    world = TaxWorld()
    one = world.history.start(1, world.owner, world.node, 0)
    world.history.say(runtime.Usable, one, HOUR_US)
    world.catch_up()
    assert world.books.accrued(world.periods[0], 3 * HOUR_US) == {one: 2 * 10**12}
    assert world.books.accrued(world.periods[0], 3 * HOUR_US, beyond=True) == {one: 2 * 10**12}
    assert word(lambda: world.books.accrued("period-x", 1)) == (
        *("rating.period_order", "no period period-x"),
        {},
    )


def test_an_hours_price_is_of_the_size() -> None:
    """Half a GPU for an hour at 1.00 a GPU-hour; half a pico rounds to the even one."""
    assert per_hour(Price(1, 0, 10**12, 3_600_000_000_000), 500) == 5 * 10**11
    assert per_hour(Price(1, 0, 1, 7_200_000_000), 3) == 2


def test_the_file_of_an_invoice_is_read_back_as_it_was() -> None:
    """Number and draft."""
    _, _, _, left = sold()
    draft = left._draft
    assert read_taxed_file(taxed_file(draft, "ACME-000001")) == ("ACME-000001", draft)


def test_a_rate_holds_from_its_first_microsecond() -> None:
    """One that begins with the last microsecond of the period is that of its lines; one that begins
    with its end is not; a meter's own rate is that of its sku.
    """
    for begins, bp in ((MONTH - 1, 1600), (MONTH, 1900)):
        world = TaxWorld()
        world.rate("standard", "DE", "gpu.time", "S", 1600, "", begins)
        world.taxed()
        world.use(0, 2 * HOUR_US)
        [line] = world.drafts[world.invoice()].copy().take((), "void").lines
        assert line.rate_bp == bp


def test_the_minor_unit_that_is_over_goes_to_the_largest_remainder() -> None:
    """1.006 and 5.004 are 6.01 together: the smaller line shows 1.01, wherever it stands."""
    for small, large in ((1, 2), (2, 1)):
        world = TaxWorld()
        world.taxed()
        world.use(0, 1_006 * HOUR_US // 1_000, project=small)
        world.use(0, 5_004 * HOUR_US // 1_000, project=large)
        lines = world.drafts[world.invoice()].copy().take((), "void").lines
        assert sorted(line.amount_minor for line in lines) == [101, 500]


def test_an_invoice_is_of_a_period_that_is_over_once() -> None:
    """Neither before its close nor a second time."""
    world, name, _, _ = sold()
    [(_, _, fact)] = [
        one for one in world.history.facts if isinstance(one[2], invoice.TaxedFinalized)
    ]
    early = replace(fact, period=world.periods[1])
    for of in (fact, early):
        assert word(partial(world.books.apply, 99, name, of)) == (
            *("rating.invoice_order", f"{name}: not closed, or invoiced twice"),
            {},
        )


def test_a_credit_note_needs_a_period_that_is_open() -> None:
    """As a payment does."""
    world, name, _, _ = sold()
    for number in (1, 2):
        start = number * MONTH
        world.history.close(world.owner, world.periods[number], start, start + MONTH)
    world.credit(name)
    assert word(world.catch_up) == ("rating.no_period", f"no open period books {name}", {})


def test_what_the_books_say_of_a_seller_or_a_rate_that_is_not_there() -> None:
    """Neither can be in a log that deciders wrote."""
    books = rating.Books()
    rate = seller.RateSet(*("standard", "DE", "*", "S", 1900, "", FIRST_US, 0))
    assert word(lambda: books.apply(0, SELLER, rate)) == ("rating.tax", f"no seller {SELLER}", {})
    world = TaxWorld()
    world.taxed("standard", "FR")
    world.use(0, HOUR_US)
    world.history.close(world.owner, world.periods[0], 0, MONTH)
    world.catch_up()
    assert word(lambda: world.books.taxed_invoice_of(world.periods[0])) == (
        *("rating.tax", "no rate for standard in FR"),
        {},
    )


def test_readings_are_charged_to_a_runtimes_project_or_to_the_project_itself() -> None:
    """Only what is read of a SIMULATED runtime makes an invoice SIMULATED; prices of the account go
    first; what nothing prices is refused by name.
    """
    for simulated in (False, True):
        world = History()
        owner = world.account(1)
        first = world.period(owner, 1, 1, 0, MONTH)
        world.period(owner, 2, 2, MONTH, 2 * MONTH)
        node = world.node(1, "T4", simulated=simulated)
        one = world.start(1, owner, node, 0, project=5)
        counted = meter.ReadingsRegistered("tok", "token", 1, "sum", ("model",), 0)
        world.add(stream("meter", 9), counted)
        paying = project.Created(ORG, stream("department", 1), owner, PARTY, 0)
        world.add(stream("project", 6), paying)
        for whose, pico in (("default", 3), (owner, 2)):
            entry = pricebook.EntryPublished(whose, "tok", "m", "-", "read", "USD", 0, 0, pico, 1)
            world.add(stream("pricebook", 1), entry)
        books = rating.Books()
        for at, (where, _, fact) in enumerate(world.facts):
            books.apply(at, where, fact)
        said = Reading("source", 1, 1, "tok", one, "model=m", 5, 5, 7, "", "")
        rows, moved = books.read(50, [said, replace(said, resource=stream("project", 6))])
        assert [(row.resource, row.line_amount_pico) for row in rows] == [
            (one, 14),
            (stream("project", 6), 14),
        ]
        assert [each.amount_pico for each in moved] == [14, 14]
        draft = books.invoice_of(first)
        assert [line.project for line in draft.lines] == [stream("project", n) for n in (5, 6)]
        assert draft.simulated is simulated
        missing = [replace(said, dimensions="model=other")]
        assert word(partial(books.read, 51, missing)) == (
            *("rating.no_price", f"nothing prices {one} at 5"),
            {},
        )
