"""The credit notes of an invoice that the proof of one of them holds: evidence/invoice-proof.md.

Those issued before it count too, since what they took is not left; nothing after it does. Each has
its number from its seller's stream, in its own append.
"""

from hashlib import sha256
from typing import Final

from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid

MEMBER: Final = "creditnote.json"
ORDERED: Final = "gpuaas.credit_note.ordered.v1"
ISSUED: Final = "gpuaas.credit_note.issued.v1"
NUMBERED: Final = "gpuaas.seller.credited.v1"


class Notes:
    """Fed in order the facts of credit notes and the seals of their files; `number`: of the one in
    question, None when it is the invoice alone.
    """

    def __init__(self, invoice: Entry, number: str | None) -> None:
        self.entries: list[Entry] = []
        self._invoice = invoice
        self._number = number
        self._ordered: dict[str, int] = {}
        self._unnumbered: dict[str, int] = {}
        self._issued: Entry | None = None

    def admit(self, entry: Entry) -> None:
        """One more fact. Raises: Invalid `proof.foreign`, `proof.needless`."""
        note = entry.fact["credit_note"]
        if entry.tag == NUMBERED:
            if self._unnumbered.pop(note, None) is None:
                raise _fail("foreign", "numbers what is not here", entry, "credit_note")
            self.entries.append(entry)
            return
        if self._number is None or self._issued is not None:
            raise _fail("needless", "no credit note rests on it", entry, "tag")
        if entry.stream != self._invoice.stream:
            raise _fail("foreign", "of another invoice", entry, "stream")
        self.entries.append(entry)
        if entry.tag == ORDERED:
            self._ordered[note] = entry.position
            return
        self._ordered.pop(note, None)
        self._unnumbered[note] = entry.position
        if entry.fact["number"] == self._number:
            self._issued = entry

    def sealed(self, entry: Entry) -> bool:
        """Whether the seal is of a credit note's file; what it is of, the books say."""
        return self._number is not None and entry.fact["name"] != self._invoice.fact["file"]

    def finish(self, data: bytes) -> Entry:
        """The fact of the credit note in question, whose file these bytes are.

        Raises: Invalid `proof.missing`, `proof.needless`, `proof.file`.
        """
        issued = self._issued
        if issued is None:
            detail = f"no credit note {self._number}"
            raise Invalid("proof.missing", detail, position=self._invoice.position, field="number")
        for position in self._ordered.values():
            raise Invalid("proof.needless", "ordered, not issued", position=position)
        for position in self._unnumbered.values():
            detail = "its seller has not numbered it"
            raise Invalid("proof.missing", detail, position=position, field="number")
        if sha256(data).hexdigest() != issued.fact["sha256"]:
            detail = "not the bytes that the log seals"
            raise Invalid("proof.file", detail, position=issued.position, member=MEMBER)
        return issued


def _fail(code: str, detail: str, entry: Entry, field: str) -> Invalid:
    return Invalid(f"proof.{code}", detail, position=entry.position, field=field)
