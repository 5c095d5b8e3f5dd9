"""Proofs of credit notes that are wrong in one thing only, as in wrong_proofs."""

from collections.abc import Iterator
from typing import Any

from gpuaas_verify import strict
from tests import proof_notes as pn
from tests import proof_world as pw
from tests.bundles import tar_of, uid
from tests.proof_world import World
from tests.wrong_proofs import (
    Change,
    Edit,
    Select,
    WrongProof,
    at,
    draft,
    fact,
    nothing,
    put,
    with_,
    without,
)

HEAD = "proof.json"


def note_cases() -> Iterator[WrongProof]:
    made = pn.noted()
    for number in (0, 1):
        yield WrongProof(f"credit note {number}", "valid", {}, pn.proof(made, number))
    # What was ordered and not carried out, and what came later, is not in it.
    invoice = WrongProof("its invoice's, as ever", "valid", {}, pw.proof(made))
    yield invoice
    yield from _of_members()
    yield from _of_too_little()
    yield from _of_too_much()
    yield from _of_numbers()
    yield from _of_what_they_say()


def changed(name: str, code: str, change: Change, **place: Any) -> WrongProof:
    found = pn.members(pn.noted(), 1)
    change(found)
    return WrongProof(name, code, place, tar_of(dict(sorted(found.items()))))


def logged(
    name: str, code: str, edit: Edit = nothing, *, number: int = 1, select: Select | None = None,
    **place: Any,
) -> WrongProof:  # fmt: skip
    made = pn.noted()
    edit(made)
    positions = pn.chosen(made, number)
    if select is not None:
        select(made, positions)
    found = {key: value(made) if callable(value) else value for key, value in place.items()}
    return WrongProof(name, code, found, pn.proof(made, number, sorted(positions)))


def _of_members() -> Iterator[WrongProof]:
    said: dict[str, Any] = {"format": "gpuaas-credit-note-proof/2", "number": pn.NUMBERS[1]}
    for name, head, field in (
        ("of another invoice", {**said, "invoice": "INV-2"}, "invoice"),
        ("of a line", {**said, "line": 0}, "format"),
        ("of no text", {**said, "format": [], "invoice": pw.NUMBER}, "format"),
    ):
        yield changed(name, "proof.head", put(HEAD, strict.encode(head)), member=HEAD, field=field)
    head = {"format": "gpuaas-invoice-proof/2", "number": pw.NUMBER, "line": None}
    yield changed("an invoice's with a credit note", "member.unexpected", put(HEAD, strict.encode(head)),
                  member="creditnote.json")  # fmt: skip
    yield changed(
        "no file",
        "proof.missing",
        lambda found: found.pop("creditnote.json"),
        member="creditnote.json",
    )
    made = pn.noted()
    other = made.log.files[f"creditnote-{pn.NUMBERS[0].lower()}.json"]
    yield changed("the file of another", "proof.file", put("creditnote.json", other), member="creditnote.json",
                  position=made.at["issued 1"])  # fmt: skip
    head = {**said, "number": "INV-C000009", "invoice": pw.NUMBER}
    yield changed("another number", "proof.missing", put(HEAD, strict.encode(head)), field="number",
                  position=made.at["invoice"])  # fmt: skip


def _of_too_little() -> Iterator[WrongProof]:
    yield logged("not ordered", "books.credit", select=without("ordered 1"), position=at("issued 1"),
                 field="credit_note")  # fmt: skip
    yield logged("the one before not issued", "proof.needless", select=without("issued 0", "numbered 0"),
                 position=at("ordered 0"))  # fmt: skip
    yield logged(
        "its file not sealed",
        "books.invoice_file",
        select=without("filed 1"),
        position=at("issued 1"),
    )

    def first(made: World, positions: list[int]) -> None:
        without("ordered 0", "issued 0", "filed 0", "numbered 0")(made, positions)

    yield logged("the one before not shown", "books.credit_differs", select=first, position=at("issued 1"),
                 field="net_minor")  # fmt: skip


def _of_too_much() -> Iterator[WrongProof]:
    yield logged(
        "one that is not carried out",
        "proof.needless",
        select=with_("pending"),
        position=at("pending"),
    )
    yield logged("one after it", "proof.needless", number=0, select=with_("ordered 1"), position=at("ordered 1"),
                 field="tag")  # fmt: skip
    elsewhere = draft("pending", stream=uid("invoice", 99))
    yield logged("of another invoice's stream", "proof.foreign", elsewhere, select=with_("pending"),
                 position=at("pending"), field="stream")  # fmt: skip
    made = pn.noted()
    for name in ("ordered 0", "filed 0"):
        positions = sorted([*pw.chosen(made), made.at[name]])
        place: dict[str, Any] = {"position": made.at[name]}
        code = "proof.needless" if name == "ordered 0" else "proof.file"
        field = "tag" if name == "ordered 0" else "name"
        yield WrongProof(
            f"an invoice's with {name}", code, {**place, "field": field}, pw.proof(made, positions)
        )
    yield logged("the seal of another's file", "books.invoice_file", number=0, select=with_("filed 1"),
                 position=at("filed 1"))  # fmt: skip


def _of_numbers() -> Iterator[WrongProof]:
    """A place among its seller's credit notes: in the same append, as the number says."""
    yield logged("not numbered", "proof.missing", select=without("numbered 1"), position=at("issued 1"),
                 field="number")  # fmt: skip
    yield logged("the number of one that is not here", "proof.foreign", number=0, select=with_("numbered 1"),
                 position=at("numbered 1"), field="credit_note")  # fmt: skip
    made = pn.noted()
    positions = sorted([*pw.chosen(made), made.at["numbered 0"]])
    place: dict[str, Any] = {"position": made.at["numbered 0"], "field": "credit_note"}
    yield WrongProof(
        "an invoice's with a number", "proof.foreign", place, pw.proof(made, positions)
    )
    others = pn.noted(lambda made: made.at.update(skipped=6))
    yield WrongProof("behind those of others", "valid", {}, pn.proof(others, 1))
    where: dict[str, Any] = {"position": at("numbered 1")}
    yield logged("another place", "books.invoiced", fact("numbered 1", sequence=3), field="sequence",
                 **where)  # fmt: skip
    yield logged("another's stream", "books.seller", draft("numbered 1", stream=uid("seller", 81)),
                 field="seller", **where)  # fmt: skip
    yield logged("in another append", "books.invoiced", draft("numbered 1", cause="pos:0"), **where)


def _of_what_they_say() -> Iterator[WrongProof]:
    for field in ("net_minor", "tax_minor", "total_minor"):
        yield logged(f"another {field}", "books.credit_differs", fact("issued 1", **{field: 1}),
                     position=at("issued 1"), field=field)  # fmt: skip
    more = fact("ordered 0", parts=[{"line": 0, "minor": 1001}])
    yield logged("other parts than ordered", "books.credit", more, position=at("issued 0"),
                 field="credit_note")  # fmt: skip
    yield logged("of another account", "books.credit", fact("issued 1", account=pw.NEIGHBOURS_ACCOUNT),
                 position=at("issued 1"), field="account")  # fmt: skip
    yield logged("more in the fact", "fact.malformed", fact("issued 1", more=1), position=at("issued 1"),
                 field="fact")  # fmt: skip
