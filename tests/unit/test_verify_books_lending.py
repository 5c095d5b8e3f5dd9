"""Shares and claims of a quota as the auditor reads them: each refusal has its history here."""

import pytest
from msgspec import Struct
from msgspec.structs import replace

from domain import lending as f
from domain import quota, reservation
from tests.property.books_history import ORG, History, stream
from tests.unit.test_verify_books_claims import RESERVATION, drawing, reserved_history
from tests.unit.test_verify_books_refusals import refused
from tests.unit.test_verify_books_upkeep import holds

QUOTA = quota.quota_stream(ORG)
ONE, TWO = stream("department", 1), stream("department", 2)
A, B, C = (stream("project", n) for n in (1, 2, 3))  # A and B of ONE, C of TWO
ABOVE = {A: ONE, B: ONE, C: TWO, ONE: ORG, TWO: ORG, ORG: ""}


def share(scope: str, guaranteed: int, lendable: int, limit: int = 100) -> f.ShareSet:
    return f.ShareSet(scope, ABOVE[scope], "T4", guaranteed, lendable, limit, 0)


def commit(number: int, project: str, milli: int, at: int = 0) -> quota.Committed:
    return quota.Committed(stream("runtime", number), ABOVE[project], project, "T4", milli, at)


def claim(scope: str, milli: int) -> f.Claimed:
    return f.Claimed(scope, "T4", milli, 10, 20, 5)


def reclaim(scope: str, *numbers: int, stop: int = 10) -> f.ReclaimDecided:
    return f.ReclaimDecided(scope, "T4", tuple(stream("runtime", n) for n in numbers), stop, 5)


def told(*facts: Struct) -> History:
    history = History()
    for fact in facts:
        history.add(QUOTA, fact)
    return history


TREE = (
    share(ORG, 10, 0, 10),
    share(ONE, 6, 2, 10),
    share(TWO, 4, 4, 8),
    share(A, 3, 1, 10),
    share(B, 3, 0, 9),
)


def denied(code: str, field: str, *facts: Struct) -> None:
    refused(told(*facts), code, field)


@pytest.mark.parametrize(
    ("fact", "field"),
    [
        (share(C, 3, 4), "guaranteed_milli"),
        (share(C, 3, 1, 2), "guaranteed_milli"),
        (share(C, 3, -1), "guaranteed_milli"),
        (replace(share(C, 1, 0), model="*"), "model"),
        (replace(share(C, 1, 0), parent=""), "parent"),
        (replace(share(C, 1, 0), model="A10"), "parent"),
        (replace(share(ORG, 10, 0), parent=ONE), "parent"),
        (share(ORG, 10, 1), "lendable_milli"),
        (share(C, 5, 0), "guaranteed_milli"),
        (share(B, 4, 0), "guaranteed_milli"),
        (share(ONE, 5, 0), "guaranteed_milli"),
        (share(ORG, 9, 0), "guaranteed_milli"),
        (replace(share(C, 1, 0), parent=A), None),
        (share(C, 4, 4), None),
        (share(B, 2, 2), None),
    ],
)
def test_a_share_is_within_what_stands_above_it(fact: f.ShareSet, field: str | None) -> None:
    """Its own order of numbers, one model, a scope above that guarantees the sum of those below."""
    if field is None:
        holds(told(*TREE, fact))
    else:
        denied("books.lending", field, *TREE, fact)


def test_what_a_scope_promised_before_is_promised_no_more() -> None:
    """Set again with less, or under another scope: the scope above may give it to others."""
    holds(told(*TREE, share(B, 0, 0), share(A, 6, 0)))
    moved = replace(share(B, 3, 0), parent=TWO)
    holds(told(*TREE, moved, share(A, 6, 0), commit(1, A, 6)))
    denied("books.lending", "guaranteed_milli", *TREE, moved, share(C, 2, 0))
    # what it kept counts where it is now: TWO may borrow 3 less, ONE 3 more
    denied("books.quota", "gpu_milli", *TREE, moved, share(A, 6, 0), commit(1, C, 6))
    # nor is what was promised in one scope free in another
    denied("books.lending", "guaranteed_milli", *TREE, share(C, 2, 0), moved)
    less = replace(share(B, 1, 0), parent=TWO)
    denied("books.quota", "gpu_milli", *TREE, less, share(A, 6, 0), commit(1, C, 4))
    holds(told(*TREE[:3], share(B, 0, 0), replace(share(B, 0, 0), parent=TWO), commit(1, C, 6)))
    holds(told(*TREE, moved, share(A, 6, 6), commit(1, C, 3), commit(2, A, 4)))


def test_use_is_never_above_a_limit_of_a_share() -> None:
    """Of the project, the department, the organization; what draws on nothing shared is not counted."""
    denied("books.quota", "gpu_milli", *TREE, share(B, 3, 0, 3), commit(1, B, 4))
    denied("books.quota", "gpu_milli", *TREE, commit(1, C, 9))
    denied("books.quota", "gpu_milli", share(ORG, 5, 0, 5), commit(1, A, 6))
    holds(told(*TREE, commit(1, B, 3), replace(commit(2, C, 90), model="A10")))


def test_what_is_kept_for_others_is_not_borrowed() -> None:
    """ONE keeps 4 (A 2 of them, B 3: so 5 in all), so C may have 5; B may have 8, as A keeps 2."""
    holds(told(*TREE, commit(1, C, 5)))
    denied("books.quota", "gpu_milli", *TREE, commit(1, C, 6))
    holds(told(*TREE, commit(1, B, 8)))
    denied("books.quota", "gpu_milli", *TREE, commit(1, B, 9))
    # and use of what is kept rests on nobody: A has its 2 however full the rest is
    holds(told(*TREE, commit(1, B, 8), commit(2, A, 2)))
    holds(told(*TREE, commit(1, C, 5), commit(2, B, 3), commit(3, A, 2)))


def test_what_is_claimed_is_not_borrowed_and_used_by_the_claimant() -> None:
    """A claims 3, 1 more than it keeps: B borrows less from that position on."""
    holds(told(*TREE, claim(A, 3), commit(1, B, 7), commit(2, A, 3)))
    denied("books.quota", "gpu_milli", *TREE, claim(A, 3), commit(1, B, 8))
    given_up = f.Unclaimed(A, "T4", "unneeded", 6)
    holds(told(*TREE, claim(A, 3), given_up, commit(1, B, 8)))


def test_over_its_limit_a_scope_accepts_only_releases() -> None:
    """Lowered under what is used: not one milli more, until it has room again."""
    low = share(B, 3, 0, 3)
    stood = (*TREE, commit(1, B, 5), low)
    denied("books.quota", "gpu_milli", *stood, commit(2, B, 1))
    gone = quota.Released(stream("runtime", 1), 0)
    holds(told(*stood, gone, commit(2, B, 3)))


@pytest.mark.parametrize(
    ("fact", "field"),
    [
        (claim(A, 4), "gpu_milli"),
        (claim(A, 0), "gpu_milli"),
        (claim(C, 1), "gpu_milli"),
        (claim(ORG, 1), "gpu_milli"),
        (replace(claim(A, 1), stop_us=4), "until_us"),
        (replace(claim(A, 1), until_us=10), "until_us"),
    ],
)
def test_a_claim_is_within_a_guarantee_and_for_a_time(fact: f.Claimed, field: str) -> None:
    """Not more than guaranteed, nor of a scope without a share, nor of an organization."""
    denied("books.lending", field, *TREE, fact)


LENT = (*TREE, commit(1, C, 2, 1), commit(2, C, 1, 2), commit(3, C, 2, 3), commit(4, A, 2, 4))


def test_a_claim_names_the_newest_that_borrow_at_once() -> None:
    """C has 5, 4 of them its department's own. TWO claims nothing here: A and B do, of ONE's 6."""
    whole = (*LENT, claim(ONE, 6))
    holds(told(*whole, reclaim(ONE, 3)))
    for wrong in (reclaim(ONE, 2), reclaim(ONE, 3, 2), reclaim(ONE), reclaim(ONE, 1)):
        denied("books.lending", "runtimes", *whole, wrong)
    denied("books.lending", "runtimes", *whole, reclaim(A, 3))
    denied("books.lending", "runtimes", *whole, reclaim(ONE, 3, stop=11))
    denied("books.lending", "runtimes", *LENT, reclaim(ONE, 3))
    denied("books.lending", "tag", *whole, quota.Released(stream("runtime", 3), 0))
    denied("books.lending", "tag", *whole, commit(9, B, 1))
    # what was named counts as gone for the next claim, and not any more once the claim has ended
    named = (*whole, reclaim(ONE, 3))
    holds(told(*named, claim(ONE, 6), commit(9, B, 3)))
    ended = f.Unclaimed(ONE, "T4", "unneeded", 6)
    holds(told(*named, ended, claim(ONE, 6), reclaim(ONE, 3)))
    denied("books.lending", "tag", *named, ended, claim(ONE, 6), commit(9, B, 1))


def test_who_is_named_depends_on_what_is_guaranteed_to_it() -> None:
    """Within ONE: B has 6 of 3, so its newest goes; A's own never does, nor what is guaranteed."""
    held = (*TREE, commit(1, B, 5, 1), commit(2, B, 3, 2))
    holds(told(*held, claim(A, 3), reclaim(A, 2)))
    denied("books.lending", "runtimes", *held, claim(A, 3), reclaim(A, 1))
    # nothing is guaranteed to C, but all that it has is to TWO; ONE has more than it is guaranteed
    full = (*TREE, commit(1, C, 4, 3), commit(2, B, 4, 2))
    holds(told(*full, claim(TWO, 4)))
    denied("books.lending", "runtimes", *full, claim(A, 3), reclaim(A, 1))
    holds(told(*full, claim(A, 3), reclaim(A, 2)))


def test_nobody_is_named_twice_nor_of_the_claiming_scope_nor_of_another_model() -> None:
    """A claim in ONE: what must go for ONE's limit, then what for the organization's, which others'
    guarantees have overdrawn since. What the claimant itself has above its guarantee stays.
    """
    low = (share(ORG, 10, 0, 10), share(ONE, 6, 6, 7), share(TWO, 4, 4, 8))
    held = (
        commit(1, B, 3, 1), commit(2, B, 1, 2), commit(3, C, 4, 3), commit(5, B, 1, 5),
        commit(4, C, 1, 9), replace(commit(6, C, 9, 10), model="A10"),
    )  # fmt: skip
    whole = (*low, *held, share(A, 3, 1), share(B, 3, 0))
    holds(told(*whole, claim(A, 3), reclaim(A, 5, 4, 2)))
    full = (*low, *(commit(n, B, 1, n) for n in (1, 2, 3, 4, 5)), commit(9, C, 5, 9))
    kept = (share(A, 3, 0), share(B, 3, 0), share(C, 4, 4))
    holds(told(*full, *kept, claim(C, 4), reclaim(C, 5, 4)))


def test_reservations_are_not_taken_back() -> None:
    """Nor what draws on one, until it is over."""
    history = reserved_history()
    drawing(history, 1, 0)
    for scope, milli, limit in ((ORG, 2_000, 2_000), (ONE, 500, 2_000), (TWO, 1_500, 2_000)):
        history.add(QUOTA, share(scope, milli, 1_500 if scope == TWO else 0, limit))
    history.add(QUOTA, claim(TWO, 1_500))
    history.add(QUOTA, f.Unclaimed(TWO, "T4", "unneeded", 6))
    history.add(RESERVATION, reservation.Over("expired", 9))
    history.add(QUOTA, quota.Unreserved(RESERVATION, 9))
    history.add(QUOTA, claim(TWO, 1_500))
    history.add(QUOTA, reclaim(TWO, 1))
    holds(history)


def test_one_claim_names_512_at_most() -> None:
    """What one fact can say; a second claim names the rest."""
    many = [commit(number, C, 1, number) for number in range(1, 515)]
    history = told(share(ORG, 514, 0, 514), share(ONE, 514, 514, 514), *many, claim(ONE, 514))
    history.add(QUOTA, reclaim(ONE, *range(514, 2, -1)))
    again = f.Unclaimed(ONE, "T4", "unneeded", 6)
    history.add(QUOTA, claim(ONE, 514))
    history.add(QUOTA, reclaim(ONE, 2, 1))
    history.add(QUOTA, again)
    holds(history)


def test_a_claim_ends_once_and_expires_in_its_time() -> None:
    """Nothing claimed; expired before its time."""
    denied("books.lending", "scope", *TREE, f.Unclaimed(A, "T4", "unneeded", 6))
    denied("books.lending", "scope", *TREE, claim(A, 3), f.Unclaimed(A, "T4", "expired", 19))
    holds(told(*TREE, claim(A, 3), f.Unclaimed(A, "T4", "expired", 20)))
    again = f.Unclaimed(A, "T4", "expired", 20)
    denied("books.lending", "scope", *TREE, claim(A, 3), again, again)
