"""Rules of the tree an organization is: projects that move between departments, limits of its quota.

Invariants 10 and 11 of MONEY.md section 7 beside wallets: what each level uses is what its children
use, counted anew from what lives; no use is above a limit but where the limit was lowered below it;
nothing that fits is refused. Moves come twice, lose their append, and are decided by clocks that
are ten minutes behind.
"""

from collections import defaultdict
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from domain import department, launch, project, quota, relocating, runtime
from domain.admission import AdmissionState
from domain.apportionment import shared
from domain.storage_quota import WHOLE
from tests.museum.house import NAME, SECOND, Tenant
from tests.property.books_history import stream
from tests.property.test_wallets import Purses

MODELS = ("T4", "*")
OF_EACH = 3  # departments
type Place = tuple[str, str]  # scope, model


class Stay(NamedTuple):
    """Where a project is from an instant on, and the log position that says so."""

    since_us: int
    department: str
    position: int


class Tree(Purses):
    """Two prepaid accounts and a postpaid one with two projects; three departments each."""

    @initialize(credit=st.integers(0, 12), before=st.integers(1, 40))
    def begin(self, credit: int, before: int) -> None:
        """As for wallets, with the third account."""
        super().begin(credit, before)
        house = self.house
        self.owing = house.tenant(3)
        self.beside = house.add_project(4, self.owing.organization, self.owing.account)
        self.tenants = [*self.us, self.owing]
        self.stays = {
            name: [Stay(fact.created_us, fact.department, position)]
            for position, (name, _, fact) in enumerate(house.history.facts)
            if isinstance(fact, project.Created)
        }
        self.limits: dict[str, dict[Place, int]] = defaultdict(dict)  # by organization
        self.allowed: dict[str, dict[Place, int]] = defaultdict(dict)
        self.asked: dict[str, tuple[str, int]] = {}  # of each runtime: project, milli
        self.kept: dict[str, tuple[str, int]] = {}  # of each reservation that stands
        self.drew: dict[str, str] = {}  # runtimes, on which one
        self.counted = 0
        for us in self.tenants:
            for name in self.departments(us):
                made = department.Created(us.organization, NAME, 0)
                house.append((name, us.organization, [made]))

    def departments(self, us: Tenant) -> list[str]:
        """The one that its project began in, and two more."""
        first = 1 + self.tenants.index(us)
        more = [stream("department", 10 * first + n) for n in range(1, OF_EACH)]
        own = {stays[0].department for name, stays in self.stays.items() if name in self.mine(us)}
        return [*sorted(own), *more]

    def mine(self, us: Tenant) -> list[str]:
        return [us.project, self.beside] if us is self.owing else [us.project]

    @rule(
        which=st.integers(0, 3), to=st.integers(0, OF_EACH - 1), back=st.integers(0, 600),
        lost=st.booleans(),
    )  # fmt: skip
    def move(self, which: int, to: int, back: int, lost: bool) -> None:
        """A project goes to another department, by a clock that is up to ten minutes behind."""
        us = (*self.tenants, self.owing)[which]
        name = self.beside if which == len(self.tenants) else us.project
        where, state = self.departments(us)[to], self.house.state
        place = (us.organization, name, where, us.account, self.now - back * SECOND)
        wanted = relocating.MoveProject(*place)
        before = self.use(us)
        emits, refused = self.tried(lambda: relocating.move(state, wanted))
        if refused is not None:
            limits = self.limits[us.organization]
            assert refused.code == "quota.exceeded"
            assert any(
                before[where, of] + before[name, of] > limits[where, of]
                for of in MODELS
                if (where, of) in limits
            )
            return
        assert bool(emits) == (self.stays[name][-1].department != where)
        if lost:  # its append lost to another process: as if never decided
            state.undo(emits)
            assert self.use(us) == self.known(us)
            emits = relocating.move(state, wanted)
        first = len(self.house.history.facts)
        self.house.emitted(emits)
        for _, _, fact in self.house.history.facts[first:]:
            if isinstance(fact, project.Moved):
                assert fact.moved_us > self.stays[name][-1].since_us
                self.stays[name].append(Stay(fact.moved_us, where, first))
        assert relocating.move(state, wanted) == ()

    @rule(which=st.integers(0, 3), to=st.integers(0, OF_EACH - 1), back=st.integers(0, 600))
    def to_and_fro(self, which: int, to: int, back: int) -> None:
        """Moved by one clock, then by one that is behind it."""
        self.move(which, to, 0, lost=False)
        self.move(which, (to + 1) % OF_EACH, back, lost=False)

    @rule(which=st.integers(0, 2), to=st.integers(0, OF_EACH - 1), milli=st.integers(0, 1500))
    def narrow(self, which: int, to: int, milli: int) -> None:
        """A department that has room for some of it; what runs goes there if it fits."""
        self.limit(which, 1 + to, "*", milli)
        self.move(which, to, 0, lost=False)

    @rule(
        which=st.integers(0, 2), level=st.integers(0, 4), model=st.sampled_from(MODELS),
        milli=st.sampled_from([0, 1000, 1333, 2500, 6000, 6000]),
    )  # fmt: skip
    def limit(self, which: int, level: int, model: str, milli: int) -> None:
        """Of the organization, one of its departments, or a project."""
        us = self.tenants[which]
        scopes = [us.organization, *self.departments(us), self.mine(us)[-1]]
        command = quota.SetLimit(scopes[level], model, milli, self.now)
        self.house.emitted(launch.set_limit(self.house.state, us.organization, command))
        key = (WHOLE if not level else scopes[level], model)
        self.limits[us.organization][key] = milli
        self.allowed[us.organization][key] = max(milli, self.use(us)[key])

    def may_refuse(self, us: Tenant, milli: int, code: str, name: str = "") -> bool:
        """As for wallets; by quota only what does not fit."""
        if code != "quota.exceeded":
            return super().may_refuse(us, milli, code)
        name, use = name or us.project, self.use(us)
        scopes = (WHOLE, self.stays[name][-1].department, name)
        limits = self.limits[us.organization]
        places = [(scope, model) for scope in scopes for model in MODELS]
        return any(use[at] + milli > limits[at] for at in places if at in limits)

    def use(self, us: Tenant) -> dict[Place, int]:
        """By scope and model, added up from what lives and where its project is now."""
        facts = self.house.history.facts
        for name, _, fact in facts[self.counted :]:
            if isinstance(fact, runtime.Requested):
                self.asked[name] = (fact.project, fact.gpu_milli)
            elif isinstance(fact, quota.Reserved):
                self.kept[fact.reservation] = (fact.project, fact.gpu_milli)
            elif isinstance(fact, quota.Unreserved):
                del self.kept[fact.reservation]
            elif isinstance(fact, quota.Drawn):
                self.drew[fact.runtime] = fact.reservation
        self.counted = len(facts)
        found: dict[Place, int] = defaultdict(int)
        apart = [self.asked[one] for one in self.live() if self.drew.get(one) not in self.kept]
        for of, milli in (*apart, *self.kept.values()):
            if of in self.mine(us):
                for scope in (WHOLE, self.stays[of][-1].department, of):
                    for model in MODELS:
                        found[scope, model] += milli
        return found

    def known(self, us: Tenant) -> dict[Place, int]:
        """The same as the admission has it."""
        return self.tree(self.house.state, us).used

    def tree(self, state: AdmissionState, us: Tenant) -> quota.Tree:
        return state.quotas.get(quota.quota_stream(us.organization), quota.DECIDER.initial)

    def same(self, fresh: AdmissionState) -> None:
        """Another writer has the same trees, too."""
        super().same(fresh)
        for us in self.tenants:
            assert self.tree(fresh, us) == self.tree(self.house.state, us)

    @invariant()
    def a_parent_is_the_sum_of_its_children(self) -> None:
        """Invariants 10 and 11, at every position: runtimes and volumes."""
        for us in getattr(self, "tenants", ()):
            use = self.use(us)
            assert self.known(us) == {at: has for at, has in use.items() if has}
            allowed, stored = self.allowed[us.organization], self.tree(self.house.state, us).shelf
            for at, most in allowed.items():
                allowed[at] = max(self.limits[us.organization][at], min(most, use[at]))
                assert use[at] <= allowed[at]
            for scopes in (self.departments(us), self.mine(us)):
                for table, models in ((use, MODELS), (stored.used, ("local", "*"))):
                    for model in models:
                        below = sum(table.get((scope, model), 0) for scope in scopes)
                        assert below == table.get((WHOLE, model), 0)

    def attributed(self) -> None:
        """Invariant 10 of money: nothing that was charged after a move lies across it; what the
        departments have of each line is the line, and all lines are what was charged.
        """
        rows, moved = self.house.rows["rated_interval"], self.house.rows["transfer"]
        lines: dict[tuple[str, int, str], tuple[int, list[Any]]] = {}
        for row in rows:
            key = (row.resource, row.price, row.period)
            known = lines.get(key, (0, []))[1]
            lines[key] = (row.line_amount_pico, [*known, row])
        of = {
            name: fact.project
            for name, _, fact in self.house.history.facts
            if name.startswith(("runtime-", "volume-", "reservation-")) and hasattr(fact, "project")
        }
        for us in self.tenants:
            total = 0
            for (name, _, _), (amount, mine) in lines.items():
                if of.get(name, name) not in self.mine(us):
                    continue
                stays = self.stays[of.get(name, name)]
                parts = [0] * len(stays)
                for row in mine:
                    for stay in stays[1:]:
                        across = row.start_us < stay.since_us < row.end_us
                        assert not (across and stay.position < row.cause)
                    past = sum(stay.since_us <= row.start_us for stay in stays)
                    parts[max(past - 1, 0)] += row.sign * row.quantity
                assert sum(shared(amount, parts)) == amount
                total += amount
            charged = [one for one in moved if one.account == us.account and one.kind == "charge"]
            assert total == sum(
                one.amount_pico if one.debit == "unbilled" else -one.amount_pico for one in charged
            )
