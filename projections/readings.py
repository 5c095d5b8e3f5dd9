"""Sources of readings, how far each has come, and what was refused of them."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from domain import sealing, source
from domain.errors import DomainError
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, json, text

SHAPES: Final = (
    Shape(
        "source",
        ("source",),
        "source, from_position, to_position, organization, project, key, meters, registered_us",
    ),
    Shape(
        "source_revocation",
        ("source",),
        "source, from_position, to_position, reason, decided_us",
    ),
    Shape(
        "reading_run",
        (),
        "first_row, from_position, to_position, source, epoch, first, last, chain",
    ),
    Shape(
        "reading_quarantined",
        (),
        "from_position, to_position, source, epoch, sequence, kept, refused, reading, decided_us",
    ),
)


class ReadingRow(Struct, frozen=True, gc=False):
    """Of a `reading` row (contracts/rating.md section 8) what a run is made of."""

    row: int
    source: str
    epoch: int
    sequence: int
    chain: str
    sig: str


_ROW: Final = msgspec.json.Decoder(ReadingRow)


def _registered(b: Batch, e: Entry, f: source.Registered) -> None:
    tail = f"{e.org}\t{text(f.project)}\t{text(f.key)}\t{json(f.meters)}\t{f.registered_us}"
    b["source"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail, new=e.version == 1)


def _revoked(b: Batch, e: Entry, f: source.Revoked) -> None:
    tail = f"{text(f.reason)}\t{f.decided_us}"
    b["source_revocation"].open(e.stream, e.position, f"{e.stream}\t{e.position}", tail)


def _sealed(b: Batch, e: Entry, f: sealing.ReadingsSealed) -> None:
    """One row per signed batch: its readings lie side by side, so it finds each of them."""
    first: ReadingRow | None = None
    for raw in b.sealed(f.table, f.first_row, f.count):
        try:
            row = _ROW.decode(raw)
        except msgspec.DecodeError as error:
            raise DomainError("projection.malformed_row", f"{f.table}: {error}") from error
        first = first or row
        if row.sig:
            b["reading_run"].add(
                f"{first.row}\t{e.position}",
                f"{text(row.source)}\t{row.epoch}\t{first.sequence}\t{row.sequence}\t"
                f"{text(row.chain)}",
            )
            first = None


def _quarantined(b: Batch, e: Entry, f: sealing.ReadingQuarantined) -> None:
    tail = (
        f"{text(f.source)}\t{f.epoch}\t{f.sequence}\t{text(f.kept)}\t{text(f.refused)}\t{text(f.reading)}\t"
        f"{f.decided_us}"
    )
    b["reading_quarantined"].add(str(e.position), tail)


APPLY: Final[dict[type[Any], Apply]] = {
    source.Registered: _registered,
    source.Revoked: _revoked,
    sealing.ReadingsSealed: _sealed,
    sealing.ReadingQuarantined: _quarantined,
}
