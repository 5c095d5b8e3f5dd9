"""Which time of a prepaid runtime its hold covers, at which prices (rating.md section 9).

Every instant is priced by the entries that stood when the hold that first covers it was placed or
renewed. So a price that is published later raises nothing that is held already.
"""

from itertools import pairwise

from msgspec import Struct

from domain.tariff import ALWAYS, Price, Schedule, Scope, Tariff, lowered, round_half_even


class Cover(Struct):
    """`prices`: each from its instant on, in order, the first one from the beginning."""

    account: str
    scope: Scope
    size: int
    until_us: int
    prices: list[tuple[int, Price]]

    def at(self, instant: int) -> tuple[Price | None, int]:
        """The price of the instant, and when the next one begins; as `Tariff.at`."""
        found, until = None, self.until_us
        for since, price in self.prices:
            if since > instant:
                until = min(until, since)
                break
            found = price
        return found, max(until, instant + 1)


def prices(cover: Cover, said: Schedule) -> Schedule:
    """What applies from when on, where re-ratings say that."""
    instants = [ALWAYS, *(since for since, _ in cover.prices)]
    return lowered((instants, [None, *(price for _, price in cover.prices)]), said)


def begun(tariff: Tariff, of: tuple[str, Scope, int], from_us: int, until_us: int) -> Cover:
    """What a first hold of (account, scope, size) covers."""
    cover = Cover(*of, from_us, [])
    extend(tariff, cover, until_us)
    return cover


def extend(tariff: Tariff, cover: Cover, until_us: int) -> None:
    """It reaches to `until_us`, at the prices known now; what it covers already stays."""
    cover.prices += _beyond(tariff, cover, until_us)
    cover.until_us = max(cover.until_us, until_us)


def first(
    tariff: Tariff,
    of: tuple[str, Scope, int],
    from_us: int,
    until_us: int,
    period_starts: list[int],
) -> int:
    """As `quote`, of what nothing covers yet."""
    price, change_us = tariff.at(of[0], of[1], from_us)
    if price is not None and from_us < until_us <= change_us:
        for since in period_starts:
            if from_us < since < until_us:
                break
        else:
            return most(price, of[2] * (until_us - from_us))
    return quote(tariff, begun(tariff, of, from_us, until_us), from_us, until_us, period_starts)


def quote(
    tariff: Tariff, cover: Cover, from_us: int, until_us: int, period_starts: list[int]
) -> int:
    """At least what usable time in `[from_us, until_us)` can be charged, pico.

    Each charge line is rounded for itself, so each piece between changes of price and period is
    rounded up.
    """
    prices = [*cover.prices, *_beyond(tariff, cover, until_us)]
    if not prices:  # only what is reserved may stand without a price
        return 0
    inner = [since for since, _ in prices if from_us < since < until_us]
    inner += [since for since in period_starts if from_us < since < until_us]
    if not inner and from_us < until_us:  # one piece: what nearly every lease is
        return most(_price_at(prices, from_us), cover.size * (until_us - from_us))
    edges, total = sorted({from_us, until_us, *inner}), 0
    for start, end in pairwise(edges):
        total += most(_price_at(prices, start), cover.size * (end - start))
    return total


def _price_at(prices: list[tuple[int, Price]], instant: int) -> Price:
    """What is dearer than nothing counts from the beginning: a bound, where it comes later."""
    begun_by_then = [price for since, price in prices if since <= instant]
    return begun_by_then[-1] if begun_by_then else prices[0][1]


def most(price: Price, quantity: int) -> int:
    """The most that so much of a charge line can add to it, pico."""
    shape = price.shape
    if shape is None:
        return -(-quantity * price.price_pico // price.divisor)
    dearest = max(pico for _, pico in shape.tiers)
    return max(-(-quantity * dearest // price.divisor), shape.minimum_pico)


def per_hour(price: Price, size: int) -> int:
    """What an hour of usable time costs, pico."""
    return round_half_even(size * 3_600_000_000 * price.price_pico, price.divisor)


def _beyond(tariff: Tariff, cover: Cover, until_us: int) -> list[tuple[int, Price]]:
    found: list[tuple[int, Price]] = []
    at = cover.until_us
    if at >= until_us:
        return found
    last = cover.prices[-1][1] if cover.prices else None
    while at < until_us:
        price, change = tariff.at(cover.account, cover.scope, at)
        if price is not None and price is not last:
            found.append((at, price))
            last = price
        at = change
    return found
