"""What was charged in a period, charge line by charge line, a page of resources at a time."""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, Self

import psycopg
from msgspec import Struct

from domain.tariff import round_half_even
from projections.asof import PRIVATE_JOIN, fetch, fetch_rows


class Line(Struct, frozen=True, gc=False):
    """One charge line (MONEY.md section 3) as far as it is booked in one period.

    `[start_us, end_us)` spans its intervals (without any: its period); `quantity` in the meter's
    unit and `amount_pico` are signed sums; `list_pico` per `divisor` is what the default price was
    at its start (None: there was none, or another divisor). `cause` is the last position that
    charged something of it, `transfers` the ids of what was posted, as JSON. `name` is null once
    erased. `simulated`: it was on SIMULATED GPUs, by what its node's latest enrolment said.
    `department`: of a project that moved, where it was at the time (`attribution_read`);
    `cost_centre`: that the project had at the time (`centres.py`). `region`: of its price; `stood`:
    that its node stood in when it was placed there (of what is no runtime or volume: of its price),
    `-`: none.
    """

    resource: str
    name: str | None
    project: str
    meter: str
    model: str
    region: str
    state: str
    price: int
    price_pico: int
    divisor: int
    list_pico: int | None
    period: str
    start_us: int
    end_us: int
    quantity: int
    amount_pico: int
    cause: int
    transfers: str
    simulated: bool | None = None
    department: str | None = None
    stood: str = "-"
    cost_centre: str | None = None


_FIELDS: Final = Line.__struct_fields__
_COLUMNS: Final = attrgetter(*_FIELDS)


class Lines(Struct, frozen=True):
    """Lines as columns: what a `Line` has one of, of each line here, in the same order.

    A page of lines is written column by column; a `Line` is made of one only where it is asked for.
    """

    resource: Sequence[str]
    name: Sequence[str | None]
    project: Sequence[str]
    meter: Sequence[str]
    model: Sequence[str]
    region: Sequence[str]
    state: Sequence[str]
    price: Sequence[int]
    price_pico: Sequence[int]
    divisor: Sequence[int]
    list_pico: Sequence[int | None]
    period: Sequence[str]
    start_us: Sequence[int]
    end_us: Sequence[int]
    quantity: Sequence[int]
    amount_pico: Sequence[int]
    cause: Sequence[int]
    transfers: Sequence[str]
    simulated: Sequence[bool | None]
    department: Sequence[str | None]
    stood: Sequence[str]
    cost_centre: Sequence[str | None]

    @classmethod
    def of(cls, lines: Sequence[Line]) -> Self:
        columns = zip(*map(_COLUMNS, lines), strict=True) if lines else ((),) * len(_FIELDS)
        return cls(*columns)

    def __len__(self) -> int:
        return len(self.resource)

    def __getitem__(self, index: int) -> Line:
        return Line(*[column[index] for column in _COLUMNS(self)])

    def __iter__(self) -> Iterator[Line]:
        return map(Line, *_COLUMNS(self))


class Beside(Struct, frozen=True):
    """What an invoice or a credit note has beside charge lines: one transfer.

    `kind`: `rounding`, `tax`, `credit`, `credit_rounding` or `credit_tax` (rating.md sections 5 and
    11); `document`: the credit note's number, None: the invoice's; `amount_pico` < 0 gives back.
    """

    id: str
    kind: str
    document: str | None
    amount_pico: int
    cause: int
    invoice: str | None = None  # that the credit note takes from
    credit_note: str | None = None
    price: int | None = None
    period: str = ""
    currency: str = ""
    project: str | None = None  # whose line a credit note's line takes from


# Intervals and what was posted for them, each in the order of its index and merged: neither is
# sorted nor looked up. Lines of quantity 0 and amount 0 vanish (rating.md, section 6).
_LINES: Final = """
SELECT e.resource, e.price, e.period, e.start_us, e.end_us, e.quantity::text,
  coalesce(a.amount_pico, 0)::text, e.cause, coalesce(a.transfers, '[]')
FROM (
  SELECT u.resource, u.meter, u.price, u.period, max(u.cause) AS cause,
    min(CASE WHEN u.quantity > 0 THEN u.start_us::bigint END) AS start_us,
    max(CASE WHEN u.quantity > 0 THEN u.end_us::bigint END) AS end_us,
    sum(CASE WHEN u.sign < 0 THEN -u.quantity ELSE u.quantity END) AS quantity
  FROM views.rated_interval u
  WHERE u.booked = %(booked)s AND [u] AND u.resource > %(after)s AND u.resource <= %(last)s
  GROUP BY 1, 2, 3, 4) e
LEFT JOIN (
  SELECT t.resource, t.meter, t.price, t.period,
    '["' || string_agg(t.id, '","' ORDER BY t."row") || '"]' AS transfers,
    sum(CASE WHEN t.debit = 'unbilled' THEN t.amount_pico ELSE -t.amount_pico END) AS amount_pico
  FROM views.transfer t
  WHERE t.booked = %(booked)s AND t.kind = 'charge' AND [t]
    AND t.resource > %(after)s AND t.resource <= %(last)s
  GROUP BY 1, 2, 3, 4) a USING (resource, meter, price, period)
WHERE e.quantity <> 0 OR coalesce(a.amount_pico, 0) <> 0
ORDER BY e.resource, e.meter, e.price, e.period
"""
# What a price entry says of all its lines.
_ENTRIES: Final = """
SELECT l.from_position, l.account, l.meter, l.model, l.region, l.state, l.price_pico, l.divisor
FROM views.price l WHERE l.from_position = ANY(%(prices)s)
"""
# The default prices beside an account's own, of whatever region, the latest first.
_LISTED: Final = """
SELECT l.from_position AS price, x.from_position, x.effective_from_us::bigint AS from_us, x.region,
  CASE WHEN x.divisor = l.divisor THEN x.price_pico END AS price_pico
FROM views.price l
JOIN views.price x ON x.account = 'default' AND x.meter = l.meter AND x.model = l.model
  AND x.state = l.state AND x.currency = l.currency
WHERE l.from_position = ANY(%(prices)s) AND l.account <> 'default'
  AND x.kind = 'entry' AND x.named = '-' AND x.published_us <= x.effective_from_us
ORDER BY l.from_position, x.effective_from_us DESC
"""
_PERIODS: Final = """
SELECT d.period, d.start_us::bigint, d.end_us::bigint FROM views.period d
WHERE d.period = ANY(%(periods)s) AND [d]
"""
# Of resources in the order of an index, wherever they lie: one walk along it. They come out of a
# SELECT, so that the planner does not weigh each of them: of millions a page is a sliver, which it
# does not always believe. An id has no comma.
_THOSE: Final = "ANY((SELECT string_to_array(%(resources)s, ','))::text[])"
_WORDS: Final = PRIVATE_JOIN.replace("{p}", "w")
_RUNTIMES: Final = """
SELECT r.runtime, w.words, r.project FROM views.runtime r {words}
WHERE r.runtime = {those} AND [r]
""".replace("{words}", _WORDS.replace("{n}", "r.name")).replace("{those}", _THOSE)
_VOLUMES: Final = """
SELECT o.volume, w.words, o.project FROM views.volume o {words}
WHERE o.volume = {those} AND [o]
""".replace("{words}", _WORDS.replace("{n}", "o.name")).replace("{those}", _THOSE)
_RESERVATIONS: Final = """
SELECT e.reservation, NULL, e.project FROM views.reservation e
WHERE e.reservation = {those} AND [e]
""".replace("{those}", _THOSE)
_PROJECTS: Final = """
SELECT p.stream, w.words, p.stream FROM views.tenancy_name p {words}
WHERE p.stream = {those} AND [p]
""".replace("{words}", _WORDS.replace("{n}", "p.name")).replace("{those}", _THOSE)
# Which of them were on SIMULATED GPUs, and which were not, by their node's enrolment of that time;
# and in which region it stood then.
_RUNTIMES_ON: Final = """
SELECT i.simulated, coalesce(e.region, '-'), string_agg(q.runtime, ',') FROM views.runtime_place q
JOIN views.node_identity i ON i.node = q.node AND i.from_position <= q.from_position
  AND (i.to_position IS NULL OR i.to_position > q.from_position)
LEFT JOIN views.node_region e ON e.node = q.node AND e.from_position <= q.from_position
  AND (e.to_position IS NULL OR e.to_position > q.from_position)
WHERE q.runtime = {those} AND [q] GROUP BY 1, 2
""".replace("{those}", _THOSE)
_VOLUMES_ON: Final = """
SELECT i.simulated, coalesce(e.region, '-'), string_agg(o.volume, ',') FROM views.volume o
JOIN views.node_identity i ON i.node = o.node AND i.from_position <= o.from_position
  AND (i.to_position IS NULL OR i.to_position > o.from_position)
LEFT JOIN views.node_region e ON e.node = o.node AND e.from_position <= o.from_position
  AND (e.to_position IS NULL OR e.to_position > o.from_position)
WHERE o.volume = {those} AND [o] GROUP BY 1, 2
""".replace("{those}", _THOSE)
# One on several nodes is on SIMULATED GPUs if one of them has such; in the region of all, if any.
_RESERVATIONS_ON: Final = """
SELECT s.simulated, s.region, string_agg(s.reservation, ',') FROM (
  SELECT e.reservation, bool_or(i.simulated) AS simulated,
    CASE WHEN count(DISTINCT coalesce(b.region, '-')) = 1 THEN min(coalesce(b.region, '-'))
      ELSE '-' END AS region
  FROM views.reservation e
  JOIN views.node_identity i ON i.node = ANY (ARRAY(SELECT jsonb_array_elements_text(e.nodes)))
    AND i.from_position <= e.from_position
    AND (i.to_position IS NULL OR i.to_position > e.from_position)
  LEFT JOIN views.node_region b ON b.node = i.node AND b.from_position <= e.from_position
    AND (b.to_position IS NULL OR b.to_position > e.from_position)
  WHERE e.reservation = {those} AND [e] GROUP BY 1) s
GROUP BY 1, 2
""".replace("{those}", _THOSE)
_LOOKED_UP: Final = (
    ("runtime-", _RUNTIMES, _RUNTIMES_ON),
    ("volume-", _VOLUMES, _VOLUMES_ON),
    ("reservation-", _RESERVATIONS, _RESERVATIONS_ON),
    ("project-", _PROJECTS, None),
)
_LAST: Final = """
SELECT max(c.resource) AS resource FROM (
  SELECT DISTINCT u.resource FROM views.rated_interval u
  WHERE u.booked = %(booked)s AND [u] AND u.resource > %(after)s
  ORDER BY u.resource LIMIT %(limit)s) c
"""
_BESIDE: Final = """
SELECT t.id, t.kind, n.number AS document, t.cause, n.invoice, n.credit_note, t.price, t.period,
  t.currency,
  CASE WHEN t.debit = 'receivable' THEN t.amount_pico ELSE -t.amount_pico END AS amount_pico
FROM views.transfer t LEFT JOIN views.credit_note n ON n.credit_note = t.resource
  AND hashtextextended(n.credit_note, 0) = hashtextextended(t.resource, 0) AND [n]
WHERE t.booked = %(booked)s
  AND t.kind IN ('rounding', 'tax', 'credit', 'credit_rounding', 'credit_tax') AND [t]
ORDER BY t."row"
"""


class _Last(Struct, frozen=True):
    resource: str | None


class Entry(Struct, frozen=True):
    """What a price entry says of all its lines; of tiers, `price_pico` is the first."""

    from_position: int
    account: str
    meter: str
    model: str
    region: str
    state: str
    price_pico: int
    divisor: int


class _Listed(Struct, frozen=True):
    """A default price of what the entry `price` prices, since `from_us`."""

    price: int
    from_position: int
    from_us: int
    region: str
    price_pico: int | None


# A resource's name, its project, whether it was on SIMULATED GPUs, its region.
type _Thing = tuple[str | None, str, bool | None, str | None]
_NOTHING: Final[_Thing] = (None, "-", None, None)


def page_end(
    conn: psycopg.Connection[Any], booked: str, after: str, limit: int, as_of: int
) -> str | None:
    """The last of up to `limit` resources charged in the period, after the resource `after`; None:
    there are no more.
    """
    asked = {"booked": booked, "after": after, "limit": limit}
    return fetch(conn, _Last, _LAST, asked, as_of)[0].resource


def lines(conn: psycopg.Connection[Any], booked: str, after: str, last: str, as_of: int) -> Lines:
    """The lines of the resources after `after` up to `last`, that one included.

    Complete lines only, in order of resource, meter, price and service period.
    """
    asked = {"booked": booked, "after": after, "last": last}
    rows = fetch_rows(conn, _LINES, asked, as_of)
    if not rows:
        return Lines.of([])
    resources, prices, periods, starts, ends, measured, posted, causes, transfers = zip(
        *rows, strict=True
    )
    things = _things(conn, list(dict.fromkeys(resources)), as_of)
    names, projects, simulated, regions = zip(
        *[things.get(one, _NOTHING) for one in resources], strict=True
    )
    known = {"prices": list(set(prices))}
    found = {one.from_position: one for one in fetch(conn, Entry, _ENTRIES, known)}
    entries = [found[price] for price in prices]
    stood = [
        entry.region if region is None else region
        for entry, region in zip(entries, regions, strict=True)
    ]
    quantities, amounts = list(map(int, measured)), list(map(int, posted))
    units = list(map(unit_price, entries, quantities, amounts))
    if None in starts:
        asked_of = {"periods": list(set(periods))}
        spans = {name: span for name, *span in fetch_rows(conn, _PERIODS, asked_of, as_of)}
        pairs = zip(periods, starts, ends, strict=True)
        starts, ends = zip(
            *[spans[of] if start is None else (start, end) for of, start, end in pairs],
            strict=True,
        )
    return Lines(
        resources, names, projects,
        [one.meter for one in entries], [one.model for one in entries],
        [one.region for one in entries], [one.state for one in entries],
        prices, units, [one.divisor for one in entries],
        _listed(conn, entries, units, (stood, starts, causes)), periods, starts, ends, quantities,
        amounts, causes, transfers, simulated, (None,) * len(rows), stood,
        (None,) * len(rows),
    )  # fmt: skip


def _things(conn: psycopg.Connection[Any], resources: list[str], as_of: int) -> dict[str, _Thing]:
    """By id, those that are runtimes, volumes or projects. An id begins with what it is of."""
    found: dict[str, _Thing] = {}
    for kind, things, places in _LOOKED_UP:
        those = [one for one in resources if one.startswith(kind)]
        if those:
            asked = {"resources": ",".join(those)}
            on: dict[str, tuple[bool, str]] = {}
            for *stood, placed in fetch_rows(conn, places, asked, as_of) if places else ():
                on |= dict.fromkeys(placed.split(","), (stood[0], stood[1]))
            for name, words, project in fetch_rows(conn, things, asked, as_of):
                found[name] = (words, project, *on.get(name, (None, None)))
    return found


def _listed(
    conn: psycopg.Connection[Any],
    entries: Sequence[Entry],
    units: Sequence[int],
    at: tuple[Sequence[str], Sequence[int], Sequence[int]],
) -> Sequence[int | None]:
    """What the default price of each line was: its own unit price, unless the account has one.

    `at`: regions, starts and causes.
    """
    own = {one.from_position for one in set(entries) if one.account != "default"}
    if not own:
        return units
    listed: dict[int, list[_Listed]] = {}
    for found in fetch(conn, _Listed, _LISTED, {"prices": list(own)}):
        listed.setdefault(found.price, []).append(found)
    return [
        _list_price(listed.get(one.from_position, []), *when) if one.from_position in own else unit
        for one, unit, when in zip(entries, units, zip(*at, strict=True), strict=True)
    ]


def _list_price(listed: list[_Listed], region: str, start_us: int, cause: int) -> int | None:
    """The latest default price at that time that was published before the position; of the region
    where there is one, else of none (rating.md section 16).
    """
    for where in dict.fromkeys((region, "-")):
        for one in listed:
            if one.region == where and one.from_us <= start_us and one.from_position < cause:
                return one.price_pico
    return None


def unit_price(entry: Entry, quantity: int, amount: int) -> int:
    """What `divisor` units of the line cost: the entry's price, or, where tiers, free units or a
    commitment made another amount of it, what they came to on average.
    """
    # A part of a line that was rounded as a whole is off by one at most.
    if abs(quantity * entry.price_pico - amount * entry.divisor) <= entry.divisor or not quantity:
        return entry.price_pico
    if abs(round_half_even(quantity * entry.price_pico, entry.divisor) - amount) <= 1:
        return entry.price_pico
    return round_half_even(amount * entry.divisor * (1 if quantity > 0 else -1), abs(quantity))


def beside(conn: psycopg.Connection[Any], booked: str, as_of: int) -> list[Beside]:
    """Of the invoice of that period, then of its credit notes, in the order of their posting."""
    return fetch(conn, Beside, _BESIDE, {"booked": booked}, as_of)
