"""A process's main coroutine until SIGTERM or SIGINT, whatever it is waiting for just then; and
its parts, none of which may end unnoticed.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

_GRACE_S: Final = 8  # under the 10 s after which the supervisor kills


class Part(Protocol):
    """What a process has running beside its requests, and cannot do without."""

    async def broken(self) -> None:
        """Returns once it was closed. Raises: what ended it before that."""


async def until_signal(
    body: Callable[[asyncio.Event], Coroutine[Any, Any, None]], grace_s: float = _GRACE_S
) -> None:
    """Returns when `body(stop)` has ended, raising what it raised.

    A signal sets `stop`. A body that has not ended `grace_s` later is cancelled: it may be waiting
    for a server that is gone, and a process that no longer hears its signals is an orphan.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    work = asyncio.ensure_future(body(stop))
    told = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({work, told}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await asyncio.wait({work}, timeout=grace_s)
        if not work.done():
            work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
    finally:
        told.cancel()


async def ended(task: asyncio.Task[None] | None) -> None:
    """Once the task is over. Raises: what ended it; nothing for one that was cancelled."""
    assert task is not None, "it was started"
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
