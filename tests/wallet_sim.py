"""Prepaid accounts on nodes with clocks of their own, under a control plane that is killed: SIMULATED.

The deciders, the postings and the auditor are the real ones; clocks, network, nodes and kills are
made up from a seed. `lived` says what was worst; it raises where a law is broken:
a wallet is never below zero; what runs ends by the end of the last lease that its wallet paid for
(plus drift and stop latency); nothing after the end of a hold is charged; when all is over every
hold is resolved, and what was granted was spent, is there, or expired.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct, field

from domain import funding, launch, runtime
from domain.errors import DomainError
from domain.instants import DRIFT_US, LEASE_US, RENEW_US, STOP_US
from domain.wallet_facts import EXHAUSTED, HoldCaptured
from tests.museum.house import HOUR, MINUTE, SECOND, USD, Tenant
from tests.property.books_history import History
from tests.wallet_world import PrepaidHouse, wallet_stream

PER_NODE = 8
LATENCY_US = 2 * SECOND  # of one message, at most
IDLE_US = 60 * SECOND
BEAT_US = 8 * SECOND  # at most between two looks of a node at its deadlines and its messages


class Found(Struct):
    """What a life came to; instants in us, amounts in pico."""

    accounts: int = 0
    runtimes: int = 0
    renewals: int = 0
    kills: int = 0
    cuts: int = 0
    exhausted: int = 0
    worst_balance: int = 0
    worst_stop_us: int = 0  # from the refused renewal to the true end, where its receipt came
    worst_cut_us: int = 0  # the same, where a cut kept it from the node
    stranded: float = 0.0  # share of all credit that is held beyond what was used, on average
    stranded_most: float = 0.0  # the same, at the worst instant: everything cut off or down
    granted: int = 0
    spent: int = 0
    unrecovered: int = 0


class Life(Struct):
    """A runtime as its node has it; instants of its boot clock but for `true_…`."""

    name: str
    until: int
    started: bool = False
    usable: bool = False
    ended: bool = False
    true_paid: int = 0  # when its last lease was granted
    true_told: int = 0  # when the receipt that stops it was sent
    heard: bool = False


class Machine(Struct):
    """A node: boot clock, what runs, and words nobody has heard yet."""

    name: str
    rate: float
    lives: dict[str, Life] = field(default_factory=dict)
    words: list[tuple[type[runtime.Report], str, int]] = field(default_factory=list)
    cut_until: int = 0
    renewed: int = -RENEW_US
    lapses: int = 0  # by the plane's clock: what ran under its last lease is over then
    asking: bool = False
    receipt: tuple[int, tuple[str, ...]] | None = None  # on its way, or lost: it comes again

    def clock(self, true_us: int) -> int:
        return int(true_us * self.rate)


class Forgetful(History):
    """A log of which only the length is remembered, so that a long life fits."""

    count = 0

    def add(self, stream_id: str, fact: Struct, cause: str | None = None) -> int:
        self.count += 1
        return self.count - 1


class Quiet(PrepaidHouse):
    """A house that forgets its log, if it is told to."""

    keep = True

    def forget(self) -> None:
        """From here on."""
        facts, self.keep = self.history.facts, False
        self.history = Forgetful(
            anchors=self.history.anchors, seq=self.history.seq, orgs=self.history.orgs
        )
        self.history.count = len(facts)

    def append(
        self, *writes: tuple[str, str, Sequence[Struct]], remembered: bool = False
    ) -> int:  # fmt: skip
        first = super().append(*writes, remembered=remembered)
        if not self.keep:
            for rows in self.rows.values():
                rows.clear()
        return first


class World:
    """One seed. The plane's clock is the true one."""

    def __init__(self, accounts: int, hours: float, seed: int, *, keep: bool) -> None:
        self.chance = random.Random(seed)
        self.house = Quiet()
        self.now = 0
        self.events: list[tuple[int, int, Callable[[], None]]] = []
        self.count = 0
        self.down_until = self.looks = 0
        self.looked: dict[str, int] = {}  # wallets as they were, without a hold
        self.found = Found(accounts=accounts)
        self.house.price("T4", USD)
        self.machines = [
            Machine(
                self.house.machine(number, "T4", gpus=PER_NODE),
                1 + self.chance.uniform(-1, 1) / 1000,
            )
            for number in range(1, 2 + accounts // PER_NODE)
        ]
        self.by_name = {one.name: one for one in self.machines}
        self.tenants: list[Tenant] = []
        self.of: dict[str, Tenant] = {}
        for number in range(accounts):
            us = self.house.tenant(number)
            self.house.prepay(us)
            amount = int(USD * hours * self.chance.uniform(0.5, 1.5))
            for part in (amount * 2 // 3, amount - amount * 2 // 3):
                self.house.grant(us, part, bucket=self.chance.choice(("paid", "promo")))
            self.found.granted += amount
            self.tenants.append(us)
        if not keep:
            self.house.forget()
        self.ended = False

    # ---------------------------------------------------------------- time

    def at(self, after_us: int, do: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.events, (self.now + after_us, self.count, do))

    def between(self, low: int, high: int) -> int:
        # `randint` takes four times as long, and half of a life was in it.
        return low + int(self.chance.random() * (high + 1 - low))

    def live(self, until_us: int) -> None:
        for machine in self.machines:
            self.at(self.between(0, 10 * SECOND), lambda one=machine: self.beat(one))  # type: ignore[misc]
            self.at(self.between(0, 2 * HOUR), lambda one=machine: self.cut(one))  # type: ignore[misc]
        for us in self.tenants:
            self.at(self.between(0, 20 * MINUTE), lambda one=us: self.ask(one))  # type: ignore[misc]
        self.at(self.between(0, HOUR), self.kill)
        self.at(MINUTE, self.tend)
        while self.events and self.now < until_us:
            self.now, _, do = heapq.heappop(self.events)
            do()

    @property
    def up(self) -> bool:
        return self.now >= self.down_until

    def kill(self) -> None:
        """The control plane is gone for a while, and comes back from the log."""
        if not self.ended:
            self.found.kills += 1
            self.down_until = self.now + self.between(5 * SECOND, 25 * MINUTE)
            self.at(self.between(20 * MINUTE, 3 * HOUR), self.kill)

    def cut(self, machine: Machine) -> None:
        if not self.ended:
            self.found.cuts += 1
            machine.cut_until = self.now + self.between(5 * SECOND, 40 * MINUTE)
            self.at(self.between(30 * MINUTE, 6 * HOUR), lambda: self.cut(machine))

    def reachable(self, machine: Machine) -> bool:
        return self.up and self.now >= machine.cut_until

    # ---------------------------------------------------------------- the node

    def beat(self, machine: Machine) -> None:
        """Its own deadlines first; then, if anybody hears it, its words and its lease."""
        # A node where nothing runs has no deadline: it need not look so often.
        idle = not (machine.lives or self.house.state.stock.states[machine.name].held)
        rest = self.between(3 * SECOND, IDLE_US if idle else BEAT_US)
        self.at(rest, lambda: self.beat(machine))
        boot = machine.clock(self.now)
        for life in [one for one in machine.lives.values() if one.until <= boot and not one.ended]:
            self.end(machine, life)
        if not self.reachable(machine):
            return
        self.hear(machine)
        if machine.receipt is not None:
            self.obey(machine, *machine.receipt)
        running = any(not life.ended for life in machine.lives.values())
        if running and boot - machine.renewed >= RENEW_US and not machine.asking:
            machine.asking = True
            self.at(self.between(0, LATENCY_US), lambda: self.renew(machine, boot))

    def end(self, machine: Machine, life: Life) -> None:
        """It stops within the latency; said when somebody hears."""
        life.ended = True
        late = self.between(0, STOP_US)
        end, boot = self.now + late, machine.clock(self.now + late)
        if life.started:
            # A beat looks every few seconds; the keeper of a real node does not wait for one.
            limit = life.true_paid + LEASE_US + DRIFT_US + STOP_US + BEAT_US
            assert end <= limit, (
                f"{life.name} outlived what its wallet paid for by {end - limit} us"
            )
            if life.true_told:
                took = end - life.true_told
                if life.heard:
                    self.found.worst_stop_us = max(self.found.worst_stop_us, took)
                else:
                    self.found.worst_cut_us = max(self.found.worst_cut_us, took)
        machine.words.append((runtime.ReportStopped, life.name, boot))

    def hear(self, machine: Machine) -> None:
        """The plane takes its words, in order; starts reach it."""
        held = self.house.state.stock.states[machine.name].held
        lives = machine.lives
        if not machine.words and held.keys() == lives.keys() and all(map(_is_told, lives.values())):
            return
        words, machine.words = machine.words, []
        for what, name, boot in words:
            if name in self.house.state.runtimes:
                self.house.report(what, name, boot, self.now)
            if what is runtime.ReportStopped:
                machine.lives.pop(name, None)
        for name in self.house.state.stock.states[machine.name].held:
            life = machine.lives.get(name)
            if life is None:
                self.start(machine, name)
            elif life.started and not life.usable and not life.ended:
                life.usable = True
                machine.words.append((runtime.ReportUsable, name, machine.clock(self.now)))

    def start(self, machine: Machine, name: str) -> None:
        """Its deadline is that of its first hold, whenever the order comes."""
        state: Any = self.house.state.runtimes[name].state
        if isinstance(state, runtime.Placed):
            paid = state.previous_us
            until = machine.clock(self.now) + (paid + LEASE_US - self.now)
            if until > machine.clock(self.now):
                machine.lives[name] = Life(name, until, started=True, true_paid=paid)

    def renew(self, machine: Machine, boot: int) -> None:
        """A lease request arrives, if anybody is there; its receipt may be lost."""
        machine.asking = False
        if not self.reachable(machine):
            return
        self.hear(machine)
        held = self.house.state.stock.states[machine.name].held
        named = tuple(
            sorted(
                life.name for life in machine.lives.values() if life.usable and life.name in held
            )
        )
        said = self.house.history.attested(machine.name, "", machine.name, boot)
        asked = funding.Renewal(machine.name, named, boot, said, self.now)
        self.house.emitted(funding.renew(self.house.state, asked))
        self.found.renewals += 1
        stops = []
        for life in machine.lives.values():
            held_for = self.house.state.runtimes.get(life.name)
            if held_for is None:  # over, by the log: `lease.revoked`
                stops.append(life.name)
            elif isinstance(held_for.state, runtime.Ending):
                stops.append(life.name)
                if not life.true_told:
                    life.true_told = self.now
                    self.found.exhausted += 1
            else:
                life.true_paid = self.now
        machine.renewed, machine.lapses = boot, self.now + LEASE_US + DRIFT_US + STOP_US
        machine.receipt = (boot, tuple(stops))
        if self.chance.random() < 0.97:
            receipt = machine.receipt
            self.at(self.between(0, LATENCY_US), lambda: self.arrive(machine, receipt))

    def arrive(self, machine: Machine, receipt: tuple[int, tuple[str, ...]]) -> None:
        if self.now >= machine.cut_until and machine.receipt is receipt:
            self.obey(machine, *receipt)

    def obey(self, machine: Machine, boot: int, stops: tuple[str, ...]) -> None:
        machine.receipt = None
        for name in stops:
            life = machine.lives.get(name)
            if life is not None and not life.ended:
                life.heard = True
                self.end(machine, life)
        for life in machine.lives.values():
            if not life.ended:
                life.until = max(life.until, boot + LEASE_US)

    # ---------------------------------------------------------------- the plane

    def ask(self, us: Tenant) -> None:
        """The tenant wants one runtime for as long as it can pay."""
        if self.ended:
            return
        if self.up:
            wanted = self.house.wish(us, at=self.now)
            try:
                self.house.emitted(launch.admit(self.house.state, wanted))
            except DomainError as error:
                if error.code == "wallet.insufficient":
                    return
            else:
                self.of[wanted.runtime] = us
                self.found.runtimes += 1
                return
        self.at(self.between(MINUTE, 10 * MINUTE), lambda: self.ask(us))

    def tend(self) -> None:
        """Settlements, silences, expiries, once a minute; nothing while the plane is down."""
        self.at(MINUTE, self.tend)
        self.look()
        if not self.up:
            return
        for name in list(self.house.state.runtimes):
            self.try_to_lose(name)
        over = [name for name in self.of if name not in self.house.state.runtimes]
        self.house.settle(self.now)
        self.house.expire(self.now)
        for name in over:
            us = self.of.pop(name)
            self.at(self.between(0, 5 * MINUTE), lambda one=us: self.ask(one))  # type: ignore[misc]

    def try_to_lose(self, name: str) -> None:
        state: Any = self.house.state.runtimes[name].state
        known = self.house.state.purses.prepaid.get(name)
        lapses = self.by_name[state.node].lapses
        if known is None or max(known.cover.until_us, lapses) > self.now:
            return
        try:
            self.house.lose(name, self.now)
        except DomainError as error:
            if error.code != "runtime.lease_not_over":
                raise

    def look(self) -> None:
        """The laws at this instant."""
        idle = 0
        for us in self.tenants:
            purse = self.house.wallet(us)
            version = self.house.state.version(wallet_stream(us.account))
            if not purse.holds and self.looked.get(us.account) == version:
                continue  # nothing of it has changed, and nothing of it is held
            self.looked[us.account] = version
            available = purse.available_pico(self.now)
            worst = min(purse.balance_pico, purse.held_pico, available)
            self.found.worst_balance = min(self.found.worst_balance, worst)
            assert worst >= 0, f"{us.account} at {self.now}: {worst}"
            for name, hold in purse.holds.items():
                idle += max(0, hold.amount_pico - self.used(name, hold.from_us))
        share = idle / self.found.granted
        self.looks += 1
        self.found.stranded += (share - self.found.stranded) / self.looks
        self.found.stranded_most = max(self.found.stranded_most, share)

    def used(self, name: str, from_us: int) -> int:
        """What its usable time since then costs, as far as the plane has heard."""
        held = self.house.state.runtimes.get(name)
        state: Any = None if held is None else held.state
        usable = isinstance(state, runtime.Running) or getattr(state, "usable", False)
        since = max(from_us, state.previous_us) if usable else self.now
        return max(0, self.now - since) * USD // HOUR


def _is_told(life: Life) -> bool:
    """Whether its node has nothing to say of it."""
    return life.usable or life.ended or not life.started


def lived(accounts: int, hours: float, seed: int, *, keep: bool = False) -> Found:
    """What a life of so many accounts came to, with credit for about so many hours of one runtime
    each. `keep`: the whole log is, and an auditor judges it.
    """
    world = World(accounts, hours, seed, keep=keep)
    world.live(int((2.5 * hours + 6) * HOUR))
    # Everybody comes back, nothing new starts: what is open is settled.
    world.ended, world.down_until = True, 0
    for machine in world.machines:
        machine.cut_until = 0
    end = world.now + 2 * HOUR
    while world.events and world.now < end:
        world.now, _, do = heapq.heappop(world.events)
        do()
    house, found = world.house, world.found
    for name in list(house.state.runtimes):
        world.try_to_lose(name)
    house.settle(world.now)
    for us in world.tenants:
        purse = house.wallet(us)
        open_holds = [one for one in purse.holds.values() if one.until_us]
        assert not open_holds, f"{us.account}: {open_holds}"
        assert purse.held_pico == 0
        balances = house.books.balances(us.account)
        assert -balances["wallet"].pico == purse.balance_pico
        found.unrecovered += (
            balances["provider:unrecovered"].pico if "provider:unrecovered" in balances else 0
        )
        found.spent -= balances["receivable"].pico if "receivable" in balances else 0
    if keep:
        house.judged()
        assert any(isinstance(fact, HoldCaptured) for _, _, fact in house.history.facts)
        reasons = [getattr(fact, "reason", "") for _, _, fact in house.history.facts]
        assert EXHAUSTED in reasons
    return found
