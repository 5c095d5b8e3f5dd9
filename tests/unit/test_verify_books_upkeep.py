"""Facts of upkeep that contradict what is given to whom: refused by name."""

import pytest

from domain import node_facts as f
from domain.canary import CanaryLooked
from domain.words import Attested, Gpu, Share
from gpuaas_verify.books import Books
from tests.property.books_history import ORG, History, stream
from tests.unit.test_verify_books_refusals import refused

OTHER = stream("organization", 99)
WORD = Attested("node-1", "0" * 64, "0" * 32, 1, "e30=", "e30=")


def given(history: History, node_id: str, number: int, org: str = ORG, index: int = 0) -> None:
    """The device is allocated to that organization."""
    ids = (stream("allocation", number), stream("runtime", number))
    history.add(node_id, f.Allocated(*ids, org, (Share(index, 500),), number, 0))


def left(history: History, node_id: str, number: int) -> None:
    """And released."""
    history.add(node_id, f.Released(stream("allocation", number), stream("runtime", number), 0))


def receipt(*devices: int, covered: int = 1, processes: int = 0) -> f.Sanitized:
    return f.Sanitized(devices, "fill", covered, 1, "d", None, processes, 1, 1, WORD)


def canary(*devices: int, planted: int = 9, looked: int = 9, found: int = 0) -> CanaryLooked:
    return CanaryLooked(devices, 5, "cuda_marker", planted, looked, found, 1, 1, 1, WORD)


MISSED = (
    canary(0, found=1),
    canary(0, planted=0, looked=0),
    canary(0, planted=100, looked=89),
)


def history_of(*, simulated: bool) -> tuple[History, str]:
    history = History()
    return history, history.node(1, "T4", simulated=simulated)


def holds(history: History) -> None:
    """The books take every fact."""
    with Books(None) as books:
        history.feed(books)


def test_between_two_organizations_lies_a_receipt() -> None:
    """On a real node, or one made to owe them: no clean receipt, no reuse by another."""
    for simulated in (False, True):
        history, node_id = history_of(simulated=simulated)
        if simulated:
            history.add(node_id, f.SanitizationRequired(0))
        given(history, node_id, 1)
        left(history, node_id, 1)
        given(history, node_id, 2)  # the last tenant may come back
        left(history, node_id, 2)
        given(history, node_id, 3, OTHER)
        refused(history, "books.unsanitized", "devices")
        history.facts[-1:-1] = [(node_id, f"cmd:{99:064x}", receipt(0))]
        holds(history)
        history.facts[-2] = (node_id, f"cmd:{99:064x}", receipt(0, processes=1))
        refused(history, "books.unsanitized", "devices")
        history.facts[-2] = (node_id, f"cmd:{99:064x}", receipt(0, covered=0))
        refused(history, "books.unsanitized", "devices")
        history.facts[-2] = (node_id, f"cmd:{99:064x}", receipt(1))
        refused(history, "books.unsanitized", "devices")


def test_a_simulated_node_owes_nothing() -> None:
    """What was never there leaves nothing behind."""
    history, node_id = history_of(simulated=True)
    given(history, node_id, 1)
    left(history, node_id, 1)
    given(history, node_id, 3, OTHER)
    holds(history)


def test_a_receipt_for_a_device_in_use_is_worth_nothing() -> None:
    """Given before the tenant left, it says nothing of what the tenant left."""
    history, node_id = history_of(simulated=False)
    given(history, node_id, 1)
    history.add(node_id, receipt(0))
    left(history, node_id, 1)
    given(history, node_id, 2, OTHER)
    refused(history, "books.unsanitized", "devices")


def test_a_device_is_shared_inside_one_organization_only() -> None:
    """Two shares of one device at a time: of one organization."""
    history, node_id = history_of(simulated=True)
    given(history, node_id, 1)
    given(history, node_id, 2)
    holds(history)
    left(history, node_id, 2)
    given(history, node_id, 2, OTHER)
    refused(history, "books.shared", "devices")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f.Cordoned(1), f.Uncordoned(2)),
        (f.DrainStarted("operator", "fan", 1), f.DrainEnded("operator", "fan", 2)),
        (f.Quarantined((0,), "xid", 1), f.Returned((0,), 2)),
        (f.Retired("old", 1), None),
    ],
    ids=["cordoned", "drained", "quarantined", "retired"],
)
def test_a_closed_node_gives_nothing(before: f.Event, after: f.Event | None) -> None:
    """Until it is opened again by what opens it."""
    history, node_id = history_of(simulated=True)
    history.add(node_id, before)
    given(history, node_id, 1)
    field = "devices" if isinstance(before, f.Quarantined) else "stream"
    refused(history, "books.closed", field)
    if after is not None:
        history.facts[-1:-1] = [(node_id, f"cmd:{99:064x}", after)]
        holds(history)


def test_nobody_ends_anothers_drain() -> None:
    """A drain ends by its own owner and reason, or it stands."""
    history, node_id = history_of(simulated=True)
    history.add(node_id, f.DrainStarted("operator", "fan", 1))
    history.add(node_id, f.DrainEnded("system-health", "fan", 2))
    refused(history, "books.closed", "owner")


def test_a_quarantined_device_returns_with_a_receipt_of_after() -> None:
    """Where receipts are owed: none, or one of before, is refused."""
    history, node_id = history_of(simulated=False)
    history.add(node_id, receipt(0))
    history.add(node_id, f.Quarantined((0,), "xid", 1))
    history.add(node_id, f.Returned((0,), 1))
    refused(history, "books.unsanitized", "devices")
    history.facts[-1:-1] = [(node_id, f"cmd:{99:064x}", receipt(0))]
    holds(history)


@pytest.mark.parametrize("missed", MISSED, ids=["found", "not_planted", "not_looked"])
def test_a_receipt_beside_a_missed_canary_proves_nothing(missed: CanaryLooked) -> None:
    """Neither to another organization nor to a quarantine, of before or of after; the next one that
    goes with a canary that is gone does. Of other devices it says nothing.
    """
    history, node_id = history_of(simulated=False)
    given(history, node_id, 1)
    left(history, node_id, 1)
    history.add(node_id, missed)
    history.add(node_id, receipt(0))
    given(history, node_id, 2)
    refused(history, "books.unsanitized", "devices")
    history.facts.pop()
    given(history, node_id, 3, index=1)
    holds(history)
    history.facts.pop()
    history.add(node_id, f.Quarantined((0,), "canary.found", 1))
    history.add(node_id, receipt(0))
    history.add(node_id, f.Returned((0,), 1))
    refused(history, "books.unsanitized", "devices")
    history.facts[-1:-1] = [(node_id, f"cmd:{99:064x}", canary(0, planted=100, looked=90))]
    refused(history, "books.unsanitized", "devices")
    history.facts[-1:-1] = [(node_id, f"cmd:{98:064x}", receipt(0))]
    given(history, node_id, 4, OTHER)
    holds(history)
    history.facts.pop()
    history.facts[-1:-1] = [(node_id, f"cmd:{97:064x}", missed)]
    refused(history, "books.unsanitized", "devices")


def test_a_missed_canary_ends_with_a_return_where_no_receipt_is_owed() -> None:
    """And not before: whoever is given the device is given what was left on it."""
    history, node_id = history_of(simulated=True)
    history.add(node_id, MISSED[0])
    given(history, node_id, 1)
    refused(history, "books.unsanitized", "devices")
    history.facts.pop()
    history.add(node_id, f.Quarantined((0,), "canary.found", 1))
    history.add(node_id, f.Returned((0,), 1))
    given(history, node_id, 2)
    holds(history)


def test_a_node_stays_closed_while_any_drain_stands() -> None:
    """Two drains, one ended: closed. A drain nobody began cannot end."""
    history, node_id = history_of(simulated=True)
    history.add(node_id, f.DrainStarted("operator", "fan", 1))
    history.add(node_id, f.DrainStarted("system-health", "xid", 1))
    history.add(node_id, f.DrainEnded("operator", "fan", 2))
    given(history, node_id, 1)
    refused(history, "books.closed", "stream")
    history, node_id = history_of(simulated=True)
    history.add(node_id, f.DrainEnded("operator", "fan", 2))
    refused(history, "books.closed", "owner")


def test_only_what_is_in_quarantine_returns() -> None:
    """A return of anything else would say that it was ill."""
    history, node_id = history_of(simulated=True)
    history.add(node_id, f.Returned((0,), 1))
    refused(history, "books.unsanitized", "devices")


def test_device_indexes_are_numbers() -> None:
    """Each tag that names devices: a text is no index."""
    for fact in (
        f.Quarantined(("0",), "xid", 1),  # type: ignore[arg-type]  # the point
        receipt("0"),  # type: ignore[arg-type]  # the point
        f.Reserved("r", ORG, ("0",), 9, 1),  # type: ignore[arg-type]  # the point
        f.Unreserved("r", ("0",), 9),  # type: ignore[arg-type]  # the point
    ):
        history, node_id = history_of(simulated=True)
        history.add(node_id, fact)
        refused(history, "fact.malformed", "devices")


def test_a_device_that_came_back_after_it_was_gone_owes_nothing() -> None:
    """An enrolment with fewer devices forgets the rest: what comes later is another machine's."""
    history, node_id = history_of(simulated=False)
    given(history, node_id, 1, index=7)
    left(history, node_id, 1)
    history.add(node_id, f.Quarantined((6,), "xid", 1))
    eight = tuple(Gpu(index, f"GPU-{index}") for index in range(8))
    for gpus in (eight, eight[:6], eight):
        history.add(node_id, f.Enrolled("0" * 64, "T4", True, gpus, "1", 0))
        if gpus == eight[:6]:
            continue
        given(history, node_id, 2, OTHER, index=7)
        if len(history.facts) < 8:
            refused(history, "books.unsanitized", "devices")
            history.facts.pop()
    given(history, node_id, 3, OTHER, index=6)
    holds(history)


def test_what_is_reserved_is_given_to_nobody_else() -> None:
    """Until its reservation ends; its own organization draws on it."""
    history, node_id = history_of(simulated=True)
    name = stream("reservation", 1)
    history.add(node_id, f.Reserved(name, ORG, (0,), 9, 1))
    given(history, node_id, 1)
    holds(history)
    left(history, node_id, 1)
    given(history, node_id, 2, OTHER)
    refused(history, "books.reserved", "devices")
    history.facts[-1:-1] = [(node_id, f"cmd:{99:064x}", f.Unreserved(name, (0,), 9))]
    holds(history)
