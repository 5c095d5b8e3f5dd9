"""Use that is charged already, priced again: reversed and entered anew (rating.md section 10)."""

from bisect import bisect_right

from domain.charging import Payer, Resource, Rows, count, service_at, settle
from domain.price_facts import ReratingDecided
from domain.tariff import NEVER, Price, Schedule, Tariff

type Change = tuple[int, int, Price, Price]  # from, until, by which entry before and now


def rerate(tariff: Tariff, cause: int, owner: Payer, decided: ReratingDecided, rows: Rows) -> None:
    """What the account has been charged moves to the lines of the entries that now apply to it.

    Where these are the same nothing moves, so the same decision again has no rows. A period that
    is closed stays as it is: what belongs to it is booked in the first one that is open. What is
    prepaid keeps the prices that its holds were made of.

    Raises:
        DomainError: `price.invalid`, `rating.*`.
    """
    name = owner.ledger.account
    resources = sorted(owner.charged.values(), key=lambda it: it.order)
    before = {it.scope: tariff.schedule(name, it.scope) for it in resources}
    tariff.rerate(decided)
    changes = {
        scope: _changes(schedule, tariff.schedule(name, scope))
        for scope, schedule in before.items()
    }
    for it in resources:
        changed = changes[it.scope]
        if changed and it.cover is None:
            for start_us, end_us, size in it.spans:
                _move(tariff, cause, it, (start_us, end_us, size), changed, rows)
    settle(cause, owner, rows)


def _changes(before: Schedule, after: Schedule) -> list[Change]:
    """Where another entry applies than before, in order of time."""
    cuts = sorted({*before[0], *after[0]})
    found: list[Change] = []
    for start_us, end_us in zip(cuts, [*cuts[1:], NEVER], strict=True):
        old = before[1][bisect_right(before[0], start_us) - 1]
        new = after[1][bisect_right(after[0], start_us) - 1]
        if old is not None and new is not None and old is not new:
            found.append((start_us, end_us, old, new))
    return found


def _move(
    tariff: Tariff,
    cause: int,
    it: Resource,
    span: tuple[int, int, int],
    changed: list[Change],
    rows: Rows,
) -> None:
    """The pieces of a span, each taken back at its old price and charged at its new one."""
    for start_us, end_us, old, new in changed:
        at, until = max(span[0], start_us), min(span[1], end_us)
        while at < until:
            service = service_at(it, at)
            piece = (service, at, min(until, service.end_us))
            quantity = span[2] * (piece[2] - at)
            count(tariff, cause, it, piece, old, -1, quantity, rows)
            count(tariff, cause, it, piece, new, 1, quantity, rows)
            at = piece[2]
