"""What of the price book an invoice's proof rests on, and whose use with it: rating.md section 10.

The books' own rules, fed with fewer entries: of an edition only those that priced something are
shown, and no edition that nothing here names.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from gpuaas_verify.books_prices import LIST, anywhere
from gpuaas_verify.books_rating import NUL, Charging
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Key = tuple[str, str, int, str]  # project, sku, price, service period
type Handler = Callable[[int, Row, Row], None]

NOBODY: Final = "-"  # the project of what an account pays whether it uses it or not
DEFAULT: Final = "default"
SCOPE: Final = ("meter", "model", "region", "state", "currency")


class _Commitment(NamedTuple):
    scope: tuple[str, ...]
    from_us: int
    until_us: int


class _Rerating(NamedTuple):
    edition: tuple[str, int]
    from_us: int
    until_us: int


class Pricing:
    """Fed the facts of `handlers`, and every row's price and time."""

    def __init__(self, spill: Spill, charging: Charging, account: str, rerate: Handler) -> None:
        self.skus: dict[int, str] = {}  # by position of what has a price
        self._spill = spill
        self._charging = charging
        self._account = account
        self._rerate = rerate
        self._scopes: dict[int, tuple[str, ...]] = {}  # wherever it prices, as pools are
        self._commitments: dict[int, _Commitment] = {}
        self._reratings: dict[int, _Rerating] = {}
        self._editions: dict[tuple[str, int], int] = {}
        self._listed: dict[int, str] = {}  # entries of the list, by whose
        self._used: set[int] = set()
        self._times: set[tuple[int, int]] = set()  # of what was charged

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            "gpuaas.price.entry_published.v1": self._entry,
            "gpuaas.price.entry_published.v2": self._shaped,
            "gpuaas.price.book_published.v1": self._book,
            "gpuaas.price.commitment_made.v1": self._committed,
            "gpuaas.price.rerating_decided.v1": self._rerated,
            "gpuaas.price.rerating_decided.v2": self._rerated,
        }

    def _entry(self, position: int, entry: Row, fact: Row) -> None:
        self._charging.prices.linear(position, entry, fact)
        self._scoped(position, fact)
        self._listed[position] = fact["account"]

    def _shaped(self, position: int, entry: Row, fact: Row) -> None:
        if fact["book"] != LIST:
            self._follow(fact["book"], fact["edition"])
        else:
            self._listed[position] = fact["account"]
        self._charging.prices.shaped(position, entry, fact)
        self._scoped(position, fact)

    def _scoped(self, position: int, fact: Row) -> None:
        self.skus[position] = f"{fact['meter']}:{fact['model']}"
        self._scopes[position] = anywhere(tuple(fact[name] for name in SCOPE))

    def _follow(self, book: str, edition: int) -> None:
        """The editions before it are not shown."""
        if (self._spill.get("edition", "", book) or 0) < edition - 1:
            self._spill.put("edition", "", book, edition - 1)

    def _book(self, position: int, entry: Row, fact: Row) -> None:
        edition = (fact["book"], fact["edition"])
        self._follow(*edition)
        name = NUL.join(map(str, edition))
        if (self._spill.get("entries", "", name) or 0) < fact["entries"]:
            self._spill.put("entries", "", name, fact["entries"])  # the others price nothing here
        self._charging.prices.book(position, entry, fact)
        self._editions[edition] = position

    def _committed(self, position: int, entry: Row, fact: Row) -> None:
        self._charging.prices.commitment(position, entry, fact)
        self._scoped(position, fact)
        made = _Commitment(self._scopes[position], fact["from_us"], fact["until_us"])
        self._commitments[position] = made

    def _rerated(self, position: int, entry: Row, fact: Row) -> None:
        edition = (fact["book"], fact["edition"])
        self._reratings[position] = _Rerating(edition, fact["from_us"], fact["until_us"])
        self._rerate(position, entry, fact)

    def priced(self, resource: str, price: int, start_us: int, end_us: int) -> None:
        """A row says so."""
        if resource != self._account:
            self._used.add(price)
            self._times |= {(start_us, end_us)} if start_us < end_us else set()

    def members(self, keys: Iterable[Key]) -> set[str]:
        """The runtimes and volumes of the pools that these lines belong to."""
        return {line[1] for pool in self._pools(keys).values() for line in pool["lines"]}

    def _pools(self, keys: Iterable[Key]) -> dict[tuple[str, ...], Row]:
        """Pools with a line of these, by scope and period."""
        wanted: dict[tuple[str, ...], set[int]] = {}
        for _, _, price, service in keys:
            if price not in self._scopes:
                raise Invalid("proof.missing", "no such price is here", position=price)
            wanted.setdefault((*self._scopes[price], service), set()).add(price)
        found: dict[tuple[str, ...], Row] = {}
        for name, prices in wanted.items():
            pool = self._spill.get("pool", self._account, NUL.join(name))
            if pool is not None and any(line[2] in prices for line in pool["lines"]):
                found[name] = pool
        return found

    def rested(self, keys: list[Key], held: set[tuple[str, ...]]) -> set[int]:
        """Positions of the entries that these lines rest on: every price used; re-ratings of time
        that was charged, and the editions they name; commitments that are paid in one of them, or
        cover a pool of one; of what was held for, which re-ratings may make no dearer than it was
        held at, every price of the list.
        """
        pools = [(name[:-1], pool["begins"]) for name, pool in self._pools(keys).items()]
        paid = {price for project, _, price, _ in keys if project == NOBODY}
        for position, made in self._commitments.items():
            if any(
                scope == made.scope and made.from_us <= begins < made.until_us
                for scope, begins in pools
            ):
                paid.add(position)
        rerated = {
            position: one.edition for position, one in self._reratings.items()
            if any(start < one.until_us and one.from_us < end for start, end in self._times)
        }  # fmt: skip
        books = {self._editions[one] for one in rerated.values() if one[0] != LIST}
        bound = {
            position for position, whose in self._listed.items()
            if whose in {self._account, DEFAULT} and self._scopes[position] in held
        } if rerated else set()  # fmt: skip
        return self._used | paid | set(rerated) | books | bound
