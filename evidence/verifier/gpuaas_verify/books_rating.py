"""Periods, charge lines and the rows they give: contracts/rating.md sections 1, 4, 5 and 10.

Rows are lists in the order of `RATED` and `TRANSFER` less `salt`; their first field is the row's
number. Written from the page alone: the platform's own rating is what this is compared with.
"""

from hashlib import sha256
from operator import itemgetter
from typing import Any

from gpuaas_verify.books_pieces import Piece, first_open, moves, pieces, remember
from gpuaas_verify.books_pools import Pools
from gpuaas_verify.books_prices import NOWHERE, NUL, Held, Prices, anywhere, round_half_even
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

__all__ = ["NUL", "RATED", "TRANSFER", "Charging", "bounded", "round_half_even"]

RATED = (
    "row", "cause", "resource", "meter", "price", "period", "booked", "start_us", "end_us",
    "sign", "quantity", "line_quantity", "line_amount_pico",
)  # fmt: skip
TRANSFER = (
    "row", "id", "cause", "kind", "account", "debit", "credit", "currency", "amount_pico",
    "resource", "meter", "price", "period", "booked", "debit_seq", "debit_balance_pico",
    "credit_seq", "credit_balance_pico",
)  # fmt: skip
LIMIT = 10**38
READ = "read"  # the state that readings are priced in
FIRST, TO_ALL = itemgetter(1), "gpuaas.price.rerating_decided.v2"
# What a re-rating must know of a resource that may be gone.
KEPT = ("account", "project", "meter", "model", "region", "state", "simulated", "first")

type Row = dict[str, Any]


def bounded(number: int, position: int, field: str) -> int:
    """The number, |number| < 10^38."""
    if not -LIMIT < number < LIMIT:
        raise Invalid("books.overflow", f"{field} reaches 10^38", position=position, field=field)
    return number


class Charging:
    """Charge lines, balances and rows by cause, in the spill given.

    An account's periods (`[id, start, end, closed or null]`) are one item, and so are the spans
    that a resource is charged for; everything else is small.
    """

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self.prices = Prices(spill)
        self._pools = Pools(spill)
        self._numbers = {"rated_interval": 0, "transfer": 0}

    @property
    def rated(self) -> int:
        """How many rated intervals there are so far."""
        return self._numbers["rated_interval"]

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

    # -- charging ------------------------------------------------------------------------

    def charge(self, position: int, resource: str, item: Row, a: int, b: int, sign: int) -> None:
        """Rows for `[a, b)` of the metered resource, piece by piece (section 4).

        `item`: its account, project, size, meter, model, state, simulated, order, first. With sign
        -1 it is the last that was charged of it. `settle` follows in the same cause.
        """
        for piece in self.pieces(position, item, a, b):
            self.add(position, resource, item, piece, (sign, item["size"] * (piece[1] - piece[0])))
        order = f"{item['order']:020d}"
        record = self._spill.get("spans", item["account"], order)
        if record is None:
            record = {name: item[name] for name in KEPT} | {"resource": resource, "spans": []}
            if item.get("covered") is not None:
                record["covered"] = item["covered"]
        remember(record["spans"], a, b, item["size"], sign)
        self._spill.put("spans", item["account"], order, record)

    def cover(self, item: Row) -> None:
        """The resource is held for: should what it is charged move, it moves under its hold."""
        order = f"{item['order']:020d}"
        record = self._spill.get("spans", item["account"], order)
        if record is not None:
            self._spill.put("spans", item["account"], order, {**record, "covered": item["covered"]})

    def pieces(self, position: int, item: Row, a: int, b: int) -> list[Piece]:
        """`[a, b)` cut into (start, end, price entry, period) by what applies to the item."""
        account = self.account(position, item["account"])
        quotes = self.prices.quotes(item["account"], _scope(item, account))
        if item.get("covered") is not None:
            quotes = Held(item["covered"][1], quotes)
        return pieces(position, a, b, account["periods"], quotes, self.cuts(item))

    def moves_until(self, item: Row, instant: int) -> int:
        """How often the item's project has moved by the instant."""
        return sum(1 for at in self.cuts(item) if at <= instant)

    def cuts(self, item: Row) -> list[int]:
        """When the item's project moved."""
        found: list[int] = self._spill.get("cuts", "", item["project"]) or []
        return found

    def fix(
        self, position: int, item: Row, fixed: list[list[Any]], a: int, b: int
    ) -> list[list[Any]]:
        """The prices of what was held before, and of `[a, b)` those known now (section 9)."""
        scope = _scope(item, self.account(position, item["account"]))
        quotes = self.prices.quotes(item["account"], scope)
        found = list(fixed)
        for start, _, price, _ in pieces(position, a, b, [["", a, b, None]], quotes):
            if not found or found[-1][1:] != price[1:]:
                found.append([start, *price[1:]])
        return found

    def add(
        self, position: int, resource: str, item: Row, piece: Piece, added: tuple[int, int]
    ) -> None:
        """Rows for a (sign, quantity) of one piece; its lines are those of the item's `lines`, of
        the resource where it names none. `settle` follows in the same cause.
        """
        account = self.account(position, item["account"])
        start, end, entry, period = piece
        sign, quantity = added[0], bounded(added[1], position, "quantity")
        owner, scope = item["account"], _scope(item, account)
        prepaid = item.get("covered") is not None
        covers = self.prices.covers(owner, scope, period[1])
        if entry[4] is None and not covers:
            lines, name = item.get("lines", resource), f"{entry[1]}{NUL}{period[0]}"
            line = self._spill.get("line", lines, name) or [0, 0]
            total = bounded(line[0] + sign * quantity, position, "line_quantity")
            due = round_half_even(total * entry[2], entry[3])
            delta, amount = due - line[1], bounded(due, position, "line_amount_pico")
            self._spill.put("line", lines, name, [total, amount])
        else:
            of = [item.get("first", 0), resource, item["project"], item["simulated"], prepaid]
            key = (*anywhere(scope), period[0])
            place = [*of, scope[2]]
            pooled = self._pools.add(owner, key, covers, period[1], entry, place, sign * quantity)
            delta, total, amount = 0, bounded(pooled[3], position, "line_quantity"), pooled[4]
        what = (resource, item["project"], item["simulated"], prepaid, scope, entry[1])
        said = (start, end, sign, quantity, total, amount)
        self._emit(position, owner, what, period, said, delta)

    def settle(self, position: int) -> None:
        """What lines of touched pools cost now, each that differs with a row of no quantity."""
        for account, key, begins, line, delta in self._pools.settle():
            _, resource, price, quantity, amount, project, simulated, prepaid, _ = line
            period = self.period(position, account, key[5])
            said = (begins, begins, 1, 0, quantity, bounded(amount, position, "line_amount_pico"))
            what = (resource, project, simulated, prepaid, key[:5], price)
            self._emit(position, account, what, period, said, delta)

    def pay_commitments(self, position: int, account: str, period: list[Any]) -> None:
        """What the account pays in the period whether used or not."""
        for one in self.prices.commitments(account, period[1]):
            price, quantity, pico, divisor = one[0], *one[8:]
            due = bounded(round_half_even(quantity * pico, divisor), position, "line_amount_pico")
            said = (period[1], period[2], 1, quantity, quantity, due)
            what = (account, "-", False, False, tuple(one[3:8]), price)
            self._emit(position, account, what, period, said, due)

    def rerate(self, position: int, entry: Row, fact: Row) -> None:
        """What was charged in the range is taken back and charged at what applies now."""
        account = self.account(position, fact["account"])
        to_all = entry["tag"] == TO_ALL
        before = self.prices.rerate(position, fact, to_all)
        for _, record in self._spill.scan("spans", fact["account"]):
            now = self.prices.quotes(fact["account"], _scope(record, account))
            if "covered" in record:
                if not to_all:
                    continue
                now = Held(record["covered"][1], now)
            then = now.before(before)
            for start, end, size in record["spans"]:
                a, b = max(start, fact["from_us"]), min(end, fact["until_us"])
                cuts = self.cuts(record)
                for piece, old in moves(position, a, b, account["periods"], then, now, cuts):
                    quantity = size * (piece[1] - piece[0])
                    gone = (*piece[:2], old, piece[3])
                    self.add(position, record["resource"], record, gone, (-1, quantity))
                    self.add(position, record["resource"], record, piece, (1, quantity))
        self.settle(position)

    def _emit(
        self,
        position: int,
        account: str,
        what: tuple[str, str, bool, bool, tuple[str, ...], int],
        period: list[Any],
        said: tuple[int, int, int, int, int, int],
        delta: int,
    ) -> None:
        """The row, what is booked, and the transfer.

        what: resource, project, simulated, prepaid, scope, price; said: start, end, sign, quantity,
        and the line's totals.
        """
        resource, project, simulated, prepaid, scope, price = what
        meter, model, _, _, currency = scope
        periods = self.account(position, account)["periods"]
        booked = period[0] if period[3] is None else first_open(position, periods)
        self._row("rated_interval", position, resource, meter, price, period[0], booked, *said)
        sku = f"{meter}:{model}"
        self._book(booked, (project, sku, price, period[0]), said[2] * said[3], delta)
        if simulated:
            self._spill.put("simulated", "", booked, 1)
        of = NUL.join((project, sku, f"{price:020d}", period[0]))
        if prepaid:
            self._met(resource, delta)
            had, gone = self._spill.get("met_line", of, resource) or [0, 0]
            self._spill.put("met_line", of, resource, [had + delta, gone])
        if scope[3] == READ or resource == account:
            self._owe(account, of, delta)
        if delta:
            sides = ("unbilled", f"revenue:{sku}") if delta > 0 else (f"revenue:{sku}", "unbilled")
            self.transfer(
                position, "charge", account, sides, currency, abs(delta),
                (resource, meter, price, period[0], booked), f"{said[0]}\n",
            )  # fmt: skip

    def _met(self, resource: str, pico: int) -> None:
        """So much more is charged of what is held for."""
        sofar = self._spill.get("charged", "", resource) or 0
        self._spill.put("charged", "", resource, sofar + pico)

    def _owe(self, account: str, line: str, pico: int) -> None:
        """So much more is owed of what nothing is held for, while the account is prepaid."""
        if self._spill.get("terms", "", account) == "prepaid":
            for of in (("owed", "", account), ("owed_line", account, line)):
                self._spill.put(*of, (self._spill.get(*of) or 0) + pico)

    def credit(self, account: str, line: Row) -> None:
        """A credit note takes this of a line: what was prepaid of it cost so much less."""
        names = (line["project"], line["sku"], f"{line['price']:020d}", line["service_period"])
        of, left = NUL.join(names), line["amount_pico"]
        for resource, (had, gone) in list(self._spill.scan("met_line", of)):
            part = max(0, min(left, had - gone))
            left -= part
            self._spill.put("met_line", of, resource, [had, gone + part])
            self._met(resource, -part)
        owed = self._spill.get("owed_line", account, of) or 0
        if (part := max(0, min(left, owed))) > 0:
            self._spill.put("owed_line", account, of, owed - part)
            self._spill.put("owed", "", account, self.owed(account) - part)

    def owed(self, account: str) -> int:
        """All that was charged so, net."""
        found: int = self._spill.get("owed", "", account) or 0
        return found

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
        named = ("gpuaas-transfer/1", str(position), kind, resource, meter, priced, period)
        text = "\n".join((*named, currency, suffix))
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


def _scope(item: Row, account: Row) -> tuple[str, ...]:
    of = (item["meter"], item["model"], item.get("region", NOWHERE), item["state"])
    return (*of, account["currency"])
