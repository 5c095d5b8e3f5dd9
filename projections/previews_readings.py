"""What was read in a period, as a preview must price it: each piece between two changes of price.

What is charged says how much, where no change of price lies within. Where one does, and where each
reading names its own region (rating.md section 8), the sealed readings say it.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any, Final

import msgspec
import psycopg
from msgspec import Struct

from domain.charging import READ
from domain.errors import DomainError
from domain.previewing import Read
from domain.rating_readings import rank_of
from domain.reading import WEIGHTED, Reading
from domain.tariff import Scope, Tariff
from evidence.reader import READ_ENTRIES, decode_entry, read_rows
from projections.asof import fetch
from projections.billing_read import Account, Period
from projections.previews_read import MOST_PIECES

_TABLE: Final = "reading"
_SPLIT: Final = frozenset({"sum", WEIGHTED})  # others count where their reading begins
_SAID: Final = ""  # the region of a project whose readings name their own

type _Span = tuple[int, int, int]  # start, end, quantity

_row = msgspec.json.Decoder(Reading).decode


class _Kind(Struct, frozen=True):
    """What is read of one meter and model in a region; how the meter counts."""

    meter: str
    model: str
    region: str
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
    """`account`: who pays for what it says of its project; null for a node."""

    source: str
    account: str | None


class _Run(Struct, frozen=True):
    source: str
    first_row: int
    count: int


# A runtime is in the region in which its node stood; a project in none, or as each reading says.
_STOOD: Final = """
LEFT JOIN views.runtime_place q ON q.runtime = c.resource AND [q]
LEFT JOIN views.node_region i ON i.node = q.node AND i.from_position < q.from_position
  AND (i.to_position IS NULL OR i.to_position > q.from_position)
CROSS JOIN LATERAL (SELECT CASE WHEN q.runtime IS NULL AND n.dimensions @> '["region"]' THEN ''
  ELSE coalesce(i.region, '-') END AS region) g
"""
_KINDS: Final = """
SELECT DISTINCT l.meter, l.model, g.region, n.aggregation FROM views.charge_line c
JOIN views.price l ON l.from_position = c.price AND l.kind = 'entry' AND l.state = 'read'
JOIN views.meter n ON n.meter = l.meter AND n.source = 'readings' AND [n] [stood]
WHERE c.period = %(period)s AND [c] ORDER BY 1, 2, 3
""".replace("[stood]", _STOOD)
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
  JOIN views.meter n ON n.meter = l.meter AND n.source = 'readings' AND [n]
  LEFT JOIN views.runtime r ON r.runtime = u.resource AND [r]
  LEFT JOIN views.project p ON p.project = u.resource AND [p] [stood]
  WHERE c.period = %(period)s AND [c] AND l.meter = %(meter)s AND l.model = %(model)s
    AND g.region = %(region)s)
""".replace("[stood]", _STOOD)
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
SELECT s.source, (SELECT o.account FROM views.project_place o WHERE o.project = s.project
  AND o.from_position < s.from_position ORDER BY o.from_position DESC LIMIT 1) AS account
FROM views.source s WHERE s.project = ANY (%(projects)s)
UNION SELECT q.node, NULL FROM views.runtime_place q WHERE q.runtime = ANY (%(resources)s)
"""
_RUNS: Final = """
SELECT n.source, n.first_row, n.last - n.first + 1 AS count FROM views.reading_run n
WHERE n.source = ANY (%(sources)s)
  AND hashtextextended(n.source, 0) IN (SELECT hashtextextended(x, 0) FROM unnest(%(sources)s) x)
  AND [n] ORDER BY n.first_row
"""


def read(
    conn: psycopg.Connection[Any],
    tariff: Tariff,
    owner: Account,
    period: Period,
    as_of: int | None,
) -> Iterator[Read]:
    """What is charged of readings in the period, each piece between two changes of price.

    Raises: DomainError preview.too_large.
    """

    def ends(scope: Scope) -> list[int]:
        changes, _ = tariff.schedule(owner.account, scope)
        cuts = (at for at in changes if period.start_us < at < period.end_us)
        return [period.start_us, *cuts, period.end_us]

    for kind in fetch(conn, _Kind, _KINDS, {"period": period.period}, as_of):
        scope: Scope = (kind.meter, kind.model, kind.region, READ, owner.currency)
        said = kind.region == _SAID
        known = [period.start_us, period.end_us] if said else ends(scope)
        asked = {
            "period": period.period, "meter": kind.meter, "model": kind.model,
            "region": kind.region, "cuts": known[:-1], "split": kind.aggregation in _SPLIT,
        }  # fmt: skip
        told = fetch(conn, _Told, _TOLD, asked, as_of)
        found = {one.resource: one.project for one in told}
        if said or (len(known) > 2 and not asked["split"]):
            of = (owner.account, kind.meter, kind.model)
            rows = _rows(conn, of, found, as_of)
            for one, piece in _counted(rows, kind.aggregation, scope, ends, said=said):
                where = (scope[0], scope[1], one.region, *scope[3:]) if said else scope
                yield Read(one.resource, found[one.resource], where, (piece,))
            continue
        for line in told:
            whole = (line.start_us, line.end_us, line.quantity)
            yield Read(line.resource, line.project, scope, (whole,))
        if len(known) > 2:
            for sealed in fetch(conn, _Sealed, _ON_BOTH_SIDES, asked, as_of):
                pieces = _sealed(conn, sealed, known, kind.aggregation)
                yield Read(sealed.resource, sealed.project, scope, tuple(pieces))


def _rows(
    conn: psycopg.Connection[Any],
    of: tuple[str, str, str],
    projects: dict[str, str],
    as_of: int | None,
) -> Iterator[Reading]:
    """All readings of the resources (with their projects) that the account pays: of (account,
    meter, model). What a source says of its project is paid by the account which that had then.

    Raises: DomainError preview.too_large.
    """
    account, meter, model = of
    asked = {"resources": list(projects), "projects": list(set(projects.values()))}
    payers = {one.source: one.account for one in fetch(conn, _Source, _SOURCES, asked, as_of)}
    left = MOST_PIECES
    for run in fetch(conn, _Run, _RUNS, {"sources": list(payers)}, as_of):
        left -= run.count
        if left < 0:
            raise DomainError("preview.too_large", "too many readings", {"most": MOST_PIECES})
        for _, row in read_rows(conn, _TABLE, run.first_row, run.count):
            one = _row(row)
            if one.resource not in projects or (one.meter, one.model) != (meter, model):
                continue
            if projects[one.resource] != one.resource or payers[run.source] == account:
                yield one


def _counted(
    rows: Iterable[Reading],
    aggregation: str,
    scope: Scope,
    ends: Callable[[Scope], list[int]],
    *,
    said: bool,
) -> Iterator[tuple[Reading, _Span]]:
    """Of sums and levels each with the pieces that lie in the period, of others the one that stands
    for its group.
    """
    best: dict[tuple[str, str], tuple[tuple[int, ...], Reading, _Span]] = {}
    places: dict[str, list[int]] = {}
    for one in rows:
        region = one.region if said else scope[2]
        known = places.get(region)
        if known is None:
            known = places[region] = ends((scope[0], scope[1], region, *scope[3:]))
        for piece in _pieces(one, known, aggregation):
            if aggregation in _SPLIT:
                yield one, piece
                continue
            group, rank = (one.resource, one.dimensions), rank_of(aggregation, one)
            if group not in best or rank > best[group][0]:
                best[group] = rank, one, piece
    for _, one, piece in best.values():
        yield one, piece


def _sealed(
    conn: psycopg.Connection[Any], sealed: _Sealed, ends: list[int], aggregation: str
) -> Iterator[_Span]:
    """The seal's own readings of it, of the period, cut at each change; none of a re-rating."""
    [(_, raw)] = conn.execute(
        READ_ENTRIES, {"first": sealed.seal, "limit": 1}, binary=True
    ).fetchall()
    fact: Any = decode_entry(raw).fact
    if getattr(fact, "table", "") != _TABLE:
        return
    for _, row in read_rows(conn, _TABLE, fact.first_row, fact.count):
        one = _row(row)
        if (one.resource, one.meter, one.model) == (sealed.resource, sealed.meter, sealed.model):
            yield from _pieces(one, ends, aggregation)


def _pieces(one: Reading, ends: list[int], aggregation: str) -> Iterator[_Span]:
    """What of it lies in the period; a level cut at each change."""
    if aggregation != WEIGHTED:
        if ends[0] <= one.from_us < ends[-1]:
            yield one.from_us, max(one.to_us, one.from_us + 1), one.quantity
        return
    for start, end in pairwise(ends):
        since, until = max(start, one.from_us), min(end, one.to_us)
        if since < until:
            yield since, until, one.quantity * (until - since)
