"""Charge lines that cost what all lines of their pool make of them: contracts/rating.md section 10.

A pool: the lines of one account, scope (of whatever region) and service period; in order of their
resources' starts, ids, then prices. A line: `[start, resource, price, quantity, amount, project,
simulated, prepaid, region, counted, paid]`: the last two are its quantity, and what of it is not
committed, as settled last.

What a line costs changes with the lines before it only where a mark lies: the units that are free,
the end of a tier, of what is committed. A mark: `[units, place of the first line that leads beyond
them or null, units before that line]`. Marks are moved line by line from where they were, so what
is looked at is what they pass, and what was touched. Where a region has a commitment of its own,
or a line fell below zero, all lines are looked at.
"""

from bisect import bisect_left
from typing import Any

from gpuaas_verify.books_prices import NOWHERE, graduated
from gpuaas_verify.books_spill import Spill

type Key = tuple[str, ...]  # meter, model, region, state, currency, period
type Pool = dict[str, Any]

QUANTITY, AMOUNT, REGION, COUNTED, PAID = 3, 4, 8, 9, 10


class Pools:
    """Pools by account; those that the cause at hand has touched wait to be settled."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self._touched: dict[tuple[str, Key], list[list[Any]]] = {}  # places

    def add(
        self, account: str, key: Key, covers: dict[str, int], begins: int, entry: list[Any],
        of: list[Any], moved: int,
    ) -> list[Any]:  # fmt: skip
        """The line after its quantity moved; of: its start, resource, and the rest of it."""
        start, resource, *about = of
        pool = self._get(account, key) or {
            "cover": [covers.get(NOWHERE, 0), None, 0], "covers": covers, "begins": begins,
            "lines": [], "prices": {}, "marks": {}, "odd": bool(covers.keys() - {NOWHERE}),
        }  # fmt: skip
        lines, price = pool["lines"], entry[1]
        place = [start, resource, price]
        index = _index(lines, place)
        if index == len(lines) or lines[index][:3] != place:
            lines.insert(index, [*place, 0, 0, *about, 0, 0])
        if str(price) not in pool["prices"]:
            pool["prices"][str(price)] = entry
            pool["marks"][str(price)] = [[units, None, 0] for units in _bounds(entry)]
        lines[index][QUANTITY] += moved
        self._put(account, key, pool)
        touched = self._touched.setdefault((account, key), [])
        if place not in touched[-1:]:
            touched.append(place)
        line: list[Any] = lines[index]
        return line

    def settle(self) -> list[tuple[str, Key, int, list[Any], int]]:
        """Every line whose amount moves: its account and pool, when the pool's period begins, the
        line, by how much.
        """
        moved = []
        for account, key in sorted(self._touched):
            pool = self._get(account, key)
            places = self._touched[account, key]
            pool["odd"] |= any(
                pool["lines"][_index(pool["lines"], place)][QUANTITY] < 0 for place in places
            )
            for line, due in _whole(pool) if pool["odd"] else _part(pool, places):
                if due != line[AMOUNT]:
                    moved.append((account, key, pool["begins"], line[:COUNTED], due - line[AMOUNT]))
                    line[AMOUNT] = moved[-1][3][AMOUNT] = due
            self._put(account, key, pool)
        self._touched.clear()
        return moved

    def _get(self, account: str, key: Key) -> Any:
        return self._spill.get("pool", account, "\x00".join(key))

    def _put(self, account: str, key: Key, pool: Any) -> None:
        self._spill.put("pool", account, "\x00".join(key), pool)


def _index(lines: list[list[Any]], place: list[Any]) -> int:
    return bisect_left(lines, place, key=lambda line: line[:3])


def _bounds(entry: list[Any]) -> list[int]:
    """Of the units of an entry those at which others begin to cost something else."""
    if entry[4] is None:
        return []
    free, tiers, _ = entry[4]
    return [free, *(free + up_to for up_to, _ in tiers if up_to is not None)]


def _whole(pool: Pool) -> list[tuple[list[Any], int]]:
    """Every line and what is due for it, one after the other."""
    left, used, found = {NOWHERE: 0, **pool["covers"]}, dict.fromkeys(pool["prices"], 0), []
    for line in pool["lines"]:
        price, above = str(line[2]), line[QUANTITY]
        for where in dict.fromkeys((line[REGION], NOWHERE)):
            if where in left:
                covered = min(left[where], above)
                left[where] -= covered
                above -= covered
        found.append((line, graduated(pool["prices"][price], used[price], above)))
        used[price] += above
    return found


def _part(pool: Pool, places: list[list[Any]]) -> list[tuple[list[Any], int]]:
    """The lines that may cost something else now, in order, and what is due for each."""
    lines, cover = pool["lines"], pool["cover"]
    seen = {_index(lines, place) for place in places}
    if cover[0]:
        for index in seen:
            if cover[1] is None or lines[index][:3] < cover[1]:
                cover[2] += lines[index][QUANTITY] - lines[index][COUNTED]
        seen |= _walk(lines, cover, QUANTITY, None)
    prices = set()
    for index in seen:
        line = lines[index]
        prices.add(line[2])
        line[COUNTED], paid = line[QUANTITY], line[QUANTITY]
        if cover[0] and (cover[1] is None or line[:3] < cover[1]):
            paid = 0
        elif line[:3] == cover[1]:
            paid -= cover[0] - cover[2]
        for mark in pool["marks"][str(line[2])]:
            if mark[1] is None or line[:3] < mark[1]:
                mark[2] += paid - line[PAID]
        line[PAID] = paid
    for price in prices:
        for mark in pool["marks"][str(price)]:
            seen |= _walk(lines, mark, PAID, price)
    return [(lines[index], _due(pool, lines[index])) for index in sorted(seen)]


def _walk(lines: list[list[Any]], mark: list[Any], what: int, price: int | None) -> set[int]:
    """The mark lies where it belongs; the lines of the entry (null: all) that it has passed."""
    units, place, before = mark
    here = end = len(lines)
    if place is not None:
        here = _index(lines, place)
    passed = {here}
    for index in range(here - 1, -1, -1):
        if before <= units:
            break
        here = index
        if price is None or lines[index][2] == price:
            before -= lines[index][what]
            passed.add(index)
    for index in range(here, len(lines)):
        if price is None or lines[index][2] == price:
            passed.add(index)
            if before + lines[index][what] > units:
                end = index
                break
            before += lines[index][what]
    mark[1:] = [lines[end][:3] if end < len(lines) else None, before]
    return passed - {len(lines)}


def _due(pool: Pool, line: list[Any]) -> int:
    """What the line costs: some units before it in the same tier stand for all of them."""
    entry, before = pool["prices"][str(line[2])], 0
    for units, place, sum_ in pool["marks"][str(line[2])]:
        if place is None or line[:3] < place:
            break
        if line[:3] == place:
            before = sum_
            break
        before = units
    return graduated(entry, before, line[PAID])
