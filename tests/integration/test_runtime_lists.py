"""Lists of runtimes and of long work: in their order, page by page, each page found by an index in that order."""

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from evidence.log import EventLog
from projections.operations_read import operation, operations
from projections.runner import catch_up
from projections.runtimes_read import Runtime, cursor, runtimes
from projections.views import applied
from tests.conftest import Database
from tests.integration.projections_world import T0, World

type Views = tuple[psycopg.Connection[Any], World]


@pytest.fixture
def views(database: Database) -> Iterator[Views]:
    """Eight runtimes of one organization, each second stopped, the last of these first; two of
    another organization between them.
    """
    world, other = World(nodes=2), World()
    asyncio.run(_lived(database.app_url, world, other))
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        catch_up(conn)
        yield conn, world


async def _lived(url: str, world: World, other: World) -> None:
    log = await EventLog.open(url)
    opening = other.opening()
    await log.append(world.opening())
    await log.append(replace(opening, writes=opening.writes[1:]))
    lives = [(n, world.life(world.nodes[n % 2], T0 + n, T0 + 100)) for n in range(8)]
    lives[3:3] = [(0, other.life(other.nodes[0], T0, None)) for _ in range(2)]
    for _, life in lives:
        for append in islice(life, 3):
            await log.append(append)
    for _, life in reversed([one for one in lives if one[0] % 2]):
        for append in life:
            await log.append(append)
    await log.close()


def walked(conn: psycopg.Connection[Any], size: int, **asked: Any) -> list[Runtime]:
    """All pages of the list, one after the other."""
    found: list[Runtime] = []
    while True:
        before = cursor(found[-1], asked.get("state")) if found else None
        page = runtimes(conn, limit=size, before=before, **asked)
        found += page
        if len(page) < size:
            return found


def test_lists_keep_their_order(views: Views) -> None:
    """Newest request first; of a state the last to come into it first, of one organization or
    project and of all; as of a position it is what it was; whatever the size of a page.
    """
    for size in (1, 3, 50):
        keeps_its_order(*views, size)


def keeps_its_order(conn: psycopg.Connection[Any], world: World, size: int) -> None:
    whole = walked(conn, size)
    assert [one.from_position for one in whole] == sorted(
        (one.from_position for one in whole), reverse=True
    )
    mine = walked(conn, size, organization=world.org)
    assert mine == [one for one in whole if one.organization == world.org]
    assert (len(whole), len(mine)) == (10, 8)
    assert walked(conn, size, organization=world.org, project=world.project) == mine
    stopped = walked(conn, size, organization=world.org, state="stopped")
    assert stopped == [one for one in reversed(mine) if one.state == "stopped"]
    assert walked(conn, size, project=world.project, state="stopped") == stopped
    assert walked(conn, size, state="stopped") == stopped
    assert len(walked(conn, size, state="usable")) == 6
    assert walked(conn, size, organization=world.org, state="lost") == []
    last = applied(conn) - 1
    assert walked(conn, size, state="stopped", as_of=last) == stopped
    assert walked(conn, size, organization=world.org, as_of=last) == mine
    before = stopped[-1].changed_at - 1
    assert walked(conn, size, state="stopped", as_of=before) == []
    assert len(walked(conn, size, organization=world.org, state="usable", as_of=before)) == 7


def test_lists_of_operations_keep_their_order(views: Views) -> None:
    """The last to begin first; of a state, a project and a resource those of the whole list that
    say so, page by page, now and as of every position.
    """
    conn, world = views
    last = applied(conn) - 1
    for as_of in (None, *range(last, 0, -5)):
        whole = operations(conn, limit=500, as_of=as_of)
        assert [one.from_position for one in whole] == sorted(
            (one.from_position for one in whole), reverse=True
        )
        for state in ("pending", "running", "succeeded", "failed", "cancelled"):
            said = [one for one in whole if one.state == state]
            assert operations(conn, state=state, limit=500, as_of=as_of) == said
        mine = [one for one in whole if one.organization == world.org]
        asked: dict[str, Any] = {"project": world.project, "as_of": as_of}
        assert operations(conn, limit=500, **asked) == mine
        assert all(one.project == world.project for one in mine)
        first = operations(conn, limit=2, **asked)
        before = first[-1].from_position if first else None
        assert first + operations(conn, limit=500, before=before, **asked)[len(first) == 0 :] == (
            mine if first else mine[1:]
        )
        for one in mine[:3]:
            of = [each for each in mine if each.resource == one.resource]
            assert operations(conn, resource=one.resource, as_of=as_of) == of
            assert operation(conn, one.from_position, as_of) == one
    assert {one.state for one in operations(conn, limit=500)} >= {"succeeded"}
    assert len(operations(conn, limit=500)) > 12


type Index = tuple[tuple[str, ...], str | None, str]
INDEXES: list[Index] = [
    ((), None, "runtime_from_position_idx"),
    (("organization",), None, "runtime_organization_from_position_idx"),
    (("organization", "project"), None, "runtime_project_organization_from_position_idx"),
    (("organization",), "stopped", "runtime_state_organization_state_from_position_idx"),
]
OF_OPERATIONS: list[Index] = [
    ((), None, "operation_state_began_idx"),
    ((), "running", "operation_state_state_began_idx"),
    (("organization",), None, "operation_state_organization_began_idx"),
    (("organization",), "running", "operation_state_organization_state_began_idx"),
    (("project",), None, "operation_state_hashtextextended_began_idx"),
    (("project",), "running", "operation_state_hashtextextended_state_began_idx"),
    (("resource",), None, "operation_state_hashtextextended_began_idx1"),
]


def test_a_page_is_found_by_an_index_in_its_order(views: Views) -> None:
    """However long the list is, a page of it costs its own rows: read from where the one before
    ended, in the order in which the index has them.
    """
    conn, world = views
    seen: list[str] = []

    class Explained(psycopg.Cursor[Any]):
        def execute(self, query: Any, *said: Any, **how: Any) -> Any:
            plan = psycopg.Cursor(conn).execute(f"EXPLAIN (COSTS OFF) {query}", *said)
            seen[:] = [line for (line,) in plan.fetchall()]
            return super().execute(query, *said, **how)

    conn.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    conn.cursor_factory = Explained
    scopes = {"organization": world.org, "project": world.project, "resource": "runtime-1"}
    for ask, indexes, at in (
        (runtimes, INDEXES, "from_position"),
        (operations, OF_OPERATIONS, "began"),
    ):
        for names, state, index in indexes:
            asked: dict[str, Any] = {name: scopes[name] for name in names}
            ask(conn, limit=3, before=10**6, state=state, **asked)
            plan = "\n".join(seen)
            page = plan[plan.index("Limit") :]
            assert f"{index} on" in page
            assert "Sort" not in page[: page.index(index)]
            condition = page[page.index(index) :].splitlines()[1]
            assert f"{at} < 1000000" in condition
            hashed = "hashtextextended" in index
            needed = () if hashed else (*names, *(["state"] if state else []))
            assert all(f"{name} =" in condition for name in needed)
            assert not hashed or f"hashtextextended({names[0]}" in condition
