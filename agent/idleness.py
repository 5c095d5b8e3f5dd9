"""Which usable runtimes nobody uses: looked at every few seconds, each change said once.

Used is: a device of it was at work, somebody is in it by SSH or a terminal, or it used CPU. What
cannot be known counts as used, and so does every time in which nobody looked: idle is said too late
rather than wrongly. Nothing inside is asked; all of it is read from the kernel and the driver.
"""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

from agent.clock import boottime_us
from agent.cpu_time import cpu_times_us
from agent.device_watch import Desk
from agent.devices import DeviceError
from agent.idle_bounds import Bounds
from agent.orders import Node, tell
from agent.runtimes import Observed
from contracts import fleet

_TOLD: Final = "SELECT state FROM told WHERE allocation = :allocation"
_ESTABLISHED: Final = "01"
# The keeper's probe is a connection, too: one of somebody's lasts longer than a probe may.
_SECOND_LOOK_S: Final = 1.2
_MISSED: Final = 4


class Used(Struct):
    """Of one runtime: since when it is usable, when it was last used, its CPU time as last read."""

    since_us: int
    last_us: int
    cpu_us: int | None


class Watcher:
    """What one agent process remembers of its runtimes; lost with it, they count as used then."""

    def __init__(self, node: Node, desk: Desk, bounds: Bounds) -> None:
        self.node = node
        self.desk = desk
        self.bounds = bounds
        self.known: dict[str, Used] = {}
        self.looked_us = 0

    async def look(self) -> int:
        """How many changes were said."""
        seen = [one for one in self.node.runtimes.observe(boottime_us()) if one.state == "usable"]
        at_work = await self._at_work(seen)
        entered = await asyncio.to_thread(self._entered, seen)
        times = await asyncio.to_thread(cpu_times_us, {one.pid for one in seen if one.pid})
        now_us = boottime_us()
        missed = now_us - self.looked_us > _MISSED * self.bounds.every_us
        before, self.known, said = self.known, {}, 0
        for one in seen:
            cpu_us = times.get(one.pid)
            mine = before.get(one.allocation)
            used = one.allocation in entered or bool(at_work & {*one.devices})
            if missed or mine is None or mine.since_us != one.since_us:
                mine = Used(one.since_us, now_us, cpu_us)
            elif used or self._computes(one, mine, cpu_us, now_us):
                used, mine.last_us = True, now_us
            mine.cpu_us = cpu_us
            self.known[one.allocation] = mine
            said += self._say(one, now_us - mine.last_us, used, now_us)
        self.looked_us = now_us
        return said

    def _computes(self, one: Observed, mine: Used, cpu_us: int | None, now_us: int) -> bool:
        if not one.pid:
            return False  # SIMULATED: nothing runs
        if cpu_us is None or mine.cpu_us is None:
            return True
        passed_us = max(1, now_us - self.looked_us)
        took_us = cpu_us - mine.cpu_us
        return took_us < 0 or took_us * 1000 > self.bounds.cpu_milli * passed_us

    async def _at_work(self, seen: Iterable[Observed]) -> set[int]:
        """Indexes of devices that are at work, or that do not say."""
        units = self.desk.units
        indexes = {at for one in seen for at in one.devices if at < len(units)}
        uuids = {units[at].uuid for at in indexes}

        def asked() -> dict[str, int | None]:
            return {uuid: self.desk.source.utilisation(uuid) for uuid in uuids}

        try:
            percent = await self.desk.ask(asked) if uuids else {}
        except DeviceError:
            percent = {}
        return {
            at
            for at in indexes
            if (found := percent.get(units[at].uuid)) is None or found > self.bounds.gpu_percent
        }

    def _entered(self, seen: list[Observed]) -> set[str]:
        """Allocations that somebody is in, by a terminal or by SSH. Takes a second where so."""
        desk = self.node.terminals
        settings = (desk.settings(name) for name in desk.sessions() if not desk.is_dead(name))
        found = {one.allocation for one in settings if one is not None}
        peers = {one.allocation: ssh_peers(one) for one in seen if one.allocation not in found}
        if any(peers.values()):
            time.sleep(_SECOND_LOOK_S)
        return found | {
            one.allocation
            for one in seen
            if (first := peers.get(one.allocation)) and first & ssh_peers(one)
        }

    def _say(self, one: Observed, idle_us: int, used: bool, now_us: int) -> int:
        """1 when it was said that it is idle, or used again. After `usable` only.

        Where nobody looked, what was said before stands: neither is it idle anew, nor used.
        """
        conn, key = self.node.store.conn, f"{one.allocation}/idle"
        usable = conn.execute(_TOLD, {"allocation": one.allocation}).fetchone()
        if usable is None or usable[0] != "usable":
            return 0
        # What was said of it while it was usable before counts for nothing.
        spell = f"idle {one.since_us}"
        row = conn.execute(_TOLD, {"allocation": key}).fetchone()
        told = row is not None and row[0] == spell
        if not (used if told else idle_us >= self.bounds.after_us):
            return 0
        said: fleet.Said = {} if told else {"idle_us": idle_us}
        with self.node.store.transaction():
            message = self.node.spool.add(
                fleet.BUSY if told else fleet.IDLE, one.runtime, now_us, said
            )
            tell(self.node, key, "busy" if told else spell, message)
        return 1


async def watch(watcher: Watcher, wake: asyncio.Event) -> None:
    """Never returns: who is idle, and who is used again, goes into the spool."""
    while True:
        if await watcher.look():
            wake.set()
        await asyncio.sleep(watcher.bounds.every_us / 1e6)


def ssh_peers(one: Observed) -> set[str]:
    """Who has a connection to its sshd, as addresses and ports; seen through its first process."""
    port = 0 if one.route is None else one.route.port
    found = set()
    for table in ("tcp", "tcp6") if one.pid and port else ():
        try:
            rows = Path(f"/proc/{one.pid}/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            _, local, peer, state, *_ = row.split()
            if state == _ESTABLISHED and int(local.rpartition(":")[2], 16) == port:
                found.add(peer)
    return found
