"""Shares of a quota over HTTP: what is kept, lent, borrowed, claimed and taken back."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from api.admission.wire import end_ask
from domain.runtime import Cancelled
from domain.runtime_facts import Stopping
from evidence.ids import new_id
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow


async def share(stage: Stage, scope: str, *milli: int, token: str | None = None) -> int:
    names = ("guaranteed_milli", "lendable_milli", "limit_milli")
    body = {"scope": scope, "model": "T4", **dict(zip(names, milli, strict=True))}
    return (await stage.post("/v1/quotas/shares", body, token=token)).status_code


async def launch(stage: Stage, project: str, *, spot: bool = False) -> Any:
    return await stage.post("/v1/runtimes", {"project": project, "name": "r", "spot": spot})


async def ended(stage: Stage, runtime: str) -> None:
    """As its keeper does with one that was told to stop before it was started."""
    fact = Cancelled("quota.reclaimed", 0)
    await stage.services.admission.ask(
        end_ask(runtime, fact, "system-test", f"cmd:{runtime[-12:] * 6}"[:68])
    )


def test_what_was_lent_comes_back_by_a_claim(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """One borrows all that the other lends, and not what it keeps. The other claims: nobody borrows
    any more, the newest borrower that is spot is told to stop, and what it had is the claimant's.
    """

    async def scene(stage: Stage) -> None:
        us = await stage.tenant()
        await stage.node(gpus=8)
        body = {"department": us["department"], "account": us["account"], "name": "Q"}
        other = (await stage.post("/v1/projects", body)).json()["id"]
        admin = stage.token("admin", us["org"])
        assert await share(stage, us["org"], 4000, 0, 4000, token=admin) == 403
        assert await share(stage, other, 2000, 1000, 4000, token=admin) == 400
        assert await share(stage, us["org"], 4000, 0, 4000) == 201
        assert await share(stage, us["department"], 4000, 0, 4000, token=admin) == 201
        assert await share(stage, other, 2000, 1000, 4000, token=admin) == 201
        assert await share(stage, other, 2000, 1000, 4000, token=admin) == 201
        assert await share(stage, us["project"], 3000, 0, 4000, token=admin) == 409
        assert await share(stage, us["project"], 2000, 0, 4000, token=admin) == 201
        await stage.price("T4", state="spot")
        ours = [await launch(stage, us["project"], spot=number == 1) for number in range(4)]
        assert [one.status_code for one in ours] == [201, 201, 201, 409]
        assert ours[3].json()["code"] == "quota.exceeded"
        theirs = [await launch(stage, other) for _ in range(2)]
        assert [one.status_code for one in theirs] == [201, 409]
        lent = theirs[1].json()
        assert lent["code"] == "quota.lent"
        assert (lent["facts"]["claimable_milli"], lent["facts"]["fits_milli"]) == (1000, 0)

        ask = {"scope": other, "model": "T4", "gpu_milli": 2000, "notice_s": 0, "hold_s": 600}
        answer = await stage.post("/v1/quotas/claims", ask, token=admin)
        assert answer.status_code == 201, answer.text
        newest = ours[1].json()["id"]  # of those that are spot
        assert [one.json()["spot"] for one in ours[:3]] == [False, True, False]
        assert answer.json()["runtimes"] == [newest]
        await told(stage, newest)
        await stage.views()
        assert (await stage.get(f"/v1/runtimes/{newest}")).json()["spot"] is True
        [shown] = (await stage.get("/v1/quotas/reclaims", token=admin)).json()["items"]
        assert shown["runtimes"] == [newest]
        by_scope = {
            one["scope"]: one
            for one in (await stage.get("/v1/quotas/shares", token=admin)).json()["items"]
        }
        assert by_scope[us["project"]]["borrowed_milli"] == 1000
        assert by_scope[other]["claimed_milli"] == 2000
        await ended(stage, newest)
        again = await launch(stage, us["project"])
        assert again.json()["code"] == "quota.exceeded", "what came back is claimed"
        assert (await launch(stage, other)).status_code == 201
        end = {"scope": other, "model": "T4", "reason": "unneeded"}
        assert (await stage.post("/v1/quotas/claims/end", end, token=admin)).status_code == 200
        assert (await stage.post("/v1/quotas/claims/end", end, token=admin)).status_code == 200
        await stage.views()
        assert (await stage.get("/v1/quotas/claims")).json()["items"] == []

    play(database, nats_url, tmp_path, scene)


def test_claims_expire_and_are_nobody_elses(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A claim ends by itself, as a fact; whoever was named and not told yet goes on. Another
    organization's scopes do not exist here.
    """

    async def scene(stage: Stage) -> None:
        us, foreign = await stage.tenant(), stage.token("admin", new_id("organization"))
        for scope in (us["org"], us["department"], us["project"]):
            assert await share(stage, scope, 2000, 0, 2000) == 201
        assert await share(stage, us["project"], 1, 0, 1, token=foreign) == 404
        ask = {"scope": us["project"], "model": "T4", "gpu_milli": 2000, "notice_s": 0, "hold_s": 1}
        assert (await stage.post("/v1/quotas/claims", ask, token=foreign)).status_code == 404
        assert (await stage.post("/v1/quotas/claims", ask)).status_code == 201
        early = {"scope": us["project"], "model": "T4", "reason": "expired"}
        assert (await stage.post("/v1/quotas/claims/end", early)).status_code in (200, 409)
        async with asyncio.timeout(30):
            while True:
                await stage.views()
                if not (await stage.get("/v1/quotas/claims")).json()["items"]:
                    break
                await asyncio.sleep(0.2)
        assert (await stage.get("/v1/quotas/shares", token=foreign)).json()["items"] == []

    play(database, nats_url, tmp_path, scene)


async def told(stage: Stage, runtime: str) -> None:
    """Once its stop is in the log, with the reason that tells its owner why."""
    async with asyncio.timeout(30):
        while True:
            found = await stage.services.log.read_stream(runtime)
            if isinstance(found[-1].fact, Stopping):
                assert found[-1].fact.reason == "quota.reclaimed"
                return
            await asyncio.sleep(0.1)
