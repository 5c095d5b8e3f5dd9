"""Readings from an app's signature to an invoice line, an export and a bundle that verifies."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.edge import instant
from evidence.storage import Storage
from projections.invoicing import finalize_due
from projections.periods import keep_periods
from projections.rater import Rater
from projections.views import step
from tests.api_stage import Stage, staged
from tests.conftest import Database
from tests.integration.evidence_stack import EvidenceStack
from tests.token_meter import METER, TokenMeter

pytestmark = pytest.mark.slow


@asynccontextmanager
async def viewing(stage: Stage) -> AsyncIterator[None]:
    """The views follow the log meanwhile, as a worker makes them."""

    async def follow(conn: psycopg.Connection[Any]) -> None:
        while True:
            if not await asyncio.to_thread(step, conn, 1000):
                await asyncio.sleep(0.01)

    conn = psycopg.connect(stage.services.settings.database_url, autocommit=True)
    task = asyncio.create_task(follow(conn))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        conn.close()


async def tenant(stage: Stage, lives_us: int) -> dict[str, str]:
    """An organization with an account, whose first period ends soon, and a project."""
    org = (await stage.post("/v1/organizations", {"name": "Org"})).json()["id"]
    department = (await stage.post("/v1/departments", {"organization": org, "name": "D"})).json()
    body = {
        "organization": org, "currency": "USD", "zone": "Europe/Berlin",
        "first_period_end": instant(time.time_ns() // 1000 + lives_us),
    }  # fmt: skip
    account = (await stage.post("/v1/accounts", body)).json()["id"]
    project = await stage.post(
        "/v1/projects", {"department": department["id"], "account": account, "name": "Chat"}
    )
    return {"org": org, "account": account, "project": project.json()["id"]}


async def until(instant_us: int) -> None:
    await asyncio.sleep(max(0, instant_us - time.time_ns() // 1000) / 1_000_000)


async def settled(stage: Stage, storage: Storage, database: Database) -> None:
    """Everything is rated; what is over is closed and invoiced."""
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        rater = Rater(conn, stage.services.log)
        for _ in range(4):
            await rater.catch_up()
            now = time.time_ns() // 1000
            await keep_periods(stage.services.log, rater.duties, now, 0)
            await finalize_due(stage.services.log, rater, storage, now)


def test_an_app_brings_its_own_meter_and_its_tokens_are_billed(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Meter, price and key over HTTP; readings signed by the app; the same again changes nothing;
    the tokens stand on the invoice, in the export, and in a bundle that verifies offline.
    """
    stack = EvidenceStack(database, tmp_path)

    async def run() -> None:
        async with staged(database, nats_url, tmp_path, elect=False) as stage, viewing(stage):
            began = time.time_ns() // 1000
            lives = 3_000_000
            own = await tenant(stage, lives)
            app = TokenMeter(stage.client, stage.operator)
            source = await app.open(own["project"])
            sent = [app.batch(*(app.tokens(n) for n in range(k, k + 40))) for k in (0, 40)]
            taken = [await app.send(batch) for batch in (*sent, *sent)]
            assert [one.status_code for one in taken] == [200] * 4, [one.text for one in taken]
            assert [one.json()["new"] for one in taken] == [40, 40, 0, 0]
            sealed = taken[1].headers["log-position"]
            shown = await stage.get(f"/v1/sources/{source}", Min_Log_Position=sealed)
            assert shown.json()["reached"]["sequence"] == 80
            await until(began + lives + 500_000)
            await settled(stage, stack.storage, database)
            await stage.views()
            [invoice] = (await stage.get("/v1/invoices")).json()["items"]
            tokens = sum(range(80))
            filed = (await stage.get(f"/v1/invoices/{invoice['id']}/file")).json()
            [line] = filed["lines"]
            assert (line["project"], line["sku"]) == (own["project"], f"{METER}:llama-3")
            assert (line["quantity"], line["amount_pico"]) == (tokens, tokens * 2_500_000)
            page = await stage.get(f"/v1/invoices/{invoice['id']}/page")
            assert page.status_code == 200, page.text
            used = (await stage.get("/v1/usage")).json()["items"]
            assert [(one["project"], one["quantity"]) for one in used] == [
                (own["project"], str(tokens))
            ]
            await asyncio.to_thread(stack.integrate)
            path = f"/v1/accounts/{own['account']}/exports/focus.csv"
            book = await stage.get(path)
            assert book.status_code == 200, book.text
            assert f"{METER}:llama-3" in book.text
            await asyncio.to_thread(stack.integrate)
            bundle = await stage.get("/v1/bundle")
            (tmp_path / "bundle.tar").write_bytes(bundle.content)

    with stack.signing():
        asyncio.run(run())
    claims = verified(tmp_path / "bundle.tar", stack.vkey_text)
    assert claims["books"]["state"] == claims["invoices"]["state"] == "checked"
    assert claims["rows"]["count"] >= 82


def verified(bundle: Path, vkey: str) -> dict[str, Any]:
    """The claims of a bundle that must be valid, by name."""
    program = str(Path(sys.executable).with_name("gpuaas-verify"))
    done = subprocess.run(
        [program, str(bundle), "--key", vkey, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {claim["claim"]: claim for claim in json.loads(done.stdout)["claims"]}
