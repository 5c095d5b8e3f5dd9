"""Entries that contradict each other about what is sold, to whom and how much of it: refused by name."""

from typing import Any

from msgspec import structs

from domain import account, invoice, node, node_facts, quota, reservation, runtime
from domain.words import Share
from gpuaas_verify.books import Books
from tests.property.books_history import ORG, History, stream
from tests.unit.test_verify_books import MONTH, invoiced, simple
from tests.unit.test_verify_books_refusals import refused

OTHER = stream("organization", 99)
QUOTA = ORG.replace("organization", "quota")


def placed(milli: int = 500, **changes: Any) -> tuple[History, str]:
    """A runtime whose allocation says something else."""
    history, owner, _, node_id = simple()
    one = history.start(1, owner, node_id, 0, milli=milli)
    at, cause, fact = history.facts[-1]
    history.facts[-1] = (at, cause, structs.replace(fact, **changes))
    return history, one


def test_what_is_billed_is_what_is_allocated() -> None:
    """`gpu_milli` is billed, so it is the sum of the shares; `devices` is their number."""
    for shares in ((Share(0, 499),), (Share(0, 250), Share(1, 250)), ()):
        refused(placed(devices=shares)[0], "books.size", "devices")


def test_a_runtime_runs_on_the_model_its_node_has() -> None:
    """The price hangs on the model: the node's enrolment says it, and the request accepts it."""
    refused(placed(model="H100")[0], "books.model", "model")
    history, _ = placed()
    at, cause, fact = history.facts[-2]
    history.facts[-2] = (at, cause, structs.replace(fact, models=("H100",)))
    refused(history, "books.model", "model")


def test_a_share_is_of_a_device_the_node_has() -> None:
    """The node enrolled with 8 devices: 0 to 7."""
    refused(placed(devices=(Share(8, 500),))[0], "books.device", "devices")


def test_nobody_is_billed_for_another() -> None:
    """A runtime, a period, its close, an invoice: each of the organization whose account it names."""
    history, owner, _, node_id = simple()
    one = history.start(1, owner, node_id, 0)
    history.facts.pop()
    history.orgs[one] = OTHER
    refused(history, "books.org", "org")
    history = History()
    history.orgs[history.account(1)] = OTHER
    refused(history, "books.org", "organization")
    history = History()
    history.orgs[history.period(history.account(1), 1, 1, 0, MONTH)] = OTHER
    refused(history, "books.org", "org")
    history = invoiced()
    del history.facts[-2:]
    history.orgs[history.facts[-1][0]] = OTHER
    refused(history, "books.org", "org")


def test_the_close_of_a_period_is_of_its_organization() -> None:
    """Period and account agree when opened; the close names another organization's account."""
    history, _, first, _ = simple()
    other = stream("account", 9)
    history.orgs[other] = OTHER
    history.add(other, account.Opened(OTHER, "USD", 2, "UTC", "2025b", 0))
    history.close(other, first, 0, MONTH)
    refused(history, "books.org", "org")


def test_no_price_is_negative() -> None:
    """Nobody is paid for using a GPU; 0 is free."""
    history, *_ = simple()
    history.price(-1, 5)
    refused(history, "books.price", "price_pico")
    history, *_ = simple()
    history.price(0, 5)
    history.price(-1, 6)
    refused(history, "books.price", "price_pico")


def test_an_account_counts_its_own_invoices_once() -> None:
    """An invoice nobody finalized, another account's, one counted before."""
    history = invoiced()
    owner = history.facts[-1][0]
    history.add(owner, account.Invoiced(stream("invoice", 9), 2))
    refused(history, "books.invoiced", "invoice")
    history = invoiced()
    history.add(owner, account.Invoiced(stream("invoice", 1), 2))
    refused(history, "books.invoiced", "invoice")
    history = invoiced()
    history.facts.pop()
    history.add(history.account(2), account.Invoiced(stream("invoice", 1), 1))
    refused(history, "books.invoiced", "invoice")


def test_an_invoice_is_issued_once_and_when_finalized() -> None:
    """Never finalized; twice."""
    history = invoiced()
    history.add(stream("invoice", 9), invoice.Issued(5))
    refused(history, "books.issued", "stream")
    history = invoiced()
    history.add(stream("invoice", 1), invoice.Issued(5))
    history.add(stream("invoice", 1), invoice.Issued(6))
    refused(history, "books.issued", "stream")


def test_an_invoice_stream_is_of_one_invoice() -> None:
    """The next period's invoice under the number of the first one's stream."""
    history = invoiced()
    owner, second = history.facts[-1][0], stream("period", 2)
    closed = history.close(owner, second, MONTH, 2 * MONTH)
    history.invoice(1, owner, second, closed, b"", (0, 0, 0), sequence=2)
    del history.facts[-2:]
    refused(history, "books.invoice", "stream")


def held(*shares: Share, number: int = 1) -> node.Allocated:
    """An allocation of a runtime of the same number."""
    names = (stream("allocation", number), stream("runtime", number))
    return node.Allocated(*names, ORG, shares, 1, 0)


def released(allocation: int, one: int) -> node.Released:
    """Its end."""
    return node.Released(stream("allocation", allocation), stream("runtime", one), 5)


def test_a_device_is_not_sold_twice() -> None:
    """1,000 milli of each device by live allocations; what is released may be sold again."""
    history, _, _, node_id = simple()
    history.add(node_id, held(Share(0, 1000), Share(1, 600)))
    history.add(node_id, held(Share(1, 400), number=2))
    history.add(node_id, released(1, 1))
    history.add(node_id, held(Share(0, 1000), Share(1, 600), number=3))
    history.add(node_id, held(Share(1, 1), number=4))
    refused(history, "books.oversold", "devices")


def test_an_allocation_is_held_once_and_released_by_its_holder() -> None:
    """Held twice; released by another, or when nobody holds it."""
    for fact in (held(Share(2, 1)), released(1, 2), released(2, 1)):
        history, _, _, node_id = simple()
        history.add(node_id, held(Share(0, 1)))
        history.add(node_id, fact)
        refused(history, "books.held", "allocation")


def committed(number: int, milli: int, *, project: int = 1, model: str = "T4") -> quota.Committed:
    """What a runtime counts for."""
    place = (stream("department", 1), stream("project", project))
    return quota.Committed(stream("runtime", number), *place, model, milli, 0)


def test_no_quota_is_committed_beyond_a_limit() -> None:
    """Of each scope, for its model or for all; a lower limit takes nothing away."""
    for scope, model in (
        (ORG, "T4"), (ORG, "*"), (stream("department", 1), "T4"), (stream("project", 1), "*"),
    ):  # fmt: skip
        history, *_ = simple()
        history.add(QUOTA, quota.LimitSet(stream("project", 2), "*", 1, 0))
        history.add(QUOTA, quota.LimitSet(ORG, "G2", 1, 0))
        history.add(QUOTA, committed(1, 700))
        history.add(QUOTA, quota.LimitSet(scope, model, 600, 0))
        history.add(QUOTA, quota.Released(stream("runtime", 1), 5))
        history.add(QUOTA, committed(2, 600))
        history.add(QUOTA, committed(3, 1))
        refused(history, "books.quota", "gpu_milli")


RESERVATION = stream("reservation", 1)


def reserved_history(milli: int = 2_000) -> History:
    """Two devices of node 1 are reserved in the quota, limited to just that."""
    history, _, _, node_id = simple()
    history.add(QUOTA, quota.LimitSet(ORG, "T4", milli, 0))
    place = (stream("department", 1), stream("project", 1), "T4")
    history.add(QUOTA, quota.Reserved(RESERVATION, *place, 2_000, 0))
    history.add(RESERVATION, reservation.Made(place[1], "T4", 2, (node_id,), 9, 0))
    history.add(node_id, node_facts.Reserved(RESERVATION, ORG, (0, 1), 9, 0))
    return history


def drawing(history: History, number: int, index: int, milli: int = 1_000) -> None:
    """A runtime on a device of node 1, drawn on the reservation."""
    node_id = stream("node", 1)
    history.add(node_id, held(Share(index, milli), number=number))
    history.add(QUOTA, quota.Drawn(stream("runtime", number), RESERVATION, 0))
    history.add(QUOTA, committed(number, milli))


def test_a_reservation_counts_whole_and_what_draws_on_it_not_again() -> None:
    """Under the limit as set before it; over, only what still runs on it counts."""
    history = reserved_history(1_999)
    del history.facts[-2:]
    refused(history, "books.quota", "gpu_milli")
    history = reserved_history()
    drawing(history, 1, 0)
    drawing(history, 2, 1, 600)
    history.add(QUOTA, quota.Released(stream("runtime", 2), 0))
    history.add(stream("node", 1), released(2, 2))
    history.add(RESERVATION, reservation.Over("expired", 9))
    history.add(QUOTA, quota.Unreserved(RESERVATION, 9))
    history.add(QUOTA, committed(3, 1_000))
    with Books(None) as books:
        history.feed(books)
    history.add(QUOTA, committed(4, 1))
    refused(history, "books.quota", "gpu_milli")


def test_while_it_stands_nothing_beside_a_reservation_has_its_room() -> None:
    """Drawn or not."""
    history = reserved_history()
    history.add(QUOTA, committed(1, 1))
    refused(history, "books.quota", "gpu_milli")


def test_what_is_drawn_is_of_the_devices_that_were_reserved() -> None:
    """A reservation lends its room to no device beside it, no more than it has, no other model."""
    history = reserved_history()
    drawing(history, 1, 2)
    history.facts.pop()
    refused(history, "books.reserved", "reservation")
    history = reserved_history()
    history.add(stream("node", 1), held(Share(0, 1), number=1))
    history.add(QUOTA, quota.Drawn(stream("runtime", 1), RESERVATION, 0))
    history.add(QUOTA, committed(1, 2_001))
    refused(history, "books.quota", "gpu_milli")
    history.facts[-1] = (QUOTA, f"cmd:{9:064x}", committed(1, 1, model="G2"))
    refused(history, "books.quota", "gpu_milli")
    history.facts[-1] = (QUOTA, f"cmd:{9:064x}", committed(1, 1, project=2))
    refused(history, "books.quota", "gpu_milli")


def test_quota_of_a_reservation_is_taken_once_and_given_back_when_it_is_over() -> None:
    """What is made is what was reserved; nothing is drawn on what does not stand."""
    place = (stream("department", 1), stream("project", 1), "T4")
    again = quota.Reserved(RESERVATION, *place, 2_000, 0)
    for fact in (again, quota.Unreserved(RESERVATION, 9)):
        history = reserved_history(9_000)
        history.add(QUOTA, fact)
        refused(history, "books.held", "reservation")
    history = reserved_history()
    history.add(QUOTA, quota.Drawn(stream("runtime", 1), stream("reservation", 2), 0))
    refused(history, "books.held", "reservation")
    history = reserved_history()
    more = reservation.Made(place[1], "T4", 3, (stream("node", 1),), 9, 0)
    history.facts[-2:] = [(RESERVATION, f"cmd:{9:064x}", more)]
    refused(history, "books.held", "devices")
    elsewhere = reservation.Made(stream("project", 2), "T4", 2, (stream("node", 1),), 9, 0)
    history.facts[-1] = (RESERVATION, f"cmd:{9:064x}", elsewhere)
    refused(history, "books.held", "devices")
    history = reserved_history()
    history.add(stream("reservation", 2), more)
    refused(history, "books.quota", "devices")


def test_only_what_is_to_come_is_drawn_and_only_what_was_reserved_is_given_back() -> None:
    """A runtime that is committed draws no more; a quota gives back what was reserved in it."""
    history = reserved_history(9_000)
    history.add(stream("node", 1), held(Share(0, 1), number=1))
    history.add(QUOTA, committed(1, 1))
    history.add(QUOTA, quota.Drawn(stream("runtime", 1), RESERVATION, 0))
    refused(history, "books.held", "runtime")
    history = reserved_history()
    history.add(RESERVATION, reservation.Over("expired", 9))
    history.add(stream("quota", 2), quota.Unreserved(RESERVATION, 9))
    refused(history, "books.held", "reservation")


def test_quota_is_committed_once_and_given_back_once() -> None:
    """Committed twice; given back by a runtime that has none."""
    released_twice = quota.Released(stream("runtime", 2), 5)
    for fact in (committed(1, 5), released_twice):
        history, *_ = simple()
        history.add(QUOTA, committed(1, 5))
        history.add(QUOTA, fact)
        refused(history, "books.held", "runtime")


def test_a_runtime_of_any_model_runs_on_every_model() -> None:
    """`models` empty accepts what the node has; several devices add up."""
    history, owner, _, node_id = simple()
    one = history.start(1, owner, node_id, 0, milli=3_000)
    history.say(runtime.Usable, one, 0)
    with Books(None) as books:
        history.feed(books)
