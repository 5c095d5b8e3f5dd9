"""What the integrator recognises by its bytes is what it would have found by decoding."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.ordering import Order, Row
from gpuaas_verify.entry import NO_PREV, Entry, encode_entry, parse_entry
from gpuaas_verify.errors import Invalid
from gpuaas_verify.merkle import leaf_hash
from gpuaas_verify.quick import scan
from tests.bundles import small_log

ENTRIES = small_log().entries()
ORIGIN = parse_entry(ENTRIES[0]).fact["origin"]
OTHER = parse_entry(ENTRIES[-1])


def stored(entries: list[bytes]) -> list[Row]:
    """The rows a writer would have stored, each run of one cause as one append."""
    parsed = [parse_entry(raw) for raw in entries]
    rows, count = [], 0
    for at, (raw, entry) in enumerate(zip(entries, parsed, strict=True)):
        count += 1
        last = at + 1 == len(parsed) or parsed[at + 1].cause != entry.cause
        of_command = last and entry.cause.startswith("cmd:")
        command = bytes.fromhex(entry.cause[4:]) if of_command else None
        rows.append(
            Row(entry.position, entry.stream, entry.version, command, count if last else 0, raw)
        )
        count = 0 if last else count
    return rows


class Decoding(Order):
    """Recognises nothing: every entry is decoded."""

    def _follow(self, row: Row, expected: int, prev: str, last_us: int) -> int:
        return -1


class Counting(Order):
    """Counts what it recognises."""

    recognised = 0

    def _follow(self, row: Row, expected: int, prev: str, last_us: int) -> int:
        at_us = super()._follow(row, expected, prev, last_us)
        self.recognised += at_us >= 0
        return at_us


def judged(rows: list[Row], order: Order) -> Any:
    """What an order says of the rows and remembers after them."""
    try:
        watched = order.check(rows, [leaf_hash(row.entry) for row in rows])
    except Invalid as error:
        return error.code, error.position, error.field
    streams = order._streams
    return watched, order.position, order.leaf, order.at_us, streams, order._open_append


ROWS = stored(ENTRIES)
COLUMNS = st.sampled_from(Row._fields)
FIELDS = st.sampled_from(Entry._fields)
VALUES = st.sampled_from(
    [
        0,
        1,
        2,
        3,
        10**17,
        10**18,
        2**62,
        None,
        "",
        "-",
        b"",
        bytes(32),
        "pos:0",
        "pos:999",
        NO_PREV,
        *OTHER[:10],
    ]
)


def changed(row: Row, change: tuple[str, str, Any]) -> Row:
    """The row with another value of a column's type, or with another field inside its entry."""
    kind, name, value = change
    if kind == "column":
        typed = value is None or isinstance(value, type(getattr(row, name) or b""))
        return row._replace(**{name: value}) if name != "entry" and typed else row
    fields = Entry(**json.loads(row.entry))._replace(**{name: value})
    return row if isinstance(value, bytes) else row._replace(entry=encode_entry(fields))


CHANGE = st.tuples(st.just("column"), COLUMNS, VALUES) | st.tuples(st.just("field"), FIELDS, VALUES)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(ROWS) - 1), CHANGE), max_size=2),
    st.tuples(st.integers(0, len(ROWS)), st.integers(0, 2)),
    st.booleans(),
)
def test_both_ways_of_checking_rows_agree(
    changes: list[tuple[int, tuple[str, str, Any]]], cut: tuple[int, int], rechained: bool
) -> None:
    """The same verdict, position and field, and the same memory, whatever was done to the rows."""
    rows = list(ROWS)
    for at, change in changes:
        rows[at] = changed(rows[at], change)
    rows = rows[: cut[0]] + rows[cut[0] + cut[1] :]
    if rechained:
        rows = chained(rows)
    assert judged(rows, Order(ORIGIN)) == judged(rows, Decoding(ORIGIN))


def chained(rows: list[Row]) -> list[Row]:
    """A forger's rows: each entry names the one that now stands before it."""
    prev, made = NO_PREV, []
    for row in rows:
        body = row.entry.split(b'"', 6)
        if len(body) > 5:
            body[5] = prev.encode()
        made.append(row._replace(entry=b'"'.join(body)))
        prev = leaf_hash(made[-1].entry).hex()
    return made


def test_the_rows_as_stored_are_right_and_most_are_recognised() -> None:
    """Neither the property above nor the fast way is empty."""
    assert judged(ROWS, Order(ORIGIN))[1] == len(ROWS)
    counting = Counting(ORIGIN)
    judged(ROWS, counting)
    assert counting.recognised > len(ROWS) // 2


@pytest.mark.parametrize("size", [65_536, 70_000])
def test_an_entry_longer_than_any_may_be_is_refused(size: int) -> None:
    """Its bytes alone would be recognised; its length is what is wrong."""
    at = next(n for n, row in enumerate(ROWS) if scan(row.entry) and b'"model":"' in row.entry)
    raw = ROWS[at].entry.replace(b'"model":"', b'"model":"' + b"a" * size)
    rows = [*ROWS[:at], ROWS[at]._replace(entry=raw)]
    assert scan(raw) is not None
    assert judged(rows, Order(ORIGIN))[:2] == ("json.not_canonical", at)
