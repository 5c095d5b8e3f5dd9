"""Whose turn a device is: an order's work on it gives way to a start, and is begun again later.

A device that empties is wiped while its last organization may have it again at any moment. A start
that found our own program on it would be refused, and the device called ill.
"""

import asyncio
import time
from collections.abc import Collection, Coroutine
from typing import Any, Final

# From when a start looks at its devices until a runtime is seen to hold them.
PROMISED_S: Final = 10.0


class Turns:
    """What is under way on which GPUs, and which are promised; of one loop, one work at a time."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._gpus: frozenset[str] = frozenset()
        self._until: dict[str, float] = {}

    def promised(self, gpus: Collection[str]) -> bool:
        """Whether a start on one of these was just looked at."""
        return any(self._until.get(gpu, 0.0) > time.monotonic() for gpu in gpus)

    async def work(self, gpus: Collection[str], doing: Coroutine[Any, Any, None]) -> bool:
        """True when it was done, False when it gave way. Raises: what it raises."""
        task = asyncio.create_task(doing)
        self._task, self._gpus = task, frozenset(gpus)
        try:
            await asyncio.wait([task])
        finally:
            if not task.done():
                await _given_up(task)
        if task.cancelled():
            return False
        task.result()
        return True

    async def give_way(self, gpus: Collection[str]) -> None:
        """Nothing of ours is on these, and nothing is begun there for PROMISED_S."""
        until = time.monotonic() + PROMISED_S
        self._until.update(dict.fromkeys(gpus, until))
        if self._task is not None and not self._task.done() and self._gpus & set(gpus):
            await _given_up(self._task)


async def _given_up(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
