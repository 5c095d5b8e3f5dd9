"""Sellers, tax and credit notes, derived and held against what was said: rating.md section 11.

The lines of a seller's invoice stay until it is credited as a whole, one item each in the spill.
"""

import json
from bisect import bisect_right, insort
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from gpuaas_verify.books_invoice import Invoicing, Line, derive_lines
from gpuaas_verify.books_pieces import first_open
from gpuaas_verify.books_rating import NUL, Charging
from gpuaas_verify.books_shares import Rate, places, stated, tax_of, taxed_line
from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

EVER = -62_135_596_800_000_000  # the first instant of the calendar
ALL = "*"

type Row = dict[str, Any]


class Taxing:
    """Every seller's facts, and the invoices and credit notes of accounts that have one."""

    def __init__(self, spill: Spill, charging: Charging, invoicing: Invoicing) -> None:
        self._spill = spill
        self._charging = charging
        self._invoicing = invoicing

    def handlers(self) -> dict[str, Callable[[int, Row, Row], None]]:
        """By tag."""
        return {
            "gpuaas.seller.registered.v1": self._registered,
            "gpuaas.seller.rate_set.v1": self._rate_set,
            "gpuaas.seller.invoiced.v1": lambda at, entry, fact: self._numbered(
                at, entry, ("invoice", fact["invoice"]), fact["sequence"]
            ),
            "gpuaas.seller.credited.v1": lambda at, entry, fact: self._numbered(
                at, entry, ("credit", fact["credit_note"]), fact["sequence"]
            ),
            "gpuaas.account.taxed.v1": self._taxed,
            "gpuaas.invoice.finalized.v2": self._finalized,
            "gpuaas.credit_note.ordered.v1": self._ordered,
            "gpuaas.credit_note.issued.v1": self._credited,
        }

    def finish(self) -> None:
        """No invoice or credit note of a seller lacks its number."""
        for kind in ("invoice", "credit"):
            for name, waiting in self._spill.scan("unnumbered", kind):
                raise Invalid("books.invoiced", f"{name} has no number", position=waiting[3])

    # -- sellers and buyers --------------------------------------------------------------

    def _registered(self, position: int, entry: Row, fact: Row) -> None:
        if self._spill.get("prefix", "", fact["prefix"]) is not None:
            raise Invalid("books.seller", "another's", position=position, field="prefix")
        self._spill.put("prefix", "", fact["prefix"], 1)
        item = {
            "party": fact["party"]["private"],
            "country": fact["country"],
            "prefix": fact["prefix"],
            "terms": fact["terms_days"],
            "invoice": 0,
            "credit": 0,
        }
        self._spill.put("seller", "", entry["stream"], item)

    def _seller(self, position: int, stream: str) -> Row:
        item: Row | None = self._spill.get("seller", "", stream)
        if item is None:
            raise Invalid("books.seller", f"no {stream}", position=position, field="seller")
        return item

    def _rate_set(self, position: int, entry: Row, fact: Row) -> None:
        category, points = fact["category"], fact["rate_bp"]
        taxed = category == "S"
        for field, right in (
            ("category", category in ("S", "Z", "E", "AE", "O")),
            ("rate_bp", 0 < points <= 10_000 if taxed else points == 0),
            ("reason", bool(fact["reason"]) == (category in ("E", "AE", "O"))),
        ):
            if not right:
                raise Invalid("books.tax", f"{field} cannot be", position=position, field=field)
        key = NUL.join((fact["treatment"], fact["country"], fact["meter"]))
        rates = self._spill.get("rate", entry["stream"], key) or []
        if any(rate[0] == fact["effective_from_us"] for rate in rates):
            raise Invalid(
                "books.tax", "another begins there", position=position, field="effective_from_us"
            )
        insort(rates, [fact["effective_from_us"], category, points, fact["reason"]])
        self._spill.put("rate", entry["stream"], key, rates)

    def _taxed(self, position: int, entry: Row, fact: Row) -> None:
        item = self._charging.own_account(position, entry["stream"], entry["org"])
        self._seller(position, fact["seller"])
        self._rate(position, fact, "", EVER)
        item["taxed"] = {**fact, "party": fact["party"]["private"]}
        self._charging.put_account(entry["stream"], item)

    def _rate(self, position: int, buyer: Row, meter: str, at: int) -> Rate:
        for name in (meter, ALL):
            key = NUL.join((buyer["treatment"], buyer["country"], name))
            rates = self._spill.get("rate", buyer["seller"], key) or []
            index = bisect_right(rates, at, key=lambda rate: rate[0])
            if index:
                _, category, points, reason = rates[index - 1]
                return category, points, reason
        raise Invalid("books.tax", "no rate", position=position, field="treatment")

    def _numbered(self, position: int, entry: Row, what: tuple[str, str], sequence: int) -> None:
        kind, name = what
        seller = self._seller(position, entry["stream"])
        waiting = self._spill.get("unnumbered", kind, name)
        if waiting is None or waiting[0] != entry["stream"] or waiting[2] != entry["cause"]:
            raise Invalid("books.invoiced", f"not in one append with {name}", position=position)
        mark = "C" if kind == "credit" else ""
        right = f"{seller['prefix']}-{mark}{sequence:06d}"
        if sequence != seller[kind] + 1 or waiting[1] != right:
            raise Invalid("books.invoiced", "out of sequence", position=position, field="sequence")
        seller[kind] += 1
        self._spill.put("seller", "", entry["stream"], seller)
        self._spill.delete("unnumbered", kind, name)

    # -- invoices ------------------------------------------------------------------------

    def _finalized(self, position: int, entry: Row, fact: Row) -> None:
        account, period = self._invoicing.begun(position, entry, fact, named=True)
        lines = derive_lines(self._spill, fact["period"])
        rates = self.rates(position, fact, account, lines)
        head = self._invoicing.head("gpuaas-invoice/2", fact, account, period)
        document = self.document(position, account, head, lines, rates)
        data = _bytes(document)
        self.check_fact(position, fact, account, document)
        self._invoicing.post(
            position, entry["stream"], fact, document["total_pico"], document["rounding_pico"]
        )
        about = (entry["stream"], "-", None, fact["period"], fact["period"])
        for index, one in enumerate(document["taxes"]):
            pico = one["tax_minor"] * 10 ** (12 - account["digits"])
            self._post(position, "tax", fact, ("receivable", "tax"), pico, about, index)
        self._kept(entry["stream"], {**document, "period": period[0]})
        self._wait("invoice", entry["stream"], fact, entry["cause"], position)
        filed = (position, entry["cause"], data)
        simulated = document["simulated"]
        self._invoicing.over(fact["file"], fact["period"], filed, simulated=simulated)

    def rates(self, position: int, fact: Row, account: Row, lines: list[Line]) -> list[Rate]:
        """What each line is taxed at by the seller that the fact names, which is the account's.

        Raises: Invalid `books.tax`.
        """
        buyer = account.get("taxed")
        if buyer is None or buyer["seller"] != fact["seller"]:
            raise Invalid("books.tax", "not its seller", position=position, field="seller")
        ends = {one[0]: one[2] for one in account["periods"]}
        return [
            self._rate(position, buyer, line[1].split(":")[0], ends[line[3]] - 1) for line in lines
        ]

    def document(
        self, position: int, account: Row, head: Row, lines: list[Line], rates: list[Rate]
    ) -> Row:
        """The invoice file of these lines; `head`: as of an invoice without a seller."""
        digits, head = account["digits"], {**head}
        shown, taxes = stated(lines, rates, digits)
        total, net = sum(line[5] for line in lines), sum(one["base_minor"] for one in taxes)
        tax = sum(one["tax_minor"] for one in taxes)
        simulated = head.pop("simulated")
        parties = self._parties(position, account["taxed"])
        return {
            **dict(list(head.items())[:4]), **parties, **dict(list(head.items())[4:]),
            "simulated": simulated,
            "missing": self._spill.get("missing", "", head["period"]) or [],
            "lines": [
                taxed_line(line, rate, minor)
                for line, rate, minor in zip(lines, rates, shown, strict=True)
            ],
            "taxes": taxes, "total_pico": total,
            "rounding_pico": net * 10 ** (12 - digits) - total, "net_minor": net,
            "tax_minor": tax, "total_minor": net + tax,
        }  # fmt: skip

    def check_fact(self, position: int, fact: Row, account: Row, document: Row) -> None:
        """Nothing when the fact says what the file does.

        Raises: Invalid `books.invoice_differs`.
        """
        names = ("total_pico", "net_minor", "tax_minor", "total_minor")
        derived = {
            "currency": account["currency"], "minor_digits": account["digits"],
            **{name: document[name] for name in names}, "line_count": len(document["lines"]),
            "file": f"invoice-{fact['number'].lower()}.json",
            "sha256": sha256(_bytes(document)).hexdigest(),
        }  # fmt: skip
        _same(position, "books.invoice_differs", fact, derived)

    def _parties(self, position: int, buyer: Row) -> Row:
        seller = self._seller(position, buyer["seller"])
        return {
            "seller": {
                "seller": buyer["seller"], "party": seller["party"], "country": seller["country"],
                "terms_days": seller["terms"],
            },
            "buyer": {
                "party": buyer["party"], "country": buyer["country"],
                "treatment": buyer["treatment"],
            },
        }  # fmt: skip

    def _wait(self, kind: str, name: str, fact: Row, cause: str, position: int) -> None:
        waiting = [fact["seller"], fact["number"], cause, position]
        self._spill.put("unnumbered", kind, name, waiting)

    def _kept(self, invoice: str, document: Row) -> None:
        """What credit notes may still take: the lines, and so far no base of any rate."""
        for index, line in enumerate(document.pop("lines")):
            if line["amount_pico"]:
                self._spill.put("credit_line", invoice, f"{index:08d}", line)
        self._spill.put("credit_head", "", invoice, {**document, "bases": {}})

    def _post(
        self, position: int, kind: str, fact: Row, sides: tuple[str, str], pico: int,
        about: tuple[str, str, int | None, str, str], index: int | None,
    ) -> None:  # fmt: skip
        """One transfer, the sides swapped when the amount is negative; none of 0."""
        if pico:
            suffix = "" if index is None else f"{index}\n"
            debit, credit = sides if pico > 0 else (sides[1], sides[0])
            self._charging.transfer(
                position, kind, fact["account"], (debit, credit), fact["currency"], abs(pico),
                about, suffix,
            )  # fmt: skip

    # -- credit notes --------------------------------------------------------------------

    def _ordered(self, position: int, entry: Row, fact: Row) -> None:
        if self._spill.get("credit_note", "", fact["credit_note"]) is not None:
            raise Invalid("books.credit", "ordered before", position=position, field="credit_note")
        order = [entry["stream"], fact["parts"], fact["why"]]
        self._spill.put("credit_note", "", fact["credit_note"], order)

    def _credited(self, position: int, entry: Row, fact: Row) -> None:
        invoice, note = entry["stream"], fact["credit_note"]
        head = self._spill.get("credit_head", "", invoice)
        if head is None or (head["account"], head["seller"]["seller"]) != (
            fact["account"], fact["seller"],
        ):  # fmt: skip
            raise Invalid("books.credit", "not of that invoice", position=position, field="account")
        ordered = self._spill.get("credit_note", "", note)
        if ordered != [invoice, fact["parts"], fact["why"]]:
            raise Invalid("books.credit", "not as ordered", position=position, field="credit_note")
        self._spill.put("credit_note", "", note, [])
        digits = head["minor_digits"]
        minor = 10 ** (12 - digits)
        lines = self._taken(position, invoice, fact["parts"], digits)
        taxes = _credit_taxes(lines, head["bases"], digits)
        self._spill.put("credit_head", "", invoice, head)
        pico, net = sum(x["amount_pico"] for x in lines), sum(x["base_minor"] for x in taxes)
        tax = sum(one["tax_minor"] for one in taxes)
        rest = net * minor - pico
        names = ("organization", "account", "seller", "buyer")
        document = {
            "format": "gpuaas-credit-note/1", "number": fact["number"],
            **{name: head[name] for name in names}, "invoice": invoice,
            "invoice_number": head["number"],
            **{name: head[name] for name in ("period", "currency", "minor_digits", "simulated")},
            "why": fact["why"], "lines": lines, "taxes": taxes, "total_pico": pico,
            "rounding_pico": rest, "net_minor": net, "tax_minor": tax, "total_minor": net + tax,
        }  # fmt: skip
        data = _bytes(document)
        derived = {
            "net_minor": net, "tax_minor": tax, "total_minor": net + tax,
            "file": f"creditnote-{fact['number'].lower()}.json",
            "sha256": sha256(data).hexdigest(),
        }  # fmt: skip
        _same(position, "books.credit_differs", fact, derived)
        self._post_credit(position, {**fact, "currency": head["currency"]}, document)
        self._invoicing.met(invoice, net + tax)
        self._wait("credit", note, fact, entry["cause"], position)
        digest = [derived["sha256"], len(data)]
        self._invoicing.meet(position, fact["file"], entry["cause"], digest, "file")

    def _taken(self, position: int, invoice: str, parts: list[Row], digits: int) -> list[Row]:
        """The credit note's lines, gone from what is left of the invoice."""
        if not parts:
            left = self._spill.scan("credit_line", invoice)
            asked = [(key, line["shown_minor"]) for key, line in left]
        else:
            asked = [(f"{part['line']:08d}", part["minor"]) for part in parts]
        if not asked:
            raise Invalid("books.credit", "nothing is left", position=position, field="parts")
        lines = []
        for key, minor in asked:
            line = self._spill.get("credit_line", invoice, key)
            left = 0 if line is None else line["shown_minor"]
            fits = not parts or 0 < minor <= left or left <= minor < 0
            if not fits or minor % places(digits)[0]:
                raise Invalid(
                    "books.credit", f"{left} is left of line {int(key)}", position=position,
                    field="parts",
                )  # fmt: skip
            lines.append(self._less(invoice, key, line, minor, digits))
        return lines

    def _less(self, invoice: str, key: str, line: Row, minor: int, digits: int) -> Row:
        """The part of one line; what is taken as a whole is gone, its exact amount with it."""
        whole = minor == line["shown_minor"]
        pico = line["amount_pico"] if whole else minor * 10 ** (12 - digits)
        if whole:
            self._spill.delete("credit_line", invoice, key)
        else:
            rest = {"amount_pico": line["amount_pico"] - pico}
            rest["shown_minor"] = line["shown_minor"] - minor
            self._spill.put("credit_line", invoice, key, {**line, **rest})
        names = ("project", "sku", "price", "service_period", "category", "rate_bp", "reason")
        said = {"line": int(key), **{name: line[name] for name in names}}
        return {**said, "amount_pico": pico, "amount_minor": minor}

    def _post_credit(self, position: int, fact: Row, note: Row) -> None:
        periods = self._charging.account(position, fact["account"])["periods"]
        booked, name = first_open(position, periods), fact["credit_note"]
        minor = 10 ** (12 - note["minor_digits"])
        for line in note["lines"]:
            sides = (f"revenue:{line['sku']}", "receivable")
            about = (name, "-", line["price"], line["service_period"], booked)
            pico, index = line["amount_pico"], line["line"]
            self._post(position, "credit", fact, sides, pico, about, index)
            self._charging.credit(fact["account"], line)
        plain = (name, "-", None, note["period"], booked)
        rest, sides = note["rounding_pico"], ("rounding", "receivable")
        self._post(position, "credit_rounding", fact, sides, rest, plain, None)
        for index, one in enumerate(note["taxes"]):
            pico, sides = one["tax_minor"] * minor, ("tax", "receivable")
            self._post(position, "credit_tax", fact, sides, pico, plain, index)


def _credit_taxes(lines: list[Row], bases: dict[str, int], digits: int) -> list[Row]:
    """By rate, the tax on all that was credited of it less that on what was before."""
    taxes = []
    for rate in sorted({(one["category"], one["rate_bp"], one["reason"]) for one in lines}):
        mine = [x for x in lines if (x["category"], x["rate_bp"], x["reason"]) == rate]
        base, name = sum(one["amount_minor"] for one in mine), NUL.join(map(str, rate))
        before = bases.get(name, 0)
        bases[name] = before + base
        tax = tax_of(bases[name], rate[1], digits) - tax_of(before, rate[1], digits)
        taxes.append({
            "category": rate[0], "rate_bp": rate[1], "reason": rate[2], "base_minor": base,
            "tax_minor": tax,
        })  # fmt: skip
    return taxes


def _bytes(document: Row) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _same(position: int, code: str, fact: Row, derived: Row) -> None:
    for field, value in derived.items():
        if fact[field] != value:
            detail = f"{field} is {fact[field]}, derived {value}"
            raise Invalid(code, detail, position=position, field=field)
