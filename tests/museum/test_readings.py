"""Usage that was said twice."""

import asyncio
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import replace

from contracts.usage import Reporter
from projections.rater import Rater
from tests.api_stage import staged
from tests.conftest import Database
from tests.integration.test_readings import HOUR, audited, tenant, viewing
from tests.token_meter import TokenMeter

pytestmark = pytest.mark.slow


def test_flexprice_612_the_same_id_with_another_payload(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """An event that came again under the same id, with another payload, was not told from the first.
    Here the first stands and is charged once; the second is refused by name as often as it comes, and
    kept where an operator sees it.
    """

    async def run() -> None:
        async with staged(database, nats_url, tmp_path, elect=False) as stage, viewing(database):
            own = await tenant(stage, HOUR)
            app = TokenMeter(stage.client, stage.operator)
            source = await app.open(own["project"], per_million="1000.000000000000")
            said = app.tokens(3)
            assert (await app.send(app.batch(said))).json()["new"] == 1
            other = Reporter(app.key, source, 1).batch((replace(said, quantity=4000),))
            for _ in range(2):
                answer = await app.send(other)
                assert (answer.status_code, answer.json()["code"]) == (409, "reading.conflict")
            assert (await app.send(Reporter(app.key, source, 1).batch((said,)))).json()["new"] == 0
            with psycopg.connect(database.app_url, autocommit=True) as conn:
                rater = Rater(conn, stage.services.log)
                await rater.catch_up()
                balances = rater.books.balances(own["account"])
            assert balances["unbilled"].pico == 3 * 10**9  # a thousandth of a dollar each
            await stage.services.reached((await stage.size()) - 1)
            [shown] = (await stage.get("/v1/readings/quarantined")).json()["items"]
            assert (shown["source"], shown["epoch"], shown["sequence"]) == (source, 1, 1)

    asyncio.run(run())
    audited(database)
