"""The program that holds one PTY: `python -m agent.terminal FOLDER`.

It lives on while the agent is dead. Everything in its memory is bounded: output is read from the
PTY only as far as the control plane granted, and the ring keeps 4 MiB of what was read.
"""

import contextlib
import os
import selectors
import signal
import socket
import time
from pathlib import Path
from typing import Final

import msgspec

from agent.clock import boottime_us
from agent.terminal import wire
from agent.terminal.pty import Pty
from agent.terminal.session import Session

_TICK_S: Final = 0.5
_STATUS_S: Final = 1.0
_TO_AGENT: Final = 256 * 1024  # bytes waiting for the agent, past which no frame is made
_READ: Final = 65_536
_HANGUP_S: Final = 2.0
_LINGER_S: Final = 600.0


class Host:
    """One thread, one loop: what comes in goes before what goes out."""

    def __init__(self, folder: Path) -> None:
        self.settings = wire.settings_of(folder)
        self.listener = wire.listening(folder)
        self.pty = Pty(self.settings)
        self.session = Session(self.settings)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(self.pty.master, selectors.EVENT_READ)
        self.watched = True
        self.agent: socket.socket | None = None
        self.unpacker = wire.Unpacker()
        self.out = bytearray()
        self.until_us = self.settings.until_us
        self.over = False
        self.linger_until: float | None = None
        self.told_at = 0.0

    def run(self) -> None:
        """Until the agent says so, the lease ends, or the shell has been over for 10 minutes."""
        ticked = 0.0
        while not self.over:
            # Output that may go on is looked at again at once; nothing to do waits for a tick.
            for key, events in self.selector.select(_TICK_S):
                self._ready(key.fileobj, events)
            self._typed()
            self._read_pty()
            self._frames()
            self._send()
            now = time.monotonic()
            if now - ticked >= _TICK_S:
                ticked = now
                self._tick(now)
        self._hang_up()

    def _ready(self, ready: object, events: int) -> None:
        if ready is self.listener:
            self._accept()
        elif ready is self.agent and events & selectors.EVENT_READ:
            self._hear()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            made, _ = self.listener.accept()
            self._drop()  # the agent was started again: its new connection counts
            made.setblocking(False)
            self.agent, self.unpacker = made, wire.Unpacker()
            self.selector.register(made, selectors.EVENT_READ)

    def _hear(self) -> None:
        assert self.agent is not None
        try:
            data = self.agent.recv(_READ)
            messages = self.unpacker.feed(data) if data else []
        except BlockingIOError:
            return
        except (OSError, ValueError):
            data, messages = b"", []
        for kind, body in messages:
            self._obey(kind, body)
        if not data:
            self._drop()

    def _obey(self, kind: bytes, body: bytes) -> None:
        if kind == wire.FRAME:
            self.session.receive(body)
            if self.session.closing:
                self.over = True
            self.pty.resize(*self.session.size)
        elif kind == wire.ATTACH:
            self.out += wire.packed(wire.REPLY, msgspec.json.encode(self.session.attach(body)))
        elif kind == wire.UNTIL:
            self.until_us = max(self.until_us, int(body))
        elif kind == wire.END:
            self.over = True

    def _typed(self) -> None:
        while self.session.waiting:
            took = self.pty.write(bytes(self.session.waiting[:4096]))
            if not took:
                break
            self.session.drained(took)
        if self.watched:
            # The terminal takes more when its program reads: poll for that only while it must.
            wanted = selectors.EVENT_WRITE if self.session.waiting else 0
            reads = selectors.EVENT_READ if self.session.room() else 0
            self._watch(wanted | reads)

    def _watch(self, events: int) -> None:
        known = self.selector.get_map().get(self.pty.master)
        if known is None and events:
            self.selector.register(self.pty.master, events)
        elif known is not None and not events:
            self.selector.unregister(self.pty.master)
        elif known is not None and known.events != events:
            self.selector.modify(self.pty.master, events)

    def _read_pty(self) -> None:
        room = self.session.room()
        if not self.watched or not room:
            return
        data = self.pty.read(room)
        if data:
            self.session.ring.append(data)
            return
        # A job in the background may hold the tty open: the shell's end is the terminal's.
        if data is None and self.pty.reaped() is None:
            return
        self.watched = False
        self._watch(0)
        self.linger_until = time.monotonic() + _LINGER_S

    def _frames(self) -> None:
        if not self.watched and self.session.exit is None:
            self.session.exit = self.pty.reaped()
        while len(self.out) < _TO_AGENT and (raw := self.session.next_frame()) is not None:
            self.out += wire.packed(wire.FRAME, raw)

    def _send(self) -> None:
        if self.agent is None:
            self.out.clear()
            return
        try:
            if self.out:
                del self.out[: self.agent.send(self.out)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop()
            return
        more = bool(self.out) or self.session.has_frame()
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if more else 0)
        if self.selector.get_key(self.agent).events != wanted:
            self.selector.modify(self.agent, wanted)

    def _tick(self, now: float) -> None:
        if now - self.told_at >= _STATUS_S:
            self.told_at = now
            self.session.tell_status()
        past_lease = boottime_us() >= self.until_us
        lingered = self.linger_until is not None and now >= self.linger_until
        self.over = self.over or past_lease or lingered

    def _drop(self) -> None:
        # What was on its way is lost: the control plane attaches again and asks from an offset.
        if self.agent is not None:
            self.selector.unregister(self.agent)
            self.agent.close()
        self.agent = None
        self.out.clear()

    def _hang_up(self) -> None:
        os.close(self.pty.master)
        deadline = time.monotonic() + _HANGUP_S
        number = signal.SIGHUP
        while left := _members(self.pty.pid, self.settings.session):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            self.pty.reaped()
            if time.monotonic() > deadline:
                number = signal.SIGKILL
            if time.monotonic() > deadline + _HANGUP_S:
                break
            time.sleep(0.05)


def _members(session: int, name: str) -> list[int]:
    """Living processes of the terminal: its tty's session, and whoever carries its mark.

    A container's engine runs the shell in a session of its own, under another parent; only the
    mark in its environment, which its children inherit, says whose it is.
    """
    mark = f"{wire.MARK}={name}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            # The name, in parentheses, may hold anything: what follows the last one is fixed.
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            mine = int(fields[3]) == session or mark in (entry / "environ").read_bytes().split(
                b"\0"
            )
            if mine and fields[0] != "Z":
                found.append(int(entry.name))
    return found
