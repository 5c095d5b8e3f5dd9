"""How long the oldest unsigned entry has waited: past a bound, appends are refused."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

from domain.errors import DomainError
from evidence.commit import Wake
from evidence.condition import now_us
from evidence.log import Beside, EventLog, alone
from evidence.storage import CHECKPOINT, Storage

BOUND_MS: Final = 60_000
_LOOK_EVERY: Final = timedelta(milliseconds=500)


class UnsignedTail:
    """The gate of a log: the age of its oldest entry without a signature, whoever appended it."""

    def __init__(
        self,
        storage: Storage,
        bound_ms: int = BOUND_MS,
        clock_us: Callable[[], int] = now_us,
    ) -> None:
        self._storage = storage
        self._bound_us = bound_ms * 1000
        self._clock = clock_us
        self._oldest: tuple[int, int] | None = None  # position, at_us

    async def look(self, appended_at: Callable[[int], Awaitable[int | None]]) -> None:
        """Takes in what is signed and what waits now. Raises: DomainError log.unavailable."""
        size = published_size(self._storage)
        appended_us = await appended_at(size)
        self._oldest = None if appended_us is None else (size, appended_us)

    def __call__(self) -> DomainError | None:
        """`log.unsigned_tail` (with how long, in facts) once the oldest has waited longer than the
        bound, or None.
        """
        if self._oldest is None:
            return None
        position, appended_us = self._oldest
        waited_us = self._clock() - appended_us
        # Signed since the last look: how old the next one is, the next look will say.
        if waited_us <= self._bound_us or published_size(self._storage) > position:
            return None
        waited = waited_us // 1_000_000
        detail = f"entries have waited {waited} s for a signature; nothing more is accepted"
        return DomainError("log.unsigned_tail", detail, {"waited_s": waited})


@asynccontextmanager
async def gated(
    database_url: str,
    storage: Storage,
    bound_ms: int = BOUND_MS,
    wake: Wake = lambda _size: None,
    beside: Beside = alone,
) -> AsyncIterator[EventLog]:
    """The log, refusing appends while its tail has waited too long for a signature; closed with
    the block.

    Raises: as `EventLog.open`.
    """
    tail = UnsignedTail(storage, bound_ms)
    log = await EventLog.open(database_url, wake=wake, gate=tail, beside=beside)
    try:
        await tail.look(log.appended_us)
        looking = asyncio.create_task(_keep_looking(tail, log))
        try:
            yield log
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
    finally:
        await log.close()


async def _keep_looking(tail: UnsignedTail, log: EventLog) -> None:
    while True:
        await asyncio.sleep(_LOOK_EVERY.total_seconds())
        # A database that is away appends nothing either; what waited before still counts.
        with suppress(DomainError):
            await tail.look(log.appended_us)


def published_size(storage: Storage) -> int:
    """Entries covered by the published checkpoint, unverified: for bounds, not for proofs."""
    lines = (storage.read(CHECKPOINT) or b"").split(b"\n", 2)
    return int(lines[1]) if len(lines) > 2 and lines[1].isdigit() else 0
