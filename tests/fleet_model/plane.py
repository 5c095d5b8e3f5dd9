"""The control plane: the real fold, deciders and decisions; its log is a list in memory."""

from collections import defaultdict
from collections.abc import Callable
from functools import cache
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from api.fleet import commands, leases
from api.fleet.state import FleetState, KnownNode, LiveRuntime
from api.fleet.words import Ending, Nothing, Renewing, meaning, revoked_of
from contracts import fleet
from contracts.fleet import Command
from domain import node, runtime, volume, words
from domain.errors import DomainError
from domain.instants import Anchor
from domain.words import Gpu, Share
from evidence.append import Append
from evidence.reader import Recorded
from tests.fleet_model.law import Law
from tests.fleet_model.parts import EPOCH_US, NODE, ORG, PRIVATE, SECOND, VOLUME, Word
from tests.fleet_model.world import World

KEY: Final = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
_nonce_of = cache(leases.nonce_of)  # of one node and few positions, in all schedules


class Plane:
    """`told` hears each entry; `orders` and `answers_*` are where its messages arrive."""

    def __init__(self, world: World, state: FleetState, devices: int) -> None:
        self.world = world
        self.rules = world.rules
        self.chance = world.chance
        self.state = state
        self.devices = devices
        self._ends = 0.05 if devices > 2 else 0.01  # of what runs, a tick: then others start often
        self.position = 0
        self.up = True
        self.seen_us = self.opened_us = 0
        self.seqs: dict[str, int] = {}
        self.answers: dict[tuple[str, int], fleet.Receipt] = {}
        self.launches = 0
        self.sent_at: dict[int, int] = {}
        self.streams: defaultdict[str, list[Recorded]] = defaultdict(list)
        self.known: KnownNode
        self.law: Law
        self.told: Callable[[Recorded], None]
        self.orders: Callable[[Command], None]
        self.answers_word: Callable[[fleet.Receipt], None]

    def enrol(self) -> None:
        gpus = tuple(Gpu(at, f"GPU-SIMULATED-{at}") for at in range(self.devices))
        self.append(NODE, "-", (
            node.Invited(PRIVATE, "T4", "0" * 64, self.world.now_us() + 10**12, self.world.now_us()),
            node.Enrolled("k", "T4", True, gpus, "S", self.world.now_us()),
        ))  # fmt: skip
        self.known = self.state.nodes[NODE]

    def anchored_long_ago(self, word: Word, booted_us: int) -> str:
        """The nonce after the first boot's anchor, perhaps weeks before the schedule."""
        at = EPOCH_US + booted_us
        boot = word.event.boot
        said = words.Attested(NODE, "k", boot, 1, word.event.body, "")
        position = self.append(NODE, "-", (node.Anchored(boot, 0, at, said),))
        self.seqs[boot] = 1
        self.law.anchor_delay_us[boot] = 0
        if self.devices > 1:
            made = volume.Created("p", "d", "a", NODE, PRIVATE, 16, at)
            self.append(VOLUME, ORG, (made,))
            asked_at = self.state.volumes.known[VOLUME].asked_at
            self.append(VOLUME, ORG, (volume.Formatted(asked_at, "SIMULATED", 1, 0, at, at, said),))
        return _nonce_of(KEY, NODE, position)

    def begin(self) -> None:
        self.up = True
        self.opened_us = self.world.now_us()  # silence is no proof of anything yet
        self.sent_at.clear()
        self.known.clock = Anchor("", 0, 0)  # only its memory knew

    # ---------------------------------------------------------------- the log

    def append(self, stream: str, org: str, facts: tuple[Struct, ...]) -> int:
        """The last position."""
        for fact in facts:
            kept = self.streams[stream]
            position, version = self.position, len(kept) + 1
            now_us = self.world.now_us()
            entry = Recorded(position, stream, version, "", org, "a", "c", now_us, fact)
            kept.append(entry)
            self.state.apply(entry)
            self.law.watch(stream, position, fact)
            if stream.startswith(("runtime-", "access-")):
                self.told(entry)
            self.position = position + 1
        return self.position - 1

    def _take(self, append: Append) -> int:
        last = -1
        for write in append.writes:
            last = self.append(write.stream, write.org, write.facts)
        return last

    # ---------------------------------------------------------------- what arrives

    def beaten(self, boot: str, boottime_us: int) -> None:
        if self.up:
            self.seen_us = now_us = EPOCH_US + self.world.true_us
            if self.rules.hears:
                self.known.heard(boot, boottime_us, now_us)

    def heard(self, word: Word) -> None:
        """`Ingest.receive`: by number, once, answered after the append."""
        if not self.up:
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
        self.world.carry(self.answers_word, receipt)

    def _answer(self, word: Word) -> fleet.Receipt:
        body = word.body
        known = self.known
        asked = meaning(self.state, word.event, body, self.world.now_us())
        if body.tag == fleet.LEASE_RENEWED and isinstance(asked, Append):
            expected = _nonce_of(KEY, NODE, known.nonce_position)
            if word.nonce != expected:
                asked = Nothing("lease.nonce")
        if isinstance(asked, Nothing):
            gone = revoked_of(known, body) if asked.code == "lease.revoked" else ()
            return fleet.Receipt(
                *("gpuaas-receipt/1", NODE, body.boot, body.seq, None),
                code=asked.code,
                revoked=gone,
            )
        assert not isinstance(asked, Renewing), "nothing is prepaid here"
        position = self._end(asked) if isinstance(asked, Ending) else self._take(asked)
        renews, anchors = body.tag == fleet.LEASE_RENEWED, body.tag == fleet.ANCHORED
        self.world.found.renewed += renews
        if anchors:
            self.law.anchor_delay_us[body.boot] = self.world.true_us - word.sent_true_us
        nonce = _nonce_of(KEY, NODE, position) if renews or anchors else msgspec.UNSET
        until = body.boottime_us + fleet.LEASE_US
        return fleet.Receipt(
            *("gpuaas-receipt/1", NODE, body.boot, body.seq, position), nonce=nonce,
            granted=fleet.Granted(body.boottime_us, until) if renews else msgspec.UNSET,
        )  # fmt: skip

    # ---------------------------------------------------------------- what it decides

    def _end(self, ending: Ending) -> int:
        """The end, the release and the detaching it implies, in one append, as admission does."""
        live = self.state.runtimes[ending.runtime]
        release = node.Release(live.allocation, ending.runtime, self.world.now_us())
        released = node.decide(release, self.known.state)
        self.append(ending.runtime, ORG, (ending.fact,))
        self._let_go(live)
        return self.append(NODE, "-", tuple(released))

    def _let_go(self, live: LiveRuntime) -> None:
        if live.allocation in self.law.writers:
            stored = self.state.volumes.known[VOLUME]
            gone = volume.Detach(live.allocation, live.epoch, "stopped", self.world.now_us())
            self.append(VOLUME, ORG, tuple(volume.decide(gone, stored.state)))
            self.law.writers.discard(live.allocation)

    def tick(self) -> None:
        """`loops.tend`, a user who launches whenever there is room, and one who stops."""
        world = self.world
        world.again(5 * SECOND, 20 * SECOND, self.tick)
        if not self.up:
            return
        known = self.known
        now_us = EPOCH_US + world.true_us
        if now_us - self.opened_us > fleet.UNREACHABLE_US:
            timing = self.rules.timing
            seen_us = max(self.seen_us, self.opened_us)
            change = leases.silence(known, seen_us, now_us, timing)
            if change is not None:
                self._take(change)
            for ending in leases.overdue(known, now_us, timing):
                self._end(ending)
        state = known.state
        assert isinstance(state, node.Serving)
        if not state.anchor.boot:
            return
        if any(state.free):
            self._launch(state)
        for live in list(known.live.values()):
            self._tend(known, live, now_us)

    def _tend(self, known: KnownNode, live: LiveRuntime, now_us: int) -> None:
        kind = type(live.state)
        if kind is runtime.Running:  # nothing is ordered about what runs
            if self.chance.random() < self._ends:
                stops = runtime.decide(runtime.Stop("user", now_us), live.state)
                self.append(live.runtime, ORG, tuple(stops))
                if not self.rules.held:
                    self._let_go(live)
            return
        if kind is runtime.Placed or kind is runtime.Booting:
            if self.rules.timed and not leases.may_start(known, live, now_us):
                return
            if kind is runtime.Placed:
                self._take(commands.starting(live, now_us))
        order = commands.order_of(KEY, known, live, now_us)
        if order is not None and now_us - self.sent_at.get(order.number, 0) >= 10 * SECOND:
            self.sent_at[order.number] = now_us
            self.world.carry(self.orders, order)

    def _launch(self, state: node.Serving) -> None:
        free = [at for at in range(self.devices) if state.free[at]]
        number = self.launches + 1
        name, allocation = f"runtime-{number}", f"allocation-{number}"
        shares = (Share(free[-1], 1000),)
        claim = node.Allocate(allocation, name, ORG, shares, self.world.now_us())
        try:
            (taken,) = node.decide(claim, state)
        except DomainError:
            return
        assert isinstance(taken, node.Allocated)
        self.launches = number
        self.world.found.launched += 1
        at = self.world.now_us()
        asked = runtime.Requested("p", "d", "a", PRIVATE, 1, 1000, (), at)
        placed = runtime.Allocated(allocation, NODE, "T4", shares, taken.epoch, at)
        self.append(name, ORG, (asked, placed))
        self.append(NODE, "-", (taken,))
        if self.devices > 1:
            self._attach(name, allocation, taken.epoch)

    def _attach(self, name: str, allocation: str, epoch: int) -> None:
        """The volume goes to whoever comes when nobody has it."""
        stored = self.state.volumes.known[VOLUME]
        asked = volume.Attach(name, allocation, NODE, "p", epoch, "/data", self.world.now_us())
        try:
            attached = volume.decide(asked, stored.state)
        except DomainError:
            return
        self.world.found.attached += 1
        self.law.writers.add(allocation)
        self.append(VOLUME, ORG, tuple(attached))
