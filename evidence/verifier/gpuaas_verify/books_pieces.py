"""Time cut into pieces of one price entry and one period: contracts/rating.md sections 4 and 10."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection
from itertools import pairwise
from operator import itemgetter
from typing import Any

from gpuaas_verify.books_prices import Quotes
from gpuaas_verify.errors import Invalid

FIRST = itemgetter(1)

type Piece = tuple[int, int, list[Any], list[Any]]  # start, end, price entry, period


def first_open(position: int, periods: list[list[Any]]) -> str:
    """The account's first period that is not closed."""
    for period in periods:
        if period[3] is None:
            identity: str = period[0]
            return identity
    raise Invalid("rating.no_period", "every period of the account is closed", position=position)


def remember(spans: list[list[int]], a: int, b: int, size: int, sign: int) -> None:
    """`[a, b)` is charged, or, the last of it, is not any more."""
    if sign > 0:
        if spans and spans[-1][1:] == [a, size]:
            spans[-1][1] = b
        else:
            spans.append([a, b, size])
        return
    spans[:] = [[start, min(end, a), at] for start, end, at in spans if start < a]


def pieces(
    position: int, a: int, b: int, periods: list[list[Any]], quotes: Quotes,
    moved: Collection[int] = (),
) -> list[Piece]:  # fmt: skip
    """`[a, b)` cut into (start, end, price entry, period), in order of time, no cut in vain;
    `moved`: when its project did, a cut in any case.
    """
    moved = {at for at in moved if a < at < b}
    cuts = {a, *quotes.cuts(a, b), *moved}
    low, high = bisect_right(periods, a, key=FIRST), bisect_left(periods, b, key=FIRST)
    cuts.update(period[1] for period in periods[low:high])
    edges = [*sorted(cuts), b]
    pieces: list[Piece] = []
    for start, end in pairwise(edges):
        price = quotes.at(start)
        if price is None and quotes.optional:
            continue
        if price is None:
            raise Invalid("rating.no_price", f"nothing prices {start}", position=position)
        period = _period_at(position, start, end, periods)
        same = pieces and pieces[-1][2][1] == price[1] and pieces[-1][3] is period
        if same and start not in moved:
            pieces[-1] = (pieces[-1][0], end, price, period)
        else:
            pieces.append((start, end, price, period))
    return pieces


def moves(
    position: int, a: int, b: int, periods: list[list[Any]], then: Quotes, now: Quotes,
    moved: Collection[int] = (),
) -> list[tuple[Piece, list[Any]]]:  # fmt: skip
    """The pieces of `[a, b)` to which another entry applies now, each with the one before."""
    if a >= b:
        return []
    low, high = bisect_right(periods, a, key=FIRST), bisect_left(periods, b, key=FIRST)
    moved = {at for at in moved if a < at < b}
    edges = {a, b, *then.cuts(a, b), *now.cuts(a, b), *(one[1] for one in periods[low:high])}
    edges |= moved
    moves: list[tuple[Piece, list[Any]]] = []
    for start, end in pairwise(sorted(edges)):
        old, new = then.at(start), now.at(start)
        if old is None or new is None or old[1] == new[1]:
            continue
        period = _period_at(position, start, end, periods)
        if moves:
            (begin, until, price, of), before = moves[-1]
            same = price[1] == new[1] and before[1] == old[1]
            if until == start and of is period and same and start not in moved:
                moves[-1] = ((begin, end, new, period), old)
                continue
        moves.append(((start, end, new, period), old))
    return moves


def _period_at(position: int, start: int, end: int, periods: list[list[Any]]) -> list[Any]:
    index = bisect_right(periods, start, key=FIRST)
    if not index or periods[index - 1][2] < end:
        raise Invalid("rating.no_period", f"no period covers {start}..{end}", position=position)
    return periods[index - 1]
