"""Editions of price books, commitments, re-ratings: what the price facts say themselves."""

from typing import Final

from domain import price_facts
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, text

SHAPES: Final = (
    Shape("price_book", (), "from_position, to_position, name, edition, entries, published_us"),
    Shape(
        "commitment",
        (),
        "from_position, to_position, account, meter, model, region, state, currency, from_us, "
        "until_us, quantity, price_pico, divisor, decided_us",
    ),
    Shape(
        "rerating",
        (),
        "from_position, to_position, account, book, edition, from_us, until_us, decided_us",
    ),
)


def _book(b: Batch, e: Entry, f: price_facts.BookPublished) -> None:
    tail = f"{text(f.book)}\t{f.edition}\t{f.entries}\t{f.published_us}"
    b["price_book"].add(str(e.position), tail)


def _commitment(b: Batch, e: Entry, f: price_facts.CommitmentMade) -> None:
    what = "\t".join(
        text(word) for word in (f.account, f.meter, f.model, f.region, f.state, f.currency)
    )
    tail = (
        f"{what}\t{f.from_us}\t{f.until_us}\t{f.quantity}\t{f.price_pico}\t{f.divisor}\t"
        f"{f.decided_us}"
    )
    b["commitment"].add(str(e.position), tail)


def _rerating(b: Batch, e: Entry, f: price_facts.Decided) -> None:
    tail = (
        f"{text(f.account)}\t{text(f.book)}\t{f.edition}\t{f.from_us}\t{f.until_us}\t{f.decided_us}"
    )
    b["rerating"].add(str(e.position), tail)


APPLY: Final[dict[type, Apply]] = {
    price_facts.BookPublished: _book,
    price_facts.CommitmentMade: _commitment,
    price_facts.ReratingDecided: _rerating,
    price_facts.Rerated: _rerating,
}
