"""Money that is put aside: as its facts say."""

from typing import Final

from domain import suspense
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, text

SHAPES: Final = (
    Shape(
        "suspense",
        (),
        "from_position, to_position, suspense, currency, amount_pico, line, words, why, decided_us",
    ),
    Shape("suspense_end", (), "from_position, to_position, suspense, how, about, decided_us"),
)


def _received(b: Batch, e: Entry, f: suspense.Received) -> None:
    tail = (
        f"{e.stream}\t{text(f.currency)}\t{f.amount_pico}\t{text(f.line)}\t"
        f"{text(f.text.private)}\t{text(f.why)}\t{f.decided_us}"
    )
    b["suspense"].add(str(e.position), tail)


def _resolved(b: Batch, e: Entry, f: suspense.Resolved) -> None:
    tail = f"{e.stream}\t{text(f.how)}\t{text(f.about)}\t{f.decided_us}"
    b["suspense_end"].add(str(e.position), tail)


APPLY: Final[dict[type, Apply]] = {
    suspense.Received: _received,
    suspense.Resolved: _resolved,
}
