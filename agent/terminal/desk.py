"""The agent's terminals: hosts started, found again after a restart, ended."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from agent.terminal import wire
from agent.terminal.shells import Shell
from contracts.signing import FleetError
from contracts.terminal import MAX_SIDE, SESSION, OpenTerminal

MOST: Final = 1_024  # terminals of one node
_BEGINS_S: Final = 60.0
_ENDS_S: Final = 10.0
_LOOK_S: Final = 0.02
_KEPT: Final = ("PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "LANG")


class Terminals:
    """`folder` holds one folder per living session; what is not there is over."""

    def __init__(self, folder: Path, node: str) -> None:
        self.folder = folder
        self.node = node
        self._children: list[subprocess.Popen[bytes]] = []
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def open(self, order: OpenTerminal, allocation: str, shell: Shell, until_us: int) -> None:
        """The session's host runs; a repeat changes nothing.

        Raises: FleetError terminal.malformed | terminal.too_many.
        """
        if not SESSION.fullmatch(order.session) or not (
            1 <= order.columns <= MAX_SIDE and 1 <= order.rows <= MAX_SIDE
        ):
            raise FleetError("terminal.malformed", "no such session or size")
        place = self.folder / order.session
        if (place / wire.SETTINGS).exists():
            return
        if len(self.sessions()) >= MOST:
            raise FleetError("terminal.too_many", f"{MOST} terminals are open on this node")
        settings = wire.Settings(
            node=self.node,
            session=order.session,
            allocation=allocation,
            key=order.key,
            argv=shell.argv,
            environment=shell.environment,
            banner=shell.banner,
            user=shell.user,
            columns=order.columns,
            rows=order.rows,
            until_us=until_us,
        )
        place.mkdir(exist_ok=True, mode=0o700)
        partial = place / f"{wire.SETTINGS}.partial"
        partial.write_bytes(msgspec.json.encode(settings))
        partial.replace(place / wire.SETTINGS)
        self._start(place)

    def sessions(self) -> list[str]:
        """The sessions that may live here, in no order."""
        return [entry.name for entry in self.folder.iterdir() if SESSION.fullmatch(entry.name)]

    def settings(self, session: str) -> wire.Settings | None:
        """What the session was opened with; None when it is over."""
        try:
            return wire.settings_of(self.folder / session)
        except (OSError, msgspec.DecodeError):
            return None

    def close(self, session: str) -> None:
        """The session ends with everything in it; a repeat changes nothing."""
        if not SESSION.fullmatch(session):
            return
        try:
            with contextlib.closing(wire.connected(self.folder / session)) as line:
                line.setblocking(True)
                line.sendall(wire.packed(wire.END, b""))
        except OSError:
            self.forget(session)

    def forget(self, session: str) -> None:
        """The folder of a host that is gone goes too; one that still starts is ended."""
        place = self.folder / session
        with contextlib.suppress(OSError, ValueError):
            pid = int((place / wire.PID).read_text(encoding="ascii"))
            if _is_host(pid, place):
                os.kill(pid, 9)
        for name in (wire.SOCKET, wire.PID, wire.SETTINGS, f"{wire.SETTINGS}.partial"):
            (place / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            place.rmdir()

    def end(self, within_s: float = _ENDS_S) -> None:
        """Every session is over, whoever has it open; one that does not end by itself is ended."""
        for session in self.sessions():
            self.close(session)
        deadline = time.monotonic() + within_s
        while left := self.sessions():
            if time.monotonic() > deadline:
                for session in left:
                    self.forget(session)
                return
            time.sleep(_LOOK_S)

    def is_dead(self, session: str) -> bool:
        """True when the host has ended without leaving its folder, or never began in a minute."""
        place = self.folder / session
        try:
            pid = int((place / wire.PID).read_text(encoding="ascii"))
            return not _is_host(pid, place)
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                return time.time() - place.stat().st_mtime > _BEGINS_S
        except (OSError, ValueError):
            return False
        return False

    def reap(self) -> None:
        """Hosts that have ended are no zombies of ours any longer."""
        self._children = [child for child in self._children if child.poll() is None]

    def _start(self, place: Path) -> None:
        # In a session of its own, with nothing of ours but its folder: it outlives this program.
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        log = self.folder / "hosts.log"
        with log.open("ab") as out:
            self._children.append(
                subprocess.Popen(
                    [sys.executable, "-m", "agent.terminal", str(place)],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    env=environment,
                    start_new_session=True,
                )
            )


def _is_host(pid: int, place: Path) -> bool:
    # The number may belong to another program by now.
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return os.fsencode(place) in words
