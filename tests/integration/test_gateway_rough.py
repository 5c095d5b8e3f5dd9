"""The gateway under kills, rubbish and crowds, with real ssh and sshd."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from domain.access import SessionClosed, SessionOpened
from tests.conftest import Database
from tests.gateway_world import Gateway, Live, World, gateways, play
from tests.machine import need
from tests.ssh_world import Key

pytestmark = [pytest.mark.slow, pytest.mark.machine]

PARALLEL = 30
RUBBISH = (
    b"",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    b"SSH-1.5-old\r\n",
    b"SSH-2.0-x\r\n" + b"\xff" * 40_000,
    b"SSH-2.0-x\r\n" + b"\x00\x00\x00\x0c\x0a\x14" + bytes(10),
    b"A" * 200_000,
    b"\n" * 100_000,
)


def test_a_killed_gateway_loses_only_connections(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Kill -9: its sessions end; started again it says of each that it ended, with bytes unknown,
    and lets the same certificate in. Another gateway of its name is refused meanwhile.
    """
    need("sshd", "ssh")

    async def scene(world: World) -> None:
        me = Key(tmp_path, "me")
        async with gateways(world, "gateway-a", "gateway-b") as [gateway, other]:
            await world.enter(me)
            live = [Live(world, me, one) for one in (gateway, gateway, other)]
            try:
                for one in live:
                    assert await asyncio.to_thread(one.first_line) == b"alive\n"
                second = Gateway(world.stage, tmp_path, "gateway-a")
                assert await asyncio.to_thread(second.child.wait, 60) == 1
                assert "gateway.second" in second.log.read_text()
                gateway.end(kill=True)
                for one in live[:2]:
                    assert await asyncio.to_thread(one.wait) != 0
                assert await world.facts(SessionClosed) == []
                gateway.start()
                await gateway.ready()
                closed = await world.until_facts(SessionClosed, 2)
                said = {(one.reason, one.bytes_up, one.bytes_down) for one in closed}
                assert said == {("gateway_ended", None, None)}
                assert (await world.run(me, gateway, "echo in")).stdout == "in\n"
                assert live[2].child.poll() is None, "the other gateway's session goes on"
            finally:
                for one in live:
                    one.close()
            closed = await world.until_facts(SessionClosed, 4)
            assert len(await world.facts(SessionOpened)) == 4
            assert closed[-1].bytes_down > 0

    play(database, nats_url, tmp_path, scene)


def _throw(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(data)
        sock.settimeout(2)
        with contextlib.suppress(OSError):
            while sock.recv(65536):
                pass


@asynccontextmanager
async def silent(port: int, count: int) -> AsyncIterator[None]:
    """Connections that say nothing."""
    held = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(count)]
    try:
        yield
    finally:
        for sock in held:
            sock.close()


def test_rubbish_and_silence_keep_nobody_out(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Bytes of any kind, and as many silent connections as one source may have but one: the
    gateway lives, its memory is bounded, and a good client enters. More from one source: closed.
    """
    need("sshd", "ssh")

    async def scene(world: World) -> None:
        me = Key(tmp_path, "me")
        dice = random.Random(3)
        async with gateways(world, "gateway-a") as [gateway]:
            await world.enter(me)
            assert (await world.run(me, gateway, "echo in")).stdout == "in\n"
            before = gateway.rss_kib
            thrown = [*RUBBISH, *(b"SSH-2.0-x\r\n" + dice.randbytes(2_000) for _ in range(20))]
            for data in thrown:
                await asyncio.to_thread(_throw, gateway.port, data)
            async with silent(gateway.port, 60):
                assert (await world.run(me, gateway, "echo in")).stdout == "in\n"
                async with silent(gateway.port, 20):
                    await asyncio.sleep(0.5)
            print(f"gateway memory: {before} KiB before, {gateway.rss_kib} KiB after the rubbish")
            assert gateway.rss_kib < before + 50_000
            assert gateway.child.poll() is None
            assert (await world.run(me, gateway, "echo in")).stdout == "in\n"
            assert len(await world.facts(SessionOpened)) == 3

    play(database, nats_url, tmp_path, scene)


def test_a_server_that_is_no_sshd_gets_nothing_of_the_client(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A node that names the address of something else, or one outside the operator's networks,
    makes the gateway no proxy to it: not one byte of the client's arrives there.
    """
    need("sshd", "ssh")

    async def scene(world: World) -> None:
        me = Key(tmp_path, "me")
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail ready\r\n")
            heard.put_nowait(await reader.read(1000))
            writer.close()

        server = await asyncio.start_server(other, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, gateways(world, "gateway-a") as [gateway]:
            await world.enter(me)
            await world.routed(port)
            assert (await world.run(me, gateway, "echo in")).returncode != 0
            assert await asyncio.wait_for(heard.get(), 30) == b""
            await world.routed(world.sshd_port, "127.0.0.2")
            assert (await world.run(me, gateway, "echo in")).returncode != 0
            assert await world.facts(SessionOpened) == []
            await world.routed(world.sshd_port)
            assert (await world.run(me, gateway, "echo in")).stdout == "in\n"

    play(database, nats_url, tmp_path, scene)


def test_many_sessions_at_once(database: Database, nats_url: str, tmp_path: Path) -> None:
    """Each of 30 clients at two gateways gets its own answer; each session is opened and closed
    in the log.
    """
    need("sshd", "ssh")

    async def scene(world: World) -> None:
        me = Key(tmp_path, "me")
        async with gateways(world, "gateway-a", "gateway-b") as both:
            await world.enter(me, minutes=15)
            before = [one.rss_kib for one in both]
            answers = await asyncio.gather(
                *(world.run(me, both[n % 2], f"sleep 1; echo {n}") for n in range(PARALLEL))
            )
            wrong = [one.stderr for n, one in enumerate(answers) if one.stdout != f"{n}\n"]
            assert not wrong, wrong
            assert len(await world.until_facts(SessionClosed, PARALLEL)) == PARALLEL
            print(f"gateway memory: {before} KiB before, {[one.rss_kib for one in both]} KiB after")

    play(database, nats_url, tmp_path, scene)


def _reachable(database: Database, allowed: str) -> None:
    """Opens the database for connections, or closes it and ends those there are."""
    url = database.server.url("superuser", "postgres")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS {allowed}")
        if allowed == "false":
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                (database.name,),
            )


def test_the_database_away_keeps_sessions_and_lets_nobody_in(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A gateway that cannot see the log admits nobody, ends nobody, and goes on afterwards."""
    need("sshd", "ssh")

    async def scene(world: World) -> None:
        me = Key(tmp_path, "me")
        async with gateways(world, "gateway-a") as [gateway]:
            await world.enter(me)
            live = Live(world, me, gateway)
            try:
                assert await asyncio.to_thread(live.first_line) == b"alive\n"
                await asyncio.to_thread(_reachable, database, "false")
                try:
                    assert (await world.run(me, gateway, "echo in")).returncode != 0
                    assert live.child.poll() is None
                finally:
                    await asyncio.to_thread(_reachable, database, "true")
                assert (await world.run(me, gateway, "echo in")).stdout == "in\n"
                assert await asyncio.to_thread(live.first_line) == b"alive\n"
            finally:
                live.close()

    play(database, nats_url, tmp_path, scene)
