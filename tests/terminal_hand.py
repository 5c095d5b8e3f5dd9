"""A control plane's end of one terminal, moved by hand: attaches, types, grants, collects."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from nats.aio.client import Client
from nats.aio.msg import Msg

from agent import clock
from agent.terminal import wire
from agent.terminal.shells import Shell
from contracts import terminal
from contracts.signing import FleetError
from contracts.terminal import Attach, Attached, Opener, Sealer
from evidence.ids import new_id

PLAIN = Shell(("/bin/sh",), {"PATH": "/usr/bin:/bin", "PS1": "$ ", "TERM": "xterm"}, "", -1)


class Typist:
    """One session's far end. `shown` is all output in order; a hole or a repeat fails at once."""

    def __init__(self, node: str, session: str, command_key: Ed25519PrivateKey) -> None:
        self.node = node
        self.session = session
        self.key = terminal.session_key(command_key, session)
        self.number = 0
        self.shown = bytearray()
        self.typed = 0
        self.status = terminal.Status(0, 0, 0, 0)
        self.exit: int | None = None
        self.sealer: Sealer | None = None
        self.opener: Opener | None = None
        self.asked: tuple[Attach, X25519PrivateKey] | None = None

    def ask(self, start: int | None = None) -> Attach:
        """The next attachment, from what was shown or from `start`."""
        self.number += 1
        fresh = X25519PrivateKey.generate()
        begin = len(self.shown) if start is None else start
        attach = Attach(
            *("gpuaas-term-attach/1", self.node, self.session, self.number),
            *(terminal.exchange_hex(fresh), begin),
        )
        self.asked = (attach, fresh)
        return attach

    def agree(self, answer: Attached) -> None:
        assert self.asked is not None
        assert not answer.code, answer
        keys = terminal.keys_here(self.asked[0], answer.key, self.key, self.asked[1])
        self.sealer, self.opener = Sealer(keys, "in"), Opener(keys, "out")
        self.typed = answer.typed

    def grant(self, window: int = terminal.WINDOW) -> bytes:
        assert self.sealer is not None
        body = terminal.grant_body(terminal.Grant(len(self.shown), 80, 24))
        return self.sealer.seal(terminal.GRANT, len(self.shown) + window, body)

    def type(self, data: bytes) -> bytes:
        assert self.sealer is not None
        raw = self.sealer.seal(terminal.INPUT, self.typed, data)
        self.typed += len(data)
        return raw

    def take(self, raw: bytes) -> None:
        assert self.opener is not None
        frame = self.opener.open(raw)
        if frame.kind == terminal.OUTPUT:
            assert frame.offset == len(self.shown), (frame.offset, len(self.shown))
            self.shown += frame.data
        elif frame.kind == terminal.STATUS:
            self.status = terminal.open_status(frame.data)
        elif frame.kind == terminal.EXIT:
            self.exit = terminal.open_exit(frame.data)


class LivingHost:
    """A host as the agent starts it, and the agent's end of its socket."""

    def __init__(
        self,
        folder: Path,
        shell: Callable[[str], Shell] | None = None,
        lease_s: int = 600,
    ) -> None:
        self.command_key = Ed25519PrivateKey.generate()
        self.typist = Typist(new_id("node"), new_id("access"), self.command_key)
        self.folder = folder / self.typist.session
        self.folder.mkdir(mode=0o700)
        chosen = shell(self.typist.session) if shell else PLAIN
        settings = wire.Settings(
            node=self.typist.node,
            session=self.typist.session,
            allocation=new_id("allocation"),
            key=terminal.exchange_hex(self.typist.key),
            argv=chosen.argv,
            environment=chosen.environment,
            banner="",
            user=-1,
            columns=80,
            rows=24,
            until_us=clock.boottime_us() + lease_s * 1_000_000,
        )
        (self.folder / wire.SETTINGS).write_bytes(msgspec.json.encode(settings))
        self.child = subprocess.Popen(
            [sys.executable, "-m", "agent.terminal", str(self.folder)], start_new_session=True
        )
        self.socket = self.connect()
        self.unpacker = wire.Unpacker()

    def connect(self) -> socket.socket:
        deadline = time.monotonic() + 20
        while True:
            try:
                made = wire.connected(self.folder)
            except OSError:
                assert time.monotonic() < deadline, "the host does not listen"
                assert self.child.poll() is None, self.child.returncode
                time.sleep(0.02)
            else:
                made.settimeout(0.05)
                return made

    def restart_agent(self) -> None:
        """The agent's end dies and another takes its place."""
        self.socket.close()
        self.socket = self.connect()
        self.unpacker = wire.Unpacker()

    def send(self, kind: bytes, body: bytes) -> None:
        self.socket.sendall(wire.packed(kind, body))

    def frame(self, raw: bytes) -> None:
        self.send(wire.FRAME, raw)

    def attach(self, start: int | None = None) -> Attached:
        self.send(wire.ATTACH, msgspec.json.encode(self.typist.ask(start)))
        while True:
            for kind, body in self.heard():
                if kind == wire.REPLY:
                    answer = msgspec.json.decode(body, type=Attached)
                    if not answer.code:
                        self.typist.agree(answer)
                    return answer

    def heard(self) -> list[tuple[bytes, bytes]]:
        try:
            data = self.socket.recv(65_536)
        except TimeoutError:
            return []
        assert data, "the host hung up"
        return self.unpacker.feed(data)

    def take(self) -> None:
        """What has come by now; everything that was shown is granted anew."""
        before = len(self.typist.shown)
        for kind, body in self.heard():
            if kind == wire.FRAME:
                self.typist.take(body)
        if len(self.typist.shown) > before:
            self.frame(self.typist.grant())

    def until(self, text: bytes, within_s: float = 20) -> float:
        """Seconds until `text` was shown."""
        began = time.monotonic()
        start = len(self.typist.shown)
        while text not in self.typist.shown[max(0, start - len(text)) :]:
            assert time.monotonic() - began < within_s, bytes(self.typist.shown[-500:])
            self.take()
        return time.monotonic() - began

    def rss_kib(self) -> int:
        text = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0])

    def end(self) -> int:
        """The host's exit status after an orderly end."""
        self.send(wire.END, b"")
        return self.child.wait(20)

    def close(self) -> None:
        self.socket.close()
        if self.child.poll() is None:
            os.kill(self.child.pid, 9)
        self.child.wait()


class FarTypist(Typist):
    """A typist on NATS, as the platform's user."""

    def __init__(self, client: Client, node: str, session: str, key: Ed25519PrivateKey) -> None:
        super().__init__(node, session, key)
        self.client = client
        self.command_key = key
        self.answers: list[Attached] = []
        self.answered = asyncio.Event()
        self.came = asyncio.Event()

    async def listen(self, event_key: str) -> None:
        async def heard(message: Msg) -> None:
            if not terminal.is_frame(message.data):
                self.answers.append(terminal.open_attached(message.data, event_key))
                self.answered.set()
            elif self.opener is not None:
                with contextlib.suppress(FleetError):  # of an attachment before
                    self.take(message.data)
                self.came.set()

        await self.client.subscribe(terminal.subject(self.node, self.session, "out"), cb=heard)

    async def say(self, raw: bytes, leaf: terminal.Leaf = "in") -> None:
        await self.client.publish(terminal.subject(self.node, self.session, leaf), raw)

    async def attach(self, within_s: float = 30) -> Attached:
        """Asks again each second until an answer comes."""
        deadline = time.monotonic() + within_s
        while True:
            attach = self.ask()
            self.opener = None
            await self.say(terminal.attach_message(self.command_key, attach), "ctl")
            end = time.monotonic() + 1
            while time.monotonic() < end:
                for answer in self.answers:
                    if answer.attach_key == attach.key and not answer.code:
                        self.agree(answer)
                        await self.say(self.grant())
                        return answer
                self.answered.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.answered.wait(), 0.1)
            assert time.monotonic() < deadline, self.answers[-3:]

    async def until(self, text: bytes, within_s: float = 30) -> float:
        """Seconds until `text` was shown, everything granted as it comes."""
        began = time.monotonic()
        start = len(self.shown)
        while text not in self.shown[max(0, start - len(text)) :]:
            assert time.monotonic() - began < within_s, bytes(self.shown[-300:])
            self.came.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.came.wait(), 0.1)
            await self.say(self.grant())
        return time.monotonic() - began
