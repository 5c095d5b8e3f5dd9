"""Tax, numbers and credit notes: the auditor derives what the platform said, and refuses the rest."""

from typing import Any

import pytest
from msgspec import structs

from domain import account, invoice, period, sealing, seller
from domain.crediting import Part
from domain.errors import DomainError
from domain.seller import RateSet
from gpuaas_verify.books import Books
from gpuaas_verify.errors import Invalid
from tests.property.books_history import HOUR_US, stream
from tests.property.tax_history import (
    EXEMPT,
    MONTH,
    OTHER_PARTY,
    PARTY,
    REVERSE,
    SELLER,
    STANDARD,
    TaxWorld,
)
from tests.unit.test_verify_books import drained, invoiced
from tests.unit.test_verify_books_refusals import refused

CURRENCIES = {"EUR": 2, "JPY": 0, "KWD": 3, "CLF": 4}


def agreed(world: TaxWorld) -> dict[str, int]:
    """Balances by ledger account; platform and auditor posted the same, to the byte."""
    moved = world.catch_up()
    with Books(None) as books:
        world.history.feed(books)
        derived = list(books.expected_rows("transfer"))
        balances = {name: pico for name, (_, pico) in books.balances(world.owner).items()}
        drained(books).finish()
    posted = [structs.asdict(one) for one in moved]
    assert [{k: v for k, v in row.items() if k != "row"} for row in derived] == posted
    assert len({row["id"] for row in derived}) == len(derived)
    assert sum(balances.values()) == 0
    return balances


def billed(**kwargs: Any) -> tuple[TaxWorld, str]:
    """Two hours of a T4 (2.00) and storage in another project, taxed as standard, invoiced."""
    world = TaxWorld(**kwargs)
    world.taxed()
    world.use(0, 2 * HOUR_US)
    world.use(0, 45_000_000, project=2)
    world.store(0, 3 * HOUR_US)
    return world, world.invoice()


def test_tax_is_of_each_rate_rounded_once() -> None:
    """2.0125 at 19 %: 2.01 and 0.38; storage at 7 %; the lines of a rate add up to its base."""
    world, _ = billed()
    draft = world.books.taxed_invoice_of(world.periods[0])
    assert draft is not None
    low, high = draft.taxes
    assert (high.rate_bp, high.base_pico, high.base_minor) == (1900, 2_012_500_000_000, 201)
    assert high.tax_minor == 38
    assert (low.rate_bp, low.base_minor, low.tax_minor) == (700, 0, 0)
    for one in draft.taxes:
        mine = [line for line in draft.lines if line.rate_bp == one.rate_bp]
        assert sum(line.shown_minor for line in mine) == one.base_minor
        assert sum(line.amount_pico for line in mine) == one.base_pico
    balances = agreed(world)
    assert balances["tax"] == -38 * 10**10
    assert balances["receivable"] == draft.total_minor * 10**10
    assert balances["unbilled"] == 0


def test_a_seller_changes_nothing_for_accounts_without_it() -> None:
    """The invoice of an account that has none is `gpuaas-invoice/1`, untaxed."""
    world = TaxWorld()
    world.use(0, HOUR_US)
    world.catch_up()
    assert world.books.taxed_invoice_of(world.periods[0]) is None


def test_a_rate_holds_from_its_instant_for_what_was_served_after_it() -> None:
    """What is booked late bears the rate of the period in which it was used."""
    world = TaxWorld()
    world.taxed()
    world.rate(STANDARD, "DE", "*", "S", 1600, "", MONTH + 5)
    world.use(0, HOUR_US)
    first = world.invoice()
    world.runtimes += 1
    world.use(MONTH - HOUR_US, MONTH)  # told after the close of its period
    world.use(MONTH, MONTH + HOUR_US)
    world.invoice(1)
    draft = world.books.taxed_invoice_of(world.periods[1])
    assert draft is not None
    assert [(one.rate_bp, one.base_minor) for one in draft.taxes] == [(1600, 100), (1900, 100)]
    assert {line.service_period for line in draft.lines} == set(world.periods[:2])
    world.credit(first)
    agreed(world)


@pytest.mark.parametrize(("currency", "digits"), CURRENCIES.items())
def test_no_shown_amount_has_more_than_two_places(currency: str, digits: int) -> None:
    """Yen have none, dinars two of three: EN 16931 has no more. What is lost is in `rounding`."""
    world, first = billed(currency=currency, digits=digits)
    draft = world.books.taxed_invoice_of(world.periods[0])
    assert draft is not None
    step = 10 ** max(0, digits - 2)
    for amount in (
        *(line.shown_minor for line in draft.lines),
        *(one.tax_minor for one in draft.taxes),
        draft.total_minor,
    ):
        assert amount % step == 0
    unit = 10 ** (12 - min(2, digits))
    assert all(2 * abs(one.base_minor * 10 ** (12 - digits) - one.base_pico) <= unit
               for one in draft.taxes)  # fmt: skip
    agreed(world)
    world.credit(first)
    assert set(agreed(world).values()) == {0}


def test_a_reverse_charge_and_an_exemption_have_no_tax_but_a_reason() -> None:
    """No `tax` leg; the reason stands on the line and the sum."""
    for treatment, country, category in ((REVERSE, "FR", "AE"), (EXEMPT, "DE", "E")):
        world = TaxWorld()
        world.taxed(treatment, country)
        world.use(0, HOUR_US)
        world.invoice()
        draft = world.books.taxed_invoice_of(world.periods[0])
        assert draft is not None
        assert [(one.category, one.tax_minor, one.reason != "") for one in draft.taxes] == [
            (category, 0, True)
        ]
        assert "tax" not in agreed(world)


def test_credit_notes_take_back_a_line_at_a_time_and_never_more() -> None:
    """A part, the rest of the line, then all that is left: every account is as if nothing was sold."""
    world, first = billed()
    world.credit(first, [(0, 50)])
    assert agreed(world)["revenue:gpu.time:T4"] == -(2_012_500_000_000 - 500_000_000_000)
    world.credit(first, [(0, 150), (2, 1)])
    world.credit(first)
    assert set(agreed(world).values()) == {0}
    with pytest.raises(DomainError, match=r"credit\.nothing_left"):
        world.credit(first)


def test_what_is_owed_back_is_credited_as_it_is_billed() -> None:
    """A line of less than nothing is taken in parts of less than nothing."""
    world = TaxWorld()
    world.taxed()
    world.overcharge()
    second = world.invoice(1)
    draft = world.books.taxed_invoice_of(world.periods[1])
    assert draft is not None
    assert [line.shown_minor for line in draft.lines] == [-200]
    assert (draft.tax_minor, draft.total_minor) == (-38, -238)
    for wrong in (200, -201):
        with pytest.raises(DomainError, match=r"credit\.exceeds"):
            world.credit(second, [(0, wrong)])
    world.credit(second, [(0, -50)])
    agreed(world)
    world.credit(second)
    assert agreed(world)["receivable"] == 357 * 10**10
    world.credit(second.replace("0002", "0001"))
    assert set(agreed(world).values()) == {0}


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([(0, 201)], "credit.exceeds"),
        ([(0, 0)], "credit.exceeds"),
        ([(0, -1)], "credit.exceeds"),
        ([(9, 1)], "credit.unknown_line"),
        ([(-1, 1)], "credit.unknown_line"),
        ([(1, 1), (0, 1)], "credit.too_many"),
        ([(0, 1), (0, 1)], "credit.too_many"),
        ([(number, 1) for number in range(501)], "credit.too_many"),
    ],
)
def test_a_credit_note_that_cannot_be_is_refused(parts: list[tuple[int, int]], code: str) -> None:
    """By name, and nothing is taken: all of it can still be credited."""
    world, first = billed()
    with pytest.raises(DomainError) as caught:
        world.credit(first, parts)
    assert caught.value.code == code
    world.credit(first)
    assert set(agreed(world).values()) == {0}


def silent(world: TaxWorld, *names: str) -> None:
    """The first period is closed without these."""
    world.history.add(world.periods[0], period.SourcesMissing(names, 0))


def test_an_invoice_names_who_was_not_heard() -> None:
    """By the fact that stands before the close; the node spoke at 0 only."""
    world = TaxWorld()
    world.taxed()
    world.use(0, HOUR_US)
    silent(world, world.node)
    world.invoice()
    draft = world.books.taxed_invoice_of(world.periods[0])
    assert draft is not None
    assert draft.missing == (world.node,)
    agreed(world)


def test_only_who_is_silent_is_missing() -> None:
    """A node that spoke at the end or later, one that is none, one twice, out of order; of a period
    that was never opened, or is closed.
    """
    world = TaxWorld()
    world.history.lease(world.node, [], MONTH)
    silent(world, world.node)
    refused(world.history, "books.missing", "sources")
    world = TaxWorld()
    world.history.lease(world.node, [], MONTH - 1)
    silent(world, world.node)
    agreed(world)
    other = world.history.node(2, "T4")
    for names in ((stream("node", 9),), (world.node, world.node), (other, world.node)):
        world = TaxWorld()
        world.history.node(2, "T4")
        silent(world, *names)
        refused(world.history, "books.missing", "sources")
    world = TaxWorld()
    world.history.close(world.owner, world.periods[0], 0, MONTH)
    silent(world, world.node)
    refused(world.history, "books.missing", "sources")
    world = TaxWorld()
    world.history.add(stream("period", 9), period.SourcesMissing((world.node,), 0))
    refused(world.history, "books.period", "stream")


def test_what_is_paid_is_no_longer_receivable() -> None:
    """In parts, less what a credit note took, until nothing is due; plain invoices likewise."""
    world, first = billed()
    total = agreed(world)["receivable"] // 10**10
    world.pay(first, 40, total - 40)
    world.credit(first, [(0, 100)])
    world.pay(first, total - 40 - 119, 0)
    balances = agreed(world)
    assert balances["receivable"] == 0
    assert balances["cash"] == (total - 119) * 10**10
    history = invoiced()
    history.add(stream("invoice", 1), invoice.Paid(1, 0, PARTY, 0, 0))
    with Books(None) as books:
        history.feed(books)
        assert books.balances(stream("account", 1))["cash"] == (1, 10**10)


def test_nothing_is_added_to_a_closed_period() -> None:
    """What is credited and paid is booked in the open one, of the period that was invoiced."""
    world, first = billed()
    agreed(world)
    before = [one for one in world.moved if one.booked == world.periods[0]]
    world.pay(first, 40, 199)
    world.credit(first)
    agreed(world)
    assert [one for one in world.moved if one.booked == world.periods[0]] == before
    later = [one for one in world.moved if one not in before]
    assert {one.kind for one in later} == {"payment", "credit", "credit_rounding", "credit_tax"}
    assert {(one.period, one.booked) for one in later} == {tuple(world.periods[:2])}


def test_no_more_is_paid_than_is_due() -> None:
    """Nor nothing, nor less than nothing, nor an invoice that is none; what is then due is said."""
    for minor, due, field in (
        (0, 239, "amount_minor"), (-1, 240, "amount_minor"), (240, -1, "amount_minor"),
        (239, 1, "due_minor"), (1, 239, "due_minor"),
    ):  # fmt: skip
        world, first = billed()
        assert agreed(world)["receivable"] == 239 * 10**10
        world.pay(first, minor, due)
        refused(world.history, "books.paid", field)
    world, first = billed()
    world.credit(first)
    world.pay(first, 1, 0)
    refused(world.history, "books.paid", "amount_minor")
    world, _ = billed()
    world.pay(stream("invoice", 9), 1, 0)
    refused(world.history, "books.paid", "stream")


# -- what the auditor refuses -------------------------------------------------------------


def sold() -> TaxWorld:
    """A seller, its rates, no account taxed yet."""
    return TaxWorld()


@pytest.mark.parametrize(
    ("rate", "field"),
    [
        (("new", "DE", "*", "K", 0, "", 1), "category"),
        (("new", "DE", "*", "S", 0, "", 1), "rate_bp"),
        (("new", "DE", "*", "S", 10_001, "", 1), "rate_bp"),
        (("new", "DE", "*", "Z", 1, "", 1), "rate_bp"),
        (("new", "DE", "*", "S", 1, "VATEX-EU-AE", 1), "reason"),
        (("new", "DE", "*", "AE", 0, "", 1), "reason"),
        ((STANDARD, "DE", "*", "S", 1, "", -62_135_596_800_000_000), "effective_from_us"),
    ],
)
def test_a_rate_that_cannot_be(rate: tuple[Any, ...], field: str) -> None:
    """A category nobody knows, a rate where there is none or none where there is one, no reason."""
    world = sold()
    world.rate(*rate)
    refused(world.history, "books.tax", field)


def test_rates_at_the_edge_are_rates() -> None:
    """100 %, and others of the same treatment, each at its own instant."""
    world = sold()
    world.rate(STANDARD, "DE", "*", "S", 10_000, "", 1)
    world.rate(STANDARD, "DE", "*", "Z", 0, "", 2)
    agreed(world)


def test_a_prefix_is_of_one_seller() -> None:
    """Else two would give one number."""
    world = sold()
    world.history.add(stream("seller", 2), seller.Registered(PARTY, "DE", "ACME", 14, 0))
    refused(world.history, "books.seller", "prefix")


def test_a_buyer_has_a_seller_and_a_rate() -> None:
    """A seller that is none; a treatment, a country that the table does not have since ever."""
    world = sold()
    taxed = account.Taxed(stream("seller", 9), OTHER_PARTY, "DE", STANDARD, 0)
    world.history.add(world.owner, taxed)
    refused(world.history, "books.seller", "seller")
    world = sold()
    world.taxed(STANDARD, "FR")
    refused(world.history, "books.tax", "treatment")
    world = sold()
    world.rate("late", "DE", "*", "S", 100, "", 1)
    world.taxed("late")
    refused(world.history, "books.tax", "treatment")


def test_a_buyers_account_is_of_its_organization() -> None:
    """The entry is of another organization than the account's."""
    world = sold()
    other = stream("account", 9)
    world.history.add(other, account.Taxed(SELLER, OTHER_PARTY, "DE", STANDARD, 0))
    refused(world.history, "books.account", "account")
    world = sold()
    position = world.taxed()
    entry = {**world.history.entry(position), "org": stream("organization", 9)}
    with Books(None) as books:
        for at in range(position):
            books.feed(at, world.history.entry(at))
        with pytest.raises(Invalid, match=r"books\.org"):
            books.feed(position, entry)


def cut(world: TaxWorld, kind: type) -> int:
    """The history ends with its last fact of that kind; where that is."""
    at = max(n for n, (_, _, fact) in enumerate(world.history.facts) if isinstance(fact, kind))
    del world.history.facts[at + 1 :]
    return at


def altered(world: TaxWorld, kind: type, **changes: Any) -> None:
    """Likewise, with that fact changed."""
    at = cut(world, kind)
    stream_id, cause, fact = world.history.facts[at]
    world.history.facts[at] = (stream_id, cause, structs.replace(fact, **changes))


def reordered(world: TaxWorld, parts: tuple[Part, ...]) -> None:
    """Likewise of the last credit note, which was ordered and is issued of other parts."""
    altered(world, invoice.Credited, parts=parts)
    at = len(world.history.facts) - 2
    stream_id, cause, order = world.history.facts[at]
    world.history.facts[at] = (stream_id, cause, structs.replace(order, parts=parts))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, "wrong") for name in ("currency", "file", "sha256")),
        *((name, 7) for name in ("minor_digits", "total_pico", "net_minor", "tax_minor")),
        *((name, 7) for name in ("total_minor", "line_count")),
    ],
)
def test_an_invoice_says_what_is_derived(field: str, value: Any) -> None:
    """Every field that follows."""
    world, _ = billed()
    altered(world, invoice.TaxedFinalized, **{field: value})
    refused(world.history, "books.invoice_differs", field)


def test_an_invoice_is_its_sellers() -> None:
    """Another seller's; one of an account that has none; a plain one of an account that has one."""
    world, _ = billed()
    altered(world, invoice.TaxedFinalized, seller=stream("seller", 9))
    refused(world.history, "books.tax", "seller")
    world, _ = billed()
    facts = world.history.facts
    at = next(n for n, (_, _, fact) in enumerate(facts) if isinstance(fact, account.Taxed))
    facts[at] = (world.owner, facts[at][1], account.Invoiced("", 1))
    del facts[at]
    at = cut(world, invoice.TaxedFinalized)
    said = facts[at][2]
    assert isinstance(said, invoice.TaxedFinalized)
    facts[at] = (facts[at][0], facts[at][1], structs.replace(said, closed=said.closed - 1))
    refused(world.history, "books.tax", "seller")
    world = sold()
    world.taxed()
    closed = world.history.close(world.owner, world.periods[0], 0, MONTH)
    world.history.invoice(1, world.owner, world.periods[0], closed, b"", (0, 0, 0))
    del world.history.facts[-2:]
    refused(world.history, "books.tax", "account")


def test_an_account_does_not_count_its_sellers_invoices() -> None:
    """The seller does."""
    world, first = billed()
    world.history.add(world.owner, account.Invoiced(first, 1))
    refused(world.history, "books.invoiced", "invoice")


def test_numbers_have_no_gap_and_no_double() -> None:
    """A number left out, one given twice, another than the sequence says, another seller's, apart."""
    for sequence in (0, 2):
        world, _ = billed()
        altered(world, seller.Invoiced, sequence=sequence)
        refused(world.history, "books.invoiced", "sequence")
    world = sold()
    world.taxed()
    world.invoices = 1
    world.invoice()
    cut(world, seller.Invoiced)
    refused(world.history, "books.invoiced", "sequence")
    world = sold()
    world.taxed()
    world.prefix = "OTHER"
    world.invoice()
    cut(world, seller.Invoiced)
    refused(world.history, "books.invoiced", "sequence")
    world, first = billed()
    world.history.add(SELLER, seller.Invoiced(first, 2))
    refused(world.history, "books.invoiced")
    world, first = billed()
    cut(world, invoice.TaxedFinalized)
    world.history.add(SELLER, seller.Invoiced(first, 1))
    refused(world.history, "books.invoiced")
    world, first = billed()
    cause = world.history.facts[cut(world, invoice.TaxedFinalized)][1]
    world.history.add(stream("seller", 2), seller.Invoiced(first, 1), cause)
    refused(world.history, "books.seller", "seller")


def test_another_seller_does_not_number_it() -> None:
    """Each counts its own."""
    world = sold()
    other = stream("seller", 2)
    world.history.add(other, seller.Registered(PARTY, "DE", "OTHER", 14, 0))
    world.taxed()
    world.use(0, HOUR_US)
    first = world.invoice()
    cause = world.history.facts[cut(world, invoice.TaxedFinalized)][1]
    world.history.add(other, seller.Invoiced(first, 1), cause)
    refused(world.history, "books.invoiced")


def test_every_invoice_and_credit_note_is_numbered() -> None:
    """A log that ends without the number is not whole."""
    for kind in (seller.Invoiced, seller.Credited):
        world, first = billed()
        world.credit(first)
        facts = world.history.facts
        at = next(n for n, (_, _, fact) in enumerate(facts) if isinstance(fact, kind))
        del facts[at]
        with Books(None) as books:
            world.history.feed(books)
            with pytest.raises(Invalid, match=r"books\.invoiced"):
                drained(books).finish()


def test_numbers_of_credit_notes_count_apart() -> None:
    """The second credit note cannot be the first again."""
    world, first = billed()
    world.credit(first, [(0, 1)])
    world.credit(first)
    altered(world, seller.Credited, sequence=1)
    refused(world.history, "books.invoiced", "sequence")


@pytest.mark.parametrize(
    ("field", "value"),
    [*((name, 7) for name in ("net_minor", "tax_minor", "total_minor")), ("file", "creditnote-x"),
     ("sha256", "0" * 64)],
)  # fmt: skip
def test_a_credit_note_says_what_is_derived(field: str, value: Any) -> None:
    """Every field that follows."""
    world, first = billed()
    world.credit(first)
    altered(world, invoice.Credited, **{field: value})
    refused(world.history, "books.credit_differs", field)


@pytest.mark.parametrize(
    "parts",
    [
        (Part(0, 201),),
        (Part(0, 0),),
        (Part(0, -1),),
        (Part(9, 1),),
    ],
)
def test_a_credit_note_takes_no_more_than_is_left(parts: tuple[Part, ...]) -> None:
    """Of a line it has, of its sign, a bounded number of parts."""
    world, first = billed()
    world.credit(first, [(0, 1)])
    reordered(world, parts)
    refused(world.history, "books.credit", "parts")


def test_a_part_that_was_credited_is_gone() -> None:
    """50 of 200, then 151: no."""
    world, first = billed()
    world.credit(first, [(0, 50)])
    world.credit(first, [(0, 1)])
    reordered(world, (Part(0, 151),))
    refused(world.history, "books.credit", "parts")


def test_dinars_are_credited_in_steps_of_ten_fils() -> None:
    """As they are invoiced."""
    world, first = billed(currency="KWD", digits=3)
    world.credit(first, [(0, 10)])
    reordered(world, (Part(0, 15),))
    refused(world.history, "books.credit", "parts")


def test_nothing_is_credited_once_nothing_is_left() -> None:
    """A second void."""
    world, first = billed()
    world.credit(first)
    note = world.history.facts[-3][2]
    assert isinstance(note, invoice.Credited)
    other = stream("credit_note", 9)
    world.history.add(first, invoice.CreditOrdered(other, (), "correction", 0))
    world.history.add(first, structs.replace(note, credit_note=other))
    refused(world.history, "books.credit", "parts")


def test_a_credit_note_is_ordered_once_and_carried_out_once_as_ordered() -> None:
    """Of nothing that was ordered; other parts, another word; twice; an id that is taken."""
    for changes in ({"credit_note": "x"}, {"parts": (Part(0, 1),)}, {"why": "other"}):
        world, first = billed()
        world.credit(first, [(0, 2)])
        altered(world, invoice.Credited, **changes)
        refused(world.history, "books.credit", "credit_note")
    world, first = billed()
    world.credit(first, [(0, 2)])
    world.history.add(*world.history.facts[-3][::2])
    refused(world.history, "books.credit", "credit_note")
    world, first = billed()
    world.credit(first, [(0, 2)])
    world.history.add(*world.history.facts[-4][::2])
    refused(world.history, "books.credit", "credit_note")


def test_a_credit_note_is_of_its_invoices_account_and_seller_and_is_one() -> None:
    """Another account, another seller, an invoice that is none, an id that was given before."""
    for changes in ({"account": stream("account", 9)}, {"seller": stream("seller", 9)}):
        world, first = billed()
        world.credit(first)
        altered(world, invoice.Credited, **changes)
        refused(world.history, "books.credit", "account")
    world, first = billed()
    world.credit(first)
    at = cut(world, invoice.Credited)
    world.history.facts[at] = (stream("invoice", 9), *world.history.facts[at][1:])
    refused(world.history, "books.credit", "account")


def test_a_credit_notes_file_stands_beside_it() -> None:
    """Left out, it is told at the end; other bytes at once."""
    world, first = billed()
    world.credit(first)
    del world.history.facts[-1]
    with Books(None) as books:
        world.history.feed(books)
        with pytest.raises(Invalid, match=r"books\.invoice_file"):
            drained(books).finish()
    world, first = billed()
    world.credit(first)
    altered(world, sealing.FileSealed, bytes=1)
    refused(world.history, "books.invoice_file", "bytes")


def test_the_platform_halts_on_what_it_would_not_have_written() -> None:
    """An invoice or credit note that differs from what is booked, and facts out of place."""
    for kind, changes in (
        (invoice.TaxedFinalized, {"tax_minor": 1}),
        (invoice.TaxedFinalized, {"line_count": 9}),
        (invoice.Credited, {"net_minor": 1}),
    ):
        world, first = billed()
        world.credit(first)
        altered(world, kind, **changes)
        world.books, world.fed = type(world.books)(), 0
        with pytest.raises(DomainError, match=r"rating\.(invoice|credit)_differs"):
            world.catch_up()


def test_a_rate_is_the_tables_own() -> None:
    """The effective one of the meter comes before the one of any meter."""
    world = sold()
    world.rate(STANDARD, "DE", "gpu.time", "S", 500, "", MONTH)
    world.taxed()
    world.use(0, HOUR_US)
    world.invoice()
    world.use(MONTH, MONTH + HOUR_US)
    world.invoice(1)
    found = [world.books.taxed_invoice_of(one) for one in world.periods[:2]]
    assert [one.taxes[0].rate_bp for one in found if one is not None] == [1900, 500]
    agreed(world)


def test_rates_at_one_instant_are_of_different_meters() -> None:
    """The struct's key, as the auditor's."""
    one = RateSet(STANDARD, "DE", "*", "S", 1, "", 5, 0)
    assert seller.key_of(one) == (STANDARD, "DE", "*", 5)
