"""Pages walked while rows come in: nothing twice, nothing that was there left out."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from api.authorization.keys import minted
from api.limiting import Limits
from api.limits import Rate
from evidence.storage import Storage
from projections.invoicing import finalize_due
from projections.rater import Rater
from tests.api_stage import Stage, play
from tests.conftest import Database
from tests.integration.projections_world import HOUR_US, T0, World

pytestmark = pytest.mark.slow

PAGE = 2
BEGUN = 5

type Make = Callable[[int], Awaitable[object]]


async def walked(stage: Stage, path: str, key: str, make: Make) -> tuple[list[str], list[str]]:
    """What was there at the start, and what a walk met during which each page brought two rows."""
    joined = "&" if "?" in path else "?"
    for number in range(BEGUN):
        await make(number)
    await stage.views()
    there = (await stage.get(f"{path}{joined}limit=500")).json()
    assert there["next"] is None
    met: list[str] = []
    cursor, turn = "", 0
    while turn == 0 or cursor:
        asked = f"{path}{joined}limit={PAGE}" + (f"&cursor={cursor}" if cursor else "")
        page = (await stage.get(asked)).json()
        assert len(page["items"]) <= PAGE
        met += [one[key] for one in page["items"]]
        cursor = page["next"] or ""
        # Only so many: a walk forwards would meet new rows for ever.
        if turn < 3:
            for number in range(2):
                await make(BEGUN + 2 * turn + number)
            await stage.views()
        turn += 1
    return [one[key] for one in there["items"]], met


def require_walk(there: list[str], met: list[str], *, forwards: bool) -> None:
    """In the order of the one page that had all; what came meanwhile follows, or is not met."""
    assert len(there) >= BEGUN
    assert len(set(met)) == len(met), "a row twice"
    assert met[: len(there)] == there, "a row left out, or out of order"
    assert len(met) == len(there) + (6 if forwards else 0)


def test_walks_of_what_tenants_make(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Organizations, departments, projects, nodes in order of making; runtimes newest first."""

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        await stage.node(gpus=32)

        def posts(path: str, **body: str) -> Make:
            return lambda number: stage.post(path, {**body, "name": f"n{number}"})

        org, department = tenant["org"], tenant["department"]
        projects = posts("/v1/projects", department=department, account=tenant["account"])
        launches = posts("/v1/runtimes", project=tenant["project"])
        walks: list[tuple[str, Make, bool]] = [
            ("/v1/organizations", posts("/v1/organizations"), True),
            ("/v1/departments", posts("/v1/departments", organization=org), True),
            ("/v1/projects", projects, True),
            ("/v1/nodes", posts("/v1/nodes", model="T4"), True),
            ("/v1/runtimes", launches, False),
            ("/v1/runtimes?state=allocated", launches, False),
        ]
        for path, make, forwards in walks:
            there, met = await walked(stage, path, "id", make)
            require_walk(there, met, forwards=forwards)
        of = f"organization={org}"
        for kind in ("groups", "service-accounts"):
            make = posts(f"/v1/{kind}", organization=org)
            require_walk(*await walked(stage, f"/v1/{kind}?{of}", "id", make), forwards=True)

        async def joined(number: int) -> object:
            body = {"organization": org, "principal": f"user-{number}"}
            return await stage.post("/v1/members", body)

        met_members = await walked(stage, f"/v1/members?{of}", "principal", joined)
        require_walk(*met_members, forwards=True)

    play(database, nats_url, tmp_path, scene)


def test_walks_of_money(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Transfers of an account in order of posting; invoices newest first."""

    async def scene(stage: Stage) -> None:
        storage = Storage(tmp_path / "files")
        with psycopg.connect(database.app_url, autocommit=True) as conn:
            log = stage.services.log
            rater = Rater(conn, log)
            worlds: list[World] = []

            async def begun() -> World:
                """A world of its own account, without what the log has already."""
                world = World()
                opening = world.opening()
                writes = [one for one in opening.writes if not one.stream.startswith("log-")]
                if worlds:
                    writes = [one for one in writes if not one.stream.startswith("pricebook-")]
                await log.append(msgspec.structs.replace(opening, writes=tuple(writes)))
                worlds.append(world)
                return world

            async def live(world: World, number: int) -> None:
                start = T0 + number * HOUR_US
                for append in world.life(world.nodes[0], start, start + HOUR_US // 7):
                    await log.append(append)
                await rater.catch_up()

            first = await begun()
            path = f"/v1/accounts/{first.account}/transfers"
            there, met = await walked(stage, path, "id", lambda number: live(first, number))
            require_walk(there, met, forwards=True)
            items = (await stage.get(f"{path}?limit=500")).json()["items"]
            for one in items[:2]:
                shown = await stage.get(f"{path}/{one['row']}")
                assert (shown.json(), shown.headers["etag"]) == (one, '"1"')
            last = items[-1]["row"]
            for wrong in (last + 1, f"0{last}", -1, "x", 10**18):
                assert (await stage.get(f"{path}/{wrong}")).status_code == 404, wrong

            async def invoice(number: int) -> None:
                world = await begun()
                await live(world, number)
                await log.append(world.close())
                await rater.catch_up()
                # The invoice with its file and number; the one before it is issued.
                assert await finalize_due(log, rater, storage, T0 + world.period_us) >= 3
                await rater.catch_up()

            there, met = await walked(stage, "/v1/invoices", "number", invoice)
            require_walk(there, met, forwards=False)

    play(database, nats_url, tmp_path, scene)


def test_short_lists_are_walked_as_long_ones_are(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Accounts, periods, meters and prices in pages of two, each once and in the order of the whole
    list; what was cleared while somebody walks is gone behind as before it; a cursor of ours alone.
    """

    async def scene(stage: Stage) -> None:
        tenant = await stage.tenant()
        org = tenant["org"]
        for number in range(4):
            body = {"organization": org, "currency": "USD", "zone": "UTC"}
            assert (await stage.post("/v1/accounts", body)).status_code == 201
            counted = {"meter": f"tok.{number}", "unit": "token", "source": "readings"}
            assert (await stage.post("/v1/meters", counted)).status_code == 201
            quota = {"scope": tenant["project"], "model": f"M{number}", "limit_milli": 1}
            assert (await stage.post("/v1/quotas", quota)).status_code == 201
        await stage.views()
        for path in (f"/v1/accounts?organization={org}", "/v1/periods?", "/v1/meters?",
                     f"/v1/quotas?organization={org}", "/v1/prices?"):  # fmt: skip
            whole = (await stage.get(path)).json()
            assert whole["next"] is None
            met, cursor, pages = [], "", 0
            while pages == 0 or cursor:
                asked = f"{path}&limit=2" + (f"&cursor={cursor}" if cursor else "")
                page = (await stage.get(asked)).json()
                met += page["items"]
                cursor, pages = page["next"] or "", pages + 1
            assert met == whole["items"], path
            assert pages == max(1, -(-len(met) // 2))
            for wrong in ("x", "bnVsbA==", "WzFd"):
                refused = await stage.get(f"{path}&cursor={wrong}")
                assert (refused.status_code, refused.json()["code"]) == (400, "request.invalid")
        first = (await stage.get(f"/v1/quotas?organization={org}&limit=2")).json()
        gone = await stage.get(f"/v1/quotas?organization={org}&limit=500&cursor={first['next']}")
        assert len(gone.json()["items"]) == 2

    play(database, nats_url, tmp_path, scene)


def test_who_shows_no_token_is_limited_by_address(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """What is left is said; a bucket of its own beside those of principals."""

    async def scene(stage: Stage) -> None:
        transport: Any = stage.client._transport
        transport.app.state.public_limits = Limits(Rate(1, 3), "address")
        seen = [await stage.client.get("/v1/health") for _ in range(4)]
        assert [one.status_code for one in seen] == [200, 200, 200, 429]
        left = [one.headers.get("RateLimit", "").partition(";t")[0] for one in seen[:3]]
        assert left == ['"address";r=2', '"address";r=1', '"address";r=0']
        assert seen[0].headers["RateLimit-Policy"] == '"address";q=3;w=3'
        assert (seen[3].json()["code"], seen[3].headers["Retry-After"]) == ("rate.limited", "1")
        known = await stage.get("/v1/me")
        assert known.headers["RateLimit-Policy"].startswith('"principal"')
        transport.app.state.public_limits = Limits(Rate(1, 3), "address")
        tokens = ("", "x", minted(), minted())
        bad = [
            await stage.client.get("/v1/me", headers={"Authorization": f"Bearer {one}"})
            for one in tokens
        ]
        assert [one.status_code for one in bad] == [401, 401, 401, 429]
        left = [one.headers["RateLimit"].partition(";t")[0] for one in bad]
        assert left == [f'"address";r={number}' for number in (2, 1, 0, 0)]
        assert (await stage.get("/v1/me")).status_code == 200, "who is known is not held to it"

    play(database, nats_url, tmp_path, scene)
