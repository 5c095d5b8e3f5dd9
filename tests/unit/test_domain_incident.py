import pytest

from domain import incident as i
from tests.unit.domain_world import NAME, decided, refused

OPEN = i.Open("operator", "", NAME, 1)
OPENED = i.Opened("operator", "", NAME, 1)
CREDIT = i.Propose("runtime-1", "account-1", 500, 10, 20, "runtime.lost", 30)
PROPOSED = i.CreditProposed("runtime-1", "account-1", 500, 10, 20, "runtime.lost", 30)
DONE = (OPENED, i.Resolved(5))

TABLE: list[tuple[str, tuple[i.Event, ...], i.Command, list[i.Event] | str]] = [
    ("open", (), OPEN, [OPENED]),
    ("open again", (OPENED,), OPEN, []),
    ("tie", (OPENED,), i.Tie(7, 2), [i.Tied(7, 2)]),
    ("tie again", (OPENED, i.Tied(7, 2)), i.Tie(7, 3), []),
    ("tie what came to light later", DONE, i.Tie(7, 9), [i.Tied(7, 9)]),
    ("note", (OPENED,), i.Note(NAME, 2), [i.Noted(NAME, 2)]),
    ("note on what is over", DONE, i.Note(NAME, 9), "incident.resolved"),
    ("resolve", (OPENED,), i.Resolve(5), [i.Resolved(5)]),
    ("resolve again", DONE, i.Resolve(9), []),
    ("propose", (OPENED,), CREDIT, [PROPOSED]),
    ("propose again", (OPENED, PROPOSED), CREDIT, []),
    ("propose after it is over", DONE, CREDIT, [PROPOSED]),
    ("propose again after it is over", (OPENED, PROPOSED, i.Resolved(5)), CREDIT, []),
    ("propose nothing", (OPENED,), i.Propose("r", "a", 0, 10, 20, "x", 30), "incident.invalid"),
    ("propose no time", (OPENED,), i.Propose("r", "a", 5, 20, 20, "x", 30), "incident.invalid"),
    ("note on nothing", (), i.Note(NAME, 2), "incident.unknown"),
]


@pytest.mark.parametrize(
    ("given", "when", "then"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE]
)
def test_truth_table(
    given: tuple[i.Event, ...], when: i.Command, then: list[i.Event] | str
) -> None:
    """Each command in each state has one answer: facts, nothing when done already, or a code."""
    if isinstance(then, str):
        assert refused(i.DECIDER, given, when) == then
    else:
        assert decided(i.DECIDER, given, when) == then
