"""Charge lines that cost what all lines of their pool make of them: contracts/rating.md section 10.

A pool: the lines of one account, scope and service period; in order of their resources' starts,
ids, then prices. A line: `[start, resource, price, quantity, amount, project, simulated, prepaid]`.
"""

from bisect import bisect_left
from typing import Any

from gpuaas_verify.books_prices import graduated
from gpuaas_verify.books_spill import Spill

type Key = tuple[str, ...]  # meter, model, region, state, currency, period


class Pools:
    """Pools by account; those that the cause at hand has touched wait to be settled."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self._touched: set[tuple[str, Key]] = set()

    def add(
        self, account: str, key: Key, cover: int, begins: int, entry: list[Any], of: list[Any],
        moved: int,
    ) -> list[Any]:  # fmt: skip
        """The line after its quantity moved; of: its start, resource, and the rest of it."""
        start, resource, *about = of
        pool = self._get(account, key) or {
            "cover": cover, "begins": begins, "lines": [], "prices": {},
        }  # fmt: skip
        lines, price = pool["lines"], entry[1]
        place = [start, resource, price]
        index = bisect_left(lines, place, key=lambda line: line[:3])
        if index == len(lines) or lines[index][:3] != place:
            lines.insert(index, [*place, 0, 0, *about])
        pool["prices"][str(price)] = entry
        lines[index][3] += moved
        self._put(account, key, pool)
        self._touched.add((account, key))
        line: list[Any] = lines[index]
        return line

    def settle(self) -> list[tuple[str, Key, int, list[Any], int]]:
        """Every line whose amount moves: its account and pool, when the pool's period begins, the
        line, by how much.
        """
        moved = []
        for account, key in sorted(self._touched):
            pool = self._get(account, key)
            left, used = pool["cover"], dict.fromkeys(pool["prices"], 0)
            for line in pool["lines"]:
                price, quantity = str(line[2]), line[3]
                above = max(quantity - left, 0)
                left = max(left - quantity, 0)
                due = graduated(pool["prices"][price], used[price], above)
                used[price] += above
                if due != line[4]:
                    moved.append((account, key, pool["begins"], line, due - line[4]))
                    line[4] = due
            self._put(account, key, pool)
        self._touched.clear()
        return moved

    def _get(self, account: str, key: Key) -> Any:
        return self._spill.get("pool", account, "\x00".join(key))

    def _put(self, account: str, key: Key, pool: Any) -> None:
        self._spill.put("pool", account, "\x00".join(key), pool)
