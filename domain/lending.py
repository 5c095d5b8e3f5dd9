"""Guaranteed, lendable, limit: what a scope of a quota is sure of, lends and may have, per model.

    Lending -SetShare | Claim | Unclaim-> Lending

A scope keeps `guaranteed - lendable` for itself, used or not; the rest of its guarantee others may
borrow while it is unused. Of each scope on the way from a project to its organization an append may
raise none of three sums above the limit: the use; the **firm** sum, which is the use and what the
scopes below keep and do not use; the **pledged** sum, which counts what they claim as well. So what
a scope keeps is there whatever its siblings do, and what it lent comes back by a claim: from its
fact on nobody borrows into it, and borrowers are named that must stop, spot and the newest first
(contracts/facts.md says all of it exactly).
"""

from collections.abc import Iterable, Iterator
from typing import assert_never

from msgspec.structs import replace

from domain.errors import DomainError
from domain.lending_facts import (
    EXPIRED,
    MOST_NAMED,
    RECLAIMED,
    Before,
    Borrower,
    Claim,
    Claimed,
    Command,
    Event,
    Lending,
    ReclaimDecided,
    Room,
    SetShare,
    ShareSet,
    Sums,
    Unclaim,
    Unclaimed,
    Use,
    Where,
)
from domain.lending_sums import least_milli, resum, settle
from domain.storage_quota import WHOLE, scope_key
from domain.words import ANY_MODEL

__all__ = [
    "EXPIRED", "MOST_NAMED", "RECLAIMED", "Before", "Borrower", "Claim", "Claimed", "Command",
    "Event", "Lending", "ReclaimDecided", "Room", "SetShare", "ShareSet", "Unclaim", "Unclaimed",
    "resum", "settle",
]  # fmt: skip


def new_lending() -> Lending:
    return Lending({}, {}, {}, {}, Sums({}, {}), Sums({}, {}))


def decide(
    command: Command, state: Lending, used: Use, borrowers: Iterable[Borrower]
) -> list[Event]:
    """The facts this command makes of this state; none when it was done already.

    `borrowers`: all that hold something of the model and count by themselves, in any order.

    Raises:
        DomainError: `quota.share_invalid`, `quota.guarantee_exceeded`, `quota.claim_invalid`,
            `quota.claim_stands`.
    """
    where = (scope_key(command.scope), command.model)
    match command:
        case SetShare():
            share = ShareSet(
                *(command.scope, command.parent, command.model, command.guaranteed_milli),
                *(command.lendable_milli, command.limit_milli, command.now_us),
            )
            before = state.shares.get(where)
            if before is not None and _terms(before) == _terms(share):
                return []
            _require_form(share)
            _require_guarantee(state, share)
            return [share]
        case Claim():
            return _claim(command, where, state, used, borrowers)
        case Unclaim(scope, model, reason, now_us):
            claim = state.claims.get(where)
            if claim is None:
                return []
            if reason == EXPIRED and now_us < claim.until_us:
                raise DomainError(
                    "quota.claim_stands", "it stands until then", {"until_us": claim.until_us}
                )
            return [Unclaimed(scope, model, reason, now_us)]
        case _:
            assert_never(command)


def _terms(share: ShareSet) -> tuple[str, int, int, int]:
    return share.parent, share.guaranteed_milli, share.lendable_milli, share.limit_milli


def _require_form(share: ShareSet) -> None:
    root = scope_key(share.scope) == WHOLE
    if not 0 <= share.lendable_milli <= share.guaranteed_milli <= share.limit_milli:
        raise DomainError("quota.share_invalid", "0 <= lendable <= guaranteed <= limit")
    if share.model == ANY_MODEL:
        raise DomainError("quota.share_invalid", "a share is of one model")
    if root and share.lendable_milli:
        raise DomainError("quota.share_invalid", "an organization has nobody to lend to")
    if root != (share.parent == ""):
        raise DomainError("quota.share_invalid", "only an organization has nothing above it")


def _require_guarantee(state: Lending, share: ShareSet) -> None:
    """What is guaranteed below a scope is at most what is guaranteed to it, above and below."""
    scope = scope_key(share.scope)
    given = _guaranteed_below(state, (scope, share.model), "")
    if given > share.guaranteed_milli:
        raise _exceeded(share.scope, share.model, share.guaranteed_milli, given, given)
    if scope == WHOLE:
        return
    above = state.shares.get((scope_key(share.parent), share.model))
    if above is None:
        facts: dict[str, int | str] = {"scope": share.parent, "model": share.model}
        raise DomainError("quota.share_invalid", "the scope above it has no share yet", facts)
    given = _guaranteed_below(state, (scope_key(share.parent), share.model), scope)
    if given + share.guaranteed_milli > above.guaranteed_milli:
        asked = share.guaranteed_milli
        raise _exceeded(share.parent, share.model, above.guaranteed_milli, given, asked)


def _guaranteed_below(state: Lending, where: Where, but: str) -> int:
    below = state.below.get(where, ())
    return sum(state.shares[one, where[1]].guaranteed_milli for one in below if one != but)


def _exceeded(scope: str, model: str, has: int, given: int, wanted: int) -> DomainError:
    return DomainError(
        "quota.guarantee_exceeded",
        f"{scope} is guaranteed {has} milli-GPU of {model}",
        {
            "scope": scope,
            "model": model,
            "guaranteed_milli": has,
            "given_milli": given,
            "wanted_milli": wanted,
            "fits_milli": max(has - given, 0),
        },
    )


def _claim(
    command: Claim, where: Where, state: Lending, used: Use, borrowers: Iterable[Borrower]
) -> list[Event]:
    share = state.shares.get(where)
    has = 0 if share is None else share.guaranteed_milli
    if where[0] == WHOLE or not 0 < command.gpu_milli <= has:
        facts: dict[str, int | str] = {
            "scope": command.scope, "model": command.model, "guaranteed_milli": has,
            "wanted_milli": command.gpu_milli, "fits_milli": has,
        }  # fmt: skip
        raise DomainError("quota.claim_invalid", "a claim is within a guarantee", facts)
    if not command.now_us <= command.stop_us < command.until_us:
        raise DomainError("quota.claim_invalid", "it ends before the borrowers have to stop")
    claim = Claimed(
        *(command.scope, command.model, command.gpu_milli),
        *(command.stop_us, command.until_us, command.now_us),
    )
    stands = state.claims.get(where)
    if stands is not None and replace(stands, decided_us=claim.decided_us) == claim:
        return []
    after = replace(state, claims={**state.claims, where: claim})
    named = reclaimed(after, where, used, borrowers, command.spot)
    if not named:
        return [claim]
    until = (command.stop_us, command.now_us)
    return [claim, ReclaimDecided(command.scope, command.model, named, *until)]


def reclaimed(
    state: Lending, where: Where, used: Use, borrowers: Iterable[Borrower], spot: frozenset[str]
) -> tuple[str, ...]:
    """Runtimes that must stop so that what stands claimed at `where` fits: those that are spot,
    then the others, the newest first.

    Those above it one after the other, the nearest first: while the pledged sum is above its limit,
    the next of the newest that borrows. What is on its way out already is counted as gone.
    """
    model = where[1]
    left = dict(used)
    found = []
    for one in sorted(
        borrowers, key=lambda one: (one.runtime in spot, one.decided_us, one.runtime), reverse=True
    ):
        if one.runtime in state.named:
            _less(left, one, model)
        else:
            found.append(one)
    named: list[str] = []
    for top in _above(state, where):
        limit = state.shares[top, model].limit_milli
        for one in found:
            if pledged(state, left, (top, model)) <= limit or len(named) == MOST_NAMED:
                break
            if one.runtime not in named and _borrows(state, left, one, top, where):
                _less(left, one, model)
                named.append(one.runtime)
    return tuple(named)


def _above(state: Lending, where: Where) -> Iterator[str]:
    scope, model = where
    while scope != WHOLE:
        scope = scope_key(state.shares[scope, model].parent)
        yield scope


def _borrows(state: Lending, left: Use, one: Borrower, top: str, where: Where) -> bool:
    """Whether its project, and its department when `top` is above that, have more than guaranteed;
    nobody's claim takes what is of the claiming scope itself.
    """
    model = where[1]
    if where[0] in (one.project, one.department) or top not in (WHOLE, one.department):
        return False
    if left.get((one.project, model), 0) <= _guaranteed(state, (one.project, model)):
        return False
    department = (one.department, model)
    return top != WHOLE or pledged(state, left, department) > _guaranteed(state, department)


def _guaranteed(state: Lending, where: Where) -> int:
    share = state.shares.get(where)
    return 0 if share is None else share.guaranteed_milli


def _less(left: Use, one: Borrower, model: str) -> None:
    for scope in (WHOLE, one.department, one.project):
        left[scope, model] = left.get((scope, model), 0) - one.gpu_milli


def pledged(state: Lending, used: Use, where: Where) -> int:
    """The use of the scope, and what it and those below keep or claim beyond their use."""
    return used.get(where, 0) + spare(state, used, where, claims=True)


def spare(state: Lending, used: Use, where: Where, *, claims: bool) -> int:
    """What the scope, and those below it, keep (or claim) and do not use: 0 or more."""
    share = state.shares.get(where)
    below = sum(
        spare(state, used, (one, where[1]), claims=claims) for one in state.below.get(where, ())
    )
    if share is None:
        return below
    return max(below, least_milli(state, share, where, claims=claims) - used.get(where, 0))


def room(state: Lending, used: Use, department: str, project: str, model: str) -> Room | None:
    """The smallest room (may be negative) for this model, and whose it is; None: no share."""
    found: Room | None = None
    for sums in (state.kept, state.pledged) if state.claims else (state.kept,):
        free = 0  # what the scopes so far keep or claim for this project: it raises no sum above
        for scope in (project, department, WHOLE):
            where = (scope, model)
            below = sums.below.get(where, 0)
            share = state.shares.get(where)
            has = used.get(where, 0)
            if share is not None:
                limit = share.limit_milli
                left = min(limit - has, free + max(0, limit - has - below))
                if found is None or left < found.left_milli:
                    found = Room(left, where, limit, below)
            free += sums.own.get(where, 0) - below
    return found


def entitled(state: Lending, used: Use, department: str, project: str, model: str) -> int:
    """How much more the project has within its own guarantee: what a claim may bring back."""
    where = (project, model)
    mine = _guaranteed(state, where) - used.get(where, 0)
    above = (department, model)
    if where not in state.shares:
        mine = _guaranteed(state, above) - used.get(above, 0)
    return max(mine, 0)


def remember(state: Lending, event: Event, used: Use) -> None:
    """Change it in place: for the one owner of a mutable copy, the admission."""
    where = (scope_key(event.scope), event.model)
    match event:
        case ShareSet():
            put_share(state, where, event)
            resum(state, used, event.model)
        case Claimed():
            state.claims[where] = event
            resum(state, used, event.model)
        case ReclaimDecided():
            for runtime in event.runtimes:
                state.named[runtime] = (where, event.stop_us)
        case Unclaimed():
            del state.claims[where]
            for runtime in [one for one, (of, _) in state.named.items() if of == where]:
                del state.named[runtime]
            resum(state, used, event.model)
        case _:
            assert_never(event)


def put_share(state: Lending, where: Where, share: ShareSet | None) -> None:
    """The share stands there, below its parent, or none; `resum` follows."""
    before = state.shares.pop(where, None)
    for parent in {one.parent for one in (before, share) if one is not None and one.parent}:
        above = (scope_key(parent), where[1])
        mine = share is not None and share.parent == parent
        others = tuple(one for one in state.below.get(above, ()) if one != where[0])
        below = tuple(sorted((*others, where[0]))) if mine else others
        if below:
            state.below[above] = below
        else:
            state.below.pop(above, None)
    if share is not None:
        state.shares[where] = share


def before(state: Lending, event: Event) -> Before:
    where = (scope_key(event.scope), event.model)
    named = {runtime: of for runtime, of in state.named.items() if of[0] == where}
    return Before(state.shares.get(where), state.claims.get(where), named)


def restore(state: Lending, event: Event, stood: Before, used: Use) -> None:
    """Undo `remember` of an event whose append was refused."""
    where = (scope_key(event.scope), event.model)
    match event:
        case ShareSet():
            put_share(state, where, stood.share)
        case ReclaimDecided():
            for runtime in event.runtimes:
                state.named.pop(runtime, None)
            state.named.update(stood.named)
        case Claimed() | Unclaimed():
            state.claims.pop(where, None)
            if stood.claim is not None:
                state.claims[where] = stood.claim
            state.named.update(stood.named)
        case _:
            assert_never(event)
    resum(state, used, event.model)


def copied(state: Lending) -> Lending:
    return Lending(
        *(dict(state.shares), dict(state.below), dict(state.claims), dict(state.named)),
        *(Sums(dict(one.own), dict(one.below)) for one in (state.kept, state.pledged)),
    )
