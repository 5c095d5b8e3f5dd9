"""Each refusal of the auditor's books: take the check away and one of these fails."""

import pytest

from domain import account, period, runtime
from gpuaas_verify.books import Books
from gpuaas_verify.errors import Invalid
from tests.property.books_history import HOUR_US, ORG, History, stream
from tests.unit.test_verify_books import MONTH, changed, check, drained, invoiced, sealed, simple


def refused(history: History, code: str, field: str | None = None) -> None:
    """The last fact, and only it, is refused with this code and field."""
    with Books(None) as books:
        for position in range(len(history.facts) - 1):
            books.feed(position, history.entry(position))
        last = len(history.facts) - 1
        with pytest.raises(Invalid) as caught:
            books.feed(last, history.entry(last))
    assert (caught.value.code, caught.value.field) == (code, field)
    assert caught.value.position == last


def running() -> tuple[History, str, str, str, str]:
    """A usable runtime in the simple world."""
    history, owner, first, node = simple()
    one = history.start(1, owner, node, 0)
    history.say(runtime.Usable, one, 0)
    return history, owner, first, node, one


def test_positions_are_fed_in_order_without_gaps() -> None:
    """A derivation from part of the log is no derivation."""
    history, *_ = simple()
    with Books(None) as books, pytest.raises(Invalid, match=r"books\.position"):
        books.feed(1, history.entry(1))


def test_an_account_is_opened_once_and_with_digits_pico_has() -> None:
    """`account.opened` twice; 13 digits."""
    history = History()
    history.account(1)
    history.account(1)
    refused(history, "books.account")
    history = History()
    history.account(1, digits=13)
    refused(history, "books.account", "minor_digits")


def test_a_period_needs_its_account_and_its_place() -> None:
    """Unknown account, wrong number, empty, not contiguous, opened twice."""
    history = History()
    history.period(stream("account", 9), 1, 1, 0, MONTH)
    refused(history, "books.account", "account")
    for number, sequence, start, end, field in (
        (3, 4, 2 * MONTH, 3 * MONTH, "sequence"),
        (3, 3, 2 * MONTH, 2 * MONTH, "end_us"),
        (3, 3, 2 * MONTH + 1, 3 * MONTH, "start_us"),
        (2, 3, 2 * MONTH, 3 * MONTH, None),
    ):
        history, owner, _, _ = simple()
        history.period(owner, number, sequence, start, end)
        refused(history, "books.period", field)


def test_a_close_is_of_the_period_as_it_was_opened_and_once() -> None:
    """Another account's, other instants, a second time."""
    history, owner, first, _ = simple()
    history.add(first, period.Closed(owner, 1, MONTH, MONTH))
    refused(history, "books.period", "start_us")
    history, owner, first, _ = simple()
    history.add(first, period.Closed(owner, 0, MONTH + 1, MONTH))
    refused(history, "books.period", "end_us")
    history, owner, first, _ = simple()
    history.close(owner, first, 0, MONTH)
    history.close(owner, first, 0, MONTH)
    refused(history, "books.period", "closed_us")
    history, owner, first, _ = simple()
    history.account(2)
    history.close(stream("account", 2), first, 0, MONTH)
    refused(history, "books.period", "period")


def test_every_period_closed_leaves_no_place_for_a_correction() -> None:
    """`rating.no_period`: nothing is booked into a closed period."""
    history, owner, first, node, one = running()
    history.lease(node, [one], 5)
    history.close(owner, first, 0, MONTH)
    history.close(owner, stream("period", 2), MONTH, 2 * MONTH)
    history.lose(one, 2 * MONTH)
    refused(history, "rating.no_period")


def test_a_price_divides_by_something() -> None:
    """Divisor 0."""
    history, *_ = simple()
    history.price(1, 5, divisor=0)
    refused(history, "books.price", "divisor")


def test_amounts_stay_below_ten_to_the_38th() -> None:
    """A product that would not fit NUMERIC(38, 0)."""
    history, owner, _, node = simple()
    history.price(10**37, 1, divisor=1)
    one = history.start(1, owner, node, 2)
    history.say(runtime.Usable, one, 2)
    history.say(runtime.Stopped, one, HOUR_US)
    refused(history, "books.overflow", "line_amount_pico")


def test_a_runtime_lives_once_in_order() -> None:
    """Requested twice, of no size, allocated twice or to nobody, spoken of too early or too late."""
    history, owner, _, node, one = running()
    history.start(1, owner, node, 0)
    history.facts.pop()
    refused(history, "books.lifecycle", "stream")
    history, owner, _, node = simple()
    history.start(1, owner, node, 0, milli=0)
    history.facts.pop()
    refused(history, "books.lifecycle", "gpu_milli")
    history, owner, _, node = simple()
    one = history.start(1, owner, node, 0)
    history.facts.append(history.facts[-1])
    refused(history, "books.lifecycle", "stream")
    history, owner, _, node = simple()
    history.start(1, owner, stream("node", 9), 0)
    refused(history, "books.node", "node")
    history, owner, _, node = simple()
    one = history.start(1, owner, node, 0)
    del history.facts[-1]
    history.say(runtime.Usable, one, 0)
    refused(history, "books.lifecycle", "stream")
    history, owner, _, node, one = running()
    history.say(runtime.Stopped, one, 5)
    history.facts.append(history.facts[-1])
    refused(history, "books.lifecycle", "stream")
    history, owner, _, node, one = running()
    history.add(one, runtime.Cancelled("late", 5))
    refused(history, "books.lifecycle", "stream")


def test_a_word_needs_an_anchor_and_its_own_bytes() -> None:
    """No anchor of the node; a body that is no JSON; another shape around it."""
    history, owner, _, node = simple()
    anchor = history.facts.pop()
    one = history.start(1, owner, node, 0)
    history.say(runtime.Usable, one, 0)
    refused(history, "books.instant", "usable_us")
    history.facts.insert(4, anchor)
    for spoil, code in (
        (lambda said: {**said, "body": "AAAA"}, "books.attested"),
        (lambda said: {**said, "body": "A"}, "books.attested"),
        (lambda said: {**said, "body": 1}, "fact.malformed"),
        (lambda said: {**said, "more": 1}, "fact.malformed"),
    ):
        history, _, _, _, one = running()
        with pytest.raises(Invalid) as caught:
            changed(history, len(history.facts) - 1, "attested", spoil)
        assert (caught.value.code, caught.value.field) == (code, "attested")


def test_invoices_of_an_account_are_numbered_without_gaps() -> None:
    """`account.invoiced` 2 after nothing."""
    history, owner, _, _ = simple()
    history.add(owner, account.Invoiced(stream("invoice", 1), 2))
    refused(history, "books.invoice", "sequence")


def test_a_period_has_one_invoice() -> None:
    """A second one, whatever it says."""
    history = invoiced()
    history.facts.append((stream("invoice", 2), "cmd:x", history.facts[-3][2]))
    refused(history, "books.invoice", "period")


def test_a_file_is_sealed_in_the_append_of_its_invoice_and_once() -> None:
    """Another cause; a second seal of the same name."""
    history = invoiced()
    files, _, fact = history.facts[-2]
    history.facts[-2] = (files, "cmd:other", fact)
    history.facts.pop()
    refused(history, "books.invoice_file")
    history = invoiced()
    history.facts.append(history.facts[-2])
    refused(history, "books.invoice_file")


def test_rows_are_compared_with_the_next_seal_and_all_of_them() -> None:
    """Rows nobody sealed there; a seal whose rows nobody brought."""
    history = invoiced()
    by_table = sealed(history)
    with Books(None) as books:
        history.feed(books)
        with pytest.raises(Invalid, match=r"books\.seal"):
            books.compare("transfer", 1, by_table["transfer"])
        with pytest.raises(Invalid, match="not compared"):
            drained(books).finish()


def test_a_row_has_its_keys_and_no_other() -> None:
    """A key more, and keys in another order."""
    history = invoiced()
    by_table = sealed(history)
    [row] = by_table["rated_interval"]
    for spoiled in ({**row, "more": 1}, dict(reversed(row.items()))):
        with pytest.raises(Invalid) as caught:
            check(history, {**by_table, "rated_interval": [spoiled]})
        assert (caught.value.code, caught.value.field) == ("books.row_differs", "row")


def two_charges() -> History:
    """Two runtimes of an hour each."""
    history, owner, _, node = simple()
    for number in (1, 2):
        one = history.start(number, owner, node, 0)
        history.say(runtime.Usable, one, 0)
        history.say(runtime.Stopped, one, HOUR_US)
    return history


def test_batches_go_forward() -> None:
    """A second batch with the `through` of the first is refused at its field."""
    history = invoiced()
    sealed(history)
    last = history.facts[-1]
    seal = type(last[2])(
        *(last[2].table, 3, 1, "", len(history.facts) - 1),  # type: ignore[attr-defined]
        *(last[2].through, 1),  # type: ignore[attr-defined]
    )
    history.add(last[0], seal)
    refused(history, "books.seal", "through")


def test_a_row_is_sealed_with_its_batch_not_later() -> None:
    """The transfers of a batch that sealed its intervals alone may not come with the next."""
    history = two_charges()
    by_table = sealed(history)
    name, _, fact = history.facts[-1]
    through = len(history.facts) - 2
    later = type(fact)(
        *("transfer", 0, fact.count, "", None, through, fact.amount_sum_pico)  # type: ignore[attr-defined]
    )
    history.facts[-1] = (name, "cmd:later", later)
    with pytest.raises(Invalid, match="not sealed with its batch"):
        check(history, by_table)


def test_a_fact_is_an_object() -> None:
    """Anything else is a verdict."""
    history, *_ = simple()
    for fact in ([ORG], None, 7):
        entry = {**history.entry(0), "fact": fact}
        with Books(None) as books, pytest.raises(Invalid, match=r"fact\.malformed"):
            books.feed(0, entry)
