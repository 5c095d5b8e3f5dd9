"""Rows of one batch, before any database sees them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.table import OPEN, Pending, Shape, text

SHAPE = Shape("thing", ("thing",), "thing, from_position, to_position, value")


def rows(pending: Pending) -> list[tuple[str, str, str]]:
    return [(head, to, tail) for head, to, tail in pending.rows]


def test_a_row_ends_where_the_next_begins() -> None:
    """The row before is closed at the new row's position; only the last stays open."""
    pending = Pending(SHAPE, "views")
    pending.open("a", 3, "a\t3", "x", new=True)
    pending.open("a", 5, "a\t5", "y")
    assert rows(pending) == [("a\t3", "5", "x"), ("a\t5", OPEN, "y")]
    assert pending.closing == {}


def test_a_row_of_an_earlier_batch_is_closed_once_and_first() -> None:
    """The first touch of a key looks for its row in the table; later ones do not."""
    pending = Pending(SHAPE, "views")
    pending.open("a", 3, "a\t3", "x")
    pending.open("a", 5, "a\t5", "y")
    pending.close("a", 6)
    pending.close("b", 7)
    pending.open("b", 8, "b\t8", "z")
    assert pending.closing == {"a": "3", "b": "7"}
    assert rows(pending) == [("a\t3", "5", "x"), ("a\t5", "6", "y"), ("b\t8", OPEN, "z")]


def test_the_last_word_of_one_entry_counts() -> None:
    """Two rows of one key at one position are one row: no range is empty."""
    pending = Pending(SHAPE, "views")
    pending.open("a", 3, "a\t3", "x", new=True)
    pending.open("a", 3, "a\t3", "y")
    assert rows(pending) == [("a\t3", OPEN, "y")]


def test_closing_twice_keeps_the_first_end() -> None:
    """A row that has ended does not end again."""
    pending = Pending(SHAPE, "views")
    pending.open("a", 3, "a\t3", "x", new=True)
    pending.close("a", 4)
    pending.close("a", 9)
    assert rows(pending) == [("a\t3", "4", "x")]


def test_an_absent_key_is_not_looked_for() -> None:
    """What a batch knows to be new costs no statement."""
    pending = Pending(SHAPE, "views")
    pending.absent("a")
    pending.open("a", 3, "a\t3", "x")
    assert pending.closing == {}
    assert rows(pending) == [("a\t3", OPEN, "x")]


@given(st.text())
def test_copy_text_has_no_raw_control_of_the_format(value: str) -> None:
    """Whatever the text, COPY sees one field of one line, and never a null or an end mark."""
    escaped = text(value)
    assert not set("\t\n\r") & set(escaped)
    undone = (
        escaped.replace("\\\\", "\0\0")
        .replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r")
        .replace("\\b", "\b").replace("\\f", "\f").replace("\\v", "\v").replace("\0\0", "\\")
    )  # fmt: skip
    assert undone == value.replace("\0\0", "\\")
    assert escaped not in {"\\N", "\\."}


def test_a_table_whose_rows_never_end_refuses_to_end_one() -> None:
    """Closing without a key is a bug of the view, not of the log."""
    pending = Pending(Shape("log", (), "a, from_position, to_position"), "views")
    pending.close("a", 1)
    with pytest.raises(AssertionError):
        pending.write(None)  # type: ignore[arg-type]
