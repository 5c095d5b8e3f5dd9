"""What a period was used for by its time, and what was charged: questions of a preview."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

import psycopg
from msgspec import Struct

from domain.errors import DomainError
from domain.previewing import Used, net
from projections.asof import fetch

MOST_PIECES: Final = 500_000  # of one preview


class _Piece(Struct, frozen=True):
    resource: str
    project: str
    meter: str
    model: str
    region: str
    state: str
    start_us: int
    end_us: int
    quantity: int
    first_us: int


class _Charged(Struct, frozen=True):
    amount_pico: int


# Of what is charged by its time; taken back is below 0. Of the piece's whole resource: its start.
_PIECES: Final = """
SELECT u.resource, coalesce(r.project, o.project, e.project) AS project, u.meter, l.model, l.state,
  g.region,
  u.start_us, u.end_us, u.sign * u.quantity AS quantity, coalesce(
    (SELECT min(s.since_us) FROM views.runtime_state s
      WHERE s.runtime = u.resource AND s.state = 'usable'),
    e.decided_us,
    (SELECT min(f.start_us) FROM views.rated_interval f
      WHERE f.resource = u.resource AND f.quantity > 0)) AS first_us
FROM views.charge_line c
JOIN views.price l ON l.from_position = c.price AND l.kind = 'entry' AND l.state <> 'read'
JOIN views.rated_interval u ON u.resource = c.resource AND u.price = c.price
  AND u.period = c.period AND u.quantity > 0 AND [u]
LEFT JOIN views.runtime r ON r.runtime = u.resource AND [r]
LEFT JOIN views.runtime_place q ON q.runtime = u.resource AND [q]
LEFT JOIN views.volume o ON o.volume = u.resource AND [o]
LEFT JOIN views.reservation e ON e.reservation = u.resource AND [e]
CROSS JOIN LATERAL (
  SELECT coalesce(q.from_position, o.from_position, e.from_position) AS at,
    coalesce(e.nodes, jsonb_build_array(coalesce(q.node, o.node))) AS nodes) p
CROSS JOIN LATERAL (
  SELECT CASE WHEN count(DISTINCT coalesce(i.region, '-')) = 1 THEN min(coalesce(i.region, '-'))
    ELSE '-' END AS region
  FROM jsonb_array_elements_text(p.nodes) m(node)
  LEFT JOIN views.node_region i ON i.node = m.node AND i.from_position < p.at
    AND (i.to_position IS NULL OR i.to_position > p.at)) g
WHERE c.period = %(period)s AND [c] ORDER BY u.resource LIMIT %(limit)s
"""
_CHARGED: Final = """
SELECT coalesce(sum(c.amount_pico), 0) AS amount_pico
FROM views.charge_line c WHERE c.period = %(period)s AND [c]
"""


def uses(
    conn: psycopg.Connection[Any], period: str, currency: str, as_of: int | None
) -> Iterator[Used]:
    """What is charged by its time in the period, resource by resource.

    Raises: DomainError preview.too_large.
    """
    asked = {"period": period, "limit": MOST_PIECES + 1}
    found = fetch(conn, _Piece, _PIECES, asked, as_of)
    if len(found) > MOST_PIECES:
        raise DomainError("preview.too_large", "too many intervals", {"most": MOST_PIECES})
    for _, group in groupby(found, key=lambda one: one.resource):
        pieces = list(group)
        one = pieces[0]
        spans = net(
            (piece.start_us, piece.end_us, piece.quantity // (piece.end_us - piece.start_us))
            for piece in pieces
        )
        scope = (one.meter, one.model, one.region, one.state, currency)
        yield Used(one.resource, one.project, scope, one.first_us, spans)


def charged(conn: psycopg.Connection[Any], period: str, as_of: int | None) -> int:
    """What all lines of the period have come to so far, pico."""
    [found] = fetch(conn, _Charged, _CHARGED, {"period": period}, as_of)
    return found.amount_pico
