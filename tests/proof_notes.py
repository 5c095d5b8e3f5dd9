"""An invoice of proof_world with a seller, two credit notes of it, and their proofs, by hand.

The first takes 10.00 of the first line at 19 %, the second all that is left.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from gpuaas_verify import strict
from tests import proof_world as pw
from tests.bundles import ACCOUNT, ORG, PERIOD, PICO, tar_of, uid
from tests.proof_world import SELLER, World

NOTES = (uid("credit_note", 95), uid("credit_note", 96))
NUMBERS = ("INV-C000001", "INV-C000002")
WHY = "agreed"
CENT = PICO // 100


def noted(edit: Callable[[World], object] | None = None) -> World:
    """The log after both; `edit` comes before the first."""
    made = pw.world(taxed=True)
    if edit is not None:
        edit(made)
    _issued(made, 0, [{"line": 0, "minor": 1000}])
    ordered(made, uid("credit_note", 97), "pending")
    _issued(made, 1, [])
    return made


def named(made: World, number: int) -> str:
    """Its number, where so many of other customers stand before it."""
    return f"INV-C{1 + number + made.at.get('skipped', 0):06d}"


def ordered(made: World, note: str, name: str, parts: list[Any] | None = None) -> None:
    """Somebody's decision."""
    fact = {"credit_note": note, "parts": parts or [], "why": WHY, "decided_us": pw.END_US}
    made.at[name] = made.log.add(pw.INVOICE, "credit_note.ordered", fact, org=ORG)


def _issued(made: World, number: int, parts: list[dict[str, int]]) -> None:
    ordered(made, NOTES[number], f"ordered {number}", parts)
    document = file_of(made, number)
    data, name = strict.encode(document), f"creditnote-{named(made, number).lower()}.json"
    made.log.files[name] = data
    cause = "cmd:" + sha256(b"note %d" % number).hexdigest()
    fact: dict[str, Any] = {"credit_note": NOTES[number], "number": named(made, number)}
    fact |= {"account": ACCOUNT, "seller": SELLER, "parts": parts, "why": WHY}
    fact |= {key: document[key] for key in ("net_minor", "tax_minor", "total_minor")}
    fact |= {"file": name, "sha256": sha256(data).hexdigest(), "issued_us": pw.END_US}
    at = made.at
    at[f"issued {number}"] = made.log.add(
        pw.INVOICE, "credit_note.issued", fact, org=ORG, cause=cause
    )
    at[f"filed {number}"] = made.log.seal_file(name, data)
    made.log.drafts[-1] |= {"stream": pw.FILES, "version": 2 + number, "cause": cause}
    counted = {"credit_note": NOTES[number], "sequence": 1 + number + made.at.get("skipped", 0)}
    at[f"numbered {number}"] = made.log.add(SELLER, "seller.credited", counted, cause=cause)


def file_of(made: World, number: int) -> dict[str, Any]:
    """What it says: 19 % of 10.00, then 7 % of 1.48 and 19 % of the other 24.00."""
    invoice = pw.taxed_file(made)
    taken = [(0, 1000)] if number == 0 else [(0, 1400), (1, 1200), (2, 148), (3, 600), (4, -800)]
    kept = ("project", "sku", "price", "service_period", "category", "rate_bp", "reason")
    lines = [
        {"line": line, **{name: invoice["lines"][line][name] for name in kept},
         "amount_pico": minor * CENT, "amount_minor": minor}
        for line, minor in taken
    ]  # fmt: skip
    taxes = [(1900, 1000, 190)] if number == 0 else [(700, 148, 10), (1900, 2400, 456)]
    net, tax = sum(base for _, base, _ in taxes), sum(tax for _, _, tax in taxes)
    return {
        "format": "gpuaas-credit-note/1", "number": named(made, number), "organization": ORG,
        "account": ACCOUNT, "seller": invoice["seller"], "buyer": invoice["buyer"],
        "invoice": pw.INVOICE, "invoice_number": pw.NUMBER, "period": PERIOD, "currency": "USD",
        "minor_digits": 2, "simulated": made.simulated, "why": WHY, "lines": lines,
        "taxes": [
            {"category": "S", "rate_bp": points, "reason": "", "base_minor": base, "tax_minor": minor}
            for points, base, minor in taxes
        ],
        "total_pico": net * CENT, "rounding_pico": 0, "net_minor": net, "tax_minor": tax,
        "total_minor": net + tax,
    }  # fmt: skip


def chosen(made: World, number: int) -> list[int]:
    """The whole invoice's, and every credit note up to this one."""
    names = [
        f"{what} {one}"
        for what in ("ordered", "issued", "filed", "numbered")
        for one in range(number + 1)
    ]
    return sorted({*pw.chosen(made), *(made.at[name] for name in names)})


def members(made: World, number: int, positions: list[int] | None = None) -> dict[str, bytes]:
    """Of the proof of the credit note."""
    found = pw.members(made, chosen(made, number) if positions is None else positions)
    said = {
        "format": "gpuaas-credit-note-proof/2",
        "number": named(made, number),
        "invoice": pw.NUMBER,
    }
    file = made.log.files[f"creditnote-{named(made, number).lower()}.json"]
    found |= {"proof.json": strict.encode(said), "creditnote.json": file}
    return dict(sorted(found.items()))


def proof(made: World, number: int, positions: list[int] | None = None) -> bytes:
    return tar_of(members(made, number, positions))
