"""Budgets, stateful: what is seen is what would be charged, and is told once while it stands."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Raw

from domain import budget, project, runtime
from domain.price_facts import Tier
from domain.rating import Books
from domain.words import Private
from gpuaas_verify.books import Books as Auditor
from projections.budgeting import Spending
from projections.entries import Entry
from tests.property.books_history import HOUR_US, ORG, History, stream

MONTH = 9 * HOUR_US
BUDGETS = budget.budget_stream(ORG)
DEPARTMENT = stream("department", 1)
PROJECTS = tuple(stream("project", n) for n in (1, 2, 3))  # the third pays by another account
AMOUNTS = (1, 10**12, 7 * 10**12 + 1, 4 * 10**13)
SCOPES = (*PROJECTS[:2], DEPARTMENT, ORG)


class Spent(RuleBasedStateMachine):
    """Two accounts, tiers of one price over a pool, two models; the auditor takes every fact."""

    def __init__(self) -> None:
        super().__init__()
        self.history, self.auditor = History(), Auditor(None)
        self.books, self.spending = Books(), Spending()
        self.fed = self.number = self.now = self.closed = 0
        self.open: dict[str, int] = {}  # runtime -> project
        self.usable: set[str] = set()
        self.amounts: dict[str, tuple[int, str]] = {}
        # (scope, level or 0 for the forecast) -> what was told, of which period: the oracle's.
        self.told: dict[tuple[str, int], tuple[int, int]] = {}

    def teardown(self) -> None:
        self.auditor.close()

    @initialize(amounts=st.lists(st.sampled_from(AMOUNTS), min_size=4, max_size=4))
    def world(self, amounts: list[int]) -> None:
        history = self.history
        self.accounts = [history.account(n) for n in (1, 2)]
        for n, account in enumerate(self.accounts):
            for k in (0, 1, 2):
                history.period(account, 3 * n + k + 1, k + 1, k * MONTH, (k + 1) * MONTH)
        history.price(10**12 + 7, 0)
        history.price(3 * 10**12 + 1, MONTH // 3)
        tiers = (Tier(7 * HOUR_US * 1000, 2 * 10**12 + 3), Tier(None, 10**11 + 1))
        history.shaped(tiers, 0, free=HOUR_US * 1000, model="A10")
        units = 2 * HOUR_US * 1000
        history.commitment(self.accounts[0], MONTH, 3 * MONTH, units, 10**12, model="A10")
        self.nodes = {"T4": history.node(1, "T4"), "A10": history.node(2, "A10")}
        for name, of in zip(PROJECTS, (0, 0, 1), strict=True):
            where = (ORG, DEPARTMENT, self.accounts[of], Private("0" * 64))
            history.add(name, project.Created(*where, 0))
        self.follow()
        for scope, pico in zip(SCOPES, amounts, strict=True):
            self.put(scope, pico, "soft")
        for of, model in ((0, "T4"), (1, "A10"), (0, "A10")):
            self.launch(of, model, 1000 + of)

    def follow(self) -> None:
        """Whoever follows the log has what is new."""
        for position in range(self.fed, len(self.history.facts)):
            name, _, fact = self.history.facts[position]
            told = self.history.entry(position)
            entry = Entry(
                *(position, 0, name, told["version"], told["tag"], told["org"]),
                *("system-test", told["cause"], Raw(b"")),
            )
            self.spending.apply(entry, fact)
            self.spending.charged(self.books.apply(position, name, fact)[1])
            self.auditor.feed(position, told)
        self.fed = len(self.history.facts)

    def add(self, facts: list[Any]) -> None:
        for fact in facts:
            self.history.add(BUDGETS, fact)
        self.follow()

    @property
    def period(self) -> int:
        return self.now // MONTH

    @property
    def end(self) -> int:
        return (self.period + 1) * MONTH

    # -- what is used --------------------------------------------------------------------

    @rule(by=st.sampled_from((1, 1_000_003, HOUR_US // 3 + 7, 2 * HOUR_US + 1, 5 * HOUR_US)))
    def time(self, by: int) -> None:
        self.now = min(self.now + by, 3 * MONTH - 1)
        self.look()

    @precondition(lambda self: self.closed < self.period)
    @rule()
    def close(self) -> None:
        """The first period that is over, of both accounts."""
        start = self.closed * MONTH
        for n, account in enumerate(self.accounts):
            name = stream("period", 3 * n + self.closed + 1)
            self.history.close(account, name, start, start + MONTH)
        self.closed += 1
        self.follow()
        self.look()

    @rule(of=st.integers(0, 2), model=st.sampled_from(("T4", "A10")), milli=st.integers(1, 2999))
    def launch(self, of: int, model: str, milli: int) -> None:
        """Refused exactly when 100 % stands above it, of its account, in a mode that refuses."""
        scopes = (PROJECTS[of], DEPARTMENT, ORG)
        account = self.accounts[of == 2]
        found = budget.barring(self.state, scopes, account, self.now, budget.HARD)
        spent = [
            scope
            for scope in scopes
            if of != 2 and self.amounts.get(scope, (0, "soft"))[1] != "soft"
            if self.told.get((scope, 100), (0, -1))[1] == self.period
        ]
        assert (found[0].set.scope if found else None) == (spent[0] if spent else None)
        if not found and len(self.open) < 8:
            self.number += 1
            node = self.nodes[model]
            name = self.history.start(
                self.number, account, node, self.now, milli=milli, project=of + 1, model=model
            )
            self.open[name] = of
            self.history.say(runtime.Usable, name, self.now)
            self.usable.add(name)
            self.follow()

    @precondition(lambda self: self.open)
    @rule(data=st.data(), late=st.sampled_from((0, 3 * HOUR_US)))
    def ends(self, data: st.DataObject, late: int) -> None:
        """Perhaps before what was charged of it when a period closed: that is taken back."""
        name = data.draw(st.sampled_from(sorted(self.open)))
        self.history.say(runtime.Stopped, name, max(self.now - late, 0), self.now)
        self.usable.discard(name)
        del self.open[name]
        self.follow()
        self.look()

    @rule()
    def pause(self) -> None:
        """All that is usable is not, and at once is again: what was used is charged."""
        for name in sorted(self.usable):
            self.history.say(runtime.Degraded, name, self.now)
            self.history.say(runtime.Usable, name, self.now)
        self.follow()
        self.time(HOUR_US // 3)

    # -- budgets -------------------------------------------------------------------------

    @rule(
        scope=st.sampled_from(SCOPES),
        amount=st.sampled_from(AMOUNTS),
        mode=st.sampled_from(("soft", "refuse", "stop")),
    )
    def put(self, scope: str, amount: int, mode: str) -> None:
        """What was told stands as far as it is so of the new amount."""
        command = budget.Set(scope, self.accounts[0], "USD", amount, mode, self.now)
        same = self.amounts.get(scope) == (amount, mode)
        facts = budget.decide(command, self.state)
        assert len(facts) == (0 if same else 1)
        self.add(facts)
        self.amounts[scope] = (amount, mode)
        for (of, level), (pico, _) in list(self.told.items()):
            holds = pico > amount if not level else 100 * pico >= level * amount
            if of == scope and not holds:
                del self.told[of, level]

    @rule(scope=st.sampled_from(SCOPES), which=st.sampled_from(("spent", "forecast", "twice")))
    def put_exactly(self, scope: str, which: str) -> None:
        """At the edge of what is true of it."""
        spent, coming = self.would_be(scope, self.now), self.would_be(scope, self.end)
        amount = {"spent": spent, "forecast": coming, "twice": 2 * spent}[which]
        if amount:
            self.put(scope, amount, "refuse")
            self.look()

    @rule(scope=st.sampled_from(SCOPES))
    def clear(self, scope: str) -> None:
        facts = budget.decide(budget.Clear(scope, self.now), self.state)
        assert len(facts) == (scope in self.amounts)
        self.add(facts)
        self.amounts.pop(scope, None)
        self.told = {key: one for key, one in self.told.items() if key[0] != scope}

    @rule()
    def look(self) -> None:
        """Each is told of exactly what is true, does not stand and was not told; then of nothing
        more.
        """
        for again in (False, True):
            seen = self.spending.look(self.books, self.now).get(BUDGETS, [])
            assert [one.scope for one in seen] == list(self.state.of)
            facts: list[Any] = []
            for one in seen:
                assert one.spent_pico == self.would_be(one.scope, self.now)
                assert one.forecast_pico == self.would_be(one.scope, self.end)
                made = budget.decide(one, self.state)
                assert [self.what(fact) for fact in made] == self.due(one)
                facts += made
            self.add(facts)
            assert not (facts and again), "told again"

    def due(self, seen: budget.Observe) -> list[int]:
        """What is to be told, by rules of its own; remembered as told."""
        scope, amount = seen.scope, self.amounts[seen.scope][0]
        stands = {
            level
            for (of, level), (_, period) in self.told.items()
            if of == scope and period == self.period
        }
        found = [
            level
            for level in (50, 80, 100)
            if level not in stands and seen.spent_pico >= -(-level * amount // 100)
        ]
        coming = seen.forecast_pico > amount > seen.spent_pico and not {0, 100} & stands
        if found or coming:
            self.told = {
                key: one
                for key, one in self.told.items()
                if key[0] != scope or one[1] == self.period
            }
        for level in found:
            self.told[scope, level] = (seen.spent_pico, self.period)
        if coming:
            self.told[scope, 0] = (seen.forecast_pico, self.period)
        return found + [0] * coming

    @staticmethod
    def what(fact: budget.Event) -> int:
        return fact.percent if isinstance(fact, budget.Reached) else 0

    def would_be(self, scope: str, at: int) -> int:
        """What would be charged in the period if all that is open ended then: really ended, in
        books of their own.
        """
        books, period = Books(), stream("period", self.period + 1)
        below: dict[str, tuple[str, ...]] = {}
        total = 0
        ends = [(name, "", runtime.Cancelled("x", at)) for name in sorted(self.usable)]
        for position, (name, _, fact) in enumerate([*self.history.facts, *ends]):
            if isinstance(fact, runtime.Requested):
                below[name] = (fact.project, fact.department, ORG)
            for one in books.apply(position, name, fact)[1]:
                if one.period == period and scope in below.get(one.resource, ()):
                    total += one.amount_pico * (1 if one.debit == "unbilled" else -1)
        return total

    @property
    def state(self) -> budget.State:
        told = self.spending.told.get(BUDGETS)
        return budget.DECIDER.initial if told is None else told.state

    @invariant()
    def nothing_else_stands(self) -> None:
        """Of the period that is open, the fold has what the oracle has."""
        for scope, one in self.state.of.items():
            found = {r.percent: r.spent_pico for r in one.reached if self.now < r.until_us}
            right = {
                level: pico
                for (of, level), (pico, period) in self.told.items()
                if of == scope and level and period == self.period
            }
            assert found == right


Spent.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestSpent = Spent.TestCase
