"""Apps over TLS, by a gateway as it runs: handshakes are bounded, a certificate is renewed live."""

import asyncio
import json
import shutil
import signal
import ssl
import time
from pathlib import Path

import pytest
import websockets

from api.fleet.node_ca import written
from api.tls import Pair, believing
from tests.app_world import Wire, app, echo, get, given, host
from tests.conftest import Database
from tests.gateway_world import Gateway, World, play
from tests.machine import need

pytestmark = [pytest.mark.slow, pytest.mark.machine]


def test_apps_are_reached_over_tls_and_by_nothing_else(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """HTTP and WebSockets pass; plain HTTP, a foreign CA and a silent handshake get nowhere.

    SIGHUP shows a renewed certificate to whoever comes, keeps who is there, and keeps the old
    pair where the new one is wrong. A crowd that only knocks leaves room for others' addresses.
    """
    need("sshd", "ssh")
    names = ("*.apps.localhost",)
    tls = tmp_path / "tls"
    made = written(_folder(tmp_path / "ca"), names, tls)

    async def scene(world: World) -> None:
        gateway = Gateway(world.stage, world.folder, "gateway-t", Pair(*made[:2]))
        try:
            await gateway.ready()
            await passing(world, gateway, made[2])
            await renewed(world, gateway, tls, names)
            await knocking(world, gateway, made[2])
        finally:
            assert gateway.end() == 0, gateway.log.read_text()
        assert "Traceback" not in gateway.log.read_text()

    play(database, nats_url, tmp_path, scene)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


async def line_to(gateway: Gateway, name: str, tls: ssl.SSLContext | None) -> Wire:
    where = name.partition(":")[0] if tls else None
    return Wire(
        *await asyncio.open_connection(
            "127.0.0.1", gateway.apps_port, ssl=tls, server_hostname=where
        )
    )


async def passing(world: World, gateway: Gateway, ca: Path) -> None:
    foreign = written(_folder(world.folder / "foreign"), ("x",), world.folder / "foreign")[2]

    async def sock(line: websockets.ServerConnection) -> None:
        async for said in line:
            if said == "end":
                return
            await line.send(said)

    server = await websockets.serve(sock, "127.0.0.1", 0, max_size=None)
    talking = server.sockets[0].getsockname()[1]
    async with app(echo) as port:
        token = (await given(world, port))["token"]
        name = host(gateway, world.runtime, port)
        line = await line_to(gateway, name, believing(ca))
        line.writer.write(get(name, f"Authorization: Bearer {token}"))
        status, _, body = await line.answer()
        assert status == 200
        assert b"x-forwarded-proto: https" in body.lower()
        line.writer.write(get(name, "Accept: */*"))
        status, _, body = await line.answer()
        assert (status, json.loads(body)["code"]) == (401, "app.no_pass")
        line.writer.transport.abort()
    # Refused in the middle of what it says: the refusal arrives all the same.
    line = await line_to(gateway, name, believing(ca))
    line.writer.write(b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
    line.writer.write(b"x" * 300_000)
    status, _, body = await line.answer()
    assert (status, json.loads(body)["code"]) == (400, "app.malformed")
    line.writer.transport.abort()
    with pytest.raises(ssl.SSLCertVerificationError):
        await line_to(gateway, name, believing(foreign))
    plain = await line_to(gateway, name, None)
    plain.writer.write(get(name))
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await plain.answer()
    plain.writer.transport.abort()
    token = (await given(world, talking))["token"]
    async with websockets.connect(
        f"wss://{host(gateway, world.runtime, talking)}/", host="127.0.0.1",
        port=gateway.apps_port, ssl=believing(ca), compression=None, max_size=None,
        additional_headers={"Authorization": f"Bearer {token}"},
    ) as line_:  # fmt: skip
        for size in (0, 5, 300_000):
            await line_.send(b"x" * size)
            assert await line_.recv() == b"x" * size
        await line_.send("end")
        with pytest.raises(websockets.ConnectionClosedOK):  # the app's own farewell arrives
            await line_.recv()
    server.close()


async def shown(gateway: Gateway, name: str, tls: ssl.SSLContext) -> bytes:
    """The certificate that a new connection is shown."""
    line = await line_to(gateway, name, tls)
    found = line.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    line.writer.transport.abort()
    assert isinstance(found, bytes)
    return found


async def renewed(world: World, gateway: Gateway, tls: Path, names: tuple[str, ...]) -> None:
    name = host(gateway, world.runtime, 1)
    context = believing(tls / "ca.pem")
    stays = await line_to(gateway, name, context)
    before = await shown(gateway, name, context)
    kept = (tls / "server-key.pem").read_bytes()
    shutil.copyfile(tls / "ca.pem", tls / "server-key.pem")
    gateway.child.send_signal(signal.SIGHUP)
    await until(lambda: "tls.unreadable" in gateway.log.read_text())
    assert await shown(gateway, name, context) == before
    (tls / "server-key.pem").write_bytes(kept)
    written(world.folder / "ca", names, tls)
    gateway.child.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while await shown(gateway, name, context) == before:
        assert time.monotonic() < deadline
    stays.writer.write(get(name))
    assert (await stays.answer())[0] == 401, "the connection of before goes on"
    stays.writer.transport.abort()


async def until(true: object) -> None:
    assert callable(true)
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def knocking(world: World, gateway: Gateway, ca: Path) -> None:
    """One address fills its room with handshakes it never ends: the next of it is refused."""
    name = host(gateway, world.runtime, 1)
    silent = [await line_to(gateway, name, None) for _ in range(64)]
    await asyncio.sleep(0.5)
    with pytest.raises(OSError, match=r".*"):
        await shown(gateway, name, believing(ca))
    for one in silent:
        one.writer.transport.abort()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            await shown(gateway, name, believing(ca))
        except OSError:
            await asyncio.sleep(0.1)
        else:
            return
    raise AssertionError("no room again")
