"""One admission writer per deployment: others forward to it, and one of them takes over."""

import asyncio
from pathlib import Path

import httpx
import nats
import psycopg
import pytest
from psycopg import sql

from api.admission.wire import UnreserveAsk
from api.admission.writer import Writer
from domain.errors import DomainError
from evidence.ids import new_id
from evidence.log import EventLog
from evidence.wake import HeadWake
from tests.api_stage import Stage, staged
from tests.conftest import Database

pytestmark = pytest.mark.slow


def test_forwarded_and_taken_over(database: Database, nats_url: str, tmp_path: Path) -> None:
    """A launch asked of any process is admitted by the one writer; when it goes, the next one
    decides on the same log: no device is given twice.
    """

    async def run() -> None:
        async with staged(database, nats_url, tmp_path) as first:
            tenant = await first.tenant()
            await first.node(gpus=8)
            async with staged(database, nats_url, tmp_path, elect=False) as second:
                assert not await second.services.admission.elected(0.1)
                answers = await asyncio.gather(
                    *(_launch(stage, tenant) for _ in range(3) for stage in (first, second))
                )
                assert [answer.status_code for answer in answers] == [201] * 6, answers[-1].text
                room = (await second.get("/v1/capacity")).json()["models"][0]
                assert room["free_devices"] == 2
                await first.services.admission.close()
                assert await second.services.admission.elected(5)
                late = [(await _launch(second, tenant)) for _ in range(3)]
                assert [answer.status_code for answer in late] == [201, 201, 409]
                given = [answer.json() for answer in (*answers, *late[:2])]
                assert len({one["devices"][0]["index"] for one in given}) == 8

    asyncio.run(run())


def test_foreign_facts_do_not_cost_a_launch(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Cordons written beside the writer conflict with its batches; every launch is still decided
    once, none is lost and no cordoned node is given anything afterwards.
    """

    async def run() -> None:
        async with staged(database, nats_url, tmp_path) as stage:
            tenant = await stage.tenant()
            nodes = [await stage.node(gpus=8) for _ in range(4)]

            async def toggle(node: str) -> None:
                for verb in ("cordon", "uncordon", "cordon"):
                    answer = await stage.post(f"/v1/nodes/{node}/{verb}")
                    assert answer.status_code == 200, answer.text

            launches = [_launch(stage, tenant) for _ in range(24)]
            answers = await asyncio.gather(*launches, *(toggle(node) for node in nodes[:2]))
            codes = [answer.status_code for answer in answers[:24] if answer is not None]
            assert set(codes) <= {201, 409}
            given = [
                answer.json() for answer in answers[:24] if answer and answer.status_code == 201
            ]
            places = [(one["node"], one["devices"][0]["index"]) for one in given]
            assert len(set(places)) == len(places) >= 16
            late = await _launch(stage, tenant)
            if late.status_code == 201:
                assert late.json()["node"] in nodes[2:]

    asyncio.run(run())


def test_whoever_waits_when_a_term_ends_is_told(database: Database, nats_url: str) -> None:
    """A refusal counts only on the whole log. While it is looked for the database goes away, and the
    writer's term with it: whoever asked hears to repeat, and waits no longer.
    """

    async def run() -> None:
        log = await EventLog.open(database.app_url)
        client = await nats.connect(nats_url)
        writer = Writer(database.app_url, log, HeadWake(client))
        await writer.load()
        term = writer.start()
        _shut(database)
        ask = UnreserveAsk(new_id("reservation"), "unneeded", 0, "user-a", f"cmd:{'0' * 64}")
        asked = asyncio.get_running_loop().create_task(writer.ask(ask))
        await asyncio.wait({term}, timeout=10)
        assert term.done()
        await writer.close()
        async with asyncio.timeout(5):
            with pytest.raises(DomainError) as told:
                await asked
        assert told.value.code == "admission.unavailable"
        await client.close()
        await log.close()

    asyncio.run(run())


def _shut(database: Database) -> None:
    """Nobody is connected to this database any more, or can be."""
    name = database.name
    with psycopg.connect(database.server.url("superuser", "postgres"), autocommit=True) as conn:
        conn.execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name))
        )
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )


async def _launch(stage: Stage, tenant: dict[str, str]) -> httpx.Response:
    body = {"project": tenant["project"], "name": "r"}
    return await stage.post("/v1/runtimes", body)
