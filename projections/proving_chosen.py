"""Which entries an invoice, or one line of it, rests on: what its proof holds.

evidence/invoice-proof.md section 2. Runtimes and volumes are found by the sealed rows that charge
them, a page at a time; what they cost the verifier derives by itself.
"""

from array import array
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from msgspec import Struct

from domain.errors import DomainError
from evidence.reader import decode_entry, open_entry
from gpuaas_verify.books_invoice import PLAIN
from gpuaas_verify.proof_streams import LAST, PLACED
from projections.asof import fetch
from projections.billing_read import Invoice, periods
from projections.proving_holds import LISTED, holds_of, terms_of
from projections.proving_idle import reserved
from projections.proving_nodes import Nodes
from projections.proving_numbers import numbers_of
from projections.proving_pools import KIND, RERATED, Pools, kinds_asked
from projections.proving_readings import Readings

RESOURCES_A_PAGE: Final = 500
_SPOKEN: Final = b'"attested":{'  # no text of a fact holds a bare quotation mark


class Line(Struct, frozen=True):
    """What makes one line of an invoice, as its file says."""

    project: str
    sku: str
    price: int
    service_period: str


class _Resource(Struct, frozen=True):
    """`node`: null for a project, which is used by itself."""

    resource: str
    node: str | None


class _At(Struct, frozen=True):
    position: int


class _Lost(Struct, frozen=True):
    """A runtime's end by loss, and a renewal of its node that may say it."""

    runtime: str
    node: str
    renewal: int


# Those with time booked in the period; with a line, in that line. And those of their pools.
_CHOSEN: Final = """
SELECT u.resource, coalesce(q.node, o.node) AS node FROM (
  SELECT DISTINCT u.resource FROM views.rated_interval u
  LEFT JOIN views.runtime r ON r.runtime = u.resource AND [r]
  LEFT JOIN views.volume o ON o.volume = u.resource AND [o]
  LEFT JOIN views.reservation s ON s.reservation = u.resource AND [s]
  WHERE u.booked = %(period)s AND [u] AND u.resource > %(after)s AND [kind]
    AND u.resource <> %(account)s AND (%(project)s::text IS NULL OR (u.price = %(price)s
      AND u.period = %(service)s
      AND coalesce(r.project, o.project, s.project, u.resource) = %(project)s))
    AND (%(names)s::text[] IS NULL OR u.resource = ANY (%(names)s))
  UNION
  SELECT c.resource
  FROM unnest(%(pool_periods)s::text[], %(pool_prices)s::bigint[]) x (period, price)
  JOIN views.charge_line c ON c.period = x.period AND c.price = x.price AND [c]
  WHERE c.resource > %(after)s AND EXISTS (SELECT 1 FROM views.rated_interval p
      WHERE p.resource = c.resource AND p.price = c.price AND p.period = c.period
        AND p.cause <= %(closed)s)
    AND (%(names)s::text[] IS NULL OR c.resource = ANY (%(names)s))
  ORDER BY resource LIMIT %(limit)s) u
LEFT JOIN views.runtime_place q ON q.runtime = u.resource AND [q]
LEFT JOIN views.volume o ON o.volume = u.resource AND [o]
ORDER BY u.resource
""".replace("[kind]", KIND)
_STREAMS: Final = """
SELECT e.stream, e.position, e.entry FROM log.entry e
WHERE e.stream = ANY (%(streams)s) AND e.position < %(size)s ORDER BY e.stream, e.version
"""
# Their creation alone: where a project was moved to since, no amount of its use rests on.
_PROJECTS: Final = """
SELECT min(p.from_position) AS position FROM views.project p WHERE p.project IN (
  SELECT r.project FROM views.runtime r WHERE r.runtime = ANY (%(streams)s)
  UNION SELECT o.project FROM views.volume o WHERE o.volume = ANY (%(streams)s)
  UNION SELECT e.project FROM views.reservation e WHERE e.reservation = ANY (%(streams)s)
  UNION SELECT x FROM unnest(%(streams)s::text[]) x)
GROUP BY p.project
"""
# By whatever charged them up to the close, and in which periods.
_PRICES: Final = """
SELECT DISTINCT u.price AS position FROM views.rated_interval u
WHERE u.resource = ANY (%(streams)s) AND u.cause <= %(closed)s AND [kind]
""".replace("[kind]", KIND)
_USED: Final = """
SELECT DISTINCT x.period FROM views.rated_interval u
CROSS JOIN LATERAL (VALUES (u.period), (u.booked)) x (period)
WHERE u.resource = ANY (%(streams)s) AND u.cause <= %(closed)s AND [kind]
""".replace("[kind]", KIND)
_LOST: Final = """
SELECT s.runtime, q.node, l.from_position AS renewal FROM views.runtime_state s
JOIN views.runtime_place q ON q.runtime = s.runtime
JOIN views.node_lease l ON l.node = q.node AND l.renewed_us = s.since_us
  AND l.from_position < s.from_position
WHERE s.runtime = ANY (%(streams)s) AND s.state = 'lost' AND s.from_position <= %(closed)s
ORDER BY s.runtime, l.from_position
"""
_ACCOUNT: Final = """
SELECT a.from_position AS position FROM views.account a WHERE a.account = %(account)s
"""
_WALLET: Final = """
SELECT w.from_position AS position FROM views.wallet w
WHERE w.wallet = replace(%(account)s, 'account-', 'wallet-') LIMIT 1
"""
# What taxed the account, who its seller is, every rate for such a buyer.
_TAXED: Final = """
WITH buyer AS (
  SELECT t.* FROM views.account_tax t WHERE t.account = %(account)s
    AND t.from_position < %(invoiced)s ORDER BY t.from_position DESC LIMIT 1)
SELECT b.from_position AS position FROM buyer b
UNION ALL SELECT s.from_position FROM views.seller s JOIN buyer b ON b.seller = s.seller
UNION ALL SELECT r.from_position FROM views.tax_rate r JOIN buyer b
  ON (b.seller, b.treatment, b.country) = (r.seller, r.treatment, r.country)
  WHERE r.from_position < %(invoiced)s
"""
# Who was silent, where the file names them.
_SILENT: Final = """
SELECT m.from_position AS position FROM views.period_missing m WHERE m.period = %(period)s
"""
_SEAL: Final = """
SELECT t.from_position AS position FROM views.sealed_file t
WHERE hashtextextended(t.name, 0) = hashtextextended(%(file)s, 0) AND t.name = %(file)s
ORDER BY t.from_position LIMIT 1
"""
# The first of the meter of storage: what is created after it is metered.
_METER: Final = """
SELECT m.from_position AS position FROM views.meter m
WHERE m.meter = 'storage.capacity' AND m.unit = 'MiB-us' AND m.source = 'lifecycle'
ORDER BY m.from_position LIMIT 1
"""
ENTRIES: Final = """
SELECT entry FROM log.entry WHERE position = ANY (%(positions)s) ORDER BY position
"""


class Chosen:
    """Positions, gathered page by page: 8 bytes an entry, and what is asked of each node."""

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        invoice: Invoice,
        line: Line | None,
        size: int,
        readings: Readings,
        kinds: list[tuple[str, str]],
        form: str,
    ) -> None:
        self._form = form
        self._readings = readings
        self._conn = conn
        self._invoice = invoice
        self._asked: dict[str, Any] = {
            "period": invoice.period,
            "project": None if line is None else line.project,
            "price": None if line is None else line.price,
            "service": None if line is None else line.service_period,
            "closed": invoice.closed,
            "account": invoice.account,
            "file": invoice.file,
            "size": size,
            "invoiced": invoice.from_position,
            **kinds_asked(kinds),
        }
        about = None if line is None else (line.price, line.service_period)
        pools = Pools(conn, invoice, about, kinds_asked(kinds))
        self._asked |= {"pool_periods": pools.periods, "pool_prices": pools.prices}
        self._found = array("q", [0, invoice.from_position, *pools.commitments()])
        self._periods = {invoice.period}
        self._nodes = Nodes()
        self._lives: dict[str, list[int]] = {}  # of each resource the positions that count
        self._placed = array("q")
        self._changes = {*self._found[2:]}  # of the price book, and of closes
        self._rerated: set[int] = set()

    def positions(self) -> array[int]:
        """Ascending, each once."""
        volumes, lost = False, list[_Lost]()
        for page in self._resources():
            of = {one.resource: one.node for one in page if one.node is not None}
            streams = [one.resource for one in page]
            self._streams(of)
            self._readings.add(streams)
            into = (self._found, self._changes, self._lives)
            for name, at in reserved(self._conn, self._asked, streams, *into):
                self._placed.append(at)
                self._nodes.placed(name, at)
            self._add(_PROJECTS, streams=streams)
            self._changes.update(self._add(_PRICES, streams=streams))
            self._rerated.update(self._add(RERATED, streams=streams))
            used = self._conn.execute(_USED, {**self._asked, "streams": streams})
            self._periods |= {period for (period,) in used}
            lost += fetch(self._conn, _Lost, _LOST, {**self._asked, "streams": streams})
            volumes = volumes or any(stream.startswith("volume-") for stream in streams)
        self._renewals(lost)
        for query in (_ACCOUNT, _SEAL, _METER) if volumes else (_ACCOUNT, _SEAL):
            self._add(query)
        if self._invoice.seller is not None:
            self._add(_TAXED)
        if self._form != PLAIN:
            self._add(_SILENT)
        for position, node in self._readings.gather():
            self._found.append(position)
            if node is not None:
                self._nodes.sealed(node, position)
        self._found.extend(numbers_of(self._conn, self._invoice))
        self._of_periods()
        self._of_wallet()
        self._found.extend(self._nodes.rest_on(self._conn))
        return array("q", sorted(set(self._found)))

    def _add(self, query: Any, **more: Any) -> list[int]:
        rows = fetch(self._conn, _At, query, {**self._asked, **more})
        found = [one.position for one in rows]
        self._found.extend(found)
        return found

    def _resources(self, names: list[str] | None = None) -> Iterator[list[_Resource]]:
        asked = {**self._asked, "after": "", "names": names, "limit": RESOURCES_A_PAGE}
        while page := fetch(self._conn, _Resource, _CHOSEN, asked):
            yield page
            asked["after"] = page[-1].resource

    def _streams(self, of: dict[str, str]) -> None:
        """All of each stream up to its end or the close, and the first entry after that."""
        beyond, closed = set[str](), self._invoice.closed
        rows = self._conn.execute(_STREAMS, {**self._asked, "streams": list(of)}, binary=True)
        for stream, position, entry in rows:
            if stream in beyond:
                continue
            self._found.append(position)
            tag = open_entry(entry).tag
            if position > closed or tag in LAST:
                beyond.add(stream)
            if position <= closed:
                self._lives.setdefault(stream, []).append(position)
                if tag in PLACED:
                    self._placed.append(position)
                    self._nodes.placed(of[stream], position)
                if _SPOKEN in entry:
                    self._nodes.spoke(of[stream], position)

    def _renewals(self, lost: list[_Lost]) -> None:
        """Of each lost runtime the last renewal that says when, if it names no runtime but those of
        the proof: what else ran there is nobody's business.
        """
        last: dict[str, _Lost] = {}
        for one in lost:
            if one.runtime in self._named(one.renewal):
                last[one.runtime] = one
        for one in last.values():
            names = self._named(one.renewal)
            if sum(len(page) for page in self._resources(names)) == len(set(names)):
                self._found.append(one.renewal)
                self._nodes.spoke(one.node, one.renewal)

    def _named(self, renewal: int) -> list[str]:
        row = self._conn.execute(ENTRIES, {"positions": [renewal]}, binary=True).fetchone()
        if row is None:
            raise DomainError("storage.missing", "an entry of the proof is not in the database")
        fact: Any = decode_entry(row[0]).fact
        return list(fact.runtimes)

    def _of_periods(self) -> None:
        """Every one up to the last that is charged in; those up to the invoice's were closed, and
        no later one was.
        """
        every = periods(self._conn, self._invoice.account)
        last = max(one.sequence for one in every if one.period in self._periods)
        [mine] = [one.sequence for one in every if one.period == self._invoice.period]
        for one in every:
            closed = one.closed is not None and one.closed <= self._invoice.closed
            if closed != (one.sequence <= mine):
                detail = "its periods were not closed one after the other"
                raise DomainError("invoice.not_provable", detail)
            if one.closed is not None and closed:
                self._found.append(one.closed)
                self._changes.add(one.closed)
            if one.sequence <= last:
                self._found.append(one.from_position)

    def _of_wallet(self) -> None:
        """What holds cover, where the account has a wallet."""
        account, last = self._invoice.account, self._invoice.from_position
        if not fetch(self._conn, _At, _WALLET, {"account": account}):
            return
        self._found.extend(terms_of(self._conn, account, self._placed, last))
        self._changes |= self._rerated
        if self._rerated:
            held = {name for _, name in self._holds()}
            self._changes.update(self._add(LISTED, held=sorted(held)))
        self._found.extend(position for position, _ in self._holds())

    def _holds(self) -> Iterator[tuple[int, str]]:
        changes, closed = sorted(self._changes), self._invoice.closed
        return holds_of(self._conn, self._invoice.account, self._lives, changes, closed)
