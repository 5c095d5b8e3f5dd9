"""Rebuild of all views against batch ingest of the same entries, side by side in one run."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator

import psycopg
import uvloop

from api.embedded.postgres import Postgres
from domain import node, quota, runtime
from domain.words import Private, Share
from evidence.ids import new_id
from evidence.log import Append, EventLog, Write
from projections.rebuild import fill
from projections.rebuild import rebuild as rebuild_all
from projections.runner import catch_up
from projections.views import SHADOW, applied
from tests.bench.bench_log import Measured, fresh_database, row
from tests.integration.projections_world import T0, World, attested, command

RUNTIMES = 12_000
GROUP = 200
ROUNDS = 3
ACTOR = "system-bench"
SHARES = (Share(0, 500),)


def lives(world: World) -> Iterator[Append]:
    """Appends of about 1,000 facts: runtimes begin, are used and end in overlapping groups."""
    groups: list[list[tuple[str, str, str]]] = []
    count = RUNTIMES // GROUP
    for turn in range(count + 4):
        if turn < count:
            group = [
                (new_id("runtime"), new_id("allocation"), world.nodes[n % len(world.nodes)])
                for n in range(GROUP)
            ]
            groups.append(group)
            yield _begin(world, group, turn)
        if 0 <= turn - 1 < count:
            yield _use(groups[turn - 1], world, turn)
        if 0 <= turn - 4 < count:
            yield _end(world, groups[turn - 4], turn)


def _begin(world: World, group: list[tuple[str, str, str]], at: int) -> Append:
    name = Private("0" * 64)
    writes = [
        Write(rid, world.org, 0, (
            runtime.Requested(
                world.project, world.department, world.account, name, 1, 500, ("T4",), T0 + at),
            runtime.Allocated(allocation, on, "T4", SHARES, 1, T0 + at),
        ))
        for rid, allocation, on in group
    ]  # fmt: skip
    held = [
        quota.Committed(rid, world.department, world.project, "T4", 500, T0 + at)
        for rid, _, _ in group
    ]
    given = [
        (on, node.Allocated(allocation, rid, world.org, SHARES, 1, T0 + at))
        for rid, allocation, on in group
    ]
    return _with_shared(world, writes, held, given)


def _use(group: list[tuple[str, str, str]], world: World, at: int) -> Append:
    return Append(
        tuple(
            Write(rid, world.org, 2, (
                runtime.Starting(1, T0 + at), runtime.Usable(1, T0 + at, T0 + at, attested(on)),
            ))
            for rid, _, on in group
        ),
        ACTOR, command(),
    )  # fmt: skip


def _end(world: World, group: list[tuple[str, str, str]], at: int) -> Append:
    writes = [
        Write(rid, world.org, 4, (
            runtime.Stopping("asked", T0 + at),
            runtime.Stopped(1, T0 + at, T0 + at, attested(on)),
        ))
        for rid, _, on in group
    ]  # fmt: skip
    released = [quota.Released(rid, T0 + at) for rid, _, _ in group]
    freed = [(on, node.Released(allocation, rid, T0 + at)) for rid, allocation, on in group]
    return _with_shared(world, writes, released, freed)


def _with_shared(
    world: World,
    writes: list[Write],
    held: list[quota.Committed] | list[quota.Released],
    given: list[tuple[str, node.Allocated]] | list[tuple[str, node.Released]],
) -> Append:
    by_node: dict[str, list[node.Allocated | node.Released]] = {}
    for on, fact in given:
        by_node.setdefault(on, []).append(fact)
    writes.append(Write(world.quota, world.org, world.quota_version, tuple(held)))
    world.quota_version += len(held)
    for on, facts in by_node.items():
        writes.append(Write(on, "-", world.node_versions[on], tuple(facts)))
        world.node_versions[on] += len(facts)
    return Append(tuple(writes), ACTOR, command())


async def ingest(url: str) -> tuple[int, float]:
    """(entries, seconds) of appending all lives, two appends in flight."""
    world = World(nodes=20)
    log = await EventLog.open(url)
    await log.append(world.opening())
    appends = list(lives(world))
    size = (await log.head()).size
    begun = time.perf_counter()
    waiting: list[asyncio.Future[object]] = []
    for append in appends:
        waiting.append(asyncio.ensure_future(log.append(append)))
        if len(waiting) > 1:
            await waiting.pop(0)
    await asyncio.gather(*waiting)
    took = time.perf_counter() - begun
    size = (await log.head()).size - size
    await log.close()
    return size, took


def rebuild(server: Postgres) -> list[Measured]:
    """Rebuild and live applying of all views, events/s, vs batch ingest of those very events."""
    rates: dict[str, list[float]] = {"ingest": [], "live": [], "rebuild": [], "swap": []}
    for _ in range(ROUNDS):
        with fresh_database(server) as urls:
            size, took = uvloop.run(ingest(urls["app"]))
            rates["ingest"].append(size / took)
            with (
                psycopg.connect(urls["app"], autocommit=True) as conn,
                psycopg.connect(urls["app"], autocommit=True) as reader,
            ):
                begun = time.perf_counter()
                catch_up(conn)
                rates["live"].append(size / (time.perf_counter() - begun))
                conn.execute("SELECT live.views_shadow()")
                begun = time.perf_counter()
                fill(conn, reader)
                rates["rebuild"].append(size / (time.perf_counter() - begun))
                assert applied(conn, SHADOW) == applied(conn)
                begun = time.perf_counter()
                assert rebuild_all(conn, reader) == []
                rates["swap"].append(size / (time.perf_counter() - begun))
    median = {name: statistics.median(found) for name, found in rates.items()}
    name = "batch ingest of the same events"
    return [
        row("rebuild of all views", median["rebuild"], "events/s", name, median["ingest"]),
        row("rebuild, compared and swapped", median["swap"], "events/s", name, median["ingest"]),
        row("live applying of all views", median["live"], "events/s", name, median["ingest"]),
    ]


BENCHES: list[Callable[[Postgres], list[Measured]]] = [rebuild]
