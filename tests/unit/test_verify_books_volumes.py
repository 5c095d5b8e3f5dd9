"""Facts of volumes that contradict each other: refused by name."""

import pytest
from msgspec.structs import replace

from domain import volume as f
from domain.words import Attested, Private
from tests.property.books_history import History, stream
from tests.unit.test_verify_books_refusals import refused
from tests.unit.test_verify_books_upkeep import given, history_of, holds, left

WORD = Attested("node-1", "0" * 64, "0" * 32, 1, "e30=", "e30=")
VOLUME = stream("volume", 1)
MIB = f.MIB


def created(node_id: str) -> f.Created:
    names = (stream("project", 1), stream("department", 1), stream("account", 1), node_id)
    return f.Created(*names, Private("0" * 64), 64, 0)


def formatted(size: int = 64 * MIB) -> f.Formatted:
    return f.Formatted(0, "ext4_loop", size, 1, 1, 1, WORD)


def attached(number: int, epoch: int = 0) -> f.Attached:
    names = (stream("runtime", number), stream("allocation", number))
    return f.Attached(*names, epoch or number, "/data", 0)


def detached(number: int) -> f.Detached:
    return f.Detached(stream("allocation", number), number, "stopped", 0)


def wiped(covered: int = 64 * MIB) -> f.Wiped:
    return f.Wiped(0, "zero", covered, 1, 1, 1, 1, WORD)


def say(history: History, *facts: f.Event) -> None:
    for fact in facts:
        history.add(VOLUME, fact)


def made() -> tuple[History, str]:
    history, node_id = history_of(simulated=True)
    say(history, created(node_id), formatted())
    return history, node_id


def test_one_writer_after_the_other_and_a_receipt() -> None:
    """The whole life of a volume is believed, a grown size included."""
    history, node_id = made()
    for number in (1, 2):
        given(history, node_id, number)
        say(history, attached(number))
        left(history, node_id, number)
        say(history, detached(number))
    say(history, f.Grown(0, 65, 1, 1, 1, WORD), wiped(65 * MIB), f.Deleted(0))
    holds(history)


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ((attached(2),), "allocation"),  # a second writer
        ((detached(2),), "allocation"),  # a stranger lets go
        ((detached(1),), "allocation"),  # its runtime has not ended
        ((wiped(),), "stream"),  # under a writer
        ((f.Grown(0, 64, 1, 1, 1, WORD),), "size_mib"),
    ],
)
def test_what_contradicts_a_writer_is_refused(facts: tuple[f.Event, ...], field: str) -> None:
    """While an allocation has it, by the name of the field that is wrong."""
    history, node_id = made()
    given(history, node_id, 1)
    given(history, node_id, 2)
    say(history, attached(1), *facts)
    refused(history, "books.volume", field)


def test_epochs_rise_and_the_allocation_is_of_its_node() -> None:
    """An epoch that was passed never writes again; nor does a runtime on another node."""
    history, node_id = made()
    given(history, node_id, 1)
    say(history, attached(1, epoch=5))
    left(history, node_id, 1)
    say(history, replace(detached(1), epoch=5))
    given(history, node_id, 2)
    say(history, attached(2, epoch=5))
    refused(history, "books.volume", "epoch")
    other, _ = made()
    given(other, other.node(2, "T4", simulated=True), 3)
    say(other, attached(3))
    refused(other, "books.volume", "allocation")
    stranger, node_id = made()
    given(stranger, node_id, 1)
    say(stranger, attached(1))
    left(stranger, node_id, 1)
    say(stranger, detached(2))
    refused(stranger, "books.volume", "allocation")
    foreign, node_id = made()
    given(foreign, node_id, 1)
    say(foreign, replace(attached(1), runtime=stream("runtime", 2)))
    refused(foreign, "books.volume", "allocation")


def test_what_was_not_made_is_not_written_and_a_receipt_covers_it() -> None:
    """Attached before it was formatted; formatted smaller; a receipt of less; created twice."""
    history, node_id = history_of(simulated=True)
    given(history, node_id, 1)
    say(history, created(node_id), attached(1))
    refused(history, "books.volume", "allocation")
    for facts, field in (
        ((created(node_id), formatted(MIB)), "bytes"),
        ((created(node_id), formatted(), wiped(64 * MIB - 1)), "bytes_covered"),
        ((created(node_id), created(node_id)), "stream"),
        ((wiped(),), "stream"),
    ):
        history, node_id = history_of(simulated=True)
        say(history, *facts)
        refused(history, "books.volume", field)
    history, node_id = history_of(simulated=True)
    say(history, created(node_id), wiped(0), f.Deleted(0))
    holds(history)
