"""The API process as it runs: granian, admission, ingest; a port, a token, a clean stop."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from api.tokens import developer_token
from evidence.log import EventLog
from tests.api_stage import open_log, settings_for
from tests.conftest import Database

pytestmark = pytest.mark.slow


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def _opened(url: str) -> None:
    log = await EventLog.open(url)
    await open_log(log)
    await log.close()


def test_serves_and_stops(database: Database, nats_url: str, tmp_path: Path) -> None:
    """It answers once started, acts once per key over real sockets, and ends by SIGTERM with 0."""
    asyncio.run(_opened(database.app_url))
    settings = settings_for(database, nats_url, tmp_path)
    port = _free_port()
    env = {**settings.environment(), "GPUAAS_HTTP_PORT": str(port), "GPUAAS_EMBEDDED": "1"}
    root = Path(__file__).parents[2]
    out = (tmp_path / "serve.log").open("wb")
    child = subprocess.Popen(
        [sys.executable, "-m", "api.cli", "serve"], cwd=root, env=env, stdout=out, stderr=out
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            _wait(client, child, tmp_path)
            token = developer_token(settings)
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k-1"}
            answers = [
                client.post("/v1/organizations", json={"name": "Acme"}, headers=headers)
                for _ in range(3)
            ]
            assert [answer.status_code for answer in answers] == [201] * 3, answers[0].text
            assert len({answer.text for answer in answers}) == 1
            assert client.get("/v1/capacity", headers=headers).json()["models"] == []
        child.send_signal(signal.SIGTERM)
        assert child.wait(15) == 0, (tmp_path / "serve.log").read_text()[-3000:]
    finally:
        child.kill()
        child.wait()
        out.close()


def _wait(client: httpx.Client, child: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and child.poll() is None:
        try:
            if client.get("/v1/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError((folder / "serve.log").read_text()[-3000:])
