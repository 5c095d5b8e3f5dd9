"""Questions about shares of quotas, claims and what they took back; all accept a position."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch
from projections.reach import Of


class Share(Struct, frozen=True):
    """A share and what of its limit is used; `claimed_milli` 0: nothing stands claimed."""

    scope: str
    model: str
    from_position: int
    organization: str
    parent: str
    guaranteed_milli: int
    lendable_milli: int
    limit_milli: int
    used_milli: int
    claimed_milli: int
    decided_us: int


class Claim(Struct, frozen=True):
    scope: str
    model: str
    from_position: int
    organization: str
    gpu_milli: int
    stop_us: int
    until_us: int
    decided_us: int


class Reclaim(Struct, frozen=True):
    """Whom a claim named, the newest first; those that ended since are named all the same."""

    from_position: int
    organization: str
    scope: str
    model: str
    runtimes: tuple[str, ...]
    stop_us: int
    decided_us: int


# What draws on a reservation that stands is part of what the reservation uses.
_SHARES: Final = """
SELECT q.scope, q.model, q.from_position, q.organization,
  coalesce((SELECT e.department FROM views.project_place e WHERE e.project = q.scope AND [e]),
    q.parent) AS parent, q.guaranteed_milli,
  q.lendable_milli, q.limit_milli, q.decided_us, own.milli + whole.milli AS used_milli,
  coalesce((SELECT l.gpu_milli FROM views.quota_claim l
    WHERE [l] AND l.scope = q.scope AND l.model = q.model), 0) AS claimed_milli
FROM views.quota_share q,
LATERAL (SELECT coalesce(sum(c.gpu_milli), 0) AS milli FROM views.quota_commitment c
  LEFT JOIN views.project_place p ON p.project = c.project AND [p]
  WHERE [c] AND q.scope IN (c.organization, coalesce(p.department, c.department), c.project)
    AND q.model = c.model
    AND NOT EXISTS (SELECT FROM views.quota_draw d
      JOIN views.quota_reservation r ON r.reservation = d.reservation AND [r]
      WHERE d.runtime = c.runtime AND [d])) own,
LATERAL (SELECT coalesce(sum(s.gpu_milli), 0) AS milli FROM views.quota_reservation s
  LEFT JOIN views.project_place p ON p.project = s.project AND [p]
  WHERE [s] AND q.scope IN (s.organization, coalesce(p.department, s.department), s.project)
    AND q.model = s.model) whole
WHERE [q] AND (%(organization)s::text IS NULL OR q.organization = %(organization)s)
  AND [reach q.scope]
ORDER BY q.organization, q.model, parent, q.scope
"""
_CLAIMS: Final = """
SELECT l.scope, l.model, l.from_position, l.organization, l.gpu_milli, l.stop_us, l.until_us,
  l.decided_us
FROM views.quota_claim l
WHERE [l] AND (%(organization)s::text IS NULL OR l.organization = %(organization)s)
  AND [reach l.scope]
ORDER BY l.from_position
"""
_RECLAIMS: Final = """
SELECT n.from_position, n.organization, n.scope, n.model, n.runtimes, n.stop_us, n.decided_us
FROM views.quota_reclaim n
WHERE [n] AND (%(organization)s::text IS NULL OR n.organization = %(organization)s)
  AND [reach n.scope]
  AND n.from_position > %(after)s ORDER BY n.from_position LIMIT %(limit)s
"""


def shares(
    conn: psycopg.Connection[Any], organization: Of = None, as_of: int | None = None
) -> list[Share]:
    """Every share in force and its use, of one organization or of all."""
    return fetch(conn, Share, _SHARES, {"organization": organization}, as_of)


def claims(
    conn: psycopg.Connection[Any], organization: Of = None, as_of: int | None = None
) -> list[Claim]:
    """Every claim that stands, oldest first."""
    return fetch(conn, Claim, _CLAIMS, {"organization": organization}, as_of)


def reclaims(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    after: int = -1,
    limit: int = 1000,
    as_of: int | None = None,
) -> list[Reclaim]:
    """Every decision to take back, oldest first after position `after`, the cursor."""
    asked = {"organization": organization, "after": after, "limit": limit}
    return fetch(conn, Reclaim, _RECLAIMS, asked, as_of)
