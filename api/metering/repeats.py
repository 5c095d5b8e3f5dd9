"""Numbers that are sealed already: the same reading again, or another one under the same key."""

import base64
import hashlib
from collections.abc import Callable
from typing import Final

import msgspec

from api.reads import Reads, reached
from contracts import usage
from contracts.usage import Batch
from domain.errors import DomainError
from domain.reading import Reading
from domain.sealing import ReadingQuarantined
from evidence.append import Append, Write
from evidence.log import EventLog
from projections import readings_read
from projections.months import derived_id
from projections.readings_read import Run

ACTOR: Final = "system-usage"
_MOST_RUNS: Final = usage.MOST_READINGS
_TRIES: Final = 8
_ROW: Final = msgspec.json.Decoder(Reading).decode


class Repeats:
    """Compares with the stored rows; `now_us` dates what is put into quarantine."""

    def __init__(self, log: EventLog, reads: Reads, now_us: Callable[[], int]) -> None:
        self._log = log
        self._reads = reads
        self._now_us = now_us

    async def require_same(self, batch: Batch, skip: int, sealed: int | None) -> None:
        """Nothing when the first `skip` readings are those sealed under their keys.

        Raises:
            DomainError: `reading.epoch_over`, `reading.unsigned`, `reading.conflict` (a fact says
                so, once), `log.*`.
        """
        if sealed is not None:
            await reached(self._reads, sealed)
        kept = await self._kept(batch)
        for number, reading in enumerate(batch.readings[:skip], batch.first):
            if number not in kept:
                detail = f"epoch {batch.epoch} is over, and had no number {number}"
                raise DomainError("reading.epoch_over", detail)
            said = usage.payload(reading)
            if said != kept[number]:
                await self._require_signed(batch)
                await self._quarantine(batch, number, kept[number], said)

    async def _kept(self, batch: Batch) -> dict[int, bytes]:
        """Payloads by number, of the runs that the batch touches."""
        found: dict[int, bytes] = {}
        for run in await self._runs(batch):
            if run.first > batch.last:
                break
            found |= await self._payloads(run)
        return found

    async def _runs(self, batch: Batch) -> list[Run]:
        asked = (batch.source, batch.epoch, batch.first, _MOST_RUNS)
        return await self._reads.ask(readings_read.runs_from, *asked)

    async def _payloads(self, run: Run) -> dict[int, bytes]:
        rows = await self._reads.ask(readings_read.rows_of, run)
        return {row.sequence: payload_of(row) for row in map(_ROW, rows)}

    async def _require_signed(self, batch: Batch) -> None:
        """Who accuses a source must have its signature on what it sent, not on something else."""
        run = (await self._runs(batch))[0]
        head = usage.beginning(batch.source, batch.epoch)
        if run.first > 1:
            before = await self._reads.ask(
                readings_read.runs_from, batch.source, batch.epoch, run.first - 1, 1
            )
            head = bytes.fromhex(before[0].chain)
        kept = await self._payloads(run)
        for number in range(run.first, batch.first):
            head = usage.linked(head, kept[number])
        for reading in batch.readings:
            head = usage.linked(head, usage.payload(reading))
        if head.hex() != batch.chain:
            raise DomainError("reading.unsigned", "the chain is not that of these readings")

    async def _quarantine(self, batch: Batch, number: int, kept: bytes, said: bytes) -> None:
        """Raises: DomainError reading.conflict once it is in the log, log.* before."""
        stream = derived_id("usage", batch.source, "quarantine")
        ours, theirs = (hashlib.sha256(raw).hexdigest() for raw in (kept, said))
        sent = base64.b64encode(said).decode("ascii")
        fact = ReadingQuarantined(
            *(batch.source, batch.epoch, number, ours, theirs, sent), self._now_us()
        )
        text = f"gpuaas-quarantine/1\n{batch.source}\n{batch.epoch}\n{number}\n{theirs}\n"
        cause = "cmd:" + hashlib.sha256(text.encode()).hexdigest()
        for _ in range(_TRIES):
            recorded = await self._log.read_stream(stream)
            write = Write(stream, "-", len(recorded), (fact,))
            try:
                await self._log.append(Append((write,), ACTOR, cause))
            except DomainError as error:
                if error.code != "log.version_stale":
                    raise
            else:
                break
        facts: dict[str, int | str] = {"epoch": batch.epoch, "sequence": number}
        raise DomainError("reading.conflict", f"number {number} was another reading", facts)


def payload_of(row: Reading) -> bytes:
    """The canonical bytes of the reading that a row keeps."""
    dimensions = dict(part.split("=") for part in row.dimensions.split(","))
    reading = usage.Reading(
        row.meter, row.resource, dimensions, row.from_us, row.to_us, row.quantity
    )
    return usage.payload(reading)
