"""Quota of storage as the auditor reads it: each refusal has its history here."""

import pytest
from msgspec.structs import replace

from domain import storage_quota as q
from domain import volume as f
from tests.property.books_history import ORG, History, stream
from tests.unit.test_verify_books_refusals import refused
from tests.unit.test_verify_books_upkeep import holds
from tests.unit.test_verify_books_volumes import created, formatted, made, say, wiped

QUOTA = stream("quota", 0)
SCOPES = {
    "organization": ORG, "department": stream("department", 1), "project": stream("project", 1),
}  # fmt: skip


def limit(history: History, mib: int, scope: str = "project", model: str = "local") -> None:
    history.add(QUOTA, q.LimitSet(SCOPES[scope], model, mib, 0))


def commit(
    history: History, mib: int, *, number: int = 1, project: int = 1, at: str = QUOTA
) -> None:
    names = (stream("volume", number), stream("department", 1), stream("project", project))
    history.add(at, q.Committed(*names, "local", mib, 0))


def committed() -> tuple[History, str]:
    """A volume of 64 MiB that is counted and made, under a limit of 100."""
    history, node_id = made()
    history.facts[-2:] = []
    limit(history, 100)
    commit(history, 64)
    say(history, created(node_id), formatted())
    return history, node_id


def test_what_is_committed_within_limits_is_believed() -> None:
    """Created, grown to the limit, wiped; then another may have it all. One whose growth its node
    refused counts what it has.
    """
    history, node_id = committed()
    commit(history, 100)
    say(history, f.GrowRequested(100, 0), f.OrderRefused(0, "grow", "volume.no_space", 0))
    commit(history, 36, number=2)
    history.add(stream("volume", 2), replace(created(node_id), size_mib=36))
    history.add(stream("volume", 2), f.OrderRefused(0, "create", "volume.no_space", 0))
    history.add(stream("volume", 2), wiped(0))
    commit(history, 100)
    say(history, f.GrowRequested(100, 0), f.Grown(0, 100, 1, 1, 1, formatted().attested))
    say(history, wiped(100 * f.MIB))
    commit(history, 100, number=3)
    history.add(stream("volume", 3), replace(created(node_id), size_mib=100))
    history.add(stream("volume", 3), f.Lost(0, 0))
    commit(history, 100, number=4)
    holds(history)


@pytest.mark.parametrize("scope", list(SCOPES))
def test_no_commitment_passes_a_limit(scope: str) -> None:
    """Of the organization, the department or the project, as set before it; a limit below the use
    takes nothing away; one of another model limits nothing here.
    """
    history, _ = made()
    commit(history, 64, number=2)
    limit(history, 10, scope, model="remote")
    limit(history, 50, scope)
    holds(history)
    commit(history, 1, number=3)
    refused(history, "books.quota", "size_mib")
    history.facts.pop()
    limit(history, 65, scope)
    commit(history, 1, number=3)
    holds(history)
    commit(history, 1, number=4)
    refused(history, "books.quota", "size_mib")


def test_a_commitment_is_of_more_and_in_the_same_scopes() -> None:
    """The same size again, a smaller one, another project, another organization's quota."""
    for size in (64, 63):
        history, _ = committed()
        commit(history, size)
        refused(history, "books.held", "size_mib")
    history, _ = committed()
    commit(history, 65, project=2)
    refused(history, "books.held", "volume")
    history, _ = committed()
    commit(history, 65, at=stream("quota", 9))
    refused(history, "books.held", "volume")
    history, _ = made()
    commit(history, 0, number=2)
    refused(history, "books.held", "size_mib")


def test_under_a_limit_a_volume_has_what_was_committed_for_it() -> None:
    """Nothing, less, in another scope: refused when it is created, and when it is asked to grow."""
    history, node_id = made()
    history.facts[-2:] = []
    limit(history, 100)
    say(history, created(node_id))
    refused(history, "books.quota", "size_mib")
    for mib, project, at in ((63, 1, QUOTA), (64, 2, QUOTA), (64, 1, stream("quota", 9))):
        history, node_id = made()
        history.facts[-2:] = []
        commit(history, mib, project=project, at=at)
        say(history, created(node_id))
        refused(history, "books.held", "size_mib")
    history, _ = committed()
    say(history, f.GrowRequested(65, 0))
    refused(history, "books.held", "size_mib")
    history, _ = made()
    limit(history, 100)
    say(history, f.GrowRequested(65, 0))
    refused(history, "books.quota", "size_mib")


def test_orders_are_of_volumes_that_there_are() -> None:
    """A request to grow, or a refusal, of a volume that was never created."""
    for fact in (f.GrowRequested(65, 0), f.OrderRefused(0, "grow", "volume.no_space", 0)):
        history, _ = made()
        history.add(stream("volume", 9), fact)
        refused(history, "books.volume", "stream")


def test_without_a_limit_nothing_need_be_committed() -> None:
    """As in logs from before there was a quota of storage."""
    history, _ = made()
    say(history, f.GrowRequested(65, 0), f.OrderRefused(0, "grow", "volume.no_space", 0))
    holds(history)
