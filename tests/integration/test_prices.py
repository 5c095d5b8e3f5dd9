"""Tiers, books, commitments, previews and re-ratings over HTTP, on a real log, audited."""

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.edge import instant, now_us
from evidence.log import EventLog
from projections.exporting.lines import lines
from projections.invoicing import finalize_due
from projections.rater import Rater
from tests.api_stage import Stage, play, staged
from tests.conftest import Database
from tests.integration.projections_world import HOUR_US, T0, World
from tests.integration.test_projections_reactions import audit

pytestmark = pytest.mark.slow
GPU_HOUR = 1000 * HOUR_US
HALF = 349 * 10**10 // 2  # an hour of half a GPU at 3.49


def tiered(**more: Any) -> dict[str, Any]:
    """One GPU-hour free, the next at 3.00, then 2.00; effective long before it is published."""
    return {
        "model": "T4", "currency": "USD", "free": str(GPU_HOUR),
        "tiers": [
            {"up_to": str(GPU_HOUR), "price": "3.000000000000"}, {"price": "2.000000000000"},
        ],
        "effective_from": instant(T0), **more,
    }  # fmt: skip


def pico(shown: dict[str, str]) -> int:
    return int(shown["amount"].replace(".", ""))


def test_a_closed_month_is_previewed_and_re_rated_under_another_book(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Under its own prices it is the invoice to the pico; under the book, what re-rating then
    makes of it: its tiers count over regions. Twice is once, and back is nothing; the closed invoice
    stays; the auditor agrees. Exported lines say the region, also where the price is of none.
    """

    async def run() -> None:
        log = await EventLog.open(database.app_url)
        world = World()
        await log.append(world.opening())
        await log.append(world.metering())
        for start, hours in ((0, 2), (1, 3), (2, 1)):
            if start == 1:
                await log.append(world.stands(world.nodes[0], "eu-de-1"))
            begin = T0 + start * HOUR_US
            for append in world.life(world.nodes[0], begin, begin + hours * HOUR_US):
                await log.append(append)
        await log.append(world.stored(world.nodes[0], 100, 200, T0))
        await log.append(world.close())
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
                await _scene(stage, world, rater, conn)

    asyncio.run(run())


async def _scene(stage: Stage, world: World, rater: Rater, conn: psycopg.Connection[Any]) -> None:
    [bill] = (await stage.get("/v1/invoices")).json()["items"]
    stored = 3 * 300 * HOUR_US
    assert pico(bill["exact"]) == 6 * HALF + stored
    account = f"/v1/accounts/{world.account}"
    asked = {"period": world.period, "book": "-"}
    there = lines(conn, world.period, "", "~", 10**9)
    assert sorted((one.meter, one.region, one.stood) for one in there) == [
        *(("gpu.time", "-", region) for region in ("-", "eu-de-1", "eu-de-1")),
        ("storage.capacity", "-", "eu-de-1"),
    ]
    size = await stage.size()
    same = (await stage.post(f"{account}/preview", asked)).json()
    assert (same["exact"], same["charged"], same["total"]) == (
        bill["exact"], bill["exact"], bill["total"],
    )  # fmt: skip
    assert await stage.size() == size
    published = await stage.post("/v1/price-books/spring", {"entries": [tiered()]})
    assert (published.status_code, published.json()["edition"]) == (201, 1), published.text
    again = await stage.post("/v1/price-books/spring", {"entries": [tiered()]})
    assert again.json() == published.json()
    await stage.views()
    shown = (await stage.get("/v1/price-books/spring")).json()
    assert [one["tiers"][0]["up_to"] for one in shown["entries"]] == [str(GPU_HOUR)]
    assert (await stage.get("/v1/price-books/autumn")).status_code == 404
    # 1 h, 1.5 h and 0.5 h of a GPU in this order: 1 free; 1 at 3 and 0.5 at 2; 0.5 at 2.
    spring = (await stage.post(f"{account}/preview", asked | {"book": "spring"})).json()
    assert pico(spring["exact"]) == 5 * 10**12 + stored
    period = {"start": instant(T0), "end": instant(T0 + world.period_us)}
    for book, due in (("spring", pico(spring["exact"])), ("-", pico(bill["exact"]))):
        decided = await stage.post(f"{account}/reratings", period | {"book": book})
        assert decided.status_code == 201, decided.text
        twice = await stage.post(f"{account}/reratings", period | {"book": book})
        assert twice.json() == decided.json() | {"position": None}
        await rater.catch_up()
        await stage.views()
        now = (await stage.post(f"{account}/preview", asked | {"book": book})).json()
        assert (pico(now["charged"]), pico(now["exact"])) == (due, due)
        moved = lines(conn, world.next_period, "", "~", 10**9)
        assert sum(line.amount_pico for line in moved) == due - pico(bill["exact"])
        assert all(line.start_us < line.end_us for line in moved)
        assert all(
            abs(line.quantity * line.price_pico - line.amount_pico * line.divisor)
            <= abs(line.quantity) + 2 * line.divisor
            for line in moved
            if line.quantity
        )
        usage = (await stage.get("/v1/usage")).json()["items"]
        assert sum(pico(one["amount"]) for one in usage) == due
    assert (await stage.get("/v1/invoices")).json()["items"] == [bill]
    listed = (await stage.get(f"{account}/reratings")).json()["items"]
    assert [one["book"] for one in listed] == ["spring", "-"]
    assert audit(conn) == 1


def test_a_launch_in_a_region_is_placed_there_at_its_price(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A node is told its region, twice the same is once; a price of it admits what nothing else does;
    what asks for another region is refused by name, and the runtime shows where it is.
    """

    async def scene(stage: Stage) -> None:
        us = await stage.tenant("A10")
        node = await stage.node("T4")
        where = f"/v1/nodes/{node}/region"
        for region, did in (("eu-de-1", ["region_set"]), ("eu-de-1", [])):
            told = await stage.post(where, {"region": region})
            assert (told.status_code, told.json()["did"]) == (200, did), told.text
        bad = await stage.post(where, {"region": "Eu"})
        assert bad.json()["code"] == "node.region_invalid"
        wanted = {"project": us["project"], "name": "r", "region": "eu-de-1"}
        none = await stage.post("/v1/runtimes", wanted)
        assert none.json()["code"] == "price.none"
        await stage.price("T4", region="eu-de-1")
        made = await stage.post("/v1/runtimes", wanted)
        assert (made.status_code, made.json()["region"]) == (201, "eu-de-1"), made.text
        away = await stage.post("/v1/runtimes", wanted | {"region": "us-va-1"})
        assert (away.json()["code"], away.json()["facts"]["region"]) == (
            "capacity.none_fits", "us-va-1",
        )  # fmt: skip
        await stage.views()
        shown = (await stage.get(f"/v1/runtimes/{made.json()['id']}")).json()
        assert (shown["region"], shown["version"]) == ("eu-de-1", made.json()["version"])
        assert (await stage.get(f"/v1/nodes/{node}/upkeep")).json()["region"] == "eu-de-1"
        asked = f"/v1/placement/explain?project={us['project']}&region=us-va-1"
        [verdict] = (await stage.get(asked)).json()["nodes"]
        assert (verdict["why"], verdict["facts"]) == ("region", {"region": "eu-de-1"})

    play(database, nats_url, tmp_path, scene)


def test_a_commitment_and_a_tiered_price_are_made_and_paid(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """10 GPU-hours at 1.00 of the next period, used or not; charged to the account itself."""

    async def run() -> None:
        log = await EventLog.open(database.app_url)
        world = World()
        world.period_us = now_us() - T0 + 3600 * 10**6  # the first period ends within the hour
        await log.append(world.opening())
        await log.close()
        async with staged(database, nats_url, tmp_path, elect=False) as stage:
            account = f"/v1/accounts/{world.account}"
            end = T0 + world.period_us
            body = {
                "model": "T4", "quantity": str(10 * GPU_HOUR), "price": "1.000000000000",
                "start": instant(end), "end": instant(end + 1),
            }  # fmt: skip
            made = await stage.post(f"{account}/commitments", body)
            assert made.status_code == 201, made.text
            assert (await stage.post(f"{account}/commitments", body)).json() == made.json()
            late = await stage.post(f"{account}/commitments", body | {"start": instant(T0)})
            assert (late.status_code, late.json()["code"]) == (409, "price.too_late")
            soon = tiered(model="A10", effective_from=instant(now_us() + 10**10))
            entry = await stage.post("/v1/prices/tiered", soon)
            assert (entry.status_code, entry.json()["book"]) == (201, "-"), entry.text
            assert (await stage.post("/v1/prices/tiered", soon)).json() == entry.json()
            await stage.views()
            [listed] = (await stage.get(f"{account}/commitments")).json()["items"]
            assert listed == made.json()
            prices = (await stage.get("/v1/prices")).json()["items"]
            assert [one["tiers"] is None for one in prices] == [True, False]

    asyncio.run(run())


@pytest.mark.parametrize("where", ["/v1/prices/tiered", "/v1/price-books/spring"])
def test_what_is_no_price_is_refused_by_name_and_leaves_nothing(
    database: Database, nats_url: str, tmp_path: Path, where: str
) -> None:
    """Tiers that do not rise, a state that is never charged, a sum that could overflow, the same
    key twice: of a book's entries not one is there.
    """

    async def scene(stage: Stage) -> None:
        size = await stage.size()
        one = "1.000000000000"
        good = tiered(effective_from=instant(now_us() + 10**10))
        for more, code in (
            ({"tiers": [{"up_to": "5", "price": one}]}, "price.tiers_invalid"),
            ({"tiers": [{"price": one}, {"price": one}]}, "price.tiers_invalid"),
            (
                {"tiers": [{"up_to": "5", "price": one}] * 2 + [{"price": one}]},
                "price.tiers_invalid",
            ),
            ({"state": "idle"}, "price.state_unsupported"),
            ({"region": "EU-1"}, "price.region_invalid"),
            ({"tiers": [{"price": "-" + one}]}, "price.invalid"),
            ({"minimum": "-" + one}, "price.invalid"),
            ({"tiers": [{"price": "9999999999.000000000000"}]}, "price.too_large"),
            ({"currency": "QQQ"}, "currency.unknown"),
            ({"account": "account-00000000-0000-7000-8000-000000000000"}, "resource.unknown"),
        ):
            bad = good | more
            body = bad if where.endswith("tiered") else {"entries": [good, bad]}
            answer = await stage.post(where, body)
            assert answer.json()["code"] == code, (more, answer.text)
        if where.endswith("spring"):
            answer = await stage.post(where, {"entries": [good, good | {"free": "1"}]})
            assert answer.json()["code"] == "price.duplicate"
            answer = await stage.post("/v1/price-books/-", {"entries": [good]})
            assert answer.json()["code"] == "price.book_invalid"
        else:
            past = await stage.post(where, tiered())
            assert past.json()["code"] == "price.too_late"
        assert await stage.size() == size
        tenant = await stage.tenant()
        token = stage.token("admin", tenant["org"])
        for path in (where, f"/v1/accounts/{tenant['account']}/preview"):
            body = good if where.endswith("tiered") else {"entries": [good]}
            if path != where:
                body = {"period": "period-1", "book": "-"}
            assert (await stage.post(path, body, token=token)).status_code == 403
        span = {"start": instant(0), "end": instant(1), "book": "nowhere"}
        path = f"/v1/accounts/{tenant['account']}/reratings"
        refused = await stage.post(path, span)
        assert refused.json()["code"] == "price.book_unknown"
        refused = await stage.post(path, span | {"end": instant(0), "book": "-"})
        assert refused.json()["code"] == "price.range_invalid"

    play(database, nats_url, tmp_path, scene)
