"""What one acts with while an organization is suspended, reactivated, closing and closed."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from api.authorization.directory import Directory
from api.authorization.loading import load
from domain import organization
from evidence.append import Append, Write
from projections.webhooks_read import webhooks
from tests.api_stage import Stage
from tests.conftest import Database
from tests.integration.test_authority import Owned, both, code, ok, owned
from tests.integration.test_sign_in import session_of, signed_in, trusted
from tests.integration.test_sso import bind, ended, program, streaming
from tests.issuer_stage import Issuer, issuer

pytestmark = pytest.mark.slow

OVER = (401, "auth.invalid")


@pytest.fixture
def here() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


async def says(stage: Stage, org: str, *facts: Struct) -> None:
    recorded = await stage.services.log.read_stream(org)
    write = Write(org, org, recorded[-1].version, facts)
    await stage.services.log.append(Append((write,), "system-test", f"cmd:{uuid.uuid4().hex * 2}"))


async def entering(stage: Stage, runtime: str, token: str) -> set[tuple[int, str]]:
    """Of everything that lets somebody into a runtime: how it is refused."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJyTtEkgzGgqvsJyM0TdWzTqAp3xTxLKfJZhvEr0eCWh"
    bodies: dict[str, dict[str, Any]] = {
        "ssh-certificates": {"public_key": key}, "app-passes": {"port": 8888}, "terminals": {},
    }  # fmt: skip
    path = f"/v1/runtimes/{runtime}"
    answers = [
        await stage.post(f"{path}/{verb}", body, token=token) for verb, body in bodies.items()
    ]
    return {(one.status_code, str(one.json().get("code", ""))) for one in answers}


async def hears(stream: Any, words: bytes) -> None:
    """The open stream tells it."""
    async with asyncio.timeout(60):
        async for part in stream:
            if words in part:
                return
    raise AssertionError("it ended")


async def delivered(stage: Stage, org: str) -> bool:
    """Whether the deliverer of webhooks serves the organization's."""
    await stage.views()
    found = await stage.services.reads.ask(webhooks, state="standing", after=-1)
    return [one.organization for one in found] == [org]


def test_what_one_acts_with_stands_until_the_organization_is_closed(
    database: Database, nats_url: str, tmp_path: Path, here: Issuer
) -> None:
    """Suspended: keys, sessions and streams go on, to read, and nothing is entered. Reactivated,
    and while it is being closed, as before. Closed: each is over within a second in every process,
    a stream of events too, no key is made, and a process that starts knows it; who signs in anew
    reads.
    """

    async def scene(first: Stage, second: Stage) -> None:
        of = await owned(first)
        at = await trusted(first, here, of.org)
        signed = await signed_in(first, here, at)
        await bind(first, of.org, signed["principal"])
        mine = ok(await first.post("/v1/api-keys", {"name": "k"}, token=of.boss))["key"]
        acting = (mine, await program(first, of.org, of.boss), signed["token"])
        hook = {"organization": of.org, "url": "https://8.8.8.8/hook"}
        ok(await first.post("/v1/webhooks", hook, token=of.boss))
        await first.node()
        launch = {"project": of.project, "name": "r"}
        runtime = ok(await first.post("/v1/runtimes", launch, token=of.boss))["id"]
        streams = [await streaming(second, token) for token in acting]

        async def all_stand(told: bytes) -> None:
            await asyncio.gather(*(hears(stream, told) for stream in streams))
            for token in acting:
                assert (await second.get("/v1/projects", token=token)).status_code == 200
            assert await delivered(first, of.org)

        path = f"/v1/organizations/{of.org}"
        ok(await first.post(f"{path}/suspend", {"reason": "unpaid"}))
        await all_stand(b"organization.suspended")
        assert await entering(second, runtime, of.boss) == {(403, "organization.suspended")}
        ok(await first.post(f"{path}/reactivate", {"reason": "paid"}))
        await all_stand(b"organization.reactivated")
        assert (403, "organization.suspended") not in await entering(second, runtime, of.boss)
        await says(first, of.org, organization.ClosingStarted("left", 1, 1, 1))
        await all_stand(b"organization.closing_started")
        began = time.monotonic()
        await says(first, of.org, organization.ClosedForGood(2))
        await asyncio.gather(*map(ended, streams))
        assert time.monotonic() - began < 1
        await closed(first, second, of, acting)
        anew = ok(await session_of(first, at, here.token()))
        assert (await second.get("/v1/projects", token=anew["token"])).status_code == 200

    both(database, nats_url, tmp_path, scene)


async def closed(first: Stage, second: Stage, of: Owned, acting: tuple[str, ...]) -> None:
    """In the process whose streams have ended, and in the one that appended it."""
    mine = acting[0]
    for token in acting:
        assert code(await second.get("/v1/projects", token=token)) == OVER
    began = time.monotonic()
    while (await first.get("/v1/projects", token=mine)).status_code == 200:
        assert time.monotonic() - began < 1
    for token in acting:
        assert code(await first.get("/v1/projects", token=token)) == OVER
    made = await first.post("/v1/api-keys", {"name": "late"}, token=of.boss)
    assert code(made) == (403, "organization.closed")
    assert await delivered(first, of.org), "what is still told of it is sent"
    shown = ok(await first.get("/v1/api-keys", token=of.boss))["items"]
    assert all(one["revoked"] for one in shown)
    fresh = Directory()
    await first.services.reads.ask(load, fresh)
    assert fresh.closed(of.org)
    assert fresh.keys(of.org) == first.services.directory.keys(of.org)
