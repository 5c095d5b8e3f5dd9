"""What people and service accounts did: a row an entry, with who, where, by which policies."""

from typing import Final

from msgspec import Struct

from domain.access import Decided
from domain.facts import TAGS
from evidence.encoding import MAX_ENTRIES
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, json, text

SHAPES: Final = (
    Shape(
        "act",
        (),
        "stream, from_position, to_position, tag, actor, organization, at_us, authority",
    ),
    Shape("decision", (), "number, from_position, to_position, action, scope, authority"),
)
# The platform's own processes and nodes act too; their acts follow from what is shown here.
_SOMEBODY: Final = ("user-", "service-")


def _acted(b: Batch, e: Entry, fact: Struct) -> None:
    if e.actor.startswith(_SOMEBODY):
        authority = json(getattr(fact, "policies", ()))
        tail = f"{text(e.tag)}\t{text(e.actor)}\t{text(e.org)}\t{e.at_us}\t{authority}"
        b["act"].add(f"{e.stream}\t{e.position}", tail)


def _decided(b: Batch, e: Entry, f: Decided) -> None:
    tail = f"{text(f.action)}\t{text(f.scope)}\t{json(f.policies)}"
    first = e.position - min(max(f.entries, 0), MAX_ENTRIES)
    for number in range(max(0, first), e.position):
        b["decision"].add(f"{number}\t{e.position}", tail)


APPLY: Final[dict[type[Struct], Apply]] = {
    **dict.fromkeys(TAGS.values(), _acted),
    Decided: _decided,
}
