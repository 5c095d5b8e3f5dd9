"""Every act of the document, whose process was killed with the answer in its hand."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import httpx
import msgspec
import pytest

from api.config import Settings
from api.embedded.children import free_port
from tests.acting_asker import Asker, differs
from tests.acting_calls import CALLS, PROVED
from tests.acting_proofs import STRIPE_SECRETS, Proof
from tests.acting_stage import appends, viewing
from tests.acting_world import World, prepared
from tests.api_stage import staged
from tests.conftest import Database
from tests.held_api import TOLD
from tests.issuer_stage import issuer

ROOT: Final = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def test_an_act_whose_process_was_killed_before_it_answered_is_answered_by_the_next(
    database: Database, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process does every act of the document and is killed with -9 while it holds all their
    answers. The next one gives each of them to whoever asks again, and does nothing twice; what was
    proved it knows.
    """
    monkeypatch.setenv("GPUAAS_STRIPE_SECRETS", STRIPE_SECRETS)

    async def run() -> None:
        with issuer() as trusted:
            world = World(trusted.url, trusted)
            await prepared(database, world.taxed)
            async with staged(database, nats_url, tmp_path) as stage:
                await world.furnish(stage, database)
                askers = {route: Asker(await recipe(world)) for route, recipe in CALLS.items()}
                proofs = {route: await recipe(world) for route, recipe in PROVED.items()}
                await stage.views()
                size = await stage.size()
                port = free_port()
                settings = msgspec.structs.replace(stage.services.settings, http_port=port)
                operator = stage.operator
            with viewing(settings):
                held = await _held(settings, askers, proofs, operator)
            async with staged(database, nats_url, tmp_path) as fresh:
                refused = {route: one.text for route, one in held.items() if not one.is_success}
                assert not refused
                made = await appends(fresh, size)
                assert len(made) == len(held), "each act is one append"
                size = await fresh.size()
                broken = {}
                for route, asker in askers.items():
                    again = await asker.ask(fresh, "killed")
                    found = differs(held[route], again)
                    if found or held[route].status_code not in (200, 201):
                        broken[route] = found, held[route].text, again.text
                await fresh.views()
                for route, proof in proofs.items():
                    again = await proof.send(fresh.client)
                    found = proof.differs(held[route], again)
                    if found or not proof.acted(held[route]):
                        broken[route] = found, held[route].text, again.text
                assert not broken
                assert await fresh.size() == size

    asyncio.run(run())


@contextlib.contextmanager
def holding(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", "tests.held_api"]
    env = settings.environment()
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, cwd=ROOT) as child:
        try:
            yield child
        finally:
            child.kill()


async def _held(
    settings: Settings, askers: dict[str, Asker], proofs: dict[str, Proof], operator: str
) -> dict[str, httpx.Response]:
    """What each would have been answered; nobody was."""
    found, waiting = {}, []
    every = httpx.Limits(max_connections=None)
    with holding(settings) as child:
        assert child.stdout is not None
        async with httpx.AsyncClient(base_url=settings.api_url, timeout=60, limits=every) as client:
            await _up(client, child)
            # What is proved goes first: who judges it waits for the views.
            sending = {route: proof.send(client) for route, proof in proofs.items()}
            sending |= {
                route: one.send(client, operator, "killed") for route, one in askers.items()
            }
            for route, send in sending.items():
                waiting.append(asyncio.create_task(send))
                status, headers, body = await asyncio.to_thread(_told, child.stdout)
                found[route] = httpx.Response(status, headers=headers, json=body)
            child.kill()
            answers = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(one, httpx.TransportError) for one in answers), answers
    return found


def _told(output: IO[bytes]) -> Any:
    """Of the next answer."""
    for line in output:
        if line.startswith(TOLD.encode()):
            return json.loads(line.removeprefix(TOLD.encode()))
    raise AssertionError("it ended")


async def _up(client: httpx.AsyncClient, child: subprocess.Popen[bytes]) -> None:
    while child.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if (await client.get("/v1/health")).status_code == 200:
                return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not begin")
