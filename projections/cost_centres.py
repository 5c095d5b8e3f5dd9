"""Cost centres, and which one each project is and was attributed to."""

from typing import Final

from domain import attributing, cost_centre
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, text

SHAPES: Final = (
    Shape(
        "cost_centre",
        ("cost_centre",),
        "cost_centre, from_position, to_position, organization, department, name, created_us",
    ),
    Shape(
        "attribution",
        ("project",),
        "project, from_position, to_position, organization, cost_centre, since_us",
        hashed=True,
    ),
)


def _created(b: Batch, e: Entry, f: cost_centre.Created) -> None:
    tail = f"{text(f.organization)}\t{text(f.department)}\t{text(f.name.private)}\t{f.created_us}"
    head = f"{e.stream}\t{e.position}"
    b["cost_centre"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _set(b: Batch, e: Entry, f: attributing.AttributionSet) -> None:
    tail = f"{e.org}\t{text(f.cost_centre)}\t{f.set_us}"
    b["attribution"].open(f.project, e.position, f"{text(f.project)}\t{e.position}", tail)


APPLY: Final[dict[type, Apply]] = {
    cost_centre.Created: _created,
    attributing.AttributionSet: _set,
}
