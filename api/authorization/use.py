"""When API keys were last used: gathered here, written every few seconds."""

import asyncio
import contextlib
from typing import Any, Final

import psycopg

from api.authorization.keys import KeyRing
from api.statements import Statements
from api.stopping import ended
from domain.errors import DomainError

_EVERY_S: Final = 5
_WRITE: Final = """
INSERT INTO api.key_used AS k (key, used_us)
SELECT * FROM unnest(%(keys)s::text[], %(used)s::bigint[])
ON CONFLICT (key) DO UPDATE SET used_us = greatest(k.used_us, excluded.used_us)"""
_READ: Final = "SELECT key, used_us FROM api.key_used WHERE key = ANY(%(keys)s)"


class KeyUse:
    """One task a process. What was used in the last seconds before a kill is not told."""

    def __init__(self, url: str, ring: KeyRing) -> None:
        self._statements = Statements(url)
        self._ring = ring
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def broken(self) -> None:
        """Returns once closed. Raises: what ended its task before that."""
        await ended(self._task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            with contextlib.suppress(DomainError):  # told with the next ones
                await self.write()

    async def write(self) -> None:
        """Raises: DomainError log.unavailable; then nothing is forgotten."""
        used = dict(self._ring.used)
        if used:
            await self._statements.run(_WRITE, {"keys": list(used), "used": list(used.values())})
            for key, at_us in used.items():
                if self._ring.used.get(key) == at_us:
                    del self._ring.used[key]

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            with contextlib.suppress(DomainError):
                await self.write()
        await self._statements.close()


def last_used(conn: psycopg.Connection[Any], keys: list[str]) -> dict[str, int]:
    """Us UTC, of the keys that were ever used."""
    return dict(conn.execute(_READ, {"keys": keys}).fetchall())
