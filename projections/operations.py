"""Long work: a row for each fact that begins an operation, says how far it is, or ends it; and the
states it was in.
"""

from typing import Final, LiteralString

from msgspec import Struct

from domain.facts import TAGS
from domain.operation import marks
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, text

# Of what began in the batch, or was under way and is said something of in it: pending until then,
# running until the first that ends work of its kind on its resource.
_STATES: Final[LiteralString] = """
INSERT INTO {schema}.operation_state AS known (began, from_position, to_position, organization,
  project, kind, resource, state)
SELECT b.from_position, t.at, t.until, b.organization, coalesce(q.project, ''), b.kind, b.resource,
  t.state
FROM (SELECT DISTINCT m.resource, m.kind FROM {schema}.operation_mark m
  WHERE m.from_position >= %(first)s AND m.from_position < %(after)s) d
CROSS JOIN LATERAL (SELECT o.* FROM {schema}.operation_mark o
  WHERE hashtextextended(o.resource, 0) = hashtextextended(d.resource, 0)
    AND o.resource = d.resource AND o.kind = d.kind AND o.begins AND o.from_position < %(after)s
    AND NOT EXISTS (SELECT FROM {schema}.operation_mark e
      WHERE hashtextextended(e.resource, 0) = hashtextextended(o.resource, 0)
        AND e.resource = o.resource AND e.kind = o.kind AND e.ends <> ''
        AND e.from_position > o.from_position AND e.from_position < %(first)s OFFSET 0)
  OFFSET 0) b
LEFT JOIN LATERAL (SELECT p.project FROM {schema}.operation_mark p
  WHERE hashtextextended(p.resource, 0) = hashtextextended(b.resource, 0)
    AND p.resource = b.resource AND p.project <> '' AND p.from_position <= b.from_position
  ORDER BY hashtextextended(p.resource, 0), p.from_position LIMIT 1) q ON true
CROSS JOIN LATERAL (SELECT min(m.from_position) AS next,
    min(m.from_position) FILTER (WHERE m.ends <> '') AS last
  FROM {schema}.operation_mark m
  WHERE hashtextextended(m.resource, 0) = hashtextextended(b.resource, 0)
    AND m.resource = b.resource AND m.kind = b.kind AND m.from_position > b.from_position
    AND m.from_position < %(after)s) n
LEFT JOIN LATERAL (SELECT e.ends FROM {schema}.operation_mark e
  WHERE e.from_position = n.last AND e.resource = b.resource AND e.kind = b.kind OFFSET 0) e ON true
CROSS JOIN LATERAL (VALUES (b.from_position, n.next, 'pending'), (n.next, n.last, 'running'),
  (n.last, NULL, e.ends)) t (at, until, state)
WHERE t.at IS NOT NULL AND NOT (t.state = 'running' AND n.next IS NOT DISTINCT FROM n.last)
ON CONFLICT (began, from_position) DO UPDATE SET to_position = excluded.to_position
WHERE known.to_position IS DISTINCT FROM excluded.to_position
"""
SHAPES: Final = (
    Shape(
        "operation_mark",
        (),
        "from_position, number, to_position, organization, kind, resource, project, what, at_us, "
        "begins, ends, code",
        follow=(_STATES,),
    ),
    Shape(
        "operation_state",
        (),
        "began, from_position, to_position, organization, project, kind, resource, state",
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
