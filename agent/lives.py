"""Which containers of this node are alive, by the keepers' folders and /proc alone.

Neither the agent nor an engine is asked. A container is the first process of its pid namespace:
the kernel keeps that until all others of it are gone, those that cannot be interrupted included.
It is held by a pidfd from its first sight on, so no other process is taken for it, and no folder
that goes makes it forgotten. What a tenant's process could keep us waiting for (its arguments, its
environment) is never read.
"""

import contextlib
import errno
import os
import select
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from msgspec import Struct

from agent.engine import Order, read_order
from agent.keeper import read_deadline, read_seen

_PROC: Final = Path("/proc")
_OVER: Final = ("stopped", "failed")
_NOT_THERE: Final = (errno.ESRCH, errno.EINVAL, errno.ENOENT)


class Life(Struct):
    """A first process that has not ended. `late_s`: since when it is seen past its deadline, on
    CLOCK_MONOTONIC: a machine that slept through a deadline gets its time to end what is late.
    """

    allocation: str
    pidfd: int
    deadline_us: int = 0
    late_s: float | None = None


class Lives:
    """What one program remembers of the containers under `folder`; by the pid of their first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lives: dict[int, Life] = {}
        self.expected: set[str] = set()

    def look(self, now_us: int, at_s: float) -> tuple[float, str]:
        """For how long the latest one was seen past its deadline, and a sentence about it; 0 and
        none when all is in order. `now_us`: boot time. Raises: OSError when nobody can tell.
        """
        self._drop_ended()
        self._find()
        worst = (0.0, "")
        for pid, one in self._lives.items():
            one.deadline_us = read_deadline(self._folder / one.allocation)
            late_us = now_us - one.deadline_us
            if late_us <= 0:
                one.late_s = None
                continue
            one.late_s = at_s if one.late_s is None else one.late_s
            past = (
                f"{late_us / 1e6:.1f} s past its deadline"
                if one.deadline_us
                else "without a deadline"
            )
            worst = max(worst, (at_s - one.late_s, f"{one.allocation} (pid {pid}) runs {past}"))
        return worst

    @property
    def empty(self) -> bool:
        """Nothing lives, and no order says that something shall, as of the last look."""
        return not self._lives and not self.expected

    def _drop_ended(self) -> None:
        for pid, one in list(self._lives.items()):
            if select.select([one.pidfd], [], [], 0)[0]:
                os.close(one.pidfd)
                del self._lives[pid]

    def _find(self) -> None:
        """Whatever a keeper saw, and what was begun by an engine before its keeper saw it."""
        orders = self._orders()
        self.expected = {order.allocation for order in orders}
        for order in orders:
            seen = read_seen(self._folder / order.allocation)
            if seen is not None and seen.pid and len(_pids(seen.pid)) > 1:
                self._hold(seen.pid, order.allocation)
        held = {one.allocation for one in self._lives.values()}
        missing = [order for order in orders if order.allocation not in held]
        for pid, parent in _firsts() if missing else ():
            name = _begun_by(parent, missing) if pid not in self._lives else ""
            if name:
                self._hold(pid, name)

    def _orders(self) -> list[Order]:
        """Of what is not over, oldest first: a pid that was used again is the newest one's."""
        found = []
        # Without the folder nothing is ordered; what is held stays so, and has no deadline.
        for folder in self._folder.iterdir() if self._folder.exists() else ():
            order, seen = read_order(folder), read_seen(folder)
            if order is not None and (seen is None or seen.state not in _OVER):
                found.append(order)
        return sorted(found, key=lambda one: one.started_us)

    def _hold(self, pid: int, allocation: str) -> None:
        if pid in self._lives:
            self._lives[pid].allocation = allocation
            return
        try:
            handle = os.pidfd_open(pid)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return
            raise
        # Looked at once it is held: from here on the number means this process.
        if _pids(pid)[-1:] == (1,):
            self._lives[pid] = Life(allocation, handle)
        else:
            os.close(handle)


def _firsts() -> Iterator[tuple[int, int]]:
    """Each first process of a pid namespace just below ours, and its parent."""
    for pid in [int(place.name) for place in _PROC.iterdir() if place.name.isdigit()]:
        status = _status(pid)
        if status.get("NSpid", "").split()[1:] == ["1"]:
            yield pid, int(status["PPid"])


def _begun_by(parent: int, missing: list[Order]) -> str:
    """Whose the child of an engine's own process is, by what that was begun with; else empty.

    Podman's monitor has the container's name, bubblewrap's outer process its marks. One inside a
    namespace is a tenant's, and is not read.
    """
    if len(_pids(parent)) != 1:
        return ""
    with contextlib.suppress(OSError):
        argv = (_PROC / str(parent) / "cmdline").read_bytes().split(b"\0")
        marks = (_PROC / str(parent) / "environ").read_bytes().split(b"\0")
        for order in missing:
            if argv[0].endswith(b"conmon") and (b"-n", order.name.encode()) in pairwise(argv):
                return order.allocation
            if all(f"GPUAAS_{key}={value}".encode() in marks for key, value in _marks(order)):
                return order.allocation
    return ""


def _marks(order: Order) -> tuple[tuple[str, str], ...]:
    return (
        ("NODE", order.node), ("BOOT", order.boot), ("ALLOCATION", order.allocation),
        ("EPOCH", str(order.epoch)),
    )  # fmt: skip


def _pids(pid: int) -> tuple[int, ...]:
    """Its number in our pid namespace and in each one below that it is in; empty: not there."""
    return tuple(int(one) for one in _status(pid).get("NSpid", "").split())


def _status(pid: int) -> dict[str, str]:
    try:
        rows = (_PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return {}
    return dict(row.split(":", 1) for row in rows if ":" in row)
