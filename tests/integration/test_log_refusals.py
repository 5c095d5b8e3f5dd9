"""What append refuses on a real server stores nothing, and takes no neighbour along."""

import asyncio
from typing import Any

import psycopg
import pytest

from domain.errors import DomainError
from domain.organization import Suspended
from evidence import reader
from evidence.clock import SystemClock
from evidence.ids import new_id
from evidence.log import Append, Appended, EventLog, Write, private_value
from tests import rows
from tests.conftest import Database
from tests.integration.test_log_append import SYSTEM, beat, command, in_log, verify_stored

pytestmark = pytest.mark.slow


class SteppedClock(SystemClock):
    """The machine's clocks, the wall clock off by what a test says."""

    def __init__(self) -> None:
        self.off_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.off_us


def everything(database: Database) -> list[tuple[Any, ...]]:
    query = "SELECT count(*) FROM log."
    with psycopg.connect(database.app_url) as conn:
        return [
            row
            for table in ("entry", "bulk_row", "private_value")
            for row in conn.execute(query + table).fetchall()
        ]


def test_a_refusal_stores_nothing_and_spares_its_neighbours(database: Database) -> None:
    """Not strict, oversized, stale, out of form, in a wrong place: the others of the batch are
    stored.
    """
    stream, organization = new_id("organization"), new_id("organization")
    _, value = private_value(organization, "words")

    def suspended(reason: str) -> Append:
        write = Write(stream, stream, 0, (Suspended(reason, 1),))
        return Append((write,), SYSTEM, command(reason), private=(value,))

    stale = Append(beat(new_id("log"), 4).writes, SYSTEM, command("stale"), private=(value,))
    future = Append(beat(new_id("log")).writes, SYSTEM, "pos:9000000")

    foreign = Append((Write(stream, "-", 0, (Suspended("x", 1),)),), SYSTEM, command("foreign"))

    bad = [suspended("a\x00b"), suspended("x" * 70_000), stale, future, foreign]

    async def body(log: EventLog) -> None:
        for turn in range(3):
            good = beat(new_id("log"))
            answers = await log.append_many([*bad, good])
            codes = [each.code for each in answers if isinstance(each, DomainError)]
            assert codes == [
                "entry.refused", "entry.oversized", "log.version_stale", "entry.refused",
                "entry.refused",
            ]  # fmt: skip
            assert isinstance(answers[-1], Appended)
            assert answers[-1].first == turn
        for each in [*bad, Append((), SYSTEM, command("empty"))]:
            with pytest.raises(DomainError):
                await log.append(each)
        assert await log.read_stream(stream) == []

    in_log(database, body)
    assert everything(database) == [(3,), (0,), (0,)]


def sealed(stream: str, expected: int, first_row: int, count: int) -> Append:
    bulk = rows.transfers(first_row, count)
    write = Write(stream, "-", expected, (rows.seal(bulk),))
    return Append((write,), SYSTEM, command(new_id("seal")), bulk=(bulk,))


def test_rows_are_contiguous_and_commit_with_their_seal(database: Database) -> None:
    """Rows continue their table or the append is refused; a seal that loses takes its
    rows along.
    """

    async def body(log: EventLog) -> None:
        stream = new_id("ledger")
        await log.append(sealed(stream, 0, 0, 3))
        answers = await log.append_many(
            [
                sealed(stream, 1, 4, 2),
                sealed(stream, 1, 2, 2),
                sealed(stream, 0, 3, 2),
                sealed(stream, 1, 3, 2),
                sealed(stream, 2, 5, 2),
            ]
        )
        codes = [a.code for a in answers if isinstance(a, DomainError)]
        assert codes == ["log.version_stale"] * 3
        assert [isinstance(a, Appended) for a in answers] == [False, False, False, True, True]
        with psycopg.connect(database.app_url) as conn:
            found = reader.read_rows(conn, "transfer", 0, 100)
            assert found == [(number, rows.transfer(number)) for number in range(7)]
            assert reader.read_rows(conn, "transfer", 5, 1) == [found[5]]

    in_log(database, body)


def test_a_stepped_clock_refuses_appends(database: Database) -> None:
    """OS clock against database and boot time: apart by more than two seconds stores nothing."""
    clock = SteppedClock()

    async def run() -> None:
        log = await EventLog.open(database.app_url, clock=clock)
        for _ in range(3):
            await log.append(beat(new_id("log")))
        for off_us in (10_000_000, -10_000_000):
            clock.off_us = off_us
            with pytest.raises(DomainError, match=r"clock\.disagrees"):
                await log.append(beat(new_id("log")))
        clock.off_us = 0
        await log.append(beat(new_id("log")))
        await log.close()
        clock.off_us = 10_000_000
        fresh = await EventLog.open(database.app_url, clock=clock)
        with pytest.raises(DomainError, match=r"clock\.disagrees"):
            await fresh.append(beat(new_id("log")))
        await fresh.close()

    asyncio.run(run())
    assert len(verify_stored(database)) == 4


def test_a_closed_gate_refuses_appends(database: Database) -> None:
    """An unsigned tail that is too old answers every append, and opens again."""
    refusal: list[DomainError] = []

    async def run() -> None:
        log = await EventLog.open(database.app_url, gate=lambda: refusal[0] if refusal else None)
        await log.append_many([beat(new_id("log")) for _ in range(3)])
        refusal.append(DomainError("log.unsigned_tail", "nothing was signed for 61 s"))
        with pytest.raises(DomainError, match=r"log\.unsigned_tail"):
            await log.append(beat(new_id("log")))
        refusal.clear()
        await log.append(beat(new_id("log")))
        await log.close()
        with pytest.raises(DomainError, match=r"log\.unavailable"):
            await log.append(beat(new_id("log")))

    asyncio.run(run())
    assert len(verify_stored(database)) == 4


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log.entry SET entry = 'x'",
        "DELETE FROM log.entry",
        "TRUNCATE log.entry",
        "UPDATE log.head SET next_position = 0",
        "INSERT INTO log.head DEFAULT VALUES",
        "DELETE FROM log.bulk_row",
        "DELETE FROM log.private_value",
        "UPDATE log.private_value SET words = ''",
        "DROP TABLE log.entry",
        "ALTER TABLE log.entry DISABLE TRIGGER ALL",
        "SELECT log.advance(5, ''::bytea, 1, decode(repeat('00', 32), 'hex'), 1, 1)",
        "SELECT log.advance(1, decode(repeat('00', 32), 'hex'), 1, decode(repeat('00', 32), 'hex'), 1, 1)",
    ],
)
def test_the_application_role_can_only_append(database: Database, statement: str) -> None:
    """No statement of the application role changes what was written or moves the head wrongly."""

    async def body(log: EventLog) -> None:
        await log.append(beat(new_id("log")))

    in_log(database, body)
    with psycopg.connect(database.app_url) as conn, pytest.raises(psycopg.Error):
        conn.execute(statement)
    verify_stored(database)


def test_settings_are_read_from_the_server(database: Database) -> None:
    """A database that turns durability off is refused at start, allowed only by name."""
    name = "synchronous_commit"
    with psycopg.connect(database.owner_url, autocommit=True) as conn:
        conn.execute(f"ALTER DATABASE {database.name} SET {name} = off")

    async def run() -> None:
        with pytest.raises(DomainError, match=name):
            await EventLog.open(database.app_url)
        log = await EventLog.open(database.app_url, allow_unsafe=frozenset({name}))
        await log.append(beat(new_id("log")))
        await log.close()

    asyncio.run(run())


def test_no_database_no_log(database: Database) -> None:
    """A server that does not answer and a database without a log are clear errors at start."""

    async def run() -> None:
        nowhere = database.app_url.replace(f":{database.server.port}/", ":1/")
        with pytest.raises(DomainError, match=r"log\.unavailable"):
            await EventLog.open(nowhere)
        with pytest.raises(DomainError, match=r"log\.no_schema"):
            await EventLog.open(database.server.url("app", "gpuaas"))

    asyncio.run(run())
