"""What people and service accounts did: a row an entry, with who, where, about what, by which
policies.
"""

from typing import Final, LiteralString

from msgspec import Struct

from domain.access import Decided
from domain.facts import TAGS
from evidence.encoding import MAX_ENTRIES
from projections.about import about, begins, ends
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import OPEN, Shape, json, text

# What an act ends names what that is about: so whoever asks for a principal finds the end of its
# bindings, which names those alone. Not twice what the act names itself.
_ENDED: Final[LiteralString] = """
INSERT INTO {schema}.act_about (from_position, number, about, begins, via)
SELECT a.from_position, 65536 + g.number, g.about, false, g.from_position
FROM {schema}.act a
CROSS JOIN LATERAL (SELECT t.from_position FROM {schema}.act_about t
  WHERE hashtextextended(t.about, 0) = hashtextextended(a.ends, 0) AND t.about = a.ends
    AND t.begins AND t.from_position < a.from_position
  ORDER BY hashtextextended(t.about, 0) DESC, t.from_position DESC LIMIT 1) b
JOIN {schema}.act_about g ON g.from_position = b.from_position AND g.via IS NULL
WHERE a.from_position >= %(first)s AND a.from_position < %(after)s AND a.ends <> ''
  AND NOT EXISTS (SELECT FROM {schema}.act_about o
    WHERE o.from_position = a.from_position AND o.about = g.about AND o.via IS NULL OFFSET 0)
"""
_PLACED: Final[LiteralString] = """
INSERT INTO {schema}.act_place (from_position, scope, resource)
SELECT p.at, p.scope, p.resource FROM log.places(ARRAY(SELECT a.from_position FROM {schema}.act a
  WHERE a.from_position >= %(first)s AND a.from_position < %(after)s)) p
WHERE p.scope <> '' OR p.resource <> ''
"""
SHAPES: Final = (
    Shape(
        "act",
        (),
        "stream, from_position, to_position, tag, actor, organization, at_us, authority, ends",
        follow=(_ENDED, _PLACED),
    ),
    Shape("act_about", (), "from_position, number, to_position, about, begins, via"),
    Shape("act_place", (), "from_position, to_position, scope, resource"),
    Shape("decision", (), "number, from_position, to_position, action, scope, authority"),
)
# The platform's own processes and nodes act too; their acts follow from what is shown here.
_SOMEBODY: Final = ("user-", "service-")


def _acted(b: Batch, e: Entry, fact: Struct) -> None:
    begun = begins(e, fact)
    if e.actor.startswith(_SOMEBODY):
        authority = json(getattr(fact, "policies", ()))
        tail = f"{text(e.tag)}\t{text(e.actor)}\t{text(e.org)}\t{e.at_us}\t{authority}"
        b["act"].add(f"{e.stream}\t{e.position}", f"{tail}\t{text(ends(e, fact))}")
    elif not begun:
        return
    named = about(e)
    if begun and begun not in named:
        named.append(begun)
    for number, one in enumerate(named):
        tail = f"{text(one)}\t{'t' if one == begun else 'f'}\t{OPEN}"
        b["act_about"].add(f"{e.position}\t{number}", tail)


def _decided(b: Batch, e: Entry, f: Decided) -> None:
    tail = f"{text(f.action)}\t{text(f.scope)}\t{json(f.policies)}"
    first = e.position - min(max(f.entries, 0), MAX_ENTRIES)
    b["decision"].add(f"{max(0, first)}\t{e.position}", tail)


APPLY: Final[dict[type[Struct], Apply]] = {
    **dict.fromkeys(TAGS.values(), _acted),
    Decided: _decided,
}
