"""Long work: a row for each fact that begins an operation, says how far it is, or ends it."""

from typing import Final

from msgspec import Struct

from domain.facts import TAGS
from domain.operation import marks
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, text

SHAPES: Final = (
    Shape(
        "operation_mark",
        (),
        "from_position, number, to_position, organization, kind, resource, project, what, at_us, "
        "begins, ends, code",
    ),
)
_AREAS: Final = ("credit_note", "invoice", "node", "organization", "period", "runtime", "volume")


def _marked(b: Batch, e: Entry, fact: Struct) -> None:
    for number, one in enumerate(marks(e.stream, fact)):
        tail = (
            f"{text(e.org)}\t{text(one.kind)}\t{text(one.resource)}\t{text(one.project)}\t{text(one.what)}\t"
            f"{one.at_us}\t{'t' if one.begins else 'f'}\t{text(one.ends)}\t{text(one.code)}"
        )
        b["operation_mark"].add(f"{e.position}\t{number}", tail)


APPLY: Final[dict[type[Struct], Apply]] = {
    kind: _marked for tag, kind in TAGS.items() if tag.split(".")[1] in _AREAS
}
