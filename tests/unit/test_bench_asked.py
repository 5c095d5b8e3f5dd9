"""What benches were asked to reach: which side of a bound is the right one, and named once."""

import pytest

from tests.bench.asked import ASKED, asked_of, beside, judged


@pytest.mark.parametrize(
    ("name", "of", "verdicts"),
    [
        ("admissions with quota and hold, 16 clients", "ratio", ((12, 5, 4.9))),
        ("10^6 intervals re-rated, one core", "value", (60, 120, 121)),
        ("launch to usable with sshd answering, median of 3", "ratio", (1.5, 3, 3.1)),
    ],
)
def test_a_row_reaches_its_goal_its_floor_or_nothing(
    name: str, of: str, verdicts: tuple[float, ...]
) -> None:
    """At least so much of what should be large, at most of what should be small; bounds count."""
    rows = [{"name": name, "value": 1.0, "ratio": 1.0, of: found} for found in verdicts]
    assert [judged(row)["verdict"] for row in rows] == ["goal", "floor", "MISSED"]


def test_a_row_of_which_nothing_was_asked_is_left_as_it_is() -> None:
    """No verdict is made up."""
    assert judged({"name": "its proof", "value": 3, "ratio": 0}) == {
        "name": "its proof", "value": 3, "ratio": 0,
    }  # fmt: skip


def test_no_name_is_asked_for_twice() -> None:
    """A name that begins like another would take its bounds."""
    assert all(asked_of(one.name) is one for one in ASKED)
    assert all(
        one.floor < one.goal if one.bound == "at least" else one.floor > one.goal for one in ASKED
    )


def test_some_benches_leave_what_the_others_found() -> None:
    """By the name of the row: what was measured anew is there once."""
    old, new = {"name": "a", "value": 1}, {"name": "a", "value": 2}
    assert beside([old, {"name": "b"}], [new]) == [{"name": "b"}, new]
    assert beside([], [new]) == [new]
