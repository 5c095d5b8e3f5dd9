"""Facts of volumes that contradict each other: refused by name."""

import pytest
from msgspec.structs import replace

from domain import rating, runtime, stray
from domain import volume as f
from domain.words import Attested, Private
from tests.property.books_history import HOUR_US, ORG, History, stream
from tests.unit.test_verify_books import MONTH, rows, simple
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


def test_a_volume_is_made_once_and_grows_afterwards() -> None:
    """Its interval opens once; what its node has not made has no size to grow from."""
    history, _ = made()
    say(history, formatted())
    refused(history, "books.volume", "stream")
    history, node_id = history_of(simulated=True)
    say(history, created(node_id), f.Grown(0, 65, 1, 1, 1, WORD))
    refused(history, "books.volume", "stream")
    history, node_id = made()
    say(history, wiped(), created(node_id))
    refused(history, "books.volume", "stream")


def metered() -> tuple[History, str, str, str]:
    """The simple world with the meter of storage, at 3 pico for a MiB-us."""
    history, account, first, node = simple()
    history.metered()
    history.price(3, 0, model="local", divisor=1)
    return history, account, first, node


def test_a_volume_is_charged_by_its_size_and_time() -> None:
    """From formatted on, by each size from the instant it has it, until it is wiped."""
    history, account, first, node = metered()
    one = history.volume(7, account, node, 0, size=64)
    history.formatted(one, 10)
    grown = history.grown(one, 100, 110)
    wiped_at = history.wiped(one, 1110)
    (before, after), moved = rows(history)
    assert before == {
        "row": 0, "cause": grown, "resource": one, "meter": "storage.capacity", "price": 7,
        "period": first, "booked": first, "start_us": 10, "end_us": 110, "sign": 1,
        "quantity": 6400, "line_quantity": 6400, "line_amount_pico": 19_200,
    }  # fmt: skip
    assert (after["start_us"], after["end_us"], after["cause"]) == (110, 1110, wiped_at)
    assert (after["quantity"], after["line_quantity"]) == (100_000, 106_400)
    assert [row["credit"] for row in moved] == ["revenue:storage.capacity:local"] * 2
    assert [row["amount_pico"] for row in moved] == [19_200, 300_000]


def test_what_a_close_took_too_much_of_one_size_is_given_back_in_that_size() -> None:
    """Grown before the close, told after it: the old size back, the new one with the next cause."""
    history, account, first, node = metered()
    one = history.volume(7, account, node, 0, size=64)
    history.formatted(one, 0)
    history.close(account, first, 0, MONTH)
    history.grown(one, 100, MONTH - 10, decided=MONTH + 5)
    history.wiped(one, MONTH + 10)
    rated, _ = rows(history)
    said = [(r["sign"], r["start_us"], r["end_us"], r["quantity"]) for r in rated]
    assert said == [
        (1, 0, MONTH, 64 * MONTH),
        (-1, MONTH - 10, MONTH, 640),
        (1, MONTH - 10, MONTH, 1000),
        (1, MONTH, MONTH + 10, 1000),
    ]
    second = stream("period", 2)
    assert [(r["period"], r["booked"]) for r in rated] == [
        (first, first), (first, second), (first, second), (second, second),
    ]  # fmt: skip
    assert rated[2]["line_quantity"] == 64 * MONTH - 640 + 1000


def test_runtimes_and_volumes_are_charged_in_one_order_when_a_period_closes() -> None:
    """That of their first entries: neither kind before the other."""
    history, account, first, node = metered()
    made = []
    for number in range(3):
        made.append(history.volume(number, account, node, 0))
        made.append(history.start(number, account, node, 0))
    for one in reversed(made):
        if one.startswith("volume-"):
            history.formatted(one, 0)
        else:
            history.say(runtime.Usable, one, 0)
    history.close(account, first, 0, MONTH)
    rated, _ = rows(history)
    assert [row["resource"] for row in rated] == made


@pytest.mark.parametrize(
    "odd",
    [{}, {"name": "storage.local"}, {"unit": "GiB-h"}, {"source": "readings"}],
)
def test_a_volume_from_before_its_meter_is_never_charged(odd: dict[str, str]) -> None:
    """Nor one under a meter of another name, unit or source; it needs no price either."""
    history, account, first, node = simple()
    if odd:
        history.metered(**odd)
    one = history.volume(7, account, node, 0)
    if not odd:
        history.metered()
    history.formatted(one, 0)
    history.grown(one, 100, HOUR_US)
    history.close(account, first, 0, MONTH)
    history.wiped(one, MONTH + 1)
    assert rows(history) == ([], [])


def test_a_metered_volume_without_a_price_stops_the_books() -> None:
    """By name, as GPUs do: nobody guesses what it costs."""
    history, account, _, node = simple()
    history.metered()
    one = history.volume(7, account, node, 0)
    history.formatted(one, 0)
    history.wiped(one, 10)
    history.facts.pop()
    refused(history, "rating.no_price")


def test_a_metered_volume_has_a_size_a_node_and_an_account_of_its_own() -> None:
    """Each is refused by the field that is wrong."""
    history, account, _, node = metered()
    history.volume(7, account, node, 0, size=0)
    refused(history, "books.volume", "size_mib")
    history, account, _, _ = metered()
    history.volume(7, account, stream("node", 9), 0)
    refused(history, "books.volume", "node")
    history, _, _, node = metered()
    history.volume(7, stream("account", 9), node, 0)
    refused(history, "books.account", "account")
    history, account, _, node = metered()
    foreign = history.volume(7, account, node, 0)
    history.orgs[foreign] = stream("organization", 9)
    refused(history, "books.org", "org")
    assert stream("organization", 9) != ORG


def test_a_lost_volume_ends_with_the_last_that_its_node_said() -> None:
    """A renewal or an anchor, of any boot, or the volume's own last instant: whichever is latest;
    what a close took beyond it is given back. Nothing comes after.
    """
    for speak, ends in (("nothing", 20), ("renewal", 50), ("anchor", 60), ("old renewal", 20)):
        history, account, first, node = metered()
        one = history.volume(7, account, node, 0)
        history.formatted(one, 10)
        history.grown(one, 100, 20)
        if speak.endswith("renewal"):
            history.lease(node, [], 15 if speak.startswith("old") else 50)
        if speak == "anchor":
            history.anchor(node, 2, 0, 60)
        history.close(account, first, 0, MONTH)
        lost = history.volume_lost(one, MONTH + 1)
        rated, _ = rows(history)
        charged = sum(row["sign"] * row["quantity"] for row in rated)
        assert charged == 64 * 10 + 100 * (ends - 20)
        history.facts[lost] = (one, history.facts[lost][1], f.Lost(ends + 1, MONTH + 1))
        refused(history, "books.instant", "lost_us")
        history.facts[lost] = (one, history.facts[lost][1], f.Lost(ends, MONTH + 1))
        history.add(one, f.Lost(ends, MONTH + 2))
        refused(history, "books.volume", "stream")


def test_a_lost_volume_had_its_writer_end_and_counts_no_more() -> None:
    """Not under a runtime; unmetered ones are lost likewise, never made ones too."""
    history, node_id = made()
    given(history, node_id, 1)
    say(history, attached(1), f.Lost(1, 1))
    refused(history, "books.volume", "stream")
    history, node_id = made()
    say(history, f.Lost(1, 1))
    holds(history)
    history, node_id = history_of(simulated=True)
    say(history, replace(created(node_id), node=stream("node", 9)), f.Lost(0, 1))
    refused(history, "books.volume", "node")


def test_what_is_over_is_wiped_where_it_lies_and_what_stands_is_not() -> None:
    """Asked of any node once it is lost, one request at a time, each answered by its position."""
    history, node_id = made()
    history.add(node_id, stray.VolumeWipeRequested(VOLUME, 1))
    refused(history, "books.volume", "volume")
    history, node_id = made()
    say(history, f.Lost(1, 1))
    at = history.add(node_id, stray.VolumeWipeRequested(VOLUME, 1))
    history.add(node_id, stray.VolumeWipeRefused(VOLUME, at, "volume.busy", 2))
    elsewhere = history.node(2, "T4", simulated=True)
    first = history.add(elsewhere, stray.VolumeWipeRequested(VOLUME, 3))
    at = history.add(node_id, stray.VolumeWipeRequested(VOLUME, 3))
    there = stray.VolumeWiped(VOLUME, at, "zero", 64 * MIB, 1, 1, 4, WORD)
    absent = replace(there, command=first, method="absent", bytes_covered=0)
    history.add(elsewhere, absent)
    history.add(node_id, replace(there, command=first))
    refused(history, "books.volume", "command")
    history.facts[-1] = (*history.facts[-1][:2], there)
    holds(history)
    history.add(node_id, there)
    refused(history, "books.volume", "command")
    history, node_id = history_of(simulated=True)
    for _ in range(2):
        history.add(node_id, stray.VolumeWipeRequested(VOLUME, 1))
    refused(history, "books.volume", "volume")


@pytest.mark.parametrize("simulated", [True, False])
def test_an_invoice_says_whether_its_volumes_are_simulated(simulated: bool) -> None:
    """By what their node said when they were created; a later word changes nothing."""
    history, account, first, _ = metered()
    node = history.node(2, "T4", simulated=simulated)
    one = history.volume(7, account, node, 0)
    history.node(2, "T4", simulated=not simulated)
    history.formatted(one, 0)
    closed = history.close(account, first, 0, MONTH)
    assert judged(history, account, first, closed) == simulated


def judged(history: History, account: str, first: str, closed: int) -> bool:
    """What the platform's invoice says, once the auditor has found every byte of it the same."""
    books = rating.Books()
    for position, (name, _, fact) in enumerate(history.facts):
        books.apply(position, name, fact)
    draft = books.invoice_of(first)
    totals = (draft.total_pico, draft.total_minor, len(draft.lines))
    history.invoice(1, account, first, closed, rating.invoice_file(draft, "INV-1"), totals)
    holds(history)
    return draft.simulated
