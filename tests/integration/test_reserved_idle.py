"""What is reserved and idle in everything that is read: usage, invoice, exports, journal, previews,
budgets; on a real log, audited.
"""

import asyncio
import hashlib
from pathlib import Path
from typing import Any, cast

import msgspec
import psycopg
import pytest

from api.edge import instant
from domain import node, node_facts, pricebook, quota, reservation, runtime
from domain.words import Private, Share
from evidence.append import Append
from evidence.ids import new_id
from evidence.log import EventLog
from projections import attribution_read, billing_read, journal_read, previews_read
from projections.exporting import focus
from projections.exporting.lines import lines
from projections.invoicing import finalize_due
from projections.rater import Rater
from tests.api_stage import Stage, staged
from tests.conftest import Database
from tests.integration.projections_world import DIVISOR, HOUR_US, T0, World, attested
from tests.integration.test_projections_reactions import audit

pytestmark = pytest.mark.slow
GPU_HOUR = 1000 * HOUR_US
USD = 10**12
USABLE = 349 * 10**10  # an hour of a GPU at 3.49


def priced(world: World) -> Append:
    """A GPU-hour of what is reserved and idle costs 1 USD."""
    entry = pricebook.EntryPublished(
        *("default", "gpu.time", "T4", "-", "reserved", "USD", T0, T0, USD, DIVISOR)
    )
    return world._append([(new_id("pricebook"), "-", 0, (entry,))])


def reserved(world: World, name: str) -> Append:
    """Two devices for three hours."""
    until, place = T0 + 3 * HOUR_US, (world.department, world.project, "T4")
    held, node_id = world.quota_version, world.nodes[0]
    made = reservation.Made(world.project, "T4", 2, (node_id,), until, T0)
    claimed = node_facts.Reserved(name, world.org, (0, 1), until, T0)
    world.quota_version += 1
    world.node_versions[node_id] += 1
    return world._append([
        (world.quota, world.org, held, (quota.Reserved(name, *place, 2000, T0),)),
        (name, world.org, 0, (made,)),
        (node_id, "-", world.node_versions[node_id] - 1, (claimed,)),
    ])  # fmt: skip


def drawn(world: World, name: str, start: int, end: int) -> list[Append]:
    """A runtime on one of them from `start` to `end`."""
    rid, allocation, node_id = new_id("runtime"), new_id("allocation"), world.nodes[0]
    shares, word = (Share(0, 1000),), Private(hashlib.sha256(name.encode()).hexdigest())
    at, held = world.node_versions[node_id], world.quota_version
    place = (world.project, world.department, world.account)
    commit = quota.Committed(rid, world.department, world.project, "T4", 1000, start)
    said = [
        (what(at - T0, at, at, attested(node_id, f"runtime.{of}", rid, at - T0)),)
        for what, of, at in (
            (runtime.Usable, "usable", start), (runtime.Stopped, "stopped", end),
        )
    ]  # fmt: skip
    world.quota_version += 2
    world.node_versions[node_id] += 2
    return [
        world._append([
            (rid, world.org, 0, (
                runtime.Requested(*place, word, 1, 1000, ("T4",), start),
                runtime.Allocated(allocation, node_id, "T4", shares, 1, start))),
            (node_id, "-", at, (node.Allocated(allocation, rid, world.org, shares, 1, start),)),
            (world.quota, world.org, held, (quota.Drawn(rid, name, start), commit)),
        ]),
        world._append([(rid, world.org, 2, said[0])]),
        world._append([
            (rid, world.org, 3, said[1]),
            (node_id, "-", at + 1, (node.Released(allocation, rid, end),)),
            (world.quota, world.org, held + 2, (quota.Released(rid, end),)),
        ]),
    ]  # fmt: skip


def ended(world: World, name: str) -> Append:
    """It is over, said an hour too late."""
    at, node_id = T0 + 4 * HOUR_US, world.nodes[0]
    freed = node_facts.Unreserved(name, (0, 1), at)
    return world._append([
        (name, world.org, 1, (reservation.Over(reservation.EXPIRED, at),)),
        (world.quota, world.org, world.quota_version + 1, (quota.Unreserved(name, at),)),
        (node_id, "-", world.node_versions[node_id], (freed,)),
    ])  # fmt: skip


def pico(shown: dict[str, str]) -> int:
    return int(shown["amount"].replace(".", ""))


def test_what_is_idle_is_found_wherever_charges_are(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Of two devices for three hours one runs for one: five device-hours idle at 1, one used at 3.49;
    under a book that asks 2 the idle ones cost twice as much, previewed, re-rated and back.
    """

    async def run() -> None:
        log = await EventLog.open(database.app_url)
        world, name = World(), new_id("reservation")
        for append in (
            world.opening(), priced(world), reserved(world, name),
            *drawn(world, name, T0 + HOUR_US, T0 + 2 * HOUR_US), ended(world, name), world.close(),
        ):  # fmt: skip
            await log.append(append)
        await log.close()
        async with staged(database, nats_url, tmp_path, elect=False) as stage:
            with (
                psycopg.connect(database.app_url, autocommit=True) as conn,
                psycopg.connect(database.app_url, autocommit=True) as reading,
            ):
                rater = Rater(reading, stage.services.log)
                await rater.catch_up()
                await finalize_due(
                    stage.services.log, rater, stage.services.storage, T0 + world.period_us
                )
                await stage.views()
                await _found(stage, world, name, conn)
                await _moved(stage, world, rater)
                scopes = (world.project, world.department, world.org)
                assert rater.spending._scopes[name] == scopes
                assert audit(conn) == 1

    asyncio.run(run())


async def _found(stage: Stage, world: World, name: str, conn: psycopg.Connection[Any]) -> None:
    [bill] = (await stage.get("/v1/invoices")).json()["items"]
    assert pico(bill["exact"]) == 5 * USD + USABLE
    sealed = (await stage.get(f"/v1/invoices/{bill['id']}/file")).json()
    assert sealed["simulated"]
    found = billing_read.invoice(conn, bill["id"])
    assert found is not None
    shown = billing_read.invoice_lines(conn, found)
    assert [msgspec.structs.asdict(one) for one in shown] == sealed["lines"]
    assert {(one.project, one.quantity, one.amount_pico) for one in shown} == {
        (world.project, 5 * GPU_HOUR, 5 * USD), (world.project, GPU_HOUR, USABLE),
    }  # fmt: skip
    usage = (await stage.get(f"/v1/usage?organization={world.org}")).json()["items"]
    assert sorted(pico(one["amount"]) for one in usage) == [USABLE, 5 * USD]
    assert sorted((one["runtimes"], one["reservations"]) for one in usage) == [(0, 1), (1, 0)]
    by_department = attribution_read.usage(conn, organization=world.org)
    assert {one.department for one in by_department} == {world.department}
    found_lines = lines(conn, world.period, "", "~", 10**9)
    [line] = [one for one in found_lines if one.resource == name]
    assert (line.state, line.project, line.simulated) == ("reserved", world.project, True)
    assert (line.quantity, line.amount_pico) == (5 * GPU_HOUR, 5 * USD)
    rows = focus.Charged(cast("Any", None), found_lines)
    for column, value in (("Id", name), ("Status", "Unused")):
        [of] = [one for one in focus.COLUMNS if one.name == f"CapacityReservation{column}"]
        assert sorted(map(str, of.values(rows))) == sorted([value, "None"])
    posted = journal_read.posted(conn, world.account, -1, 100, 10**9)
    assert {one.simulated for one in posted if one.resource == name} == {True}
    [seen] = [
        one for one in previews_read.uses(conn, world.period, "USD", None) if one.resource == name
    ]
    assert (seen.project, seen.first_us) == (world.project, T0)
    assert seen.spans == (
        (T0, T0 + HOUR_US, 2000), (T0 + HOUR_US, T0 + 2 * HOUR_US, 1000),
        (T0 + 2 * HOUR_US, T0 + 3 * HOUR_US, 2000),
    )  # fmt: skip


async def _moved(stage: Stage, world: World, rater: Rater) -> None:
    dear = {
        "model": "T4", "currency": "USD", "state": "reserved", "tiers": [{"price": "2.000000000000"}],
        "effective_from": instant(T0),
    }  # fmt: skip
    published = await stage.post("/v1/price-books/dear", {"entries": [dear]})
    assert published.status_code == 201, published.text
    await stage.views()
    account = f"/v1/accounts/{world.account}"
    period = {"start": instant(T0), "end": instant(T0 + world.period_us)}
    for book, due in (("dear", 10 * USD + USABLE), ("-", 5 * USD + USABLE)):
        asked = {"period": world.period, "book": book}
        answer = await stage.post(f"{account}/preview", asked)
        assert answer.status_code == 200, answer.text
        before = answer.json()
        assert pico(before["exact"]) == due
        decided = await stage.post(f"{account}/reratings", period | {"book": book})
        assert decided.status_code == 201, decided.text
        await rater.catch_up()
        await stage.views()
        usage = (await stage.get("/v1/usage")).json()["items"]
        assert sum(pico(one["amount"]) for one in usage) == due
