"""Projects that move, as the auditor reads them: what goes with them, and what is refused."""

from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from domain import department, moving, project, quota, runtime, storage_quota
from domain import lending as f
from domain.price_facts import Tier
from domain.words import Private
from gpuaas_verify.books import Books
from gpuaas_verify.errors import Invalid
from tests.property.books_history import HOUR_US, ORG, History, stream
from tests.unit.test_verify_books import rows, simple
from tests.unit.test_verify_books_refusals import refused
from tests.unit.test_verify_books_upkeep import holds

QUOTA = quota.quota_stream(ORG)
ONE, TWO = stream("department", 1), stream("department", 2)
P, Q = stream("project", 1), stream("project", 2)
NAME = Private("0" * 64)


def world(*facts: tuple[str, Struct]) -> History:
    """Two departments, two projects of the first one, an account; and these facts."""
    history = History()
    account = history.account(1)
    for where in (ONE, TWO):
        history.add(where, department.Created(ORG, NAME, 0))
    for name in (P, Q):
        history.add(name, project.Created(ORG, ONE, account, NAME, 0))
    for where, fact in facts:
        history.add(where, fact)
    return history


def moved(history: History, to: str = TWO, at: int = 5, name: str = P) -> History:
    cause = f"cmd:{len(history.facts):064x}"
    history.add(name, project.Moved(to, stream("account", 1), at), cause)
    history.add(QUOTA, moving.Moved(name, to, at), cause)
    return history


def commit(number: int, name: str = P, milli: int = 1000, where: str = ONE) -> tuple[str, Struct]:
    return QUOTA, quota.Committed(stream("runtime", number), where, name, "T4", milli, 0)


def store(number: int, mib: int, where: str = ONE) -> tuple[str, Struct]:
    return QUOTA, storage_quota.Committed(stream("volume", number), where, P, "local", mib, 0)


def limit(scope: str, milli: int, model: str = "T4") -> tuple[str, Struct]:
    return QUOTA, quota.LimitSet(scope, model, milli, 0)


def share(scope: str, parent: str, guaranteed: int, top: int = 9000) -> tuple[str, Struct]:
    return QUOTA, f.ShareSet(scope, parent, "T4", guaranteed, 0, top, 0)


def test_what_a_project_uses_goes_with_it() -> None:
    """Its new department has less room, its old one more; so on the way back."""
    tight = (limit(TWO, 1500), limit(ONE, 2000), commit(1), commit(2, Q))
    history = moved(world(*tight))
    history.add(*commit(3, Q))
    holds(history)
    history.add(*commit(4, P, where=TWO))
    refused(history, "books.quota", "gpu_milli")
    history = moved(world(*tight))
    history.add(QUOTA, quota.Released(stream("runtime", 1), 6))
    history.add(*commit(4, P, 1500, TWO))
    holds(history)
    history = moved(moved(world(*tight)), ONE, 6)
    history.add(*commit(4, P, where=ONE))
    refused(history, "books.quota", "gpu_milli")


def test_what_is_reserved_and_stored_goes_with_it() -> None:
    """A reservation counts whole, a volume in MiB."""
    reserved = QUOTA, quota.Reserved(stream("reservation", 1), ONE, P, "T4", 2000, 0)
    history = moved(world(limit(TWO, 2000), reserved))
    history.add(*commit(1, P, 1, TWO))
    refused(history, "books.quota", "gpu_milli")
    shelf = QUOTA, storage_quota.LimitSet(TWO, "local", 10, 0)
    history = moved(world(shelf, store(1, 8)))
    history.add(*store(2, 3, TWO))
    refused(history, "books.quota", "size_mib")
    history = moved(world(shelf, store(1, 8)))
    history.add(*store(1, 10, TWO))
    holds(history)


@pytest.mark.parametrize(
    "facts",
    [
        (limit(TWO, 999), commit(1)),
        (limit(TWO, 1999, "*"), commit(1), commit(2)),
        (limit(TWO, 1000), commit(1), (QUOTA, quota.Committed(
            stream("runtime", 9), TWO, stream("project", 9), "T4", 1, 0))),
        ((QUOTA, storage_quota.LimitSet(TWO, "local", 7, 0)), store(1, 8)),
    ],
)  # fmt: skip
def test_it_must_fit_where_it_goes(facts: Any) -> None:
    """Of one model, of all, of storage, beside what is there."""
    refused(moved(world(*facts)), "books.quota", "department")


def test_a_project_without_use_goes_wherever_it_likes() -> None:
    """Also where a limit was lowered below the use: its own volume is wiped, it takes nothing along."""
    history = world()
    node = history.node(1, "T4")
    mine = storage_quota.Committed(stream("volume", 1), ONE, P, "local", 64, 0)
    history.add(QUOTA, mine)
    history.wiped(history.volume(1, stream("account", 1), node, 0), 1)
    theirs = storage_quota.Committed(stream("volume", 2), TWO, stream("project", 9), "local", 8, 0)
    history.add(QUOTA, theirs)
    history.add(QUOTA, storage_quota.LimitSet(TWO, "local", 1, 0))
    holds(moved(history))


def test_a_share_of_the_new_department_bounds_it_too() -> None:
    """By use, and by what others keep there and do not use."""
    tree = (share(ORG, "", 4000, 4000), share(ONE, ORG, 1000, 4000), share(TWO, ORG, 3000, 3000))
    holds(moved(world(*tree, commit(1))))
    beside = (QUOTA, f.ShareSet(Q, ONE, "T4", 0, 0, 4000, 0))
    holds(moved(world(*tree, beside, commit(1))))
    full = (QUOTA, quota.Committed(stream("runtime", 9), TWO, stream("project", 9), "T4", 2500, 0))
    refused(moved(world(*tree, full, commit(1))), "books.quota", "gpu_milli")
    # What the first department keeps is then unused, and the second's use comes on top of it.
    low = (share(ORG, "", 2000, 2000), share(ONE, ORG, 1000, 2000))
    refused(moved(world(*low, commit(1), (QUOTA, quota.Committed(
        stream("runtime", 9), TWO, stream("project", 9), "T4", 1000, 0)))), "books.quota",
        "gpu_milli")  # fmt: skip


def test_what_is_guaranteed_stays() -> None:
    """A project goes without a guarantee or a claim; a share of nothing stands below its new one."""
    tree = (share(ORG, "", 4000), share(ONE, ORG, 2000), share(TWO, ORG, 2000))
    refused(moved(world(*tree, share(P, ONE, 1))), "books.lending", "project")
    claimed = (
        *(share(P, ONE, 1000), (QUOTA, f.Claimed(P, "T4", 1000, 10, 20, 5))),
        share(P, ONE, 0),
    )
    refused(moved(world(*tree, *claimed)), "books.lending", "project")
    history = moved(world(*tree, share(Q, ONE, 2000), share(P, ONE, 0)))
    history.add(*share(P, TWO, 2000))
    holds(history)


def test_what_begins_in_it_begins_where_it_is() -> None:
    """From the move on, by department and account."""
    account = stream("account", 1)
    asked = runtime.Requested(P, ONE, account, NAME, 1, 1000, (), 6)
    for wrong, field in (
        (asked, "department"),
        (replace(asked, department=TWO, account=stream("account", 2)), "account"),
    ):
        history = world()
        history.account(2)
        moved(history).add(stream("runtime", 1), wrong)
        refused(history, "books.moved", field)
    for late in (commit(1), (QUOTA, quota.Reserved(stream("reservation", 1), ONE, P, "T4", 1, 0)),
                 store(1, 1)):  # fmt: skip
        history = moved(world())
        history.add(*late)
        refused(history, "books.moved", "department")
    history = moved(world())
    history.add(stream("runtime", 1), replace(asked, department=TWO))
    holds(history)


def only(history: History, fact: Struct, where: str = P) -> History:
    history.add(where, fact)
    return history


def test_a_move_that_cannot_be_is_refused() -> None:
    """Of what is not there, to another's department or account, nowhere, back in time, twice."""
    account = stream("account", 1)
    to = project.Moved(TWO, account, 5)
    refused(only(world(), to, stream("project", 9)), "books.moved", "stream")
    refused(
        only(world(), replace(to, department=stream("department", 9))), "books.moved", "department"
    )
    refused(only(world(), replace(to, department=ONE)), "books.moved", "department")
    refused(only(world(), replace(to, moved_us=0)), "books.moved", "moved_us")
    refused(
        only(only(world(), to), replace(to, department=ONE, moved_us=6)), "books.moved", "stream"
    )
    foreign = world()
    foreign.orgs[TWO] = other = stream("organization", 9)
    foreign.facts = [(s, c, replace(x, organization=other) if s == TWO else x)
                     for s, c, x in foreign.facts]  # fmt: skip
    refused(only(foreign, to), "books.moved", "department")
    foreign = world()
    foreign.orgs[stream("account", 2)] = other
    opened = foreign.facts[0][2]
    foreign.add(stream("account", 2), replace(opened, organization=other))
    refused(only(foreign, replace(to, account=stream("account", 2))), "books.org", "org")


def test_a_move_and_its_quota_are_one_append() -> None:
    """Neither without the other, nor to different departments, nor in another's quota."""
    with Books(None) as books:
        only(world(), project.Moved(TWO, stream("account", 1), 5)).feed(books)
        with pytest.raises(Invalid) as caught:
            books.finish()
    assert caught.value.code == "books.moved"
    refused(only(world(), moving.Moved(P, TWO, 5), QUOTA), "books.moved", "project")
    history = only(world(), project.Moved(TWO, stream("account", 1), 5))
    refused(only(history, moving.Moved(P, TWO, 5), QUOTA), "books.moved", "project")
    for fact, where, field in (
        (moving.Moved(P, ONE, 5), QUOTA, "project"),
        (moving.Moved(P, TWO, 5), stream("quota", 9), "stream"),
    ):
        history = moved(world())
        history.facts[-1] = (where, history.facts[-1][1], fact)
        refused(history, "books.moved", field)
    holds(moved(moved(world()), ONE, 6))


def test_charges_are_cut_where_a_project_moves() -> None:
    """One line, three pieces; its amount is that of the whole: 3 h at 1 USD, cut at 1 h and 2 h. An
    account's change cuts as well, and moves nothing of what runs.
    """
    history, account, _, node = simple()
    one = history.start(1, account, node, 0)
    history.say(runtime.Usable, one, 0)
    history.move(P, 2, account, HOUR_US)
    history.account(2)
    history.move(P, 2, stream("account", 2), 2 * HOUR_US)
    history.say(runtime.Stopped, one, 3 * HOUR_US)
    rated, transfers = rows(history)
    assert [(row["start_us"], row["end_us"]) for row in rated] == [
        (0, HOUR_US), (HOUR_US, 2 * HOUR_US), (2 * HOUR_US, 3 * HOUR_US),
    ]  # fmt: skip
    assert rated[-1]["line_amount_pico"] == 3 * 10**12
    assert {row["account"] for row in transfers} == {account}
    history.shaped((Tier(None, 10**12),), 0, named=("b", 1))
    history.book("b", 1, 1)
    history.rerate(account, "b", 1, 0, 3 * HOUR_US)
    rated, _ = rows(history)
    again = [(row["start_us"], row["end_us"]) for row in rated if row["sign"] < 0]
    assert again == [(0, HOUR_US), (HOUR_US, 2 * HOUR_US), (2 * HOUR_US, 3 * HOUR_US)]
