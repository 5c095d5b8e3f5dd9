"""Readings that are charged already, under another book: contracts/rating.md section 10.

State, in the spill: of each account what its seals had of sums and levels, which groups of the
other meters something stands for, and up to which position nothing of it is moved any more.
"""

from collections.abc import Iterator
from typing import Any

from gpuaas_verify.books_pieces import moves
from gpuaas_verify.books_prices import Quotes
from gpuaas_verify.books_rating import NUL, TO_ALL, Charging
from gpuaas_verify.books_spill import Spill

type Row = dict[str, Any]
# about, from, to, until it is priced, quantity, whether a level, its group
type Counted = tuple[Row, int, int, int, int, bool, list[str] | None]


class Rereads:
    """What was read, kept by account; fed the decisions that move it."""

    def __init__(self, spill: Spill, charging: Charging) -> None:
        self._spill = spill
        self._charging = charging
        self._read: dict[tuple[str, str], list[Any]] = {}  # of the seal at hand

    def count(self, position: int, row: Row, about: Row, level: bool) -> None:
        """The reading is one of those that are summed; `sealed` follows."""
        of = (about["lines"], about["model"], about["region"])
        key = NUL.join((*of, f"{position:020d}"))
        kept = self._read.setdefault((about["account"], key), [about, level, []])
        kept[2].append([row["from_us"], row["to_us"], row["quantity"]])

    def stand(self, about: Row, group: str) -> None:
        """One reading of the group stands; which one, the group knows."""
        self._spill.put("stands", about["account"], NUL.join((about["resource"], group)), about)

    def sealed(self) -> None:
        """All of a seal is told."""
        for (account, key), kept in self._read.items():
            self._spill.put("counted", account, key, kept)
        self._read.clear()

    def rerate(self, position: int, entry: Row, fact: Row) -> None:
        """What is charged by time moves, then what is read, unless the decision is of the first
        kind: that keeps what was read before it where it is.
        """
        self._charging.rerate(position, entry, fact)
        account = fact["account"]
        if entry["tag"] != TO_ALL:
            self._spill.put("fixed", "", account, position)
            return
        item, moved, quotes = self._charging.account(position, account), {}, {}
        for about, start, end, until, quantity, level, group in self._counted(account):
            of = (about["meter"], about["model"], about["region"], about["state"])
            scope = (*of, item["currency"])
            if scope not in quotes:
                quotes[scope] = self._quotes(account, scope)
            then, now = quotes[scope]
            a, b = max(start, fact["from_us"]), min(until, fact["until_us"])
            cuts, periods = self._charging.cuts(about), item["periods"]
            for (at, stop, new, period), old in moves(position, a, b, periods, then, now, cuts):
                times = self._charging.moves_until(about, at)
                kind = (about["resource"], *scope[:2], period[1], old[1], new[1], times)
                more, last = (quantity * (stop - at), stop) if level else (quantity, end)
                known = moved.setdefault(kind, [about, period, old, new, 0, at, last])
                known[4:] = [known[4] + more, min(known[5], at), max(known[6], last)]
                if group is not None:
                    best = self._spill.get("best", *group)
                    self._spill.put("best", *group, [*best[:2], new, *best[3:]])
        for kind in sorted(moved):
            about, period, old, new, quantity, start, end = moved[kind]
            for price, sign in ((old, -1), (new, 1)) if quantity else ():
                piece = (start, end, price, period)
                whose = self.charged_to(about, price)
                self._charging.add(position, kind[0], whose, piece, (sign, quantity))
        self._charging.settle(position)

    def charged_to(self, about: Row, price: list[Any]) -> Row:
        """Whose line of that entry it is: a project's is in the region of its entry."""
        if about["resource"] != about["project"]:
            return about
        return {**about, "region": self._charging.prices.region(price[1])}

    def _quotes(self, account: str, scope: tuple[str, ...]) -> tuple[Quotes, Quotes]:
        """What applied before the last decision, and what does now."""
        now = self._charging.prices.quotes(account, scope)
        return now.before(self._spill.get("rerating", "", account)[:-1]), now

    def _counted(self, account: str) -> Iterator[Counted]:
        fixed = self._spill.get("fixed", "", account)
        fixed = -1 if fixed is None else fixed
        for key, (about, level, readings) in self._spill.scan("counted", account):
            if int(key.rsplit(NUL, 1)[1]) <= fixed:
                continue
            for start, to, quantity in readings:
                end = max(to, start + 1)
                yield about, start, end, end if level else start + 1, quantity, level, None
        for key, about in self._spill.scan("stands", account):
            group = key.split(NUL, 1)
            _, quantity, _, _, at, seal = self._spill.get("best", *group)
            if seal > fixed:
                yield about, at, at + 1, at + 1, quantity, False, group
