"""The API over TLS as it runs: who is let in, who is believed, and by whom."""

import asyncio
import datetime as dt
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
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from agent import certificate, identity
from agent.config import Config
from api.embedded.nats import Nats
from api.fleet.node_ca import node_ca, server_certificate, written
from api.status import status
from api.tls import Pair, believing
from api.tokens import developer_token
from contracts.signing import FleetError
from evidence.reader import read_stream
from gpuaas_client import exits
from tests.agent_world import AgentProgram
from tests.commands import gpuaas
from tests.conftest import Database
from tests.integration.served import Served, served

pytestmark = pytest.mark.slow


def test_everybody_who_calls_the_api_verifies_it(
    database: Database, nats_server: Nats, tmp_path: Path
) -> None:
    """`gpuaas node`, an agent's enrolment and its renewal, a browser's socket: by the CA or not."""
    shutil.copyfile(nats_server.account_file, tmp_path / "nats-account.key")
    made = written(tmp_path, ("127.0.0.1",), tmp_path / "tls")
    foreign = written(_folder(tmp_path / "foreign"), ("127.0.0.1",), tmp_path / "foreign")[2]
    pair, ca = Pair(*made[:2]), made[2]
    with served(database, nats_server.url(), tmp_path, pair, ca) as api:
        assert api.url.startswith("https://")
        _commands(api, ca, foreign)
        node, state = _enrolled(api, nats_server, tmp_path)
        _renewed(api, state, node, foreign)
        asyncio.run(_socket(api, ca, foreign))
        with pytest.raises(httpx.TransportError):
            httpx.get(api.url.replace("https", "http"))
        assert _version(api, ca) == "TLSv1.3"


def test_a_renewed_pair_is_served_without_a_restart(
    database: Database, nats_server: Nats, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who comes is shown the new one, who is there stays; a wrong pair changes nothing and is said.

    Readiness names what ends within 30 days by its date, and is red for what has ended.
    """
    shutil.copyfile(nats_server.account_file, tmp_path / "nats-account.key")
    tls = tmp_path / "tls"
    made = written(tmp_path, ("127.0.0.1",), tls)
    pair, ca = Pair(*made[:2]), made[2]
    with served(database, nats_server.url(), tmp_path, pair, ca) as api:
        client = httpx.Client(verify=believing(ca), timeout=30)
        headers = {"Authorization": f"Bearer {developer_token(api.settings)}"}
        with client.stream("GET", f"{api.url}/v1/events?follow=true", headers=headers) as stays:
            heard = stays.iter_raw()
            next(heard)
            first = _shown(api)
            kept = pair.key.read_bytes()
            pair.key.write_bytes(b"no key")
            _until(api, "warnings", "certificate.api: tls.not_renewed: tls.unreadable")
            assert _shown(api) == first
            pair.key.write_bytes(kept)
            fresh = x509.load_pem_x509_certificate(_ending(tmp_path, pair, days=20))
            _until(api, "warnings", f"certificate.api: tls.ends_soon: ends {_day(fresh)}")
            assert {_shown(api) for _ in range(20)} == {fresh.public_bytes(Encoding.DER)}
            assert httpx.get(f"{api.url}/v1/health", verify=believing(ca)).status_code == 200
            body = {"name": "o"}
            more = headers | {"Idempotency-Key": "k"}
            made_now = httpx.post(
                f"{api.url}/v1/organizations", json=body, headers=more, verify=believing(ca)
            )
            assert made_now.status_code == 201, made_now.text
            told = b""
            while made_now.json()["id"].encode() not in told:
                told += next(heard)  # the stream of before the renewal goes on
        _ended(tmp_path / "node-ca.pem")
        _until(api, "reasons", "certificate.node-ca: tls.expired: ended 20")
        env = {"GPUAAS_URL": api.url, "GPUAAS_TOKEN": "-", "GPUAAS_CA": str(ca)}
        assert status(env) == 1
        said = capsys.readouterr().out
        assert "reason   certificate.node-ca: tls.expired" in said
        assert f"warning  certificate.api: tls.ends_soon: ends {_day(fresh)}" in said
        api.child.terminate()
        assert api.child.wait(20) == 0, api.said()
        assert "Traceback" not in api.log.read_text()


def _shown(api: Served) -> bytes:
    """The certificate (DER) that a new connection is shown."""
    where = ("127.0.0.1", api.settings.http_port)
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(where, timeout=20))


def _until(api: Served, kind: str, begins: str) -> None:
    deadline = time.monotonic() + 60
    tls = believing(api.settings.ca)
    while True:
        with httpx.Client(verify=tls, timeout=20) as client:
            found = client.get(f"{api.url}/v1/readiness").json()
        if any(one.startswith(begins) for one in found[kind]):
            return
        assert time.monotonic() < deadline, (found, api.said())
        time.sleep(0.2)


def _day(found: x509.Certificate) -> str:
    return f"{found.not_valid_after_utc:%F}"


def _ending(data: Path, pair: Pair, days: int) -> bytes:
    """Another pair of the node CA in the place of this one; its certificate (PEM)."""
    year_us = 365 * 86_400_000_000
    then_us = time.time_ns() // 1000 - year_us + days * 86_400_000_000
    certificate, key = server_certificate(node_ca(data / "node-ca.pem"), ("127.0.0.1",), then_us)
    pair.certificate.write_bytes(certificate)
    pair.key.write_bytes(key)
    return certificate


def _ended(path: Path) -> None:
    """Another CA lies there, whose certificate ended."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ended")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=9))
        .not_valid_after(now - dt.timedelta(days=1))
        .sign(key, None)
    )
    path.write_bytes(made.public_bytes(Encoding.PEM))


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _commands(api: Served, ca: Path, foreign: Path) -> None:
    env = {"GPUAAS_URL": api.url, "GPUAAS_TOKEN": developer_token(api.settings)}
    done = gpuaas("node", "list", env={**env, "GPUAAS_CA": str(ca)})
    assert done.status == exits.DONE
    assert done.out.startswith("NODE")
    named = api.url.replace("127.0.0.1", "localhost")
    for wrong in (
        {"GPUAAS_CA": str(foreign)},
        {},
        {"GPUAAS_CA": str(ca), "GPUAAS_URL": named},
    ):
        done = gpuaas("node", "list", env={**env, **wrong})
        assert done.status == exits.IMPOSTOR
        assert "api.impostor" in done.err


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
