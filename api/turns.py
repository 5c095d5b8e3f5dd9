"""Turns: what this process appends to one stream under an expected version, one by one; and shares
of what everybody asks for, a few at once.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """One queue per stream, first come first served; owned by one event loop.

    Expected versions still decide: a turn only spares callers of one process each other's refusals.
    `at_once`: how many of one name.
    """

    def __init__(self, at_once: int = 1) -> None:
        self._locks = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(at_once))
        self._waiting: defaultdict[str, int] = defaultdict(int)

    @asynccontextmanager
    async def of(self, stream: str) -> AsyncIterator[None]:
        """The block runs while nobody else here, or so few, is in a block of the same stream."""
        self._waiting[stream] += 1
        try:
            async with self._locks[stream]:
                yield
        finally:
            self._waiting[stream] -= 1
            if not self._waiting[stream]:
                del self._waiting[stream], self._locks[stream]
