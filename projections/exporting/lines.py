"""What was charged in a period, charge line by charge line, a page of resources at a time."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from domain.tariff import round_half_even
from projections.asof import fetch, fetch_rows


class Line(Struct, frozen=True, gc=False):
    """One charge line (MONEY.md section 3) as far as it is booked in one period.

    `[start_us, end_us)` spans its intervals (without any: its period); `quantity` in the meter's
    unit and `amount_pico` are signed sums; `list_pico` per `divisor` is what the default price was
    at its start (None: there was none, or another divisor). `cause` is the last position that
    charged something of it, `transfers` the ids of what was posted. `name` is null once erased.
    `simulated`: it was on SIMULATED GPUs, by what its node's latest enrolment said.
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
    transfers: tuple[str, ...]
    simulated: bool | None = None


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


# Resources in order of their ids, each looked up by itself: of millions a page is a sliver, which
# the planner does not always believe. Lines of quantity 0 and amount 0 vanish (rating.md,
# section 6).
_LINES: Final = """
WITH line AS (
  SELECT u.resource, u.meter, u.price, u.period, sum(u.sign * u.quantity) AS quantity,
    (min(u.start_us) FILTER (WHERE u.quantity > 0))::bigint AS start_us,
    (max(u.end_us) FILTER (WHERE u.quantity > 0))::bigint AS end_us, max(u.cause) AS cause
  FROM views.rated_interval u
  WHERE u.booked = %(booked)s AND [u] AND u.resource > %(after)s AND u.resource <= %(last)s
  GROUP BY 1, 2, 3, 4),
amount AS (
  SELECT t.resource, t.price, t.period, array_agg(t.id ORDER BY t."row") AS transfers,
    sum(CASE WHEN t.debit = 'unbilled' THEN t.amount_pico ELSE -t.amount_pico END) AS amount_pico
  FROM views.transfer t
  WHERE t.booked = %(booked)s AND t.kind = 'charge' AND [t]
    AND t.resource > %(after)s AND t.resource <= %(last)s
  GROUP BY 1, 2, 3)
SELECT e.resource, w.words, coalesce(r.project, o.project, p.project, '-'), e.price,
  CASE WHEN l.account = 'default' THEN NULL ELSE (
    SELECT CASE WHEN x.divisor = l.divisor THEN x.price_pico END FROM views.price x
    WHERE x.account = 'default' AND x.meter = l.meter AND x.model = l.model
      AND x.region = l.region AND x.state = l.state AND x.currency = l.currency
      AND x.kind = 'entry' AND x.named = '-' AND x.published_us <= x.effective_from_us
      AND x.effective_from_us <= coalesce(e.start_us, d.start_us)
      AND x.from_position < e.cause
    ORDER BY x.effective_from_us DESC LIMIT 1) END,
  e.period, coalesce(e.start_us, d.start_us::bigint), coalesce(e.end_us, d.end_us::bigint),
  e.quantity::text, coalesce(a.amount_pico, 0)::text, e.cause,
  coalesce(a.transfers, '{}'), i.simulated
FROM line e
LEFT JOIN amount a USING (resource, price, period)
JOIN views.price l ON l.from_position = e.price
JOIN views.period d ON d.period = e.period AND [d]
LEFT JOIN LATERAL (SELECT r.name, r.project FROM views.runtime r
  WHERE r.runtime = e.resource AND [r] LIMIT 1) r ON true
LEFT JOIN LATERAL (SELECT o.name, o.project, o.node, o.from_position FROM views.volume o
  WHERE o.volume = e.resource AND [o] LIMIT 1) o ON true
LEFT JOIN LATERAL (SELECT p.name, p.project FROM views.project p
  WHERE p.project = e.resource AND [p] LIMIT 1) p ON true
LEFT JOIN LATERAL (SELECT q.node, q.from_position FROM views.runtime_place q
  WHERE q.runtime = e.resource AND [q] LIMIT 1) q ON true
LEFT JOIN views.node_identity i ON i.node = coalesce(q.node, o.node)
  AND i.from_position <= coalesce(q.from_position, o.from_position)
  AND (i.to_position IS NULL OR i.to_position > coalesce(q.from_position, o.from_position))
LEFT JOIN log.private_value w ON w.digest =
  CASE WHEN coalesce(r.name, o.name, p.name) ~ '^[0-9a-f]{64}$'
    THEN decode(coalesce(r.name, o.name, p.name), 'hex') END
  AND sha256(w.salt || convert_to(w.words, 'UTF8')) = w.digest
WHERE e.quantity <> 0 OR coalesce(a.amount_pico, 0) <> 0
ORDER BY e.resource, e.meter, e.price, e.period
"""
# What a price entry says of all its lines.
_ENTRIES: Final = """
SELECT l.from_position, l.account, l.meter, l.model, l.region, l.state, l.price_pico, l.divisor
FROM views.price l WHERE l.from_position = ANY(%(prices)s)
"""
_LAST: Final = """
SELECT max(c.resource) AS resource FROM (
  SELECT DISTINCT u.resource FROM views.rated_interval u
  WHERE u.booked = %(booked)s AND [u] AND u.resource > %(after)s
  ORDER BY u.resource LIMIT %(limit)s) c
"""
_BESIDE: Final = """
SELECT t.id, t.kind, n.number AS document, t.cause,
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


def page_end(
    conn: psycopg.Connection[Any], booked: str, after: str, limit: int, as_of: int
) -> str | None:
    """The last of up to `limit` resources charged in the period, after the resource `after`; None:
    there are no more.
    """
    asked = {"booked": booked, "after": after, "limit": limit}
    return fetch(conn, _Last, _LAST, asked, as_of)[0].resource


def lines(
    conn: psycopg.Connection[Any], booked: str, after: str, last: str, as_of: int
) -> list[Line]:
    """The lines of the resources after `after` up to `last`, that one included.

    Complete lines only, in order of resource, meter, price and service period.
    """
    asked = {"booked": booked, "after": after, "last": last}
    rows = fetch_rows(conn, _LINES, asked, as_of)
    prices = {"prices": list({row[3] for row in rows})}
    entries = {one.from_position: one for one in fetch(conn, Entry, _ENTRIES, prices)}
    return [_line(row, entries[row[3]]) for row in rows]


def unit_price(entry: Entry, quantity: int, amount: int) -> int:
    """What `divisor` units of the line cost: the entry's price, or, where tiers, free units or a
    commitment made another amount of it, what they came to on average.
    """
    plain = round_half_even(quantity * entry.price_pico, entry.divisor)
    # A part of a line that was rounded as a whole is off by one at most.
    if not quantity or abs(plain - amount) <= 1:
        return entry.price_pico
    return round_half_even(amount * entry.divisor * (1 if quantity > 0 else -1), abs(quantity))


def _line(row: tuple[Any, ...], entry: Entry) -> Line:
    resource, name, project, price, listed, period, start, end, quantity, amount, *rest = row
    cause, transfers, simulated = rest
    unit = unit_price(entry, int(quantity), int(amount))
    return Line(
        resource, name, project, entry.meter, entry.model, entry.region, entry.state, price,
        unit, entry.divisor, unit if entry.account == "default" else listed,
        period, start, end, int(quantity), int(amount), cause, tuple(transfers), simulated,
    )  # fmt: skip


def beside(conn: psycopg.Connection[Any], booked: str, as_of: int) -> list[Beside]:
    """Of the invoice of that period, then of its credit notes, in the order of their posting."""
    return fetch(conn, Beside, _BESIDE, {"booked": booked}, as_of)
