"""Calls that were refused, let by break-glass, or read evidence: a row a sealed row."""

from typing import Final

import msgspec
from msgspec import Struct

from domain import sealing
from domain.errors import DomainError
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, json, text

SHAPES: Final = (
    Shape(
        "call",
        (),
        "number, from_position, to_position, place, organization, principal, credential, action,"
        " outcome, reason, authority, calls, first_us, last_us",
    ),
)


class CallRow(Struct, frozen=True, gc=False):
    """A `call` row (contracts/facts.md), without its salt."""

    row: int
    org: str
    principal: str
    credential: str
    action: str
    outcome: str
    reason: str
    policies: str
    calls: int
    first_us: int
    last_us: int


_ROW: Final = msgspec.json.Decoder(CallRow)


def _sealed(b: Batch, e: Entry, f: sealing.CallsSealed) -> None:
    for place, raw in enumerate(b.sealed(f.table, f.first_row, f.count)):
        try:
            row = _ROW.decode(raw)
        except msgspec.DecodeError as error:
            raise DomainError("projection.malformed_row", f"{f.table}: {error}") from error
        authority = json([one for one in row.policies.split(",") if one])
        words = (row.org, row.principal, row.credential, row.action, row.outcome, row.reason)
        tail = "\t".join(
            (
                *(str(place), *map(text, words), authority),
                *(str(row.calls), str(row.first_us), str(row.last_us)),
            )
        )
        b["call"].add(f"{row.row}\t{e.position}", tail)


APPLY: Final[dict[type[Struct], Apply]] = {sealing.CallsSealed: _sealed}
