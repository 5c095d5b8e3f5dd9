"""Small tables of the API's own: one statement at a time, each a transaction."""

import asyncio
from typing import Any

import psycopg

from domain.errors import DomainError
from evidence.watched import Watched


class Statements:
    """One connection, opened at the first statement and again after a loss."""

    def __init__(self, app_url: str) -> None:
        self._url = app_url
        self._conn: psycopg.AsyncConnection[Any] | None = None
        self._busy = asyncio.Lock()

    async def run(self, query: Any, said: dict[str, Any]) -> Any:
        """The first row, None without one. A statement whose answer was lost is run again.

        Raises: DomainError log.unavailable.
        """
        async with self._busy:
            for last in (False, True):
                try:
                    if self._conn is None or self._conn.closed:
                        self._conn = await Watched.connect(self._url, autocommit=True)
                    cursor = await self._conn.execute(query, said)
                    return await cursor.fetchone() if cursor.description else None
                except psycopg.OperationalError as error:
                    self._conn = None
                    if last:
                        detail = "the database does not answer"
                        raise DomainError("log.unavailable", detail) from error
        raise AssertionError("the loop returns or raises")

    async def close(self) -> None:
        if self._conn is not None:
            await self._conn.close()
