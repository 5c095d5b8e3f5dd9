"""Payments that went back out of wallets, and money that is put aside: rating.md section 13.

State in the spill: of each wallet what may still go back of each grant that was paid for, and what
it has in arrears; of money that waits its currency and amount, for good which lines there were.
"""

from collections.abc import Callable
from typing import Any

from gpuaas_verify.books_invoice import Invoicing
from gpuaas_verify.books_rating import Charging
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.books_wallet import Wallets
from gpuaas_verify.errors import Invalid

type Row = dict[str, Any]
type Handler = Callable[[int, Row, Row], None]


class Returns:
    """Chargebacks and refunds of credit, arrears, and suspense."""

    def __init__(
        self, spill: Spill, charging: Charging, wallets: Wallets, invoicing: Invoicing
    ) -> None:
        self._spill = spill
        self._charging = charging
        self._wallets = wallets
        self._invoicing = invoicing

    def handlers(self) -> dict[str, Handler]:
        """Tag -> what it does here."""
        return {
            "gpuaas.wallet.credit_charged_back.v1": self._charged_back,
            "gpuaas.wallet.credit_refunded.v1": self._refunded,
            "gpuaas.wallet.arrears_met.v1": self._met,
            "gpuaas.suspense.received.v1": self._received,
            "gpuaas.suspense.resolved.v1": self._resolved,
        }

    # -- credit that goes back -----------------------------------------------------------

    def _charged_back(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet = self._wallets.account(position, entry), entry["stream"]
        paid = self._paid(position, wallet, fact)
        amount, taken = fact["amount_pico"], fact["taken_pico"]
        if not 0 < amount <= paid:
            raise _fail("books.credit", f"{paid} of it may go back", position, "amount_pico")
        spent = self._spend(wallet, amount, fact["decided_us"], fact["grant"])
        if taken != spent:
            raise _fail("books.credit", f"{spent} of it was there", position, "taken_pico")
        arrears = self._arrears(wallet)
        self._spill.put("arrears", "", wallet, arrears + amount - taken)
        self._wallets.stands(position, entry, fact, -taken, 0)
        grant = fact["grant"]
        self._wallets.post(position, account, "chargeback", ("wallet", "cash"), grant, taken)
        rest, sides = amount - taken, ("receivable", "cash")
        self._wallets.post(position, account, "arrears", sides, grant, rest)

    def _refunded(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet, grant = (
            self._wallets.account(position, entry),
            entry["stream"],
            fact["grant"],
        )
        self._paid(position, wallet, fact)
        left = dict(self._lots(wallet, fact["decided_us"])).get(grant, 0)
        if not 0 < fact["amount_pico"] <= left:
            raise _fail("books.credit", f"{left} of it is left", position, "amount_pico")
        if self._arrears(wallet):
            raise _fail("books.credit", "arrears come first", position, "grant")
        amount = fact["amount_pico"]
        self._wallets.move(wallet, grant, -amount)
        self._wallets.stands(position, entry, fact, -amount, 0)
        self._wallets.post(position, account, "refund", ("wallet", "cash"), grant, amount)

    def _met(self, position: int, entry: Row, fact: Row) -> None:
        account, wallet, amount = (
            self._wallets.account(position, entry),
            entry["stream"],
            fact["amount_pico"],
        )
        arrears = self._arrears(wallet)
        there = sum(left for _, left in self._lots(wallet, fact["decided_us"]))
        if not amount or amount != min(arrears, there):
            raise _fail("books.credit", f"{arrears} in arrears", position, "amount_pico")
        self._spend(wallet, amount, fact["decided_us"], "")
        self._spill.put("arrears", "", wallet, arrears - amount)
        self._wallets.stands(position, entry, fact, -amount, 0)
        sides = ("wallet", "receivable")
        self._wallets.post(position, account, "arrears_met", sides, wallet, amount)

    def _paid(self, position: int, wallet: str, fact: Row) -> int:
        """How much of the grant may still go back, before; less by the fact. A reference is of one
        return.
        """
        grant = fact["grant"]
        paid = self._spill.get("paid", wallet, grant)
        if paid is None:
            raise _fail("books.credit", "nobody paid for it", position, "grant")
        if self._spill.get("returned", wallet, fact["reference"]) is not None:
            raise _fail("books.credit", "used before", position, "reference")
        self._spill.put("returned", wallet, fact["reference"], 1)
        self._spill.put("paid", wallet, grant, paid - fact["amount_pico"])
        return int(paid)

    def _arrears(self, wallet: str) -> int:
        return int(self._spill.get("arrears", "", wallet) or 0)

    def _lots(self, wallet: str, now: int) -> list[tuple[str, int]]:
        """(grant, what is left) of what was paid for and may be spent then, in order."""
        lots = self._wallets.lots(wallet, now)
        return [(grant, lot[3]) for lot, grant in lots if lot[1] == "paid"]

    def _spend(self, wallet: str, pico: int, now: int, first: str) -> int:
        """As much of it as is there, of the grant `first` first."""
        lots = self._lots(wallet, now)
        spent = 0
        for grant, left in [one for one in lots if one[0] == first] + [
            one for one in lots if one[0] != first
        ]:
            part = min(left, pico - spent)
            spent += part
            self._wallets.move(wallet, grant, -part)
        return spent

    # -- suspense ------------------------------------------------------------------------

    def _received(self, position: int, entry: Row, fact: Row) -> None:
        if fact["amount_pico"] <= 0 or self._spill.get("line", "", fact["line"]) is not None:
            raise _fail("books.suspense", "nothing, or put aside before", position, "line")
        self._spill.put("line", "", fact["line"], 1)
        item = [fact["currency"], fact["amount_pico"]]
        self._spill.put("aside", "", entry["stream"], item)
        self._post(position, entry["stream"], ("cash", "suspense"), *item)

    def _resolved(self, position: int, entry: Row, fact: Row) -> None:
        item = self._spill.get("aside", "", entry["stream"])
        if item is None:
            raise _fail("books.suspense", "nothing waits there", position, "stream")
        self._spill.delete("aside", "", entry["stream"])
        became = {"credit": self._wallets.came, "payment": self._invoicing.came}
        if fact["how"] in became:
            if became[fact["how"]] != (entry["cause"], [fact["about"], *item]):
                raise _fail("books.suspense", "not what came of it", position, "about")
        elif fact["how"] != "returned" or fact["about"]:
            raise _fail("books.suspense", "no such end", position, "how")
        self._post(position, entry["stream"], ("suspense", "cash"), *item)

    def _post(
        self, position: int, stream: str, sides: tuple[str, str], currency: str, pico: int
    ) -> None:
        self._charging.transfer(
            position, "suspense", stream, sides, currency, pico, (stream, "-", None, "-", "-")
        )


def _fail(code: str, detail: str, position: int, field: str) -> Invalid:
    return Invalid(code, detail, position=position, field=field)
