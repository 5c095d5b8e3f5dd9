"""The tripwire behind rating: charged twice, one account is frozen and readiness says so."""

import asyncio
import time
from typing import Any

import psycopg
import pytest

from domain.admission import AdmissionState
from domain.credit import Suspended
from domain.errors import DomainError
from evidence.log import EventLog
from evidence.reader import READ_ENTRIES, decode_entry
from projections.rater import Rater
from projections.readiness import readiness
from projections.runner import catch_up
from projections.tripwire import TWICE, Wire, check, freeze_due
from tests.conftest import Database
from tests.integration.projections_world import HOUR_US, T0
from tests.integration.tax_world import TaxedPlatform

pytestmark = pytest.mark.slow

# As the row before it, once more: what a wrong rater, or somebody with the password, would write.
_AGAIN = """
INSERT INTO views.rated_interval
SELECT "row" + 1000000, from_position, to_position, cause, resource, meter, price, period, booked,
  start_us + %(later)s, end_us, sign, quantity, line_quantity, line_amount_pico
FROM views.rated_interval WHERE resource = %(resource)s AND sign = 1 ORDER BY "row" LIMIT 1
"""
_SPAN = """
INSERT INTO live.charged_span (resource, meter, span, account, times, frozen)
VALUES ('runtime-1', 'gpu.time', int8range(%s, %s), 'account-1', %s, %s)
"""
_MANY = """
INSERT INTO views.rated_interval
SELECT 2000000 + n, 0, NULL, 0, 'runtime-' || n / 20, 'gpu.time', 0, %(period)s, %(period)s,
  n %% 20 * 2, n %% 20 * 2 + 1, 1, 1, 1, 1 FROM generate_series(0, 3999) n
"""


def test_time_that_is_charged_twice_freezes_its_account_alone(database: Database) -> None:
    """Once in the log by two workers; nothing of that account begins any more, the other's goes on;
    readiness names it.
    """

    async def run() -> None:
        log = await EventLog.open(database.app_url)
        world = TaxedPlatform(2)
        await world.played(log)
        with (
            psycopg.connect(database.app_url, autocommit=True) as conn,
            psycopg.connect(database.app_url, autocommit=True) as other,
            psycopg.connect(database.owner_url, autocommit=True) as owner,
        ):
            raters = [Rater(conn, log), Rater(other, log)]
            wires = [Wire(), Wire()]
            for rater in raters:
                await rater.catch_up()
            catch_up(conn)
            owner.execute(_AGAIN, {"resource": world.last, "later": HOUR_US})
            assert [one for one in readiness(conn, 0).reasons if "twice" in one] == []
            done = 0
            for _ in range(4):
                for wire in wires:
                    wire.look_at = 0.0
                done += sum(
                    await asyncio.gather(
                        *(
                            freeze_due(log, wire, reading, rater, T0)
                            for wire, reading, rater in zip(
                                wires, (conn, other), raters, strict=True
                            )
                        )
                    )
                )
                for rater in raters:
                    await rater.catch_up()
                catch_up(conn)
            assert done == 1
            said, state = folded(conn)
            fact = Suspended(world.last, TWICE, T0)
            assert said == [(world.accounts[1], fact)]
            state.purses.standing(world.accounts[0])
            with pytest.raises(DomainError, match=r"account\.suspended"):
                state.purses.standing(world.accounts[1])
            found = f"{world.accounts[1]} is charged twice for {world.last}: frozen"
            assert found in readiness(conn, 0).reasons
            spans = conn.execute(
                "SELECT account, times, frozen, upper(span) - lower(span) FROM live.charged_span"
                " ORDER BY account = %s, span", (world.accounts[1],),
            ).fetchall()  # fmt: skip
            assert [tuple(map(int, one[1:])) for one in spans] == [
                (1, 0, 2 * HOUR_US), (1, 0, HOUR_US), (2, 1, HOUR_US),
            ]  # fmt: skip
            healed(owner, conn, world)
            held_apart(owner)
            swept(owner)
        await log.close()

    asyncio.run(run())


def folded(conn: psycopg.Connection[Any]) -> tuple[list[tuple[str, Any]], AdmissionState]:
    """What suspends accounts, and the admission's state."""
    state, said = AdmissionState(), []
    for _, raw in conn.execute(READ_ENTRIES, {"first": 0, "limit": 10**6}, binary=True):
        one = decode_entry(raw)
        state.apply(one.stream, one.version, one.fact)
        if isinstance(one.fact, Suspended):
            said.append((one.stream, one.fact))
    return said, state


def healed(
    owner: psycopg.Connection[Any], conn: psycopg.Connection[Any], world: TaxedPlatform
) -> None:
    """Looked at again without the wrong row it is charged once; what was taken back as well."""
    period = owner.execute(
        "SELECT booked FROM views.rated_interval WHERE resource = %s", (world.last,)
    ).fetchone()
    assert period is not None
    owner.execute('UPDATE views.rated_interval SET sign = -1 WHERE "row" >= 1000000')
    owner.execute("DELETE FROM live.period_checked")
    check(conn, period[0], world.accounts[1])
    assert [one for one in readiness(conn, 0).reasons if "twice" in one] == []
    [(times, length)] = owner.execute(
        "SELECT times, upper(span) - lower(span) FROM live.charged_span WHERE resource = %s",
        (world.last,),
    ).fetchall()
    assert (times, length) == (1, HOUR_US)


def held_apart(owner: psycopg.Connection[Any]) -> None:
    """The database itself takes no two rows that are charged once for one time, and no empty one."""
    with owner.transaction(force_rollback=True):
        owner.execute(_SPAN, (0, 10, 1, False))
        owner.execute(_SPAN, (10, 20, 1, False))
        owner.execute(_SPAN, (5, 15, 2, True))
        for span, wrong in (
            ((9, 11, 1, False), psycopg.errors.ExclusionViolation),
            ((30, 30, 1, False), psycopg.errors.CheckViolation),
            ((30, 40, 2, False), psycopg.errors.CheckViolation),
        ):
            with pytest.raises(wrong), owner.transaction():
                owner.execute(_SPAN, span)


def swept(owner: psycopg.Connection[Any]) -> None:
    """Four thousand rows at one close, in less than ten times what it takes to write them."""
    with owner.transaction(force_rollback=True):
        row = owner.execute(
            "SELECT c.period, p.account FROM views.period_close c JOIN views.period p USING (period)"
        ).fetchone()
        assert row is not None
        began = time.monotonic()
        owner.execute(_MANY, {"period": row[0]})
        written = time.monotonic() - began
        owner.execute("DELETE FROM live.period_checked")
        check(owner, row[0], row[1])
        swept_s = time.monotonic() - began - written
        print(f"written in {written:.3f} s, swept in {swept_s:.3f} s")
        assert swept_s < 10 * written + 1
