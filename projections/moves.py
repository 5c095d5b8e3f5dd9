"""Where projects are and were: department and billing account."""

from typing import Final

from domain import project
from domain.period import FIRST_US
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, text

SHAPES: Final = (
    Shape(
        "project_place",
        ("project",),
        "project, from_position, to_position, organization, department, account, since_us, version",
    ),
)


def _created(b: Batch, e: Entry, f: project.Created) -> None:
    _placed(b, e, f, FIRST_US)


def _moved(b: Batch, e: Entry, f: project.Moved) -> None:
    _placed(b, e, f, f.moved_us)


def _placed(b: Batch, e: Entry, f: project.Created | project.Moved, since_us: int) -> None:
    tail = f"{e.org}\t{text(f.department)}\t{text(f.account)}\t{since_us}\t{e.version}"
    head = f"{e.stream}\t{e.position}"
    b["project_place"].open(e.stream, e.position, head, tail, new=e.version == 1)


APPLY: Final[dict[type, Apply]] = {project.Created: _created, project.Moved: _moved}
