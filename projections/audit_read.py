"""Who did what to which resource, when, on whose authority; pages stay stable as entries come."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch


class Wanted(Struct, frozen=True):
    """What acts are asked for; None: any. `[since_us, until_us)`. `tag`: whole, or its beginning up
    to a dot.
    """

    organization: str | None = None
    actor: str | None = None
    resource: str | None = None
    tag: str | None = None
    since_us: int | None = None
    until_us: int | None = None


class Act(Struct, frozen=True):
    """One entry of the log; `from_position` is its position, and a cursor."""

    from_position: int
    stream: str
    tag: str
    actor: str
    organization: str
    at_us: int
    authority: list[str]


_ACTS: Final = """
SELECT a.from_position, a.stream, a.tag, a.actor, a.organization, a.at_us, a.authority
FROM views.act a
WHERE [a] AND (%(before)s::bigint IS NULL OR a.from_position < %(before)s)
  AND (%(organization)s::text IS NULL OR (a.organization = %(organization)s
    AND hashtextextended(a.organization, 0) = hashtextextended(%(organization)s, 0)))
  AND (%(actor)s::text IS NULL OR (a.actor = %(actor)s
    AND hashtextextended(a.actor, 0) = hashtextextended(%(actor)s, 0)))
  AND (%(resource)s::text IS NULL OR (a.stream = %(resource)s
    AND hashtextextended(a.stream, 0) = hashtextextended(%(resource)s, 0)))
  AND (%(tag)s::text IS NULL OR a.tag = %(tag)s OR starts_with(a.tag, %(tag)s || '.'))
  AND (%(since)s::numeric IS NULL OR a.at_us >= %(since)s)
  AND (%(until)s::numeric IS NULL OR a.at_us < %(until)s)
ORDER BY a.from_position DESC LIMIT %(limit)s
"""


def acts(
    conn: psycopg.Connection[Any],
    wanted: Wanted,
    *,
    before: int | None = None,
    limit: int = 50,
    as_of: int | None = None,
) -> list[Act]:
    """Newest first, those before position `before` (the cursor)."""
    asked = {
        "organization": wanted.organization,
        "actor": wanted.actor,
        "resource": wanted.resource,
        "tag": wanted.tag,
        "since": wanted.since_us,
        "until": wanted.until_us,
        "before": before,
        "limit": limit,
    }
    return fetch(conn, Act, _ACTS, asked, as_of)
