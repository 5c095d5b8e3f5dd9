"""What is counted of reads of evidence, and which decision is told of an act."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from api.authorization.calls import DENIED, MOST_KINDS, MOST_READERS, OTHERS, READ, Calls, Kind
from api.authorization.cedar import PLATFORM, Place
from api.authorization.decided import OWN, Let, let_of
from api.authorization.directory import Directory
from api.authorization.door import Door
from api.authorization.principal import Principal
from api.authorization.reading import of_reads, read_told
from tests.unit.test_door import DEPARTMENT, ORG

PROJECT = "project-00000000-0000-7000-8000-000000000003"
NOWHERE: Any = None


def counting() -> Calls:
    return Calls(NOWHERE, NOWHERE, lambda: 7)


def test_a_read_too_many_is_told_without_what_was_read() -> None:
    """Behind the bound of kinds a read keeps who and by what, behind another one nothing; what was
    refused is bounded as before, and all of it is counted.
    """
    calls = counting()
    for number in range(MOST_KINDS + 5):
        calls.count(Kind(ORG, "user-a", "", "invoice.read_pdf", READ, f"invoice-{number}", "b"))
    for number in range(MOST_READERS + 5):
        calls.count(Kind(ORG, f"user-{number}", "", "account.export", READ, "account-1", "b"))
    for number in range(3):
        calls.count(Kind(ORG, f"user-{number}", "", "a.b", DENIED, "auth.forbidden", ""))
    found = calls._counts[ORG]
    assert found[Kind(ORG, "user-a", "", "invoice.read_pdf", READ, "", "b")].calls == 5
    assert found[Kind(ORG, "user-1", "", "account.export", READ, "", "b")].calls == 1
    assert found[Kind(ORG, OTHERS, "", OTHERS, READ, OTHERS, "")].calls == 6
    assert found[Kind(ORG, OTHERS, "", OTHERS, DENIED, OTHERS, "")].calls == 3
    assert len(found) == MOST_KINDS + MOST_READERS + 2
    assert sum(one.calls for one in found.values()) == MOST_KINDS + MOST_READERS + 13


def reader(action: str, let: dict[tuple[str, str], tuple[Place, tuple[str, ...]]]) -> Principal:
    door = Door(Directory(), lambda: 0)
    return Principal("user-1", "member", ORG, action=action, door=door, let=let)


def begun(status: int, principal: Principal | None, *, echo: bool = False) -> list[Kind]:
    """What is counted of an answer that begins so."""
    calls = counting()
    state = SimpleNamespace(services=SimpleNamespace(calls=calls))
    scope: Any = {
        "user": principal,
        "litestar_app": SimpleNamespace(state=state),
        "path_params": {"account_id": "account-1", "form": "focus.csv"},
    }
    if echo:
        of_reads(SimpleNamespace(scope=scope))
    start: Any = {"type": "http.response.start", "status": status}
    body: Any = {"type": "http.response.body", "body": b""}
    asyncio.run(read_told(start, scope))
    asyncio.run(read_told(body, scope))
    return list(calls._counts.get(ORG, {}))


def test_an_answer_that_hands_out_evidence_is_counted_once() -> None:
    """With what its path names; none that is refused, is no evidence, or tells of reads alone."""
    let: dict[tuple[str, str], tuple[Place, tuple[str, ...]]]
    let = {("account.export", ORG): ((ORG, PLATFORM), ("binding-1", "binding-2"))}
    one = reader("account.export", let)
    said = ("account.export", READ, "account-1/focus.csv", "binding-1,binding-2")
    assert begun(200, one) == [Kind(ORG, "user-1", "", *said)]
    assert begun(404, one) == []
    assert begun(200, one, echo=True) == []
    assert begun(200, reader("account.read", let)) == []
    assert begun(200, None) == []


@pytest.mark.parametrize(
    ("org", "told"),
    [
        (ORG, Let("access.revoke_any", (PROJECT, DEPARTMENT, ORG, PLATFORM), ("b-2",))),
        (PLATFORM, Let("node.cordon", (PLATFORM,), ("b-3",))),
        ("organization-else", Let("node.cordon", (PLATFORM,), ("b-3",))),
    ],
)
def test_the_last_action_that_was_asked_about_is_told(org: str, told: Let) -> None:
    """In the organization of what changes, if anything was decided there."""
    whole: Place = (PROJECT, DEPARTMENT, ORG, PLATFORM)
    one = reader(
        "access.revoke",
        {
            ("access.revoke", ORG): (whole, ("b-1",)),
            ("access.revoke_any", ORG): (whole, ("b-2",)),
            ("node.cordon", PLATFORM): ((PLATFORM,), ("b-3",)),
        },
    )
    assert let_of(one, org) == told


def test_where_nothing_was_asked_about_the_guard_decided_or_nobody_had_to() -> None:
    """By what the token is; what anybody does to what is its own is `own`."""
    assert let_of(reader("project.list", {}), ORG).policies == ("token:member",)
    assert let_of(reader("mfa.enrol", {}), ORG) == Let("mfa.enrol", (ORG, PLATFORM), (OWN,))
