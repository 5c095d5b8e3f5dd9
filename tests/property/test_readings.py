"""Readings in any order, cut, doubled and sealed anyhow: the same charge lines, amounts, balances."""

from hashlib import sha256
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.signing import public_hex
from contracts.usage import Batch, Reading, Reporter
from domain import meter, pricebook, project, reading, source
from domain.errors import DomainError
from domain.price_facts import ShapedEntry, Tier
from domain.rating import Books
from domain.words import Private
from gpuaas_verify.books import Books as Auditor
from tests.property.books_history import HOUR_US, ORG, stream
from tests.unit.test_verify_books import MONTH
from tests.unit.test_verify_books_usage import ACCOUNT, PROJECT, Told, rows_of

KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3)]
SOURCES = [stream("source", n) for n in (1, 2, 3)]
MODELS = ("a", "b")
HERE = "eu-de-1"
REGIONS = (HERE, "us-1", "-", "No Region")  # of the last two nothing is named


def world() -> Told:
    """Two projects, a meter of each aggregation, prices that change in the middle, of one model by
    tiers, and a first period that is closed: what was used in it is booked in the second.
    """
    told = Told()
    told.account(1)
    told.period(ACCOUNT, 1, 1, 0, MONTH)
    told.period(ACCOUNT, 2, 2, MONTH, 2 * MONTH)
    for number in (1, 2):
        made = project.Created(ORG, stream("department", 1), ACCOUNT, Private("0" * 64), 0)
        told.add(stream("project", number), made)
    for number, name in enumerate(meter.AGGREGATIONS):
        counted = meter.ReadingsRegistered(name, "x", 1, name, ("model", "region", "zone"), 0)
        told.add(stream("meter", number), counted)
        for effective, pico, region in (
            *((0, 7, "-"), (MONTH // 3, 11, "-"), (MONTH + HOUR_US, 5, "-")),
            *((MONTH // 3 - 1, 17, HERE), (MONTH, 3, HERE)),
        ):
            scope = (region, "read", "USD", effective, 0)
            plain = pricebook.EntryPublished("default", name, "a", *scope, pico, 3)
            told.add(stream("pricebook", 1), plain)
            tiers = (Tier(4, pico), Tier(None, 2 * pico))
            shaped = ShapedEntry("-", 0, "default", name, "b", *scope, 3, 2, tiers, 9)
            told.add(stream("pricebook", 1), shaped)
    for name, key in zip(SOURCES, KEYS, strict=True):
        fact = source.Registered(ORG, PROJECT, public_hex(key), meter.AGGREGATIONS, 0)
        told.add(name, fact)
    told.close(ACCOUNT, stream("period", 1), 0, MONTH)
    return told


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """Of any meter, few times and quantities, so that many are alike."""
    name = draw(st.sampled_from(meter.AGGREGATIONS))
    start = draw(
        st.sampled_from((1, MONTH // 3 - 2, MONTH // 3, MONTH - 1, MONTH, MONTH + HOUR_US))
    )
    length = draw(st.integers(0, 3)) + (name == reading.WEIGHTED)
    return Reading(
        meter=name,
        resource=PROJECT,
        dimensions={
            "model": draw(st.sampled_from(MODELS)),
            "region": draw(st.sampled_from(REGIONS)),
            "zone": draw(st.sampled_from("pq")),
        },
        from_us=start,
        to_us=start + length,
        quantity=draw(st.integers(0, 9)),
    )


@st.composite
def cuts(draw: st.DrawFn, words: list[list[Reading]]) -> list[list[Batch]]:
    """Each source's readings in batches, one in five of these sent again, in any order, and sealed
    in groups; `held back`: what comes before its turn comes again later.
    """
    sent: list[Batch] = []
    for name, key, some in zip(SOURCES, KEYS, words, strict=True):
        reporter, left = Reporter(key, name, 1), list(some)
        while left:
            size = draw(st.integers(1, len(left)))
            sent.append(reporter.batch(tuple(left[:size])))
            left = left[size:]
    sent += [batch for batch in sent if draw(st.integers(0, 4)) == 0]
    sent = draw(st.permutations(sent))
    groups: list[list[Batch]] = [[]]
    for batch in sent:
        groups[-1].append(batch)
        if draw(st.booleans()):
            groups.append([])
    return groups


class Marks:
    """How far each source has come; what comes before its turn waits."""

    def __init__(self) -> None:
        self._marks: dict[str, reading.Mark] = {}
        self.waiting: list[Batch] = []

    def seal(self, told: Told, groups: list[list[Batch]]) -> None:
        """Group by group: what repeats is dropped, what comes too early waits for its turn."""
        for group in groups:
            rows: list[dict[str, Any]] = []
            self.waiting, tried = [], [*self.waiting, *group]
            for batch in tried:
                mark, count = self._marks.get(batch.source), len(batch.readings)
                try:
                    skip = reading.repeated(mark, batch.epoch, batch.first, count)
                except DomainError:
                    self.waiting.append(batch)
                    continue
                if skip < count:
                    rows += rows_of(batch)[skip:]
                    chain = bytes.fromhex(batch.chain)
                    self._marks[batch.source] = reading.Mark(batch.epoch, batch.last, chain)
            if rows:
                told.seal(rows)


def sealed(told: Told, groups: list[list[Batch]]) -> None:
    """All of them, until nothing waits."""
    marks = Marks()
    marks.seal(told, [*groups, *([[]] * 40)])
    assert not marks.waiting


def outcome(told: Told) -> tuple[str, dict[str, Any]]:
    """The digest of the sorted set of charge lines, and the balances; the auditor derives the same
    rows.
    """
    books, rated, moved = Books(), [], []
    lines: dict[tuple[str, str, int, str], tuple[int, int]] = {}
    for position, (where, _, fact) in enumerate(told.facts):
        if position in told.rows:
            found = [msgspec.convert(row, reading.Reading) for row in told.rows[position]]
            intervals, transfers = books.read(position, found)
        else:
            intervals, transfers = books.apply(position, where, fact)
        rated += intervals
        moved += transfers
        for row in intervals:
            key = (row.resource, row.meter, row.price, row.period)
            lines[key] = (row.line_quantity, row.line_amount_pico)
    with Auditor(None) as auditor:
        told.feed(auditor)
        theirs = list(auditor.expected_rows("rated_interval"))
        posted = list(auditor.expected_rows("transfer"))
    assert [{**msgspec.to_builtins(row), "row": n} for n, row in enumerate(rated)] == theirs
    assert [{**msgspec.to_builtins(row), "row": n} for n, row in enumerate(moved)] == posted
    kept = sorted((*key, *value) for key, value in lines.items() if any(value))
    balances = {name: one.pico for name, one in books.balances(ACCOUNT).items() if one.pico}
    return sha256(repr(kept).encode()).hexdigest(), balances


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_order_repetition_and_batching_charges_the_same(data: st.DataObject) -> None:
    """MONEY.md section 7, invariant 6, for readings of every aggregation."""
    some = data.draw(st.lists(readings(), min_size=1, max_size=18))
    found = set()
    for _ in range(2):
        order = data.draw(st.permutations(some))
        words: list[list[Reading]] = [[], [], []]
        for one in order:
            words[data.draw(st.integers(0, 2))].append(one)
        told = world()
        sealed(told, data.draw(cuts(words)))
        digest, balances = outcome(told)
        found.add((digest, tuple(sorted(balances.items()))))
    assert len(found) == 1


def brute(some: list[Reading]) -> dict[tuple[str, str], int]:
    """Quantities by (meter, model), over all prices and periods, straight from the definitions."""
    total: dict[tuple[str, str], int] = {}
    groups: dict[tuple[str, ...], list[Reading]] = {}
    for one in some:
        key, span = (one.meter, one.dimensions["model"]), one.to_us - one.from_us
        if one.meter in ("sum", reading.WEIGHTED):
            size = one.quantity * (span if one.meter == reading.WEIGHTED else 1)
            total[key] = total.get(key, 0) + size
        else:
            part = (*key, *one.dimensions.values(), str(one.from_us < MONTH))
            groups.setdefault(part, []).append(one)
    for (name, model, *_), members in groups.items():
        if name == "max":
            best = max(one.quantity for one in members)
        else:
            best = max((one.to_us, one.from_us, one.quantity) for one in members)[2]
        total[name, model] = total.get((name, model), 0) + best
    return {key: value for key, value in total.items() if value}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_quantities_are_what_the_aggregation_says(data: st.DataObject) -> None:
    """Against a brute-force reading of the definitions, with the platform's books."""
    some = data.draw(st.lists(readings(), min_size=1, max_size=18))
    told = world()
    sealed(told, data.draw(cuts([some, [], []])))
    books: Books = Books()
    found: dict[tuple[str, str], int] = {}
    models = {
        position: fact.model
        for position, (_, _, fact) in enumerate(told.facts)
        if isinstance(fact, pricebook.EntryPublished | ShapedEntry)
    }
    for position, (where, _, fact) in enumerate(told.facts):
        if position not in told.rows:
            books.apply(position, where, fact)
            continue
        rows = [msgspec.convert(row, reading.Reading) for row in told.rows[position]]
        for row in books.read(position, rows)[0]:
            key = (row.meter, models[row.price])
            found[key] = found.get(key, 0) + row.sign * row.quantity
    assert {key: value for key, value in found.items() if value} == brute(some)


def decided(told: Told, book: str, start: int, end: int, *, first: bool = False) -> None:
    told.rerate(ACCOUNT, book, 0 if book == "-" else 1, start, end, first=first)


def booked(told: Told) -> None:
    """A book: other prices from other instants on, for one model by tiers, for both only in parts."""
    count = 0
    for name in meter.AGGREGATIONS:
        for effective, pico, region in ((2, 13, "-"), (MONTH // 3 - 1, 3, "-"), (5, 4, "us-1")):
            for model, tiers in (("a", (Tier(None, pico),)), ("b", (Tier(3, 1), Tier(None, pico)))):
                what = ("spring", 1, "default", name, model, region, "read", "USD")
                told.add(stream("pricebook", 1), ShapedEntry(*what, effective, 0, 2, 0, tiers, 0))
                count += 1
    told.book("spring", 1, count)


ranges = st.tuples(
    st.sampled_from((0, 1, MONTH // 3 - 1)), st.sampled_from((MONTH // 3 + 1, MONTH, 2 * MONTH))
)


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_what_was_read_moves_to_the_prices_it_would_have_been_read_at(data: st.DataObject) -> None:
    """Decided after the readings, among them or before them: the same lines, in both sets of books; and
    back again it is as if nothing had been decided (invariants 6 and 8).
    """
    some = data.draw(st.lists(readings(), min_size=1, max_size=12))
    decisions = data.draw(
        st.lists(st.tuples(st.sampled_from(("spring", "-")), ranges), min_size=1, max_size=3)
    )
    digests = set()
    told, groups = world(), list[list[Batch]]()
    for order in ("before", "after", "among"):
        told = world()
        booked(told)
        groups = data.draw(cuts([some, [], []]))
        at = {"before": 0, "after": len(groups)}.get(order, len(groups) // 2)
        marks = Marks()
        marks.seal(told, groups[:at])
        for book, (start, end) in decisions:
            decided(told, book, start, end)
        marks.seal(told, [*groups[at:], *([[]] * 40)])
        lines, balances = outcome(told)
        digests.add((lines, tuple(sorted(balances.items()))))
    assert len(digests) == 1
    for book in ("spring", "-"):
        decided(told, book, 0, 3 * MONTH)
    plain = world()
    booked(plain)
    sealed(plain, groups)
    assert outcome(told) == outcome(plain)


def test_what_was_read_before_a_decision_of_earlier_releases_stays() -> None:
    """`rerating_decided.v1` moved nothing of it, and what comes after does not guess where it lies."""
    told = world()
    booked(told)
    reporter = Reporter(KEYS[0], SOURCES[0], 1)
    for moment, instant in enumerate((MONTH // 3, MONTH // 3 + 1)):
        one = reporter.batch(
            tuple(
                Reading(
                    meter=name, resource=PROJECT,
                    dimensions={"model": "a", "region": "-", "zone": "p"},
                    from_us=instant, to_us=instant + 1, quantity=moment + 5,
                )
                for name in meter.AGGREGATIONS
            )
        )  # fmt: skip
        told.seal(rows_of(one))
        if not moment:
            decided(told, "spring", 0, MONTH, first=True)
    before, _ = outcome(told)
    decided(told, "-", 0, MONTH)
    digest, _ = outcome(told)
    assert digest != before
    with Auditor(None) as auditor:
        told.feed(auditor)
        rows = list(auditor.expected_rows("rated_interval"))
    moved = [row for row in rows if row["cause"] == len(told.facts) - 1]
    assert {(row["meter"], row["quantity"]) for row in moved} == {
        (name, 6) for name in meter.AGGREGATIONS
    }
