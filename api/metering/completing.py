"""A source says that it has told all until an instant: one fact on a stream of its own."""

from collections.abc import Callable
from typing import Final

from api.metering.known import Known
from api.metering.repeats import ACTOR
from api.reads import Reads, reached
from contracts import usage
from contracts.signing import FleetError
from contracts.usage import Complete, Completed, check_complete
from domain.errors import DomainError
from domain.sealing import SourceCompleted
from evidence.append import Append, Write
from evidence.log import EventLog
from projections import readings_read
from projections.sources import completed_stream

_TRIES: Final = 8


class Completions:
    """Takes such words for one process; any number of processes may. Owned by one event loop."""

    def __init__(
        self, log: EventLog, reads: Reads, known: Known, now_us: Callable[[], int]
    ) -> None:
        self._log = log
        self._reads = reads
        self._known = known
        self._now_us = now_us

    async def take(self, said: Complete) -> Completed:
        """Until when the source has told all: durable. The same again, or less, changes nothing.

        Raises:
            DomainError: `source.unknown`, `reading.unsigned`, `reading.in_future`,
                `reading.incomplete`, `log.*`.
        """
        stream = completed_stream(said.source)
        for _ in range(_TRIES):
            version = await self._standing(said)
            recorded = await self._log.read_stream(stream)
            if recorded:
                last = recorded[-1].fact
                assert isinstance(last, SourceCompleted), "nothing else is on that stream"
                if last.until_us >= said.until_us:
                    return Completed(source=said.source, until_us=last.until_us, position=None)
            await self._require_sealed(said)
            fact = SourceCompleted(
                *(said.source, said.epoch, said.sequence, said.chain, said.until_us, said.sig),
                self._now_us(),
            )
            write = Write(stream, "-", len(recorded), (fact,))
            cause = f"pos:{recorded[-1].position if recorded else 0}"
            try:
                done = await self._log.append(
                    Append((write,), ACTOR, cause, ((said.source, version),))
                )
            except DomainError as error:
                if error.code != "log.version_stale":
                    raise
                self._known.forget(said.source)
                await self._caught_up()
                continue
            return Completed(source=said.source, until_us=said.until_us, position=done.last)
        raise DomainError("log.version_stale", "the streams keep moving; repeat the request")

    async def _standing(self, said: Complete) -> int:
        """The version of the source's stream that the decision rests on."""
        try:
            standing = await self._known.standing(said.source)
        except DomainError:
            await self._caught_up()
            standing = await self._known.standing(said.source)
        try:
            check_complete(said, standing.key)
        except FleetError as error:
            raise DomainError(error.code, error.detail) from error
        if said.until_us > (now := self._now_us()):
            facts: dict[str, int | str] = {"now_us": now}
            raise DomainError("reading.in_future", "nobody knows what is used then", facts)
        return standing.version

    async def _require_sealed(self, said: Complete) -> None:
        if not await self._is_sealed(said):
            await self._caught_up()
            if not await self._is_sealed(said):
                facts: dict[str, int | str] = {"epoch": said.epoch, "sequence": said.sequence}
                detail = "no batch that ends there with this chain is sealed"
                raise DomainError("reading.incomplete", detail, facts)

    async def _is_sealed(self, said: Complete) -> bool:
        if said.sequence == 0:
            return said.chain == usage.beginning(said.source, said.epoch).hex()
        asked = (said.source, said.epoch, said.sequence, 1)
        runs = await self._reads.ask(readings_read.runs_from, *asked)
        return [(run.last, run.chain) for run in runs] == [(said.sequence, said.chain)]

    async def _caught_up(self) -> None:
        await reached(self._reads, (await self._log.head()).size - 1)
