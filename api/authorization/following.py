"""The directory at the log's head: loaded once, followed by a wake, asked before a refusal."""

import asyncio
import contextlib

from api.authorization.directory import STREAMS, Directory
from api.authorization.loading import load
from api.gateway.tail import Tail
from api.reads import Reads
from api.stopping import ended
from evidence.wake import HeadWake


class Following:
    """What another process decided is known here as soon as its wake comes; with no wake, after
    the poll of one. `close` before the connections it reads with.
    """

    def __init__(self, url: str, directory: Directory) -> None:
        self.directory = directory
        self._tail = Tail(url, directory, lambda: None, STREAMS)
        self._task: asyncio.Task[None] | None = None

    async def start(self, reads: Reads, heads: HeadWake) -> None:
        """Raises: DomainError log.unavailable."""
        await reads.ask(load, self.directory)
        self._task = asyncio.get_running_loop().create_task(self._tail.follow(heads))

    async def broken(self) -> None:
        """Returns once closed. Raises: what ended its task before that."""
        await ended(self._task)

    async def catch_up(self) -> None:
        """The directory has everything committed before the call. Raises: log.unavailable."""
        await self._tail.catch_up()

    async def locate(self, scope: str) -> None:
        """Returns when it is known where the scope lies, if it lies anywhere: a department or a
        project may have been made by another process a moment ago. Raises: log.unavailable.
        """
        if scope.startswith(("department-", "project-")) and self.directory.org_of(scope) is None:
            await self.catch_up()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._tail.close()
