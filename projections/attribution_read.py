"""Whose a charge was: the department that its project was in at the time (rating.md section 14)."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import psycopg
from msgspec import Struct
from msgspec.structs import replace

from domain.apportionment import shared
from projections import billing_read
from projections.asof import fetch, fetch_rows
from projections.billing_read import Usage
from projections.exporting.lines import Line, Lines, lines, page_end
from projections.reach import Of


class Place(Struct, frozen=True):
    project: str
    department: str
    account: str
    since_us: int


class Part(Struct, frozen=True):
    """What of a line was used while its project was in the department, in order of time.

    `department` None: it never moved.
    """

    department: str | None
    quantity: int
    start_us: int | None
    end_us: int | None
    cost_centre: str | None = None


_PAGE: Final = 16_000  # resources at a time
_NO_LIMIT: Final = 2**62  # as of now

type LineKey = tuple[str, int, str]  # resource, price, service period

_PLACES: Final = """
SELECT e.project, e.department, e.account, e.since_us FROM views.project_place e
WHERE e.organization = %(organization)s
  AND (%(as_of)s::bigint IS NULL OR e.from_position <= %(as_of)s)
ORDER BY e.project, e.since_us
"""
_PARTS: Final = """
SELECT u.resource, u.price, u.period, d.department, sum(u.sign * u.quantity)::text,
  (min(u.start_us) FILTER (WHERE u.quantity > 0))::bigint,
  (max(u.end_us) FILTER (WHERE u.quantity > 0))::bigint
FROM views.rated_interval u
LEFT JOIN views.runtime r ON r.runtime = u.resource AND [r]
LEFT JOIN views.volume o ON o.volume = u.resource AND [o]
LEFT JOIN views.reservation s ON s.reservation = u.resource AND [s]
CROSS JOIN LATERAL (SELECT e.since_us, e.department FROM views.project_place e
  WHERE e.project = coalesce(r.project, o.project, s.project, u.resource)
    AND e.since_us <= u.start_us
    AND (%(as_of)s::bigint IS NULL OR e.from_position <= %(as_of)s)
  ORDER BY e.since_us DESC LIMIT 1) d
WHERE u.resource = ANY (%(resources)s) AND [u]
  AND (%(booked)s::text IS NULL OR u.booked = %(booked)s)
GROUP BY u.resource, u.price, u.period, d.since_us, d.department
ORDER BY u.resource, u.price, u.period, d.since_us
"""


def places(
    conn: psycopg.Connection[Any], organization: str, as_of: int | None = None
) -> dict[str, list[Place]]:
    """By project of an organization, where it was, in order of time."""
    found: dict[str, list[Place]] = {}
    for one in fetch(conn, Place, _PLACES, {"organization": organization}, as_of):
        found.setdefault(one.project, []).append(one)
    return found


def parts(
    conn: psycopg.Connection[Any],
    resources: Iterable[str],
    booked: str | None,
    as_of: int | None = None,
) -> dict[LineKey, list[Part]]:
    """Of each line of these resources (as far as it is booked in that period), whose it was."""
    asked = {"resources": sorted(set(resources)), "booked": booked}
    found: dict[LineKey, list[Part]] = {}
    for resource, price, period, *rest in fetch_rows(conn, _PARTS, asked, as_of):
        department, quantity, start_us, end_us = rest
        part = Part(department, int(quantity), start_us, end_us)
        found.setdefault((resource, price, period), []).append(part)
    return found


def attributed(
    conn: psycopg.Connection[Any],
    charged: Lines,
    where: dict[str, list[Place]],
    booked: str,
    as_of: int | None = None,
) -> Lines:
    """The lines; each of a project that was in several departments in parts that add up to it, in
    order of time, each with its own.
    """
    many = {name for name, found in where.items() if len(found) > 1}
    moved = {line.resource for line in charged if line.project in many} if many else set()
    if not moved:
        return charged
    found = parts(conn, moved, booked, as_of)
    result: list[Line] = []
    for line in charged:
        mine = found.get((line.resource, line.price, line.period))
        result += [line] if mine is None else split(line, mine)
    return Lines.of(result)


def split(line: Line, mine: list[Part]) -> list[Line]:
    """The line in these parts, in order of time; they add up to it."""
    amounts = shared(line.amount_pico, [one.quantity for one in mine])
    return [
        replace(
            line,
            department=one.department,
            cost_centre=one.cost_centre,
            start_us=line.start_us if one.start_us is None else one.start_us,
            end_us=line.end_us if one.end_us is None else one.end_us,
            quantity=one.quantity,
            amount_pico=amount,
        )
        for one, amount in zip(mine, amounts, strict=True)
        if one.quantity or amount
    ]


def by_department(
    conn: psycopg.Connection[Any], organization: str, booked: str, as_of: int | None = None
) -> dict[tuple[str | None, str], int]:
    """By (department, project), in order: pico of what is booked in the period, all of it."""
    where = places(conn, organization, as_of)

    def whose(line: Line) -> str | None:
        stayed = where[line.project][0].department if line.project in where else None
        return line.department or stayed

    def page(rows: Lines, size: int) -> Lines:
        return attributed(conn, rows, where, booked, size)

    return summed(conn, booked, as_of, page, whose)


def summed(
    conn: psycopg.Connection[Any],
    booked: str,
    as_of: int | None,
    page: Callable[[Lines, int], Lines],
    whose: Callable[[Line], str | None],
) -> dict[tuple[str | None, str], int]:
    """By (whose it is, project), in order: pico of what is booked in the period, all of it; `page`
    divides lines (as of a position) so that each is somebody's.
    """
    found = dict[tuple[str | None, str], int]()
    size = _NO_LIMIT if as_of is None else as_of
    after: str | None = ""
    while after is not None:
        last = page_end(conn, booked, after, _PAGE, size)
        if last is not None:
            for line in page(lines(conn, booked, after, last, size), size):
                key = (whose(line), line.project)
                found[key] = found.get(key, 0) + line.amount_pico
        after = last
    return dict(sorted(found.items(), key=lambda one: (one[0][0] or "", one[0][1])))


class Charged(Struct, frozen=True):
    project: str
    resource: str
    price: int
    period: str
    amount_pico: int


_COUNTED: Final = ("runtimes", "volumes", "reservations")
_SUMMED: Final = ("quantity", "amount_pico")
_CHARGED: Final = """
SELECT s.project, c.resource, c.price, c.period, c.amount_pico FROM (
  SELECT r.project, r.runtime AS resource FROM views.runtime r
  WHERE [r] AND r.project = ANY (%(projects)s)
  UNION ALL
  SELECT o.project, o.volume FROM views.volume o WHERE [o] AND o.project = ANY (%(projects)s)
  UNION ALL
  SELECT e.project, e.reservation FROM views.reservation e
  WHERE [e] AND e.project = ANY (%(projects)s)
  UNION ALL
  SELECT q.project, q.project FROM views.project q WHERE [q] AND q.project = ANY (%(projects)s)) s
JOIN views.charge_line c ON c.resource = s.resource AND [c]
"""


def lines_of(
    conn: psycopg.Connection[Any], projects: Iterable[str], as_of: int | None = None
) -> list[Charged]:
    """Every line of what is in these projects."""
    return fetch(conn, Charged, _CHARGED, {"projects": sorted(projects)}, as_of)


def usage(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    department: str | None = None,
    as_of: int | None = None,
    **asked: Any,
) -> list[Usage]:
    """As `billing_read.usage`, by department as well: of each project that moved, a row for each
    that it was in; the rows of a project add up to what it was charged.
    """
    rows = billing_read.usage(conn, organization=organization, as_of=as_of, **asked)
    where: dict[str, list[Place]] = {}
    for name in {row.organization for row in rows}:
        where |= places(conn, name, as_of)
    moved = {row.project for row in rows if len(where.get(row.project, ())) > 1}
    shares = _shares(conn, moved, as_of) if moved else {}
    found: list[Usage] = []
    for row in rows:
        mine = shares.get((row.project, row.price, row.period))
        if mine is not None:
            found += [replace(row, department=name, **of) for name, of in mine.items()]
        elif row.project in where:
            found.append(replace(row, department=where[row.project][0].department))
        else:
            found.append(row)
    return [row for row in found if department is None or row.department == department]


def _shares(
    conn: psycopg.Connection[Any], projects: Iterable[str], as_of: int | None
) -> dict[LineKey, dict[str, dict[str, int]]]:
    """By project, price and service period: of each department the fields that are its own."""
    every = lines_of(conn, projects, as_of)
    split = parts(conn, [one.resource for one in every], None, as_of)
    found: dict[LineKey, dict[str, dict[str, int]]] = {}
    for one in every:
        mine = split.get((one.resource, one.price, one.period), [])
        amounts = shared(one.amount_pico, [part.quantity for part in mine])
        of = found.setdefault((one.project, one.price, one.period), {})
        seen: set[str] = set()
        for part, amount in zip(mine, amounts, strict=True):
            assert part.department is not None, "its project moved"
            sums = of.setdefault(part.department, dict.fromkeys((*_COUNTED, *_SUMMED), 0))
            sums["quantity"] += part.quantity
            sums["amount_pico"] += amount
            if part.department not in seen:
                for kind in _COUNTED:
                    sums[kind] += one.resource.startswith(f"{kind[:-1]}-")
                seen.add(part.department)
    return found
