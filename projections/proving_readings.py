"""The readings that an invoice rests on: rows, where they are sealed, and how their chains go on.

evidence/invoice-proof.md sections 1.2 and 2. In memory: the rows that are shown, the runs of their
sources, and one seal's hashes.
"""

from collections.abc import Iterator
from hashlib import sha256
from itertools import groupby
from typing import Any, Final

import msgspec
import psycopg
from msgspec import Struct

from contracts import usage
from domain.errors import DomainError
from domain.reading import WEIGHTED, Reading
from evidence.reader import decode_entry, read_rows
from gpuaas_verify import proof_readings, strict
from gpuaas_verify.merkle import HASH_BYTES, leaf_hash, nodes_of, sparse_proof
from gpuaas_verify.source import frame
from projections.asof import fetch, position_at
from projections.billing_read import Invoice, periods

SKEW_US: Final = 3_600_000_000  # far more than two clocks of the platform differ
_row = msgspec.json.Decoder(Reading).decode

_METERS: Final = """
SELECT m.meter, m.from_position AS position, m.aggregation FROM views.meter m
WHERE m.source = 'readings' ORDER BY m.from_position DESC
"""
_PLACES: Final = """
SELECT q.runtime AS resource, r.project, q.node FROM views.runtime r
JOIN views.runtime_place q ON q.runtime = r.runtime WHERE r.runtime = ANY (%(streams)s)
UNION SELECT p.project, p.project, NULL FROM views.project p WHERE p.project = ANY (%(streams)s)
"""
_SOURCES: Final = """
SELECT s.source, s.from_position AS position FROM views.source s
WHERE s.project = ANY (%(projects)s) ORDER BY s.from_position
"""
_RUNS: Final = """
SELECT n.first_row, n.from_position AS seal, n.source, n.epoch, n.first, n.last, n.chain
FROM views.reading_run n WHERE n.source = ANY (%(sources)s)
  AND hashtextextended(n.source, 0) IN (SELECT hashtextextended(x, 0) FROM unnest(%(sources)s) x)
  AND n.from_position BETWEEN %(since)s AND %(closed)s ORDER BY n.first_row
"""
# Beyond the first place, which its creation is.
_MOVED: Final = """
SELECT o.from_position AS position FROM views.project_place o
WHERE o.project = %(project)s AND o.from_position < %(registered)s
ORDER BY o.from_position OFFSET 1
"""
_TENANTS: Final = """
SELECT r.organization FROM views.runtime r WHERE r.runtime = ANY (%(resources)s)
UNION SELECT p.organization FROM views.project p WHERE p.project = ANY (%(resources)s)
"""
_SEAL: Final = "SELECT entry FROM log.entry WHERE position = %(position)s"


class _Tenant(Struct, frozen=True):
    organization: str


class _Meter(Struct, frozen=True):
    meter: str
    position: int
    aggregation: str


class _Place(Struct, frozen=True):
    resource: str
    project: str
    node: str | None


class _At(Struct, frozen=True):
    source: str
    position: int


class _Moved(Struct, frozen=True):
    position: int


class _Run(Struct, frozen=True):
    """One signed batch."""

    first_row: int
    seal: int
    source: str
    epoch: int
    first: int
    last: int
    chain: str

    @property
    def count(self) -> int:
        return self.last - self.first + 1


class _Shown(Struct, frozen=True):
    number: int
    seal: int
    raw: bytes
    row: Reading


class Readings:
    """`kinds`: (sku, service period) of the lines in question. `add` each resource, then `gather`,
    then `files`.
    """

    def __init__(
        self, conn: psycopg.Connection[Any], invoice: Invoice, kinds: list[tuple[str, str]]
    ) -> None:
        self._conn = conn
        self._invoice = invoice
        self._meters = {one.meter: one for one in fetch(conn, _Meter, _METERS, {})}
        known = {one.period: (one.start_us, one.end_us) for one in periods(conn, invoice.account)}
        self._times: dict[str, list[tuple[int, int]]] = {}
        for sku, period in kinds:
            self._times.setdefault(sku, []).append(known[period])
        self._resources: set[str] = set()
        self._sources: dict[str, int | None] = {}  # registered there; a node's: None
        self._runs: list[_Run] = []
        self._shown: list[_Shown] = []

    def add(self, resources: list[str]) -> None:
        """What they used is asked for."""
        if not any(meter in self._meters for meter in self._named()):
            return
        self._resources.update(resources)
        places = fetch(self._conn, _Place, _PLACES, {"streams": resources})
        self._sources.update({one.node: None for one in places if one.node is not None})
        asked = {"projects": sorted({one.project for one in places})}
        self._sources.update(
            {one.source: one.position for one in fetch(self._conn, _At, _SOURCES, asked)}
        )

    def _named(self) -> Iterator[str]:
        """The meters that the kinds may be of: a meter's name may hold a colon."""
        for sku in self._times:
            yield from (sku[:at] for at, sign in enumerate(sku) if sign == ":")

    def gather(self) -> Iterator[tuple[int, str | None]]:
        """Positions of seals, meters and sources, beside a seal each node that it rests on.

        Raises: DomainError invoice.not_provable, storage.missing.
        """
        asked: dict[str, Any] = {"sources": sorted(self._sources), "since": self._since()}
        asked |= {"closed": self._invoice.closed}
        runs = fetch(self._conn, _Run, _RUNS, asked) if self._resources else []
        spans: dict[tuple[str, int], list[int]] = {}
        for run in runs:
            mine = [one for one in self._rows(run) if self._is_wanted(one.row)]
            if mine:
                self._shown += mine
                spans.setdefault((run.source, run.epoch), []).append(run.first)
        self._runs = [
            run for run in runs
            if min(spans.get((run.source, run.epoch), [run.last + 1]))
            <= run.first <= max(spans.get((run.source, run.epoch), [run.first - 1]))
        ]  # fmt: skip
        for one in self._shown:
            registered = self._sources[one.row.source]
            yield one.seal, one.row.source if registered is None else None
            yield self._meters[one.row.meter].position, None
            if registered is not None:
                yield registered, None
        for project, source in sorted({(one.row.resource, one.row.source) for one in self._shown}):
            if project.startswith("project-"):
                moved = {"project": project, "registered": self._sources[source]}
                for place in fetch(self._conn, _Moved, _MOVED, moved):
                    yield place.position, None

    def _since(self) -> int:
        """Where the log was when the first of these times began: nothing is sealed before it is."""
        begins = min((start for times in self._times.values() for start, _ in times), default=0)
        try:
            return position_at(self._conn, begins - SKEW_US)
        except DomainError as error:
            if error.code != "as_of.before_log":
                raise
            return 0

    def _rows(self, run: _Run) -> Iterator[_Shown]:
        found = read_rows(self._conn, proof_readings.TABLE, run.first_row, run.count)
        if len(found) != run.count:
            raise DomainError("storage.missing", "rows of readings are not in the database")
        for number, raw in found:
            yield _Shown(number, run.seal, raw, _row(raw))

    def _is_wanted(self, row: Reading) -> bool:
        times = self._times.get(f"{row.meter}:{row.model}")
        if times is None or row.resource not in self._resources:
            return False
        if self._meters[row.meter].aggregation == WEIGHTED:
            return any(row.from_us < end and start < row.to_us for start, end in times)
        return any(start <= row.from_us < end for start, end in times)

    def files(self) -> dict[str, bytes]:
        """The members that the rows make, none without any. Raises: DomainError
        invoice.not_provable, storage.missing.
        """
        if not self._shown:
            return {}
        links, digests = self._links()
        return {
            proof_readings.ROWS: frame([one.raw for one in self._shown]),
            proof_readings.HASHES: b"".join(self._hashes()),
            proof_readings.LINKS: frame([strict.encode(link) for link in links]),
            proof_readings.DIGESTS: digests,
        }

    def _hashes(self) -> Iterator[bytes]:
        """Of each seal what leads from the rows shown to its root."""
        for seal, shown in groupby(self._shown, key=lambda one: one.seal):
            row = self._conn.execute(_SEAL, {"position": seal}, binary=True).fetchone()
            if row is None:
                raise DomainError("storage.missing", "an entry of the proof is not in the database")
            fact: Any = decode_entry(row[0]).fact
            places = [one.number - fact.first_row for one in shown]
            rows = read_rows(self._conn, proof_readings.TABLE, fact.first_row, fact.count)
            self._check_alone({_row(raw).resource for _, raw in rows})
            leaves = [leaf_hash(raw) for _, raw in rows]
            yield from sparse_proof(places, fact.count, nodes_of(leaves))

    def _check_alone(self, resources: set[str]) -> None:
        """A seal says what its readings come to: nobody is shown that of others."""
        asked = {"resources": sorted(resources)}
        if len(fetch(self._conn, _Tenant, _TENANTS, asked)) > 1:
            detail = "readings of other tenants are sealed with its own: their sum would show"
            raise DomainError("invoice.not_provable", detail)

    def _links(self) -> tuple[list[dict[str, Any]], bytes]:
        """In the order of the first rows shown; digests in the order in which they are used."""
        shown = {one.number for one in self._shown}
        chains: dict[tuple[str, int], list[_Run]] = {}
        for run in self._runs:
            chains.setdefault((run.source, run.epoch), []).append(run)
        links, digests = dict[int, dict[str, Any]](), list[tuple[int, int, bytes]]()
        for runs in chains.values():
            told = [one for run in runs for one in self._rows(run)]
            places = [place for place, one in enumerate(told) if one.number in shown]
            head = self._head_before(runs[0])
            for one in told[: places[0]]:
                head = usage.linked(head, _payload(one.row))
            span = told[places[0] :]
            links[span[0].number] = {
                "source": runs[0].source, "epoch": runs[0].epoch, "sequence": span[0].row.sequence,
                "chain": head.hex(), "shown": len(places), "hidden": len(span) - len(places),
                "sig": span[-1].row.sig,
            }  # fmt: skip
            users = [told[place].number for place in places]
            for place, one in enumerate(span):
                if one.number not in shown:
                    user = next((user for user in users if user > one.number), users[-1])
                    digests.append((user, place, sha256(_payload(one.row)).digest()))
        ordered = b"".join(digest for _, _, digest in sorted(digests))
        assert len(ordered) == HASH_BYTES * len(digests)
        return [links[number] for number in sorted(links)], ordered

    def _head_before(self, run: _Run) -> bytes:
        if run.first == 1:
            return usage.beginning(run.source, run.epoch)
        asked = {"source": run.source, "epoch": run.epoch, "last": run.first - 1}
        row = self._conn.execute(_BEFORE, asked).fetchone()
        if row is None:
            raise DomainError("storage.missing", "a run of readings is not in the database")
        return bytes.fromhex(row[0])


_BEFORE: Final = """
SELECT n.chain FROM views.reading_run n
WHERE hashtextextended(n.source, 0) = hashtextextended(%(source)s, 0) AND n.source = %(source)s
  AND n.epoch = %(epoch)s AND n.last = %(last)s
"""


def _payload(row: Reading) -> bytes:
    dimensions = dict(part.split("=") for part in row.dimensions.split(","))
    named = (row.meter, row.resource, dimensions, row.from_us, row.to_us, row.quantity)
    return usage.payload(usage.Reading(*named))
