"""A living stack with usable SIMULATED runtimes, and clients of their terminals."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from api.edge import instant, now_us
from api.supervisor import PROCESSES, Stack, running
from api.tokens import developer_token, issue
from contracts import terminal_client as wire
from contracts.terminal import PIECE, WINDOW
from tests.told_messages import Heard, listening

PATIENCE_S = 60.0


class Office:
    """One organization's member on a living stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.operator = developer_token(stack.settings)
        self.http = httpx.Client(base_url=stack.url, timeout=30)
        self.project = self.org = self.member = ""
        self.heard: Heard = []

    def post(self, path: str, body: Any = None, token: str = "") -> httpx.Response:
        """Again while the server is starting: a repeat is the same act."""
        headers = {
            "Authorization": f"Bearer {token or self.operator}",
            "Idempotency-Key": uuid.uuid4().hex,
        }
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self.http.post(path, json=body, headers=headers)
            except httpx.TransportError:
                assert time.monotonic() < deadline, path
            else:
                if answer.status_code < 500:
                    return answer
                assert time.monotonic() < deadline, answer.text
            time.sleep(0.05)

    def get(self, path: str, token: str = "") -> httpx.Response:
        return self.http.get(path, headers={"Authorization": f"Bearer {token or self.operator}"})

    def token(self, role: str = "member", user: str = "user-1", seconds: int = 3600) -> str:
        return issue(self.stack.settings, user, role, self.org, now_us(), seconds)

    def furnish(self, runtimes: int) -> list[str]:
        """That many usable runtimes of one organization."""
        self.org = self.post("/v1/organizations", {"name": "O"}).json()["id"]
        made = {"organization": self.org}
        department = self.post("/v1/departments", {**made, "name": "D"}).json()["id"]
        body = {**made, "currency": "USD", "zone": "UTC"}
        account = self.post("/v1/accounts", body).json()["id"]
        body = {"department": department, "account": account, "name": "P"}
        self.project = self.post("/v1/projects", body).json()["id"]
        price = {"amount": "1.000000000000", "currency": "USD"}
        soon = instant(now_us() + 4_000_000)
        priced = {"account": "default", "model": "T4", "price": price, "effective_from": soon}
        assert self.post("/v1/prices", priced).status_code == 201
        time.sleep(4.2)
        self.member = self.token()
        return [self.runtime() for _ in range(runtimes)]

    def runtime(self) -> str:
        """One more usable runtime."""
        body = {"project": self.project, "name": "r", "devices": 1, "gpu_milli": 100}
        deadline = time.monotonic() + PATIENCE_S
        while (answer := self.post("/v1/runtimes", body)).status_code != 201:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.2)
        runtime = str(answer.json()["id"])
        while (found := self.get(f"/v1/runtimes/{runtime}")).json().get("state") != "usable":
            assert time.monotonic() < deadline, found.text
            time.sleep(0.1)
        return runtime

    def open(self, runtime: str, *, record: bool = False) -> "Screen":
        answer = self.post(f"/v1/runtimes/{runtime}/terminals", {"record": record}, self.member)
        assert answer.status_code == 201, answer.text
        return Screen(self, answer.json()["id"], answer.json()["ticket"])

    def listening(self) -> AbstractContextManager[Heard]:
        return listening(self.stack.settings.nats_url, self.stack.settings.nats_tls)

    def close(self) -> None:
        self.http.close()


class Screen:
    """A client that keeps to the rules. `shown` is all output; a hole or repeat fails at once."""

    def __init__(self, office: Office, session: str, ticket: str | None) -> None:
        self.office = office
        self.session = session
        self.ticket = ticket
        self.line: ClientConnection | None = None
        self.shown = 0
        self.tail = bytearray()
        self.keep = 4096
        self.pending = bytearray()
        self.typed = 0
        self.sent = 0
        self.limit = 0
        self.exit: int | None = None
        self.gaps: list[tuple[int, int]] = []
        self.window = WINDOW
        self.pongs: list[bytes] = []
        self.resumes = 0

    @property
    def url(self) -> str:
        return self.office.stack.url.replace("http", "ws", 1) + f"/v1/terminals/{self.session}"

    async def connect(self, start: int | None = None, **options: Any) -> None:
        """Raises: what websockets raises when it is refused."""
        if self.ticket is None:
            path = f"/v1/terminals/{self.session}/tickets"
            answer = await asyncio.to_thread(self.office.post, path, None, self.office.member)
            assert answer.status_code == 201, answer.text
            self.ticket = answer.json()["ticket"]
        begin = self.shown if start is None else start
        ticket, self.ticket = self.ticket, None
        url = f"{self.url}?ticket={ticket}&from={begin}"
        self.line = await websockets.connect(url, compression=None, max_size=None, **options)
        await self.take()
        await self.line.send(wire.ack(self.shown, self.window))

    async def resume(self, within_s: float = PATIENCE_S) -> None:
        """After a loss: a new ticket, from what was shown; input that was not taken goes again."""
        deadline = time.monotonic() + within_s
        await self.drop()
        while True:
            try:
                await self.connect()
            except (OSError, websockets.WebSocketException):
                assert time.monotonic() < deadline, "no resume"
                await asyncio.sleep(0.05)
            else:
                self.resumes += 1
                return

    async def drop(self) -> None:
        """The connection is cut, without a word."""
        if self.line is not None:
            self.line.transport.abort()
            with contextlib.suppress(websockets.WebSocketException, OSError):
                await self.line.wait_closed()

    async def take(self) -> None:
        """One message of the server."""
        assert self.line is not None
        raw = await self.line.recv()
        assert isinstance(raw, bytes)
        message = wire.opened(raw)
        match message.kind:
            case wire.HELLO:
                typed, limit = wire.open_hello(message.data)
                self.taken(typed, limit)
                self.sent = typed
                self.shown = message.offset
            case wire.OUTPUT:
                assert message.offset == self.shown, (message.offset, self.shown)
                self.show(message.data)
                self.shown += len(message.data)
                # A line that was closed meanwhile may hold more that came before its end.
                with contextlib.suppress(websockets.ConnectionClosed):
                    await self.line.send(wire.ack(self.shown, self.window))
            case wire.TYPED:
                self.taken(message.offset, wire.open_limit(message.data))
            case wire.GAP:
                self.gaps.append((wire.open_limit(message.data), message.offset))
                self.shown = message.offset
            case wire.EXIT:
                self.exit = wire.open_exit(message.data)
            case wire.PONG:
                self.pongs.append(message.data)
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.push()

    def show(self, data: bytes) -> None:
        """Output as it comes; the last `keep` bytes of it stay in `tail`."""
        self.tail += data
        del self.tail[: -self.keep]

    def taken(self, typed: int, limit: int) -> None:
        del self.pending[: typed - self.typed]
        self.typed, self.limit = typed, limit

    async def type(self, data: bytes) -> None:
        """Sent as far as the limit allows, the rest as it moves on."""
        self.pending += data
        await self.push()

    async def push(self) -> None:
        assert self.line is not None
        while self.sent < min(self.typed + len(self.pending), self.limit):
            most = min(PIECE, self.limit - self.sent)
            data = bytes(self.pending[self.sent - self.typed :][:most])
            await self.line.send(wire.message(wire.INPUT, self.sent, data))
            self.sent += len(data)

    async def until(self, text: bytes, within_s: float = PATIENCE_S) -> float:
        """Seconds until `text` was shown after now."""
        began = time.monotonic()
        self.tail.clear()
        async with asyncio.timeout(within_s):
            while text not in self.tail:
                await self.take()
        return time.monotonic() - began

    async def closed(self, within_s: float = PATIENCE_S) -> tuple[int, str]:
        """Code and reason with which the server closed."""
        assert self.line is not None
        async with asyncio.timeout(within_s):
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await self.take()
        return self.line.close_code or 0, self.line.close_reason or ""


def hosts(stack: Stack) -> dict[str, int]:
    """The process of each terminal on the embedded node, by session."""
    folder = stack.settings.data / "agent" / "terminals"
    return {pid.parent.name: int(pid.read_text()) for pid in folder.glob("access-*/pid")}


@contextmanager
def office(runtimes: int = 1, *, hear: bool = False) -> Iterator[tuple[Office, list[str]]]:
    """A stack of its own, furnished; afterwards nothing of it runs. `hear`: what passes over NATS
    until it is furnished stays in `heard`.
    """
    folder = Path(tempfile.mkdtemp(prefix="gpuaas-test-"))
    folder.chmod(0o711)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GPUAAS_DATA", str(folder / "data"))
            patch.setenv("GPUAAS_SIGNER_STATE", str(folder / "signer"))
            first = tuple(one for one in PROCESSES if one != "agent")
            with running(lambda _: None, processes=first) as stack:
                made = Office(stack)
                beside = made.listening() if hear else contextlib.nullcontext(made.heard)
                try:
                    with beside as made.heard:
                        stack.start("agent")
                        usable = made.furnish(runtimes)
                    yield made, usable
                finally:
                    made.close()
                    for pid in hosts(stack).values():
                        with contextlib.suppress(ProcessLookupError):
                            os.killpg(pid, signal.SIGKILL)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def shown(office_: Office, runtime: str, *, record: bool = False) -> AsyncIterator[Screen]:
    """A screen at its prompt."""
    screen = office_.open(runtime, record=record)
    await screen.connect()
    await screen.until(b"SIMULATED $ ")
    try:
        yield screen
    finally:
        await screen.drop()
