"""An appender that breaks answers everyone; nobody waits for ever."""

import asyncio
from typing import Any

import psycopg
import pytest

from domain.errors import DomainError
from evidence.ids import new_id
from evidence.log import EventLog
from tests.conftest import Database
from tests.integration.test_log_append import beat, verify_stored

pytestmark = pytest.mark.slow
_CANCEL = """
SELECT pg_cancel_backend(pid) FROM pg_stat_activity
WHERE application_name LIKE 'gpuaas-log-%' AND datname = current_database() AND wait_event_type = 'Lock'
"""


class BrokenError(Exception):
    """Stands for a bug in whatever the appender calls."""


def test_a_broken_appender_answers_what_waits(database: Database) -> None:
    """A bug met while committing refuses what waits and what comes, and `close` raises it."""
    calls = 0

    def gate() -> DomainError | None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise BrokenError
        return None

    async def run() -> None:
        log = await EventLog.open(database.app_url, gate=gate)
        for _ in range(2):
            await log.append(beat(new_id("log")))
        answers = await asyncio.gather(
            *(log.append(beat(new_id("log"))) for _ in range(300)), return_exceptions=True
        )
        assert {getattr(answer, "code", None) for answer in answers} == {"log.unavailable"}
        with pytest.raises(DomainError, match=r"log\.unavailable"):
            await log.append(beat(new_id("log")))
        with pytest.raises(BrokenError):
            await log.broken()
        with pytest.raises(BrokenError):
            await log.close()

    asyncio.run(run())
    assert len(verify_stored(database)) == 2


def test_a_statement_that_is_cancelled_ends_no_appender(database: Database) -> None:
    """Cancelled while it waits for the head, ahead and directly, or without a head row: refused as
    not stored, and the next append is taken.
    """

    async def cancelled_twice(log: EventLog, superuser: psycopg.Connection[Any]) -> None:
        waiting = asyncio.gather(
            *(log.append(beat(new_id("log"))) for _ in range(3)), return_exceptions=True
        )
        while not waiting.done():
            await asyncio.sleep(0.05)
            superuser.execute(_CANCEL)
        codes = {getattr(answer, "code", None) for answer in await waiting}
        assert codes == {"log.unavailable"}

    async def run() -> None:
        log = await EventLog.open(database.app_url)
        await log.append(beat(new_id("log")))
        with (
            psycopg.connect(database.superuser_url) as holder,
            psycopg.connect(database.superuser_url, autocommit=True) as superuser,
        ):
            holder.execute("SELECT * FROM log.head FOR UPDATE")
            await cancelled_twice(log, superuser)
            holder.rollback()
            await log.append(beat(new_id("log")))
            row = superuser.execute("DELETE FROM log.head RETURNING *").fetchone()
            assert row is not None
            with pytest.raises(DomainError, match=r"log\.unavailable"):
                await log.append(beat(new_id("log")))
            places = ", ".join(["%s"] * len(row))
            superuser.execute(f"INSERT INTO log.head VALUES ({places})", row)
        assert (await log.append(beat(new_id("log")))).first == 2
        await log.close()
        await log.broken()

    asyncio.run(run())
    assert len(verify_stored(database)) == 3
