"""Questions about organizations, departments, projects and quotas; all accept a position."""

from typing import Any, Final, LiteralString

import psycopg
from msgspec import Struct

from projections.asof import fetch
from projections.reach import Of


class Organization(Struct, frozen=True):
    """`name` is null once erased; `state` active, suspended, closing or closed, since when and why;
    the dates of a closing, null without one.
    """

    organization: str
    from_position: int
    name: str | None
    created_us: int
    state: str
    reason: str
    since_us: int
    stop_us: int | None
    wipe_us: int | None
    version: int


class Department(Struct, frozen=True):
    department: str
    from_position: int
    organization: str
    name: str | None
    created_us: int
    version: int


class Project(Struct, frozen=True):
    project: str
    from_position: int
    organization: str
    department: str
    account: str
    name: str | None
    created_us: int
    version: int


class Quota(Struct, frozen=True):
    """A limit and what runtimes hold of it now, and `reserved_milli` of that what reservations do,
    whatever runs on them; `model` `*` counts every model.
    """

    scope: str
    model: str
    from_position: int
    organization: str
    limit_milli: int
    used_milli: int
    reserved_milli: int
    decided_us: int


class StorageQuota(Struct, frozen=True):
    """A limit and what volumes count now, those that are asked to grow with what they grow to."""

    scope: str
    model: str
    from_position: int
    organization: str
    limit_mib: int
    used_mib: int
    decided_us: int


class Token(Struct, frozen=True):
    """A token that was issued; whether it still serves is `expires_us`'s affair."""

    stream: str
    from_position: int
    principal: str
    role: str
    expires_us: int
    issued_by: str


_PAGE: Final = """
  AND t.from_position > %(after)s ORDER BY t.from_position LIMIT %(limit)s
"""
_ORGANIZATIONS: Final = """
SELECT t.organization, t.from_position, w.words AS name, t.created_us, s.state, s.reason,
  s.since_us, c.stop_us, c.wipe_us,
  (SELECT max(g.version) FROM log.entry g WHERE g.stream = t.organization AND g.position
    < coalesce(%(as_of)s::bigint + 1, (SELECT position FROM views.applied))) AS version
FROM views.organization t
JOIN views.organization_standing s ON s.organization = t.organization AND [s]
LEFT JOIN views.organization_closing c ON c.organization = t.organization AND [c]
JOIN views.tenancy_name n ON n.stream = t.organization AND [n]
[words w n.name]
WHERE [t] AND (%(organization)s::text IS NULL OR t.organization = %(organization)s)
  AND [reach t.organization] AND (%(state)s::text IS NULL OR s.state = %(state)s)
  AND t.from_position > %(after)s ORDER BY t.from_position LIMIT %(limit)s
"""
_DEPARTMENTS: Final[LiteralString] = (
    """
SELECT t.department, t.from_position, t.organization, w.words AS name, t.created_us, n.version
FROM views.department t
JOIN views.tenancy_name n ON n.stream = t.department AND [n]
[words w n.name]
WHERE [t] AND (%(organization)s::text IS NULL OR t.organization = %(organization)s)
  AND [reach t.department]
  AND (%(department)s::text IS NULL OR t.department = %(department)s)
"""
    + _PAGE
)
_PROJECTS: Final[LiteralString] = (
    """
SELECT t.project, t.from_position, t.organization, p.department, p.account, w.words AS name,
  t.created_us, greatest(p.version, n.version) AS version
FROM views.project t JOIN views.project_place p ON p.project = t.project AND [p]
JOIN views.tenancy_name n ON n.stream = t.project AND [n]
[words w n.name]
WHERE [t] AND (%(organization)s::text IS NULL OR t.organization = %(organization)s)
  AND [reach t.project]
  AND (%(department)s::text IS NULL OR p.department = %(department)s)
  AND (%(project)s::text IS NULL OR t.project = %(project)s)
"""
    + _PAGE
)
# What draws on a reservation that stands is part of what the reservation uses. What is held counts
# in the department that its project is in now.
_QUOTAS: Final = """
SELECT q.scope, q.model, q.from_position, q.organization, q.limit_milli, q.decided_us,
  own.milli + whole.milli AS used_milli, whole.milli AS reserved_milli
FROM views.quota_limit q,
LATERAL (SELECT coalesce(sum(c.gpu_milli), 0) AS milli FROM views.quota_commitment c
  LEFT JOIN views.project_place p ON p.project = c.project AND [p]
  WHERE [c] AND q.scope IN (c.organization, coalesce(p.department, c.department), c.project)
    AND q.model IN ('*', c.model)
    AND NOT EXISTS (SELECT FROM views.quota_draw d
      JOIN views.quota_reservation r ON r.reservation = d.reservation AND [r]
      WHERE d.runtime = c.runtime AND [d])) own,
LATERAL (SELECT coalesce(sum(s.gpu_milli), 0) AS milli FROM views.quota_reservation s
  LEFT JOIN views.project_place p ON p.project = s.project AND [p]
  WHERE [s] AND q.scope IN (s.organization, coalesce(p.department, s.department), s.project)
    AND q.model IN ('*', s.model)) whole
WHERE [q] AND (%(organization)s::text IS NULL OR q.organization = %(organization)s)
  AND [reach q.scope]
ORDER BY q.organization, q.scope, q.model
"""
# A volume counts what it has, or is asked to grow to, until it is deleted.
_STORAGE_QUOTAS: Final = """
SELECT q.scope, q.model, q.from_position, q.organization, q.limit_mib, q.decided_us,
  (SELECT coalesce(sum(CASE s.state WHEN 'growing' THEN c.size_mib ELSE i.size_mib END), 0)
    FROM views.storage_commitment c
    JOIN views.volume_state s ON s.volume = c.volume AND [s]
    JOIN views.volume_size i ON i.volume = c.volume AND [i]
    LEFT JOIN views.project_place p ON p.project = c.project AND [p]
    WHERE [c] AND s.state NOT IN ('deleted', 'lost') AND q.model = c.model
      AND q.scope IN (c.organization, coalesce(p.department, c.department), c.project)) AS used_mib
FROM views.storage_limit q
WHERE [q] AND (%(organization)s::text IS NULL OR q.organization = %(organization)s)
  AND [reach q.scope]
ORDER BY q.organization, q.scope, q.model
"""
_TOKENS: Final = """
SELECT t.stream, t.from_position, t.principal, t.role, t.expires_us, t.issued_by
FROM views.access_token t
WHERE [t] AND (%(stream)s::text IS NULL OR t.stream = %(stream)s)
ORDER BY t.from_position DESC LIMIT %(limit)s
"""


def organizations(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    state: str | None = None,
    after: int = -1,
    limit: int = 1000,
    as_of: int | None = None,
) -> list[Organization]:
    """Oldest first after position `after`, the cursor; only one when named."""
    asked = {"organization": organization, "state": state, "after": after, "limit": limit}
    return fetch(conn, Organization, _ORGANIZATIONS, asked, as_of)


def departments(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    department: str | None = None,
    after: int = -1,
    limit: int = 1000,
    as_of: int | None = None,
) -> list[Department]:
    """Oldest first after position `after`, the cursor."""
    asked = {
        "organization": organization, "department": department, "after": after, "limit": limit,
    }  # fmt: skip
    return fetch(conn, Department, _DEPARTMENTS, asked, as_of)


def projects(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    department: str | None = None,
    project: str | None = None,
    after: int = -1,
    limit: int = 1000,
    as_of: int | None = None,
) -> list[Project]:
    """Oldest first after position `after`, the cursor."""
    asked = {
        "organization": organization, "department": department, "project": project,
        "after": after, "limit": limit,
    }  # fmt: skip
    return fetch(conn, Project, _PROJECTS, asked, as_of)


def project_names(
    conn: psycopg.Connection[Any], organization: str, as_of: int | None = None
) -> dict[str, str | None]:
    """Names of all of an organization's projects by id; None once erased."""
    names: dict[str, str | None] = {}
    after = -1
    while page := projects(conn, organization=organization, after=after, as_of=as_of):
        names |= {one.project: one.name for one in page}
        after = page[-1].from_position
    return names


def quotas(
    conn: psycopg.Connection[Any], organization: Of = None, as_of: int | None = None
) -> list[Quota]:
    """Every limit in force and its use, of one organization or of all."""
    return fetch(conn, Quota, _QUOTAS, {"organization": organization}, as_of)


def storage_quotas(
    conn: psycopg.Connection[Any], organization: Of = None, as_of: int | None = None
) -> list[StorageQuota]:
    """Every limit of storage in force and its use, of one organization or of all."""
    return fetch(conn, StorageQuota, _STORAGE_QUOTAS, {"organization": organization}, as_of)


def tokens(
    conn: psycopg.Connection[Any],
    stream: str | None = None,
    limit: int = 100,
    as_of: int | None = None,
) -> list[Token]:
    """Issued tokens, newest first, of one stream or of all."""
    return fetch(conn, Token, _TOKENS, {"stream": stream, "limit": limit}, as_of)
