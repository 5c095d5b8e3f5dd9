"""Cost centres over HTTP, and charges by the cost centre that a project had at the time of its use."""

import asyncio
import contextlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import attribution, cost_centre, department, moving, project
from domain.words import Private
from evidence.append import Append, Appended, Write
from evidence.ids import new_id
from evidence.log import EventLog
from projections import attribution_read, billing_read, cost_centres_read
from projections.cost_centres_read import Attribution
from projections.exporting import centres, lines
from projections.rater import Rater
from projections.runner import catch_up
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.integration.projections_world import HOUR_US, T0, World, command
from tests.integration.test_projections_reactions import in_world, live_a_life

_AT = st.integers(0, 40)
_USE = st.tuples(_AT, st.integers(1, 20), st.integers(-999, 999))


@given(st.sets(_AT, max_size=4), st.lists(_USE, max_size=5))
def test_what_each_cost_centre_has_adds_up(
    marks: set[int], uses: list[tuple[int, int, int]]
) -> None:
    """All that was used is somebody's, to the unit; and what lies between two changes is whose it
    was then.
    """
    mine = [Attribution("p", 0, "o", f"c{mark}", mark, 1) for mark in sorted(marks)]
    used = [(start, start + length, quantity) for start, length, quantity in uses]
    found = cost_centres_read._quantities(used, mine)
    assert sum(found.values()) == sum(quantity for *_, quantity in used)
    for index, (since, until) in enumerate(pairwise([-1, *sorted(marks), 100])):
        if not any(start < until and end > since for start, end, _ in used):
            assert not found.get(index)
        if all(since <= start and end <= until for start, end, _ in used) and used:
            assert found == {index: sum(quantity for *_, quantity in used)}


@pytest.mark.slow
def test_a_project_has_one_cost_centre_of_its_organization(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Of any department; at most one at a time, from two at once too; changed, taken away, and
    asked for as of then. Another organization's is none, and who has no say at the organization
    has none here. Its ETag is its own: of two who decided on one, one is told that it has changed.
    """

    async def scene(stage: Stage) -> None:
        us, other = await stage.tenant(), await stage.tenant()
        ours = stage.token("admin", us["org"])
        path, made = f"/v1/projects/{us['project']}/attribution", list[str]()
        second = {"organization": us["org"], "name": "E"}
        part = (await stage.post("/v1/departments", second)).json()["id"]
        for place in (us["department"], part, other["department"]):
            body = {"department": place, "name": "C"}
            made.append((await stage.post("/v1/cost-centres", body)).json()["id"])

        async def put(to: str | None, token: str | None = ours, **more: str) -> Any:
            return await stage.post(path, {"cost_centre": to}, token=token, **more)

        async def has(query: str = "") -> list[str]:
            await stage.views()
            answer = await stage.get(f"/v1/attributions?organization={us['org']}{query}")
            return [one["cost_centre"] for one in answer.json()["items"]]

        for foreign in (made[2], new_id("cost_centre")):
            assert (await put(foreign)).json()["code"] == "resource.unknown"
        member = stage.token("member", us["org"])
        assert (await put(made[0], member)).status_code == 403
        theirs = stage.token("admin", other["org"])
        assert (await put(made[2], theirs)).status_code == 404
        assert (await stage.get(f"/v1/cost-centres/{made[0]}", token=theirs)).status_code == 404
        assert (await put(None)).json()["since"] is None
        both = await asyncio.gather(*(put(made[1]) for _ in range(2)))
        assert {one.status_code for one in both} == {200}
        assert both[0].json() == both[1].json()
        assert await has() == [made[1]]
        before = await stage.size() - 1
        assert (await put(made[0])).json()["cost_centre"] == made[0]
        assert await has() == [made[0]] == await has(f"&cost_centre={made[0]}")
        assert (await put(None)).json()["cost_centre"] is None
        assert await has() == []
        assert await has(f"&as_of={before}") == [made[1]]
        shown = await stage.get(f"/v1/projects/{us['project']}/attribution", token=ours)
        assert (shown.headers["etag"], shown.json()["version"]) == ('"3"', 3)
        moved = await stage.post(path.replace("attribution", "move"), {"department": part})
        assert moved.status_code == 200
        once = await asyncio.gather(*(put(made[n], If_Match='"3"') for n in range(2)))
        assert sorted(one.status_code for one in once) == [200, 412]
        assert (await put(None, If_Match='"4"')).headers["etag"] == '"5"'
        listed = await stage.get(f"/v1/cost-centres?department={part}", token=ours)
        assert [one["id"] for one in listed.json()["items"]] == [made[1]]

    play(database, nats_url, tmp_path, scene)


@contextlib.contextmanager
def _beaten(stage: Stage, centre: str, org: str) -> Iterator[None]:
    """Another process attributes a project to it between what a request reads and what it appends."""
    log, project, at_once = stage.services.log, new_id("project"), stage.services.log.append
    facts = attribution.AttributionSet(project, centre, T0), cost_centre.ProjectAdded(project, T0)
    writes = (
        Write(attribution.attribution_stream(project), org, 0, facts[:1]),
        Write(centre, org, 1, facts[1:]),
    )

    async def late(append: Append) -> Appended:
        log.append = at_once  # type: ignore[method-assign]
        await at_once(Append(writes, "system-test", command()))
        return await at_once(append)

    log.append = late  # type: ignore[method-assign]
    yield
    assert log.append == at_once, "the request appended"


@pytest.mark.slow
def test_a_cost_centre_is_renamed_and_closed_once_it_has_no_project(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """The same name again is nothing; who closes and who attributes at once, in another process
    too: one of them loses; to what is closed nothing is attributed, and its name and state of then
    stay. A project of before cost centres said whose they are counts by the view.
    """

    async def scene(stage: Stage) -> None:
        us = await stage.tenant()
        path, made = f"/v1/projects/{us['project']}/attribution", list[str]()
        for name in "CDEF":
            body = {"department": us["department"], "name": name}
            made.append((await stage.post("/v1/cost-centres", body)).json()["id"])

        async def act(number: int, verb: str, body: Any = None, **more: str) -> tuple[int, Any]:
            answer = await stage.post(f"/v1/cost-centres/{made[number]}/{verb}", body, **more)
            return answer.status_code, answer.json()

        before = await stage.size() - 1
        for version in (2, 2):
            status, said = await act(0, "rename", {"name": "C2"})
            assert (status, said["name"], said["version"]) == (200, "C2", version)
        assert (await act(0, "rename", {"name": "C3"}, If_Match='"1"'))[0] == 412
        await stage.post(path, {"cost_centre": made[0]})
        status, said = await act(0, "close")
        assert (status, said["code"], said["facts"]) == (409, "cost_centre.in_use", {"projects": 1})
        to = await asyncio.gather(act(1, "close"), stage.post(path, {"cost_centre": made[1]}))
        assert sorted((to[0][0], to[1].status_code)) == [200, 409]
        codes = {to[0][1].get("code"), to[1].json().get("code")} - {None}
        assert codes <= {"cost_centre.in_use", "cost_centre.closed"}
        old = attribution.AttributionSet(new_id("project"), made[2], T0)
        write = Write(attribution.attribution_stream(old.project), us["org"], 0, (old,))
        await stage.services.log.append(Append((write,), "system-test", command()))
        await stage.views()
        assert (await act(2, "close"))[1]["code"] == "cost_centre.in_use"
        with _beaten(stage, made[3], us["org"]):
            assert (await act(3, "close"))[1]["code"] == "cost_centre.in_use"
        await stage.post(path, {"cost_centre": None})
        for _ in range(2):
            status, said = await act(0, "close")
            assert (status, said["state"]) == (200, "closed")
        refused = await stage.post(path, {"cost_centre": made[0]})
        assert (refused.status_code, refused.json()["code"]) == (409, "cost_centre.closed")
        assert (await act(0, "rename", {"name": "C2"}))[1]["code"] == "cost_centre.closed"
        await stage.views()
        listed = await stage.get(f"/v1/cost-centres?organization={us['org']}&state=closed")
        one = next(one for one in listed.json()["items"] if one["id"] == made[0])
        shown = await stage.get(f"/v1/cost-centres/{made[0]}")
        assert shown.json() == one
        assert (one["name"], one["state"], f'"{one["version"]}"') == (
            *("C2", "closed"), shown.headers["etag"],
        )  # fmt: skip
        then = await stage.get(f"/v1/cost-centres?organization={us['org']}&as_of={before}")
        assert [(one["name"], one["state"]) for one in then.json()["items"]] == [
            (name, "open") for name in "CDEF"
        ]

    play(database, nats_url, tmp_path, scene)


async def _moved(log: EventLog, world: World, at_us: int) -> str:
    """The project is in another department from then on."""
    other, of = new_id("department"), (world.quota, world.org, world.quota_version)
    writes = (
        Write(other, world.org, 0, (department.Created(world.org, Private("0" * 64), T0),)),
        Write(world.project, world.org, 1, (project.Moved(other, world.account, at_us),)),
        Write(*of, (moving.Moved(world.project, other, at_us),)),
    )
    await log.append(Append(writes, "system-test", command()))
    world.quota_version += 1
    return other


def _exported(conn: psycopg.Connection[Any], world: World) -> list[lines.Line]:
    """Every line in its parts, which add up to it, in order of time, from its beginning to its end."""
    of = centres.whose(conn, world.org)
    rows = lines.lines(conn, world.period, "", "z", 10**9)
    split = [*centres.charged_to(conn, rows, of, world.period, 10**9)]
    for one in rows:
        mine = [part for part in split if part.resource == one.resource]
        assert sum(part.quantity for part in mine) == one.quantity
        assert sum(part.amount_pico for part in mine) == one.amount_pico
        ends = [(part.start_us, part.end_us) for part in mine]
        assert ends == sorted(ends)
        assert (ends[0][0], ends[-1][1]) == (one.start_us, one.end_us)
    return split


@pytest.mark.slow
def test_charges_are_of_the_cost_centre_at_the_time(database: Database) -> None:
    """None, then one, another across an hour that nothing cut, and none, of a project that moved
    meanwhile: their charges are by the time of use, and with what has none they add up to all of
    the account's usage. Lines as exported, and the invoice's sums, say the same, by department too.
    """

    async def body(log: EventLog, conn: psycopg.Connection[Any], world: World) -> None:
        first, second = new_id("cost_centre"), new_id("cost_centre")
        places = [(first, 1), (second, 3), ("", 4)]
        await live_a_life(log, world, 5)
        for version, (to, hours) in enumerate(places):
            fact = attribution.AttributionSet(world.project, to, T0 + hours * HOUR_US)
            stream = attribution.attribution_stream(world.project)
            write = Write(stream, world.org, version, (fact,))
            await log.append(Append((write,), "system-test", command()))
        moved = await _moved(log, world, T0 + 2 * HOUR_US)
        for append in world.life(world.nodes[0], T0, None):
            await log.append(append)
        with psycopg.connect(database.app_url, autocommit=True) as reading:
            rater = Rater(reading, log)
            await rater.catch_up()
            await log.append(world.close())
            await rater.catch_up()
        catch_up(conn)
        usage = billing_read.usage(conn, organization=world.org)
        whole = sum(one.amount_pico for one in usage)
        rows = cost_centres_read.charges(conn, organization=world.org)
        had = {one.cost_centre: one.amount_pico for one in rows}
        assert sum(had.values()) == whole
        assert set(had) == {None, first, second}
        [rate] = {one.price_pico * HOUR_US * 500 // one.divisor for one in usage}
        assert abs(had[first] - 4 * rate) < 4
        assert abs(had[second] - 2 * rate) < 4
        [mine] = cost_centres_read.charges(conn, organization=world.org, cost_centre=second)
        assert mine.amount_pico == had[second]
        none = cost_centres_read.charges(conn, organization=world.org, account=new_id("account"))
        assert none == []
        sums = centres.by_cost_centre(conn, world.org, world.period)
        assert {of: pico for (of, _), pico in sums.items()} == had
        split = _exported(conn, world)
        departments = attribution_read.by_department(conn, world.org, world.period)
        for part in (world.department, moved):
            there = sum(one.amount_pico for one in split if one.department == part)
            assert there == sum(pico for (of, _), pico in departments.items() if of == part)
        spans = {(one.cost_centre, one.department) for one in split}
        assert {(first, world.department), (first, moved), (second, moved)} <= spans

    in_world(database, body)
