"""How an invoice came to its number, as its proof shows it: evidence/invoice-proof.md section 2.

An account without a seller counts its own invoices: all of that count up to this one is here. What
a seller counts are other customers' invoices, too: of it only what numbers this one is here.
"""

from typing import Final

from gpuaas_verify.entry import Entry
from gpuaas_verify.errors import Invalid

COUNTED: Final = "gpuaas.account.invoiced.v1"
NUMBERED: Final = "gpuaas.seller.invoiced.v1"
TAGS: Final = frozenset({COUNTED, NUMBERED})


class Numbers:
    """Fed in order what numbers invoices; `count`: how many were, up to the invoice in question."""

    def __init__(self, invoice: Entry) -> None:
        self.count = 0
        self.whole = "seller" not in invoice.fact
        self._invoice = invoice
        self._prefix = ""
        self._named: set[str] = set()
        self._done = False

    def sold(self, seller: Entry) -> None:
        """The invoice's seller, by its registration."""
        self._prefix = seller.fact["prefix"]

    def admit(self, entry: Entry) -> None:
        """One more. Raises: Invalid `proof.foreign`, `proof.needless`, `books.invoiced`."""
        fact, invoice = entry.fact, self._invoice
        counts = invoice.fact["account" if self.whole else "seller"]
        if entry.stream != counts:
            raise _fail("proof.foreign", "it numbers no invoice of its", entry, "stream")
        own = fact["invoice"] == invoice.stream
        if self._done or (not own and not self.whole):
            raise _fail("proof.needless", "it numbers another", entry, "invoice")
        if own and (entry.cause != invoice.cause or entry.position < invoice.position):
            raise _fail("books.invoiced", "not in one append with it", entry, "cause")
        if fact["invoice"] in self._named:
            raise _fail("books.invoiced", "counted before", entry, "invoice")
        right = fact["sequence"] == self.count + 1
        if not self.whole:
            right = invoice.fact["number"] == f"{self._prefix}-{fact['sequence']:06d}"
        if not right:
            raise _fail("books.invoiced", "out of sequence", entry, "sequence")
        self._named.add(fact["invoice"])
        self.count, self._done = fact["sequence"], own

    def finish(self) -> None:
        """Nothing when the invoice is numbered. Raises: Invalid `proof.missing`."""
        if not self._done:
            at = self._invoice.position
            raise Invalid("proof.missing", "nothing numbers it", position=at, field="number")


def _fail(code: str, detail: str, entry: Entry, field: str) -> Invalid:
    return Invalid(code, detail, position=entry.position, field=field)
