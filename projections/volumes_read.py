"""Questions about volumes; all accept a position, lists are stable while rows are inserted."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch, fetch_one
from projections.reach import Of


class Volume(Struct, frozen=True):
    """One volume as a person sees it; `name` null once erased, the runtime's part null while
    nothing has it, `method` null until its node made it.
    """

    volume: str
    from_position: int
    version: int
    organization: str
    project: str
    account: str
    node: str
    name: str | None
    size_mib: int
    created_us: int
    state: str
    since_us: int
    why: str
    method: str | None
    runtime: str | None
    epoch: int | None
    path: str | None


class Snapshot(Struct, frozen=True):
    snapshot: str
    bytes: int
    frozen_us: int
    decided_us: int


class Receipt(Struct, frozen=True):
    from_position: int
    method: str
    bytes_covered: int
    duration_us: int
    wiped_us: int


_VOLUMES: Final = """
SELECT o.volume, o.from_position,
  greatest(s.version, coalesce(a.version, 0), coalesce(d.version, 0)) AS version,
  o.organization, o.project, o.account, o.node, w.words AS name, i.size_mib, o.created_us,
  s.state, s.since_us, s.why, l.method, a.runtime, a.epoch, a.path
FROM views.volume o
JOIN views.volume_size i ON i.volume = o.volume AND [i]
JOIN views.volume_state s ON s.volume = o.volume AND [s]
LEFT JOIN views.volume_method l ON l.volume = o.volume AND [l]
LEFT JOIN views.volume_attachment a ON a.volume = o.volume AND [a]
LEFT JOIN views.volume_detachment d ON d.volume = o.volume AND [d]
[words w o.name]
WHERE [o]
"""
_ONE: Final = " AND o.volume = %(volume)s"
_PAGE: Final = """
  AND (%(organization)s::text IS NULL OR o.organization = %(organization)s)
  AND [reach o.project o.volume]
  AND (%(project)s::text IS NULL OR o.project = %(project)s)
  AND (%(state)s::text IS NULL OR s.state = %(state)s)
  AND (%(before)s::bigint IS NULL OR o.from_position < %(before)s)
ORDER BY o.from_position DESC LIMIT %(limit)s
"""
_SNAPSHOTS: Final = """
SELECT s.snapshot, s.bytes, s.frozen_us, s.decided_us FROM views.volume_snapshot s
WHERE s.volume = %(volume)s AND [s] ORDER BY s.from_position
"""
_RECEIPTS: Final = """
SELECT r.from_position, r.method, r.bytes_covered, r.duration_us, r.wiped_us
FROM views.volume_receipt r WHERE r.volume = %(volume)s AND [r] ORDER BY r.from_position
"""


def volumes(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    project: str | None = None,
    state: str | None = None,
    before: int | None = None,
    limit: int = 1000,
    as_of: int | None = None,
) -> list[Volume]:
    """Volumes created before a position (None: all), newest first."""
    asked = {
        "organization": organization, "project": project, "state": state, "before": before,
        "limit": limit,
    }  # fmt: skip
    return fetch(conn, Volume, _VOLUMES + _PAGE, asked, as_of)


def volume(
    conn: psycopg.Connection[Any], volume_id: str, as_of: int | None = None
) -> Volume | None:
    """The volume, or None."""
    return fetch_one(conn, Volume, _VOLUMES + _ONE, {"volume": volume_id}, as_of)


def snapshots(
    conn: psycopg.Connection[Any], volume_id: str, as_of: int | None = None
) -> list[Snapshot]:
    """Its snapshots, oldest first."""
    return fetch(conn, Snapshot, _SNAPSHOTS, {"volume": volume_id}, as_of)


def receipts(
    conn: psycopg.Connection[Any], volume_id: str, as_of: int | None = None
) -> list[Receipt]:
    """What its node said when it was wiped."""
    return fetch(conn, Receipt, _RECEIPTS, {"volume": volume_id}, as_of)
