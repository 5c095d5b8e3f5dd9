"""Rating as a reaction: the fold of the whole log, and its new rows appended under their seals."""

import asyncio
import os
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import psycopg
from msgspec import Struct

from domain.errors import DomainError
from domain.project import Moved
from domain.rating import Books, RatedInterval, Transfer, row_bytes
from domain.reading import Reading
from domain.sealing import IntervalsSealed, ReadingsSealed, TransfersSealed
from evidence.append import Append, Bulk, Write
from evidence.log import EventLog
from evidence.reader import decode_entry, read_rows
from gpuaas_verify.merkle import leaf_hash, root_hash
from projections import budgeting, dunning, duties, losses, sources
from projections.entries import envelope, fact_of
from projections.views import read

ACTOR: Final = "system-rater"
BATCH: Final = 2_000
_RATED: Final = duties.TAGS | {
    f"gpuaas.{name}.v1"
    for name in (
        "runtime.requested",
        "runtime.allocated",
        "runtime.spot",
        "runtime.usable",
        "runtime.degraded",
        "runtime.stopped",
        "runtime.failed",
        "runtime.lost",
        "runtime.cancelled",
        "node.enrolled",
        "node.region_set",
        "meter.registered",
        "volume.created",
        "volume.formatted",
        "volume.grown",
        "volume.wiped",
        "volume.lost",
        "volume.locked",
        "volume.unlocked",
        "price.entry_published",
        "price.book_published",
        "price.commitment_made",
        "price.rerating_decided",
        "project.created",
        "project.moved",
        "source.registered",
        "reservation.made",
        "quota.reserved",
        "quota.drawn",
        "quota.committed",
        "quota.released",
        "quota.unreserved",
        "usage.batch_sealed",
        "wallet.credit_granted",
        "wallet.credit_expired",
        "wallet.hold_placed",
        "wallet.holds_renewed",
        "wallet.hold_captured",
        "wallet.hold_released",
        "wallet.hold_expired",
        "wallet.charge_recovered",
        "wallet.volume_held",
        "wallet.volume_renewed",
        "wallet.volume_captured",
        "wallet.volume_released",
        "wallet.volume_recovered",
        "wallet.reservation_held",
        "wallet.reservation_renewed",
        "wallet.reservation_captured",
        "wallet.reservation_released",
        "wallet.reservation_recovered",
        "wallet.usage_recovered",
        "wallet.credit_charged_back",
        "wallet.credit_refunded",
        "wallet.arrears_met",
        "suspense.received",
        "suspense.resolved",
    )
}
RATED: Final = _RATED | {
    "gpuaas.meter.registered.v2",
    "gpuaas.price.entry_published.v2",
    "gpuaas.price.rerating_decided.v2",
}
_READ: Final = RATED | losses.TAGS | sources.TAGS | budgeting.TAGS | dunning.TAGS
_LAST: Final = """
SELECT position, version, entry FROM log.entry WHERE stream = %(stream)s
ORDER BY version DESC LIMIT 1
"""


_READING: Final = msgspec.json.Decoder(Reading).decode


class Tail(Struct):
    """Where a table's seals have come to."""

    stream: str
    version: int = 0
    seal: int | None = None
    next_row: int = 0
    through: int = -1


class _Cause(Struct, frozen=True):
    position: int
    intervals: list[RatedInterval]
    transfers: list[Transfer]


class Rater:
    """The books of one log, folded up to `at`, and sealed up to `through`.

    Any number may run: they derive the same rows, and of two that seal at once one loses by its
    expected version and goes on from the other's seal. A crash at any point loses memory only:
    the next start folds the log again and seals from the last seal's `through`.
    """

    def __init__(self, conn: psycopg.Connection[Any], log: EventLog) -> None:
        self.books = Books(self._reread)
        self.duties = duties.Duties()
        self.losses = losses.Losses()
        self.sources = sources.Sources()
        self.spending = budgeting.Spending()
        self.dunning = dunning.Dunning()
        self.at = 0
        self._conn = conn
        self._log = log
        self._pending: list[_Cause] = []
        self._readings: dict[int, ReadingsSealed] = {}
        self._intervals = Tail("")
        self._transfers = Tail("")

    @property
    def through(self) -> int:
        """Every cause up to here is sealed."""
        return max(self._intervals.through, self._transfers.through)

    @property
    def settled(self) -> bool:
        """Everything folded is sealed."""
        return not self._pending

    async def step(self, limit: int = BATCH) -> int:
        """Folds at most `limit` entries and seals what they cause; returns how many it folded.

        The seals are durable when it returns.

        Raises:
            DomainError: `rating.*`, `price.*` when the log says what rating.md does not allow
                (the fold is spent then), `log.*` when it cannot append.
        """
        if not self._intervals.stream and not await self._find_streams():
            return 0
        entries = await asyncio.to_thread(read, self._conn, self.at, limit)
        for position, raw in entries:
            self._fold(position, raw)
        if self._pending:
            await self._seal()
        return len(entries)

    async def catch_up(self) -> None:
        """Steps until the head is reached."""
        folded = BATCH
        while folded:
            folded = await self.step()

    def _fold(self, position: int, raw: bytes) -> None:
        entry = envelope(raw)
        self.sources.saw(entry)
        fact = fact_of(entry) if entry.tag in _READ else None
        if fact is not None and entry.tag in losses.TAGS:
            self.losses.apply(entry, fact)
        if fact is not None and entry.tag in sources.TAGS:
            self.sources.apply(entry, fact)
        if fact is not None and entry.tag in budgeting.TAGS:
            self.spending.apply(entry, fact)
        if fact is not None and entry.tag in dunning.TAGS:
            self.dunning.apply(entry, fact)
        if isinstance(fact, Moved):
            self.spending.moved(entry.stream, fact, self.books)
        if fact is not None and entry.tag in RATED:
            intervals, transfers = self._rated(position, entry.stream, fact)
            self.duties.apply(entry, fact)
            self.spending.charged(transfers)
            if position > self.through and (intervals or transfers):
                self._pending.append(_Cause(position, intervals, transfers))
        self.at = position + 1

    def _rated(
        self, position: int, stream: str, fact: Struct
    ) -> tuple[list[RatedInterval], list[Transfer]]:
        if isinstance(fact, ReadingsSealed):
            self._readings[position] = fact
            readings = list(self._reread(position))
            self.sources.reported(readings)
            return self.books.read(position, readings)
        return self.books.apply(position, stream, fact)

    def _reread(self, position: int) -> Iterator[Reading]:
        """The readings of the seal there: rows, which nothing keeps in memory."""
        seal = self._readings[position]
        for _, raw in read_rows(self._conn, seal.table, seal.first_row, seal.count):
            yield _READING(raw)

    async def _find_streams(self) -> bool:
        """One rating and one ledger stream per log: their ids follow from entry 0's."""
        first = await asyncio.to_thread(read, self._conn, 0, 1)
        if not first:
            return False
        names = seal_streams(envelope(first[0][1]).stream)
        self._intervals.stream, self._transfers.stream = names
        await self._reload()
        return True

    async def _reload(self) -> None:
        """Where the seals stand in the log; what they cover is no longer pending."""
        for tail in (self._intervals, self._transfers):
            row = await asyncio.to_thread(self._last, tail.stream)
            if row is not None:
                seal: Any = decode_entry(row[2]).fact
                tail.seal, tail.version = row[0], row[1]
                tail.next_row, tail.through = seal.first_row + seal.count, seal.through
        self._pending = [cause for cause in self._pending if cause.position > self.through]

    def _last(self, stream: str) -> tuple[int, int, bytes] | None:
        row = self._conn.execute(_LAST, {"stream": stream}, binary=True).fetchone()
        return None if row is None else (int(row[0]), int(row[1]), bytes(row[2]))

    async def _seal(self) -> None:
        through = self.at - 1
        intervals = [row for cause in self._pending for row in cause.intervals]
        transfers = [row for cause in self._pending for row in cause.transfers]
        writes, bulks, tails = [], [], []
        for tail, rows, table in (
            (self._intervals, intervals, "rated_interval"),
            (self._transfers, transfers, "transfer"),
        ):
            if rows:
                bulk = bulk_of(table, tail.next_row, rows)
                writes.append(
                    Write(tail.stream, "-", tail.version, (seal_of(tail, bulk, rows, through),))
                )
                bulks.append(bulk)
                tails.append(tail)
        quiet = [t for t in (self._intervals, self._transfers) if t not in tails]
        append = Append(
            writes=tuple(writes),
            actor=ACTOR,
            cause=f"pos:{through}",
            reads=tuple((tail.stream, tail.version) for tail in quiet if tail.version),
            bulk=tuple(bulks),
        )
        try:
            done = await self._log.append(append)
        except DomainError as error:
            if error.code != "log.version_stale":
                raise
            # Another rater sealed the same rows first: go on from where it stopped.
            await self._reload()
            return
        for index, (tail, bulk) in enumerate(zip(tails, bulks, strict=True)):
            tail.seal, tail.version = done.first + index, tail.version + 1
            tail.next_row, tail.through = bulk.first_row + len(bulk.rows), through
        self._pending.clear()


def seal_streams(log_stream: str) -> tuple[str, str]:
    """The one rating and the one ledger stream of the log with this first stream."""
    uuid = log_stream.split("-", 1)[1]
    return f"rating-{uuid}", f"ledger-{uuid}"


def bulk_of(table: str, first: int, rows: list[Any]) -> Bulk:
    """The rows as stored, each with a fresh salt, numbered from `first`."""
    salts = os.urandom(16 * len(rows)).hex()
    numbered = enumerate(rows, first)
    return Bulk(
        table,
        first,
        tuple(
            row_bytes(row, number, salts[32 * (number - first) : 32 * (number - first + 1)])
            for number, row in numbered
        ),
    )


def seal_of(
    tail: Tail, bulk: Bulk, rows: list[Any], through: int
) -> IntervalsSealed | TransfersSealed:
    """The seal that binds these rows, next after `tail`'s."""
    root = root_hash(leaf_hash(row) for row in bulk.rows).hex()
    place = (bulk.table, bulk.first_row, len(bulk.rows), root, tail.seal, through)
    if bulk.table == "transfer":
        return TransfersSealed(*place, sum(row.amount_pico for row in rows))
    return IntervalsSealed(*place, sum(row.sign * row.quantity for row in rows))
