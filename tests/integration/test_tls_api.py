"""The API over TLS as it runs: who is let in, who is believed, and by whom."""

import asyncio
import secrets
import shutil
import socket
import ssl
import time
from pathlib import Path

import httpx
import psycopg
import pytest
import websockets
from cryptography import x509

from agent import certificate, identity
from agent.config import Config
from api import node_verbs
from api.embedded.nats import Nats
from api.fleet.node_ca import written
from api.tls import Pair, believing
from api.tokens import developer_token
from contracts.signing import FleetError
from domain.errors import DomainError
from evidence.reader import read_stream
from tests.agent_world import AgentProgram
from tests.conftest import Database
from tests.integration.served import Served, served

pytestmark = pytest.mark.slow


def test_everybody_who_calls_the_api_verifies_it(
    database: Database, nats_server: Nats, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`gpuaas node`, an agent's enrolment and its renewal, a browser's socket: by the CA or not."""
    shutil.copyfile(nats_server.account_file, tmp_path / "nats-account.key")
    made = written(tmp_path, ("127.0.0.1",), tmp_path / "tls")
    foreign = written(_folder(tmp_path / "foreign"), ("127.0.0.1",), tmp_path / "foreign")[2]
    pair, ca = Pair(*made[:2]), made[2]
    with served(database, nats_server.url(), tmp_path, pair, ca) as api:
        assert api.url.startswith("https://")
        _commands(api, ca, foreign, capsys)
        node, state = _enrolled(api, nats_server, tmp_path)
        _renewed(api, state, node, foreign)
        asyncio.run(_socket(api, ca, foreign))
        with pytest.raises(httpx.TransportError):
            httpx.get(api.url.replace("https", "http"))
        assert _version(api, ca) == "TLSv1.3"


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _commands(api: Served, ca: Path, foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = {"GPUAAS_URL": api.url, "GPUAAS_TOKEN": developer_token(api.settings)}
    assert node_verbs.listed({**env, "GPUAAS_CA": str(ca)}) == 0
    assert capsys.readouterr().out.startswith("NODE")
    for wrong in ({"GPUAAS_CA": str(foreign)}, {}):
        with pytest.raises(DomainError, match=r"api\.impostor"):
            node_verbs.listed({**env, **wrong})
    named = api.url.replace("127.0.0.1", "localhost")
    with pytest.raises(DomainError, match=r"api\.impostor"):
        node_verbs.listed({**env, "GPUAAS_CA": str(ca), "GPUAAS_URL": named})


def _enrolled(api: Served, server: Nats, folder: Path) -> tuple[str, Path]:
    """A real agent that was given a token and no CA: the token's hash pins it."""
    headers = {
        "Authorization": f"Bearer {developer_token(api.settings)}",
        "Idempotency-Key": secrets.token_hex(8),
    }
    body = {"name": "n", "model": "T4"}
    tls = believing(api.settings.ca)
    invited = httpx.post(f"{api.url}/v1/nodes", json=body, headers=headers, verify=tls).json()
    state = folder / "agent"
    nats = ("--nats", server.node_url())
    agent = AgentProgram(state, "--api", api.url, *nats, token=invited["token"])
    agent.start()
    deadline = time.monotonic() + 60
    while "gpuaas.node.anchored.v1" not in _tags(api, invited["id"]):
        assert time.monotonic() < deadline, api.said()
        time.sleep(0.05)
    assert agent.end() == (0, "")
    return invited["id"], state


def _tags(api: Served, node: str) -> list[str]:
    with psycopg.connect(api.settings.database_url) as conn:
        return [one.tag for one in read_stream(conn, node)]


def _renewed(api: Served, state: Path, node: str, foreign: Path) -> None:
    """By the CA that enrolment gave; a CA that is named counts alone."""
    before = identity.certificate(state)
    with pytest.raises(FleetError, match=r"enrol\.impostor"):
        certificate.renew(Config(state=state, ca_file=foreign), node)
    assert identity.certificate(state) == before
    certificate.renew(Config(state=state), node)
    after = x509.load_pem_x509_certificate(identity.certificate(state).encode())
    assert identity.certificate(state) != before
    assert node in after.subject.rfc4514_string()


async def _socket(api: Served, ca: Path, foreign: Path) -> None:
    """A terminal's WebSocket goes over the same TLS: an unknown session is refused by the API."""
    url = f"{api.url.replace('https', 'wss')}/v1/terminals/access-1?ticket=x"
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(url, ssl=believing(ca)).__aenter__()
    with pytest.raises(ssl.SSLCertVerificationError):
        await websockets.connect(url, ssl=believing(foreign)).__aenter__()


def _version(api: Served, ca: Path) -> str | None:
    context = believing(ca)
    with (
        socket.create_connection(("127.0.0.1", api.settings.http_port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as line,
    ):
        return line.version()
