"""Prices, periods, charge lines and the rows they give: contracts/rating.md sections 1, 4 and 5.

Rows are lists in the order of `RATED` and `TRANSFER` less `salt`; their first field is the row's
number. Written from the page alone: the platform's own rating is what this is compared with.
"""

from bisect import bisect_left, bisect_right, insort
from hashlib import sha256
from itertools import pairwise
from operator import itemgetter
from typing import Any

from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

RATED = (
    "row", "cause", "resource", "meter", "price", "period", "booked", "start_us", "end_us",
    "sign", "quantity", "line_quantity", "line_amount_pico",
)  # fmt: skip
TRANSFER = (
    "row", "id", "cause", "kind", "account", "debit", "credit", "currency", "amount_pico",
    "resource", "meter", "price", "period", "booked", "debit_seq", "debit_balance_pico",
    "credit_seq", "credit_balance_pico",
)  # fmt: skip
REGION = "-"
LIMIT = 10**38
FIRST, EFFECTIVE = itemgetter(1), itemgetter(0)
NUL = "\x00"  # joins keys; no string of an entry may contain it, and it sorts before all


def round_half_even(numerator: int, divisor: int) -> int:
    """`numerator / divisor` to the nearest integer, a tie to the even one. `divisor` > 0."""
    whole, rest = divmod(numerator, divisor)
    if 2 * rest > divisor or (2 * rest == divisor and whole % 2 == 1):
        whole += 1
    return whole


def bounded(number: int, position: int, field: str) -> int:
    """The number, |number| < 10^38."""
    if not -LIMIT < number < LIMIT:
        raise Invalid("books.overflow", f"{field} reaches 10^38", position=position, field=field)
    return number


class Charging:
    """Charge lines, balances and rows by cause, in the spill given.

    An account's periods (`[id, start, end, closed or null]`) and the entries of one price key
    (`[effective, position, price, divisor]`) are one item each; everything else is small.
    """

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self._numbers = {"rated_interval": 0, "transfer": 0}

    # -- accounts and periods ------------------------------------------------------------

    def open_account(self, position: int, entry: dict[str, Any], fact: dict[str, Any]) -> None:
        """The account may be charged once it has a period."""
        stream = entry["stream"]
        if fact["organization"] != entry["org"]:
            raise Invalid(
                "books.org", f"an account of {entry['org']}", position=position,
                field="organization",
            )  # fmt: skip
        if self._spill.get("account", "", stream) is not None:
            raise Invalid("books.account", f"{stream} is opened twice", position=position)
        if not 0 <= fact["minor_digits"] <= 12:  # pico has 12
            raise Invalid(
                "books.account",
                "minor digits out of 0..12",
                position=position,
                field="minor_digits",
            )
        item = {
            "org": fact["organization"],
            "currency": fact["currency"],
            "digits": fact["minor_digits"],
            "periods": [],
            "invoiced": 0,
        }
        self._spill.put("account", "", stream, item)

    def account(self, position: int, account: str) -> dict[str, Any]:
        """The account's item."""
        item: dict[str, Any] | None = self._spill.get("account", "", account)
        if item is None:
            raise Invalid(
                "books.account", f"{account} was never opened", position=position, field="account"
            )
        return item

    def own_account(self, position: int, account: str, org: str) -> dict[str, Any]:
        """The account's item, when the account is of the organization that the entry is of."""
        item = self.account(position, account)
        if item["org"] != org:
            raise Invalid("books.org", f"{account} is of another", position=position, field="org")
        return item

    def put_account(self, account: str, item: dict[str, Any]) -> None:
        """The item, changed, is the account's."""
        self._spill.put("account", "", account, item)

    def open_period(self, position: int, entry: dict[str, Any], fact: dict[str, Any]) -> None:
        """The period is the account's last one, contiguous with the one before."""
        stream = entry["stream"]
        item = self.own_account(position, fact["account"], entry["org"])
        periods = item["periods"]
        start, end = fact["start_us"], fact["end_us"]
        if fact["sequence"] != len(periods) + 1:
            raise Invalid("books.period", "out of sequence", position=position, field="sequence")
        if start >= end:
            raise Invalid("books.period", "empty or reversed", position=position, field="end_us")
        if periods and periods[-1][2] != start:
            raise Invalid("books.period", "not contiguous", position=position, field="start_us")
        if self._spill.get("period", "", stream) is not None:
            raise Invalid("books.period", f"{stream} is opened twice", position=position)
        periods.append([stream, start, end, None])
        self._spill.put("account", "", fact["account"], item)
        self._spill.put("period", "", stream, [fact["account"], len(periods) - 1])

    def period(self, position: int, account: str, period: str) -> list[Any]:
        """`[id, start, end, closed]` of the account's period."""
        found = self._spill.get("period", "", period)
        if found is None or found[0] != account:
            raise Invalid(
                "books.period", f"{period} is no period of {account}",
                position=position, field="period",
            )  # fmt: skip
        of: list[Any] = self.account(position, account)["periods"][found[1]]
        return of

    def set_closed(self, position: int, account: str, period: str) -> None:
        """The period is closed by the entry at the position."""
        item = self.account(position, account)
        item["periods"][self._spill.get("period", "", period)[1]][3] = position
        self._spill.put("account", "", account, item)

    # -- prices --------------------------------------------------------------------------

    def publish(self, position: int, fact: dict[str, Any]) -> None:
        """The entry prices what follows it, unless it is effective before its publication."""
        if fact["divisor"] < 1:
            raise Invalid("books.price", "divisor < 1", position=position, field="divisor")
        if fact["price_pico"] < 0:
            raise Invalid("books.price", "negative", position=position, field="price_pico")
        kind = [fact[name] for name in ("account", "meter", "model", "region", "state")]
        effective = fact["effective_from_us"]
        unique = NUL.join([*kind, str(effective)])
        if self._spill.get("price_key", "", unique) is not None:
            raise Invalid(
                "books.price", "the key of an earlier entry",
                position=position, field="effective_from_us",
            )  # fmt: skip
        self._spill.put("price_key", "", unique, 1)
        if effective < fact["published_us"]:
            return
        key = NUL.join([*kind, fact["currency"]])
        entries = self._spill.get("price", "", key) or []
        insort(entries, [effective, position, fact["price_pico"], fact["divisor"]])
        self._spill.put("price", "", key, entries)

    def fix(
        self, position: int, item: dict[str, Any], fixed: list[list[int]], a: int, b: int
    ) -> list[list[int]]:
        """The prices of what was held before, and of `[a, b)` those known now (section 9)."""
        currency = self.account(position, item["account"])["currency"]
        books = self._prices({**item, "covered": None}, currency)
        found = list(fixed)
        for start, _, price, _ in _pieces(position, a, b, [["", a, b, None]], books):
            if not found or found[-1][1:] != price[1:]:
                found.append([start, *price[1:]])
        return found

    def _prices(self, item: dict[str, Any], currency: str) -> list[list[list[int]]]:
        if item.get("covered") is not None:
            return [item["covered"][1], []]
        scope = (item["meter"], item["model"], REGION, item["state"], currency)
        keys = (NUL.join([whose, *scope]) for whose in (item["account"], "default"))
        return [self._spill.get("price", "", key) or [] for key in keys]

    # -- charging ------------------------------------------------------------------------

    def charge(
        self, position: int, resource: str, item: dict[str, Any], a: int, b: int, sign: int
    ) -> None:
        """Rows for `[a, b)` of the metered resource, piece by piece (section 4).

        `item`: its account, project, size, meter, model, state, simulated.
        """
        for piece in self.pieces(position, item, a, b):
            self.add(position, resource, item, piece, (sign, item["size"] * (piece[1] - piece[0])))

    def pieces(
        self, position: int, item: dict[str, Any], a: int, b: int
    ) -> list[tuple[int, int, list[int], list[Any]]]:
        """`[a, b)` cut into (start, end, price entry, period) by what applies to the item."""
        account = self.account(position, item["account"])
        books = self._prices(item, account["currency"])
        return _pieces(position, a, b, account["periods"], books)

    def add(
        self,
        position: int,
        resource: str,
        item: dict[str, Any],
        piece: tuple[int, int, list[int], list[Any]],
        added: tuple[int, int],
    ) -> None:
        """Rows for a (sign, quantity) of one piece; its lines are those of the item's `lines`, of
        the resource where it names none.
        """
        account = self.account(position, item["account"])
        start, end, (_, price, pico, divisor), period = piece
        sign, quantity = added[0], bounded(added[1], position, "quantity")
        lines = item.get("lines", resource)
        booked = period[0] if period[3] is None else _first_open(position, account["periods"])
        name = f"{price}{NUL}{period[0]}"
        line = self._spill.get("line", lines, name) or [0, 0]
        total = bounded(line[0] + sign * quantity, position, "line_quantity")
        amount = bounded(round_half_even(total * pico, divisor), position, "line_amount_pico")
        delta = amount - line[1]
        self._spill.put("line", lines, name, [total, amount])
        self._row(
            "rated_interval",
            position,
            resource,
            item["meter"],
            price,
            period[0],
            booked,
            start,
            end,
            sign,
            quantity,
            total,
            amount,
        )
        sku = f"{item['meter']}:{item['model']}"
        self._book(booked, (item["project"], sku, price, period[0]), sign * quantity, delta)
        if item["simulated"]:
            self._spill.put("simulated", "", booked, 1)
        if item.get("covered") is not None:
            sofar = self._spill.get("charged", "", resource) or 0
            self._spill.put("charged", "", resource, sofar + delta)
        if delta:
            sides = ("unbilled", f"revenue:{sku}") if delta > 0 else (f"revenue:{sku}", "unbilled")
            self.transfer(
                position, "charge", item["account"], sides, account["currency"], abs(delta),
                (resource, item["meter"], price, period[0], booked), f"{start}\n",
            )  # fmt: skip

    def _book(
        self, booked: str, line: tuple[str, str, int, str], quantity: int, amount: int
    ) -> None:
        project, sku, price, service = line
        key = NUL.join((project, sku, f"{price:020d}", service))
        sums = self._spill.get("booked", booked, key) or [0, 0]
        self._spill.put("booked", booked, key, [sums[0] + quantity, sums[1] + amount])

    def transfer(
        self,
        position: int,
        kind: str,
        account: str,
        sides: tuple[str, str],
        currency: str,
        amount: int,
        about: tuple[str, str, int | None, str, str],
        suffix: str = "",
    ) -> None:
        """One transfer row, debit side first; balances follow (section 5)."""
        resource, meter, price, period, booked = about
        priced = "-" if price is None else str(price)
        text = "\n".join(
            (
                "gpuaas-transfer/1",
                str(position),
                kind,
                resource,
                meter,
                priced,
                period,
                currency,
                suffix,
            )
        )
        bounded(amount, position, "amount_pico")
        debit = self._touch(position, account, sides[0], amount)
        credit = self._touch(position, account, sides[1], -amount)
        self._row(
            "transfer",
            sha256(text.encode()).hexdigest(),
            position,
            kind,
            account,
            *sides,
            currency,
            amount,
            resource,
            meter,
            price,
            period,
            booked,
            *debit,
            *credit,
        )

    def _touch(self, position: int, account: str, ledger: str, amount: int) -> list[int]:
        count, balance = self._spill.get("balance", account, ledger) or [0, 0]
        after = [count + 1, bounded(balance + amount, position, "balance")]
        self._spill.put("balance", account, ledger, after)
        return after

    def _row(self, table: str, *fields: Any) -> None:
        self._spill.push(table, [self._numbers[table], *fields])
        self._numbers[table] += 1


def _first_open(position: int, periods: list[list[Any]]) -> str:
    for period in periods:
        if period[3] is None:
            identity: str = period[0]
            return identity
    raise Invalid("rating.no_period", "every period of the account is closed", position=position)


def _pieces(
    position: int, a: int, b: int, periods: list[list[Any]], books: list[list[list[int]]]
) -> list[tuple[int, int, list[int], list[Any]]]:
    """`[a, b)` cut into (start, end, price entry, period), in order of time, no cut in vain."""
    cuts = {a}
    low, high = bisect_right(periods, a, key=FIRST), bisect_left(periods, b, key=FIRST)
    cuts.update(period[1] for period in periods[low:high])
    for entries in books:
        low, high = bisect_right(entries, a, key=EFFECTIVE), bisect_left(entries, b, key=EFFECTIVE)
        cuts.update(entry[0] for entry in entries[low:high])
    edges = [*sorted(cuts), b]
    pieces: list[tuple[int, int, list[int], list[Any]]] = []
    for start, end in pairwise(edges):
        price = _price_at(position, start, books)
        period = _period_at(position, start, end, periods)
        if pieces and pieces[-1][2] is price and pieces[-1][3] is period:
            pieces[-1] = (pieces[-1][0], end, price, period)
        else:
            pieces.append((start, end, price, period))
    return pieces


def _price_at(position: int, instant: int, books: list[list[list[int]]]) -> list[int]:
    for entries in books:
        index = bisect_right(entries, instant, key=EFFECTIVE)
        if index:
            return entries[index - 1]
    raise Invalid("rating.no_price", f"nothing prices the instant {instant}", position=position)


def _period_at(position: int, start: int, end: int, periods: list[list[Any]]) -> list[Any]:
    index = bisect_right(periods, start, key=FIRST)
    if not index or periods[index - 1][2] < end:
        raise Invalid("rating.no_period", f"no period covers {start}..{end}", position=position)
    return periods[index - 1]
