"""Dunning on a real log: each step once, whoever tries and whatever is killed; over when it is paid."""

import asyncio
import multiprocessing
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest

from domain import credit
from evidence.log import EventLog
from evidence.storage import Storage
from projections.dunning import dun_due
from projections.invoicing import finalize_due
from projections.rater import Rater
from tests.api_stage import Stage, staged
from tests.conftest import Database
from tests.dunning_life import WHEN, life
from tests.integration.projections_world import T0
from tests.integration.tax_world import TaxedPlatform
from tests.integration.test_projections_reactions import audit

pytestmark = pytest.mark.slow
DAY = credit.DAY_US
CLEAN = multiprocessing.get_context("forkserver")  # it has loaded what lives need, and no threads
CLEAN.set_forkserver_preload(["tests.dunning_life"])


async def again(
    stage: Stage, conns: list[psycopg.Connection[Any]], now: int, *, due: bool = True
) -> Counter[str]:
    """If anything is due, workers are killed with -9 before, while and after they say it; then two
    that have just started look at once, each twice; what was appended, by tag.
    """
    log: EventLog = stage.services.log
    before = conns[0].execute("SELECT next_position FROM log.head").fetchone()
    died = [await asyncio.to_thread(killed, stage, now, when) for when in WHEN if due]
    raters = [Rater(conn, log) for conn in conns]
    for rater in raters:
        await rater.catch_up()
    for _ in range(2):
        await asyncio.gather(
            *(dun_due(log, one.dunning, one.duties, one.books, now) for one in raters)
        )
        for rater in raters:
            rater.dunning.look_at = 0.0
            await rater.catch_up()
    assert before is not None
    rows = conns[0].execute(
        "SELECT convert_from(entry, 'UTF8')::json->>'tag' FROM log.entry WHERE position >= %s",
        (before[0],),
    )
    found = Counter(row[0].split(".")[2] for row in rows if "account" in row[0])
    assert bool(found) == due == any(died[:1])
    return found


def killed(stage: Stage, now: int, when: str) -> bool:
    """Whether a worker had something to say; it is dead then, by its own kill -9."""
    one = CLEAN.Process(target=life, args=(stage.services.settings.database_url, now, when))
    one.start()
    one.join(60)
    assert one.exitcode in {0, -signal.SIGKILL}
    return one.exitcode != 0


def test_an_overdue_invoice_is_dunned_once_a_step_until_it_is_paid(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Fourteen days after it was issued, by the seller's terms, then at the stated days."""

    async def run() -> None:
        log = await EventLog.open(database.app_url)
        world = TaxedPlatform(1)
        await world.played(log)
        await log.close()
        conns = [psycopg.connect(database.app_url, autocommit=True) for _ in range(2)]
        async with staged(database, nats_url, tmp_path, elect=False) as stage:
            issued = T0 + world.period_us
            rater = Rater(conns[0], stage.services.log)
            for _ in range(3):
                await rater.catch_up()
                await finalize_due(stage.services.log, rater, Storage(tmp_path), issued)
            await stage.views()
            await told(stage, conns, world, issued)
            assert audit(conns[0]) == 1
        for conn in conns:
            conn.close()

    asyncio.run(run())


async def told(
    stage: Stage, conns: list[psycopg.Connection[Any]], world: TaxedPlatform, issued: int
) -> None:
    [bill] = (await stage.get("/v1/invoices")).json()["items"]
    path = f"/v1/accounts/{world.account}/credit"
    assert (await again(stage, conns, issued + 90 * DAY, due=False)) == Counter(), (
        "no terms, no dunning"
    )
    limit = {"amount": "4.000000000000", "currency": "USD"}
    terms = {"limit": limit, "remind_days": [3], "suspend_days": 10, "stop_days": 20}
    answer = await stage.post(path, terms)
    assert (answer.status_code, answer.json()["due_days"]) == (200, 14), answer.text
    assert (await stage.post(path, terms)).json() == answer.json()
    bad = await stage.post(path, {**terms, "stop_days": 5})
    assert bad.json()["code"] == "account.credit_invalid"
    bad = await stage.post(path, {**terms, "limit": {**limit, "currency": "EUR"}})
    assert bad.json()["code"] == "account.credit_invalid"
    due = issued + 14 * DAY
    for now, expected in (
        (due - 1, {"over_limit": 1}), (due, {"dunned": 1}), (due + DAY, {}),
        (due + 4 * DAY, {"dunned": 1}), (due + 21 * DAY, {"dunned": 2}), (due + 22 * DAY, {}),
    ):  # fmt: skip
        found = await again(stage, conns, now, due=bool(expected))
        assert found == Counter(expected), now
    await stage.views()
    shown = (await stage.get(path)).json()
    assert [(one["step"], one["days"]) for one in shown["dunning"]] == [
        ("due", 0), ("reminded", 3), ("suspended", 10), ("stopped", 20),
    ]  # fmt: skip
    assert shown["over"]["amount"] == shown["used"]["amount"] == "4.150000000000"
    body = {"minor": 415, "reference": "x", "paid_at": "2025-03-01T00:00:00Z"}
    assert (await stage.post(f"/v1/invoices/{bill['id']}/payments", body)).status_code == 201
    assert await again(stage, conns, due + 23 * DAY) == Counter(dunning_ended=1, within_limit=1)
    returned = {"minor": 15, "at": "2025-03-02T00:00:00Z"}
    path = f"/v1/invoices/{bill['id']}"
    assert (await stage.post(f"{path}/returned-payments", returned)).status_code == 201
    assert await again(stage, conns, due + 24 * DAY) == Counter(dunned=4)
    assert (await stage.post(f"{path}/payments", {**body, "minor": 15})).status_code == 201
    assert await again(stage, conns, due + 25 * DAY) == Counter(dunning_ended=1, resumed=1)
