"""An invoice's file as its proof holds it: what it says, line by line."""

import json
from hashlib import sha256
from typing import Final, NamedTuple

from gpuaas_verify.books_invoice import NAMED, PLAIN, Line
from gpuaas_verify.books_shares import Rate
from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid

MEMBER: Final = "invoice.json"
KEYS: Final = {
    "project": str,
    "sku": str,
    "price": int,
    "service_period": str,
    "quantity": int,
    "amount_pico": int,
    "shown_minor": int,
}
TAXED: Final = {"category": str, "rate_bp": int, "reason": str}
# By the tag of the fact that seals it: the file's formats, and what a line of it has.
FORMATS: Final = {
    "gpuaas.invoice.finalized.v1": ((PLAIN, NAMED), KEYS),
    "gpuaas.invoice.finalized.v2": (("gpuaas-invoice/2",), KEYS | TAXED),
}


class InvoiceFile(NamedTuple):
    """`lines` as stated, in order, with their `rates` where it bears tax; `data`: its bytes."""

    data: bytes
    form: str
    lines: list[Line]
    rates: list[Rate]
    simulated: bool


def parse_file(data: bytes, invoice: Entry) -> InvoiceFile:
    """The file that the invoice's fact seals.

    Raises: Invalid `proof.file` (other bytes, or not an invoice), `proof.format`.
    """
    if sha256(data).hexdigest() != invoice.fact["sha256"]:
        raise _fail("file", "not the bytes that the log seals", invoice)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _fail("file", "not JSON", invoice) from error
    forms, keys = FORMATS[invoice.tag]
    if type(document) is not dict or document.get("format") not in forms:
        raise _fail("format", f"not {forms[0]}", invoice)
    lines, simulated = document.get("lines"), document.get("simulated")
    if type(lines) is not list or type(simulated) is not bool:
        raise _fail("file", "not an invoice", invoice)
    for number, line in enumerate(lines):
        if type(line) is not dict or {k: type(v) for k, v in line.items()} != keys:
            raise _fail("file", "not a line of an invoice", invoice, number)
    stated = [
        (
            *(one["project"], one["sku"], one["price"], one["service_period"]),
            *(one["quantity"], one["amount_pico"]),
        )
        for one in lines
    ]
    taxed = lines if keys is not KEYS else []
    rates = [(one["category"], one["rate_bp"], one["reason"]) for one in taxed]
    return InvoiceFile(data, document["format"], stated, rates, simulated)


def _fail(code: str, detail: str, invoice: Entry, line: int | None = None) -> Invalid:
    table = None if line is None else "lines"
    return Invalid(
        f"proof.{code}", detail, position=invoice.position, member=MEMBER, table=table, row=line
    )
