"""Wallets on histories nobody chose: invariants 1, 2, 3 and 6 of MONEY.md section 7.

The machine grants, launches, renews, reports, closes and settles in any order, with appends that
lose, settlements that are late or come twice, crashes of the writer, and nodes whose clocks are off
by minutes. What must come out is kept beside it by other arithmetic: sums over facts, and usable
time within holds at the prices that stood.
"""

from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from domain import (
    account,
    credit,
    funding,
    launch,
    node,
    pricebook,
    reservation,
    reserving,
    runtime,
    storage,
    together,
    volume,
    wallet,
    wallet_facts,
)
from domain.admission import AdmissionState
from domain.decider import Emit, fold
from domain.errors import DomainError
from domain.wallet_facts import (
    ArrearsMet,
    ChargeRecovered,
    CreditChargedBack,
    CreditExpired,
    CreditGranted,
    CreditRefunded,
    HoldCaptured,
    HoldExpired,
    HoldPlaced,
    HoldReleased,
    ReservationCaptured,
    ReservationHeld,
    ReservationRecovered,
    ReservationReleased,
    ReservationRenewed,
    VolumeCaptured,
    VolumeHeld,
    VolumeReleased,
    VolumeRenewed,
    held_for,
)
from tests.museum.house import DAY, HOUR, MINUTE, NAME, SECOND, USD, Tenant
from tests.property.books_history import stream
from tests.wallet_world import PrepaidHouse, wallet_stream

LIVE = runtime.Placed | runtime.Booting | runtime.Running | runtime.Impaired | runtime.Ending
seconds = st.integers(1, 400)
BARRED = "account.suspended"


class Purses(RuleBasedStateMachine):
    """One or two accounts on two nodes; the platform's clock only goes on."""

    @initialize(credit=st.integers(0, 12), before=st.integers(1, 40))
    def begin(self, credit: int, before: int) -> None:
        """The first periods end that many minutes from now."""
        self.house = self.built()
        self.now = 31 * DAY - before * MINUTE
        self.us: list[Tenant] = [self.house.tenant(number) for number in (1, 2)]
        self.house.price("T4", USD)
        self.machines = [self.house.machine(number, "T4", gpus=3) for number in (1, 2)]
        self.skew: dict[str, int] = dict.fromkeys(self.machines, 0)
        self.closed: set[str] = set()
        self.returned = 0
        self.house.meter_storage(USD // 100)
        self.reserved = 0
        key = ("default", "gpu.time", "T4", "-", "reserved", "USD")
        entry = pricebook.EntryPublished(*key, 0, 0, 3 * USD // 7, 1000 * HOUR)
        self.house.append((stream("pricebook", 1), "-", [entry]))
        for one in self.us:
            self.house.prepay(one)
            if credit:
                self.house.grant(one, credit * USD // 20, at=self.now)

    def built(self) -> PrepaidHouse:
        """Where all of it happens."""
        return PrepaidHouse()

    def live(self) -> list[str]:
        return sorted(
            name for name, held in self.house.state.runtimes.items() if isinstance(held.state, LIVE)
        )

    @rule(more=seconds)
    def tick(self, more: int) -> None:
        self.now += more * SECOND

    @rule(
        which=st.integers(0, 1),
        cents=st.integers(1, 60),
        promo=st.booleans(),
        hours=st.integers(0, 2),
    )
    def grant(self, which: int, cents: int, promo: bool, hours: int) -> None:
        expires = self.now + hours * HOUR if hours else 0
        self.house.grant(
            self.us[which], cents * USD // 100, bucket="promo" if promo else "paid",
            expires=expires, at=self.now,
        )  # fmt: skip

    @rule(which=st.integers(0, 1), milli=st.sampled_from([100, 333, 1000]), lost=st.booleans())
    def launch(self, which: int, milli: int, lost: bool) -> None:
        us = self.us[which]
        before = self.house.wallet(us).available_pico(self.now)
        wanted = self.house.wish(us, milli, at=self.now)
        emits, refused = self.tried(lambda: launch.admit(self.house.state, wanted))
        if refused is not None:
            assert self.may_refuse(us, milli, refused.code)
            if refused.code == "wallet.insufficient":
                facts: dict[str, Any] = dict(refused.facts)
                assert facts["available_pico"] == before < facts["needed_pico"]
            return
        if lost:  # its append lost to another process: as if never decided
            self.house.state.undo(emits)
            assert self.house.wallet(us).available_pico(self.now) == before
            emits = launch.admit(self.house.state, wanted)
        self.house.emitted(emits)

    def may_refuse(self, _us: Tenant, _milli: int, code: str) -> bool:
        """Whether a launch of so much may be refused by that name."""
        return code in {"wallet.insufficient", "capacity.none_fits", BARRED}

    @rule(pick=st.integers(0, 5), late=st.integers(0, 300))
    def usable(self, pick: int, late: int) -> None:
        self.say(runtime.ReportUsable, pick, late)

    @rule(pick=st.integers(0, 5), late=st.integers(0, 300))
    def degraded(self, pick: int, late: int) -> None:
        self.say(runtime.ReportDegraded, pick, late)

    @rule(pick=st.integers(0, 5), late=st.sampled_from([0, 5, 600]))
    def stopped(self, pick: int, late: int) -> None:
        self.say(runtime.ReportStopped, pick, late)

    def say(self, what: type[runtime.Report], pick: int, late: int) -> None:
        live = self.live()
        if not live:
            return
        name = live[pick % len(live)]
        state: Any = self.house.state.runtimes[name].state
        at = max(0, self.spoken(state.node) - late * SECOND)
        _, refused = self.tried(lambda: self.house.report(what, name, at, self.now))
        assert refused is None or refused.code == "runtime.not_possible"

    def tried(
        self, act: Callable[[], tuple[Emit, ...]]
    ) -> tuple[tuple[Emit, ...], DomainError | None]:
        """What was decided, or the refusal."""
        try:
            return act(), None
        except DomainError as error:
            return (), error

    def spoken(self, machine: str) -> int:
        """What the node's clock makes of now."""
        return max(0, self.now + self.skew[machine])

    @rule(which=st.integers(0, 1), off=st.integers(-600, 600))
    def drift(self, which: int, off: int) -> None:
        self.skew[self.machines[which]] = off * SECOND

    @rule(which=st.integers(0, 1), late=st.integers(0, 60), lost=st.booleans(), named=st.booleans())
    def lease(self, which: int, late: int, lost: bool, *, named: bool = False) -> None:
        """`named`: what its node knows to be usable, all of it, heard of or not."""
        machine = self.machines[which]
        asked = max(0, self.spoken(machine) - late * SECOND)
        if lost:
            before = [self.seen(one) for one in self.us]
            leases = self.house.state.stock.states[machine]
            self.house.state.undo(funding.renew(self.house.state, self.renewal(machine, asked)))
            assert [self.seen(one) for one in self.us] == before
            assert self.house.state.stock.states[machine] == leases
        held = self.house.state.stock.states[machine].held if named else ()
        self.house.lease(machine, asked, self.now, named=held)

    def renewal(self, machine: str, asked: int) -> funding.Renewal:
        serving = self.house.state.stock.states[machine]
        said = self.house.history.attested(machine, "", machine, asked)
        boottime = asked - serving.anchor.anchor_us
        return funding.Renewal(machine, tuple(sorted(serving.held)), boottime, said, self.now)

    def seen(self, us: Tenant) -> tuple[Any, ...]:
        purse = self.house.wallet(us)
        return (dict(purse.lots), dict(purse.holds), purse.balance_pico, purse.held_pico)

    @rule(pick=st.integers(0, 5))
    def stop(self, pick: int) -> None:
        live = self.live()
        if live:
            self.house.does(live[pick % len(live)], runtime.Stop("asked", self.now))

    @rule(pick=st.integers(0, 5))
    def lose(self, pick: int) -> None:
        live = self.live()
        if live:
            name = live[pick % len(live)]
            _, refused = self.tried(lambda: self.house.lose(name, self.now))
            assert refused is None or refused.code == "runtime.lease_not_over"

    @rule(price=st.integers(0, 5), ahead=st.integers(0, 900), whose=st.integers(0, 2))
    def price(self, price: int, ahead: int, whose: int) -> None:
        """Far more, or nothing, whenever it takes effect."""
        of = "default" if whose == 2 else self.us[whose].account
        since = self.now + ahead * SECOND
        try:
            self.house.price("T4", price * USD // 2, since=since, whose=of, now=self.now)
        except DomainError as error:
            if error.code != "price.duplicate":
                raise

    @rule(again=st.booleans())
    def settle(self, again: bool) -> None:
        due = self.house.books.prepayments.settlements()
        self.house.settle(self.now)
        for one in due if again else []:  # a repeat of what was settled settles nothing
            command = wallet.Settle(one.runtime, one.charged_pico, one.from_us, one.over, self.now)
            assert funding.settle(self.house.state, one.wallet, command) == ()

    @rule()
    def expire(self) -> None:
        self.house.expire(self.now)

    @rule(which=st.integers(0, 1), milli=st.sampled_from([333, 1000]), times=st.integers(1, 8))
    def job(self, which: int, milli: int, times: int) -> None:
        """A runtime that is used at once, under leases that are renewed in time."""
        self.launch(which, milli, lost=False)
        for pick in range(len(self.live())):
            self.usable(pick, 0)
        for _ in range(times):
            self.now += 120 * SECOND
            self.lease(0, 1, lost=False)
            self.lease(1, 1, lost=False)

    @rule(which=st.integers(0, 1))
    def close(self, which: int) -> None:
        """The account's first period, once it is over."""
        us = self.us[which]
        first = self.house.opened(us)[0]
        if us.account not in self.closed and self.now >= first.end_us:
            self.closed.add(us.account)
            self.house.close(us, 1, self.now)

    @rule(pick=st.integers(0, 5), early=st.integers(0, 2400), over=st.booleans())
    def belated(self, pick: int, early: int, over: bool) -> None:
        """A period closes over what runs, which then turns out to have ended before."""
        end = self.house.opened(self.us[0])[0].end_us
        if not self.closed and self.live():
            self.now = max(self.now, end + SECOND)
            self.close(0)
            self.close(1)
            self.settle(again=False)
            what = runtime.ReportStopped if over else runtime.ReportDegraded
            self.say(what, pick, (self.now - end) // SECOND + early)

    @rule(which=st.integers(0, 1), mib=st.sampled_from([64, 512]), lost=st.booleans())
    def store(self, which: int, mib: int, lost: bool) -> None:
        """A volume, if three days of it can be held for."""
        us, state = self.us[which], self.house.state
        before = self.seen(us)
        if lost:  # its append lost to another process: as if never decided
            ids = (stream("volume", 99), us.organization, us.project, NAME)
            wanted = storage.NewVolume(*ids, mib, self.now)
            emits, _ = self.tried(lambda: storage.create(state, wanted))
            state.undo(emits)
            assert self.seen(us) == before
        try:
            self.house.store(us, mib, at=self.now)
        except DomainError as error:
            if error.code not in {"wallet.insufficient", BARRED}:
                raise
            assert self.seen(us) == before

    def volumes(self) -> list[str]:
        return sorted(self.house.state.volumes)

    @rule(pick=st.integers(0, 3), late=st.integers(0, 300), what=st.integers(0, 3))
    def answer(self, pick: int, late: int, what: int) -> None:
        """What the node of a volume was asked for last, or asking for more of it, or its end."""
        if not (known := self.volumes()):
            return
        name = known[pick % len(known)]
        held = self.house.state.volumes[name].state
        at = max(0, self.now - late * SECOND)
        says = self.house.volume_says
        match held.asked:
            case volume.Created():
                size = held.size_mib * volume.MIB
                says(volume.ReportFormatted, name, at, "ext4_loop", size, told=self.now)
            case volume.GrowRequested(size_mib=mib):
                says(volume.ReportGrown, name, at, mib, told=self.now)
            case volume.WipeRequested():
                size = held.size_mib * volume.MIB
                says(volume.ReportWiped, name, at, "zero", size, 1, told=self.now)
            case _ if what == 0:
                self.house.does_to(name, volume.Wipe(self.now))
            case _:
                us = next(one for one in self.us if one.account == held.created.account)
                more = held.size_mib + 64
                _, refused = self.tried(lambda: self.house.grow(us, name, more, self.now))
                codes = {"wallet.insufficient", "volume.locked", "volume.not_ready", BARRED}
                assert refused is None or refused.code in codes

    def standing(self) -> list[str]:
        found = self.house.state.reservations.items()
        return [name for name, one in found if isinstance(one, reservation.Standing)]

    @rule(which=st.integers(0, 1), devices=st.integers(1, 4), minutes=st.integers(1, 90))
    def reserve(self, which: int, devices: int, minutes: int) -> None:
        """Devices that cost while nothing runs on them, if a lease of them can be held for; once as if
        its append had lost.
        """
        us, state = self.us[which], self.house.state
        ids = (stream("reservation", self.reserved), us.organization, us.project, "T4")
        wanted = together.Reserve(*ids, devices, self.now + minutes * MINUTE, self.now)
        before = self.seen(us)
        emits, refused = self.tried(lambda: together.reserve(state, wanted))
        if refused is not None:
            assert self.may_refuse(us, 1000 * devices, refused.code)
            assert self.seen(us) == before
            return
        state.undo(emits)
        assert self.seen(us) == before
        self.house.emitted(together.reserve(state, wanted))
        self.reserved += 1

    @rule(pick=st.integers(0, 3), milli=st.sampled_from([333, 1000]))
    def draw(self, pick: int, milli: int) -> None:
        """A runtime on a reservation."""
        if not (standing := self.standing()):
            return
        name = standing[pick % len(standing)]
        us = next(
            one
            for one in self.us
            if one.project == self.house.state.reservations[name].made.project
        )
        wanted = replace(self.house.wish(us, milli, at=self.now), reservation=name)
        emits, refused = self.tried(lambda: launch.admit(self.house.state, wanted))
        if refused is None:
            self.house.emitted(emits)
            return
        codes = {"wallet.insufficient", "capacity.none_fits", "quota.exceeded", BARRED}
        assert refused.code in codes | {"reservation.ended"}

    @rule(more=st.integers(0, 5), lost=st.booleans())
    def hold_on(self, more: int, lost: bool) -> None:
        """What is due of reservations, minutes later."""
        self.now += more * 2 * MINUTE
        state = self.house.state
        for name in reserving.due(state, self.now):
            if lost:
                before = [self.seen(one) for one in self.us]
                state.undo(together.hold_on(state, name, self.now))
                assert [self.seen(one) for one in self.us] == before
            self.house.emitted(together.hold_on(state, name, self.now))
        for name in together.due(state, self.now):
            self.house.emitted(together.end_reservation(state, name, "expired", self.now))

    @rule(which=st.integers(0, 1), devices=st.integers(1, 3), times=st.integers(1, 8))
    def lodge(self, which: int, devices: int, times: int) -> None:
        """A reservation that is held on in time, something on it now and then."""
        self.house.grant(self.us[which], USD, at=self.now)
        self.reserve(which, devices, 30 * times)
        for turn in range(times):
            if turn % 3 == 1:
                self.draw(turn, 1000)
                for pick in range(len(self.live())):
                    self.usable(pick, 0)
            if turn % 3 == 0:
                self.settle(again=False)
                self.stopped(turn, 0)
            self.hold_on(1, lost=turn == 1)
            for machine in (0, 1):
                self.lease(machine, 1, lost=False)

    @rule(pick=st.integers(0, 3))
    def give_up(self, pick: int) -> None:
        if standing := self.standing():
            name = standing[pick % len(standing)]
            self.house.emitted(together.end_reservation(self.house.state, name, "asked", self.now))

    @rule(
        which=st.integers(0, 1), pick=st.integers(0, 5), taken=st.booleans(), part=st.integers(0, 3)
    )
    def gives_back(self, which: int, pick: int, taken: bool, part: int) -> None:
        """A payment taken back by the payer's bank, or refunded: all of it that may, or a part."""
        us = self.us[which]
        purse = self.house.wallet(us)
        paid = [one for one in purse.references.values() if one.bucket == "paid"]
        if not paid:
            return
        payment = paid[pick % len(paid)]
        self.returned += 1
        pico = payment.amount_pico * part // 3
        command = wallet.GiveBack(payment.reference, pico, f"c{self.returned}", self.now)
        before = (self.seen(us), purse.arrears_pico)
        of = (self.house.state, us.organization, us.account, command)
        emits, refused = self.tried(lambda: funding.give_back(*of, taken=taken))
        if refused is not None:
            assert refused.code in {"wallet.not_returnable", "wallet.arrears"}
            return
        if part == 1:  # its append lost to another process: as if never decided
            self.house.state.undo(emits)
            assert (self.seen(us), purse.arrears_pico) == before
            emits = funding.give_back(*of, taken=taken)
        self.house.emitted(emits)

    @rule(which=st.integers(0, 1))
    def resume(self, which: int) -> None:
        """Somebody has looked, whatever is owed."""
        us = self.us[which]
        state = fold(account.DECIDER, self.house.facts(us.account))
        if self.house.state.purses.credit.get(us.account, credit.Credit()).suspended:
            facts = account.decide(credit.Resume("", "looked", self.now), state)
            self.house.append((us.account, us.organization, facts))

    @rule(hours=st.integers(0, 80))
    def tend(self, hours: int) -> None:
        """Much later: what is due of volumes is done, and what is charged is met."""
        self.now += hours * HOUR
        self.house.keep_volumes(self.now)
        self.house.settle(self.now)

    @rule()
    def crash(self) -> None:
        """Another writer reads the log: it has the same wallets, to the last part of a lot."""
        fresh = AdmissionState()
        for name, _, fact in self.house.history.facts:
            fresh.apply(name, fresh.version(name) + 1, fact)
        self.same(fresh)

    def same(self, fresh: AdmissionState) -> None:
        """What both writers hold."""
        for us in self.us:
            mine, other = self.house.wallet(us), fresh.purses.wallet(us.account)
            assert (mine.lots, mine.holds) == (other.lots, other.holds)
            assert (mine.balance_pico, mine.held_pico) == (other.balance_pico, other.held_pico)
        known = {name: one.cover for name, one in self.house.state.purses.prepaid.items()}
        assert {name: one.cover for name, one in fresh.purses.prepaid.items()} == known
        assert fresh.purses.idle == self.house.state.purses.idle

    @invariant()
    def never_below_zero(self) -> None:
        """Invariant 2, by the sums of the facts and by what the writer holds."""
        if not hasattr(self, "house"):
            return
        for us in self.us:
            purse = self.house.wallet(us)
            assert 0 <= purse.held_pico <= purse.balance_pico
            assert purse.balance_pico == sums(self.house, us)
            assert all(lot.left_pico >= 0 for lot in purse.lots.values())
            assert sum(one.amount_pico for one in purse.holds.values()) == purse.held_pico
            left = sum(lot.left_pico for lot in purse.lots.values())
            assert left + purse.held_pico == purse.balance_pico
            assert purse.arrears_pico == arrears(self.house, us) >= 0

    def teardown(self) -> None:
        if not hasattr(self, "house"):
            return
        house = self.house
        self.now += 3 * HOUR
        for name in self.live():
            house.lose(name, self.now)
        for name in self.standing():
            house.emitted(together.end_reservation(house.state, name, "over", self.now))
        house.settle(self.now)
        for name in self.volumes():
            if not isinstance(house.state.volumes[name].state.asked, volume.WipeRequested):
                house.does_to(name, volume.RefuseOrder(0, "volume.slow", self.now))
                house.does_to(name, volume.Wipe(self.now))
            size = house.state.volumes[name].state.size_mib * volume.MIB
            house.volume_says(volume.ReportWiped, name, self.now, "zero", size, 1)
        house.settle(self.now)
        house.expire(self.now)
        assert not house.books.prepayments.settlements()
        house.judged()
        judge(house, self.us)


def sums(house: PrepaidHouse, us: Tenant) -> int:
    """The balance, by the facts that move it."""
    total = 0
    for fact in house.facts(wallet_stream(us.account)):
        match fact:
            case CreditGranted():
                total += fact.amount_pico
            case CreditExpired() | HoldCaptured() | VolumeCaptured() | ReservationCaptured():
                total -= fact.amount_pico
            case ChargeRecovered():
                total -= fact.recovered_pico
            case CreditChargedBack():
                total -= fact.taken_pico
            case CreditRefunded() | ArrearsMet():
                total -= fact.amount_pico
            case _:
                pass
    return total


def arrears(house: PrepaidHouse, us: Tenant) -> int:
    """What chargebacks left owing, by the facts."""
    total = 0
    for fact in house.facts(wallet_stream(us.account)):
        if isinstance(fact, CreditChargedBack):
            total += fact.amount_pico - fact.taken_pico
        elif isinstance(fact, ArrearsMet):
            total -= fact.amount_pico
    return total


def overtaken(house: PrepaidHouse) -> set[str]:
    """Runtimes whose node said, after a renewal of their hold whose lease did not name them, that
    they were usable before it.

    A hold of what is not usable covers what comes after the renewal; what the word brings before it
    is met by what is available, and the rest is the provider's (rating.md section 9).
    """
    renewed, found = dict[str, int](), set[str]()
    waiting = dict[str, dict[str, int]]()  # by node, until the lease that goes with the renewal
    for name, _, fact in house.history.facts:
        if isinstance(fact, wallet_facts.HoldsRenewed):
            holds = dict.fromkeys((one.runtime for one in fact.holds), fact.decided_us)
            waiting.setdefault(fact.node, {}).update(holds)
        elif isinstance(fact, node.LeaseRenewed):
            held = waiting.pop(name, {})
            renewed.update({one: at for one, at in held.items() if one not in fact.runtimes})
        elif isinstance(fact, runtime.Usable) and fact.usable_us < renewed.get(name, 0):
            found.add(name)
    return found


def judge(house: PrepaidHouse, tenants: list[Tenant]) -> None:
    """Every hold resolved once, in full, and enough for every charge of what was said in time;
    nothing billed after it.
    """
    late = overtaken(house)
    for us in tenants:
        placed, resolved = dict[str, HoldPlaced](), list[str]()
        kept: dict[str, list[tuple[int, int]]] = defaultdict(list)
        spent: dict[str, int] = defaultdict(int)
        ends: dict[str, int] = {}
        expired: set[str] = set()
        level, base = 0, 0
        for fact in house.facts(wallet_stream(us.account)):
            match fact:
                case CreditGranted():
                    level, base = 0, fact.balance_pico - fact.held_pico
                case wallet_facts.LevelReached():
                    assert level < fact.percent
                    level, left = fact.percent, fact.balance_pico - fact.held_pico
                    assert level == 100 or 100 * left <= (100 - level) * base
                case HoldPlaced():
                    placed[fact.runtime] = fact
                    ends[fact.runtime] = fact.until_us
                case wallet_facts.HoldsRenewed():
                    for one in fact.holds:
                        ends[one.runtime] = max(ends[one.runtime], fact.until_us)
                case HoldCaptured():
                    spent[fact.runtime] += fact.amount_pico
                case ChargeRecovered():
                    assert fact.runtime in expired | late, "a hold covers its charges"
                    spent[fact.runtime] += fact.recovered_pico + fact.unrecovered_pico
                case VolumeHeld():
                    kept[fact.volume].append((fact.from_us, fact.until_us))
                case VolumeRenewed():
                    since, until = kept[fact.volume][-1]
                    kept[fact.volume][-1] = (since, max(until, fact.until_us))
                case VolumeCaptured():
                    spent[fact.volume] += fact.amount_pico
                case ReservationHeld():
                    kept[fact.reservation].append((fact.from_us, fact.until_us))
                case ReservationRenewed():
                    since, until = kept[fact.reservation][-1]
                    kept[fact.reservation][-1] = (since, max(until, fact.until_us))
                case ReservationCaptured():
                    spent[fact.reservation] += fact.amount_pico
                case ReservationRecovered():
                    raise AssertionError("a hold covers what is idle")
                case HoldReleased() | HoldExpired():
                    resolved.append(fact.runtime)
                    expired |= {fact.runtime} if isinstance(fact, HoldExpired) else set()
                case _:
                    pass
        assert sorted(resolved) == sorted(placed)
        released = [
            held_for(fact)
            for fact in house.facts(wallet_stream(us.account))
            if isinstance(fact, VolumeReleased | ReservationReleased)
        ]
        assert sorted(released) == sorted(name for name, spans in kept.items() for _ in spans)
        for name, spans in kept.items():
            assert spent[name] == house.charged(name)[1] >= 0
            for _, start, end in house.pieces(name):
                assert any(since <= start and end <= until for since, until in spans)
        for name in placed:
            assert spent[name] == house.charged(name)[1] >= 0
            rows = [one for one in house.rows["rated_interval"] if one.resource == name]
            assert all(row.end_us <= ends[name] for row in rows)
            assert all(placed[name].from_us <= row.start_us for row in rows)
            most = Fraction(house.charged(name)[0]) * 5 * USD / 2 / (1000 * HOUR)
            assert house.charged(name)[1] <= most + len(rows)
        balances = house.books.balances(us.account)
        assert -balances["wallet"].pico == house.wallet(us).balance_pico if balances else True
        assert sum(one.pico for one in balances.values()) == 0


Purses.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
test_wallets = Purses.TestCase
