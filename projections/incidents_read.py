"""Questions about incidents: what happened, who is affected, what is proposed."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch, fetch_one


class Incident(Struct, frozen=True):
    """`resolved_us` null while it runs; `title` null once erased."""

    incident: str
    from_position: int
    what: str
    subject: str
    title: str | None
    opened_us: int
    resolved_us: int | None
    version: int


class Noted(Struct, frozen=True):
    """`note` null once erased."""

    note: str | None
    actor: str
    noted_us: int


class Proposal(Struct, frozen=True):
    """Milli-GPU-us of `[from_us, to_us)`: proposed, not granted."""

    from_position: int
    runtime: str
    account: str
    quantity: int
    from_us: int
    to_us: int
    reason: str


class Affected(Struct, frozen=True):
    """A runtime that was on the node meanwhile, or that a tied fact or a proposal names."""

    runtime: str
    organization: str


_INCIDENTS: Final = """
SELECT i.incident, i.from_position, i.what, i.subject, w.words AS title, i.opened_us,
  e.decided_us AS resolved_us,
  (SELECT max(version) FROM log.entry g WHERE g.stream = i.incident
     AND (%(as_of)s::bigint IS NULL OR g.position <= %(as_of)s)) AS version
FROM views.incident i
[words w i.title]
LEFT JOIN views.incident_end e ON e.incident = i.incident AND [e]
WHERE [i]
"""
_ONE: Final = " AND i.incident = %(incident)s"
_PAGE: Final = """
 AND (%(state)s::text IS NULL OR (e.incident IS NULL) = (%(state)s = 'open'))
 AND (%(before)s::bigint IS NULL OR i.from_position < %(before)s)
 ORDER BY i.from_position DESC LIMIT %(limit)s
"""
_NOTES: Final = """
SELECT w.words AS note, n.actor, n.noted_us FROM views.incident_note n
[words w n.note]
WHERE n.incident = %(incident)s AND [n] ORDER BY n.from_position
"""
_PROPOSALS: Final = """
SELECT p.from_position, p.runtime, p.account, p.quantity, p.from_us, p.to_us, p.reason
FROM views.credit_proposal p WHERE p.incident = %(incident)s AND [p] ORDER BY p.from_position
"""
_TIED: Final = """
SELECT e.position, e.entry FROM views.incident_tie t JOIN log.entry e
  ON t.at BETWEEN 0 AND 9223372036854775807 AND e.position = t.at::bigint
WHERE t.incident = %(incident)s
  AND (%(as_of)s::bigint IS NULL OR t.from_position <= %(as_of)s)
ORDER BY e.position
"""
_AFFECTED: Final = """
WITH about AS (
  SELECT i.subject, i.from_position AS opened,
    (SELECT min(e.from_position) FROM views.incident_end e WHERE e.incident = i.incident) AS over
  FROM views.incident i WHERE i.incident = %(incident)s AND [i]),
named AS (
  SELECT a.runtime FROM about b JOIN views.allocation a
    ON hashtextextended(a.node, 0) = hashtextextended(b.subject, 0) AND a.node = b.subject
   AND (a.to_position IS NULL OR a.to_position > b.opened)
   AND (b.over IS NULL OR a.from_position < b.over)
  UNION SELECT b.subject FROM about b
  UNION SELECT p.runtime FROM views.credit_proposal p WHERE p.incident = %(incident)s AND [p]
  UNION SELECT e.stream FROM views.incident_tie t JOIN log.entry e
    ON t.at BETWEEN 0 AND 9223372036854775807 AND e.position = t.at::bigint
   WHERE t.incident = %(incident)s AND [t])
SELECT r.runtime, r.organization FROM named n JOIN views.runtime r ON r.runtime = n.runtime
WHERE [r] ORDER BY r.from_position
"""


def incidents(
    conn: psycopg.Connection[Any],
    *,
    state: str | None = None,
    before: int | None = None,
    limit: int = 1000,
    as_of: int | None = None,
) -> list[Incident]:
    """Incidents opened before a position (None: all), newest first. `state`: open, resolved."""
    asked = {"state": state, "before": before, "limit": limit}
    return fetch(conn, Incident, _INCIDENTS + _PAGE, asked, as_of)


def incident(
    conn: psycopg.Connection[Any], incident_id: str, as_of: int | None = None
) -> Incident | None:
    """The incident, or None."""
    return fetch_one(conn, Incident, _INCIDENTS + _ONE, {"incident": incident_id}, as_of)


def notes(conn: psycopg.Connection[Any], incident_id: str, as_of: int | None = None) -> list[Noted]:
    """What people wrote, oldest first."""
    return fetch(conn, Noted, _NOTES, {"incident": incident_id}, as_of)


def proposals(
    conn: psycopg.Connection[Any], incident_id: str, as_of: int | None = None
) -> list[Proposal]:
    """Credits proposed, oldest first."""
    return fetch(conn, Proposal, _PROPOSALS, {"incident": incident_id}, as_of)


def affected(
    conn: psycopg.Connection[Any], incident_id: str, as_of: int | None = None
) -> list[Affected]:
    """Runtimes and whose they are, oldest first."""
    return fetch(conn, Affected, _AFFECTED, {"incident": incident_id}, as_of)


def tied(
    conn: psycopg.Connection[Any], incident_id: str, as_of: int | None = None
) -> list[tuple[int, bytes]]:
    """(position, entry) of the facts that belong to it, in order."""
    asked = {"incident": incident_id, "as_of": as_of}
    return conn.execute(_TIED, asked, binary=True).fetchall()
