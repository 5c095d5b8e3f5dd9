"""Who did what to which resource, when, on whose authority, and what was refused to whom; pages
stay stable as entries come.
"""

from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch
from projections.reach import Of

NOT_GRANTED: Final = "not granted"


class Wanted(Struct, frozen=True):
    """What acts are asked for; None: any. `[since_us, until_us)`. `tag`: whole, or its beginning up
    to a dot.
    """

    organization: Of = None
    actor: str | None = None
    resource: str | None = None
    tag: str | None = None
    since_us: int | None = None
    until_us: int | None = None


class Act(Struct, frozen=True):
    """One entry of the log, or a row of counted calls that the entry at `from_position` seals;
    `place` in that order, and a cursor. `tag`: of rows, the action. `stream`: of rows, empty.
    `fact`: of entries, what the log has there; private words are digests in it.
    """

    place: int
    from_position: int
    stream: str
    tag: str
    actor: str
    organization: str
    at_us: int
    authority: list[str]
    outcome: str
    calls: int
    since_us: int
    credential: str
    reason: str
    number: int | None
    fact: dict[str, Any] | None

    @property
    def why(self) -> str:
        """Of what was denied: of counted calls the refusal's code, else the policies that forbade
        it; `not granted` where nothing gives it.
        """
        if self.outcome != "denied" or self.fact is None:
            return self.reason
        return ",".join(self.fact["policies"]) or NOT_GRANTED


# Rows of one seal share its position: 2^16 places each, the last one its own.
_ACTS: Final = """
SELECT * FROM (
SELECT a.from_position * 65536 + 65535 AS place, a.from_position, a.stream, a.tag, a.actor,
  a.organization, a.at_us,
  CASE WHEN d.number IS NULL THEN a.authority ELSE d.authority END AS authority,
  CASE a.tag WHEN 'gpuaas.access.denied.v1' THEN 'denied' ELSE 'done' END AS outcome,
  1::numeric AS calls, a.at_us AS since_us, '' AS credential, '' AS reason, NULL::bigint AS number,
  (SELECT convert_from(e.entry, 'UTF8')::json -> 'fact' FROM log.entry e
    WHERE e.position = a.from_position) AS fact
FROM views.act a LEFT JOIN LATERAL (
  SELECT o.number, o.authority FROM views.decision o WHERE o.number = a.from_position
  ORDER BY o.from_position LIMIT 1) d ON true
WHERE [a] AND (%(before)s::numeric IS NULL OR a.from_position * 65536 + 65535 < %(before)s)
  AND (%(before)s::numeric IS NULL OR a.from_position <= %(position)s)
  AND (%(organization)s::text IS NULL OR (a.organization = %(organization)s
    AND hashtextextended(a.organization, 0) = hashtextextended(%(organization)s, 0)))
  AND (%(whole)s::boolean OR EXISTS (
    SELECT FROM (SELECT coalesce(nullif(at[1], ''), a.organization) AS scope, at[2] AS resource
      FROM log.place(a.from_position) at) p
    WHERE [reach p.scope p.resource]))
  AND (%(actor)s::text IS NULL OR (a.actor = %(actor)s
    AND hashtextextended(a.actor, 0) = hashtextextended(%(actor)s, 0)))
  AND (%(resource)s::text IS NULL OR (a.stream = %(resource)s
    AND hashtextextended(a.stream, 0) = hashtextextended(%(resource)s, 0)))
  AND (%(tag)s::text IS NULL OR a.tag = %(tag)s OR starts_with(a.tag, %(tag)s || '.'))
  AND (%(since)s::numeric IS NULL OR a.at_us >= %(since)s)
  AND (%(until)s::numeric IS NULL OR a.at_us < %(until)s)
ORDER BY a.from_position DESC LIMIT %(limit)s) a
UNION ALL SELECT * FROM (
SELECT c.from_position * 65536 + 65534 - c.place AS place, c.from_position, '', c.action,
  c.principal, c.organization, c.last_us, c.authority, c.outcome, c.calls, c.first_us,
  c.credential, c.reason, c.number, NULL::json
FROM views.call c
WHERE [c] AND %(resource)s::text IS NULL
  AND (%(before)s::numeric IS NULL OR c.from_position * 65536 + 65534 - c.place < %(before)s)
  AND (%(before)s::numeric IS NULL OR c.from_position <= %(position)s)
  AND (%(organization)s::text IS NULL OR (c.organization = %(organization)s
    AND hashtextextended(c.organization, 0) = hashtextextended(%(organization)s, 0)))
  AND [reach c.organization]
  AND (%(actor)s::text IS NULL OR (c.principal = %(actor)s
    AND hashtextextended(c.principal, 0) = hashtextextended(%(actor)s, 0)))
  AND (%(tag)s::text IS NULL OR c.action = %(tag)s OR starts_with(c.action, %(tag)s || '.'))
  AND (%(since)s::numeric IS NULL OR c.last_us >= %(since)s)
  AND (%(until)s::numeric IS NULL OR c.first_us < %(until)s)
ORDER BY c.from_position DESC, c.place LIMIT %(limit)s) c
ORDER BY place DESC LIMIT %(limit)s
"""


def acts(
    conn: psycopg.Connection[Any],
    wanted: Wanted,
    *,
    before: int | None = None,
    limit: int = 50,
    as_of: int | None = None,
) -> list[Act]:
    """Newest first, those before the place `before` (the cursor)."""
    asked = {
        "organization": wanted.organization,
        "actor": wanted.actor,
        "resource": wanted.resource,
        "tag": wanted.tag,
        "since": wanted.since_us,
        "until": wanted.until_us,
        "before": before,
        "position": None if before is None else before >> 16,
        "limit": limit,
    }
    return fetch(conn, Act, _ACTS, asked, as_of)
