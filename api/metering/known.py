"""What a reading is judged by, as the views have it; only what can never become false is kept.

A project, a runtime, a meter, a price and a period are never taken back, so once found they may be
remembered. Whether a source may report can change: what is decided on it carries the version of
its stream, and loses if that has moved.
"""

import asyncio
from typing import Final

from msgspec import Struct

from api.reads import Reads, reached
from contracts.signing import FleetError
from contracts.usage import Batch, Reading, check_signature, check_texts
from domain import meter, pricebook
from domain.charging import READ
from domain.errors import DomainError
from domain.price_facts import BookPublished, ShapedEntry
from domain.reading import WEIGHTED, named_region, require_countable, row_of
from domain.tariff import Tariff
from evidence.log import EventLog
from projections import readings_read
from projections.readings_read import Standing

_KEPT: Final = 100_000
_NOT_YET: Final = frozenset(
    {
        "reading.no_meter",
        "reading.no_price",
        "reading.no_period",
        "reading.no_resource",
        "source.unknown",
    }
)
type _Kind = tuple[object, ...]


class _Plan(Struct):
    """How readings of one kind are charged: everything of them but time and quantity."""

    counting: meter.Counting
    dimensions: str
    organization: str
    account: str
    currency: str
    model: str
    region: str
    weighted: bool
    known_us: int = 1 << 62  # from here on an entry prices it, and a period holds it up to `end_us`
    start_us: int = 0
    end_us: int = 0  # the account's periods cover [start_us, end_us)


class Judged(Struct, frozen=True):
    """A batch that can be charged: the dimensions of each reading as rows have them, and the one
    organization that all of them are of, None where there are several.
    """

    dimensions: list[str]
    organization: str | None


class Known:
    """Owned by one event loop."""

    def __init__(self, log: EventLog, reads: Reads) -> None:
        self._log = log
        self._reads = reads
        self._standings: dict[str, Standing] = {}
        self._plans: dict[_Kind, _Plan] = {}
        self._meters: dict[str, meter.Counting] = {}
        self._tariff = Tariff()
        self._book_version = 0
        self._reading = asyncio.Lock()

    def forget(self, stream: str | None) -> None:
        """The stream has moved: whoever speaks by it is looked up again; None: all of them."""
        if stream is None:
            self._standings.clear()
        else:
            self._standings.pop(stream, None)

    async def standing(self, source: str) -> Standing:
        """Raises: DomainError source.unknown: it is none, or may not report any more."""
        found = self._standings.get(source)
        if found is None:
            found = await self._reads.ask(readings_read.standing, source)
            if found is None:
                raise DomainError("source.unknown", "no such source may report")
            if len(self._standings) >= _KEPT:
                self._standings.clear()
            self._standings[source] = found
        return found

    async def judged(self, batch: Batch, now_us: int) -> Judged:
        """Once all of its readings can be charged.

        Judged again on all that the log holds before anything is refused for what is not there.

        Raises: DomainError source.unknown, reading.*.
        """
        try:
            return await self._judged(batch, now_us)
        except DomainError as error:
            if error.code not in _NOT_YET:
                raise
        size = (await self._log.head()).size
        await reached(self._reads, size - 1)
        return await self._judged(batch, now_us)

    async def _judged(self, batch: Batch, now_us: int) -> Judged:
        standing = await self.standing(batch.source)
        try:
            check_signature(batch, standing.key)
        except FleetError as error:
            raise DomainError(error.code, error.detail) from error
        found, owners = list[str](), set[str]()
        for reading in batch.readings:
            kind = (batch.source, reading.meter, reading.resource, *reading.dimensions.items())
            plan = self._plans.get(kind)
            if plan is None:
                plan = await self._plan(batch.source, standing, reading)
                if len(self._plans) >= _KEPT:
                    self._plans.clear()
                self._plans[kind] = plan
            span = (reading.from_us, reading.to_us)
            require_countable(plan.counting, reading.dimensions, span, reading.quantity, now_us)
            last = reading.to_us if plan.weighted else reading.from_us + 1
            if reading.from_us < plan.known_us or last > plan.end_us:
                await self._settle(plan, reading.from_us, last)
            found.append(plan.dimensions)
            owners.add(plan.organization)
        return Judged(found, owners.pop() if len(owners) == 1 else None)

    async def _settle(self, plan: _Plan, from_us: int, last_us: int) -> None:
        """A price and the account's periods hold for that time. Raises: DomainError reading.*."""
        if not plan.start_us <= from_us < last_us <= plan.end_us:
            await self._cover(plan, from_us, last_us)
        await self._price(plan, from_us)
        # Neither prices nor periods end: what holds at an instant holds after it.
        plan.known_us = min(plan.known_us, from_us)

    async def _plan(self, source: str, standing: Standing, reading: Reading) -> _Plan:
        try:
            check_texts(reading)
        except FleetError as error:
            raise DomainError(error.code, error.detail) from error
        counting = await self._meter(reading.meter)
        if standing.meters is not None and reading.meter not in standing.meters:
            raise DomainError("reading.no_meter", f"the source may not report {reading.meter}")
        payer = await self._reads.ask(readings_read.payer, reading.resource, source)
        owned = payer is not None and (
            payer.node == source if standing.project is None else payer.project == standing.project
        )
        if payer is None or not owned:
            raise DomainError("reading.no_resource", f"{reading.resource} is not the source's")
        model = reading.dimensions.get(meter.MODEL, "")
        weighted = counting.aggregation == WEIGHTED
        region = payer.region or named_region(reading.dimensions)
        of = (row_of(reading.dimensions), payer.organization, payer.account, "", model, region)
        plan = _Plan(counting, *of, weighted)
        await self._cover(plan, 0, 0)
        return plan

    async def _meter(self, name: str) -> meter.Counting:
        found = self._meters.get(name)
        if found is None:
            rows = await self._reads.ask(readings_read.meters, name)
            if not rows:
                raise DomainError("reading.no_meter", f"no meter {name} is registered")
            row = rows[0]
            found = self._meters[name] = meter.Counting(
                *(row.meter, row.unit, row.source, row.aggregation, row.divisor),
                tuple(row.dimensions),
            )
        return found

    async def _price(self, plan: _Plan, instant: int) -> None:
        scope = (plan.counting.meter, plan.model, plan.region, READ, plan.currency)
        if not self._tariff.is_listed(plan.account, scope, instant):
            await self._read_book()
        if not self._tariff.is_listed(plan.account, scope, instant):
            detail = f"nothing prices {plan.counting.meter} of {plan.model} at {instant}"
            raise DomainError("reading.no_price", detail)

    async def _read_book(self) -> None:
        async with self._reading:  # else two would read the same entries
            book = await self._reads.ask(readings_read.book)
            for one in await self._log.read_stream(book, self._book_version):
                if isinstance(one.fact, pricebook.EntryPublished | ShapedEntry):
                    self._tariff.publish(one.position, one.fact)
                elif isinstance(one.fact, BookPublished):
                    self._tariff.publish_book(one.fact)
                self._book_version = one.version

    async def _cover(self, plan: _Plan, from_us: int, last_us: int) -> None:
        purse = await self._reads.ask(readings_read.purse, plan.account)
        if purse is not None:
            plan.currency, plan.start_us, plan.end_us = purse.currency, purse.start_us, purse.end_us
        if last_us and not plan.start_us <= from_us < last_us <= plan.end_us:
            detail = f"no period of {plan.account} holds {from_us}"
            raise DomainError("reading.no_period", detail)
