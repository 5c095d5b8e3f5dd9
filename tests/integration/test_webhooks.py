"""Webhooks on a real log, database and NATS, to real HTTP receivers."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import psycopg
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from api.webhooks import deliverer
from api.webhooks.addresses import networks_of
from api.webhooks.deliverer import Options
from api.webhooks.sending import Sender
from domain import webhook
from domain.facts import TAGS
from evidence.append import Append, Appended
from gpuaas_client.webhooks import verified
from tests.api_stage import Stage, staged
from tests.conftest import Database
from tests.webhook_receiver import Heard, Receiver, receiving

pytestmark = pytest.mark.slow
PATIENCE_S = 30
INSIDE = "127.0.0.0/8"
SCHEMAS = Path(__file__).parents[2] / "contracts" / "schemas" / "facts"
QUICK = Options(schedule_s=(0.05, 0.1), poll_s=0.05, elect_s=0.1)


@contextlib.asynccontextmanager
async def stage_of(database: Database, nats_url: str, data: Path) -> AsyncIterator[Stage]:
    async with staged(database, nats_url, data) as stage:
        inside = msgspec.structs.replace(stage.services.settings, webhook_networks=INSIDE)
        msgspec.structs.force_setattr(stage.services, "settings", inside)
        yield stage


@contextlib.asynccontextmanager
async def delivering(stage: Stage, options: Options = QUICK) -> AsyncIterator[None]:
    """As the worker does it, in this loop."""
    stop, sender = asyncio.Event(), Sender(networks_of(INSIDE), patience_s=2)
    url, log = stage.services.settings.database_url, stage.services.log
    running = asyncio.create_task(deliverer.run(url, log, sender, stop, options=options))
    try:
        yield
    finally:
        stop.set()
        await running
        await sender.close()


async def until(ready: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def organization(stage: Stage) -> str:
    return str((await stage.post("/v1/organizations", {"name": "Org"})).json()["id"])


async def department(stage: Stage, org: str) -> int:
    """A fact of the organization; its position, before that of what let it."""
    made = await stage.post("/v1/departments", {"organization": org, "name": "D"})
    assert made.status_code == 201, made.text
    return int(made.headers["Log-Position"]) - 1


async def hooked(stage: Stage, org: str, url: str, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    body = {"organization": org, "url": url, "tags": list(tags)}
    answer = await stage.post("/v1/webhooks", body)
    assert answer.status_code == 201, answer.text
    await stage.views()
    found: dict[str, Any] = answer.json()
    return {**found, "position": int(answer.headers["Log-Position"])}


def test_facts_are_told_signed_filtered_and_in_order(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """What is registered is told of its own organization's facts alone, of the tags it asked for,
    in order, as CloudEvents signed as Standard Webhooks verifies; two webhooks of two secrets.
    After a rotation both secrets verify, and a deleted webhook hears nothing; nor does an address
    that a superuser put in the place of the one that the log binds.
    """

    async def scene(everything: Receiver, some: Receiver) -> None:
        async with stage_of(database, nats_url, tmp_path) as stage:
            org, other = await organization(stage), await organization(stage)
            await department(stage, org)
            first = await hooked(stage, org, everything.url)
            second = await hooked(stage, org, some.url, ("gpuaas.department.*",))
            async with delivering(stage):
                mine = [await department(stage, org) for _ in range(3)]
                await department(stage, other)
                await until(lambda: mine[-1] in some.positions(), "told")
                assert some.positions() == mine
                await until(lambda: mine[-1] + 1 in everything.positions(), "told")
                # Beside each act stands what let whoever did it.
                beside, last = first["position"], second["position"]
                acts = [at + more for at in (last - 1, *mine) for more in (0, 1)]
                assert everything.positions() == [beside, *acts]
                _verified(everything.heard, first["secret"], second["secret"])
                _verified(some.heard, second["secret"], first["secret"])
                rotated = await stage.post(f"/v1/webhooks/{first['id']}/rotate-secret")
                assert rotated.status_code == 200, rotated.text
                await stage.views()
                await until(lambda: len(everything.heard) == 11, "the rotation is told")
            # What was begun by a webhook's words of before is over with each of these blocks.
            async with delivering(stage):
                mine.append(await department(stage, org))
                await until(lambda: mine[-1] in everything.positions(), "told")
                [last] = [one for one in everything.heard if one.position == mine[-1]]
                for secret in (first["secret"], rotated.json()["secret"]):
                    assert Webhook(secret).verify(last.body, last.headers)["id"] == str(mine[-1])
            gone = await stage.post(f"/v1/webhooks/{first['id']}/delete")
            assert gone.status_code == 200, gone.text
            await stage.views()
            async with delivering(stage):
                mine.append(await department(stage, org))
                await until(lambda: mine[-1] in some.positions(), "told")
                assert mine[-1] not in everything.positions()
                await _shown(stage, first["id"], second["id"], mine[-1])
            _changed(database, some.url, everything.url)
            async with delivering(stage):
                mine.append(await department(stage, org))
                assert (await stage.get(f"/v1/webhooks/{second['id']}")).json()["url"] is None
                third = await hooked(stage, org, some.url, ("gpuaas.department.*",))
                mine.append(await department(stage, org))
                await until(lambda: mine[-1] in some.positions(), "told")
                assert mine[-2] not in {*some.positions(), *everything.positions()}
                assert (await stage.get(f"/v1/webhooks/{third['id']}")).json()["url"] == some.url

    with receiving() as everything, receiving() as some:
        asyncio.run(scene(everything, some))


def _changed(database: Database, url: str, other: str) -> None:
    with psycopg.connect(database.superuser_url) as conn:
        done = conn.execute(
            "UPDATE log.private_value SET words = %s WHERE words = %s", [other, url]
        )
        assert done.rowcount == 1


def _verified(heard: list[Heard], secret: str, foreign: str) -> None:
    for one in heard:
        event = Webhook(secret).verify(one.body, one.headers)
        assert verified(secret, one.headers, one.body).id == event["id"]
        assert (event["specversion"], event["type"]) == ("1.0", one.event["type"])
        assert one.headers["content-type"] == "application/cloudevents+json"
        with pytest.raises(WebhookVerificationError):
            Webhook(foreign).verify(one.body, one.headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(one.body + b" ", one.headers)


async def _shown(stage: Stage, gone: str, standing: str, last: int) -> None:
    shown = [(await stage.get(f"/v1/webhooks/{name}")).json() for name in (gone, standing)]
    assert [one["state"] for one in shown] == ["deleted", "standing"]
    assert (shown[1]["waiting"], shown[1]["dead"], shown[1]["secret"]) == (0, 0, None)
    assert shown[1]["sent"] > last


def test_what_is_not_taken_is_tried_again_given_up_and_replayed(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A fact that one answer refuses does not hold up the next; tried three times, each after a longer
    wait (of a deployment: eight times in more than a day), it is a dead letter, said with the last
    answer. A replay sends it and all behind it once more, with the ids they had. One that answers 410
    is disabled by a fact, and gets nothing more until a replay is asked for. Five failures in a row,
    and nothing new is sent until one of those is given up.
    """
    assert list(deliverer.SCHEDULE_S) == sorted(deliverer.SCHEDULE_S)
    assert (len(deliverer.SCHEDULE_S), sum(deliverer.SCHEDULE_S) > 86_400) == (7, True)
    assert Options().schedule_s == deliverer.SCHEDULE_S

    async def scene(receiver: Receiver) -> None:
        async with stage_of(database, nats_url, tmp_path) as stage:
            org = await organization(stage)
            hook = await hooked(stage, org, receiver.url, ("gpuaas.department.*",))
            bad = await department(stage, org)
            good = await department(stage, org)
            receiver.answer = lambda heard: 500 if heard.position == bad else 200
            path = f"/v1/webhooks/{hook['id']}"
            async with delivering(stage):
                await until(lambda: receiver.positions().count(bad) == 3, "given up")
                assert receiver.positions().count(good) == 1
                tried = [one.at_s for one in receiver.heard if one.position == bad]
                waits = [later - at for at, later in pairwise(tried)]
                assert all(
                    wait >= least for wait, least in zip(waits, QUICK.schedule_s, strict=True)
                )
                await asyncio.sleep(0.3)
                letters = (await stage.get(f"{path}/dead-letters")).json()["items"]
                assert letters == [
                    {"position": bad, "attempts": 3, "status": 500, "detail": "answered 500"}
                ]
                receiver.answer = lambda _: 200
                again = await stage.post(f"{path}/replay", {"from_position": bad})
                assert again.status_code == 200, again.text
                await stage.views()
                await until(lambda: receiver.positions().count(good) == 2, "replayed")
                assert receiver.positions()[-2:] == [bad, good]
                ids = {one.headers["webhook-id"] for one in receiver.heard if one.position == bad}
                assert len(ids) == 1
                assert (await stage.get(f"{path}/dead-letters")).json()["items"] == []
                receiver.answer = lambda _: 410
                gone = await department(stage, org)
                await until(lambda: gone in receiver.positions(), "told")
                await asyncio.sleep(0.3)
                letters = (await stage.get(f"{path}/dead-letters")).json()["items"]
                assert [(one["position"], one["attempts"]) for one in letters] == [(gone, 1)]
                receiver.answer = lambda _: 200
                await _disabled(stage, org, receiver, path)
                await _held_back(stage, org, receiver, path)

    with receiving() as receiver:
        asyncio.run(scene(receiver))


def test_one_that_is_gone_while_its_owner_changes_it(
    database: Database, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its secret is rotated twice between the 410 that it answers and the fact of it: it is disabled
    all the same, and others are told on.
    """

    async def scene(receiver: Receiver, well: Receiver) -> None:
        async with stage_of(database, nats_url, tmp_path) as stage:
            org = await organization(stage)
            hook = await hooked(stage, org, receiver.url, ("gpuaas.department.*",))
            await hooked(stage, org, well.url, ("gpuaas.department.*",))
            path, log = f"/v1/webhooks/{hook['id']}", stage.services.log
            receiver.answer = lambda _: 410
            append, rotations = log.append, list[int]()

            async def beaten(asked: Append) -> Appended:
                fact = asked.writes[0].facts[0]
                if isinstance(fact, webhook.Disabled) and len(rotations) < 2:
                    rotations.append(0)
                    answer = await stage.post(f"{path}/rotate-secret")
                    assert answer.status_code == 200, answer.text
                return await append(asked)

            monkeypatch.setattr(log, "append", beaten)
            first = await department(stage, org)
            async with delivering(stage):
                await until(lambda: first in well.positions(), "told")
                await asyncio.sleep(0.5)
                last = await department(stage, org)
                await until(lambda: last in well.positions(), "told on")
            kinds = [type(one) for one in await _facts(stage, path)]
            assert kinds[-3:] == [webhook.SecretRotated] * 2 + [webhook.Disabled]
            assert receiver.positions() == [first]

    with receiving() as receiver, receiving() as well:
        asyncio.run(scene(receiver, well))


def test_a_webhook_is_changed_in_its_place(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """What waited for another try comes at the new URL at once, under its id and secret of before;
    what was given up stays so. Paused, it hears nothing; resumed, it goes on where it stood, by the
    tags it has by then; one that answered 410 as well, which disables nothing that has moved
    meanwhile. It is changed to no inner address, nor by
    who decided on what it was before.
    """

    async def scene(old: Receiver, new: Receiver) -> None:
        async with stage_of(database, nats_url, tmp_path) as stage:
            org = await organization(stage)
            hook = await hooked(stage, org, old.url, ("gpuaas.department.*",))
            path, before = f"/v1/webhooks/{hook['id']}", await stage.size() - 1
            old.answer = lambda _: 500
            async with delivering(stage, msgspec.structs.replace(QUICK, schedule_s=())):
                dead = await department(stage, org)
                await until(lambda: dead in old.positions(), "given up")
                await _counted(stage, path, "dead", 1)
            async with delivering(stage, msgspec.structs.replace(QUICK, schedule_s=(60,))):
                waits = await department(stage, org)
                await until(lambda: waits in old.positions(), "to be tried again")
                await _counted(stage, path, "waiting", 1)
                await _moved(stage, path, new.url)
                await until(lambda: new.heard, "tried at once")
            assert new.positions() == [waits]
            assert new.heard[0].headers["webhook-id"] == old.heard[-1].headers["webhook-id"]
            Webhook(hook["secret"]).verify(new.heard[0].body, new.heard[0].headers)
            letters = (await stage.get(f"{path}/dead-letters")).json()["items"]
            assert [one["position"] for one in letters] == [dead]
            await _held(stage, org, path, old, new)
            await _resumed_after_410(stage, path, new)
            await _moved_while_it_answers(stage, path, old, new)
            then = (await stage.get(f"{path}?as_of={before}")).json()
            assert (then["url"], then["version"], then["state"]) == (old.url, 1, "standing")
            assert (await stage.post(f"{path}/delete")).status_code == 200
            late = await stage.post(f"{path}/change", {"tags": []})
            assert (late.status_code, late.json()["code"]) == (409, "webhook.deleted")

    with receiving() as old, receiving() as new:
        asyncio.run(scene(old, new))


async def _moved(stage: Stage, path: str, url: str) -> None:
    size = await stage.size()
    refused = await stage.post(f"{path}/change", {"url": "https://10.0.0.1/"})
    assert (refused.status_code, refused.json()["code"]) == (400, "webhook.not_public")
    assert refused.json()["errors"][0]["pointer"] == "/url"
    assert await stage.size() == size
    for _ in range(2):
        answer = await stage.post(f"{path}/change", {"url": url})
        assert (answer.status_code, answer.json()["version"]) == (200, 2)
    stale = await stage.post(f"{path}/change", {"tags": []}, If_Match='"1"')
    assert stale.status_code == 412
    await stage.views()
    shown = await stage.get(path)
    assert (shown.json()["url"], shown.headers["etag"]) == (url, '"2"')


async def _held(stage: Stage, org: str, path: str, old: Receiver, new: Receiver) -> None:
    """Another webhook hears meanwhile what it would have heard; what waits and is wanted no more when
    it goes on is dropped.
    """
    new.answer = lambda _: 500
    async with delivering(stage, msgspec.structs.replace(QUICK, schedule_s=(60,))):
        waits = await department(stage, org)
        await until(lambda: waits in new.positions(), "to be tried again")
        await _counted(stage, path, "waiting", 1)
    old.answer = new.answer = lambda _: 200
    told, mark = len(new.heard), await stage.size() - 1
    await hooked(stage, org, old.url, ("gpuaas.department.*",))
    assert (await stage.post(f"{path}/pause")).status_code == 200
    await stage.views()
    paused = (await stage.get(f"/v1/webhooks?organization={org}&state=paused")).json()["items"]
    assert [f"/v1/webhooks/{one['id']}" for one in paused] == [path]
    async with delivering(stage):
        meanwhile = await department(stage, org)
        await until(lambda: meanwhile in old.positions(), "others are told")
    assert len(new.heard) == told
    for verb, body in (("change", {"tags": ["gpuaas.webhook.*"]}), ("resume", None)):
        assert (await stage.post(f"{path}/{verb}", body)).status_code == 200
    await stage.views()
    async with delivering(stage):
        await until(lambda: len(_kinds(new, mark)) == 4, "from its place")
        await _counted(stage, path, "sent", await stage.size())
    assert _kinds(new, mark) == ["registered", "paused", "changed", "resumed"]
    assert new.positions().count(waits) == 1
    await _counted(stage, path, "waiting", 0)


def _kinds(receiver: Receiver, mark: int) -> list[str]:
    """Of what it heard behind that position; what was repeated once."""
    heard = {one.position: one.event["type"].split(".")[2] for one in list(receiver.heard)}
    return [heard[position] for position in sorted(heard) if position > mark]


async def _counted(stage: Stage, path: str, name: str, number: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while (await stage.get(path)).json()[name] != number:
        assert time.monotonic() < deadline, name
        await asyncio.sleep(0.02)


async def _resumed_after_410(stage: Stage, path: str, new: Receiver) -> None:
    new.answer, mark = (lambda _: 410), await stage.size() - 1
    async with delivering(stage):
        await stage.post(f"{path}/rotate-secret")
        await until(lambda: _kinds(new, mark), "told")
        await asyncio.sleep(0.2)
        await stage.views()
        assert (await stage.get(path)).json()["state"] == "disabled"
        new.answer = lambda _: 200
        assert (await stage.post(f"{path}/resume")).status_code == 200
        await stage.views()
        await until(lambda: len(_kinds(new, mark)) == 3, "and what came after it")
        await _counted(stage, path, "sent", await stage.size())
    assert _kinds(new, mark) == ["secret_rotated", "disabled", "resumed"]
    assert (await stage.get(path)).json()["state"] == "standing"


async def _moved_while_it_answers(stage: Stage, path: str, old: Receiver, new: Receiver) -> None:
    def slowly_gone(_: Heard) -> int:
        time.sleep(0.3)
        return 410

    new.answer, mark = slowly_gone, await stage.size() - 1
    async with delivering(stage, msgspec.structs.replace(QUICK, schedule_s=(60,))):
        await stage.post(f"{path}/rotate-secret")
        await until(lambda: _kinds(new, mark), "it has the fact")
        await stage.post(f"{path}/change", {"url": old.url})
        await stage.views()
        await until(lambda: len(_kinds(old, mark)) == 2, "that fact and the next")
    assert _kinds(old, mark) == ["secret_rotated", "changed"]
    assert (await stage.get(path)).json()["state"] == "standing"


async def _disabled(stage: Stage, org: str, receiver: Receiver, path: str) -> None:
    """Whatever the views know; a deliverer that begins anew knows it from the log."""
    before = len(receiver.heard)
    well = await department(stage, org)
    await asyncio.sleep(0.3)
    [fact] = [one for one in await _facts(stage, path) if isinstance(one, webhook.Disabled)]
    assert fact.reason == "answered.410"
    await stage.views()
    assert (await stage.get(path)).json()["state"] == "disabled"
    await asyncio.sleep(0.3)
    assert len(receiver.heard) == before
    again = await stage.post(f"{path}/replay", {"from_position": well})
    assert again.status_code == 200, again.text
    await stage.views()
    await until(lambda: well in receiver.positions(), "told again")
    assert (await stage.get(path)).json()["state"] == "standing"


async def _facts(stage: Stage, path: str) -> list[Any]:
    return [one.fact for one in await stage.services.log.read_stream(path.rpartition("/")[2])]


async def _held_back(stage: Stage, org: str, receiver: Receiver, path: str) -> None:
    before = len(receiver.heard)
    receiver.answer = lambda _: 503
    receiver.more = {"Retry-After": "3600"}
    many = [await department(stage, org) for _ in range(8)]
    await until(lambda: len(receiver.heard) == before + 5, "five failed")
    await asyncio.sleep(0.5)
    assert receiver.positions()[before:] == many[:5]
    shown = (await stage.get(path)).json()
    assert (shown["waiting"], shown["dead"]) == (5, 1)
    receiver.answer, receiver.more = (lambda _: 200), {}
    await stage.post(f"{path}/replay", {"from_position": many[0]})
    await stage.views()
    await until(lambda: len(receiver.heard) == before + 13, "all of them")
    assert receiver.positions()[-8:] == many


def slowly(_: Heard) -> int:
    time.sleep(0.1)
    return 200


@contextlib.contextmanager
def workers(stage: Stage, number: int, data: Path) -> Iterator[None]:
    """Worker processes as a deployment has them; kill -9 ends them."""
    settings, started = stage.services.settings, []
    with (data / "workers.log").open("ab") as out:
        for _ in range(number):
            argv = [sys.executable, "-m", "api.cli", "worker"]
            env = settings.environment()
            started.append(subprocess.Popen(argv, env=env, stdout=out, stderr=out))
    try:
        yield
    finally:
        for child in started:
            child.kill()
            child.wait()


def test_killed_workers_lose_nothing(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Of two workers one sends. Both killed with kill -9 while it does, another goes on: each fact
    arrives, in order but for a repeat of the one under way.
    """

    async def scene(receiver: Receiver) -> None:
        async with stage_of(database, nats_url, tmp_path) as stage:
            org = await organization(stage)
            await hooked(stage, org, receiver.url, ("gpuaas.department.*",))
            facts = [await department(stage, org) for _ in range(12)]
            receiver.answer = slowly
            with workers(stage, 2, tmp_path):
                await until(lambda: len(receiver.heard) >= 3, "some are sent")
            assert len(receiver.heard) < len(facts)
            with workers(stage, 1, tmp_path):
                await until(lambda: facts[-1] in receiver.positions(), "the rest")
            found = receiver.positions()
            assert sorted(set(found)) == facts
            assert found == sorted(found)
            assert len(found) <= len(facts) + 1, "a kill repeats at most the one under way"

    with receiving() as receiver:
        asyncio.run(scene(receiver))


def test_a_webhook_that_leads_inside_is_refused_and_nothing_stored(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """At its registration as at each send; a repeat of one that was made shows no secret, another
    organization does not see it, the log holds neither URL nor secret; the 21st is refused.
    """

    async def scene() -> None:
        async with staged(database, nats_url, tmp_path) as stage:
            org = await organization(stage)
            size = await stage.size()
            for url, why in (
                ("https://127.0.0.1/", "not_public"),
                ("https://169.254.169.254/latest", "not_public"),
                ("http://1.1.1.1/", "not_https"),
                ("https://[::ffff:10.0.0.1]/", "not_public"),
                ("https://localhost/", "unresolved"),
            ):
                refused = await stage.post("/v1/webhooks", {"organization": org, "url": url})
                said = refused.json()
                assert (refused.status_code, said["code"]) == (400, f"webhook.{why}")
                assert said["errors"][0]["pointer"] == "/url"
            assert await stage.size() == size
            key, body = uuid.uuid4().hex, {"organization": org, "url": "https://1.1.1.1/a"}
            made = [(await stage.post("/v1/webhooks", body, key=key)).json() for _ in range(2)]
            assert [one["secret_already_shown"] for one in made] == [False, True]
            assert (made[0]["id"], made[1]["secret"]) == (made[1]["id"], None)
            await stage.views()
            foreign = stage.token("admin", await organization(stage))
            for path in ("", "/dead-letters"):
                hidden = await stage.get(f"/v1/webhooks/{made[0]['id']}{path}", token=foreign)
                assert hidden.status_code == 404
            many = [await stage.post("/v1/webhooks", body) for _ in range(19)]
            assert {one.status_code for one in many} == {201}
            await stage.views()
            refused = await stage.post("/v1/webhooks", body)
            assert (refused.status_code, refused.json()["code"]) == (409, "webhook.too_many")
            raw = [bytes(one[1]) for one in await _entries(stage)]
            secret = made[0]["secret"].encode()
            assert not any(secret in one or b"1.1.1.1" in one for one in raw)

    asyncio.run(scene())


async def _entries(stage: Stage) -> list[Any]:
    from evidence.reader import read_entries

    return await stage.services.reads.ask(read_entries, 0, 100)


def test_slow_receivers_of_one_tenant_hold_up_nobody_else(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """More slow webhooks of one organization than there are slots: another's facts arrive as if they
    were alone; and a webhook that has long work gives its slot up to those that wait.
    """
    few = msgspec.structs.replace(QUICK, at_once=3, of_one=2, turn_s=0.2)

    async def scene(slow: Receiver, quick: Receiver, other: Receiver) -> None:
        async with stage_of(database, nats_url, tmp_path) as stage:
            greedy, modest = await organization(stage), await organization(stage)
            tags = ("gpuaas.department.*",)
            for _ in range(6):
                await hooked(stage, greedy, slow.url, tags)
            await hooked(stage, greedy, other.url, tags)
            await hooked(stage, modest, quick.url, tags)
            slow.answer = slowly
            many = [await department(stage, greedy) for _ in range(8)]
            async with delivering(stage, few):
                await until(lambda: slow.heard, "the slow ones are at work")
                began = time.monotonic()
                mine = await department(stage, modest)
                await until(lambda: mine in quick.positions(), "told beside them")
                assert time.monotonic() - began < 1.0
                assert len(slow.heard) < 6 * len(many), "they are still at work"
                await until(lambda: many[-1] in other.positions(), "its own turn comes")
                assert len(slow.heard) < 6 * len(many), "before they are done"

    with receiving() as slow, receiving() as quick, receiving() as other:
        asyncio.run(scene(slow, quick, other))


def test_the_limit_of_webhooks_holds_against_many_at_once(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Of thirty registered at once by two processes twenty stand, whatever the views know; one that
    is deleted makes room for one.
    """

    async def scene() -> None:
        async with (
            staged(database, nats_url, tmp_path / "a") as one,
            staged(database, nats_url, tmp_path / "b", elect=False) as two,
        ):
            org = await organization(one)
            body = {"organization": org, "url": "https://1.1.1.1/a"}
            asked = (stage.post("/v1/webhooks", body) for _ in range(15) for stage in (one, two))
            answers = await asyncio.gather(*asked)
            codes = sorted(one.status_code for one in answers)
            assert codes == [201] * 20 + [409] * 10, [one.text for one in answers]
            gone = next(one.json()["id"] for one in answers if one.status_code == 201)
            assert (await one.post(f"/v1/webhooks/{gone}/delete")).status_code == 200
            more = await asyncio.gather(*(one.post("/v1/webhooks", body) for _ in range(3)))
            assert sorted(one.status_code for one in more) == [201, 409, 409]

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    asyncio.run(scene())


def test_schemas_of_facts_are_served_to_anybody(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """What an event's `dataschema` names is the committed schema, and what it says is valid by it."""

    async def scene(receiver: Receiver) -> None:
        async with stage_of(database, nats_url, tmp_path) as stage:
            org = await organization(stage)
            await hooked(stage, org, receiver.url)
            async with delivering(stage):
                await department(stage, org)
                await until(lambda: len(receiver.heard) == 3, "told, with what let it")
            event = receiver.heard[-1].event
            path = "/v1/schemas/" + event["dataschema"].removeprefix("urn:gpuaas:fact:")
            answer = await stage.client.get(path)
            assert answer.headers["content-type"] == "application/schema+json"
            assert answer.json() == json.loads((SCHEMAS / f"{event['type']}.json").read_text())
            assert answer.json()["$id"] == event["dataschema"]
            jsonschema.validate(event["data"], answer.json())
            missing = await stage.client.get("/v1/schemas/gpuaas.no.such.v1")
            assert (missing.status_code, missing.json()["code"]) == (404, "resource.unknown")
            listed = [one["tag"] for one in (await _all(stage, "/v1/schemas?limit=100"))]
            assert listed == sorted(TAGS)

    with receiving() as receiver:
        asyncio.run(scene(receiver))


async def _all(stage: Stage, path: str) -> list[Any]:
    found: list[Any] = []
    cursor = ""
    while True:
        page = (await stage.client.get(path + cursor)).json()
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"
