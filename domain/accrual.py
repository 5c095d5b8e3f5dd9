"""What use costs that is not charged yet: a charge that is asked for and not made.

Exactly what rating would book if all open use ended at that instant (rating.md section 4): the
same pieces, lines, pools and rounding. Nothing here changes the books.
"""

from collections.abc import Iterator

from domain.charging import Payer, Resource, Service, applicable
from domain.pooling import Place, take
from domain.tariff import REGION, Covers, Price, Scope, Tariff, anywhere, cost, round_half_even


def accrued(
    tariff: Tariff, owner: Payer, service: Service, until_us: int, *, beyond: bool
) -> dict[str, int]:
    """By how many pico the charges of each resource for use in the period would move (none: 0).

    Lines of one pool move each other, so resources that are over may be among them. `beyond`:
    prepaid runtimes go on after what their holds cover, at the list's prices.
    """
    moved: dict[str, int] = {}
    pools: dict[Scope, dict[Place, tuple[Price, int, str]]] = {}
    for it in owner.open_resources.values():
        committed = bool(tariff.covers(owner.ledger.account, it.scope, service.start_us))
        for price, quantity in _used(tariff, it, service, until_us, beyond):
            if price.shape is None and not committed:
                line = it.lines.get((price.position, service.id))
                had, paid = (0, 0) if line is None else (line.quantity, line.amount_pico)
                new = round_half_even((had + quantity) * price.price_pico, price.divisor)
                moved[it.id] = moved.get(it.id, 0) + new - paid
            else:
                place = (it.first_us, it.id, price.position)
                added = (price, quantity, it.scope[2])
                pools.setdefault(anywhere(it.scope), {})[place] = added
    for scope, lines in pools.items():
        left = {REGION: 0, **tariff.covers(owner.ledger.account, scope, service.start_us)}
        for name, pico in _pooled(owner, (scope, service.id), lines, left):
            moved[name] = moved.get(name, 0) + pico
    return moved


def listed(
    tariff: Tariff, account: str, scope: Scope, size: int, span: tuple[int, int]
) -> int | None:
    """What the list makes of `size` units used through `[start, end)`, by itself, in pico; None:
    nothing prices it.
    """
    used: dict[int, tuple[Price, int]] = {}
    at, end = span
    known = tariff.at(account, scope, at)[0] is not None
    while at < end:
        price, change = tariff.at(account, scope, at)
        change = min(change, end)
        if price is not None:
            known = True
            before = used.get(price.position, (price, 0))[1]
            used[price.position] = (price, before + size * (change - at))
        at = change
    return sum(cost(price, 0, quantity) for price, quantity in used.values()) if known else None


def _used(
    tariff: Tariff, it: Resource, service: Service, until_us: int, beyond: bool
) -> list[tuple[Price, int]]:
    """What is not charged of the period until then: a quantity for each price, in order."""
    found: dict[int, tuple[Price, int]] = {}
    at, end = max(it.done_us, service.start_us), min(until_us, service.end_us, it.until_us)
    covered_us = end if it.cover is None else it.cover.until_us
    if not beyond:
        end = min(end, covered_us)
    while at < end:
        if it.cover is not None and at < covered_us:
            price, change = applicable(tariff, it, at)
            change = min(change, covered_us)
        else:
            price, change = tariff.at(it.account.ledger.account, it.scope, at)
        change = min(change, end)
        if price is not None:
            before = found.get(price.position, (price, 0))[1]
            found[price.position] = (price, before + it.size * (change - at))
        at = change
    return list(found.values())


def _pooled(
    owner: Payer,
    key: tuple[Scope, str],
    added: dict[Place, tuple[Price, int, str]],
    left: Covers,
) -> Iterator[tuple[str, int]]:
    """(resource, by how much its line moves) of every line of the pool with what is added."""
    known_pool = owner.pools.get(key)
    lines = {} if known_pool is None else known_pool[1].lines
    before: dict[int, int] = {}
    for place in sorted({*lines, *added}):
        known = lines.get(place)
        more = added.get(place)
        assert known is not None or more is not None, "a place of one of both"
        price = known.price if known is not None else more[0]  # type: ignore[index]
        region = known.region if known is not None else more[2]  # type: ignore[index]
        had, paid_pico = (0, 0) if known is None else (known.line.quantity, known.line.amount_pico)
        quantity = had + (0 if more is None else more[1])
        covered = take(left, region, quantity)
        paid, so_far = quantity - covered, before.get(place[2], 0)
        before[place[2]] = so_far + paid
        yield place[1], cost(price, so_far, paid) - paid_pico
