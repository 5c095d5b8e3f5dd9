"""What holds of a prepaid account cover: rating.md section 9, less its sums.

What an invoice charges rests on when each hold ends and on which prices it was placed and renewed
at: of its account's wallet nothing else is needed, and of its renewals the last before each change.
"""

from collections.abc import Callable
from typing import Any, Final

from gpuaas_verify.books_parts import fail
from gpuaas_verify.books_prices import NOWHERE, anywhere
from gpuaas_verify.books_rating import Charging
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.books_wallet import Wallets, named
from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid

TERMS: Final = "gpuaas.account.terms_set.v1"
PLACED_HOLDS: Final = frozenset({
    "gpuaas.wallet.hold_placed.v1",
    "gpuaas.wallet.volume_held.v1",
    "gpuaas.wallet.reservation_held.v1",
})  # fmt: skip
RENEWED_HOLDS: Final = (
    "gpuaas.wallet.holds_renewed.v1",
    "gpuaas.wallet.volume_renewed.v1",
    "gpuaas.wallet.reservation_renewed.v1",
)
PREPAID: Final = "prepaid"

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]


class Holds:
    """Fed the facts of `handlers`. `wallets` knows whose hold an append must place."""

    def __init__(self, spill: Spill, charging: Charging, wallets: Wallets) -> None:
        self._spill = spill
        self._charging = charging
        self._wallets = wallets
        self.scopes: set[tuple[str, ...]] = set()  # of what is held for, in no region

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            TERMS: self._wallets.handlers()[TERMS],
            **dict.fromkeys(PLACED_HOLDS, self._placed),
            **dict.fromkeys(RENEWED_HOLDS, self._renewed),
        }

    def _placed(self, position: int, entry: Row, fact: Row) -> None:
        field, name = named(fact)
        if self._wallets.promised(name) != entry["cause"]:
            raise fail("books.hold", "not of an admission of its account", position, field)
        if fact["from_us"] >= fact["until_us"]:
            raise fail("books.hold", "of no time", position, "until_us")
        self._cover(position, name, fact["from_us"], fact["until_us"], [])

    def _renewed(self, position: int, _entry: Row, fact: Row) -> None:
        """Of what is not here, or over, nothing follows."""
        for name in held_by(fact):
            item = self._spill.get("metered", "", name)
            if item is None:
                continue
            if "covered" not in item:
                raise fail("books.hold", f"nothing is held for {name}", position, "holds")
            reached, fixed = item["covered"]
            self._cover(position, name, reached, fact["until_us"], fixed)

    def _cover(
        self, position: int, name: str, reached: int, until: int, fixed: list[list[Any]]
    ) -> None:
        """Held for until then, at the prices shown that are known now beyond what was held before:
        before the first of them nothing is charged.
        """
        item = self._spill.get("metered", "", name)
        start = self._priced(position, item, reached, until)
        if start < until:
            fixed = self._charging.fix(position, item, fixed, start, until)
        item = {**item, "covered": [max(reached, until), fixed]}
        self._spill.put("metered", "", name, item)
        self._charging.cover(item)

    def _priced(self, position: int, item: Row, a: int, b: int) -> int:
        """From when on in `[a, b)` a price known now applies."""
        currency = self._charging.account(position, item["account"])["currency"]
        scope = (item["meter"], item["model"], item.get("region", NOWHERE), item["state"], currency)
        self.scopes.add(anywhere(scope))
        quotes = self._charging.prices.quotes(item["account"], scope)
        edges = sorted({a, *quotes.cuts(a, b)})
        return next((at for at in edges if quotes.at(at) is not None), b)


class Kept:
    """Which terms, holds and renewals a proof has of its account: none in vain."""

    def __init__(self, account: str) -> None:
        self._wallet = account.replace("account-", "wallet-", 1)
        self._prepaid = False
        self._latest = -1
        self._vain: set[int] = set()  # terms that nothing was placed under so far
        self._changes = 0
        self.count = 0  # holds that were placed
        self._renewed: list[int] = []
        self._last: dict[tuple[str, int, int], int] = {}

    def terms(self, entry: Entry) -> None:
        """Those of our account. Raises: Invalid `proof.needless`."""
        self._prepaid = self._prepaid or entry.fact["terms"] == PREPAID
        if not self._prepaid:
            raise _fail("needless", "it was not prepaid before", entry, "terms")
        self._latest = entry.position
        self._vain.add(entry.position)

    def placed(self) -> None:
        """Something was, under the latest terms."""
        self._vain.discard(self._latest)

    def changed(self) -> None:
        """A period is closed, the price book or a quota has more: what is held then counts."""
        self._changes += 1

    def admit(self, entry: Entry, lives: dict[str, tuple[int, int]]) -> None:
        """A hold is placed or renewed; `lives`: how far each resource's stream has come.

        Raises: Invalid `proof.foreign`, `proof.needless`.
        """
        if entry.stream != self._wallet:
            raise _fail("foreign", "another wallet", entry, "stream")
        names = [name for name in held_by(entry.fact) if name in lives]
        if entry.tag in PLACED_HOLDS:
            if not names:
                raise _fail("needless", "nothing here is held for by it", entry, "fact")
            self.count += 1
            return
        self._renewed.append(entry.position)
        for name in names:
            self._last[name, lives[name][0], self._changes] = entry.position

    def finish(self) -> None:
        """Each renewal is the last of something before a change.

        Raises: Invalid `proof.needless`.
        """
        needed = set(self._last.values())
        for position in (*self._vain, *(one for one in self._renewed if one not in needed)):
            raise Invalid("proof.needless", "nothing rests on it", position=position)


def held_by(fact: Row) -> list[str]:
    """The runtimes, the volume or the reservation that it holds for."""
    if "holds" in fact:
        return [one["runtime"] for one in fact["holds"]]
    return [named(fact)[1]]


def _fail(code: str, detail: str, entry: Entry, field: str) -> Invalid:
    return Invalid(f"proof.{code}", detail, position=entry.position, field=field)
