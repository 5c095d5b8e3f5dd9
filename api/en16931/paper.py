"""An invoice or credit note as EN 16931-1 sees it: every number is the sealed file's own.

BT-n and BG-n are the business terms and groups of EN 16931-1:2017 section 6.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from api.invoice_page import amount
from domain.errors import DomainError
from domain.taxed import SHOWN_DIGITS, step_minor
from projections.taxes_read import Party

CUSTOMIZATION: Final = "urn:cen.eu:en16931:2017"  # BT-24: the standard itself
PIECE: Final = "C62"  # UN/ECE Recommendation 20: one
UNTAXED: Final = "O"  # out of the scope of tax: no rate, and no VAT id on the document
_REASONS: Final = {
    "VATEX-EU-AE": "Reverse charge",
    "VATEX-EU-O": "Not subject to VAT",
}


class _Form(Struct):
    format: str


class _Seller(Struct):
    seller: str
    party: str
    country: str
    terms_days: int


class _Buyer(Struct):
    party: str
    country: str


class _Line(Struct):
    project: str
    sku: str
    price: int
    service_period: str
    category: str
    rate_bp: int
    shown_minor: int = 0
    amount_minor: int = 0


class _Tax(Struct):
    category: str
    rate_bp: int
    reason: str
    base_minor: int
    tax_minor: int


class _File(Struct):
    """Of either file, what stands on the document (rating.md section 11)."""

    format: str
    number: str
    seller: _Seller
    buyer: _Buyer
    currency: str
    minor_digits: int
    simulated: bool
    lines: list[_Line]
    taxes: list[_Tax]
    net_minor: int
    tax_minor: int
    total_minor: int
    invoice_number: str = ""


class Dates(Struct, frozen=True):
    """Days in the account's zone: of issue, and of the period's first and last instant."""

    issued: date
    start: date
    end: date
    invoiced: date  # that of the invoice, which a credit note takes from


class Called(Struct, frozen=True):
    """What ids are called; `parties` by digest, None once erased."""

    parties: Mapping[str, Party | None]
    projects: Mapping[str, str | None]
    services: Mapping[str, str]


class Side(Struct, frozen=True):
    """BG-4 or BG-7."""

    id: str
    party: Party
    country: str


class Item(Struct, frozen=True):
    """BG-25. One piece at the line's amount: what was measured stands in its description.

    So the line is exact whoever multiplies it, and no price is negative (BR-27).
    """

    number: str
    name: str
    description: str
    pieces: int
    price: str
    amount: str
    category: str
    percent: str


class Tax(Struct, frozen=True):
    """BG-23; `percent` empty: it has none."""

    base: str
    amount: str
    category: str
    percent: str
    code: str
    reason: str


class Paper(Struct, frozen=True):
    """Amounts as decimals with as many places as the currency has, two at most."""

    credit: bool
    number: str
    currency: str
    dates: Dates
    due: date
    seller: Side
    buyer: Side
    notes: tuple[str, ...]
    terms: str
    preceding: str
    items: tuple[Item, ...]
    taxes: tuple[Tax, ...]
    net: str
    tax: str
    total: str


def paper_of(file: bytes, dates: Dates, called: Called) -> Paper:
    """Raises: DomainError `invoice.no_seller`, `tax.party_erased`."""
    form = msgspec.json.decode(file, type=_Form).format
    if form not in ("gpuaas-invoice/2", "gpuaas-credit-note/1"):
        raise DomainError(
            "invoice.no_seller", "EN 16931 is of invoices that a seller stands behind"
        )
    said, credit = msgspec.json.decode(file, type=_File), form == "gpuaas-credit-note/1"

    def shown(minor: int) -> str:
        digits = said.minor_digits
        return amount(minor // step_minor(digits), min(digits, SHOWN_DIGITS))

    untaxed = all(one.category == UNTAXED for one in said.taxes)
    notes = ("SIMULATED: for GPUs that do not exist. It asks nobody for money.",)
    return Paper(
        credit=credit,
        number=said.number,
        currency=said.currency,
        dates=dates,
        due=dates.issued + timedelta(days=said.seller.terms_days),
        seller=_side(called, said.seller.seller, said.seller, untaxed=untaxed),
        buyer=_side(called, "", said.buyer, untaxed=untaxed),
        notes=notes if said.simulated else (),
        terms=f"Due within {said.seller.terms_days} days",
        preceding=said.invoice_number,
        items=tuple(
            _item(number, line, shown, called) for number, line in enumerate(said.lines, 1)
        ),
        taxes=tuple(
            Tax(
                base=shown(one.base_minor),
                amount=shown(one.tax_minor),
                category=one.category,
                percent=_percent(one.category, one.rate_bp),
                code=one.reason,
                reason=_REASONS.get(one.reason, f"Exempt: {one.reason}") if one.reason else "",
            )
            for one in said.taxes
        ),
        net=shown(said.net_minor),
        tax=shown(said.tax_minor),
        total=shown(said.total_minor),
    )


def _side(called: Called, name: str, of: _Seller | _Buyer, *, untaxed: bool) -> Side:
    party = called.parties.get(of.party)
    if party is None:
        raise DomainError("tax.party_erased", "what people call a party of it was erased")
    if untaxed:  # BR-O-2 to 4
        party = msgspec.structs.replace(party, vat_id="")
    return Side(name, party, of.country)


def _item(number: int, line: _Line, shown: Callable[[int], str], called: Called) -> Item:
    minor = line.shown_minor or line.amount_minor
    project = called.projects.get(line.project) or line.project
    service = called.services.get(line.service_period, line.service_period)
    return Item(
        number=str(number),
        name=line.sku,
        description=f"{project}: {line.sku} by price entry {line.price}, {service}",
        pieces=-1 if minor < 0 else 1,
        price=shown(abs(minor)),
        amount=shown(minor),
        category=line.category,
        percent=_percent(line.category, line.rate_bp),
    )


def _percent(category: str, rate_bp: int) -> str:
    """`19.00`; empty where there is no rate at all (BR-O-5)."""
    return "" if category == UNTAXED else amount(rate_bp, 2)
