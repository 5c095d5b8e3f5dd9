"""Invoices and their files, derived and held against what was finalized: rating.md section 6.

The lines of the one invoice at hand are in memory; no other.
"""

import json
from hashlib import sha256
from typing import Any

from gpuaas_verify.books_pieces import first_open
from gpuaas_verify.books_rating import NUL, Charging, round_half_even
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

PLAIN, NAMED = "gpuaas-invoice/1", "gpuaas-invoice/3"
FILES = ("invoice-", "creditnote-")
BACK = ("receivable", "cash")
MOVED = {
    "gpuaas.invoice.paid.v1": ("payment", ("cash", "receivable")),
    "gpuaas.invoice.payment_returned.v1": ("payment_returned", BACK),
    "gpuaas.invoice.refunded.v1": ("refund", BACK),
}

type Line = tuple[str, str, int, str, int, int]  # project, sku, price, service, quantity, amount


def derive_lines(spill: Spill, period: str) -> list[Line]:
    """The lines booked in the period, in order, none of quantity 0 and amount 0."""
    lines: list[Line] = []
    for key, (quantity, amount) in spill.scan("booked", period):
        project, sku, price, service = key.split(NUL)
        if quantity or amount:
            lines.append((project, sku, int(price), service, quantity, amount))
    return lines


def shown_minor(lines: list[Line], total_minor: int, unit: int) -> list[int]:
    """Each line's minor amount as shown: floors, then one each to the largest remainders."""
    shown = [line[5] // unit for line in lines]
    by_remainder = sorted(range(len(lines)), key=lambda at: (-(lines[at][5] % unit), at))
    for at in by_remainder[: total_minor - sum(shown)]:
        shown[at] += 1
    return shown


def invoice_bytes(head: dict[str, Any], lines: list[Line], total_minor: int, unit: int) -> bytes:
    """The invoice file; `head` is everything before the lines, in order."""
    total = sum(line[5] for line in lines)
    document = {
        **head,
        "lines": [
            {
                "project": project,
                "sku": sku,
                "price": price,
                "service_period": service,
                "quantity": quantity,
                "amount_pico": amount,
                "shown_minor": minor,
            }
            for (project, sku, price, service, quantity, amount), minor in zip(
                lines, shown_minor(lines, total_minor, unit), strict=True
            )
        ],
        "total_pico": total,
        "rounding_pico": total_minor * unit - total,
        "total_minor": total_minor,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


class Invoicing:
    """Every `invoice.finalized` against its derivation, every invoice file against its bytes.

    A file is sealed in the append that finalizes its invoice, before or after it: the one seen
    first waits for the other, and both carry the append's cause.
    """

    def __init__(self, spill: Spill, charging: Charging) -> None:
        self._spill = spill
        self._charging = charging
        self.count = 0
        self.simulated = 0  # of them, how many charge for time on SIMULATED nodes
        # The last payment: its append's cause, its invoice, currency and amount in pico.
        self.came: tuple[str, list[Any]] = ("", [])

    def finalized(self, position: int, entry: dict[str, Any], fact: dict[str, Any]) -> None:
        """Transfers `invoice` and `rounding`; the fact says what is derived."""
        account, period = self.begun(position, entry, fact, named=False)
        if account.get("taxed") is not None:
            raise Invalid(
                "books.tax", "its account has a seller", position=position, field="account"
            )
        lines = derive_lines(self._spill, fact["period"])
        unit = 10 ** (12 - account["digits"])
        total = sum(line[5] for line in lines)
        minor = round_half_even(total, unit)
        head = self.head(PLAIN, fact, account, period)
        data = invoice_bytes(head, lines, minor, unit)
        # Earlier releases named nobody in the file.
        silent = self._spill.get("missing", "", fact["period"]) is not None
        if silent and fact["sha256"] != sha256(data).hexdigest():
            data = invoice_bytes(self.head(NAMED, fact, account, period), lines, minor, unit)
        derived = {
            "currency": account["currency"],
            "minor_digits": account["digits"],
            "total_pico": total,
            "total_minor": minor,
            "line_count": len(lines),
            "file": f"invoice-{fact['number'].lower()}.json",
            "sha256": sha256(data).hexdigest(),
        }
        for field, value in derived.items():
            if fact[field] != value:
                raise Invalid(
                    "books.invoice_differs", f"{field} is {fact[field]}, derived {value}",
                    position=position, field=field,
                )  # fmt: skip
        self.post(position, entry["stream"], fact, total, minor * unit - total)
        filed = (position, entry["cause"], data)
        self.over(fact["file"], fact["period"], filed, simulated=head["simulated"])

    def begun(
        self, position: int, entry: dict[str, Any], fact: dict[str, Any], *, named: bool
    ) -> tuple[dict[str, Any], list[Any]]:
        """The account and the period of an invoice that may be: the period's only one, once it is
        closed. `named`: its account will not count it.
        """
        account = self._charging.own_account(position, fact["account"], entry["org"])
        period = self._charging.period(position, fact["account"], fact["period"])
        if period[3] is None or fact["closed"] != period[3]:
            raise Invalid(
                "books.invoice",
                "its period was not closed there",
                position=position,
                field="closed",
            )
        if self._spill.get("invoiced", "", fact["period"]) is not None:
            raise Invalid(
                "books.invoice", "its period has an invoice", position=position, field="period"
            )
        self._spill.put("invoiced", "", fact["period"], 1)
        if self._spill.get("invoice", "", entry["stream"]) is not None:
            raise Invalid("books.invoice", "finalized twice", position=position, field="stream")
        # Of which account, not named by it and not issued yet.
        self._spill.put("invoice", "", entry["stream"], [fact["account"], named, False])
        return account, period

    def over(
        self, name: str, period: str, filed: tuple[int, str, bytes], *, simulated: bool
    ) -> None:
        """The invoice is counted, its file awaited, what was booked in its period forgotten."""
        position, cause, data = filed
        self.meet(position, name, cause, [sha256(data).hexdigest(), len(data)], "file")
        self._spill.drop("booked", period)
        self._spill.delete("simulated", "", period)
        self.count += 1
        self.simulated += simulated

    def named(self, position: int, account: str, invoice: str) -> None:
        """An account counts each invoice finalized for it, once."""
        item = self._spill.get("invoice", "", invoice)
        if item is None or item[0] != account or item[1]:
            detail = f"{invoice} is no invoice of the account, or counted before"
            raise Invalid("books.invoiced", detail, position=position, field="invoice")
        self._spill.put("invoice", "", invoice, [account, True, item[2]])

    def issued(self, position: int, entry: dict[str, Any], _fact: dict[str, Any]) -> None:
        """An invoice is issued once, after it is finalized."""
        item = self._spill.get("invoice", "", entry["stream"])
        if item is None or item[2]:
            detail = "not finalized, or issued before"
            raise Invalid("books.issued", detail, position=position, field="stream")
        self._spill.put("invoice", "", entry["stream"], [*item[:2], True])

    def moved(self, position: int, entry: dict[str, Any], fact: dict[str, Any]) -> None:
        """Transfer `payment`, `payment_returned` or `refund`: no more is paid than is due, nothing
        goes back that was not paid, and nothing is given back but what was paid too much.
        """
        due = self._spill.get("due", "", entry["stream"])
        if due is None:
            raise Invalid("books.paid", "never finalized", position=position, field="stream")
        kind, sides = MOVED[entry["tag"]]
        amount, paid = fact["amount_minor"], due["paid"]
        most = {"payment": due["minor"], "refund": min(-due["minor"], paid)}.get(kind, paid)
        came = amount if kind == "payment" else -amount
        for field, right in (
            ("amount_minor", 0 < amount <= most),
            ("due_minor", fact["due_minor"] == due["minor"] - came),
        ):
            if not right:
                detail = f"{due['minor']} were due, {paid} paid"
                raise Invalid("books.paid", detail, position=position, field=field)
        self._spill.put("due", "", entry["stream"], {**due, "paid": paid + came})
        self.met(entry["stream"], came)
        if kind == "payment":
            came_for = [entry["stream"], due["currency"], amount * due["unit"]]
            self.came = (entry["cause"], came_for)
        account = self._charging.account(position, due["account"])
        stream, meter, price, period, _ = due["about"]
        about = (stream, meter, price, period, first_open(position, account["periods"]))
        self._charging.transfer(
            position, kind, due["account"], sides, due["currency"],
            amount * due["unit"], about,
        )  # fmt: skip

    def met(self, stream: str, minor: int) -> None:
        """So much less of the invoice is due."""
        due = self._spill.get("due", "", stream)
        self._spill.put("due", "", stream, {**due, "minor": due["minor"] - minor})

    def head(
        self, form: str, fact: dict[str, Any], account: dict[str, Any], period: list[Any]
    ) -> dict[str, Any]:
        """What stands before the lines of an invoice file."""
        silent = self._spill.get("missing", "", period[0])
        return {
            "format": form,
            "number": fact["number"],
            "organization": account["org"],
            "account": fact["account"],
            "period": period[0],
            "start_us": period[1],
            "end_us": period[2],
            "currency": account["currency"],
            "minor_digits": account["digits"],
            "simulated": self._spill.get("simulated", "", period[0]) is not None,
            **({"missing": silent} if form == NAMED else {}),
        }

    def post(self, position: int, stream: str, fact: dict[str, Any], total: int, rest: int) -> None:
        """The transfers `invoice` and `rounding`, of amounts in pico."""
        about = (stream, "-", None, fact["period"], fact["period"])
        due = {"account": fact["account"], "currency": fact["currency"], "about": about}
        due |= {"minor": fact["total_minor"], "paid": 0, "unit": 10 ** (12 - fact["minor_digits"])}
        self._spill.put("due", "", stream, due)
        for kind, amount, other in (("invoice", total, "unbilled"), ("rounding", rest, "rounding")):
            if amount:
                sides = ("receivable", other) if amount > 0 else (other, "receivable")
                self._charging.transfer(
                    position, kind, fact["account"], sides, fact["currency"], abs(amount), about
                )

    def file_sealed(self, position: int, entry: dict[str, Any], fact: dict[str, Any]) -> None:
        """An invoice file stands beside its invoice, for good; other files are not of the books."""
        superseded = fact["supersedes"]
        if superseded is not None and self._spill.get("invoice_at", "", str(superseded)):
            raise Invalid(
                "books.invoice_superseded", "an invoice file stands for good",
                position=position, field="supersedes",
            )  # fmt: skip
        if not (fact["name"].startswith(FILES) and fact["name"].endswith(".json")):
            return
        self._spill.put("invoice_at", "", str(position), 1)
        self.meet(position, fact["name"], entry["cause"], [fact["sha256"], fact["bytes"]], "seal")

    def meet(self, position: int, name: str, cause: str, digest: list[Any], side: str) -> None:
        """A file's seal and the fact that it is of: whichever comes second finds the first."""
        waiting = self._spill.get("waiting", "", name)
        if waiting is None:
            if self._spill.get("filed", "", name) is not None:
                raise Invalid(
                    "books.invoice_file", f"{name} belongs to an earlier invoice", position=position
                )
            self._spill.put("waiting", "", name, [side, cause, *digest, position])
            return
        if waiting[0] == side or waiting[1] != cause:
            raise Invalid(
                "books.invoice_file", f"{name} is not sealed with its invoice", position=position
            )
        for field, mine, other in zip(("sha256", "bytes"), digest, waiting[2:4], strict=True):
            if mine != other:
                raise Invalid(
                    "books.invoice_file", f"{name} is sealed with other bytes",
                    position=position, field=field,
                )  # fmt: skip
        self._spill.delete("waiting", "", name)
        self._spill.put("filed", "", name, 1)

    def finish(self) -> None:
        """No invoice lacks its sealed file, no invoice file its invoice."""
        for name, waiting in self._spill.scan("waiting", ""):
            lacks = "an invoice" if waiting[0] == "seal" else "a sealed file"
            raise Invalid("books.invoice_file", f"{name} lacks {lacks}", position=waiting[4])
