"""An invoice's file as its proof holds it, and one line of it held against the whole."""

import json
from hashlib import sha256
from typing import Any, Final, NamedTuple

from gpuaas_verify.books_invoice import Line, invoice_bytes
from gpuaas_verify.books_rating import round_half_even
from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid

MEMBER: Final = "invoice.json"
FORMAT: Final = "gpuaas-invoice/1"
KEYS: Final = {
    "project": str,
    "sku": str,
    "price": int,
    "service_period": str,
    "quantity": int,
    "amount_pico": int,
    "shown_minor": int,
}
PICO_DIGITS: Final = 12


class InvoiceFile(NamedTuple):
    """`lines` as stated, in order; `data` the bytes they are in."""

    data: bytes
    lines: list[Line]
    shown: list[int]
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
    if type(document) is not dict or document.get("format") != FORMAT:
        raise _fail("format", f"not {FORMAT}: this verifier knows no other", invoice)
    lines, simulated = document.get("lines"), document.get("simulated")
    if type(lines) is not list or type(simulated) is not bool:
        raise _fail("file", "not an invoice", invoice)
    for number, line in enumerate(lines):
        if type(line) is not dict or {k: type(v) for k, v in line.items()} != KEYS:
            raise _fail("file", "not a line of an invoice", invoice, number)
    stated = [
        (
            *(one["project"], one["sku"], one["price"], one["service_period"]),
            *(one["quantity"], one["amount_pico"]),
        )
        for one in lines
    ]
    return InvoiceFile(data, stated, [one["shown_minor"] for one in lines], simulated)


def check_whole(file: InvoiceFile, invoice: Entry, head: dict[str, Any]) -> None:
    """Nothing when the file's totals, rounding and shown amounts follow from its own lines, its
    head from the entries, and the fact from both: what a line's proof can show of the others.

    Raises: Invalid `proof.file_differs` with the field.
    """
    fact = invoice.fact
    unit = 10 ** (PICO_DIGITS - head["minor_digits"])
    total = sum(line[5] for line in file.lines)
    minor = round_half_even(total, unit)
    if head["simulated"] and not file.simulated:
        raise _fail("file_differs", "what it charges is SIMULATED", invoice, field="simulated")
    rebuilt = invoice_bytes(
        {"format": FORMAT, **head, "simulated": file.simulated}, file.lines, minor, unit
    )
    if rebuilt != file.data:
        raise _fail("file_differs", "head or totals do not follow", invoice, field="sha256")
    for field, value in (
        ("currency", head["currency"]),
        ("minor_digits", head["minor_digits"]),
        ("total_pico", total),
        ("total_minor", minor),
        ("line_count", len(file.lines)),
        ("file", f"invoice-{fact['number'].lower()}.json"),
    ):
        if fact[field] != value:
            raise _fail("file_differs", f"{field} is {fact[field]}", invoice, field=field)


def _fail(
    code: str, detail: str, invoice: Entry, line: int | None = None, *, field: str | None = None
) -> Invalid:
    table = None if line is None else "lines"
    return Invalid(
        f"proof.{code}", detail,
        position=invoice.position, member=MEMBER, table=table, row=line, field=field,
    )  # fmt: skip
