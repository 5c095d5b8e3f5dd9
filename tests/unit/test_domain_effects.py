"""The table of effects against the deciders that obey it: one case a row."""

import time
from collections.abc import Callable
from itertools import product

import pytest
from msgspec import Raw, Struct
from msgspec.structs import replace

from api.authorization.directory import Directory
from api.authorization.keys import KeyRing, hash_of, minted
from api.authorization.sessions import PREFIX, Sessions
from api.openapi import FILE
from api.terminal.watch import ends_by
from domain import (
    account,
    api_key,
    authority,
    authority_facts,
    budget,
    budgeting,
    closing,
    credit,
    dunning,
    network,
    organization,
    period,
    pricebook,
    reservation,
    reserving,
    runtime,
    session,
    storage,
    together,
    volume,
)
from domain.authority_commands import Accept, Command, Invite
from domain.authority_state import Authority
from domain.decider import fold
from domain.effects import EFFECTS, OBJECTS, STATES, Effect, page
from domain.errors import DomainError
from domain.launch import admit, end
from domain.placing import Mount
from domain.wallet_facts import CreditRefunded, LevelReached
from evidence.reader import Recorded
from projections.duties import Duties
from projections.entries import Entry
from tests.museum.house import DAY, GPU_HOUR, SECOND, USD
from tests.property.books_history import stream
from tests.unit.domain_world import ACCOUNT, NAME, ORG, PROJECT, World, launch, word
from tests.unit.test_domain_volume import FORMATTED
from tests.unit.test_gateway_doors import HERE, LIVE, NOW, RUNTIME, doors
from tests.wallet_world import PrepaidHouse, wallet_stream

STOP, WIPE = 200, 300
SUSPENDED = organization.Suspended("unpaid", 100)
CLOSING = organization.ClosingStarted("left", STOP, WIPE, 100)
CLOSED = organization.ClosedForGood(WIPE)
STORED = volume.Created(PROJECT, "department-1", "account-1", "node-1", NAME, 64, 10)
SNAPSHOT = "snapshot-1"


class Stand:
    """An organization with one of everything, in a state, everything due carried out."""

    def __init__(self, state: str) -> None:
        self.world = World([("T4", 8)])
        self.state = self.world.state
        for number in (1, 2):
            admit(self.state, launch(number))
        end(self.state, "runtime-2", runtime.Stopped(9, 9, 9, word()))
        taken = volume.SnapshotRequested(SNAPSHOT, 26)
        given = volume.Snapshotted(8, SNAPSHOT, 1, 0, 27, 28, word())
        self.world.say("volume-1", STORED, FORMATTED, taken, given)
        self.world.say("network-1", network.Created(PROJECT, NAME, False, (), 5))
        self.reserve(1)
        if state == "suspended":
            self.world.say(ORG, SUSPENDED)
        elif state in ("closing", "closed"):
            self.world.say(ORG, CLOSING)
            self.carry_out(STOP)
            self.carry_out(WIPE)
        if state == "closed":
            end(self.state, "runtime-1", runtime.Stopped(9, 9, 9, word()))
            self.world.say("volume-1", volume.Deleted(WIPE))
            self.carry_out(WIPE)
            assert isinstance(self.state.organizations[ORG], organization.Closed)

    def carry_out(self, now_us: int) -> None:
        for org, name in closing.due(self.state, now_us):
            assert closing.carry_out(self.state, org, name, now_us)
            assert (org, name) not in closing.due(self.state, now_us)

    def reserve(self, number: int) -> None:
        ids = (f"reservation-{number}", ORG, PROJECT, "T4")
        together.reserve(self.state, together.Reserve(*ids, 1, 10**9, 5))

    def allows(self, act: Callable[[], object]) -> bool:
        """Whether it is not refused for what the organization is."""
        try:
            act()
        except DomainError as error:
            if not error.code.startswith("organization."):
                raise
            return False
        return True

    def new(self) -> bool:
        return self.allows(lambda: admit(self.state, launch(9)))

    def running_runtime(self) -> str:
        held = self.state.runtimes.get("runtime-1")
        if held is None:
            return "none left" if not self.new() else "?"
        return "told to stop" if isinstance(held.state, runtime.Ending) else "goes on"

    def stopped_runtime(self) -> str:
        return "kept as a record" if "runtime-2" in self.state.ended else "?"

    def volume(self) -> str:
        made = storage.NewVolume("volume-9", ORG, PROJECT, NAME, 64, 5)
        grown = storage.GrowVolume("volume-1", ORG, 128, 5)
        mounted = replace(launch(8), volumes=(Mount("volume-1", "/data"),))
        stored = self.state.volumes.get("volume-1")
        if stored is None:
            return "none left" if not self.allows(lambda: storage.create(self.state, made)) else "?"
        wiping = isinstance(stored.state.asked, volume.WipeRequested)
        allowed = {self.allows(lambda: storage.create(self.state, made))}
        allowed.add(self.allows(lambda: admit(self.state, mounted)))
        if not wiping:
            allowed.add(self.allows(lambda: storage.grow(self.state, grown)))
        [locked] = [not one for one in allowed]
        if not locked:
            return "goes on"
        return "locked, then wiped" if wiping else "locked"

    def snapshot(self) -> str:
        stored = self.state.volumes.get("volume-1")
        if stored is None:
            return "none left"
        assert stored.state.snapshots == (SNAPSHOT,)
        wiping = isinstance(stored.state.asked, volume.WipeRequested)
        return "wiped with its volume" if wiping else "goes on"

    def reservation(self) -> str:
        more = self.allows(lambda: self.reserve(2))
        if isinstance(self.state.reservations["reservation-1"], reservation.Standing):
            return "goes on" if more else "no new"
        assert not more
        over = isinstance(self.state.organizations[ORG], organization.Closed)
        return "none left" if over else "ended"

    def inside(self) -> str:
        """Of somebody in the running runtime by SSH or to an app of it, and a terminal there."""
        told: dict[str, list[Struct]] = {
            "told to stop": [runtime.Stopping("x", 1)],
            "none left": [runtime.Lost(1, 1)],
        }
        facts: list[Struct] = [*self.world_facts()]
        before = doors(*LIVE, *((ORG, fact) for fact in facts)).why_not(HERE, NOW)
        ended = [reason for fact in facts if (reason := ends_by(fact, 3))]
        assert (before == "suspended") == (ended == ["organization.suspended"])
        if before is not None:
            return "cut"
        runs = self.running_runtime()
        after = [(RUNTIME, fact) for fact in told.get(runs, [])]
        why = doors(*LIVE, *after).why_not(HERE, NOW)
        assert (why == "runtime_ended") == bool(after)
        return {"goes on": "goes on", "told to stop": "ends with its runtime"}.get(
            runs, "none left"
        )

    def world_facts(self) -> list[Struct]:
        standing = self.state.organizations[ORG]
        match standing:
            case organization.OnHold():
                return [SUSPENDED]
            case organization.Closing():
                return [CLOSING]
            case organization.Closed():
                return [CLOSING, CLOSED]
            case _:
                return []

    def acts_with(self) -> "Acting":
        """Who acts for the organization, as the API knows it after these facts."""
        return Acting(*self.world_facts())

    def network(self) -> str:
        network.joined(self.state.networks["network-1"], PROJECT)
        return "goes on"

    def invoice(self) -> str:
        """What the worker has to do for a month that is over, whatever the organization is."""
        duties = Duties()
        month = period.Opened("account-1", 1, 0, 50, "UTC", "x", 0)
        facts = (
            ("account-1", account.Opened(ORG, "USD", 2, "UTC", "x", 0)),
            ("period-1", month),
            *((ORG, fact) for fact in self.world_facts()),
            ("period-1", period.Closed("account-1", 0, 50, 60)),
        )
        for position, (name, fact) in enumerate(facts):
            duties.apply(Entry(position, 0, name, 1, "", ORG, "user-1", "", Raw()), fact)
        return "goes on" if list(duties.to_invoice) == ["period-1"] else "?"

    def credit(self) -> str:
        """Of a payment that is neither spent nor held, to whom it came from."""
        house = PrepaidHouse()
        us = house.tenant(0)
        house.prepay(us)
        house.grant(us, USD)
        house.append((us.organization, us.organization, self.world_facts()))
        [emit] = house.gives_back(us, "r1", "back", taken=False)
        assert isinstance(emit.facts[0], CreditRefunded)
        return "goes on" if emit.facts[0].amount_pico == USD else "?"

    def api_write(self) -> str:
        return "allowed" if self.new() else "nothing new"


class Prepaid(Stand):
    """A prepaid account with so much credit, for two runtimes: one that runs, one that ended."""

    def __init__(self, credit: int) -> None:
        house = PrepaidHouse()
        self.house, self.us = house, house.tenant(0)
        house.price("T4", USD)
        house.meter_storage(USD // 1000)
        machine = house.machine(1, "T4", gpus=4)
        key = ("default", "gpu.time", "T4", "-", "reserved", "USD", 0, USD // 2, GPU_HOUR, 0)
        entry, book = pricebook.PublishEntry(*key), stream("pricebook", 1)
        said = pricebook.decide(entry, fold(pricebook.DECIDER, house.facts(book)))
        house.append((book, "-", said))
        house.prepay(self.us)
        house.grant(self.us, credit)
        self.state = house.state
        self.reserve(1, at=0)
        self.kept = house.store(self.us)
        house.volume_says(volume.ReportFormatted, self.kept, 0, "ext4_loop", 1024 * volume.MIB)
        house.does_to(self.kept, volume.Snapshot(SNAPSHOT, 0))
        house.volume_says(volume.ReportSnapshotted, self.kept, 0, SNAPSHOT, 1, 0)
        other = house.begin(self.us)
        house.report(runtime.ReportStopped, other, 1)
        house.settle(2)
        self.one = house.begin(self.us, at=2)
        self.other = other
        house.lease(machine, 180 * SECOND)

    def reserve(self, number: int, at: int = 181 * SECOND) -> None:
        ids = (stream("reservation", number), self.us.organization, self.us.project, "T4")
        self.house.emitted(together.reserve(self.state, together.Reserve(*ids, 1, 10**15, at)))

    def allows(self, act: Callable[[], object]) -> bool:
        """Whether it is not refused for what the balance is."""
        try:
            act()
        except DomainError as error:
            if error.code != "wallet.insufficient":
                raise
            return False
        return True

    def new(self) -> bool:
        return self.allows(lambda: self.house.start(self.us, at=181 * SECOND))

    def running_runtime(self) -> str:
        last = self.house.facts(self.one)[-1]
        told = isinstance(last, runtime.Stopping) and last.reason == "wallet.exhausted"
        return "told to stop" if told else "goes on"

    def stopped_runtime(self) -> str:
        return "kept as a record" if self.other in self.state.ended else "?"

    def days_later(self) -> volume.Held:
        """What became of the volume when its first hold was over, and at its date after that."""
        for day in (1, 3, 10):
            self.house.keep_volumes(day * DAY)
            self.house.settle(day * DAY)
        return self.state.volumes[self.kept].state

    def volume(self) -> str:
        held = self.state.volumes[self.kept].state
        if not self.new():
            assert not self.allows(lambda: self.house.store(self.us, at=SECOND))
            told = {type(fact) for fact in self.house.facts(self.kept)}
            held = self.days_later()
            told = {type(fact) for fact in self.house.facts(self.kept)} - told
            assert told == {volume.LockNoticed, volume.Locked, volume.WipeRequested}
            return "locked, then wiped" if held.locked else "?"
        assert self.allows(lambda: self.house.grow(self.us, self.kept, 1100, SECOND))
        return "goes on" if held.locked is None else "?"

    def snapshot(self) -> str:
        assert self.state.volumes[self.kept].state.snapshots == (SNAPSHOT,)
        held = self.state.volumes[self.kept].state if self.new() else self.days_later()
        wiping = isinstance(held.asked, volume.WipeRequested)
        return "wiped with its volume" if wiping else "goes on"

    def reservation(self) -> str:
        more, one = self.allows(lambda: self.reserve(2)), stream("reservation", 1)
        until = self.house.wallet(self.us).holds[one].until_us
        for at in (181 * SECOND, until - 1):
            for name in reserving.due(self.state, at):
                self.house.emitted(together.hold_on(self.state, name, at))
        assert isinstance(self.state.reservations[one], reservation.Standing)
        for name in reserving.due(self.state, until):
            self.house.emitted(together.hold_on(self.state, name, until))
        stands = isinstance(self.state.reservations[one], reservation.Standing)
        assert stands == more
        return "goes on" if stands else "ended"

    def world_facts(self) -> list[Struct]:
        return []

    def network(self) -> str:
        made = network.Created(self.us.project, NAME, False, (), 5)
        self.house.append((stream("network", 1), self.us.organization, [made]))
        network.joined(self.state.networks[stream("network", 1)], self.us.project)
        return "goes on"

    def credit(self) -> str:
        return "used up" if 100 in self.levels() and not self.new() else "goes on"

    def levels(self) -> list[int]:
        """What was said of the balance so far."""
        found = self.house.facts(wallet_stream(self.us.account))
        return [one.percent for one in found if isinstance(one, LevelReached)]


def low() -> Stand:
    """Half of it is used or held, and a low-balance fact says so; there is more than a lease's."""
    stand = Prepaid(70 * USD // 100)
    assert stand.levels() == [50]
    return stand


def empty() -> Stand:
    """It was just enough for the first leases."""
    stand = Prepaid((180 + 72 + 88) * USD // 1000)
    assert stand.levels()[-1] == 100
    return stand


class Owing(Stand):
    """An account that pays afterwards, and does not; an account that is suspended is as overdue."""

    def __init__(self, state: str) -> None:
        super().__init__("active")
        terms = credit.CreditSet(5, 14, (), 1, 2, 10)
        steps = {
            "over limit": [],
            "overdue": ["suspended"],
            "long overdue": ["suspended", "stopped"],
        }
        late = [
            credit.Dunned("invoice-1", step, days, 0, 7, 10**12)
            for days, step in enumerate(steps[state], 1)
        ]
        over = [] if late else [credit.OverLimit(5, 6, 11)]
        self.world.say(ACCOUNT, terms, *over, *late)
        for name in dunning.due_stops(self.state):
            assert dunning.stop(self.state, name, 10**12)
        assert dunning.due_stops(self.state) == []

    def reservation(self) -> str:
        stands = isinstance(self.state.reservations["reservation-1"], reservation.Standing)
        return "goes on" if stands else "ended"

    def allows(self, act: Callable[[], object]) -> bool:
        """Whether it is not refused for what the account owes."""
        try:
            return super().allows(act)
        except DomainError as error:
            if error.code not in {"account.over_limit", "account.suspended"}:
                raise
            return False


class Spent(Stand):
    """All of it lies below a budget that is spent and says `stop`; idle devices cost."""

    def __init__(self) -> None:
        super().__init__("active")
        key = ("default", "gpu.time", "T4", "-", "reserved", "USD")
        self.world.say("pricebook-1", pricebook.EntryPublished(*key, 0, 0, 1, 1))
        of = budget.budget_stream(ORG)
        self.world.say(of, budget.BudgetSet(ORG, ACCOUNT, "USD", 100, budget.STOP, 0))
        self.world.say(of, budget.Reached(ORG, "period-1", 10**15, 100, 100, 5))
        due = budgeting.due_stops(self.state, 6)
        assert {*due} == {"runtime-1", "reservation-1"}
        for name in due:
            assert budgeting.stop(self.state, name, 6)
        assert budgeting.due_stops(self.state, 7) == []

    def allows(self, act: Callable[[], object]) -> bool:
        """Whether it is not refused for what was spent."""
        try:
            return super().allows(act)
        except DomainError as error:
            if error.code != "budget.exhausted":
                raise
            return False

    def reservation(self) -> str:
        assert not self.allows(lambda: self.reserve(2))
        stands = isinstance(self.state.reservations["reservation-1"], reservation.Standing)
        return "goes on" if stands else "ended"


class Acting:
    """A person's key and session, and a service account's key, of an organization."""

    def __init__(self, *facts: Struct) -> None:
        self.directory, self.position = Directory(), 0
        self.keys, self.sessions = KeyRing(self.directory), Sessions(self.directory)
        mine, its = minted(), minted()
        self.mine, self.its, self.signed = mine, its, minted(PREFIX)
        now = time.time_ns() // 1000
        for name, one in (
            ("access-1", authority_facts.MemberAdded("user-1", "", (), 5)),
            ("access-1", authority_facts.AccountCreated("service-1", NAME, (), 5)),
            ("token-1", made_key("user-1", mine)),
            ("token-2", made_key("service-1", its)),
            ("token-3", opened_session(self.signed, now)),
            *((ORG, fact) for fact in facts),
        ):
            self.tell(name, one)

    def tell(self, stream: str, fact: Struct) -> None:
        self.directory.apply(Recorded(self.position, stream, 1, "", ORG, "user-1", "", 5, fact))
        self.position += 1

    def stands(self, kind: KeyRing | Sessions, token: str) -> bool:
        """By what lets a request in, and an open stream is asked."""
        try:
            kind.principal(token)
        except DomainError as error:
            refused = error.code
        else:
            refused = ""
        assert refused in {"", "auth.invalid"}
        return not refused

    def invitation(self) -> str:
        """Its secret still lets somebody belong to it, whom a session then lets read."""
        offer = Invite("invitation-1", NAME, "viewer", ORG, "aa", 10**9)
        invited = fold(authority.DECIDER, decided_by(Authority(), offer))
        accept = Accept("invitation-1", "aa", "user-9", "binding-9")
        [joined, *_] = decided_by(invited, accept)
        self.tell("access-1", joined)
        return "goes on" if self.directory.authority(ORG).knows("user-9") else "?"

    def key(self) -> str:
        now = self.stands(self.keys, self.mine)
        later = minted()
        self.tell("token-9", made_key("user-1", later))
        assert self.stands(self.keys, later) == now, "as the next one"
        return "goes on" if now else "revoked"

    def account(self) -> str:
        return "goes on" if self.stands(self.keys, self.its) else "has no key"

    def session(self) -> str:
        now, anew = self.stands(self.sessions, self.signed), minted(PREFIX)
        self.tell("token-9", opened_session(anew, time.time_ns() // 1000))
        assert self.stands(self.sessions, anew), "who signs in anew reads"
        return "goes on" if now else "ended"

    def stream(self) -> str:
        held = {self.stands(self.keys, self.mine), self.stands(self.keys, self.its)}
        [one] = {*held, self.stands(self.sessions, self.signed)}
        return "goes on" if one else "ended"


def decided_by(state: Authority, wish: Invite | Accept) -> list[authority_facts.Event]:
    return authority.decide(Command(wish, ORG, ("token:owner",), 5), state)


def made_key(who: str, token: str) -> api_key.KeyCreated:
    return api_key.KeyCreated(who, NAME, "gpuaas_", hash_of(token), (), 0, (), 5)


def opened_session(token: str, now_us: int) -> session.Opened:
    until = now_us + 3_600_000_000
    return session.Opened("token-i", "user-1", ORG, hash_of(token), (), "", until, now_us)


def opens(inside: str) -> str:
    """What was issued to enter with, where whoever is inside is cut."""
    return "opens nothing" if inside == "cut" else inside


def stand(state: str) -> Stand:
    if state == "budget spent":
        return Spent()
    balances = {"low balance": low, "zero balance": empty}
    if state in {"over limit", "overdue", "long overdue"}:
        return Owing(state)
    return balances[state]() if state in balances else Stand(state)


def test_an_account_that_is_suspended_is_as_an_overdue_one() -> None:
    """Whatever it was suspended for: nothing new, and what runs goes on."""
    other = Stand("active")
    other.world.say(ACCOUNT, credit.Suspended("grant-1", "chargeback", 10))
    with pytest.raises(DomainError, match=r"account\.suspended"):
        other.new()
    assert other.running_runtime() == "goes on"


ASKED: dict[str, Callable[[Stand], str]] = {
    "running runtime": lambda one: one.running_runtime(),
    "stopped runtime": lambda one: one.stopped_runtime(),
    "volume": lambda one: one.volume(),
    "snapshot": lambda one: one.snapshot(),
    "reservation": lambda one: one.reservation(),
    "terminal or SSH": lambda one: one.inside(),
    "route of an app": lambda one: one.inside(),
    "network": lambda one: one.network(),
    "API write": lambda one: one.api_write(),
    "invoice": lambda one: one.invoice(),
    "API key": lambda one: one.acts_with().key(),
    "service account": lambda one: one.acts_with().account(),
    "session": lambda one: one.acts_with().session(),
    "event stream": lambda one: one.acts_with().stream(),
    "SSH certificate": lambda one: opens(one.inside()),
    "app pass": lambda one: opens(one.inside()),
    "invitation": lambda one: one.acts_with().invitation(),
    "prepaid credit": lambda one: one.credit(),
}
OVER_HTTP = {"API read", "webhook"}  # tests/integration/test_closing.py


def test_the_table_says_one_thing_of_each_object_in_each_state() -> None:
    """No pair twice, none left out; nothing waits for anything any more."""
    assert [(one.state, one.object) for one in EFFECTS] == list(product(STATES, OBJECTS))
    assert {one.waits for one in EFFECTS} == {""}


@pytest.mark.parametrize(
    "row",
    [one for one in EFFECTS if not one.waits and one.object not in OVER_HTTP],
    ids=lambda one: f"{one.state}: {one.object}",
)
def test_each_row_is_what_the_deciders_do(row: Effect) -> None:
    """Asked of them, not of the table."""
    assert ASKED[row.object](stand(row.state)) == row.effect


def test_reactivated_all_stands_that_stood() -> None:
    """Nothing was revoked: what is suspended, or closing, is as it was before."""
    back = organization.Reactivated("paid", 101)
    for facts in (
        (SUSPENDED, back),
        (CLOSING, organization.ClosingWithdrawn("stays", "active", 9)),
    ):
        acting = Acting(*facts)
        assert acting.directory.stopped(ORG) == ""
        assert (acting.key(), acting.account(), acting.stream()) == ("goes on",) * 3
        assert doors(*LIVE, *((ORG, fact) for fact in facts)).why_not(HERE, NOW) is None
    assert Acting(SUSPENDED).directory.stopped(ORG) == "organization.suspended"
    assert Acting(CLOSING, CLOSED).directory.stopped(ORG) == "organization.closed"


def test_the_page_is_the_table() -> None:
    """Made by `python -m api.openapi`."""
    assert FILE.with_name("effects.md").read_text() == page()


def test_before_their_dates_things_go_on() -> None:
    """A microsecond before: no runtime is told, no reservation ends, no volume is wiped."""
    stand = Stand("active")
    stand.world.say(ORG, CLOSING)
    assert closing.due(stand.state, STOP - 1) == []
    for name in ("runtime-1", "reservation-1", "volume-1", ORG):
        assert closing.carry_out(stand.state, ORG, name, STOP - 1) == ()
    stand.carry_out(WIPE - 1)
    assert stand.state.volumes["volume-1"].state.asked is None
    assert isinstance(stand.state.runtimes["runtime-1"].state, runtime.Ending)


def test_withdrawn_it_is_what_it_was() -> None:
    """Suspended before: suspended again. From the wipe on it is too late."""
    state = organization.OnHold(NAME, "unpaid")
    closing_of = organization.evolve(state, CLOSING)
    [fact] = organization.decide(organization.Withdraw("stays", WIPE - 1), closing_of)
    assert fact == organization.ClosingWithdrawn("stays", "suspended", WIPE - 1)
    assert organization.evolve(closing_of, fact) == state
    with pytest.raises(DomainError, match=r"organization\.wiping"):
        organization.decide(organization.Withdraw("stays", WIPE), closing_of)


def test_it_is_closed_only_with_nothing_left_and_an_undone_close_leaves_it_closing() -> None:
    """A runtime that does not stop, a volume without its receipt keep it open."""
    stand = Stand("closing")
    assert closing.carry_out(stand.state, ORG, ORG, WIPE) == ()
    end(stand.state, "runtime-1", runtime.Stopped(9, 9, 9, word()))
    assert closing.carry_out(stand.state, ORG, ORG, WIPE) == ()
    stand.world.say("volume-1", volume.Deleted(WIPE))
    assert closing.due(stand.state, WIPE) == [(ORG, ORG)]
    emits = closing.carry_out(stand.state, ORG, ORG, WIPE)
    stand.state.undo(emits)
    assert isinstance(stand.state.organizations[ORG], organization.Closing)
    assert closing.carry_out(stand.state, ORG, ORG, WIPE) == emits
