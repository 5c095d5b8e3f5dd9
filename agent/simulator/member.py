"""One agent of the crowd: the real journal, spool, lease and signatures, in this program's memory.

Everything an agent decides is decided by the modules a real one runs (`orders`, `watch`, `lease`,
`spool`); only the loops around them are other ones: a timer a heartbeat in place of eleven tasks.
Its durable state outlives `restart` (a kill -9 of the agent) and `reboot` (of its machine), as a
disk would, and is gone with the simulator. GPUs and runtimes are SIMULATED.
"""

import asyncio
import random
import ssl
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from agent import clock, lease, orders, watch
from agent.link import Backoff
from agent.orders import Node
from agent.simulated import SimulatedRuntimes
from agent.simulator.figures import Figures
from agent.simulator.line import Heard, Line
from agent.spool import Spool, Spooled
from agent.store import Store
from agent.terminal.desk import Terminals
from contracts import fleet
from contracts.fleet import CMD_STREAM
from contracts.signing import FleetError

_NATS_PORT: Final = 4222
_MEMORY: Final = Path(":memory:")
_PULL: Final = b'{"expires":4900000000,"batch":16}'
_PULL_S: Final = 5.0
_ENTER_S: Final = 10.0
_ANSWER_S: Final = 5.0
_NOBODY: Final = 503
_AGAIN_S: Final = 0.5
_RESEND_S: Final = 2.0
_MAX_DOUBLINGS: Final = 5


class Identity(Struct, frozen=True):
    """What enrolment left a node: its id, its keys, whom it obeys, with what it enters tls://."""

    node: str
    event: Ed25519PrivateKey
    nats: Ed25519PrivateKey
    command_key: str
    tls: ssl.SSLContext | None = None


class Habits(Struct, frozen=True):
    """How every member of a crowd behaves. Times in us; as a real agent's unless told otherwise."""

    gpus: int = 1
    usable_after_us: int = 500_000
    heartbeat_us: int = fleet.HEARTBEAT_US
    renew_us: int = fleet.RENEW_US


class NoTerminals(Terminals):
    """A SIMULATED member has no room for PTYs: opening one is refused, signed."""

    def __init__(self, node: str) -> None:  # no folder is made
        self.node = node

    def open(self, *_what: object) -> None:
        """Raises: FleetError terminal.too_many."""
        raise FleetError("terminal.too_many", "a simulated agent of a crowd opens none")

    def close(self, session: str) -> None:
        """There is none."""


class Member:
    """An agent and the machine it runs on; owned by one event loop, moved by its timers."""

    def __init__(
        self, who: Identity, habits: Habits, chance: random.Random, figures: Figures, nats_url: str
    ) -> None:
        self.who = who
        self.habits = habits
        self.figures = figures
        self.silent = False
        self.line: Line | None = None
        self.sent: dict[int, tuple[float, int]] = {}
        self.lease_sent = 0.0
        self.renewed_at = 0.0
        self.hurried = False
        self._renewals = 0
        self._next_lease = 0.0
        self._chance = chance
        url = urlsplit(nats_url)
        self._host, self._port = url.hostname or "127.0.0.1", url.port or _NATS_PORT
        self._tls = who.tls if url.scheme == "tls" else None
        self._inbox = fleet.inbox_prefix(who.node)
        self._booted_us = 0
        self.boots = 0
        self._store = Store.in_memory()
        self._backoff = Backoff(chance)
        # Not all at once: a crowd that began together renews spread over the whole interval.
        self._first_renewal_us = int(habits.renew_us * chance.random())
        self._beating: asyncio.TimerHandle | None = None
        self._pulling: asyncio.TimerHandle | None = None
        self._entering: asyncio.Task[None] | None = None
        self._ended = False
        self.node = self._booted()

    # --- life of the machine and of its agent

    def start(self) -> None:
        """Connects within a heartbeat, at an instant of its own, and beats from then on."""
        loop = asyncio.get_running_loop()
        loop.call_later(self.habits.heartbeat_us / 1e6 * self._chance.random(), self._connect)

    def stop(self) -> None:
        """For good: the connection ends, nothing is said any more."""
        self._ended = True
        self._still()
        if self._entering is not None:
            self._entering.cancel()
        if self.line is not None:
            self.line.cut()

    def cut(self) -> None:
        """The network between this node and NATS breaks; the agent connects anew."""
        if self.line is not None:
            self.line.cut()

    def restart(self) -> None:
        """Kill -9 of the agent, begun again at once: what was only in memory is forgotten."""
        self.sent.clear()
        self.lease_sent = 0.0
        orders.resume(self.node, self.now_us())
        self.cut()

    def reboot(self) -> None:
        """The machine starts anew: another boot id, a boot clock near nothing, no runtime left."""
        self._booted_us = clock.boottime_us()
        self.sent.clear()
        self.lease_sent = 0.0
        self.node.runtimes.close()
        self.node = self._booted()
        self.cut()

    def now_us(self) -> int:
        """This machine's CLOCK_BOOTTIME."""
        return clock.boottime_us() - self._booted_us

    def hush(self) -> None:
        """The machine hangs: connected, and it says nothing."""
        self.silent = True

    def speak(self) -> None:
        """It goes on, with a heartbeat at once."""
        self.silent = False
        self._say_beat()

    def hurry(self) -> None:
        """The next time it is let in, it asks for its lease at once, due or not."""
        self.hurried = True
        self.renewed_at = self._next_lease = 0.0

    def lives(self) -> bool:
        """True while a runtime runs here."""
        seen = self.node.runtimes.observe(self.now_us())
        return any(one.state not in {"stopped", "failed"} for one in seen)

    # --- what it says

    def pump(self) -> None:
        """What has no receipt is sent, oldest first, as `link.send_spool` does."""
        if self.line is None or not self.line.is_in or self.silent:
            return
        pending = self.node.spool.pending()
        if len(self.sent) > len(pending):
            held = {row.id for row in pending}
            self.sent = {one: how for one, how in self.sent.items() if one in held}
        for place, row in enumerate(pending):
            if place > 0 and (row.lease or row.boot != pending[0].boot):
                break
            self._send(self.line, row)
            if row.lease:
                break

    def look(self) -> None:
        """Changes of state and a due renewal go into the spool, and out."""
        now_us = self.now_us()
        watch.report(self.node, now_us)
        renew_us = self.habits.renew_us if self._renewals else self._first_renewal_us
        now = time.monotonic()
        due_us = 0 if self.hurried else renew_us
        if now >= self._next_lease and watch.renew(self.node, now_us, due_us):
            self._next_lease = now + min(_ANSWER_S, renew_us / 1e6 / 4)
        self.pump()

    def _beat(self) -> None:
        self._beating = asyncio.get_running_loop().call_later(
            self.habits.heartbeat_us / 1e6, self._beat
        )
        self._say_beat()

    def _say_beat(self) -> None:
        if self.line is None or self.silent:
            return
        word = fleet.Beat("gpuaas-beat/1", self.who.node, self.node.boot, self.now_us())
        self.line.publish(
            fleet.subject(self.who.node, "hb"), fleet.beat_message(self.who.event, word)
        )
        self.figures.beats += 1
        self.look()

    def _send(self, line: Line, row: Spooled) -> None:
        now = time.monotonic()
        again_at, times = self.sent.get(row.id, (0.0, 0))
        if now < again_at:
            return
        if row.lease:
            line.publish(fleet.subject(self.who.node, "lease"), row.message, f"{self._inbox}.lease")
            # The wait is counted from the first time it was asked, however often it had to be.
            self.lease_sent = self.lease_sent or now
            self.sent[row.id] = (now + _ANSWER_S, times)
            self.figures.asked += 1
            return
        line.publish(fleet.subject(self.who.node, "evt"), row.message, f"{self._inbox}.stored")
        self.sent[row.id] = (now + _RESEND_S * 2 ** min(times, _MAX_DOUBLINGS), times + 1)
        self.figures.said += 1

    def _pull(self) -> None:
        self._pulling = asyncio.get_running_loop().call_later(_PULL_S, self._pull)
        if self.line is not None:
            where = f"$JS.API.CONSUMER.MSG.NEXT.{CMD_STREAM}.{self.who.node}"
            self.line.publish(where, _PULL, f"{self._inbox}.cmd")

    # --- what it hears

    def _heard(self, heard: Heard) -> None:
        if heard.status == _NOBODY:
            # Nobody serves that subject yet: everything is offered again soon.
            self.sent.clear()
            asyncio.get_running_loop().call_later(_AGAIN_S, self.pump)
        if heard.subject.endswith(".stored"):
            return
        if heard.reply.startswith("$JS.ACK."):
            self._ordered(heard)
        elif heard.status == 0 and heard.subject.endswith((".receipt", ".lease")):
            self._received(heard.data)

    def _ordered(self, heard: Heard) -> None:
        if self.silent:
            return
        answer = orders.handle(self.node, heard.data, self.now_us())
        self.figures.count(f"cmd_{answer.refused or 'done'}")
        if self.line is not None:
            if answer.again is not None:
                self.line.publish(
                    fleet.subject(self.who.node, "evt"), answer.again, f"{self._inbox}.stored"
                )
            self.line.publish(heard.reply, b"+ACK")
        self.look()
        asyncio.get_running_loop().call_later(self.habits.usable_after_us / 1e6 + 0.01, self.look)

    def _received(self, raw: bytes) -> None:
        try:
            receipt = fleet.open_receipt(raw, self.who.command_key)
        except FleetError as error:
            self.figures.count(error.code)
            return
        if receipt.code == "event.seq_reused":
            self.figures.count(receipt.code)
            self.stop()
            return
        freed = watch.obey(self.node, receipt, self.now_us())
        if freed and isinstance(receipt.granted, fleet.Granted):
            self.renewed_at = time.monotonic()
            self.hurried = False
            self._renewals += 1
            self.figures.leased(self.renewed_at - self.lease_sent)
        elif freed and self.lease_sent and isinstance(receipt.code, str):
            self.figures.count(receipt.code)
        if freed and not self.node.spool.lease_pending():
            self.lease_sent = 0.0
        if freed:
            self.look()

    # --- its connection

    def _connect(self) -> None:
        if self._ended or self._entering is not None:
            return
        self._entering = asyncio.create_task(self._enter())

    async def _enter(self) -> None:
        line = Line(
            self.who.node, self.who.nats, f"{self._inbox}.>", self._heard, self._let_in, self._over
        )
        self.line = line
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: line, self._host, self._port, ssl=self._tls)
        except OSError:
            self._over()
            return
        # A server that does not say whether we are in is left, as `link.connect` does.
        await asyncio.sleep(_ENTER_S)
        if not line.is_in:
            line.cut()

    def _let_in(self) -> None:
        self._backoff = Backoff(self._chance)
        self.figures.entered += 1
        if self._entering is not None:
            self._entering.cancel()
        self._pull()
        self._beat()

    def _over(self) -> None:
        self.line = None
        self._still()
        self._entering = None
        if not self._ended:
            asyncio.get_running_loop().call_later(self._backoff.next_s(), self._connect)

    def _still(self) -> None:
        for timer in (self._beating, self._pulling):
            if timer is not None:
                timer.cancel()

    def _booted(self) -> Node:
        self.boots += 1
        who = self.who
        boot = clock.boot_of(who.node, f"SIMULATED {self.boots}")
        runtimes = SimulatedRuntimes(_MEMORY, boot, self.habits.gpus, self.habits.usable_after_us)
        spool = Spool(self._store, who.event, who.node, boot)
        node = Node(
            *(who.node, boot, who.command_key, self._store, spool, runtimes),
            NoTerminals(who.node), self.habits.gpus,
        )  # fmt: skip
        watch.announce(node, self.now_us())
        orders.resume(node, self.now_us())
        return node

    def held_until_us(self) -> int:
        """Until when its ownership lease lets runtimes run here; 0 without one."""
        held = lease.held(self._store, self.node.boot)
        return 0 if held is None else held.until_us
