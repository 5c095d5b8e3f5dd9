"""Questions about access; all accept a position, lists are stable while rows are inserted."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch
from projections.reach import Of


class Granted(Struct, frozen=True):
    """One grant; `revoked_us` and `why` are null while it stands. `from_position` is a cursor.
    `credential`: the API key or session it was asked for with; null of before that was said.
    """

    access: str
    from_position: int
    organization: str
    runtime: str
    project: str
    user_id: str
    way: str
    until_us: int
    granted_us: int
    revoked_us: int | None
    why: str | None
    open_sessions: int
    sessions: int
    credential: str | None


# What it was obtained with stands behind the grant, in its append (ADR 65); old ones say nothing.
_GRANTS: Final = """
SELECT a.access, a.from_position, a.organization, a.runtime, a.project, a.user_id, a.way,
  a.until_us, a.granted_us, r.decided_us AS revoked_us, r.reason AS why,
  (SELECT convert_from(o.entry, 'UTF8')::json -> 'fact' ->> 'credential' FROM log.entry o
    WHERE o.stream = a.access AND o.version = 2) AS credential,
  (SELECT count(*) FROM views.access_session s
    WHERE hashtextextended(s.access, 0) = hashtextextended(a.access, 0) AND s.access = a.access
    AND [s]) AS sessions,
  (SELECT count(*) FROM views.access_session s
    WHERE hashtextextended(s.access, 0) = hashtextextended(a.access, 0) AND s.access = a.access
    AND [s] AND NOT EXISTS (SELECT FROM views.access_session_end e
      WHERE e.session = s.session AND [e])) AS open_sessions
FROM views.access_grant a
LEFT JOIN views.access_revocation r ON r.access = a.access AND [r]
WHERE [a] AND (%(access)s::text IS NULL OR a.access = %(access)s)
  AND (%(organization)s::text IS NULL OR a.organization = %(organization)s)
  AND [reach a.project a.runtime]
  AND (%(project)s::text IS NULL OR a.project = %(project)s)
  AND (%(runtime)s::text IS NULL OR (a.runtime = %(runtime)s
    AND hashtextextended(a.runtime, 0) = hashtextextended(%(runtime)s, 0)))
  AND (%(before)s::bigint IS NULL OR a.from_position < %(before)s)
ORDER BY a.from_position DESC LIMIT %(limit)s
"""


def grants(
    conn: psycopg.Connection[Any],
    *,
    access: str | None = None,
    organization: Of = None,
    project: str | None = None,
    runtime: str | None = None,
    before: int | None = None,
    limit: int = 50,
    as_of: int | None = None,
) -> list[Granted]:
    """Newest first, those granted before position `before` (the cursor)."""
    asked = {
        "access": access, "organization": organization, "project": project, "runtime": runtime,
        "before": before, "limit": limit,
    }  # fmt: skip
    return fetch(conn, Granted, _GRANTS, asked, as_of)
