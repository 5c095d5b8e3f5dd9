"""The node: its clock, its agent by the arithmetic of `agent/`, its keepers and containers."""

import base64
from collections.abc import Callable

import msgspec

from agent import lease
from contracts import fleet
from contracts.fleet import Attested, Body, Command, StartRuntime, StopRuntime
from tests.fleet_model.law import Law
from tests.fleet_model.parts import MOST_DRIFT_PPM, NODE, SECOND, Container, Word
from tests.fleet_model.places import HOST_KEYS, Places
from tests.fleet_model.world import World


class Machine:
    """`hears_*` are where its messages arrive, when the network carries them.

    `running`: containers that are not over, in order of their start; `_untold`: those of this boot
    whose end was not said.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.rules = world.rules
        self.chance = world.chance
        self.ppm = self.chance.choice(
            (
                -MOST_DRIFT_PPM,
                0,
                MOST_DRIFT_PPM,
                self.chance.within(-MOST_DRIFT_PPM, MOST_DRIFT_PPM),
            )
        )
        # It may have been up for days before it was anchored, and stays up for weeks.
        self.booted_us = -self.chance.choice((0, 3_600, 10 * 86_400, 100 * 86_400)) * SECOND
        self.boots = 1
        self.boot = _name(1)
        self.up = True
        self.agent_up = True
        self.journal: set[int] = set()
        self.fences: dict[str, tuple[int, int, bool]] = {}
        self.spool: list[Word] = []
        self.last_seq = 0
        self.nonces: list[str] = []
        self.held: lease.Held | None = None
        self.containers: dict[str, Container] = {}
        self.running: list[Container] = []
        self._untold: list[Container] = []
        self.places = Places(world, self.containers, self.running)
        self.law: Law
        self.hears_beat: Callable[[str, int], None]
        self.hears_word: Callable[[Word], None]
        self.hears_ask: Callable[[Container], None]

    def boot_us(self) -> int:
        """Its CLOCK_BOOTTIME."""
        ran = self.world.true_us - self.booted_us
        return ran + ran * self.ppm // 1_000_000

    # ---------------------------------------------------------------- power

    def power_off(self) -> None:
        self.up = False
        for one in list(self.running):
            self._over(one)

    def boot_again(self) -> None:
        if self.up:
            return
        self.up = True
        self.boots += 1
        self.boot = _name(self.boots)
        self.booted_us = self.world.true_us
        self.held, self.last_seq = None, 0
        self.nonces.clear()
        for one in self._untold:
            one.told = "stopped"  # the new boot knows nothing of them
        self._untold.clear()
        self.announce()

    def begin_agent(self) -> None:
        self.agent_up = True

    # ---------------------------------------------------------------- words

    def announce(self) -> None:
        self._say(fleet.ANCHORED, NODE, {}, "")

    def _say(
        self, tag: str, stream: str, said: fleet.Said, nonce: str, at_us: int | None = None
    ) -> None:
        self.last_seq += 1
        boottime = self.boot_us() if at_us is None else at_us
        body = Body("gpuaas-attest/1", NODE, self.boot, self.last_seq, tag, stream, boottime, said)
        raw = base64.b64encode(msgspec.json.encode(body)).decode()
        event = Attested(NODE, "k", self.boot, self.last_seq, raw, "")
        self.spool.append(Word(event, body, nonce, self.world.true_us))

    def tick(self) -> None:
        """`loops` of the agent: look, renew, beat, send what is in the spool."""
        world = self.world
        world.again(6 * SECOND, 14 * SECOND, self.tick)
        if not (self.up and self.agent_up):
            return
        now_us = self.boot_us()
        if self._untold:
            self._look(now_us)
        world.carry(self.hears_beat, self.boot, now_us)
        if not self.spool:
            return
        for place, word in enumerate(self.spool[:8]):
            if place > 0 and (word.nonce or (self.rules.in_turn and self._newer(word))):
                break
            world.carry(self.hears_word, word)
            if word.nonce:
                break

    def _newer(self, word: Word) -> bool:
        # Words of a boot wait for the receipts of all words of the boots before it.
        return word.event.boot != self.spool[0].event.boot

    def _look(self, now_us: int) -> None:
        """`watch.report` and `watch.renew`."""
        usable = []
        ended = False
        for one in self._untold:
            if one.over_us:
                if one.over_boot_us >= 0:
                    ended, one.told = True, "stopped"
                    self._say(fleet.STOPPED, one.runtime, {}, "", one.over_boot_us)
                continue
            if self.world.true_us >= one.ready_us:
                self._route(one)
                if one.told == "starting":
                    one.told, one.usable_us = "usable", now_us
                    self._say(fleet.USABLE, one.runtime, {}, "")
                usable.append(one.runtime)
        if ended:
            self._untold = [one for one in self._untold if one.told != "stopped"]
        if (
            self.running
            and self.nonces
            and lease.is_due(self.held, now_us, fleet.RENEW_US)
            and not any(word.nonce for word in self.spool)
        ):
            self._say(fleet.LEASE_RENEWED, NODE, {"runtimes": sorted(usable)}, self.nonces[-1])

    def _route(self, one: Container) -> None:
        """`watch._route` and `host_certificates.look`."""
        if self.world.true_us < one.answers_us:
            return
        if one.place != one.said_place:
            one.said_place = one.place
            address, port = one.place
            said: fleet.Said = {"address": address, "port": port, "host_key": one.host_key}
            self._say(fleet.ROUTED, one.runtime, said, "")
        if not one.certificate and self.world.true_us - one.asked_us > 30 * SECOND:
            one.asked_us = self.world.true_us
            self.world.carry(self.hears_ask, one)

    def certified(self, one: Container, principal: str) -> None:
        """The answer to what it asked, which lies beside the host key from now on."""
        if self.up and self.agent_up and one.boot == self.boot:
            one.certificate = principal

    # ---------------------------------------------------------------- orders

    def ordered(self, order: Command) -> None:
        """`orders.handle`: the journal, `check`, the effect."""
        if not (self.up and self.agent_up) or order.number in self.journal:
            return
        if self.rules.fenced and not self._passes(order):
            self.world.found.refused += 1
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
        busy = {index for one in self.running for index in one.devices}
        if busy & set(wanted) or order.allocation in self.containers:
            return  # pre-flight: device.busy
        self.law.must_own(start.runtime, order.allocation)
        self._begin(start.lease_boottime_us)
        made = Container(
            *(start.runtime, order.allocation, self.world.true_us, start.lease_boottime_us),
            self.world.true_us + self.chance.within(0, 20 * SECOND),
            boot=self.boot,
            booted_us=self.booted_us,
            devices=wanted,
            writes=self.law.is_writer(order.allocation),
            epoch=order.epoch,
            host_key=HOST_KEYS[len(self.containers) % len(HOST_KEYS)],
        )
        self.places.give(made)
        self.containers[order.allocation] = made
        self.running.append(made)
        self._untold.append(made)
        self._keep(made)

    def _begin(self, until_us: int) -> None:
        """`lease.begin`."""
        now_us = renewed_us = self.boot_us()
        if self.rules.apart and self.held is not None and self.held.until_us > now_us:
            renewed_us = self.held.renewed_us
        self._hold(lease.Held(until_us, renewed_us))

    def _hold(self, held: lease.Held) -> None:
        before = self.held or lease.Held(0, 0)
        until = max(held.until_us, before.until_us)
        self.held = lease.Held(until, max(held.renewed_us, before.renewed_us))

    # ---------------------------------------------------------------- ends

    def _keep(self, one: Container) -> None:
        """The keeper, outside the agent: it looks again when the deadline it knows has come."""
        if one.over_us or not self.rules.kept:
            return
        left = one.deadline_us - self.boot_us()
        if left > 0:
            # Rounded up: the keeper's clock runs as the node's does.
            wait = left * 1_000_000 // (1_000_000 + self.ppm) + 2
            self.world.at(wait, self._keep, one)
        elif not one.lapsing:
            one.lapsing = True
            wait = self.chance.within(0, fleet.STOP_LATENCY_US)
            self.world.at(wait, self._lapse, one)

    def _lapse(self, one: Container) -> None:
        if one.over_us:
            return
        self.world.found.expired += 1
        self._over(one)
        self.law.must_not_be_calm(f"a short outage ended {one.runtime}")

    def _over(self, one: Container) -> None:
        if not one.over_us:
            self.running.remove(one)
            one.over_us = max(1, self.world.true_us)
            # What a reboot ended nobody attests: the boot clock of its end is gone.
            one.over_boot_us = self.boot_us() if self.up else -1

    def obey(self, receipt: fleet.Receipt) -> None:
        """`watch.obey`."""
        if not (self.up and self.agent_up):
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
            self._hold(lease.Held(until, receipt.granted.from_boottime_us))
            now_us = self.boot_us()
            for one in self.running:
                if not one.lapsing and one.deadline_us > now_us:
                    one.deadline_us = max(one.deadline_us, until)
        for name in receipt.revoked:
            for one in self.containers.values():
                if one.runtime == name:
                    self._over(one)


def _name(boots: int) -> str:
    return f"{boots:032x}"
