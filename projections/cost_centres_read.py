"""Questions about cost centres: which there are, whose projects are, and what each is charged."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, LiteralString

import psycopg
from msgspec import Struct

from domain.apportionment import pieces, shared
from domain.attribution import NONE
from projections import billing_read
from projections.asof import fetch, fetch_rows
from projections.attribution_read import LineKey, lines_of
from projections.reach import Of


class CostCentre(Struct, frozen=True):
    cost_centre: str
    from_position: int
    version: int
    organization: str
    department: str
    name: str | None
    state: str
    created_us: int


class Attribution(Struct, frozen=True):
    project: str
    from_position: int
    organization: str
    cost_centre: str
    since_us: int
    version: int


class Charge(Struct, frozen=True):
    """Of one project while it was attributed to the cost centre; None: to none."""

    cost_centre: str | None
    organization: str
    account: str
    project: str
    currency: str
    amount_pico: int


_PAGE: Final = """
  AND t.from_position > %(after)s ORDER BY t.from_position LIMIT %(limit)s
"""
_CENTRES: Final[LiteralString] = (
    """
SELECT t.cost_centre, t.from_position, s.version, t.organization, t.department, w.words AS name,
  s.state, t.created_us
FROM views.cost_centre t
JOIN views.cost_centre_state s ON s.cost_centre = t.cost_centre AND [s]
JOIN views.cost_centre_name n ON n.cost_centre = t.cost_centre AND [n]
[words w n.name]
WHERE [t] AND (%(organization)s::text IS NULL OR t.organization = %(organization)s)
  AND [reach t.organization]
  AND (%(department)s::text IS NULL OR t.department = %(department)s)
  AND (%(state)s::text IS NULL OR s.state = %(state)s)
"""
    + _PAGE
)
_ATTRIBUTIONS: Final[LiteralString] = (
    """
SELECT t.project, t.from_position, t.organization, t.cost_centre, t.since_us, t.version
FROM views.attribution t
WHERE [t] AND t.cost_centre <> ''
  AND (%(organization)s::text IS NULL OR t.organization = %(organization)s)
  AND [reach t.project]
  AND (%(project)s::text IS NULL OR t.project = %(project)s)
  AND (%(cost_centre)s::text IS NULL OR t.cost_centre = %(cost_centre)s)
"""
    + _PAGE
)
_HISTORY: Final = """
SELECT t.project, t.from_position, t.organization, t.cost_centre, t.since_us, t.version
FROM views.attribution t
WHERE t.organization = ANY (%(organizations)s)
  AND (%(as_of)s::bigint IS NULL OR t.from_position <= %(as_of)s)
ORDER BY t.project, t.since_us, t.from_position
"""
_ATTRIBUTED_TO: Final = """
SELECT t.project FROM views.attribution t WHERE t.cost_centre = %(cost_centre)s AND [t]
"""
_NAMES: Final = """
SELECT t.cost_centre, w.words FROM views.cost_centre t
JOIN views.cost_centre_name n ON n.cost_centre = t.cost_centre AND [n]
[words w n.name]
WHERE t.organization = %(organization)s AND [t]
"""
_USED: Final = """
SELECT u.resource, u.price, u.period, u.start_us, u.end_us, u.sign * u.quantity
FROM views.rated_interval u WHERE u.resource = ANY (%(resources)s) AND [u]
ORDER BY u.resource, u.price, u.period, u.start_us, u."row"
"""

type _Use = tuple[int, int, int]  # from, until, quantity (below 0: taken back)
type _Where = Sequence[Attribution]  # of one project, in order of time


def cost_centres(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    department: str | None = None,
    state: str | None = None,
    after: int,
    limit: int,
    as_of: int | None = None,
) -> list[CostCentre]:
    asked = {"organization": organization, "department": department, "state": state}
    return fetch(conn, CostCentre, _CENTRES, {**asked, "after": after, "limit": limit}, as_of)


def attributions(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    project: str | None = None,
    cost_centre: str | None = None,
    after: int,
    limit: int,
    as_of: int | None = None,
) -> list[Attribution]:
    """Of projects that have a cost centre."""
    asked = {"organization": organization, "project": project, "cost_centre": cost_centre}
    found = {**asked, "after": after, "limit": limit}
    return fetch(conn, Attribution, _ATTRIBUTIONS, found, as_of)


def attributed_to(conn: psycopg.Connection[Any], cost_centre: str) -> list[str]:
    """Every project that has it now, as far as the views know."""
    asked = {"cost_centre": cost_centre}
    return [project for (project,) in fetch_rows(conn, _ATTRIBUTED_TO, asked)]


def names(
    conn: psycopg.Connection[Any], organization: str, as_of: int | None = None
) -> dict[str, str | None]:
    """By cost centre of the organization; null once erased."""
    return dict(fetch_rows(conn, _NAMES, {"organization": organization}, as_of))


def charges(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    cost_centre: str | None = None,
    as_of: int | None = None,
    **asked: Any,
) -> list[Charge]:
    """What `billing_read.usage` sums, by the cost centre that each project had at the time of its
    use: all of them, and what has none, add up to it.
    """
    rows = billing_read.usage(conn, organization=organization, as_of=as_of, **asked)
    where = history(conn, {row.organization for row in rows}, as_of)
    cut = {row.project for row in rows if len(_spans(where, row)) > 1}
    parts = _parts(conn, cut, where, as_of) if cut else {}
    sums: dict[tuple[str, str, str, str, str], int] = {}
    for row in rows:
        spans = _spans(where, row)
        whole = {spans[0]: row.amount_pico}
        mine = parts[row.project, row.price, row.period] if len(spans) > 1 else whole
        for name, amount in mine.items():
            key = (name, row.organization, row.account, row.project, row.currency)
            sums[key] = sums.get(key, 0) + amount
    return [
        Charge(name or None, org, account, project, currency, amount)
        for (name, org, account, project, currency), amount in sorted(sums.items())
        if cost_centre in (None, name)
    ]


def history(
    conn: psycopg.Connection[Any], organizations: Iterable[str], as_of: int | None
) -> dict[str, list[Attribution]]:
    """By project, in order of time."""
    found: dict[str, list[Attribution]] = {}
    of = {"organizations": sorted(organizations)}
    for one in fetch(conn, Attribution, _HISTORY, of, as_of):
        found.setdefault(one.project, []).append(one)
    return found


def _spans(where: dict[str, list[Attribution]], row: billing_read.Usage) -> list[str]:
    """The cost centres that the project had during the row's period, in order of time."""
    mine = where.get(row.project, ())
    before = [one.cost_centre for one in mine if one.since_us <= row.start_us]
    within = [one.cost_centre for one in mine if row.start_us < one.since_us < row.end_us]
    return [before[-1] if before else NONE, *within]


def _parts(
    conn: psycopg.Connection[Any],
    projects: Iterable[str],
    where: dict[str, list[Attribution]],
    as_of: int | None,
) -> dict[LineKey, dict[str, int]]:
    """By project, price and service period: the amount of each cost centre."""
    lines = lines_of(conn, projects, as_of)
    used: dict[LineKey, list[_Use]] = {}
    asked = {"resources": sorted({one.resource for one in lines})}
    for resource, price, period, *use in fetch_rows(conn, _USED, asked, as_of):
        used.setdefault((resource, price, period), []).append((use[0], use[1], use[2]))
    found: dict[LineKey, dict[str, int]] = {}
    for one in lines:
        mine = where[one.project]
        of = _quantities(used.get((one.resource, one.price, one.period), ()), mine)
        names = [NONE, *(each.cost_centre for each in mine)]
        sums = found.setdefault((one.project, one.price, one.period), {})
        for index, amount in zip(of, shared(one.amount_pico, [*of.values()]), strict=True):
            sums[names[index]] = sums.get(names[index], 0) + amount
    return found


def _quantities(used: Iterable[_Use], mine: _Where) -> dict[int, int]:
    """What was used before the first attribution (0), and during each, in order of time: what lasts
    across an instant at which it changes is divided there by time.
    """
    marks = [one.since_us for one in mine]
    found: dict[int, int] = {}
    for use in used:
        for one in pieces(*use, marks):
            found[one.index] = found.get(one.index, 0) + one.quantity
    return dict(sorted(found.items())) or {0: 0}
