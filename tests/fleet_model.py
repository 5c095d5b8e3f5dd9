"""The lease, epoch and fencing protocol without I/O: real deciders, simulated clocks and messages.

The control plane is the real `FleetState`, `words.meaning`, `leases`, `commands` and the deciders
of node, runtime and volume. Some nodes have two devices and a volume that every runtime wants. The agent's rules are the arithmetic of `agent/lease.py` and those of
`agent/orders.py` told again in memory. Clocks, network and machines are made up from a seed: slow
and fast clocks, delays, loss, repeats, partitions, crashes of the agent, of the control plane and
of the machine. Everything SIMULATED; times in us of one true clock that nobody in it can read.
"""

import base64
import heapq
import random
from collections.abc import Callable
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from agent import lease
from api.fleet import commands, leases
from api.fleet.leases import Timing
from api.fleet.state import FleetState, LiveRuntime
from api.fleet.words import Ending, Nothing, cause_of, meaning, revoked_of
from contracts import fleet
from contracts.fleet import Attested, Body, Command, StartRuntime, StopRuntime
from domain import node, runtime, volume, words
from domain.errors import DomainError
from domain.instants import Anchor
from domain.words import Gpu, Private, Share
from evidence.append import Append
from evidence.reader import Recorded

SECOND: Final = 1_000_000
HORIZON_US: Final = 2_000 * SECOND
NODE: Final = "node-01936f00-0000-7000-8000-000000000001"
ORG: Final = "organization-01936f00-0000-7000-8000-000000000001"
KEY: Final = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
_PRIVATE: Final = Private("0" * 64)
VOLUME: Final = "volume-01936f00-0000-7000-8000-000000000001"
_EPOCH_US: Final = 1_700_000_000 * SECOND
MOST_DRIFT_PPM: Final = 1_000  # MONEY.md section 5: 0.1 % of a lease
_ORPHAN_US: Final = 60 * SECOND


class Rules(Struct, frozen=True):
    """What the protocol rests on. A mutant is a schedule run with one of these wrong."""

    timing: Timing = Timing()
    fenced: bool = True  # the agent refuses what its fences, its boot and the expiry refuse
    from_reply: bool = False  # the agent counts its lease from the reply, not from the request
    kept: bool = True  # the keeper ends a container at its deadline, agent or not
    hears: bool = True  # the platform follows the node's clock by its heartbeats
    timed: bool = True  # nothing is started by a clock not heard lately, or decided before a boot
    held: bool = True  # a volume is let go with its runtime's end, not when that is asked to stop
    in_turn: bool = True  # a boot says nothing before the last word of the boot before is held


RIGHT: Final = Rules()


class Found(Struct):
    """What a schedule went through, so that a run can show that it was no idle one."""

    launched: int = 0
    usable: int = 0
    stopped: int = 0
    lost: int = 0
    expired: int = 0
    reboots: int = 0
    crashes: int = 0
    cuts: int = 0
    renewed: int = 0
    refused: int = 0
    attached: int = 0


class BrokenError(AssertionError):
    """An invariant did not hold."""


class Container(Struct):
    """What physically runs: `over_us` true time of its end; `deadline_us` of the boot clock."""

    runtime: str
    allocation: str
    began_us: int
    deadline_us: int
    ready_us: int
    told: str = "starting"
    usable_us: int = 0  # boot clock of the word that said usable
    over_us: int = 0
    over_boot_us: int = 0
    lapsing: bool = False
    boot: str = ""
    booted_us: int = 0
    devices: tuple[int, ...] = ()
    writes: bool = False  # it has the volume


class Word(Struct, frozen=True):
    event: Attested
    body: Body
    nonce: str
    sent_true_us: int


class Schedule:
    """One seed from beginning to end; `run` raises BrokenError where an invariant does not hold."""

    def __init__(self, seed: int, rules: Rules = RIGHT) -> None:
        self.chance = random.Random(seed)
        self.rules = rules
        self.seed = seed
        self.found = Found()
        self.true_us = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.calm = self.chance.random() < 0.3  # only outages shorter than a lease may kill nobody
        self.settling = False
        # control plane
        self.state = FleetState()
        self.position = 0
        self.plane_up = True
        self.seen_us = self.opened_us = 0
        self.seqs: dict[str, int] = {}
        self.answers: dict[tuple[str, int], fleet.Receipt] = {}
        self.launches = 0
        self.sent_at: dict[int, int] = {}
        # network
        self.cut_until_us = 0
        self.slow = self.chance.choice((1, 1, 10, 100))
        self.loss = self.chance.choice((0.0, 0.05, 0.3))
        # node
        self.ppm = self.chance.choice(
            (
                -MOST_DRIFT_PPM,
                0,
                MOST_DRIFT_PPM,
                self.chance.randint(-MOST_DRIFT_PPM, MOST_DRIFT_PPM),
            )
        )
        # It may have been up for days before it was anchored, and stays up for weeks.
        self.booted_us = -self.chance.choice((0, 3_600, 10 * 86_400, 100 * 86_400)) * SECOND
        self.boots = 1
        self.machine_up = True
        self.agent_up = True
        self.anchor_delay_us = {self.boot_name(1): 0}
        self.journal: set[int] = set()
        self.fences: dict[str, tuple[int, int, bool]] = {}
        self.spool: list[Word] = []
        self.last_seq = 0
        self.nonces: list[str] = []
        self.held: lease.Held | None = None
        self.containers: dict[str, Container] = {}
        self.asked_true_us: dict[int, int] = {}
        self.devices = 2 if seed % 4 == 0 else 1
        self.writers: set[str] = set()  # allocations that the volume was given to
        gpus = tuple(Gpu(at, f"GPU-SIMULATED-{at}") for at in range(self.devices))
        self._append(NODE, "-", (
            node.Invited(_PRIVATE, "T4", "0" * 64, self.now_us() + 10**12, self.now_us()),
            node.Enrolled("k", "T4", True, gpus, "S", self.now_us()),
        ))  # fmt: skip

    # ---------------------------------------------------------------- clocks and the queue

    def now_us(self) -> int:
        """The platform's clock: the true one."""
        return _EPOCH_US + self.true_us

    def boot_us(self, true_us: int | None = None) -> int:
        """The node's CLOCK_BOOTTIME."""
        ran = (self.true_us if true_us is None else true_us) - self.booted_us
        return ran + ran * self.ppm // 1_000_000

    @property
    def boot(self) -> str:
        return self.boot_name(self.boots)

    def boot_name(self, number: int) -> str:
        return f"{number:032x}"

    def at(self, delay_us: int, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.true_us + delay_us, self._count, what))

    def run(self) -> Found:
        """What happened, when every invariant held."""
        self._anchored_long_ago()
        self.at(0, self._tick_agent)
        self.at(SECOND, self._tick_plane)
        if self.calm:
            self.slow = min(self.slow, 10)
            for begin in range(0, HORIZON_US, 800 * SECOND):
                self.at(begin + self.chance.randint(0, 200 * SECOND), self._trouble)
        else:
            for _ in range(self.chance.randint(2, 6)):
                self.at(self.chance.randint(0, HORIZON_US), self._trouble)
        while self._queue and self._queue[0][0] < HORIZON_US:
            self.true_us, _, what = heapq.heappop(self._queue)
            what()
        self._settle()
        return self.found

    def _settle(self) -> None:
        """Everything reachable: a minute later nothing runs that the log does not allow."""
        self.cut_until_us = 0
        self.slow, self.loss, self.settling = 1, 0.0, True
        self._return_machine()
        self.plane_up = self.agent_up = True
        end = self.true_us + _ORPHAN_US + 15 * SECOND
        while self._queue and self._queue[0][0] < end:
            self.true_us, _, what = heapq.heappop(self._queue)
            what()
        for one in self.containers.values():
            live = self.state.runtimes.get(one.runtime)
            if not one.over_us and (live is None or live.allocation != one.allocation):
                raise BrokenError(f"seed {self.seed}: {one.runtime} is an orphan after a minute")

    def _anchored_long_ago(self) -> None:
        """The first boot was anchored when it began, perhaps weeks before the schedule."""
        self._announce()
        word = self.spool.pop()
        at = _EPOCH_US + self.booted_us
        said = words.Attested(NODE, "k", self.boot, 1, word.event.body, "")
        position = self._append(NODE, "-", (node.Anchored(self.boot, 0, at, said),))
        self.seqs[self.boot] = 1
        self.nonces.append(leases.nonce_of(KEY, NODE, position))
        if self.devices > 1:
            made = volume.Created("p", "d", "a", NODE, _PRIVATE, 16, at)
            self._append(VOLUME, ORG, (made,))
            asked_at = self.state.volumes.known[VOLUME].asked_at
            self._append(
                VOLUME, ORG, (volume.Formatted(asked_at, "SIMULATED", 1, 0, at, at, said),)
            )

    # ---------------------------------------------------------------- troubles

    def _trouble(self) -> None:
        if self.settling:
            return
        short = 240 * SECOND  # with a renewal every 120 s no lease ends in it
        longest = short if self.calm else 900 * SECOND
        lasting = self.chance.randint(SECOND, longest)
        kinds = ("cut", "agent", "plane") if self.calm else ("cut", "agent", "plane", "reboot")
        match self.chance.choice(kinds):
            case "cut":
                self.found.cuts += 1
                self.cut_until_us = max(self.cut_until_us, self.true_us + lasting)
            case "agent":
                self.found.crashes += 1
                self.agent_up = False
                self.at(lasting, self._begin_agent)
            case "plane":
                self.found.crashes += 1
                self.plane_up = False
                self.at(lasting, self._begin_plane)
            case _:
                self.found.reboots += 1
                self._power_off()
                self.at(lasting // 4, self._return_machine)
        if not self.calm:
            self.at(self.chance.randint(SECOND, HORIZON_US), self._trouble)

    def _begin_agent(self) -> None:
        self.agent_up = True

    def _begin_plane(self) -> None:
        self.plane_up = True
        self.opened_us = self.now_us()  # silence is no proof of anything yet
        self.sent_at.clear()
        self.state.nodes[NODE].clock = Anchor("", 0, 0)  # only its memory knew

    def _power_off(self) -> None:
        self.machine_up = False
        for one in self.containers.values():
            self._over(one)

    def _return_machine(self) -> None:
        if self.machine_up:
            return
        self.machine_up = True
        self.boots += 1
        self.booted_us = self.true_us
        self.held, self.last_seq = None, 0
        self.nonces.clear()
        for one in self.containers.values():
            one.told = "stopped"  # the new boot knows nothing of them
        self._announce()

    # ---------------------------------------------------------------- network

    def _carry(self, deliver: Callable[[], None]) -> None:
        """Late, lost or twice: as the network likes."""
        if self.true_us < self.cut_until_us or self.chance.random() < self.loss:
            return
        times = 2 if self.chance.random() < 0.1 else 1
        for _ in range(times):
            self.at(self.chance.randint(1_000, 500_000) * self.slow, deliver)

    # ---------------------------------------------------------------- the node

    def _announce(self) -> None:
        self._say(fleet.ANCHORED, NODE, {}, "")

    def _say(self, tag: str, stream: str, said: fleet.Said, nonce: str) -> None:
        self.last_seq += 1
        boottime = self.boot_us()
        body = Body("gpuaas-attest/1", NODE, self.boot, self.last_seq, tag, stream, boottime, said)
        raw = base64.b64encode(msgspec.json.encode(body)).decode()
        event = Attested(NODE, "k", self.boot, self.last_seq, raw, "")
        self.spool.append(Word(event, body, nonce, self.true_us))

    def _tick_agent(self) -> None:
        self.at(self.chance.randint(6 * SECOND, 14 * SECOND), self._tick_agent)
        if not (self.machine_up and self.agent_up):
            return
        self._look()
        beat = (self.boot, self.boot_us())
        self._carry(lambda: self._beaten(*beat))
        for place, word in enumerate(self.spool[:8]):
            if place > 0 and (word.nonce or (self.rules.in_turn and self._newer(word))):
                break
            self._carry(lambda word=word: self._heard(word))  # type: ignore[misc]
            if word.nonce:
                break

    def _newer(self, word: Word) -> bool:
        # Words of a boot wait for the receipts of all words of the boots before it.
        return word.event.boot != self.spool[0].event.boot

    def _look(self) -> None:
        """`watch.report` and `watch.renew`."""
        alive = False
        usable = []
        for one in self.containers.values():
            if one.over_us:
                if one.told != "stopped" and one.over_boot_us >= 0:
                    one.told = "stopped"
                    self._say_at(fleet.STOPPED, one, one.over_boot_us)
                continue
            alive = True
            if self.true_us >= one.ready_us:
                if one.told == "starting":
                    one.told, one.usable_us = "usable", self.boot_us()
                    self._say(fleet.USABLE, one.runtime, {}, "")
                usable.append(one.runtime)
        pending = any(word.nonce for word in self.spool)
        if (
            alive
            and self.nonces
            and not pending
            and lease.is_due(self.held, self.boot_us(), fleet.RENEW_US)
        ):
            self._say(fleet.LEASE_RENEWED, NODE, {"runtimes": sorted(usable)}, self.nonces[-1])

    def _say_at(self, tag: str, one: Container, boottime_us: int) -> None:
        self._say(tag, one.runtime, {}, "")
        word = self.spool.pop()
        body = msgspec.structs.replace(word.body, boottime_us=boottime_us)
        raw = base64.b64encode(msgspec.json.encode(body)).decode()
        event = msgspec.structs.replace(word.event, body=raw)
        self.spool.append(Word(event, body, "", word.sent_true_us))

    def _ordered(self, order: Command) -> None:
        """`orders.handle`: the journal, `check`, the effect."""
        if not (self.machine_up and self.agent_up) or order.number in self.journal:
            return
        if self.rules.fenced and not self._passes(order):
            self.found.refused += 1
            return
        self.journal.add(order.number)
        stops = isinstance(order.order, StopRuntime)
        stopped = self.fences.get(order.allocation, (0, 0, False))[2] or stops
        self.fences[order.allocation] = (order.epoch, order.number, stopped)
        if isinstance(order.order, StartRuntime):
            self._start(order, order.order)
        elif isinstance(order.order, StopRuntime):
            one = self.containers.get(order.allocation)
            if one is None:
                self._say(fleet.STOPPED, order.order.runtime, {}, "")
            elif not one.over_us:
                self._over(one)

    def _passes(self, order: Command) -> bool:
        if order.boot != self.boot or self.boot_us() >= order.expires_boottime_us:
            return False
        if order.nonce in self.nonces[:-2]:
            return False
        fence = self.fences.get(order.allocation)
        if fence is None:
            return True
        epoch, number, stopped = fence
        late = order.epoch != epoch or order.number < number
        return not (late or (stopped and isinstance(order.order, StartRuntime)))

    def _start(self, order: Command, start: StartRuntime) -> None:
        wanted = tuple(share.index for share in start.devices)
        busy = {
            index for one in self.containers.values() if not one.over_us for index in one.devices
        }
        if busy & set(wanted) or order.allocation in self.containers:
            return  # pre-flight: device.busy
        self._must_own(start.runtime, order.allocation)
        held = lease.Held(start.lease_boottime_us, self.boot_us())
        self.held = held if self.held is None else lease.Held(
            max(held.until_us, self.held.until_us), max(held.renewed_us, self.held.renewed_us))  # fmt: skip
        made = Container(
            *(start.runtime, order.allocation, self.true_us, start.lease_boottime_us),
            self.true_us + self.chance.randint(0, 20 * SECOND),
            boot=self.boot,
            booted_us=self.booted_us,
            devices=wanted,
            writes=order.allocation in self.writers,
        )
        self.containers[order.allocation] = made
        self._keep(made)

    def _keep(self, one: Container) -> None:
        """The keeper, outside the agent: it looks again when the deadline it knows has come."""
        if one.over_us or not self.rules.kept:
            return
        left = one.deadline_us - self.boot_us()
        if left > 0:
            # Rounded up: the keeper's clock runs as the node's does.
            wait = left * 1_000_000 // (1_000_000 + self.ppm) + 2
            self.at(wait, lambda: self._keep(one))
        elif not one.lapsing:
            one.lapsing = True
            self.at(self.chance.randint(0, fleet.STOP_LATENCY_US), lambda: self._lapse(one))

    def _lapse(self, one: Container) -> None:
        if one.over_us:
            return
        self.found.expired += 1
        self._over(one)
        if self.calm:
            raise BrokenError(f"seed {self.seed}: a short outage ended {one.runtime}")

    def _over(self, one: Container) -> None:
        if not one.over_us:
            one.over_us = max(1, self.true_us)
            # What a reboot ended nobody attests: the boot clock of its end is gone.
            one.over_boot_us = self.boot_us() if self.machine_up else -1

    def _obey(self, receipt: fleet.Receipt) -> None:
        """`watch.obey`."""
        if not (self.machine_up and self.agent_up):
            return
        mine = [w for w in self.spool if (w.event.boot, w.event.seq) == (receipt.boot, receipt.seq)]
        if not mine:
            return
        self.spool.remove(mine[0])
        if receipt.boot != self.boot:
            return
        if isinstance(receipt.nonce, str):
            self.nonces.append(receipt.nonce)
        if isinstance(receipt.granted, fleet.Granted):
            until = receipt.granted.until_boottime_us
            if self.rules.from_reply:
                until = self.boot_us() + fleet.LEASE_US
            renewed = receipt.granted.from_boottime_us
            held = self.held or lease.Held(0, 0)
            self.held = lease.Held(max(held.until_us, until), max(held.renewed_us, renewed))
            for one in self.containers.values():
                if not one.over_us and not one.lapsing and one.deadline_us > self.boot_us():
                    one.deadline_us = max(one.deadline_us, until)
        for name in receipt.revoked:
            for one in self.containers.values():
                if one.runtime == name:
                    self._over(one)

    # ---------------------------------------------------------------- the control plane

    def _append(self, stream: str, org: str, facts: tuple[Struct, ...]) -> int:
        for fact in facts:
            version = self._version(stream) + 1
            entry = Recorded(self.position, stream, version, "", org, "a", "c", self.now_us(), fact)
            self.state.apply(entry)
            self._watch_fact(stream, fact)
            self.position += 1
        return self.position - 1

    def _version(self, stream: str) -> int:
        if stream == NODE:
            known = self.state.nodes.get(NODE)
            return 0 if known is None else known.version
        if stream == VOLUME:
            stored = self.state.volumes.known.get(VOLUME)
            return 0 if stored is None else stored.version
        live = self.state.runtimes.get(stream)
        return 0 if live is None else live.version

    def _take(self, append: Append) -> int:
        last = -1
        for write in append.writes:
            last = self._append(write.stream, write.org, write.facts)
        return last

    def _beaten(self, boot: str, boottime_us: int) -> None:
        if self.plane_up:
            self.seen_us = self.now_us()
            if self.rules.hears:
                self.state.nodes[NODE].heard(boot, boottime_us, self.now_us())

    def _heard(self, word: Word) -> None:
        """`Ingest.receive`: by number, once, answered after the append."""
        if not self.plane_up:
            return
        body = word.body
        last = self.seqs.get(body.boot, 0)
        if body.seq > last + 1:
            return
        key = (body.boot, body.seq)
        if body.seq <= last:
            receipt = self.answers[key]
        else:
            receipt = self.answers[key] = self._answer(word)
            self.seqs[body.boot] = body.seq
        self._carry(lambda: self._obey(receipt))

    def _answer(self, word: Word) -> fleet.Receipt:
        body = word.body
        known = self.state.nodes[NODE]
        asked = meaning(self.state, word.event, body, self.now_us())
        if body.tag == fleet.LEASE_RENEWED and isinstance(asked, Append):
            expected = leases.nonce_of(KEY, NODE, known.nonce_position)
            if word.nonce != expected:
                asked = Nothing("lease.nonce")
        if isinstance(asked, Nothing):
            gone = revoked_of(known, body) if asked.code == "lease.revoked" else ()
            return fleet.Receipt(
                *("gpuaas-receipt/1", NODE, body.boot, body.seq, None),
                code=asked.code,
                revoked=gone,
            )
        assert cause_of(word.event).startswith("cmd:")
        position = self._end(asked) if isinstance(asked, Ending) else self._take(asked)
        renews, anchors = body.tag == fleet.LEASE_RENEWED, body.tag == fleet.ANCHORED
        self.found.renewed += renews
        if anchors:
            self.anchor_delay_us[body.boot] = self.true_us - word.sent_true_us
        nonce = leases.nonce_of(KEY, NODE, position) if renews or anchors else msgspec.UNSET
        until = body.boottime_us + fleet.LEASE_US
        return fleet.Receipt(
            *("gpuaas-receipt/1", NODE, body.boot, body.seq, position), nonce=nonce,
            granted=fleet.Granted(body.boottime_us, until) if renews else msgspec.UNSET,
        )  # fmt: skip

    def _end(self, ending: Ending) -> int:
        """The end, the release and the detaching it implies, in one append, as admission does."""
        live = self.state.runtimes[ending.runtime]
        release = node.Release(live.allocation, ending.runtime, self.now_us())
        released = node.decide(release, self.state.nodes[NODE].state)
        self._append(ending.runtime, ORG, (ending.fact,))
        self._let_go(live)
        return self._append(NODE, "-", tuple(released))

    def _let_go(self, live: LiveRuntime) -> None:
        if live.allocation in self.writers:
            stored = self.state.volumes.known[VOLUME]
            gone = volume.Detach(live.allocation, live.epoch, "stopped", self.now_us())
            self._append(VOLUME, ORG, tuple(volume.decide(gone, stored.state)))
            self.writers.discard(live.allocation)

    def _tick_plane(self) -> None:
        """`loops.tend`, a user who launches whenever there is room, and one who stops."""
        self.at(self.chance.randint(5 * SECOND, 20 * SECOND), self._tick_plane)
        if not self.plane_up:
            return
        known = self.state.nodes[NODE]
        now_us = self.now_us()
        if now_us - self.opened_us > fleet.UNREACHABLE_US:
            seen_us = max(self.seen_us, self.opened_us)
            change = leases.silence(known, seen_us, now_us, self.rules.timing)
            if change is not None:
                self._take(change)
            for ending in leases.overdue(known, now_us, self.rules.timing):
                self._end(ending)
        if not known.anchor.boot:
            return
        self._launch()
        for live in list(known.live.values()):
            unstarted = isinstance(live.state, runtime.Placed | runtime.Booting)
            if unstarted and self.rules.timed and not leases.may_start(known, live, now_us):
                continue
            if isinstance(live.state, runtime.Placed):
                self._take(commands.starting(live, now_us))
            order = commands.order_of(KEY, known, live, now_us)
            if order is not None and now_us - self.sent_at.get(order.number, 0) >= 10 * SECOND:
                self.sent_at[order.number] = now_us
                self._carry(lambda order=order: self._ordered(order))  # type: ignore[misc]
            if isinstance(live.state, runtime.Running) and self.chance.random() < 0.01:
                stops = runtime.decide(runtime.Stop("user", now_us), live.state)
                self._append(live.runtime, ORG, tuple(stops))
                if not self.rules.held:
                    self._let_go(live)

    def _launch(self) -> None:
        known = self.state.nodes[NODE]
        if not isinstance(known.state, node.Serving):
            return
        free = [at for at in range(self.devices) if known.state.free[at]]
        if not free:
            return
        number = self.launches + 1
        name, allocation = f"runtime-{number}", f"allocation-{number}"
        shares = (Share(free[-1], 1000),)
        claim = node.Allocate(allocation, name, ORG, shares, self.now_us())
        try:
            (taken,) = node.decide(claim, known.state)
        except DomainError:
            return
        assert isinstance(taken, node.Allocated)
        self.launches = number
        self.found.launched += 1
        at = self.now_us()
        asked = runtime.Requested("p", "d", "a", _PRIVATE, 1, 1000, (), at)
        placed = runtime.Allocated(allocation, NODE, "T4", shares, taken.epoch, at)
        self._append(name, ORG, (asked, placed))
        self._append(NODE, "-", (taken,))
        if self.devices > 1:
            self._attach(name, allocation, taken.epoch)

    def _attach(self, name: str, allocation: str, epoch: int) -> None:
        """The volume goes to whoever comes when nobody has it."""
        stored = self.state.volumes.known[VOLUME]
        asked = volume.Attach(name, allocation, NODE, "p", epoch, "/data", self.now_us())
        try:
            attached = volume.decide(asked, stored.state)
        except DomainError:
            return
        self.found.attached += 1
        self.writers.add(allocation)
        self._append(VOLUME, ORG, tuple(attached))

    # ---------------------------------------------------------------- what must be true

    def _must_own(self, name: str, allocation: str) -> None:
        """Who starts physically is who the log names at this instant."""
        live = self.state.runtimes.get(name)
        if live is None or live.allocation != allocation:
            raise BrokenError(f"seed {self.seed}: {name} starts on a device it does not own")
        if allocation in self.writers and self._holder() != allocation:
            raise BrokenError(f"seed {self.seed}: {name} starts with a volume it does not own")

    def _holder(self) -> str:
        stored = self.state.volumes.known[VOLUME].state
        assert isinstance(stored, volume.Held)
        return "" if stored.attached is None else stored.attached.allocation

    def _watch_fact(self, stream: str, fact: Struct) -> None:
        match fact:
            case node.Allocated(allocation=allocation, devices=devices):
                given = {share.index for share in devices}
                self._must_run_nowhere(
                    stream, allocation, lambda one: bool(given & set(one.devices))
                )
            case volume.Attached(allocation=allocation):
                self._must_run_nowhere(stream, allocation, lambda one: one.writes)
            case runtime.Lost(lost_us=until_us):
                self.found.lost += 1
                self._must_be_off(stream)
                if self.calm:
                    raise BrokenError(f"seed {self.seed}: a short outage lost {stream}")
                self._must_be_attested(stream, until_us)
            case runtime.Stopped(stopped_us=until_us):
                self.found.stopped += 1
                self._must_be_off(stream)
                self._must_be_attested(stream, until_us)
            case runtime.Usable(usable_us=since_us):
                self.found.usable += 1
                ran = self._container(stream)
                if ran is None or since_us < _EPOCH_US + ran.began_us - _drifted(ran, ran.began_us):
                    raise BrokenError(f"seed {self.seed}: {stream} is charged before it ran")
            case _:
                pass

    def _must_run_nowhere(
        self, given: str, allocation: str, has_it: Callable[[Container], bool]
    ) -> None:
        for one in self.containers.values():
            if not one.over_us and one.allocation != allocation and has_it(one):
                raise BrokenError(f"seed {self.seed}: {one.runtime} runs, {given} is given away")

    def _container(self, name: str) -> Container | None:
        return next((one for one in self.containers.values() if one.runtime == name), None)

    def _must_be_off(self, name: str) -> None:
        one = self._container(name)
        if one is not None and not one.over_us:
            raise BrokenError(f"seed {self.seed}: {name} is over in the log and still runs")

    def _must_be_attested(self, name: str, until_us: int) -> None:
        """Charged time ends no later than the container did, by the node's own clock."""
        one = self._container(name)
        if one is None or not one.usable_us:
            return
        # An anchor that came late shifts its boot's instants by its delay (agent/README.md).
        late_us = self.anchor_delay_us.get(one.boot, 0)
        latest = _EPOCH_US + one.over_us + late_us + _drifted(one, one.over_us)
        if until_us > latest:
            raise BrokenError(f"seed {self.seed}: {name} is charged after it ended")


def _drifted(one: Container, true_us: int) -> int:
    """How far the node's clock may have gone from the true one since it booted."""
    return (true_us - one.booted_us) * MOST_DRIFT_PPM // 1_000_000 + 1


def explored(seeds: range, rules: Rules = RIGHT) -> dict[str, int]:
    """Sums over all schedules of what they went through. Raises: BrokenError with the seed."""
    total: dict[str, int] = {}
    for seed in seeds:
        found = Schedule(seed, rules).run()
        for name in found.__struct_fields__:
            total[name] = total.get(name, 0) + getattr(found, name)
    return total


def broken_by(rules: Rules, seeds: range) -> str:
    """The first invariant that these rules break; empty when none of these seeds shows one."""
    for seed in seeds:
        try:
            Schedule(seed, rules).run()
        except (BrokenError, DomainError) as broken:
            return str(broken)
    return ""


__all__ = ["BrokenError", "Found", "Rules", "Schedule", "broken_by", "explored"]
