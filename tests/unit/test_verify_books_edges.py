"""Where one condition of the auditor's books decides: each of these fails without it."""

import base64
import json
from typing import Any

import pytest
from msgspec import structs

from domain import node, period, runtime, sealing
from domain.words import Gpu
from gpuaas_verify.books import Books
from gpuaas_verify.books_invoice import derive_lines
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid
from tests.property.books_history import HOUR_US, History, stream
from tests.unit.test_verify_books import MONTH, check, invoiced, rows, simple
from tests.unit.test_verify_books_refusals import refused, two_charges

Rows = dict[str, list[dict[str, Any]]]


def salted(history: History) -> Rows:
    """The derived rows as they would be sealed."""
    tables = zip(("rated_interval", "transfer"), rows(history), strict=True)
    return {
        table: [{"row": row.pop("row"), "salt": "00" * 16, **row} for row in derived]
        for table, derived in tables
    }


def seal(
    history: History, table: str, given: list[dict[str, Any]], through: int, **more: Any
) -> None:
    """Seals these rows of the table; `more` says the cause, the stream and the seal before."""
    is_rated = table == "rated_interval"
    total = sum(r["sign"] * r["quantity"] if is_rated else r["amount_pico"] for r in given)
    made = sealing.IntervalsSealed if is_rated else sealing.TransfersSealed
    fact = made(table, given[0]["row"], len(given), "", more.get("before"), through, total)
    where = more.get("stream") or stream("rating" if is_rated else "ledger", 1)
    history.add(where, fact, more.get("cause", f"cmd:{len(history.facts):064x}"))


def batch(history: History, by_table: Rows, through: int, before: dict[str, int]) -> None:
    """Both seals of one append; `before` names the last seals, and is kept up."""
    cause = f"cmd:{len(history.facts):064x}"
    for table, given in by_table.items():
        seal(history, table, given, through, cause=cause, before=before.get(table))
        before[table] = len(history.facts) - 1


def causes(history: History) -> list[int]:
    """Positions of the stops."""
    return [at for at, item in enumerate(history.facts) if isinstance(item[2], runtime.Stopped)]


def test_batches_may_be_compared_after_all_is_fed() -> None:
    """Two batches, and a cause after them that is told as unsealed."""
    history = two_charges()
    one = history.start(3, stream("account", 1), stream("node", 1), 0)
    history.say(runtime.Usable, one, 0)
    history.say(runtime.Stopped, one, HOUR_US)
    by_table = salted(history)
    before: dict[str, int] = {}
    for at, through in enumerate(causes(history)[:2]):
        batch(history, {t: given[at : at + 1] for t, given in by_table.items()}, through, before)
    with Books(None) as books:
        history.feed(books)
        for table, given in by_table.items():
            for at in (0, 1):
                books.compare(table, at, given[at : at + 1])
        report = books.finish()
    assert (report.unsealed_causes, report.rows["transfer"]) == (1, 2)
    assert report.unsealed_rows == {"rated_interval": 1, "transfer": 1}


def test_what_was_never_given_a_place_is_cancelled_at_no_cost() -> None:
    """Requested, not allocated: nothing of it was ever counted."""
    history, account, _, node_id = simple()
    one = history.start(1, account, node_id, 0)
    history.facts.pop()
    history.add(one, runtime.Cancelled("gone", 0))
    assert rows(history) == ([], [])


def test_a_row_of_a_later_cause_is_not_of_this_batch() -> None:
    """`through` says which causes a batch covers, and no row of another is in it."""
    history = two_charges()
    by_table = salted(history)
    batch(history, by_table, causes(history)[0], {})
    with pytest.raises(Invalid, match=r"books\.row_extra"):
        check(history, by_table)


def test_rows_without_any_seal_are_refused() -> None:
    """Nothing was sealed, so nothing may be compared."""
    history = two_charges()
    with Books(None) as books:
        history.feed(books)
        with pytest.raises(Invalid, match=r"books\.seal"):
            books.compare("transfer", 0, [])


def test_seals_keep_their_stream_and_kind() -> None:
    """One stream per table, of the table's kind."""
    history = two_charges()
    by_table = salted(history)
    seal(history, "transfer", by_table["transfer"], 5, stream=stream("rating", 1))
    refused(history, "books.seal", "stream")
    history = two_charges()
    seal(history, "transfer", by_table["transfer"][:1], causes(history)[0])
    last = len(history.facts) - 1
    rest = by_table["transfer"][1:]
    seal(history, "transfer", rest, causes(history)[1], before=last, stream=stream("ledger", 2))
    refused(history, "books.seal", "stream")


def test_one_batch_is_one_append_with_one_through_and_each_table_once() -> None:
    """Another cause, another `through`, a table twice."""
    history = two_charges()
    by_table = salted(history)
    rated, moved = by_table["rated_interval"], by_table["transfer"]
    through, cause = causes(history)[1], "cmd:one"
    seal(history, "rated_interval", rated, through, cause=cause)
    seal(history, "transfer", moved, through, cause="cmd:two")
    refused(history, "books.seal", "through")
    history.facts.pop()
    seal(history, "transfer", moved, through + 1, cause=cause)
    with pytest.raises(Invalid, match="not sealed with its batch"):
        check(history, by_table)
    history = two_charges()
    seal(history, "rated_interval", rated[:1], through, cause=cause)
    before = len(history.facts) - 1
    seal(history, "rated_interval", rated[1:], through, cause=cause, before=before)
    refused(history, "books.seal", "through")


def test_a_line_vanishes_only_when_it_says_nothing() -> None:
    """A quantity that cost nothing and an amount without quantity stand."""
    with Spill(None) as spill:
        for number, sums in enumerate(([5, 0], [0, 7], [0, 0])):
            spill.put("booked", "p", "\0".join(("project", "sku", f"{number:020d}", "s")), sums)
        assert [line[2:] for line in derive_lines(spill, "p")] == [(0, "s", 5, 0), (1, "s", 0, 7)]


def test_a_line_sums_all_its_runtimes() -> None:
    """Two hours of one project at one price are one line."""
    history = two_charges()
    with Books(None) as books:
        history.feed(books)
        [line] = derive_lines(books._spill, stream("period", 1))
    assert line[4:] == (2 * 1000 * HOUR_US, 2 * 10**12)


def test_other_files_are_not_of_the_books() -> None:
    """A name that only begins or only ends as an invoice's; one such superseded by the next."""
    history, *_ = simple()
    before: int | None = None
    for name in ("invoice-notes.csv", "usage.json"):
        for supersedes in (None, len(history.facts)):
            fact = sealing.FileSealed(name, "0" * 64, 1, 0, supersedes and before)
            before = history.add(stream("files", 1), fact)
    with Books(None) as books:
        history.feed(books)
        assert books.finish().invoices == 0


def test_two_seals_do_not_make_an_invoice() -> None:
    """The second seal of one append does not stand for the invoice that is missing."""
    history = invoiced()
    files, _, fact = history.facts[-2]
    del history.facts[-3:]
    for _ in range(2):
        history.add(files, fact, "cmd:one")
    refused(history, "books.invoice_file")


def test_a_node_enrolled_again_keeps_its_anchor() -> None:
    """Its boot goes on; and its runtimes'."""
    history, owner, _, node_id = simple()
    one = history.start(1, owner, node_id, 0)
    gpus = (Gpu(0, "GPU-0"),)
    history.add(node_id, node.Enrolled("0" * 64, "T4", True, gpus, "1", 0))
    history.say(runtime.Usable, one, 5)
    assert rows(history) == ([], [])


def test_a_renewal_counts_for_what_is_on_its_node() -> None:
    """One that names a stranger or another node's runtime changes nothing; one of no node is refused."""
    history, owner, _, node_id = simple()
    other = history.node(2, "T4")
    one = history.start(1, owner, node_id, 0)
    history.say(runtime.Usable, one, 0)
    history.lease(other, [one, stream("runtime", 77)], 500)
    history.lose(one, 900)
    assert rows(history) == ([], [])
    history, *_ = simple()
    history.anchors[stream("node", 9)] = history.anchors[stream("node", 1)]
    history.lease(stream("node", 9), [], 5)
    refused(history, "books.node", "node")


def test_a_runtime_that_ended_is_not_requested_again() -> None:
    """Its stream has a past."""
    history, owner, _, node_id = simple()
    one = history.start(1, owner, node_id, 0)
    history.add(one, runtime.Cancelled("x", 5))
    history.start(1, owner, node_id, 6)
    history.facts.pop()
    refused(history, "books.lifecycle", "stream")


def test_an_accepted_model_is_accepted() -> None:
    """The request names it, the node has it."""
    history, owner, _, node_id = simple()
    history.start(1, owner, node_id, 0)
    at, cause, fact = history.facts[-2]
    history.facts[-2] = (at, cause, structs.replace(fact, models=("G2", "T4")))
    assert rows(history) == ([], [])


def test_true_is_not_the_boot_time_1() -> None:
    """What a node signed is compared with its type."""
    history, owner, _, node_id = simple()
    one = history.start(1, owner, node_id, 0)
    history.say(runtime.Usable, one, 1)
    at, cause, fact = history.facts[-1]
    said = fact.attested  # type: ignore[attr-defined]
    body = {**json.loads(base64.b64decode(said.body)), "boottime_us": True}
    text = base64.b64encode(json.dumps(body).encode()).decode()
    lie = structs.replace(fact, attested=structs.replace(said, body=text))
    history.facts[-1] = (at, cause, lie)
    refused(history, "books.attested", "boottime_us")


def test_a_period_nobody_opened_is_not_closed() -> None:
    """An unknown stream."""
    history, owner, *_ = simple()
    history.add(stream("period", 9), period.Closed(owner, 0, MONTH, MONTH))
    refused(history, "books.period", "period")


def test_time_before_the_first_period_is_in_none() -> None:
    """Nor in the last one."""
    history = History()
    owner = history.account(1)
    history.period(owner, 1, 1, HOUR_US, MONTH)
    history.price(1, 0)
    one = history.start(1, owner, history.node(1, "T4"), 0)
    history.say(runtime.Usable, one, 0)
    history.say(runtime.Stopped, one, HOUR_US)
    refused(history, "rating.no_period")
