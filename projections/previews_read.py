"""What a period was used for, and what was charged for it: questions of a preview."""

from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import Any, Final

import msgspec
import psycopg
from msgspec import Struct

from domain.errors import DomainError
from domain.previewing import Read, Used, net
from domain.rating_readings import rank_of
from domain.reading import WEIGHTED, Reading
from domain.tariff import REGION, Scope, Tariff
from evidence.reader import READ_ENTRIES, decode_entry, read_rows
from projections.asof import fetch
from projections.billing_read import Account, Period

MOST_PIECES: Final = 500_000  # of one preview
_TABLE: Final = "reading"
_STATE: Final = "read"
_SPLIT: Final = frozenset({"sum", WEIGHTED})  # others count where their reading begins

_row = msgspec.json.Decoder(Reading).decode


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


class _Kind(Struct, frozen=True):
    """What is read of one meter and model; how the meter counts."""

    meter: str
    model: str
    aggregation: str


class _Told(Struct, frozen=True):
    """What is read of a resource between two changes of price."""

    resource: str
    project: str
    meter: str
    model: str
    start_us: int
    end_us: int
    quantity: int


class _Sealed(Struct, frozen=True):
    """A resource, and the seal of readings of it that lie on both sides of a change of price."""

    resource: str
    project: str
    meter: str
    model: str
    seal: int


class _Source(Struct, frozen=True):
    source: str


class _Run(Struct, frozen=True):
    first_row: int
    count: int


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
_KINDS: Final = """
SELECT DISTINCT l.meter, l.model, n.aggregation FROM views.charge_line c
JOIN views.price l ON l.from_position = c.price AND l.kind = 'entry' AND l.state = 'read'
JOIN views.meter n ON n.meter = l.meter AND n.source = 'readings' AND [n]
WHERE c.period = %(period)s AND [c]
"""
# A seal splits when any piece of it lies across a change of price. A re-rating takes away and adds
# the same of the same time, so it leaves nothing on either side.
_OF_READINGS: Final = """
WITH piece AS (
  SELECT u.resource, coalesce(r.project, p.project) AS project, l.meter, l.model, u.cause,
    u.start_us, u.end_us, u.sign * u.quantity AS quantity,
    width_bucket(u.start_us, %(cuts)s::numeric[]) AS since,
    bool_or(%(split)s AND width_bucket(u.start_us, %(cuts)s::numeric[])
      <> width_bucket(u.end_us - 1, %(cuts)s::numeric[]))
      OVER (PARTITION BY u.cause, u.resource) AS splits
  FROM views.charge_line c
  JOIN views.price l ON l.from_position = c.price AND l.kind = 'entry' AND l.state = 'read'
  JOIN views.rated_interval u ON u.resource = c.resource AND u.price = c.price
    AND u.period = c.period AND u.quantity > 0 AND [u]
  LEFT JOIN views.runtime r ON r.runtime = u.resource AND [r]
  LEFT JOIN views.project p ON p.project = u.resource AND [p]
  WHERE c.period = %(period)s AND [c] AND l.meter = %(meter)s AND l.model = %(model)s)
"""
_TOLD: Final = (
    _OF_READINGS
    + """
SELECT resource, project, meter, model, min(start_us) AS start_us, max(end_us) AS end_us,
  sum(quantity) AS quantity
FROM piece WHERE NOT splits GROUP BY 1, 2, 3, 4, since ORDER BY 1, since
"""
)
_ON_BOTH_SIDES: Final = (
    _OF_READINGS
    + """
SELECT DISTINCT resource, project, meter, model, cause AS seal
FROM piece WHERE splits ORDER BY cause, resource
"""
)
# Whoever may have said something of these resources.
_SOURCES: Final = """
SELECT s.source FROM views.source s WHERE s.project = ANY (%(projects)s)
UNION SELECT q.node FROM views.runtime_place q WHERE q.runtime = ANY (%(resources)s)
"""
_RUNS: Final = """
SELECT n.first_row, n.last - n.first + 1 AS count FROM views.reading_run n
WHERE n.source = ANY (%(sources)s)
  AND hashtextextended(n.source, 0) IN (SELECT hashtextextended(x, 0) FROM unnest(%(sources)s) x)
  AND [n] ORDER BY n.first_row
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


def read(
    conn: psycopg.Connection[Any],
    tariff: Tariff,
    owner: Account,
    period: Period,
    as_of: int | None,
) -> Iterator[Read]:
    """What is charged of readings in the period, each piece between two changes of price."""
    for kind in fetch(conn, _Kind, _KINDS, {"period": period.period}, as_of):
        scope: Scope = (kind.meter, kind.model, REGION, _STATE, owner.currency)
        changes, _ = tariff.schedule(owner.account, scope)
        cuts = [at for at in changes if period.start_us < at < period.end_us]
        asked = {
            "period": period.period, "meter": kind.meter, "model": kind.model,
            "cuts": [period.start_us, *cuts], "split": kind.aggregation in _SPLIT,
        }  # fmt: skip
        told = fetch(conn, _Told, _TOLD, asked, as_of)
        ends = [period.start_us, *cuts, period.end_us]
        if cuts and not asked["split"]:
            yield from _standing(conn, told, scope, ends, kind.aggregation, as_of)
            continue
        for one in told:
            piece = (one.start_us, one.end_us, one.quantity)
            yield Read(one.resource, one.project, scope, (piece,))
        if cuts:
            for sealed in fetch(conn, _Sealed, _ON_BOTH_SIDES, asked, as_of):
                pieces = _pieces(conn, sealed, ends, kind.aggregation)
                yield Read(sealed.resource, sealed.project, scope, tuple(pieces))


def _standing(
    conn: psycopg.Connection[Any],
    told: list[_Told],
    scope: Scope,
    ends: list[int],
    aggregation: str,
    as_of: int | None,
) -> Iterator[Read]:
    """Of each group the reading that stands for it: its time says what prices it.

    Raises: DomainError preview.too_large.
    """
    projects = {one.resource: one.project for one in told}
    asked = {"resources": list(projects), "projects": list(set(projects.values()))}
    sources = [one.source for one in fetch(conn, _Source, _SOURCES, asked, as_of)]
    best: dict[tuple[str, str], tuple[tuple[int, ...], Reading]] = {}
    left = MOST_PIECES
    for run in fetch(conn, _Run, _RUNS, {"sources": sources}, as_of):
        left -= run.count
        if left < 0:
            raise DomainError("preview.too_large", "too many readings", {"most": MOST_PIECES})
        for _, row in read_rows(conn, _TABLE, run.first_row, run.count):
            one = _row(row)
            its = one.resource in projects and (one.meter, one.model) == scope[:2]
            if not its or not ends[0] <= one.from_us < ends[-1]:
                continue
            group, rank = (one.resource, one.dimensions), rank_of(aggregation, one)
            if group not in best or rank > best[group][0]:
                best[group] = rank, one
    for _, one in best.values():
        piece = (one.from_us, max(one.to_us, one.from_us + 1), one.quantity)
        yield Read(one.resource, projects[one.resource], scope, (piece,))


def _pieces(
    conn: psycopg.Connection[Any], sealed: _Sealed, ends: list[int], aggregation: str
) -> Iterator[tuple[int, int, int]]:
    """The seal's own readings of it, of the period, cut at each change; none of a re-rating."""
    [(_, raw)] = conn.execute(
        READ_ENTRIES, {"first": sealed.seal, "limit": 1}, binary=True
    ).fetchall()
    fact: Any = decode_entry(raw).fact
    if getattr(fact, "table", "") != _TABLE:
        return
    for _, row in read_rows(conn, _TABLE, fact.first_row, fact.count):
        one = _row(row)
        if (one.resource, one.meter, one.model) != (sealed.resource, sealed.meter, sealed.model):
            continue
        if aggregation != WEIGHTED:
            if ends[0] <= one.from_us < ends[-1]:
                yield one.from_us, max(one.to_us, one.from_us + 1), one.quantity
            continue
        for start, end in pairwise(ends):
            since, until = max(start, one.from_us), min(end, one.to_us)
            if since < until:
                yield since, until, one.quantity * (until - since)
