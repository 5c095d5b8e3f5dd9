"""Questions about long work; all accept a position, pages are stable while rows are inserted."""

from typing import Any, Final, LiteralString

import psycopg
from msgspec import Struct

from projections.asof import fetch
from projections.reach import Of


class Step(Struct, frozen=True):
    """What was said of it, where and when."""

    what: str
    position: int
    at_us: int


class Operation(Struct, frozen=True):
    """`from_position`: of the fact that began it, its name and cursor. `ended_us` and `ends` are
    null while it is under way; `code`: why it failed, else empty.
    """

    from_position: int
    organization: str
    project: str
    kind: str
    resource: str
    began_us: int
    ends: str | None
    ended_us: int | None
    ended_at: int | None
    code: str
    steps: tuple[Step, ...]

    @property
    def state(self) -> str:
        """Pending until something is said of it, running, or how it ended."""
        if self.ends is not None:
            return self.ends
        return "running" if len(self.steps) > 1 else "pending"


_OPERATIONS: Final[LiteralString] = """
SELECT b.from_position, b.organization, b.kind, b.resource, b.at_us AS began_us, o.project,
  e.ends, e.at_us AS ended_us, e.from_position AS ended_at, coalesce(e.code, '') AS code,
  s.steps
FROM ({chosen}) o
JOIN views.operation_mark b ON b.from_position = o.began AND b.begins
LEFT JOIN LATERAL (SELECT * FROM views.operation_mark e
  WHERE hashtextextended(e.resource, 0) = hashtextextended(b.resource, 0)
    AND e.resource = b.resource AND e.kind = b.kind AND e.ends <> ''
    AND e.from_position > b.from_position AND [e]
  ORDER BY e.from_position LIMIT 1) e ON true
JOIN LATERAL (SELECT jsonb_agg(jsonb_build_object('what', s.what,
    'position', s.from_position, 'at_us', s.at_us) ORDER BY s.from_position) AS steps
  FROM views.operation_mark s
  WHERE hashtextextended(s.resource, 0) = hashtextextended(b.resource, 0)
    AND s.resource = b.resource AND s.kind = b.kind AND s.from_position >= b.from_position
    AND (e.from_position IS NULL OR s.from_position <= e.from_position) AND [s]) s ON true
ORDER BY o.began DESC
"""
_ONE: Final = _OPERATIONS.replace(
    "{chosen}",
    "SELECT p.began, p.project FROM views.operation_state p WHERE p.began = %(position)s AND [p]",
)
_PAGE: Final = _OPERATIONS.replace(
    "{chosen}",
    """
  SELECT p.began, p.project FROM views.operation_state p
  WHERE [p]
    AND (%(organization)s::text IS NULL OR p.organization = %(organization)s)
    AND [reach coalesce(nullif(p.project,''),p.organization) p.resource]
    AND (%(resource)s::text IS NULL
      OR (hashtextextended(p.resource, 0) = hashtextextended(%(resource)s, 0)
        AND p.resource = %(resource)s))
    AND (%(project)s::text IS NULL
      OR (hashtextextended(p.project, 0) = hashtextextended(%(project)s, 0)
        AND p.project = %(project)s))
    AND (%(kind)s::text IS NULL OR p.kind = %(kind)s)
    AND (%(state)s::text IS NULL OR p.state = %(state)s)
    AND (%(before)s::bigint IS NULL OR p.began < %(before)s)
  ORDER BY p.began DESC LIMIT %(limit)s""",
)


def operation(
    conn: psycopg.Connection[Any], position: int, as_of: int | None = None
) -> Operation | None:
    """The operation that the fact at this position began; None where none did."""
    rows = fetch(conn, Operation, _ONE, {"position": position}, as_of)
    return rows[0] if rows else None


def operations(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    project: str | None = None,
    resource: str | None = None,
    kind: str | None = None,
    state: str | None = None,
    before: int | None = None,
    limit: int = 50,
    as_of: int | None = None,
) -> list[Operation]:
    """Newest first, those that began before position `before` (the cursor)."""
    asked = {
        "organization": organization, "project": project, "resource": resource, "kind": kind,
        "state": state, "before": before, "limit": limit,
    }  # fmt: skip
    return fetch(conn, Operation, _PAGE, asked, as_of)


# Of the last twenty; in no time at all is no observation.
_MEDIAN: Final = """
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY l.took)::bigint AS took FROM (
  SELECT e.at_us - b.at_us AS took FROM views.operation_mark e
  JOIN LATERAL (SELECT b.at_us FROM views.operation_mark b
    WHERE hashtextextended(b.resource, 0) = hashtextextended(e.resource, 0)
      AND b.resource = e.resource AND b.kind = e.kind AND b.begins
      AND b.from_position < e.from_position
    ORDER BY b.from_position DESC LIMIT 1) b ON true
  WHERE e.ends = 'succeeded' AND e.kind = %(kind)s AND e.what = %(what)s AND e.at_us > b.at_us
  ORDER BY e.from_position DESC LIMIT 20) l
"""


def median_us(conn: psycopg.Connection[Any], kind: str, what: str) -> int | None:
    """Their median, us, of the last twenty of the kind that ended so; None without any."""
    row = conn.execute(_MEDIAN, {"kind": kind, "what": what}).fetchone()
    return None if row is None or row[0] is None else int(row[0])
