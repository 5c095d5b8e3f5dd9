"""Cost centres, and which one each project is and was attributed to."""

from typing import Final

from domain import attribution, cost_centre
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
        "cost_centre_state",
        ("cost_centre",),
        "cost_centre, from_position, to_position, version, state",
    ),
    Shape(
        "cost_centre_name",
        ("cost_centre",),
        "cost_centre, from_position, to_position, name",
    ),
    Shape(
        "attribution",
        ("project",),
        "project, from_position, to_position, organization, cost_centre, since_us, version",
        hashed=True,
    ),
)


def _created(b: Batch, e: Entry, f: cost_centre.Created) -> None:
    tail = f"{text(f.organization)}\t{text(f.department)}\t{text(f.name.private)}\t{f.created_us}"
    head = f"{e.stream}\t{e.position}"
    b["cost_centre"].open(e.stream, e.position, head, tail, new=e.version == 1)
    _named(b, e, f)


def _named(b: Batch, e: Entry, f: cost_centre.Created | cost_centre.Renamed) -> None:
    head = f"{e.stream}\t{e.position}"
    tail = text(f.name.private)
    b["cost_centre_name"].open(e.stream, e.position, head, tail, new=e.version == 1)
    _still_open(b, e, f)


def _still_open(b: Batch, e: Entry, _: object) -> None:
    _state(b, e, "open")


def _closed(b: Batch, e: Entry, _: cost_centre.Closed) -> None:
    _state(b, e, "closed")


def _state(b: Batch, e: Entry, state: str) -> None:
    head, tail = f"{e.stream}\t{e.position}", f"{e.version}\t{state}"
    b["cost_centre_state"].open(e.stream, e.position, head, tail, new=e.version == 1)


def _set(b: Batch, e: Entry, f: attribution.AttributionSet) -> None:
    tail = f"{e.org}\t{text(f.cost_centre)}\t{f.set_us}\t{e.version}"
    b["attribution"].open(f.project, e.position, f"{text(f.project)}\t{e.position}", tail)


APPLY: Final[dict[type, Apply]] = {
    cost_centre.Created: _created,
    cost_centre.Renamed: _named,
    cost_centre.ProjectAdded: _still_open,
    cost_centre.ProjectRemoved: _still_open,
    cost_centre.Closed: _closed,
    attribution.AttributionSet: _set,
}
