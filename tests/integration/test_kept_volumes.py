"""A prepaid volume over a real log: held, told of, locked, and wiped by the writer that comes next."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from domain import volume
from domain.instants import Keeping
from domain.wallet_facts import LevelReached, VolumeHeld
from tests.api_stage import Stage, staged
from tests.conftest import Database
from tests.integration.test_volumes_api import MIB, now, says, shown, told, word

pytestmark = pytest.mark.slow

SOON = Keeping(hold_us=3_000_000, wipe_us=3_000_000)


async def until_said(stage: Stage, kind: type[Struct]) -> Any:
    """The first fact of that kind."""
    async with asyncio.timeout(60):
        while True:
            for one in await told(stage):
                if isinstance(one.fact, kind):
                    return one
            await asyncio.sleep(0.1)


async def kept(stage: Stage) -> tuple[str, str]:
    """A prepaid account with just the credit for the first hold of its volume, and that volume."""
    tenant = await stage.tenant()
    await stage.node()
    soon = now() + 1_000_000
    priced = {
        "meter": "storage.capacity", "model": "local", "state": "existing", "divisor": 1,
        "price": {"amount": "0.000000000001", "currency": "USD"},
        "effective_from": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(soon // 10**6 + 1)) + "Z",
    }  # fmt: skip
    assert (await stage.post("/v1/prices", priced)).status_code == 201
    await asyncio.sleep(2.2)
    counted = {"meter": "storage.capacity", "unit": "MiB-us", "source": "lifecycle"}
    assert (await stage.post("/v1/meters", counted)).status_code == 201
    of = f"/v1/accounts/{tenant['account']}"
    await stage.post(f"{of}/terms", {"terms": "prepaid"})
    body = {"project": tenant["project"], "name": "data", "size_mib": 64}
    refused = await stage.post("/v1/volumes", body)
    assert (refused.status_code, refused.json()["code"]) == (402, "wallet.insufficient")
    needed = refused.json()["facts"]["needed_pico"]
    assert needed == 64 * SOON.hold_us
    money = {"amount": f"0.{needed:012d}", "currency": "USD"}
    granted = await stage.post(f"{of}/grants", {"amount": money, "reference": "1"})
    assert granted.status_code in (200, 201), granted.text
    made = await stage.post("/v1/volumes", body)
    assert made.status_code == 201, made.text
    name = made.json()["id"]
    formatted = volume.Formatted(
        0, "ext4_loop", 64 * MIB, 1, now(), now(), word(made.json()["node"])
    )
    await says(stage, name, formatted)
    return tenant["account"], name


def test_at_zero_it_is_locked_and_the_next_writer_wipes_it(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Held with its creation; told of and locked when nothing is left; nobody has it then. The writer
    that was going to wipe it is gone, the next one does at the date.
    """

    async def run() -> None:
        async with staged(database, nats_url, tmp_path, keeping=SOON) as stage:
            account, name = await kept(stage)
            held = (await until_said(stage, VolumeHeld)).fact
            notice = (await until_said(stage, volume.LockNoticed)).fact
            assert notice.lock_us == held.until_us
            locked = (await until_said(stage, volume.Locked)).fact
            assert locked.locked_us == held.until_us <= locked.decided_us
            found = (await shown(stage, name))["volume"]
            assert (found["state"], found["why"]) == ("locked", "wallet.exhausted")
            wallet = (await stage.get(f"/v1/accounts/{account}/wallet")).json()
            assert [one["id"] for one in wallet["volumes"]] == [name]
            assert wallet["volumes"][0]["wipe_at"] is not None
            levels = [one.fact for one in await told(stage) if isinstance(one.fact, LevelReached)]
            assert [one.percent for one in levels] == [50, 80, 100]
            larger = await stage.post(f"/v1/volumes/{name}/grow", {"size_mib": 128})
            assert (larger.status_code, larger.json()["code"]) == (409, "volume.locked")
        async with staged(database, nats_url, tmp_path, keeping=SOON) as stage:
            wipe = await until_said(stage, volume.WipeRequested)
            assert wipe.fact.decided_us >= locked.wipe_us
            assert wipe.stream == name
            assert (await shown(stage, name))["volume"]["state"] == "wiping"

    asyncio.run(run())
