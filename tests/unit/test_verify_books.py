"""The auditor's books against numbers worked out by hand from contracts/rating.md."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from domain import period, runtime, sealing
from gpuaas_verify.books import Books
from gpuaas_verify.books_prices import round_half_even
from gpuaas_verify.errors import Invalid
from tests.property.books_history import HOUR_US, History, stream

MONTH = 100 * HOUR_US


def simple() -> tuple[History, str, str, str]:
    """One account with two periods, T4 at 1 USD an hour, one node."""
    history = History()
    account = history.account(1)
    first = history.period(account, 1, 1, 0, MONTH)
    history.period(account, 2, 2, MONTH, 2 * MONTH)
    history.price(10**12, 0)
    return history, account, first, history.node(1, "T4")


def rows(history: History) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Every row the history derives."""
    with Books(None) as books:
        history.feed(books)
        return list(books.expected_rows("rated_interval")), list(books.expected_rows("transfer"))


def sealed(history: History, *, through: int | None = None) -> dict[str, list[dict[str, Any]]]:
    """The history's rows, sealed in one batch at its end; the rows as sealed."""
    by_table = dict(zip(("rated_interval", "transfer"), rows(history), strict=True))
    through = len(history.facts) - 1 if through is None else through
    cause = f"cmd:{len(history.facts):064x}"
    rated, moved = by_table["rated_interval"], by_table["transfer"]
    quantity = sum(row["sign"] * row["quantity"] for row in rated)
    amount = sum(row["amount_pico"] for row in moved)
    if rated:
        seal = sealing.IntervalsSealed("rated_interval", 0, len(rated), "", None, through, quantity)
        history.add(stream("rating", 1), seal, cause)
    if moved:
        other = sealing.TransfersSealed("transfer", 0, len(moved), "", None, through, amount)
        history.add(stream("ledger", 1), other, cause)
    return {
        table: [{"row": row.pop("row"), "salt": "00" * 16, **row} for row in map(dict, derived)]
        for table, derived in by_table.items()
    }


def check(history: History, by_table: dict[str, list[dict[str, Any]]]) -> Any:
    """The report of a whole comparison."""
    with Books(None) as books:
        history.feed(books)
        return compared(books, by_table)


def drained(books: Books) -> Books:
    """The books with their rows taken off, as if compared."""
    for table in ("rated_interval", "transfer"):
        list(books.expected_rows(table))
    return books


def compared(books: Books, by_table: dict[str, list[dict[str, Any]]]) -> Any:
    """The report of the books held against these rows."""
    for table, given in by_table.items():
        if given:
            books.compare(table, 0, given)
    return books.finish()


def changed(history: History, position: int, name: str, value: Any) -> Books:
    """Books fed with every entry, one field of the fact at the position changed."""
    books = Books(None)
    for at in range(len(history.facts)):
        entry = history.entry(at)
        if at == position:
            entry["fact"][name] = value(entry["fact"][name]) if callable(value) else value
        books.feed(at, entry)
    return books


def test_an_hour_of_one_gpu_costs_its_price() -> None:
    """Quantity = gpu_milli x us; amount = q x price / divisor; one transfer unbilled -> revenue."""
    history, account, first, node = simple()
    one = history.start(1, account, node, 0)
    history.say(runtime.Usable, one, HOUR_US)
    cause = history.say(runtime.Stopped, one, 2 * HOUR_US)
    (rated,), (moved,) = rows(history)
    assert rated == {
        "row": 0, "cause": cause, "resource": one, "meter": "gpu.time", "price": 3,
        "period": first, "booked": first, "start_us": HOUR_US, "end_us": 2 * HOUR_US, "sign": 1,
        "quantity": 1000 * HOUR_US, "line_quantity": 1000 * HOUR_US, "line_amount_pico": 10**12,
    }  # fmt: skip
    text = f"gpuaas-transfer/1\n{cause}\ncharge\n{one}\ngpu.time\n3\n{first}\nUSD\n{HOUR_US}\n"
    assert moved == {
        "row": 0, "id": sha256(text.encode()).hexdigest(), "cause": cause, "kind": "charge",
        "account": account, "debit": "unbilled", "credit": "revenue:gpu.time:T4",
        "currency": "USD", "amount_pico": 10**12, "resource": one, "meter": "gpu.time",
        "price": 3, "period": first, "booked": first, "debit_seq": 1,
        "debit_balance_pico": 10**12, "credit_seq": 1, "credit_balance_pico": -(10**12),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("numerator", "divisor", "rounded"),
    [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (9, 4, 2), (11, 4, 3), (-9, 4, -2), (0, 7, 0)],
)
def test_a_half_goes_to_the_even_side(numerator: int, divisor: int, rounded: int) -> None:
    """round_half_even, negative numbers included."""
    assert round_half_even(numerator, divisor) == rounded


def test_a_charge_is_cut_where_price_and_period_change_and_nowhere_else() -> None:
    """An account's own entry beats the default; a default change under it cuts nothing."""
    history, account, first, node = simple()
    own = history.price(5 * 10**11, 10 * HOUR_US, whose=account)
    history.price(3 * 10**12, 20 * HOUR_US)
    history.price(7 * 10**12, 30 * HOUR_US, published=40 * HOUR_US)
    one = history.start(1, account, node, 0)
    history.say(runtime.Usable, one, 0)
    history.say(runtime.Stopped, one, MONTH + HOUR_US)
    rated, _ = rows(history)
    assert [(row["start_us"] // HOUR_US, row["end_us"] // HOUR_US, row["price"]) for row in rated] == [
        (0, 10, 3), (10, 100, own), (100, 101, own),
    ]  # fmt: skip
    assert [row["period"] for row in rated] == [first, first, stream("period", 2)]


def test_a_stop_before_what_was_charged_gives_it_back() -> None:
    """A period's close charges to its end; a loss before it reverses, booked in the open one."""
    history, account, first, node = simple()
    one = history.start(1, account, node, 0)
    history.say(runtime.Usable, one, 0)
    history.lease(node, [one], 90 * HOUR_US)
    history.close(account, first, 0, MONTH)
    history.lose(one, 101 * HOUR_US)
    rated, moved = rows(history)
    assert [(row["sign"], row["start_us"], row["end_us"]) for row in rated] == [
        (1, 0, MONTH),
        (-1, 90 * HOUR_US, MONTH),
    ]
    assert (rated[1]["period"], rated[1]["booked"]) == (first, stream("period", 2))
    assert rated[1]["line_amount_pico"] == 90 * 10**12
    assert (moved[1]["debit"], moved[1]["amount_pico"]) == ("revenue:gpu.time:T4", 10**13)
    assert moved[1]["debit_balance_pico"] == -90 * 10**12


def test_a_runtime_that_never_became_usable_costs_nothing() -> None:
    """No interval, no row: openai/parameter-golf#821, skypilot#1751."""
    history, account, _, node = simple()
    one = history.start(1, account, node, 0)
    history.say(runtime.Failed, one, HOUR_US)
    two = history.start(2, account, node, 0)
    history.add(two, runtime.Cancelled("no node", HOUR_US))
    assert rows(history) == ([], [])


def test_degraded_time_is_not_billed() -> None:
    """`degraded` closes the interval, the next `usable` opens another."""
    history, account, _, node = simple()
    one = history.start(1, account, node, 0)
    history.say(runtime.Usable, one, 0)
    history.say(runtime.Degraded, one, HOUR_US)
    history.say(runtime.Usable, one, 3 * HOUR_US)
    history.say(runtime.Stopped, one, 4 * HOUR_US)
    rated, _ = rows(history)
    assert sum(row["quantity"] for row in rated) == 2 * 1000 * HOUR_US


def invoiced(
    form: str = "gpuaas-invoice/1", silent: int | None = None, *, null: bool = False
) -> History:
    """45 s of a T4 at 1 USD an hour: 1.25 cents, shown 1, with its file. `silent`: so many nodes had
    not told all; `null`: the file says that of nobody it knows.
    """
    history, account, first, node = simple()
    one = history.start(1, account, node, 0)
    history.say(runtime.Usable, one, 0)
    history.say(runtime.Stopped, one, 45_000_000)
    names = [node][:silent]
    if silent is not None:
        history.add(first, period.SourcesMissing(tuple(names), 0))
    closed = history.close(account, first, 0, MONTH)
    named = {"missing": None if null else names} if form != "gpuaas-invoice/1" else {}
    document = {
        "format": form, "number": "INV-1",
        "organization": "organization-00000000-0000-7000-8000-000000000000",
        "account": account, "period": first, "start_us": 0, "end_us": MONTH, "currency": "USD",
        "minor_digits": 2, "simulated": True, **named,
        "lines": [{
            "project": stream("project", 1), "sku": "gpu.time:T4", "price": 3,
            "service_period": first, "quantity": 45_000_000_000, "amount_pico": 12_500_000_000,
            "shown_minor": 1,
        }],
        "total_pico": 12_500_000_000, "rounding_pico": -2_500_000_000, "total_minor": 1,
    }  # fmt: skip
    data = json.dumps(document, separators=(",", ":")).encode()
    history.invoice(1, account, first, closed, data, (12_500_000_000, 1, 1))
    return history


def test_an_invoice_and_its_file_follow_from_the_entries() -> None:
    """Lines, totals, rounding and every byte of the file."""
    history = invoiced()
    _, moved = rows(history)
    assert [(m["kind"], m["debit"], m["credit"], m["amount_pico"]) for m in moved[1:]] == [
        ("invoice", "receivable", "unbilled", 12_500_000_000),
        ("rounding", "rounding", "receivable", 2_500_000_000),
    ]
    assert moved[2]["debit_balance_pico"] == 2_500_000_000
    assert moved[2]["credit_balance_pico"] == 10_000_000_000
    assert moved[1]["price"] is None


def test_who_was_silent_stands_in_the_file_or_in_none() -> None:
    """As `gpuaas-invoice/3`, where somebody was; files of earlier releases name nobody, and stand."""
    for right in (invoiced("gpuaas-invoice/3", 1), invoiced(silent=1)):
        assert [one["kind"] for one in rows(right)[1]] == ["charge", "invoice", "rounding"]
    nobody = invoiced("gpuaas-invoice/3", null=True)
    for wrong in (invoiced("gpuaas-invoice/3"), nobody, invoiced("gpuaas-invoice/2", 1)):
        with pytest.raises(Invalid, match="invoice_differs"):
            rows(wrong)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("total_pico", 12_500_000_001), ("total_minor", 2), ("line_count", 2), ("sha256", "0" * 64),
        ("file", "invoice-inv-2.json"), ("currency", "EUR"), ("minor_digits", 3), ("closed", 5),
        ("period", stream("period", 2)), ("number", "INV-3"),
    ],
)  # fmt: skip
def test_an_invoice_that_says_anything_else_is_refused(field: str, value: Any) -> None:
    """Each derived field of `invoice.finalized`, changed, fails at its position."""
    history = invoiced()
    position = len(history.facts) - 3
    with pytest.raises(Invalid) as caught:
        changed(history, position, field, value)
    assert caught.value.position == position


@pytest.mark.parametrize("field", ["sha256", "bytes", "name"])
def test_a_file_sealed_with_other_bytes_is_refused(field: str) -> None:
    """The sealed file is the derived one; an invoice without its file fails at the end."""
    history = invoiced()
    value = {"sha256": "0" * 64, "bytes": 3, "name": "other.json"}[field]
    with pytest.raises(Invalid) as caught:
        drained(changed(history, len(history.facts) - 2, field, value)).finish()
    assert caught.value.code == "books.invoice_file"


def test_an_invoice_file_is_never_superseded() -> None:
    """A file of another name cannot take an invoice's file out of the bundle."""
    history = invoiced()
    seal = sealing.FileSealed("other.csv", "0" * 64, 1, 0, len(history.facts) - 2)
    history.add(stream("files", 1), seal)
    with pytest.raises(Invalid, match="invoice_superseded"):
        rows(history)


def test_sealed_rows_equal_to_the_derived_ones_are_whole_books() -> None:
    """One to one up to `through`; nothing is left."""
    history = invoiced()
    report = check(history, sealed(history))
    assert report.complete
    assert report.rows == {"rated_interval": 1, "transfer": 3}
    assert (report.invoices, report.unsealed_causes) == (1, 0)


def test_every_field_of_every_row_is_compared() -> None:
    """A row changed in one field, salt aside, fails with its number and that field."""
    history = invoiced()
    by_table = sealed(history)
    for table, given in by_table.items():
        for number, row in enumerate(given):
            for name, value in row.items():
                if name == "salt":
                    continue
                other: Any = value + 1 if isinstance(value, int) else f"{value}x"
                spoiled = [dict(each) for each in given]
                spoiled[number][name] = other
                with pytest.raises(Invalid) as caught:
                    check(history, {**by_table, table: spoiled})
                assert (caught.value.row, caught.value.field) == (number, name)


def test_true_is_not_one() -> None:
    """JSON's true equals 1 in Python; a row with it differs."""
    history = invoiced()
    by_table = sealed(history)
    by_table["rated_interval"][0]["sign"] = True
    with pytest.raises(Invalid, match="row_differs"):
        check(history, by_table)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda given: given[:-1], "books.row_missing"),
        (lambda given: [*given, given[-1]], "books.row_extra"),
        (lambda given: [given[1], given[0], *given[2:]], "books.row_differs"),
        (lambda given: [given[0], *given], "books.row_differs"),
    ],
)
def test_rows_dropped_doubled_or_swapped_are_refused(
    spoil: Callable[[list[Any]], list[Any]], code: str
) -> None:
    """One to one, in order."""
    history = invoiced()
    by_table = sealed(history)
    with pytest.raises(Invalid) as caught:
        check(history, {**by_table, "transfer": spoil(by_table["transfer"])})
    assert caught.value.code == code
    assert caught.value.row is not None


def test_causes_after_the_last_seal_are_reported_not_hidden() -> None:
    """`unsealed`: counted, and the books are whole only if they give no row."""
    history, account, _, node = simple()
    one = history.start(1, account, node, 0)
    history.say(runtime.Failed, one, HOUR_US)
    assert check(history, {}).complete
    two = history.start(2, account, node, 0)
    history.say(runtime.Usable, two, 0)
    history.say(runtime.Stopped, two, HOUR_US)
    report = check(history, {})
    assert not report.complete
    assert report.unsealed_causes == 2
    assert report.unsealed_rows == {"rated_interval": 1, "transfer": 1}


def test_half_a_cause_or_one_table_alone_is_no_batch() -> None:
    """A seal whose twin is missing leaves derived rows behind its `through`: found at the end."""
    history, account, _, node = simple()
    one = history.start(1, account, node, 0)
    history.say(runtime.Usable, one, 0)
    history.say(runtime.Stopped, one, HOUR_US)
    by_table = sealed(history)
    del history.facts[-1]
    with pytest.raises(Invalid, match="row_missing"):
        check(history, {**by_table, "transfer": []})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("table", "transfer"), ("first_row", 1), ("count", 2), ("count", 0), ("prev_seal", 1),
        ("through", 10**6), ("through", -2), ("quantity_sum", 1),
    ],
)  # fmt: skip
def test_a_seal_that_says_anything_else_is_refused(field: str, value: Any) -> None:
    """Every field of a seal but its root (which is the rows' check) is held against the rows."""
    history = invoiced()
    by_table = sealed(history)
    position = len(history.facts) - 2
    with pytest.raises(Invalid) as caught:
        compared(changed(history, position, field, value), by_table)
    assert caught.value.position == position or caught.value.row is not None


@pytest.mark.parametrize("shift", [-1, 1])
@pytest.mark.parametrize(
    "what", [runtime.Usable, runtime.Stopped, runtime.Degraded, runtime.Failed]
)
def test_a_billable_instant_is_computed_not_believed(what: Any, shift: int) -> None:
    """Anchor + delta, clamped; one microsecond off is refused with the field."""
    history, account, _, node = simple()
    one = history.start(1, account, node, 0)
    if what is not runtime.Usable:
        history.say(runtime.Usable, one, HOUR_US)
    position = history.say(what, one, 2 * HOUR_US)
    field = what.__struct_fields__[what.__struct_fields__.index("boottime_us") + 1]
    with pytest.raises(Invalid) as caught:
        changed(history, position, field, lambda instant: instant + shift)
    assert (caught.value.code, caught.value.field) == ("books.instant", field)


def test_a_lost_runtime_ends_at_its_last_logged_renewal() -> None:
    """Not at the moment somebody noticed."""
    history, account, _, node = simple()
    one = history.start(1, account, node, 0)
    history.say(runtime.Usable, one, 0)
    history.lease(node, [one], 5 * HOUR_US)
    history.lease(node, [], 6 * HOUR_US)
    history.add(one, runtime.Lost(6 * HOUR_US, 7 * HOUR_US))
    with pytest.raises(Invalid, match="derived 18000000000"):
        rows(history)


def test_an_attested_body_that_says_another_time_is_refused() -> None:
    """The instant rests on the signed bytes, not on the fact's copy of them."""
    history, account, _, node = simple()
    one = history.start(1, account, node, 0)
    position = history.say(runtime.Usable, one, HOUR_US)
    with pytest.raises(Invalid) as caught:
        changed(history, position, "boottime_us", lambda boottime: boottime + 1)
    assert (caught.value.code, caught.value.field) == ("books.attested", "boottime_us")


def test_time_without_price_or_period_fails_by_name() -> None:
    """A derivation never guesses."""
    history, account, _, _ = simple()
    one = history.start(1, account, history.node(2, "G3"), 0, model="G3")
    history.say(runtime.Usable, one, 0)
    history.say(runtime.Stopped, one, HOUR_US)
    with pytest.raises(Invalid, match=r"rating\.no_price"):
        rows(history)
    history, account, _, node = simple()
    one = history.start(1, account, node, 0)
    history.say(runtime.Usable, one, 0)
    history.say(runtime.Stopped, one, 3 * MONTH)
    with pytest.raises(Invalid, match=r"rating\.no_period"):
        rows(history)


def test_a_second_price_under_the_same_key_is_refused() -> None:
    """(account, meter, model, region, state, effective_from) is unique."""
    history, *_ = simple()
    history.price(2 * 10**12, 0)
    with pytest.raises(Invalid, match=r"books\.price"):
        rows(history)


@pytest.mark.parametrize("drop", ["gpu_milli", "account", "models"])
def test_a_malformed_fact_is_a_verdict_never_a_traceback(drop: str) -> None:
    """A field missing, of another type, or out of order."""
    history, account, _, node = simple()
    history.start(1, account, node, 0)
    entry = history.entry(len(history.facts) - 2)
    for spoil in (
        {name: value for name, value in entry["fact"].items() if name != drop},
        {**entry["fact"], drop: True},
        {drop: entry["fact"][drop], **entry["fact"]},
        {**entry["fact"], "more": 1},
    ):
        books = Books(None)
        for at in range(entry["position"]):
            books.feed(at, history.entry(at))
        with pytest.raises(Invalid) as caught:
            books.feed(entry["position"], {**entry, "fact": spoil})
        assert caught.value.code == "fact.malformed"


def test_books_that_overflow_to_disk_are_the_same_books(tmp_path: Any) -> None:
    """With room for almost nothing in memory every row and balance is the same, and no file stays."""
    history, account, first, node = simple()
    for number in range(1, 40):
        one = history.start(number, account, node, 0, milli=number, project=number % 5)
        history.say(runtime.Usable, one, number)
        if number % 3:
            history.say(runtime.Stopped, one, HOUR_US + number)
    history.close(account, first, 0, MONTH)
    with Books(str(tmp_path), items=3, rows=2) as small, Books(None) as large:
        history.feed(small)
        history.feed(large)
        assert any(tmp_path.iterdir())
        assert small.balances(account) == large.balances(account)
        for table in ("rated_interval", "transfer"):
            assert list(small.expected_rows(table)) == list(large.expected_rows(table))
    assert not any(tmp_path.iterdir())
