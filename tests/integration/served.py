"""The API process as it runs, over real sockets, for the length of a block."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from api.config import Settings, apps_url
from api.tls import Pair, believing
from evidence.log import EventLog
from tests.api_stage import open_log, settings_for
from tests.conftest import Database


@dataclass
class Served:
    """`gpuaas serve` on an opened log; it answers."""

    url: str
    settings: Settings
    child: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Its last words."""
        return self.log.read_text()[-3000:]


@contextmanager
def served(
    database: Database,
    nats_url: str,
    folder: Path,
    tls: Pair | None = None,
    ca: Path | None = None,
    webhook_networks: str = "",
    issuer_ca: Path | None = None,
) -> Iterator[Served]:
    """Killed at the end, where the block has not ended it. `tls`: over HTTPS, as `ca` believes.
    `issuer_ca`: a deployment of its own, whose people sign in at issuers that show its certificates.
    """
    asyncio.run(_opened(database.app_url))
    port = _free_port()
    settings = msgspec.structs.replace(
        settings_for(database, nats_url, folder),
        http_port=port,
        tls=tls,
        ca=ca,
        webhook_networks=webhook_networks,
        issuer_ca=issuer_ca,
        embedded=issuer_ca is None,
        glass_age_s=0 if issuer_ca is None else 86_400,
        apps_url=apps_url("", 8472, secure=tls is not None),
    )
    env = settings.environment()
    log = folder / "serve.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "api.cli", "serve"],
            cwd=Path(__file__).parents[2], env=env, stdout=out, stderr=out,
        )  # fmt: skip
    made = Served(settings.api_url, settings, child, log)
    try:
        _wait(made)
        yield made
    finally:
        child.kill()
        child.wait()


async def _opened(url: str) -> None:
    log = await EventLog.open(url)
    if not (await log.head()).size:
        await open_log(log)
    await log.close()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait(api: Served) -> None:
    deadline = time.monotonic() + 60
    verify = True if api.settings.tls is None else believing(api.settings.ca)
    with httpx.Client(base_url=api.url, timeout=60, verify=verify) as client:
        while time.monotonic() < deadline and api.child.poll() is None:
            try:
                if client.get("/v1/health").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
    raise AssertionError(api.said())
