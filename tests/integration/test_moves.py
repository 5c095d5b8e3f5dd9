"""A project moved over HTTP: its use goes with it and must fit, its charges stay where they were."""

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.admission.wire import end_ask
from domain import department, moving, project
from domain.runtime_facts import Cancelled
from domain.words import Private
from evidence.append import Append, Write
from evidence.ids import new_id
from evidence.log import EventLog
from projections import attribution_read, billing_read
from projections.exporting import lines
from projections.rater import Rater
from projections.runner import catch_up
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.integration.projections_world import HOUR_US, T0, World, command
from tests.integration.test_projections_reactions import in_world, live_a_life

pytestmark = pytest.mark.slow


async def move(stage: Stage, project: str, token: str | None = None, **to: str) -> Any:
    return await stage.post(f"/v1/projects/{project}/move", to, token=token)


async def used(stage: Stage, scope: str) -> tuple[int, int]:
    await stage.views()
    rows = (await stage.get("/v1/quotas")).json()["items"]
    [row] = [one for one in rows if one["scope"] == scope]
    return row["used_milli"], row["reserved_milli"]


def test_a_project_moves_with_what_it_uses(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Refused with what would fit; then at once, for all that comes: launches, limits, budgets,
    usage. Another organization's department is none, an admin moves only their own.
    """

    async def scene(stage: Stage) -> None:
        us = await stage.tenant()
        await stage.node(gpus=8)
        new = {"organization": us["org"], "name": "E"}
        other = (await stage.post("/v1/departments", new)).json()["id"]
        ours = stage.token("admin", us["org"])
        for scope, milli in ((other, 1000), (us["department"], 3000)):
            body = {"scope": scope, "model": "T4", "limit_milli": milli}
            assert (await stage.post("/v1/quotas", body)).status_code == 201
        launched = [
            await stage.post("/v1/runtimes", {"project": us["project"], "name": "r"})
            for _ in range(2)
        ]
        assert [one.status_code for one in launched] == [201, 201]
        refused = await move(stage, us["project"], ours, department=other)
        assert (refused.status_code, refused.json()["code"]) == (409, "quota.exceeded")
        facts = refused.json()["facts"]
        assert (facts["wanted_milli"], facts["fits_milli"]) == (2000, 1000)
        gone = launched[1].json()["id"]
        fact = Cancelled("test", 0)
        await stage.services.admission.ask(end_ask(gone, fact, "system-test", "cmd:" + "a" * 64))
        assert (
            await move(stage, us["project"], stage.token("member", us["org"]))
        ).status_code == 403
        foreign = stage.token("admin", new_id("organization"))
        assert (await move(stage, us["project"], foreign, department=other)).status_code == 404
        wrong = await move(stage, us["project"], department=new_id("department"))
        assert wrong.status_code == 404
        both = await asyncio.gather(
            *(move(stage, us["project"], ours, department=other) for _ in range(2))
        )
        assert {one.status_code for one in both} == {200}
        moved = [one.json() for one in both]
        assert sorted(one["version"] is None for one in moved) == [False, True]
        assert await used(stage, other) == (1000, 0)
        assert await used(stage, us["department"]) == (0, 0)
        again = await stage.post("/v1/runtimes", {"project": us["project"], "name": "r"})
        assert again.json()["code"] == "quota.exceeded"
        [shown] = (await stage.get(f"/v1/projects?department={other}")).json()["items"]
        assert (shown["id"], shown["version"]) == (us["project"], 2)
        back = await move(stage, us["project"], department=us["department"])
        assert back.status_code == 200, back.text
        assert await used(stage, us["department"]) == (1000, 0)
        again = await stage.post("/v1/runtimes", {"project": us["project"], "name": "r"})
        assert again.status_code == 201, again.text
        with psycopg.connect(database.app_url, autocommit=True) as conn:
            rater = Rater(conn, stage.services.log)
            await rater.catch_up()
            assert {one[1] for one in rater.spending._scopes.values()} == {us["department"]}

    play(database, nats_url, tmp_path, scene)


def test_charges_are_of_the_department_at_the_time(database: Database) -> None:
    """Of 5 h one, two and two of them after each of two moves: usage, the invoice's departments and
    the export's rows add up to the same, by department, and to the whole.
    """

    async def body(log: EventLog, conn: psycopg.Connection[Any], world: World) -> None:
        other = new_id("department")
        made = department.Created(world.org, Private("0" * 64), T0)
        await log.append(Append((Write(other, world.org, 0, (made,)),), "system-test", command()))
        places = [(other, T0 + HOUR_US), (world.department, T0 + 3 * HOUR_US)]
        await live_a_life(log, world, 5)
        for version, (to, at) in enumerate(places, 1):
            moved = project.Moved(to, world.account, at)
            writes = (
                Write(world.project, world.org, version, (moved,)),
                Write(
                    world.quota, world.org, world.quota_version + version - 1,
                    (moving.Moved(world.project, to, at),),
                ),
            )  # fmt: skip
            await log.append(Append(writes, "system-test", command()))
        world.quota_version += 2
        for append in world.life(world.nodes[0], T0, None):
            await log.append(append)
        with psycopg.connect(database.app_url, autocommit=True) as reading:
            rater = Rater(reading, log)
            await rater.catch_up()
            await log.append(world.close())
            await rater.catch_up()
        catch_up(conn)
        rows = attribution_read.usage(conn, organization=world.org)
        whole = sum(one.amount_pico for one in billing_read.usage(conn, organization=world.org))
        assert sum(one.amount_pico for one in rows) == whole
        long = 500 * (world.period_us - 3 * HOUR_US)
        hours = {one.department: one.quantity for one in rows}
        assert hours[other] == 500 * 2 * HOUR_US
        assert hours[world.department] == 5 * 500 * HOUR_US + 500 * HOUR_US + long
        assert {one.department: one.runtimes for one in rows} == {other: 1, world.department: 2}
        mine = attribution_read.usage(conn, organization=world.org, department=other)
        assert [one.department for one in mine] == [other]
        sums = attribution_read.by_department(conn, world.org, world.period)
        assert {of: pico for (of, _), pico in sums.items()} == {
            one.department: one.amount_pico for one in rows
        }
        where = attribution_read.places(conn, world.org)
        found = lines.lines(conn, world.period, "", "z", 10**9)
        split = attribution_read.attributed(conn, found, where, world.period, 10**9)
        assert [one.department for one in split].count(other) == 1
        assert len(split) == len(found) + 2
        assert sum(one.amount_pico for one in split) == sum(one.amount_pico for one in found)
        [away] = [one for one in split if one.department == other]
        assert (away.start_us, away.end_us) == (T0 + HOUR_US, T0 + 3 * HOUR_US)

    in_world(database, body)
