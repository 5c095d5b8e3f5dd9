"""Questions to the readings: sources and how far they have come, what pays, what was refused."""

from typing import Any, Final

import psycopg
from msgspec import Struct

from domain.errors import DomainError
from evidence.reader import Recorded, decode_entry, read_rows
from projections.asof import fetch, fetch_one, held
from projections.reach import Of


class Meter(Struct, frozen=True):
    """A registered meter of any source."""

    stream: str
    meter: str
    unit: str
    source: str
    aggregation: str
    divisor: int
    dimensions: list[str]


class Source(Struct, frozen=True):
    """`reason`: why it was revoked; null while it may report."""

    source: str
    from_position: int
    organization: str
    project: str
    key: str
    meters: list[str]
    registered_us: int
    reason: str | None


class Standing(Struct, frozen=True):
    """Who speaks as a source as of `version` of its stream. `project`: null for a node."""

    key: str
    project: str | None
    meters: list[str] | None
    version: int


class Run(Struct, frozen=True):
    """One signed batch: readings `first` to `last` lie from row `first_row` on."""

    first_row: int
    epoch: int
    first: int
    last: int
    chain: str


class Payer(Struct, frozen=True):
    """What pays for a reading; `node`: where it runs or ran, `region`: in which that stood when it
    was placed there; both null for a project.
    """

    organization: str
    project: str
    account: str
    node: str | None
    region: str | None


class Purse(Struct, frozen=True):
    """A billing account's currency, and the time its periods cover without gaps."""

    currency: str
    start_us: int
    end_us: int


class Quarantined(Struct, frozen=True):
    """Another payload under a sealed key; `reading` is base64 of its canonical bytes."""

    from_position: int
    source: str
    epoch: int
    sequence: int
    kept: str
    refused: str
    reading: str
    decided_us: int


_METERS: Final = """
SELECT t.stream, t.meter, t.unit, t.source, t.aggregation, t.divisor, t.dimensions
FROM views.meter t WHERE [t] AND t.meter = coalesce(%(meter)s::text, t.meter)
ORDER BY t.from_position
"""
# The one price book: the one the log has, else the one that shares the log stream's UUID.
_BOOK: Final = """
SELECT coalesce(
  (SELECT stream FROM log.entry WHERE stream > 'pricebook-' AND stream < 'pricebook.' LIMIT 1),
  (SELECT replace(stream, 'log-', 'pricebook-') FROM log.entry WHERE position = 0)) AS book
"""
_SOURCES: Final = """
SELECT s.source, s.from_position, s.organization, s.project, s.key, s.meters, s.registered_us,
  r.reason
FROM views.source s LEFT JOIN views.source_revocation r ON r.source = s.source AND [r]
WHERE [s] AND s.from_position > %(after)s
  AND s.organization = coalesce(%(organization)s::text, s.organization)
  AND [reach s.project]
  AND (%(project)s::text IS NULL OR s.project = %(project)s)
  AND s.source = coalesce(%(source)s::text, s.source)
ORDER BY s.from_position LIMIT %(limit)s
"""
# The version is that of the last entry which the views hold: what is decided on it loses to the
# next one.
_VERSION: Final = """
SELECT e.version FROM log.entry e WHERE e.stream = %(source)s
  AND e.position < (SELECT position FROM views.applied)
ORDER BY e.version DESC LIMIT 1
"""
_NODE: Final = """
SELECT i.key FROM views.node_identity i LEFT JOIN views.node_standing s ON s.node = i.node AND [s]
WHERE i.node = %(source)s AND [i] AND s.node IS NULL
"""
# A project's own is paid by the account that it had when the source was registered.
_PAYER: Final = """
SELECT r.organization, r.project, r.account, p.node, coalesce(g.region, '-') AS region
FROM views.runtime r
LEFT JOIN LATERAL (SELECT x.node, x.from_position FROM views.runtime_place x
  WHERE x.runtime = r.runtime ORDER BY x.from_position DESC LIMIT 1) p ON true
LEFT JOIN views.node_region g ON g.node = p.node AND g.from_position < p.from_position
  AND (g.to_position IS NULL OR g.to_position > p.from_position)
WHERE r.runtime = %(resource)s
UNION ALL
(SELECT o.organization, o.project, o.account, NULL, NULL FROM views.project_place o
WHERE o.project = %(resource)s AND o.from_position < (
  SELECT min(n.from_position) FROM views.source n WHERE n.source = %(source)s)
ORDER BY o.from_position DESC LIMIT 1)
LIMIT 1
"""
_PURSE: Final = """
SELECT a.currency, min(p.start_us) AS start_us, max(p.end_us) AS end_us
FROM views.account a JOIN views.period p ON p.account = a.account
WHERE a.account = %(account)s GROUP BY a.account, a.currency
"""
_LAST_SEAL: Final = """
SELECT entry FROM log.entry WHERE stream = %(stream)s ORDER BY version DESC LIMIT 1
"""
_LAST_RUN: Final = """
SELECT n.first_row, n.epoch, n.first, n.last, n.chain FROM views.reading_run n
WHERE hashtextextended(n.source, 0) = hashtextextended(%(source)s, 0) AND n.source = %(source)s
  AND [n]
ORDER BY n.epoch DESC, n.last DESC LIMIT 1
"""
_RUN_OF: Final = """
SELECT n.first_row, n.epoch, n.first, n.last, n.chain FROM views.reading_run n
WHERE hashtextextended(n.source, 0) = hashtextextended(%(source)s, 0) AND n.source = %(source)s
  AND n.epoch = %(epoch)s AND n.last >= %(sequence)s
ORDER BY n.last LIMIT %(limit)s
"""
_QUARANTINED: Final = """
SELECT q.from_position, q.source, q.epoch, q.sequence, q.kept, q.refused, q.reading, q.decided_us
FROM views.reading_quarantined q
WHERE [q] AND q.from_position > %(after)s ORDER BY q.from_position LIMIT %(limit)s
"""


def meters(
    conn: psycopg.Connection[Any], meter: str | None = None, as_of: int | None = None
) -> list[Meter]:
    """In order of registration."""
    return fetch(conn, Meter, _METERS, {"meter": meter}, as_of)


def book(conn: psycopg.Connection[Any]) -> str:
    """The price book's stream, there or not. Raises: DomainError log.unavailable."""
    row = conn.execute(_BOOK).fetchone()
    if row is None or row[0] is None:
        raise DomainError("log.unavailable", "the log is not open yet")
    return str(row[0])


def sources(
    conn: psycopg.Connection[Any],
    *,
    organization: Of = None,
    project: str | None = None,
    source: str | None = None,
    after: int = -1,
    limit: int = 100,
    as_of: int | None = None,
) -> list[Source]:
    """In order of registration; revoked ones too."""
    asked = {
        "organization": organization, "project": project, "source": source, "after": after,
        "limit": limit,
    }  # fmt: skip
    return fetch(conn, Source, _SOURCES, asked, as_of)


def standing(conn: psycopg.Connection[Any], source: str) -> Standing | None:
    """None for one that is not there or may not report."""
    row = conn.execute(_VERSION, {"source": source}).fetchone()
    if row is None:
        return None
    if source.startswith("node-"):
        with conn.cursor() as cursor:
            found = cursor.execute(held(_NODE, None), {"source": source}).fetchone()
        return None if found is None else Standing(found[0], None, None, row[0])
    known = sources(conn, source=source)
    if not known or known[0].reason is not None:
        return None
    return Standing(known[0].key, known[0].project, known[0].meters, row[0])


def payer(conn: psycopg.Connection[Any], resource: str, source: str) -> Payer | None:
    """The runtime's or the project's own, whatever has become of it."""
    return fetch_one(conn, Payer, _PAYER, {"resource": resource, "source": source})


def purse(conn: psycopg.Connection[Any], account: str) -> Purse | None:
    """None before the account's first period."""
    return fetch_one(conn, Purse, _PURSE, {"account": account})


def last_seal(conn: psycopg.Connection[Any], stream: str) -> Recorded | None:
    """The last entry of the stream that seals readings."""
    row = conn.execute(_LAST_SEAL, {"stream": stream}, binary=True).fetchone()
    return None if row is None else decode_entry(row[0])


def last_run(conn: psycopg.Connection[Any], source: str, as_of: int | None = None) -> Run | None:
    """How far the source has come, in its latest epoch."""
    return fetch_one(conn, Run, _LAST_RUN, {"source": source}, as_of)


def runs_from(
    conn: psycopg.Connection[Any], source: str, epoch: int, sequence: int, limit: int
) -> list[Run]:
    """The runs of an epoch from the one that holds the number on, in order."""
    asked = {"source": source, "epoch": epoch, "sequence": sequence, "limit": limit}
    return fetch(conn, Run, _RUN_OF, asked)


def rows_of(conn: psycopg.Connection[Any], run: Run) -> list[bytes]:
    """The stored rows of a run, in order."""
    rows = read_rows(conn, "reading", run.first_row, run.last - run.first + 1)
    return [raw for _, raw in rows]


def quarantined(
    conn: psycopg.Connection[Any], *, after: int = -1, limit: int = 100, as_of: int | None = None
) -> list[Quarantined]:
    """In order of the facts."""
    return fetch(conn, Quarantined, _QUARANTINED, {"after": after, "limit": limit}, as_of)
