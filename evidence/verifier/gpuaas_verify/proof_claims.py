"""What an invoice's proof leaves to be believed, claim by claim (evidence/invoice-proof.md)."""

from typing import Final

from gpuaas_verify.bundle import Report
from gpuaas_verify.claims import ABSENT, CHECKED, UNCHECKED
from gpuaas_verify.proof_books import Derivation
from gpuaas_verify.proof_numbers import Numbers
from gpuaas_verify.proof_readings import Readings
from gpuaas_verify.proof_streams import Streams

EARLIER: Final = "a proof of an earlier release shows nothing of it"
OTHERS: Final = "that none of its seller's others is missing or stands twice: they are customers'"


def tell(
    report: Report, books: Derivation, streams: Streams, readings: Readings, numbers: Numbers | None
) -> None:
    """One claim each, in the order of the report."""
    detail = "that nothing of these came later and before the invoice" if streams.open else ""
    report.add("ends", UNCHECKED if streams.open else CHECKED, streams.open, detail)
    detail = "ends by loss, by the platform's word: renewals not shown" if books.unshown else ""
    report.add("losses", UNCHECKED if books.unshown else CHECKED, books.unshown, detail)
    detail = "that no other renewal came between and held more at the prices before it"
    state, detail = (UNCHECKED, detail) if streams.held else (ABSENT, "")
    report.add("holds", state, streams.held, detail)
    detail = "who, the invoice says, was not heard, by the platform's word"
    state, detail = (UNCHECKED, detail) if books.missing else (ABSENT, "")
    report.add("silent", state, books.missing, detail)
    detail = "readings of the same sources: that none of these, earlier or later ones is charged"
    state, detail = (UNCHECKED, detail) if readings.count else (ABSENT, "")
    report.add("others", state, readings.hidden, detail)
    if numbers is None:
        report.add("numbering", UNCHECKED, 0, EARLIER)
    elif numbers.whole:
        report.add("numbering", CHECKED, numbers.count, "1 to its own in its account's count")
    else:
        report.add("numbering", UNCHECKED, numbers.count, OTHERS)
