"""Whose use an invoice's amounts rest on beside what it charges: pools, commitments, re-ratings.

evidence/invoice-proof.md section 2, contracts/rating.md section 10. In memory: the prices used in
the periods that the invoice charges.
"""

from collections.abc import Iterator
from typing import Any, Final

import psycopg
from msgspec import Struct

from projections.asof import fetch
from projections.billing_read import Invoice, periods

METERS: Final = ("gpu.time", "storage.capacity")

type Scope = tuple[str, ...]
type Kinds = dict[str, list[str]]  # what `KIND` asks


class _Pair(Struct, frozen=True):
    period: str
    price: int


class _Priced(Struct, frozen=True):
    """`shaped`: a price that is not one number whatever the quantity."""

    price: int
    meter: str
    model: str
    state: str
    currency: str
    shaped: bool

    @property
    def scope(self) -> Scope:
        """Wherever it prices: a pool is of all regions."""
        return (self.meter, self.model, self.state, self.currency)


class _Commitment(Struct, frozen=True):
    position: int
    meter: str
    model: str
    state: str
    currency: str
    from_us: int
    until_us: int

    @property
    def scope(self) -> Scope:
        return (self.meter, self.model, self.state, self.currency)

    def covers(self, scope: Scope, begins: int) -> bool:
        return scope == self.scope and self.from_us <= begins < self.until_us


# Of a rated interval u: of what is metered by its life, or of a kind of reading in question.
KIND: Final = """
(u.meter = ANY (%(meters)s) OR EXISTS (
  SELECT 1 FROM unnest(%(skus)s::text[], %(services)s::text[]) k (sku, period)
  JOIN views.price v ON v.from_position = u.price AND v.kind = 'entry'
  WHERE k.sku = u.meter || ':' || v.model AND k.period = u.period))
"""
# The prices at which something is booked in the invoice's period, by service period.
_BOOKED: Final = """
SELECT DISTINCT u.period, u.price FROM views.rated_interval u
WHERE u.booked = %(period)s AND [u] AND u.resource <> %(account)s AND [kind]
""".replace("[kind]", KIND)
_USED: Final = """
SELECT DISTINCT c.period, c.price FROM views.charge_line c
WHERE c.period = ANY (%(periods)s) AND [c] AND c.resource <> %(account)s
"""
_PRICED: Final = """
SELECT p.from_position AS price, p.meter, p.model, p.state, p.currency,
  p.free <> 0 OR p.minimum_pico <> 0
    OR (p.tiers <> '' AND jsonb_array_length(p.tiers::jsonb) > 1) AS shaped
FROM views.price p WHERE p.from_position = ANY (%(prices)s) AND p.kind = 'entry'
"""
_COMMITTED: Final = """
SELECT c.from_position AS position, c.meter, c.model, c.state, c.currency, c.from_us,
  c.until_us
FROM views.commitment c
WHERE hashtextextended(c.account, 0) = hashtextextended(%(account)s, 0) AND c.account = %(account)s
  AND c.from_position < %(closed)s ORDER BY c.from_position
"""
# Each of time that is charged here, and the edition that it names.
RERATED: Final = """
WITH rerated AS (SELECT t.* FROM views.rerating t
  WHERE hashtextextended(t.account, 0) = hashtextextended(%(account)s, 0)
    AND t.account = %(account)s AND t.from_position < %(closed)s
    AND EXISTS (SELECT 1 FROM views.rated_interval u WHERE u.resource = ANY (%(streams)s)
      AND u.cause <= %(closed)s AND [kind]
      AND u.quantity > 0 AND u.start_us < t.until_us AND u.end_us > t.from_us))
SELECT t.from_position AS position FROM rerated t
UNION SELECT b.from_position FROM rerated t JOIN views.price_book b
  ON hashtextextended(b.name, 0) = hashtextextended(t.book, 0)
    AND (b.name, b.edition) = (t.book, t.edition)
""".replace("[kind]", KIND)


def kinds_asked(kinds: list[tuple[str, str]]) -> Kinds:
    """Of (sku, service period)."""
    skus, services = [sku for sku, _ in kinds], [service for _, service in kinds]
    return {"meters": list(METERS), "skus": skus, "services": services}


class Pools:
    """Of the invoice, or of its line (price, service period). `periods` and `prices`, side by side:
    of the lines that share a pool with what is charged.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        invoice: Invoice,
        line: tuple[int, str] | None,
        kinds: Kinds,
    ) -> None:
        self._invoice, self._line = invoice, line
        self._begins = {one.period: one.start_us for one in periods(conn, invoice.account)}
        asked: dict[str, Any] = {"account": invoice.account, "closed": invoice.closed}
        asked |= {"period": invoice.period, **kinds}
        self._made = fetch(conn, _Commitment, _COMMITTED, asked)
        booked = fetch(conn, _Pair, _BOOKED, asked)
        if line is not None:
            booked = [one for one in booked if (one.price, one.period) == line]
        asked["periods"] = sorted({one.period for one in booked})
        used = fetch(conn, _Pair, _USED, asked)
        asked["prices"] = sorted({one.price for one in [*booked, *used]})
        self._priced = {one.price: one for one in fetch(conn, _Priced, _PRICED, asked)}
        self._named = {self._pool(one) for one in booked if self._is_pooled(one)}
        shared = [one for one in used if self._is_pooled(one) and self._pool(one) in self._named]
        self.periods = [one.period for one in shared]
        self.prices = [one.price for one in shared]

    def _pool(self, one: _Pair) -> tuple[Scope, str]:
        return self._priced[one.price].scope, one.period

    def _is_pooled(self, one: _Pair) -> bool:
        priced = self._priced.get(one.price)
        if priced is None:
            return False  # a commitment
        begins = self._begins[one.period]
        return priced.shaped or any(made.covers(priced.scope, begins) for made in self._made)

    def commitments(self) -> Iterator[int]:
        """Positions of those that cover one of the pools, or are paid here."""
        begins = self._begins[self._invoice.period]
        for made in self._made:
            paid = made.from_us <= begins < made.until_us
            if self._line is not None:
                paid = self._line[0] == made.position
            if paid or any(
                made.covers(scope, self._begins[period]) for scope, period in self._named
            ):
                yield made.position
