"""Use that is charged already, priced again: reversed and entered anew (rating.md section 10)."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from msgspec import Struct

from domain.charging import Payer, Resource, Rows, Service, count, cut_after, service_at, settle
from domain.cover import prices
from domain.price_facts import Decided, Rerated
from domain.rating_readings import Meters
from domain.tariff import NEVER, Price, Schedule, Scope, Tariff

type Change = tuple[int, int, Price, Price]  # from, until, by which entry before and now
# Resource, meter, model, period, entry before and now, how often its project had moved.
type Kind = tuple[str, str, str, int, int, int, int]


class _Moved(Struct):
    """What is read in one period and goes from one entry to another, and its time."""

    it: Resource
    service: Service
    old: Price
    new: Price
    quantity: int
    start_us: int
    end_us: int


def rerate(
    tariff: Tariff, cause: int, owner: Payer, decided: Decided, meters: Meters, rows: Rows
) -> list[Resource]:
    """What the account has been charged moves to the lines of the entries that now apply to it; the
    prepaid runtimes among that.

    Where these are the same nothing moves, so the same decision again has no rows. A period that
    is closed stays as it is: what belongs to it is booked in the first one that is open. What is
    prepaid moves where that makes it no dearer, what was read since nothing kept it fixed.

    Raises:
        DomainError: `price.invalid`, `rating.*`.
    """
    name = owner.ledger.account
    used = sorted(owner.charged.values(), key=lambda it: it.order)
    read = meters.payers(name)
    scopes = {it.scope for it in (*used, *read)}
    before = {
        scope: (tariff.schedule(name, scope), tariff.lowered(name, scope)) for scope in scopes
    }
    tariff.rerate(decided)
    changes = {scope: _changes(before[scope][0], tariff.schedule(name, scope)) for scope in scopes}
    prepaid = []
    for it in used:
        changed = changes[it.scope]
        if it.cover is not None:
            then, now = before[it.scope][1], tariff.lowered(name, it.scope)
            changed = [] if then == now else _changes(prices(it.cover, then), prices(it.cover, now))
        here = len(rows[0])
        for start_us, end_us, size in it.spans if changed else ():
            _move(tariff, cause, it, (start_us, end_us, size), changed, rows)
        if it.cover is not None and len(rows[0]) > here:
            prepaid.append(it)
    settle(cause, owner, rows)
    if isinstance(decided, Rerated):
        for one in _read(meters, name, decided, changes):
            piece = (one.service, one.start_us, one.end_us)
            for price, sign in ((one.old, -1), (one.new, 1)):
                it = meters.charged_to(one.it, price)
                count(tariff, cause, it, piece, price, sign, one.quantity, rows)
    else:
        meters.fix(name, cause)
    settle(cause, owner, rows)
    return prepaid


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
    for service, at, end_us, old, new in _pieces(it, span[0], span[1], changed):
        piece, quantity = (service, at, end_us), span[2] * (end_us - at)
        count(tariff, cause, it, piece, old, -1, quantity, rows)
        count(tariff, cause, it, piece, new, 1, quantity, rows)


def _pieces(
    it: Resource, start_us: int, end_us: int, changed: list[Change]
) -> Iterator[tuple[Service, int, int, Price, Price]]:
    """What of the time is priced otherwise, cut at periods."""
    for since_us, until_us, old, new in changed:
        at, until = max(start_us, since_us), min(end_us, until_us)
        while at < until:
            service = service_at(it, at)
            stop = min(until, service.end_us, cut_after(it, at))
            yield service, at, stop, old, new
            at = stop


def _read(
    meters: Meters, name: str, decided: Rerated, changes: dict[Scope, list[Change]]
) -> Iterable[_Moved]:
    """What is read and priced otherwise now, by resource, meter, model, period and entries."""
    found: dict[Kind, _Moved] = {}
    for one in meters.counted(name, decided.from_us, decided.until_us):
        until_us = one.end_us if one.is_level else one.start_us + 1
        for service, at, stop, old, new in _pieces(
            one.it, one.start_us, until_us, changes[one.it.scope]
        ):
            quantity = one.quantity * (stop - at)  # all else is of one microsecond
            end_us = stop if one.is_level else one.end_us
            moves = bisect_right(one.it.cuts, at)
            kind = (
                *(one.it.id, *one.it.scope[:2], service.start_us),
                *(old.position, new.position, moves),
            )
            moved = found.get(kind)
            if moved is None:
                found[kind] = _Moved(one.it, service, old, new, quantity, at, end_us)
            else:
                moved.quantity += quantity
                moved.start_us = min(moved.start_us, at)
                moved.end_us = max(moved.end_us, end_us)
            if one.stands is not None:
                meters.reprice(one.stands, new)
    return [found[kind] for kind in sorted(found) if found[kind].quantity]
