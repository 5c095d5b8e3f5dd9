"""The runner: killed anywhere, twice at once, stopped by what it cannot apply."""

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from domain import node, organization, quota
from domain.errors import DomainError
from domain.log import Heartbeat
from domain.words import Share
from projections import live, runner
from projections.readiness import readiness
from projections.rebuild import rebuild
from projections.table import _close
from projections.views import _BY_INDEX, SHAPES, applied, step
from tests.conftest import Database
from tests.integration.projections_facts import RawLog, Told, uuid

pytestmark = pytest.mark.slow
SPAWN = multiprocessing.get_context("spawn")
ENTRIES = 12_000
KILLS = 20


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner_url, autocommit=True) as conn:
        yield conn


@pytest.fixture
def app(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        yield conn


def busy(count: int, seed: int = 1) -> list[Told]:
    """Facts that open and end rows of few keys, far apart and close together."""
    chance = random.Random(seed)
    found = []
    for n in range(count):
        one, two = chance.randrange(40), chance.randrange(40)
        allocation, rid = f"allocation-{uuid(two)}", f"runtime-{uuid(two)}"
        fact, stream = chance.choice([
            (node.Allocated(allocation, rid, f"organization-{uuid(1)}", (Share(0, 10),), 1, n),
             f"node-{uuid(one)}"),
            (node.Released(allocation, rid, n), f"node-{uuid(one)}"),
            (node.Reachable(n), f"node-{uuid(one)}"),
            (node.Unreachable(n), f"node-{uuid(one)}"),
            (quota.Committed(rid, "d", "p", "T4", 10, n), f"quota-{uuid(1)}"),
            (quota.Released(rid, n), f"quota-{uuid(1)}"),
            (organization.Suspended("r", n), f"organization-{uuid(one)}"),
        ])  # fmt: skip
        found.append(Told(stream, type(fact).__struct_config__.tag, fact))  # type: ignore[arg-type]
    return found


def _apply_slowly(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        while step(conn, 150):
            pass


def test_a_kill_anywhere_loses_and_doubles_nothing(
    database: Database, owner: psycopg.Connection, app: psycopg.Connection
) -> None:
    """Kill -9 of the runner again and again: at the end the views equal a rebuild, by bytes."""
    RawLog(owner).append(busy(ENTRIES))
    chance = random.Random(7)
    kills = 0
    while applied(app) < ENTRIES and kills < KILLS:
        child = SPAWN.Process(target=_apply_slowly, args=(database.app_url,))
        child.start()
        before = applied(app)
        while applied(app) == before and child.is_alive():
            time.sleep(0.001)
        time.sleep(chance.random() * 0.12)
        if child.is_alive():
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
        child.join()
    assert kills >= 3
    _apply_slowly(database.app_url)
    assert rebuild(app, owner) == []


def test_two_runners_apply_everything_once(
    database: Database, owner: psycopg.Connection, app: psycopg.Connection
) -> None:
    """A second runner stands by and takes over when the first ends; nothing is applied twice."""
    log = RawLog(owner)
    wakes = [runner.Wake(), runner.Wake()]
    threads = [threading.Thread(target=runner.run, args=(database.app_url, wake)) for wake in wakes]
    for thread in threads:
        thread.start()
    log.append(busy(500))
    for wake in wakes:
        wake.ring()
    live.wait_for(app, 499, 60)
    wakes[0].stop()
    threads[0].join()
    log.append(busy(500, seed=2))
    wakes[1].ring()
    assert live.wait_for(app, 999, 60) == 1000
    wakes[1].stop()
    threads[1].join()
    assert rebuild(app, owner) == []


def test_what_cannot_be_applied_stops_exactly_there_and_turns_readiness_red(
    database: Database, owner: psycopg.Connection, app: psycopg.Connection
) -> None:
    """An unknown tag: all before it is applied, nothing after it, and readiness names it."""
    log = RawLog(owner)
    log.append(busy(20))
    log.append([Told(f"log-{uuid(1)}", "gpuaas.log.unheard_of.v1", Heartbeat())])
    log.append(busy(20, seed=3))
    with pytest.raises(DomainError, match="unknown_tag"):
        runner.run(database.app_url, runner.Wake())
    assert applied(app) == 20
    now = time.time_ns() // 1000
    found = readiness(app, now, {})
    assert not found.ready
    assert any("stopped at position 20" in reason for reason in found.reasons)
    assert found.applied == 20


def test_a_missing_sealed_row_stops_the_views(
    owner: psycopg.Connection, app: psycopg.Connection
) -> None:
    """A seal over rows that are not there is never half applied."""
    from domain.sealing import IntervalsSealed

    log = RawLog(owner)
    log.append(busy(3))
    log.append([
        Told(f"rating-{uuid(1)}", "gpuaas.rating.batch_sealed.v1",
             IntervalsSealed("rated_interval", 0, 0, "r", None, 1, 0)),
    ])  # fmt: skip
    owner.execute(
        "UPDATE log.entry SET entry = convert_to(replace(convert_from(entry, 'UTF8'), "
        "'\"count\":0', '\"count\":2'), 'UTF8') WHERE position = 3"
    )
    with pytest.raises(DomainError, match="rows_missing"):
        runner.catch_up(app)
    assert applied(app) == 3


def test_an_edited_order_is_refused(owner: psycopg.Connection, app: psycopg.Connection) -> None:
    """An entry that says another position than it lies at stops the views."""
    RawLog(owner).append(busy(5))
    owner.execute(
        "UPDATE log.entry SET entry = convert_to(replace(convert_from(entry, 'UTF8'), "
        "'\"position\":3', '\"position\":4'), 'UTF8') WHERE position = 3"
    )
    with pytest.raises(DomainError, match="gap"):
        runner.catch_up(app)
    assert applied(app) == 3


def test_readiness_says_why_not(app: psycopg.Connection) -> None:
    """Silence, age and a fault are each a reason; an older report never replaces a newer one."""
    live.report_component(app, "signer", False, "key is gone\0", 100)
    live.report_component(app, "signer", True, "late", 50)
    live.count_refusal(app, "signature", "node-x", 10)
    live.count_refusal(app, "signature", "node-y", 9)
    found = readiness(app, 1_000, {"scrubber": 1, "signer": 10_000})
    assert found.reasons == ("signer: key is gone\\0", "scrubber has never reported")
    assert [(r.count, r.detail, r.last_us) for r in found.refused] == [(2, "node-y", 10)]
    live.report_component(app, "signer", True, "signing", 200)
    live.report_component(app, "scrubber", True, "ok", 200)
    assert readiness(app, 300, {"scrubber": 100, "signer": 100}).ready
    late = readiness(app, 5_000_200, {"scrubber": 100, "signer": 10_000_000})
    assert late.reasons == ("scrubber has not reported for 5 s",)


def test_waiting_for_a_position_ends(app: psycopg.Connection) -> None:
    """A position that does not come is refused in time, with where the views are."""
    with pytest.raises(DomainError, match=r"view\.behind") as refused:
        live.wait_for(app, 5, 0.05)
    assert refused.value.facts == {"position": 5, "applied": 0}


def test_a_row_that_ends_is_found_by_its_key(app: psycopg.Connection) -> None:
    """Of every view: each probe is of an index by the key, and the row is gone to from there,
    whatever the planner takes the tables for. Nothing is read whole beside each key.
    """
    one = {"text": "x", "bigint": 1, "numeric": 1}
    for shape in (shape for shape in SHAPES if shape.keys):
        app.execute(_BY_INDEX)
        asked = [[one[kind]] for kind in (*shape.types, "bigint")]
        rows = app.execute(sql.SQL("EXPLAIN ") + _close(shape, "views"), asked).fetchall()
        plan = "\n".join(row[0] for row in rows)
        assert plan.count("Scan") == 3 + plan.count("Subquery Scan"), plan
        assert plan.count("Index Cond") == plan.count("Tid Scan") == 1, plan
        assert "Function Scan" in plan, plan
        assert "Materialize" not in plan, plan
