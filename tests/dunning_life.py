"""A worker that duns and is killed with -9: before it appends, while it does, or when it has."""

import asyncio
import os
import random
import signal
from typing import Any

import psycopg

from evidence.append import Append
from evidence.log import EventLog
from projections.dunning import dun_due
from projections.rater import Rater

WHEN = ("before", "while", "after")


class Deadly:
    """A log that nobody survives appending to."""

    def __init__(self, log: EventLog, when: str) -> None:
        self._log = log
        self._when = when

    async def append(self, asked: Append) -> None:
        """Returns never."""
        if self._when != "before":
            task = asyncio.create_task(self._log.append(asked))
            await (task if self._when == "after" else asyncio.sleep(random.random() / 100))
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody comes here")


def life(url: str, now_us: int, when: str) -> None:
    """As a worker that begins anew: it reads the log and says what is due, if anything is."""

    async def run() -> None:
        log = await EventLog.open(url)
        with psycopg.connect(url, autocommit=True) as conn:
            rater = Rater(conn, log)
            await rater.catch_up()
            deadly: Any = Deadly(log, when)
            await dun_due(deadly, rater.dunning, rater.duties, rater.books, now_us)
        await log.close()

    asyncio.run(run())
