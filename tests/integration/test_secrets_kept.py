"""Secrets that people send and are given stand in no log, no refusal, and hashed in the database."""

import asyncio
import base64
import contextlib
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import msgspec
import pytest

from api.authorization.sessions import PREFIX as SESSION
from api.embedded.children import free_port
from api.embedded.nats import Nats
from api.embedded.postgres import Postgres
from contracts import apps
from domain.api_key import PREFIX as KEY
from tests import raw_http, stored
from tests.acting_asker import SECRET, Asker
from tests.acting_calls import CALLS
from tests.acting_world import World, prepared
from tests.api_stage import staged
from tests.conftest import Database
from tests.integration.served import Served, served
from tests.issuer_stage import issuer
from tests.raw_http import head
from tests.routes import ROUTES, Named, body_schema, is_public, missing, places, put
from tests.ssh_world import wait_for_port
from tests.webhook_receiver import Receiver, receiving

pytestmark = pytest.mark.slow

INSIDE: Final = "127.0.0.0/8"
# How tokens begin: a key, a session, a pass, a signed token; and one that is nothing of ours.
KINDS: Final = (KEY, SESSION, apps.TOKEN_PREFIX, "eyJhbGciOiJFZERTQSJ9.", "")
# A webhook's secret signs what is sent there, and its address is called: both are kept as they are.
SIGNING: Final = ("log.private_value", "views.webhook_secret")


def canary(kind: str = "") -> str:
    return f"{kind}canary{secrets.token_hex(20)}"


class Birds:
    """Every secret that was sent or given, and what was refused."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        self.signing: set[str] = set()
        self.refused: list[str] = []

    def new(self, kind: str = "") -> str:
        one = canary(kind)
        self.sent.add(one)
        return one

    def told(self, answer: httpx.Response) -> None:
        """What the answer gives and was not asked with is secret; what is refused is kept."""
        if answer.status_code >= 400:
            self.refused.append(answer.text)
            return
        body = answer.json() if answer.headers["content-type"] == "application/json" else {}
        asked = answer.request.content.decode()
        for name in SECRET & body.keys():
            every = body[name] if isinstance(body[name], list) else [body[name] or asked]
            for one in every:
                kept = self.signing if one.startswith("whsec_") else self.sent
                kept |= {one.rpartition("ticket=")[2]} if one not in asked else set()


@contextlib.contextmanager
def deployed(api: Served, folder: Path) -> Iterator[tuple[dict[str, Path], int]]:
    """A worker and a gateway beside the API: their logs, and the port of apps."""
    port = free_port()
    settings = msgspec.structs.replace(
        api.settings, apps_port=port, gateway_port=free_port(), gateway_name="gateway-a",
        gateway_networks="127.0.0.1/32",
    )  # fmt: skip
    logs, started = {"api": api.log}, []
    for verb in ("worker", "gateway"):
        logs[verb] = folder / f"{verb}.log"
        with logs[verb].open("wb") as out:
            argv = [sys.executable, "-m", "api.cli", verb]
            env = settings.environment()
            started.append(subprocess.Popen(argv, env=env, stdout=out, stderr=out))
    try:
        wait_for_port(port, started[1])
        yield logs, port
    finally:
        for child in started:
            child.kill()
            child.wait()


def test_no_secret_stands_where_it_could_be_read(
    database: Database, nats_url: str, pg: Postgres, nats_server: Nats, tmp_path: Path
) -> None:
    """Every act of the document done, every route asked with false tokens of each kind, false proofs
    in what needs no token, false tickets and passes at the gateway, a webhook that answers 500: of
    all that was secret nothing is in a line of any process, in a refusal, or in the database.
    """
    birds = Birds()
    with issuer() as trusted, receiving() as receiver:
        receiver.answer = lambda _: 500
        world = World(trusted.url)
        asyncio.run(prepared(database, world.taxed))
        with (
            served(database, nats_url, tmp_path, webhook_networks=INSIDE) as api,
            deployed(api, tmp_path) as (logs, port),
        ):

            async def run() -> None:
                async with (
                    staged(database, nats_url, tmp_path, elect=False) as stage,
                    httpx.AsyncClient(base_url=api.url, timeout=60) as client,
                ):
                    await world.furnish(stage, database)
                    await _called(world, client, receiver, birds)
                    await _acted(world, client, birds)
                    await _falsely(client, birds)
                    await _unproven(client, birds)
                    await asyncio.to_thread(_at_the_doors, api, port, birds)
                    await _heard(receiver)

            asyncio.run(run())
            logs |= {"postgres": pg.log, "nats": nats_server.log}
            told = {name: path.read_text(errors="replace") for name, path in logs.items()}
    assert len(birds.sent) > 500
    assert len(birds.refused) > 500
    assert re.search("auth.invalid: [A-Z]+ /v1/.* from 127.0.0.1 by nobody", told["api"])
    _nowhere(birds, told | {"refusals": "\n".join(birds.refused)}, stored.text(database))


async def _called(
    world: World, client: httpx.AsyncClient, receiver: Receiver, birds: Birds
) -> None:
    """A webhook, whose address is a secret too, of the organization that all else is done in."""
    hidden = canary()
    birds.signing.add(hidden)
    body = {"organization": world.org, "url": f"{receiver.url}/{hidden}"}
    headers = {"Authorization": f"Bearer {world.stage.operator}", "Idempotency-Key": "a"}
    answer = await client.post("/v1/webhooks", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    birds.told(answer)


async def _acted(world: World, client: httpx.AsyncClient, birds: Birds) -> None:
    """Each act of the document, and once more with its key; then by a key that is none."""
    birds.sent.add(world.stage.operator)
    for recipe in CALLS.values():
        asker = Asker(await recipe(world))
        birds.sent |= {asker.call.token} - {""}
        for _ in range(2):
            birds.told(await asker.send(client, world.stage.operator, "once"))
        false = msgspec.structs.replace(asker.call, token=birds.new(KEY))
        birds.told(await Asker(false).send(client, "", "again"))


async def _falsely(client: httpx.AsyncClient, birds: Birds) -> None:
    nobody = Named({})
    for number, (path, method, operation) in enumerate(ROUTES):
        basic = base64.b64encode(f"user:{canary()}".encode()).decode()
        birds.sent.add(basic)
        schema = body_schema(operation) if method == "post" else None
        body = None if schema is None else nobody.body(schema)
        for authorization in (f"Bearer {birds.new(KINDS[number % len(KINDS)])}", f"Basic {basic}"):
            headers = {
                "Authorization": authorization, "Cookie": f"session={birds.new()}",
                "Idempotency-Key": "a", "X-Api-Key": birds.new(),
            }  # fmt: skip
            where = nobody.path(path, operation)
            where += ("&" if "?" in where else "?") + f"access_token={birds.new()}"
            answer = await client.request(method.upper(), where, json=body, headers=headers)
            assert is_public(operation) or answer.status_code == 401, (path, answer.text)
            if answer.status_code >= 400:
                birds.told(answer)


async def _unproven(client: httpx.AsyncClient, birds: Birds) -> None:
    """In each text of each body that is sent without a token of ours."""
    for path, method, operation in ROUTES:
        if method == "get" or not is_public(operation):
            continue
        schema = body_schema(operation)
        headers = {"Stripe-Signature": f"t=1,v1={birds.new()}"}
        for at in [("token",)] if schema is None else places(schema, "string"):
            body = put({} if schema is None else Named({}).body(schema), at, birds.new())
            birds.told(await client.post(path, json=body, headers=headers))


def _at_the_doors(api: Served, port: int, birds: Birds) -> None:
    """Terminals' tickets, and passes, tickets and cookies of apps."""
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
               "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")  # fmt: skip
    for name in ("access-1", missing("access")):
        line = f"GET /v1/terminals/{name}?ticket={birds.new()} HTTP/1.1"
        assert raw_http.ask(api.settings.http_port, head(line, *upgrade)).status == 403
    enter = f"GET {apps.ENTER}?grant=access-1&ticket={birds.new()} HTTP/1.1"
    for first, field in (
        ("GET / HTTP/1.1", f"Authorization: Bearer {birds.new(apps.TOKEN_PREFIX)}"),
        ("GET / HTTP/1.1", f"Cookie: gpuaas-app={birds.new()}"),
        (enter, "X: a"),
        (f"GET /?token={birds.new()} HTTP/9.9", "X: a"),
        (f"GET /{birds.new()} HTTP/1.1", "Content-Length: x"),
    ):
        answer = raw_http.ask(port, head(first, field))
        assert 400 <= answer.status < 500, answer
        birds.refused.append(answer.body.decode())


async def _heard(receiver: Receiver) -> None:
    deadline = time.monotonic() + 30
    while not receiver.heard:
        assert time.monotonic() < deadline, "the worker calls nobody"
        await asyncio.sleep(0.05)


def _nowhere(birds: Birds, told: dict[str, str], tables: dict[str, str]) -> None:
    """Except that what signs webhooks is kept to sign, in two tables."""
    secret = birds.sent | birds.signing
    for where, text in told.items():
        assert not [one for one in secret if one in text], where
    assert "Verkauf AG" in tables["log.private_value"], "what is kept as it is would be found"
    for where, text in tables.items():
        assert not [one for one in birds.sent if one in text], where
        assert where in SIGNING or not [one for one in birds.signing if one in text], where
