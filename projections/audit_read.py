"""Who did what to which resource, when, on whose authority, what was refused to whom, and who read
evidence; pages stay stable as entries come.
"""

from typing import Any, Final, LiteralString

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


class Earlier(Struct, frozen=True):
    """The entry that began what an act ends, or decides on, as the log has it."""

    position: int
    tag: str
    fact: dict[str, Any]


class Act(Struct, frozen=True):
    """One entry of the log, or a row of counted calls that the entry at `from_position` seals;
    `place` in that order, and a cursor. `tag`: of rows, the action. `stream`: of rows, what was
    read, if anything. `resources`: what it is about, the nearest first, and what `earlier` was
    about; of rows, what was read. `fact`: of entries, what the log has there; private words are
    digests in it.
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
    resources: list[str]
    fact: dict[str, Any] | None
    earlier: Earlier | None

    @property
    def why(self) -> str:
        """Of what was denied: of counted calls the refusal's code, else the policies that forbade
        it; `not granted` where nothing gives it.
        """
        if self.outcome != "denied" or self.fact is None:
            return self.reason
        return ",".join(self.fact["policies"]) or NOT_GRANTED


# Rows of one seal share its position: 2^16 places each, the last one its own.
_ACTS: Final[LiteralString] = """
SELECT r.*,
  CASE WHEN r.number IS NULL THEN ARRAY(SELECT o.about FROM views.act_about o
    WHERE o.from_position = r.from_position AND strpos(o.about, ' ') = 0
      AND (o.via IS NULL OR o.via = t.from_position)
    ORDER BY o.number)
  ELSE array_remove(ARRAY[split_part(r.stream, '/', 1)], '') END AS resources,
  CASE WHEN r.number IS NULL THEN (
    SELECT convert_from(e.entry, 'UTF8')::json -> 'fact' FROM log.entry e
    WHERE e.position = r.from_position) END AS fact,
  (SELECT json_build_object('position', e.position, 'tag', s.said -> 'tag',
      'fact', s.said -> 'fact')
    FROM log.entry e, LATERAL (SELECT convert_from(e.entry, 'UTF8')::json AS said OFFSET 0) s
    WHERE e.position = t.from_position) AS earlier
FROM (
SELECT * FROM (
SELECT a.from_position * 65536 + 65535 AS place, a.from_position, a.stream, a.tag, a.actor,
  a.organization, a.at_us,
  CASE WHEN d.number IS NULL OR a.authority <> '[]' THEN a.authority ELSE d.authority END
    AS authority,
  CASE a.tag WHEN 'gpuaas.access.denied.v1' THEN 'denied' ELSE 'done' END AS outcome,
  1::numeric AS calls, a.at_us AS since_us, '' AS credential, '' AS reason, NULL::bigint AS number,
  a.ends
FROM {acts} LEFT JOIN LATERAL (
  SELECT o.number, o.authority FROM views.decision o WHERE o.from_position > a.from_position
  ORDER BY o.from_position LIMIT 1) d ON d.number <= a.from_position
WHERE [a] AND {about}
  AND (%(before)s::numeric IS NULL OR a.from_position * 65536 + 65535 < %(before)s)
  AND (%(before)s::numeric IS NULL OR {at} <= %(position)s)
  AND (%(organization)s::text IS NULL OR (a.organization = %(organization)s
    AND hashtextextended(a.organization, 0) = hashtextextended(%(organization)s, 0)))
  AND (%(whole)s::boolean OR EXISTS (
    SELECT FROM (VALUES (a.organization)) i (org)
    LEFT JOIN views.act_place p ON p.from_position = a.from_position
    WHERE [reach coalesce(nullif(p.scope,''),i.org) coalesce(p.resource,'')]))
  AND (%(actor)s::text IS NULL OR (a.actor = %(actor)s
    AND hashtextextended(a.actor, 0) = hashtextextended(%(actor)s, 0)))
  AND (%(tag)s::text IS NULL OR a.tag = %(tag)s OR starts_with(a.tag, %(tag)s || '.'))
  AND (%(since)s::numeric IS NULL OR a.at_us >= %(since)s)
  AND (%(until)s::numeric IS NULL OR a.at_us < %(until)s)
ORDER BY {at} DESC LIMIT %(limit)s) a
UNION ALL SELECT * FROM (
SELECT c.from_position * 65536 + 65534 - c.place AS place, c.from_position,
  CASE c.outcome WHEN 'read' THEN c.reason ELSE '' END, c.action,
  c.principal, c.organization, c.last_us, c.authority, c.outcome, c.calls, c.first_us,
  c.credential, CASE c.outcome WHEN 'read' THEN '' ELSE c.reason END, c.number, ''
FROM views.call c
WHERE [c] AND (%(resource)s::text IS NULL OR (c.outcome = 'read'
    AND (c.reason = %(resource)s OR starts_with(c.reason, %(resource)s || '/'))))
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
ORDER BY place DESC LIMIT %(limit)s) r
LEFT JOIN LATERAL (SELECT b.from_position FROM views.act_about b
  WHERE hashtextextended(b.about, 0) = hashtextextended(r.ends, 0) AND b.about = r.ends
    AND b.begins AND b.from_position < r.from_position AND r.ends <> ''
  ORDER BY hashtextextended(b.about, 0) DESC, b.from_position DESC LIMIT 1) t
ON %(whole)s::boolean OR EXISTS (SELECT FROM log.places(ARRAY[t.from_position]) p
  WHERE [reach coalesce(nullif(p.scope,''),r.organization) p.resource])
ORDER BY r.place DESC
"""
# By what it is about: also by what only the entry names that began what it ends, for whoever may
# know of that one.
_ABOUT: Final[LiteralString] = """
hashtextextended(n.about, 0) = hashtextextended(%(resource)s, 0) AND n.about = %(resource)s AND [n]
  AND (n.via IS NULL OR %(whole)s::boolean OR EXISTS (SELECT FROM log.places(ARRAY[n.via]) p
    WHERE [reach coalesce(nullif(p.scope,''),a.organization) p.resource]))
"""
_NAMED: Final[LiteralString] = (
    "views.act_about n JOIN views.act a ON a.from_position = n.from_position"
)


def _query(acts: LiteralString, about: LiteralString, at: LiteralString) -> LiteralString:
    return _ACTS.replace("{acts}", acts).replace("{about}", about).replace("{at}", at)


_ANY: Final = _query("views.act a", "true", "a.from_position")
_OF_ONE: Final = _query(_NAMED, _ABOUT, "n.from_position")


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
    query = _ANY if wanted.resource is None else _OF_ONE
    return fetch(conn, Act, query, asked, as_of)
