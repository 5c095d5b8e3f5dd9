"""What an invoice's proof holds of reservations: what was idle of them, the quota says.

evidence/invoice-proof.md section 2. All of an organization's quota while a reservation stands: what
draws on it is among that, and nothing that does may be left out.
"""

from array import array
from typing import Any, Final

import psycopg
from msgspec import Struct

from domain.errors import DomainError
from projections.asof import fetch

_RESERVED: Final = """
SELECT e.from_position AS position, e.nodes, p.account
FROM views.reservation e
CROSS JOIN LATERAL (SELECT p.account FROM views.project p WHERE p.project = e.project
  ORDER BY p.from_position LIMIT 1) p
WHERE e.reservation = ANY (%(streams)s)
"""
_OWN: Final = """
SELECT e.stream, e.position FROM log.entry e
WHERE e.stream = ANY (%(streams)s) AND e.stream LIKE 'reservation-%%' AND e.position < %(size)s
ORDER BY e.stream, e.version
"""
# Up to its end, or the first after the close.
_QUOTA: Final = """
SELECT DISTINCT e.position FROM views.quota_reservation q
JOIN log.entry s ON s.position = q.from_position
JOIN log.entry e ON e.stream = s.stream AND e.version >= s.version
  AND e.position <= coalesce(q.to_position, %(size)s)
  AND e.position <= coalesce((SELECT min(x.position) FROM log.entry x
    WHERE x.stream = s.stream AND x.position > %(closed)s), %(size)s)
WHERE q.reservation = ANY (%(streams)s) AND e.position < %(size)s
"""


class _Made(Struct, frozen=True):
    position: int
    nodes: tuple[str, ...]
    account: str


def reserved(
    conn: psycopg.Connection[Any],
    asked: dict[str, Any],
    streams: list[str],
    found: array[int],
    changes: set[int],
    lives: dict[str, list[int]],
) -> list[tuple[str, int]]:
    """Of the reservations among `streams` each node, and the position that names it; the positions
    of what their proof holds are added to `found`, those of the quota to `changes` too, those of
    their own streams to `lives`.

    Raises: DomainError invoice.not_provable where another account than that of the project's
        creation pays: where a project was moved to is not in a proof.
    """
    asked = {**asked, "streams": streams}
    made = fetch(conn, _Made, _RESERVED, asked)
    if any(one.account != asked["account"] for one in made):
        detail = "what is reserved and idle is of a project that had changed its account"
        raise DomainError("invoice.not_provable", detail)
    if made:
        for stream, at in conn.execute(_OWN, asked):
            found.append(at)
            lives.setdefault(stream, []).append(at)
        moved = [at for (at,) in conn.execute(_QUOTA, asked)]
        found.extend(moved)
        changes.update(moved)
    return [(node, one.position) for one in made for node in one.nodes]
