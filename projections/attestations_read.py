"""Where a node's word was not believed: what it said, and what is held instead."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch


class Discrepancy(Struct, frozen=True):
    """`what` `time.<fact>`: `said` and `held` are instants in us; `hardware.<part>`: its words and
    those it had enrolled with. `subject`: the runtime, the volume or the node.
    """

    from_position: int
    what: str
    subject: str
    said: str
    held: str
    decided_us: int


# A clock may drift by 0.1 % since its anchor, and an exchange takes its time (MONEY.md section 5).
_DISCREPANCIES: Final = """
WITH word AS (
  SELECT c.from_position, c.node, c.what, c.subject, c.boottime_us, c.held_us, c.decided_us
  FROM views.attested_instant c
  WHERE hashtextextended(c.node, 0) = hashtextextended(%(node)s, 0) AND c.node = %(node)s AND [c]
    AND c.from_position > %(after)s
  UNION ALL
  SELECT l.from_position, l.node, 'renewed', l.node, l.boottime_us, l.renewed_us, l.renewed_us
  FROM views.node_lease l
  WHERE l.node = %(node)s AND l.from_position > %(after)s
    AND l.from_position <= coalesce(%(as_of)s::bigint, l.from_position)),
-- Words of a boot that is over found nobody: the latest anchor before one is its own.
time AS (
  SELECT c.*, a.anchor_us + (c.boottime_us - a.boottime_us) AS said_us,
    1000000 + abs(c.boottime_us - a.boottime_us) / 1000 AS drift_us
  FROM word c
  JOIN LATERAL (SELECT x.anchor_us, x.boottime_us FROM views.node_anchor x
    WHERE x.node = c.node AND x.from_position < c.from_position
    ORDER BY x.from_position DESC LIMIT 1) a ON true)
SELECT t.from_position, 'time.' || t.what AS what, t.subject, t.said_us::text AS said,
  t.held_us::text AS held, t.decided_us
FROM time t WHERE abs(t.said_us - t.held_us) > t.drift_us
UNION ALL
SELECT d.from_position, 'hardware.' || d.what, d.node, d.stated, d.before, d.decided_us
FROM views.node_discrepancy d
WHERE hashtextextended(d.node, 0) = hashtextextended(%(node)s, 0) AND d.node = %(node)s AND [d]
  AND d.from_position > %(after)s
ORDER BY 1 LIMIT %(limit)s
"""


def discrepancies(
    conn: psycopg.Connection[Any],
    node: str,
    *,
    after: int = -1,
    limit: int = 100,
    as_of: int | None = None,
) -> list[Discrepancy]:
    """In order of the facts, those after position `after`. Hardware: what stands now or then.

    A time is one when it lies further from what is held than clock drift explains: before the
    runtime was given its devices, or after the platform heard of it.
    """
    asked = {"node": node, "after": after, "limit": limit}
    return fetch(conn, Discrepancy, _DISCREPANCIES, asked, as_of)
