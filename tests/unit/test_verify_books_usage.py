"""Readings in the auditor's books: whose words they are, and what they are charged."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.signing import public_hex
from contracts.usage import Batch, Reading, Reporter
from domain import meter, node, period, pricebook, project, sealing, source
from domain.identity import Doubled, Revoked
from domain.words import Gpu, Private
from gpuaas_verify.books import Books
from gpuaas_verify.errors import Invalid
from tests.property.books_history import HOUR_US, ORG, History, stream
from tests.unit.test_verify_books import MONTH

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
SOURCE, PROJECT, ACCOUNT = stream("source", 1), stream("project", 1), stream("account", 1)
USAGE = stream("usage", 1)
NODE = stream("node", 5)
ACROSS = MONTH - HOUR_US

type Row = dict[str, Any]


@dataclass
class Told(History):
    """A history with the rows of its seals of readings."""

    rows: dict[int, list[Row]] = field(default_factory=dict)
    sealed: int = 0
    last: int | None = None

    def seal(self, rows: list[Row], **changed: Any) -> int:
        """The rows, numbered on, under their seal."""
        rows = [{"row": self.sealed + n, "salt": "0" * 32, **row} for n, row in enumerate(rows)]
        total = sum(row["quantity"] for row in rows)
        names = ("table", "first_row", "count", "root", "prev_seal", "quantity_sum")
        said = ("reading", self.sealed, len(rows), "0" * 64, self.last, total)
        fact = sealing.ReadingsSealed(**{**dict(zip(names, said, strict=True)), **changed})
        self.last = self.add(USAGE, fact)
        self.rows[self.last] = rows
        self.sealed += len(rows)
        return self.last

    def feed(self, books: Books, first: int = 0) -> None:
        """Rows right behind their seal."""
        for position in range(first, len(self.facts)):
            entry = self.entry(position)
            if entry["stream"].startswith(("usage-", "meter-")):
                entry["org"] = "-"
            books.feed(position, entry)
            if position in self.rows:
                books.read(self.rows[position])


def world(aggregation: str = "sum") -> Told:
    """One project, a meter, a price of 3 pico per 2 from 0 and of 5 per 2 from 10 h on, a source."""
    told = Told()
    told.account(1)
    told.period(ACCOUNT, 1, 1, 0, MONTH)
    told.period(ACCOUNT, 2, 2, MONTH, 2 * MONTH)
    made = project.Created(ORG, stream("department", 1), ACCOUNT, Private("0" * 64), 0)
    told.add(PROJECT, made)
    names = ("model", "zone")
    told.add(
        stream("meter", 1), meter.ReadingsRegistered("tok", "token", 1000, aggregation, names, 0)
    )
    for effective, pico in ((0, 3), (10 * HOUR_US, 5)):
        price = pricebook.EntryPublished(
            "default", "tok", "m", "-", "read", "USD", effective, 0, pico, 2
        )
        told.add(stream("pricebook", 1), price)
    told.add(SOURCE, source.Registered(ORG, PROJECT, public_hex(KEY), ("tok",), 0))
    return told


def reading(quantity: int, at: int = 0, to: int | None = None, **more: Any) -> Reading:
    said = {
        "meter": "tok", "resource": PROJECT, "dimensions": {"model": "m", "zone": "a"},
        "from_us": at, "to_us": at if to is None else to, "quantity": quantity,
    }  # fmt: skip
    return Reading(**{**said, **more})


def rows_of(batch: Batch) -> list[Row]:
    """As the platform stores them."""
    rows = []
    for number, one in enumerate(batch.readings, batch.first):
        last = number == batch.last
        rows.append(
            {
                "source": batch.source, "epoch": batch.epoch, "sequence": number,
                "meter": one.meter, "resource": one.resource,
                "dimensions": ",".join(f"{k}={v}" for k, v in sorted(one.dimensions.items())),
                "from_us": one.from_us, "to_us": one.to_us, "quantity": one.quantity,
                "chain": batch.chain if last else "", "sig": batch.sig if last else "",
            }
        )  # fmt: skip
    return rows


def said(*readings: Reading, of: str = SOURCE, key: Ed25519PrivateKey = KEY) -> list[Row]:
    """The first batch of a source's first epoch."""
    return rows_of(Reporter(key, of, 1).batch(readings))


def charged(told: Told) -> list[tuple[int, ...]]:
    """(price, start, end, sign, quantity, line quantity, line amount) of what is derived."""
    with Books(None) as books:
        told.feed(books)
        return [
            tuple(
                row[name]
                for name in (
                    *("price", "start_us", "end_us", "sign", "quantity"),
                    *("line_quantity", "line_amount_pico"),
                )
            )
            for row in books.expected_rows("rated_interval")
        ]


def refused(told: Told, code: str, place: str, *, row: int | None = None) -> None:
    """The last fact, or a row of it, is refused with this code and field."""
    with Books(None) as books:
        last = len(told.facts) - 1
        first = Told(told.facts[:last], rows=told.rows, orgs=told.orgs)
        first.feed(books)
        with pytest.raises(Invalid) as caught:
            told.feed(books, last)
    found = caught.value
    assert (found.code, found.field or "", found.row) == (code, place, row)


def test_readings_are_summed_by_line_and_seal() -> None:
    """One row per line and seal, in the order in which lines are touched; the total is rounded once:
    3/2 + 3/2 pico are 3, not 2 + 2.
    """
    told = world()
    reporter = Reporter(KEY, SOURCE, 1)
    first = reporter.batch((reading(1, 5), reading(7, 11 * HOUR_US), reading(0)))
    told.seal(rows_of(first))
    told.seal(rows_of(reporter.batch((reading(1, 9, 12),))))
    cheap, dear = 5, 6
    assert charged(told) == [
        (cheap, 0, 6, 1, 1, 1, 2),
        (dear, 11 * HOUR_US, 11 * HOUR_US + 1, 1, 7, 7, 18),
        (cheap, 9, 12, 1, 1, 2, 3),
    ]


def test_a_level_is_cut_where_its_price_or_period_changes() -> None:
    """`time-weighted`: quantity times length, per price and period."""
    told = world("time-weighted")
    told.seal(said(reading(2, 9 * HOUR_US, 11 * HOUR_US), reading(3, ACROSS, MONTH + 1)))
    assert [(row[0], row[1], row[2], row[4]) for row in charged(told)] == [
        (5, 9 * HOUR_US, 10 * HOUR_US, 2 * HOUR_US),
        (6, 10 * HOUR_US, MONTH, 2 * HOUR_US + 3 * HOUR_US),
        (6, MONTH, MONTH + 1, 3),
    ]


@pytest.mark.parametrize(
    ("aggregation", "after"),
    [("max", [(5, 4), (6, 9)]), ("last", [(5, 4), (6, 2)])],
)
def test_one_reading_stands_for_its_group(aggregation: str, after: list[tuple[int, int]]) -> None:
    """The largest or the latest of its dimensions and period: what stood before is taken back, from
    the line of its own price; other dimensions are another group.
    """
    told = world(aggregation)
    other = reading(4, 1, dimensions={"model": "m", "zone": "b"})
    late, top = reading(2, 30 * HOUR_US), reading(9, 20 * HOUR_US)
    reporter = Reporter(KEY, SOURCE, 1)
    for some in ((reading(5, 2), other), (reading(3, 1),), (top, late), (reading(8, 3), top)):
        told.seal(rows_of(reporter.batch(some)))
    lines = {row[0]: row[5] for row in charged(told)}
    assert sorted(lines.items()) == after


def test_the_order_of_readings_of_a_group_does_not_matter() -> None:
    """Equal ones included: the earlier of two equal largest decides the price."""
    for aggregation in ("max", "last"):
        found = set()
        for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
            told = world(aggregation)
            three = (reading(9, 1), reading(9, 20 * HOUR_US), reading(1, 30 * HOUR_US))
            told.seal(said(*(three[n] for n in order)))
            found.add(tuple(sorted((row[0], row[5]) for row in charged(told))))
        assert len(found) == 1


def test_a_late_reading_is_booked_in_the_open_period() -> None:
    """With its own service period, at the price of its time, also for a runtime that has ended."""
    told = world()
    told.close(ACCOUNT, stream("period", 1), 0, MONTH)
    told.seal(said(reading(2, 5)))
    with Books(None) as books:
        told.feed(books)
        [row] = books.expected_rows("rated_interval")
    assert (row["period"], row["booked"]) == (stream("period", 1), stream("period", 2))


def a_node(told: Told) -> str:
    """A node whose key signs, with a runtime allocated on it."""
    gpus = (Gpu(0, "GPU-0"),)
    told.add(NODE, node.Enrolled(public_hex(OTHER), "T4", True, gpus, "1", 0))
    return told.start(1, ACCOUNT, NODE, 0)


def test_a_node_reports_what_runs_on_it() -> None:
    """By its enrolled key, any meter of readings; SIMULATED as the runtime is."""
    told = world()
    runtime_id = a_node(told)
    told.seal(said(reading(2, 5, resource=runtime_id), of=NODE, key=OTHER))
    with Books(None) as books:
        told.feed(books)
        [row] = books.expected_rows("rated_interval")
        period = next(iter(books._spill.scan("simulated", "")))[0]
    assert (row["resource"], row["quantity"], period) == (runtime_id, 2, stream("period", 1))


def test_a_meter_of_the_first_kind_has_a_model_alone() -> None:
    """`meter.registered.v1` with source `readings` counts by sum."""
    told = world()
    told.metered("old", "x", "readings")
    price = pricebook.EntryPublished("default", "old", "m", "-", "read", "USD", 0, 0, 1, 1)
    told.add(stream("pricebook", 1), price)
    registered = source.Registered(ORG, PROJECT, public_hex(OTHER), ("old",), 0)
    told.add(stream("source", 2), registered)
    one = reading(2, meter="old", dimensions={"model": "m"})
    told.seal(said(one, of=stream("source", 2), key=OTHER))
    assert [row[4] for row in charged(told)] == [2]


def by(change: Callable[[list[Row]], object], *readings: Reading) -> list[Row]:
    rows = said(*(readings or (reading(1), reading(2))))
    change(rows)
    return rows


def put(at: int, **values: Any) -> Callable[[list[Row]], object]:
    return lambda rows: rows[at].update(values)


OTHER_SIG = said(reading(1), key=OTHER)[0]["sig"]


@pytest.mark.parametrize(
    ("rows", "code", "place", "at"),
    [
        (by(put(0, source=stream("source", 9))), "source", "source", 0),
        (by(put(0, sequence=2)), "sequence", "sequence", 0),
        (by(put(1, sequence=1)), "sequence", "sequence", 1),
        (by(put(0, epoch=2)), "signed", "sig", 1),  # not the end of what was signed
        (by(put(0, quantity=2)), "signed", "sig", 1),
        (by(put(0, from_us=1, to_us=1)), "signed", "sig", 1),
        (by(put(0, dimensions="model=m,zone=b")), "signed", "sig", 1),
        (by(put(1, sig="", chain="")), "signed", "sig", 1),
        (by(put(1, sig="")), "signed", "chain", 1),
        (by(put(0, chain="0" * 64)), "signed", "chain", 0),
        (by(put(0, sig=OTHER_SIG), reading(1)), "signed", "sig", 0),
        (by(put(0, sig="no base64"), reading(1)), "signed", "sig", 0),
        (by(put(0, chain="1" * 64), reading(1)), "signed", "sig", 0),
        (by(put(0, meter="gpu.time")), "meter", "dimensions", 0),
        (by(put(0, dimensions="model=m")), "meter", "dimensions", 0),
        (by(put(0, dimensions="zone=a,model=m")), "meter", "dimensions", 0),
        (by(put(0, dimensions="model=m,zone")), "meter", "dimensions", 0),
        (by(put(0, dimensions="model=m,zone=a=b")), "meter", "dimensions", 0),
        (said(reading(1, meter="more")), "meter", "meter", 0),
        (said(reading(1, resource=stream("project", 2))), "resource", "resource", 0),
        (said(reading(1, resource=stream("project", 9))), "resource", "resource", 0),
        (said(reading(1, 5, 4)), "reading", "to_us", 0),
        (said(reading(-1)), "reading", "to_us", 0),
    ],
)
def test_a_row_that_its_source_did_not_say_or_may_not_say(
    rows: list[Row], code: str, place: str, at: int
) -> None:
    """Refused by name with the row and the field."""
    told = world()
    told.add(stream("project", 2), msg_project())
    told.add(
        stream("meter", 2), meter.ReadingsRegistered("more", "x", 1, "sum", ("model", "zone"), 0)
    )
    told.seal(rows)
    refused(told, f"books.{code}", place, row=at)


def msg_project() -> project.Created:
    return project.Created(ORG, stream("department", 1), ACCOUNT, Private("0" * 64), 0)


def test_a_level_needs_a_length() -> None:
    """A moment has none."""
    told = world("time-weighted")
    told.seal(said(reading(1, 5)))
    refused(told, "books.reading", "to_us", row=0)


def test_two_batches_do_not_run_into_each_other() -> None:
    """Each ends with a signature before another source, or another epoch of it, begins."""
    told = world()
    registered = source.Registered(ORG, PROJECT, public_hex(OTHER), ("tok",), 0)
    told.add(stream("source", 2), registered)
    mine = by(put(-1, sig="", chain=""), reading(1))
    told.seal([*mine, *said(reading(1), of=stream("source", 2), key=OTHER)])
    refused(told, "books.signed", "sig", row=1)
    told = world()
    told.seal([*mine, *rows_of(Reporter(KEY, SOURCE, 2).batch((reading(1),)))])
    refused(told, "books.signed", "sig", row=1)


def test_epochs_only_rise() -> None:
    """A higher one begins at 1; an earlier one takes nothing new."""
    told = world()
    old = Reporter(KEY, SOURCE, 1)
    told.seal(rows_of(old.batch((reading(1),))))
    told.seal(rows_of(Reporter(KEY, SOURCE, 3).batch((reading(1),))))
    told.seal(rows_of(old.batch((reading(1),))))
    refused(told, "books.sequence", "sequence", row=2)


@pytest.mark.parametrize(
    ("barred", "of"),
    [
        (source.Revoked("x", 0), SOURCE),
        (Revoked("x", 0), NODE),
        (Doubled("x", 0), NODE),
    ],
)
def test_who_may_not_report_is_not_believed(barred: Any, of: str) -> None:
    """From the fact that says so on; a node that enrols anew is again."""
    told = world()
    runtime_id = a_node(told)
    told.add(of, barred)
    one = reading(1, resource=PROJECT if of == SOURCE else runtime_id)
    key = KEY if of == SOURCE else OTHER
    told.seal(said(one, of=of, key=key))
    refused(told, "books.source", "source", row=0)


def test_a_node_reports_nothing_of_another_node_nor_of_a_project() -> None:
    """Its resources are the runtimes that were allocated on it."""
    for at in (PROJECT, stream("runtime", 2), stream("runtime", 9)):
        told = world()
        a_node(told)
        told.start(2, ACCOUNT, told.node(6, "T4"), 0)
        told.seal(said(reading(1, resource=at), of=NODE, key=OTHER))
        refused(told, "books.resource", "resource", row=0)


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"table": "transfer"}, "table"),
        ({"first_row": 1}, "first_row"),
        ({"count": 0}, "count"),
        ({"prev_seal": 3}, "prev_seal"),
    ],
)
def test_a_seal_follows_the_one_before(changed: dict[str, Any], place: str) -> None:
    """Table, rows, the seal before, on one stream."""
    told = world()
    told.seal(said(reading(1)), **changed)
    refused(told, "books.seal", place)


def test_seals_of_readings_are_on_one_usage_stream() -> None:
    """No other stream's, whatever its name."""
    for where in (stream("usage", 2), stream("rating", 1)):
        told = world()
        reporter = Reporter(KEY, SOURCE, 1)
        if where.startswith("usage"):
            told.seal(rows_of(reporter.batch((reading(1),))))
        told.seal(rows_of(reporter.batch((reading(1),))))
        _, cause, fact = told.facts[-1]
        told.facts[-1] = (where, cause, fact)
        refused(told, "books.seal", "stream")


@pytest.mark.parametrize("changed", [{"count": 3}, {"quantity_sum": 4}])
def test_a_seal_says_how_many_rows_and_what_they_come_to(changed: dict[str, Any]) -> None:
    """Count and sum."""
    told = world()
    told.seal(said(reading(1), reading(2)), **changed)
    refused(told, "books.sum", "")


def test_rows_are_read_right_behind_their_seal() -> None:
    """Neither left out nor read twice."""
    told = world()
    at = told.seal(said(reading(1)))
    with Books(None) as books:
        Told(told.facts[:at]).feed(books)
        with pytest.raises(Invalid, match="no seal"):
            books.read([])
        books.feed(at, {**told.entry(at), "org": "-"})
        with pytest.raises(Invalid, match="were not read"):
            books.finish()
        with pytest.raises(Invalid, match="were not read"):
            books.feed(at + 1, told.entry(at))


def test_what_is_registered_makes_sense() -> None:
    """A meter's aggregation and dimensions, its name once; a source's project, its stream once."""
    facts: list[tuple[str, Any, str, str]] = [
        (stream("meter", 2), meter.ReadingsRegistered("a", "x", 1, "mean", ("model",), 0),
         "meter", "aggregation"),
        (stream("meter", 2), meter.ReadingsRegistered("a", "x", 1, "sum", ("zone",), 0),
         "meter", "dimensions"),
        (stream("meter", 2), meter.ReadingsRegistered("a", "x", 1, "sum", ("z", "model"), 0),
         "meter", "dimensions"),
        (stream("meter", 2), meter.ReadingsRegistered("tok", "x", 1, "sum", ("model",), 0),
         "meter", "meter"),
        (stream("source", 2), source.Registered(ORG, stream("project", 9), "0" * 64, ("tok",), 0),
         "source", "project"),
        (stream("source", 2), source.Registered(stream("organization", 9), PROJECT, "0" * 64, (), 0),
         "source", "project"),
        (SOURCE, source.Registered(ORG, PROJECT, "0" * 64, ("tok",), 0), "source", "stream"),
        (stream("source", 2), source.Revoked("x", 0), "source", "stream"),
    ]  # fmt: skip
    for where, fact, code, place in facts:
        told = world()
        told.add(where, fact)
        refused(told, f"books.{code}", place)


def test_a_source_is_of_a_project_not_of_a_runtime() -> None:
    """A runtime pays, but owns nothing."""
    told = world()
    runtime_id = a_node(told)
    told.add(stream("source", 2), source.Registered(ORG, runtime_id, "0" * 64, ("tok",), 0))
    refused(told, "books.source", "project")


def test_what_is_in_quarantine_has_a_sealed_key_and_another_payload() -> None:
    """A key not sealed, of a source never heard of, or the same reading, is no conflict."""
    told = world()
    told.seal(said(reading(1)))
    fact = sealing.ReadingQuarantined(SOURCE, 1, 1, "0" * 64, "1" * 64, "", 0)
    told.add(stream("usage", 2), fact)
    assert charged(told)
    for wrong, place in (
        ((SOURCE, 1, 2, "0" * 64, "1" * 64), "sequence"),
        ((SOURCE, 2, 1, "0" * 64, "1" * 64), "sequence"),
        ((NODE, 1, 1, "0" * 64, "1" * 64), "sequence"),
        ((SOURCE, 1, 1, "0" * 64, "0" * 64), "refused"),
    ):
        other = Told(list(told.facts), rows=told.rows)
        other.add(stream("usage", 2), sealing.ReadingQuarantined(*wrong, "", 0))
        refused(other, "books.quarantined", place)


def told_all(until_us: int = 5, **changed: Any) -> sealing.SourceCompleted:
    """The source's word after one batch of one reading."""
    reporter = Reporter(KEY, SOURCE, 1)
    reporter.batch((reading(1),))
    return word(reporter, until_us, **changed)


def word(reporter: Reporter, until_us: int, **changed: Any) -> sealing.SourceCompleted:
    said = reporter.complete(until_us)
    names = ("source", "epoch", "sequence", "chain", "until_us", "sig")
    fact = {name: getattr(said, name) for name in names}
    return sealing.SourceCompleted(**{**fact, "decided_us": 100, **changed})


def completed(*facts: sealing.SourceCompleted) -> Told:
    told = world()
    told.seal(said(reading(1)))
    for fact in facts:
        told.add(stream("usage", 3), fact)
    return told


def test_a_source_that_has_told_all_is_believed() -> None:
    """Ever later; of what is sealed, of what was before more came, of an epoch without readings."""
    told = completed(told_all(5), told_all(6))
    more = Reporter(KEY, SOURCE, 1)
    more.batch((reading(1),))
    told.seal(rows_of(more.batch((reading(1),))))
    told.add(stream("usage", 3), told_all(7))
    told.add(stream("usage", 3), word(more, 8))
    told.add(stream("usage", 3), word(Reporter(KEY, SOURCE, 9), 100))
    assert charged(told)
    told = world()
    told.add(stream("usage", 3), word(Reporter(KEY, SOURCE, 1), 5))
    assert charged(told) == []


OTHERS = Reporter(OTHER, SOURCE, 1)


@pytest.mark.parametrize(
    ("facts", "code", "place"),
    [
        ((word(Reporter(KEY, stream("source", 9), 1), 5),), "source", "source"),
        ((told_all(sig=OTHERS.complete(5).sig),), "signed", "sig"),
        ((told_all(until_us=6, sig=told_all(5).sig),), "signed", "sig"),
        ((told_all(6), told_all(6)), "completed", "until_us"),
        ((told_all(6), told_all(5)), "completed", "until_us"),
        ((told_all(101),), "completed", "until_us"),
        ((told_all(0),), "completed", "until_us"),
        ((word(Reporter(KEY, SOURCE, 1, 2, b"c" * 32), 5),), "completed", "sequence"),
        ((word(Reporter(KEY, SOURCE, 1, 1, b"c" * 32), 5),), "completed", "sequence"),
        ((word(Reporter(KEY, SOURCE, 2, 1, b"c" * 32), 5),), "completed", "sequence"),
        ((word(Reporter(KEY, SOURCE, 2, 0, b"c" * 32), 5),), "completed", "sequence"),
        ((word(Reporter(KEY, SOURCE, 0), 5),), "completed", "sequence"),
        ((word(Reporter(KEY, SOURCE, 1, -1, b"c" * 32), 5),), "completed", "sequence"),
    ],
)
def test_a_word_that_cannot_be_is_refused(facts: Any, code: str, place: str) -> None:
    """Another's, not signed, not of what is sealed, not later than before, or ahead."""
    refused(completed(*facts), f"books.{code}", place)


def test_who_is_revoked_has_nothing_to_say() -> None:
    """Neither readings nor that these are all."""
    told = completed()
    told.add(SOURCE, source.Revoked("x", 0))
    told.add(stream("usage", 3), told_all())
    refused(told, "books.source", "source")


def missed(told: Told, *names: str) -> Told:
    told.add(stream("period", 1), period.SourcesMissing(names, 0))
    return told


def test_a_source_is_missing_until_it_has_told_all_of_the_period() -> None:
    """One of the account's, that may report; a node by its readings too."""
    charged(missed(completed(), SOURCE))
    early = told_all(MONTH - 1, decided_us=MONTH)
    charged(missed(completed(early), SOURCE))
    whole = told_all(MONTH, decided_us=MONTH)
    refused(missed(completed(whole), SOURCE), "books.missing", "sources")
    refused(missed(completed(), stream("source", 9)), "books.missing", "sources")
    told = completed()
    told.add(SOURCE, source.Revoked("x", 0))
    refused(missed(told, SOURCE), "books.missing", "sources")
    told = completed()
    told.account(2)
    made = project.Created(ORG, stream("department", 1), stream("account", 2), Private("0" * 64), 0)
    told.add(stream("project", 2), made)
    other = source.Registered(ORG, stream("project", 2), public_hex(OTHER), ("tok",), 0)
    told.add(stream("source", 2), other)
    refused(missed(told, stream("source", 2)), "books.missing", "sources")


def test_a_node_is_missing_as_long_as_its_readings_may_come() -> None:
    """Its leases say nothing of them."""
    told = world()
    runtime_id = a_node(told)
    told.anchor(NODE, 1, 0, 0)
    told.lease(NODE, [], MONTH)
    refused(missed(told, NODE), "books.missing", "sources")
    for until_us, missing in ((MONTH - 1, True), (MONTH, False)):
        told = world()
        runtime_id = a_node(told)
        told.anchor(NODE, 1, 0, 0)
        told.lease(NODE, [], MONTH)
        reporter = Reporter(OTHER, NODE, 1)
        told.seal(rows_of(reporter.batch((reading(1, resource=runtime_id),))))
        told.add(stream("usage", 3), word(reporter, until_us, decided_us=MONTH))
        missed(told, NODE)
        if missing:
            charged(told)
        else:
            refused(told, "books.missing", "sources")
