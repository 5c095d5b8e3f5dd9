"""An appender that breaks answers everyone; nobody waits for ever."""

import asyncio

import pytest

from domain.errors import DomainError
from evidence.ids import new_id
from evidence.log import EventLog
from tests.conftest import Database
from tests.integration.test_log_append import beat, verify_stored

pytestmark = pytest.mark.slow


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
            await log.close()

    asyncio.run(run())
    assert len(verify_stored(database)) == 2
