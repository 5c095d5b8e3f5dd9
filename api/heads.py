"""The log's growing size: told to others after a commit, heard from others, waited for."""

import asyncio
import contextlib
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg

SUBJECT: Final = "gpuaas.v1.log.head"


class Heads:
    """Wake-ups are hints: whoever waits also looks by itself after a while."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._moved = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self.size = 0

    async def start(self) -> None:
        await self._client.subscribe(SUBJECT, cb=self._heard)

    def publish(self, size: int) -> None:
        """Tells every process of the deployment; never blocks, never fails the append."""
        task = asyncio.get_running_loop().create_task(self._tell(size))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self, seconds: float) -> None:
        """Returns when the log has grown, or after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._moved:
                await self._moved.wait()

    async def _tell(self, size: int) -> None:
        await self._grown(size)
        if self._client.is_connected:
            await self._client.publish(SUBJECT, str(size).encode())

    async def _heard(self, message: Msg) -> None:
        if message.data.isdigit() and len(message.data) < 19:
            await self._grown(int(message.data))

    async def _grown(self, size: int) -> None:
        async with self._moved:
            self.size = max(self.size, size)
            self._moved.notify_all()
