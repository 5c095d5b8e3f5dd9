"""Charge lines by the cost centre, and the department, that their project had at the time."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Final

import psycopg
from msgspec import Struct
from msgspec.structs import replace

from domain.apportionment import pieces
from projections import cost_centres_read
from projections.asof import fetch_rows
from projections.attribution_read import (
    LineKey,
    Part,
    Place,
    attributed,
    places,
    split,
    summed,
)
from projections.exporting.lines import Line, Lines

# Intervals are cut where a project moves, not where its cost centre changes.
_USED: Final = """
SELECT u.resource, u.price, u.period, u.start_us::bigint, u.end_us::bigint, u.quantity, u.sign
FROM views.rated_interval u
WHERE u.resource = ANY (%(resources)s) AND u.booked = %(booked)s AND [u]
ORDER BY u.resource, u.price, u.period, u.start_us, u."row"
"""


class Had(Struct, frozen=True):
    """When a project's cost centre changed, in order; `names`: which one it had before the first of
    these instants, and from each on.
    """

    since_us: Sequence[int]
    names: Sequence[str | None]


class Whose(Struct, frozen=True):
    """Of an organization: by project, where it was in order of time, and which cost centres it had;
    `names` of cost centres, null once erased.
    """

    places: dict[str, list[Place]]
    centres: dict[str, Had]
    names: dict[str, str | None]


_NEVER: Final = Had((), (None,))


def whose(conn: psycopg.Connection[Any], organization: str, as_of: int | None = None) -> Whose:
    history = cost_centres_read.history(conn, [organization], as_of)
    had = {
        project: Had(
            [one.since_us for one in found], [None, *(one.cost_centre or None for one in found)]
        )
        for project, found in history.items()
    }
    names = cost_centres_read.names(conn, organization, as_of)
    return Whose(places(conn, organization, as_of), had, names)


def charged_to(
    conn: psycopg.Connection[Any], charged: Lines, of: Whose, booked: str, as_of: int | None = None
) -> Lines:
    """As `attributed`, each line of one cost centre as well: one that was used while its project
    had several, in a part for each, in order of time; the parts add up to it.
    """
    if not of.centres:
        return attributed(conn, charged, of.places, booked, as_of)
    marked, changed = _marked(charged, of.centres)
    parts: dict[LineKey, list[Part]] = {}
    rest = charged
    if changed:
        parts = _parts(conn, [one for one in charged if one.resource in changed], of, booked, as_of)
        rest = Lines.of([one for one in charged if _key(one) not in parts])
    stayed = attributed(conn, rest, of.places, booked, as_of)
    if stayed is not charged:
        marked, _ = _marked(stayed, of.centres)
    stayed = replace(stayed, cost_centre=marked)
    if not parts:
        return stayed
    mine: dict[LineKey, list[Line]] = {}
    for one in stayed:
        mine.setdefault(_key(one), []).append(one)
    for one in charged:
        if _key(one) in parts:
            mine[_key(one)] = split(one, parts[_key(one)])
    return Lines.of([piece for one in charged for piece in mine.get(_key(one), ())])


def _marked(charged: Lines, centres: dict[str, Had]) -> tuple[list[str | None], set[str]]:
    """Of each line, which cost centre its project had when it began; and the resources of those
    during which that changed.
    """
    names: list[str | None] = []
    changed: set[str] = set()
    for resource, project, start, end in zip(
        charged.resource, charged.project, charged.start_us, charged.end_us, strict=True
    ):
        had = centres.get(project, _NEVER)
        at = bisect_right(had.since_us, start)
        names.append(had.names[at])
        if at < len(had.since_us) and had.since_us[at] < end:
            changed.add(resource)
    return names, changed


def _key(line: Line) -> LineKey:
    return line.resource, line.price, line.period


def _parts(
    conn: psycopg.Connection[Any], those: list[Line], of: Whose, booked: str, as_of: int | None
) -> dict[LineKey, list[Part]]:
    """Of each of these lines, whose it was: by where its project was when what was used of it
    began, and by what was its cost centre meanwhile.
    """
    asked = {"resources": sorted({one.resource for one in those}), "booked": booked}
    used: dict[LineKey, list[tuple[int, int, int, int]]] = {}
    for resource, price, period, *use in fetch_rows(conn, _USED, asked, as_of):
        used.setdefault((resource, price, period), []).append((use[0], use[1], use[2], use[3]))
    return {
        _key(line): _of_line(used[_key(line)], line.project, of)
        for line in those
        if _key(line) in used
    }


def _of_line(uses: Iterable[tuple[int, int, int, int]], project: str, of: Whose) -> list[Part]:
    """Departments first, so that theirs are what they are without cost centres."""
    where, had = of.places.get(project, []), of.centres.get(project, _NEVER)
    moves = [one.since_us for one in where]
    found: dict[tuple[int, int], Part] = {}
    for start, end, quantity, sign in uses:
        place = bisect_right(moves, start) - 1
        department = where[max(place, 0)].department if len(where) > 1 else None
        for one in pieces(start, end, quantity * sign, had.since_us):
            key = place, one.index
            old = found.get(key, Part(department, 0, None, None, had.names[one.index]))
            found[key] = _with(old, one.quantity, (one.start_us, one.end_us), spans=quantity > 0)
    return [part for _, part in sorted(found.items())]


def _with(part: Part, quantity: int, span: tuple[int, int], *, spans: bool) -> Part:
    start, end = part.start_us, part.end_us
    if spans:
        start = span[0] if start is None else min(start, span[0])
        end = span[1] if end is None else max(end, span[1])
    return replace(part, quantity=part.quantity + quantity, start_us=start, end_us=end)


def by_cost_centre(
    conn: psycopg.Connection[Any], organization: str, booked: str, as_of: int | None = None
) -> dict[tuple[str | None, str], int]:
    """By (cost centre, project), in order: pico of what is booked in the period, all of it."""
    of = whose(conn, organization, as_of)

    def page(rows: Lines, size: int) -> Lines:
        return charged_to(conn, rows, of, booked, size)

    return summed(conn, booked, as_of, page, lambda line: line.cost_centre)
