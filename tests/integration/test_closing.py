"""An organization suspended, closed, withdrawn and closed for good, over HTTP."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from api.admission.wire import end_ask
from domain.effects import EFFECTS
from domain.runtime import Cancelled, Stopping
from tests.api_stage import Stage, play
from tests.conftest import Database

pytestmark = pytest.mark.slow

READ = ("runtimes", "volumes", "invoices", "periods", "quotas", "projects", "effects")


async def reads(stage: Stage, token: str, state: str, shown_as: str | None = None) -> None:
    """As the table says: everything that is, in every state. States of an account are none of its
    organization: that is `shown_as`.
    """
    [row] = [one for one in EFFECTS if (one.state, one.object) == (state, "API read")]
    assert row.effect == "allowed"
    await stage.views()
    for what in READ:
        answer = await stage.get(f"/v1/{what}", token=token)
        assert answer.status_code == 200, answer.text
    [shown] = (await stage.get("/v1/organizations", token=token)).json()["items"]
    assert shown["state"] == (shown_as or state)
    assert (await stage.get("/v1/runtimes", token=token)).json()["items"]


async def launch(stage: Stage, tenant: dict[str, str], token: str) -> Any:
    body = {"project": tenant["project"], "name": "r"}
    return await stage.post("/v1/runtimes", body, token=token)


def test_the_end_of_an_organization(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Suspended it starts nothing; closing neither, whatever it was before; withdrawn it is what it
    was. With its dates over what runs is told to stop, and with nothing left it is closed: nothing
    begins, nothing is withdrawn, and all that was is readable.
    """

    async def scene(stage: Stage) -> None:
        us = await stage.tenant()
        await stage.node(gpus=2)
        token = stage.token("admin", us["org"])
        path = f"/v1/organizations/{us['org']}"
        one = (await launch(stage, us, token)).json()["id"]
        await reads(stage, token, "active")

        async def does(verb: str, **body: object) -> Any:
            answer = await stage.post(f"{path}/{verb}", {"reason": "asked", **body})
            assert answer.status_code == 200, answer.text
            return answer.json()

        assert (await stage.post(f"{path}/close", {"reason": "x"}, token=token)).status_code == 403
        bad = {"reason": "x", "notice_s": 2, "wipe_after_s": 1}
        wrong = await stage.post(f"{path}/close", bad)
        assert (wrong.status_code, wrong.json()["code"]) == (400, "organization.dates_invalid")
        await does("suspend")
        await reads(stage, token, "suspended")
        assert (await launch(stage, us, token)).json()["code"] == "organization.suspended"
        said = await does("close", notice_s=600, wipe_after_s=600)
        assert (said["state"], said["stop_at"]) == ("closing", said["wipe_at"])
        await reads(stage, token, "closing")
        refused = await launch(stage, us, token)
        assert (refused.status_code, refused.json()["code"]) == (403, "organization.closing")
        held = await stage.post(f"{path}/reactivate", {"reason": "paid"})
        assert held.json()["code"] == "organization.closing"
        assert (await does("reopen"))["state"] == "suspended"
        assert (await does("reopen"))["state"] == "suspended"
        await does("reactivate")
        await does("close", notice_s=0, wipe_after_s=0)
        await until_told(stage, one)
        late = await stage.post(f"{path}/reopen", {"reason": "stays"})
        assert (late.status_code, late.json()["code"]) == (409, "organization.wiping")
        gone = Cancelled("organization.closing", 0)
        await stage.services.admission.ask(end_ask(one, gone, "system-test", f"cmd:{'7' * 64}"))
        async with asyncio.timeout(60):
            while True:
                await stage.views()
                [shown] = (await stage.get("/v1/organizations", token=token)).json()["items"]
                if shown["state"] == "closed":
                    break
                await asyncio.sleep(0.2)
        await reads(stage, token, "closed")
        assert (await launch(stage, us, token)).json()["code"] == "organization.closed"
        over = await stage.post(f"{path}/reopen", {"reason": "stays"})
        assert over.json()["code"] == "organization.closed"

    play(database, nats_url, tmp_path, scene)


def test_with_nothing_left_to_pay_with_everything_is_still_read(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A prepaid account without credit: no launch, by name; what there is is shown."""

    async def scene(stage: Stage) -> None:
        us = await stage.tenant()
        await stage.node(gpus=2)
        token = stage.token("admin", us["org"])
        await launch(stage, us, token)
        terms = {"terms": "prepaid"}
        answer = await stage.post(f"/v1/accounts/{us['account']}/terms", terms)
        assert answer.status_code in (200, 201), answer.text
        assert (await launch(stage, us, token)).json()["code"] == "wallet.insufficient"
        await reads(stage, token, "zero balance", shown_as="active")

    play(database, nats_url, tmp_path, scene)


async def until_told(stage: Stage, runtime: str) -> None:
    async with asyncio.timeout(60):
        while True:
            last = (await stage.services.log.read_stream(runtime))[-1].fact
            if isinstance(last, Stopping):
                assert last.reason == "organization.closing"
                return
            await asyncio.sleep(0.1)
