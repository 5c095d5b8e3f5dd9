"""Questions about prices: editions, commitments, re-ratings, what a period was used for."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

import msgspec
import psycopg
from msgspec import Struct

from domain import price_facts, pricebook
from domain.errors import DomainError
from domain.previewing import Used, net
from domain.statement import LineKey, Sum
from domain.tariff import Tariff
from projections import billing_read
from projections.asof import fetch

MOST_PIECES: Final = 500_000  # of one preview


class Edition(Struct, frozen=True):
    from_position: int
    name: str
    edition: int
    entries: int
    published_us: int


class Commitment(Struct, frozen=True):
    from_position: int
    account: str
    meter: str
    model: str
    region: str
    state: str
    currency: str
    from_us: int
    until_us: int
    quantity: int
    price_pico: int
    divisor: int
    decided_us: int


class Rerating(Struct, frozen=True):
    from_position: int
    account: str
    book: str
    edition: int
    from_us: int
    until_us: int
    decided_us: int


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


class _Kept(Struct, frozen=True):
    project: str
    sku: str
    price: int
    quantity: int
    amount_pico: int


class _Charged(Struct, frozen=True):
    amount_pico: int


_EDITIONS: Final = """
SELECT t.from_position, t.name, t.edition, t.entries, t.published_us FROM views.price_book t
WHERE [t] AND (%(name)s::text IS NULL OR t.name = %(name)s) ORDER BY t.from_position
"""
_ENTRIES: Final = """
SELECT t.from_position, t.book, t.account, t.meter, t.model, t.region, t.state, t.currency,
  t.effective_from_us, t.published_us, t.price_pico, t.divisor,
  t.named, t.edition, t.free, t.tiers, t.minimum_pico
FROM views.price t
WHERE [t] AND t.kind = 'entry' AND t.named = %(name)s AND t.edition = %(edition)s
ORDER BY t.from_position
"""
_COMMITMENTS: Final = """
SELECT t.from_position, t.account, t.meter, t.model, t.region, t.state, t.currency, t.from_us,
  t.until_us, t.quantity, t.price_pico, t.divisor, t.decided_us
FROM views.commitment t WHERE [t] AND t.account = %(account)s ORDER BY t.from_position
"""
_RERATINGS: Final = """
SELECT t.from_position, t.account, t.book, t.edition, t.from_us, t.until_us, t.decided_us
FROM views.rerating t WHERE [t] AND t.account = %(account)s ORDER BY t.from_position
"""
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
_KEPT: Final = """
SELECT coalesce(r.project, p.project) AS project, c.meter || ':' || l.model AS sku, c.price,
  sum(c.quantity) AS quantity, sum(c.amount_pico) AS amount_pico
FROM views.charge_line c
JOIN views.price l ON l.from_position = c.price AND l.kind = 'entry' AND l.state = 'read'
LEFT JOIN views.runtime r ON r.runtime = c.resource AND [r]
LEFT JOIN views.project p ON p.project = c.resource AND [p]
WHERE c.period = %(period)s AND [c] GROUP BY 1, 2, 3
"""
_CHARGED: Final = """
SELECT coalesce(sum(c.amount_pico), 0) AS amount_pico
FROM views.charge_line c WHERE c.period = %(period)s AND [c]
"""


def editions(
    conn: psycopg.Connection[Any], name: str | None = None, as_of: int | None = None
) -> list[Edition]:
    """Whole editions in order of publication, of one book or of all."""
    return fetch(conn, Edition, _EDITIONS, {"name": name}, as_of)


def entries(
    conn: psycopg.Connection[Any], name: str, edition: int, as_of: int | None = None
) -> list[billing_read.Price]:
    """The entries of an edition in order."""
    asked = {"name": name, "edition": edition}
    return fetch(conn, billing_read.Price, _ENTRIES, asked, as_of)


def commitments(
    conn: psycopg.Connection[Any], account: str, as_of: int | None = None
) -> list[Commitment]:
    """What the account has committed itself to, oldest first."""
    return fetch(conn, Commitment, _COMMITMENTS, {"account": account}, as_of)


def reratings(
    conn: psycopg.Connection[Any], account: str, as_of: int | None = None
) -> list[Rerating]:
    """By which books the account's use was decided to be priced, oldest first."""
    return fetch(conn, Rerating, _RERATINGS, {"account": account}, as_of)


def tariff(
    conn: psycopg.Connection[Any], account: str, book: str, edition: int, as_of: int | None
) -> Tariff:
    """What applies to the account when all its use is priced by the edition; `-`: by the list."""
    found = Tariff()
    for one in billing_read.prices(conn, account, as_of):
        if one.named == price_facts.LIST:
            found.publish(one.from_position, _fact(one, price_facts.LIST, 0))
    of_book = [] if book == price_facts.LIST else entries(conn, book, edition, as_of)
    for one in of_book:
        found.publish(one.from_position, _fact(one, book, 1))
    if of_book:
        found.publish_book(price_facts.BookPublished(book, 1, len(of_book), 0))
        always = (-(10**18), 10**18)
        found.rerate(price_facts.ReratingDecided(account, book, 1, *always, 0))
    for made in commitments(conn, account, as_of):
        fields = msgspec.structs.astuple(made)[1:]
        found.commit(made.from_position, price_facts.CommitmentMade(*fields))
    return found


def _fact(
    one: billing_read.Price, book: str, edition: int
) -> pricebook.EntryPublished | price_facts.ShapedEntry:
    key = (one.account, one.meter, one.model, one.region, one.state, one.currency)
    when = (one.effective_from_us, one.published_us)
    if not one.tiers:
        return pricebook.EntryPublished(*key, *when, one.price_pico, one.divisor)
    tiers = msgspec.json.decode(one.tiers, type=tuple[price_facts.Tier, ...])
    return price_facts.ShapedEntry(
        *(book, edition, *key, *when, one.divisor, one.free), tiers, one.minimum_pico
    )


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


def kept(
    conn: psycopg.Connection[Any], period: str, as_of: int | None
) -> tuple[dict[LineKey, Sum], int]:
    """Lines of readings, which keep their price; what all lines of the period came to so far."""
    rows = fetch(conn, _Kept, _KEPT, {"period": period}, as_of)
    [charged] = fetch(conn, _Charged, _CHARGED, {"period": period}, as_of)
    lines = {
        LineKey(row.project, row.sku, row.price, period): Sum(row.quantity, row.amount_pico)
        for row in rows
    }
    return lines, charged.amount_pico
