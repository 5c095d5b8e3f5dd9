"""HTTP to apps in a runtime, through a gateway process and a real sshd: who enters, what passes."""

import asyncio
import base64
import contextlib
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
import websockets

from api.embedded.children import free_port
from api.gateway.doors import Doors
from api.gateway.flows import Flows, Limits
from api.gateway.parts import Parts
from api.gateway.web.front import Front
from contracts import apps
from domain import runtime
from domain.access import SessionClosed, SessionOpened
from tests.app_world import app, asked, echo, get, given, host, wire
from tests.conftest import Database
from tests.gateway_world import Gateway, World, gateways, play
from tests.machine import need

pytestmark = [pytest.mark.slow, pytest.mark.machine]
SOON_S = 1.0
MIB = 1 << 20


def test_programs_by_token_browsers_by_ticket(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A pass opens one port of one runtime, to its holder, as long as its grant stands; the app
    sees no secret of the platform, and one session of each guest is in the log.
    """
    need("sshd", "ssh")

    async def scene(world: World) -> None:
        async with app(echo) as port, app(echo) as other, gateways(world, "gateway-a") as [gateway]:
            passed = await given(world, port)
            name = host(gateway, world.runtime, port)
            assert passed["origin"] == f"http://{name}"
            bearer = f"Authorization: Bearer {passed['token']}"
            status, fields, body = await asked(gateway, get(name, bearer, "X-Mine: 1"))
            assert status == 200, body
            assert b"x-mine: 1" in body
            assert b"uthorization" not in body
            assert fields["set-cookie"] == ["own=1; Path=/"]
            assert "clear-site-data" not in fields
            for path in ("//[", "/%00?a&b;c=%", "/?" + "&" * 999):
                assert (await asked(gateway, get(name, bearer, path=path)))[0] == 200, path
            for query in ("", "?grant=&ticket", "?" + "&" * 999, "?grant=x&grant=y&ticket=z"):
                status, _, _ = await asked(gateway, get(name, path=apps.ENTER + query))
                assert status == 403, query
            # Nothing listens there: said so, under a pass of its own.
            nobody = await given(world, 1)
            status, _, body = await asked(
                gateway,
                get(host(gateway, world.runtime, 1), f"Authorization: Bearer {nobody['token']}"),
            )
            assert (status, json.loads(body)["code"]) == (502, "app.unreachable")
            # Another port, another runtime, an API token, a foreign pass, none at all.
            mine = world.runtime
            await world.launch()
            theirs = await given(world, other)
            for name_, field in (
                (host(gateway, mine, other), bearer),
                (host(gateway, world.runtime, other), bearer),
                (name, f"Authorization: Bearer {theirs['token']}"),
                (name, f"Authorization: Bearer {world.token}"),
                (name, "Accept: */*"),
            ):
                status, _, body = await asked(gateway, get(name_, field))
                assert (status, json.loads(body)["code"]) == (401, "app.no_pass"), field
            status, _, body = await asked(gateway, get("elsewhere", bearer))
            assert (status, json.loads(body)["code"]) == (404, "app.unknown")
            stranger = world.stage.token("member", (await world.stage.tenant())["org"])
            path = f"/v1/runtimes/{mine}/app-passes"
            answer = await world.stage.post(path, {"port": port}, token=stranger)
            assert answer.status_code == 404, "another organization's runtime is none"
            world.runtime = mine
            await browsers(world, gateway, port)
            assert await until_revoked(world, gateway, passed["grant"], get(name, bearer)) < SOON_S
            opened = await world.facts(SessionOpened)
            assert {one.way for one in opened} == {"http"}
            # One a guest and process, not one a request; the killed process had some open.
            assert len(opened) <= 2 * len({one.grant for one in opened})

    play(database, nats_url, tmp_path, scene)


async def browsers(world: World, gateway: Gateway, port: int) -> None:
    """A ticket enters once and becomes a cookie, which the app does not see and no page abuses."""
    passed = await given(world, port, browser=True)
    assert passed["token"] is None
    name = host(gateway, world.runtime, port)
    path = passed["enter"].removeprefix(passed["origin"])
    assert path.startswith(apps.ENTER)
    spoiled = path[:-1] + ("A" if path[-1] != "A" else "B")
    assert (await asked(gateway, get(name, path=spoiled)))[0] == 403
    status, fields, _ = await asked(gateway, get(name, "Sec-Fetch-Site: cross-site", path=path))
    assert (status, fields["location"]) == (303, ["/"])
    [cookie] = fields["set-cookie"]
    assert "HttpOnly; SameSite=Lax" in cookie
    assert "Domain" not in cookie
    assert (await asked(gateway, get(name, path=path)))[0] == 403, "it is spent"
    crumb = cookie.partition(";")[0]
    status, _, body = await asked(gateway, get(name, f"Cookie: a=1; {crumb}; gpuaas-app=x"))
    assert status == 200, body
    assert b"\r\ncookie: a=1\r\n" in body, "the app's own cookies pass, the gateway's do not"
    await authorized(world, gateway, name, crumb, (await given(world, port))["token"])
    gateway.end(kill=True)
    gateway.start()
    await gateway.ready()
    status, _, body = await asked(gateway, get(name, f"Cookie: {crumb}"))
    assert status == 200, "a cookie outlives the gateway that gave it"
    ended = await world.until_facts(SessionClosed, 1)
    assert ("gateway_ended", None) in {(one.reason, one.bytes_up) for one in ended}
    foreign = ["Origin: http://1-x.apps.localhost", "Sec-Fetch-Site: same-site"]
    for field in foreign:
        status, _, body = await asked(gateway, get(name, f"Cookie: {crumb}", field))
        assert (status, json.loads(body)["code"]) == (403, "app.foreign_page")


async def authorized(world: World, gateway: Gateway, name: str, crumb: str, token: str) -> None:
    """By cookie the app hears its own Authorization, and none of the platform's in any scheme."""
    for own in ("Bearer mine.own.jwt", "Basic dXNlcjpwYXNz"):
        field = f"Authorization: {own}"
        status, _, body = await asked(gateway, get(name, f"Cookie: {crumb}", field))
        assert (status, f"\r\nauthorization: {own}\r\n".encode() in body) == (200, True), body
        assert (await asked(gateway, get(name, field)))[0] == 401, "it opens nothing"
    for secret in (token, world.token):
        hidden = base64.b64encode(f"x:{secret}".encode()).decode()
        for field in (f"Basic {hidden}", f"Token {secret}"):
            raw = get(name, f"Cookie: {crumb}", f"Authorization: {field}")
            status, _, body = await asked(gateway, raw)
            assert status == 200, body
            assert b"uthorization" not in body
            assert secret.encode() not in body
    # A bearer of ours decides alone: an API token enters nowhere, whatever the cookie.
    raw = get(name, f"Cookie: {crumb}", f"Authorization: Bearer {world.token}")
    assert (await asked(gateway, raw))[0] == 401
    raw = get(name, f"Cookie: {crumb}", f"Authorization: Bearer {token}")
    status, _, body = await asked(gateway, raw)
    assert (status, b"uthorization" in body) == (200, False)


async def until_revoked(world: World, gateway: Gateway, grant: str, raw: bytes) -> float:
    """Seconds from the revocation until the pass opens nothing."""
    began = time.monotonic()
    answer = await world.stage.post(f"/v1/access-grants/{grant}/revoke", token=world.token)
    assert answer.status_code == 200, answer.text
    assert (await asked(gateway, raw))[0] == 401
    return time.monotonic() - began


def test_bodies_pass_whole_and_nothing_piles_up(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """Up and down, chunked and by length, WebSockets both ways; a reader that does not read costs
    no memory; a request that two readers would part in two ways reaches no app.
    """
    need("sshd", "ssh")
    heard: list[bytes] = []

    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.append(head)
        if b"GET /yes" in head:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b"y\n" * 32_768)
                await writer.drain()
        if b"POST /deaf" in head:
            await asyncio.sleep(600)
        digest, size = hashlib.sha256(), 0
        while (length := int(await reader.readuntil(b"\r\n"), 16)) > 0:
            data = (await reader.readexactly(length + 2))[:-2]
            digest.update(data)
            size += length
        body = f"{size} {digest.hexdigest()}".encode()
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        await writer.drain()

    async def scene(world: World) -> None:
        async def sock(line: websockets.ServerConnection) -> None:
            async for said in line:
                await line.send(said)

        server = await websockets.serve(sock, "127.0.0.1", 0, max_size=None)
        port = server.sockets[0].getsockname()[1]
        async with app(upper) as plain, gateways(world, "gateway-a") as [gateway]:
            token = (await given(world, plain))["token"]
            name, bearer = host(gateway, world.runtime, plain), f"Authorization: Bearer {token}"
            await smuggled(gateway, name, bearer)
            assert not heard, "no attempt reached the app"
            await bodies(gateway, name, bearer)
            token = (await given(world, port))["token"]
            uri = f"ws://{host(gateway, world.runtime, port)}/"
            headers = {"Authorization": f"Bearer {token}"}
            async with websockets.connect(
                uri, host="127.0.0.1", port=gateway.apps_port, additional_headers=headers,
                max_size=None, compression=None,
            ) as line:  # fmt: skip
                for size in (0, 5, 300_000):
                    await line.send(b"x" * size)
                    assert await line.recv() == b"x" * size
            await piling(gateway, name, bearer)
        server.close()

    play(database, nats_url, tmp_path, scene)


async def smuggled(gateway: Gateway, name: str, bearer: str) -> None:
    """Refused with 4xx or 501, and the connection ends: what follows is no second request."""
    head = f"POST / HTTP/1.1\r\nHost: {name}\r\n{bearer}\r\n"
    inner = f"0\r\n\r\nGET /inner HTTP/1.1\r\nHost: {name}\r\n{bearer}\r\n\r\n"
    for fields in (
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
        f"Host: {name}\r\nContent-Length: 0\r\n",
        "Content-Length: 0\r\nX: a\x00b\r\n",
    ):
        async with asyncio.timeout(60), wire(gateway) as line:
            line.writer.write(f"{head}{fields}\r\n{inner}".encode())
            status, _, _ = await line.answer()
            assert status in {400, 501}, fields
            assert await line.reader.read() == b"", fields


async def bodies(gateway: Gateway, name: str, bearer: str) -> None:
    """Chunked as it comes; two exchanges on one connection."""
    data = bytes(range(256)) * 8_192
    async with asyncio.timeout(120), wire(gateway) as line:
        for _ in range(2):
            head = [f"POST / HTTP/1.1\r\nHost: {name}", bearer, "Expect: 100-continue"]
            line.writer.write("\r\n".join([*head, "Transfer-Encoding: chunked", "", ""]).encode())
            assert (await line.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            for at in range(0, len(data), 100_000):
                piece = data[at : at + 100_000]
                line.writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await line.writer.drain()
            line.writer.write(b"0\r\n\r\n")
            status, _, body = await line.answer()
            assert status == 200
            assert body.decode() == f"{len(data)} {hashlib.sha256(data).hexdigest()}"


async def piling(gateway: Gateway, name: str, bearer: str) -> None:
    """An app that says `yes` to a client that does not read, and one that reads nothing."""
    before = gateway.rss_kib
    async with wire(gateway) as deaf, wire(gateway) as full:
        deaf.writer.write(get(name, bearer, path="/yes"))
        length = f"Content-Length: {1 << 40}"
        full.writer.write(get(name, bearer, length, path="/deaf").replace(b"GET", b"POST", 1))
        end = time.monotonic() + 3
        while time.monotonic() < end:
            full.writer.write(b"z" * 65_536)
            try:
                async with asyncio.timeout(0.2):
                    await full.writer.drain()
            except TimeoutError:
                break
        await asyncio.sleep(1)
        assert gateway.rss_kib - before < 32 * 1024, gateway.rss_kib - before


def test_what_flows_is_cut_with_its_right(
    database: Database, nats_url: str, tmp_path: Path
) -> None:
    """A revoked grant, the end of the key that asked for it, a stopped runtime, a moved epoch, a
    suspension: each ends what flows, within a second, and its session is closed in the log with the
    reason and what had passed.
    """
    need("sshd", "ssh")

    async def ticking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        while True:
            writer.write(b"data: tick\n\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def scene(world: World) -> None:
        async def revoke(grant: str) -> None:
            path = f"/v1/access-grants/{grant}/revoke"
            assert (await world.stage.post(path, token=world.token)).status_code == 200

        async def end(_: str) -> None:
            await world.over(keyed[1], "key")

        async def move(_: str) -> None:
            [placed] = [
                one.fact
                for one in await world.stage.services.log.read_stream(world.runtime)
                if isinstance(one.fact, runtime.Allocated)
            ]
            changed = runtime.Allocated(
                *(placed.allocation, placed.node, placed.model, placed.devices),
                *(placed.epoch + 1, placed.allocated_us),
            )
            await world.say(changed)

        async def stop(_: str) -> None:
            path = f"/v1/runtimes/{world.runtime}/stop"
            assert (await world.stage.post(path, token=world.token)).status_code == 200

        async def suspend(_: str) -> None:
            path = f"/v1/organizations/{world.tenant['org']}/suspend"
            assert (await world.stage.post(path, {"reason": "unpaid"})).status_code == 200

        keyed = await world.credential("key")
        harms = (
            *(
                (revoke, "revoked"),
                (end, "revoked"),
                (move, "epoch_moved"),
                (stop, "runtime_ended"),
            ),
            (suspend, "suspended"),
        )
        async with app(ticking) as port, gateways(world, "gateway-a") as [gateway]:
            for number, (harm, reason) in enumerate(harms):
                if number:
                    await world.launch()
                token = keyed[0] if harm is end else ""
                passed = await given(world, port, token=token)
                name = host(gateway, world.runtime, port)
                field = f"Authorization: Bearer {passed['token']}"
                async with asyncio.timeout(60), wire(gateway) as line:
                    line.writer.write(get(name, field))
                    await line.reader.readuntil(b"tick")
                    began = time.monotonic()
                    await harm(passed["grant"])
                    while True:  # what was on its way still arrives
                        try:
                            if not await line.reader.read(65_536):
                                break
                        except OSError:
                            break
                    took = time.monotonic() - began
                    print(f"{reason}: ended {took * 1000:.0f} ms after")
                    assert took < SOON_S, reason
                assert (await asked(gateway, get(name, field)))[0] == 401
                closed = (await world.until_facts(SessionClosed, number + 1))[-1]
                assert closed.bytes_down > 0
                assert closed.reason == reason

    play(database, nats_url, tmp_path, scene)


def test_a_crowd_of_slow_heads_is_bounded() -> None:
    """A head that drips is cut after its time, one too long at once, and one address holds only so
    many that have not come; who is done makes room.
    """

    async def scene() -> None:
        limits = Limits(login_s=1, handshakes_per_source=3)
        doors = Doors("gateway-a")
        nothing: Any = None
        parts = Parts(
            doors=doors, authorized=nothing, tail=nothing, flows=Flows(doors, limits), sessions=nothing, limits=limits,
            networks=(), user_ca="", host_ca="", apps_url="http://apps.localhost",
        )  # fmt: skip
        front, port = Front(parts, nothing, nothing, nothing), free_port()
        await front.listen("127.0.0.1", port)
        lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        while front.waiting["127.0.0.1"] < 3:  # noqa: ASYNC110 - it is the server's to say
            await asyncio.sleep(0.01)
        one_more = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionResetError):
            assert await one_more[0].read() == b"", "closed at once"
        began = time.monotonic()
        while not lines[0][0].at_eof() and time.monotonic() - began < 30:
            lines[0][1].write(b"G")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    assert await lines[0][0].read(1) == b""
        assert 0.9 < time.monotonic() - began < 29
        for reader, _ in lines[1:]:
            assert await reader.read() == b""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 40_000)
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        assert parts.flows.refused == {"crowd": 1, "slow": 3, "malformed": 1}
        for _, gone in (*lines, one_more, (reader, writer)):
            gone.close()
        front.close()

    asyncio.run(scene())
