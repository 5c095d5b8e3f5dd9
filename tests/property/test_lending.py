"""Shares of a quota by the sentences of facts.md: three accounts of the same facts must agree.

The decider, the auditor's books, and `Plain` here, which adds up everything anew from the facts
that stand whenever it is asked.
"""

import contextlib

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec import Struct

from domain import launch, lending, quota
from domain.admission import AdmissionState
from domain.errors import DomainError
from gpuaas_verify.books import Books
from gpuaas_verify.errors import Invalid
from tests.property.books_history import ORG, History, stream

QUOTA = quota.quota_stream(ORG)
DEPARTMENTS = [stream("department", n) for n in (1, 2)]
PROJECTS = {stream("project", n): DEPARTMENTS[n % 2] for n in (1, 2, 3, 4)}
SCOPES = [ORG, *DEPARTMENTS, *PROJECTS]
MODEL, OTHER_MODEL = "T4", "A10"
SIZES = st.integers(1, 5)


class Plain:
    """Shares, claims and what is held; every question is answered by adding up."""

    def __init__(self) -> None:
        self.shares: dict[str, tuple[int, int, int]] = {}  # guaranteed, lendable, limit
        self.claims: dict[str, int] = {}
        self.held: dict[str, tuple[str, int]] = {}  # runtime -> project, milli

    def above(self, scope: str) -> list[str]:
        if scope == ORG:
            return []
        return [ORG] if scope in DEPARTMENTS else [PROJECTS[scope], ORG]

    def below(self, scope: str) -> list[str]:
        found = [one for one in SCOPES if self.above(one)[:1] == [scope]]
        return [one for one in found if one in self.shares]

    def use(self, scope: str) -> int:
        return sum(
            milli for of, milli in self.held.values() if scope == of or scope in self.above(of)
        )

    def total(self, scope: str, *, claims: bool) -> int:
        """Firm, or pledged: use and what is kept (or claimed) here and below."""
        own = self.use(scope)
        for one in self.below(scope):
            own += self.total(one, claims=claims) - self.use(one)
        guaranteed, lendable, _ = self.shares.get(scope, (0, 0, 0))
        claim = min(self.claims.get(scope, 0), guaranteed) if claims else 0
        return max(own, guaranteed - lendable, claim)

    def sums(self, project: str) -> list[tuple[int, int]]:
        """(sum, limit), for each of the three sums on each level that has a share."""
        found = []
        for scope in (project, *self.above(project)):
            if scope in self.shares:
                limit = self.shares[scope][2]
                found.append((self.use(scope), limit))
                found += [(self.total(scope, claims=c), limit) for c in (False, True)]
        return found

    def fits(self, project: str, milli: int) -> bool:
        """Whether no sum that rises is above its limit then."""
        before = self.sums(project)
        self.held["?"] = (project, milli)
        after = self.sums(project)
        del self.held["?"]
        return all(
            now <= limit or now == was
            for (was, _), (now, limit) in zip(before, after, strict=True)
        )  # fmt: skip


class Lending(RuleBasedStateMachine):
    """One organization, two departments, four projects; facts go to the auditor as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self.books = Books(None)
        self.state = AdmissionState()
        self.plain = Plain()
        self.now = 0
        self.number = 0

    def teardown(self) -> None:
        self.books.close()

    @property
    def tree(self) -> quota.Tree:
        return self.state.quotas.get(QUOTA, quota.DECIDER.initial)

    def decide(self, command: launch.Setting | quota.Commit | quota.Release) -> list[Struct]:
        """Its facts, undone once before they stand: that leaves nothing behind."""
        facts = tuple(quota.decide(command, self.tree))
        if facts and not isinstance(command, quota.Release):
            kept = quota.Tree(
                *(dict(self.tree.limits), dict(self.tree.used), dict(self.tree.live)),
                lent=lending.copied(self.tree.lent),
            )
            emits = launch.emitted(self.state, ORG, (QUOTA, facts))
            self.state.undo(emits)
            assert (self.tree.used, self.tree.live, self.tree.lent) == (
                kept.used, kept.live, kept.lent,
            )  # fmt: skip
        if facts:
            launch.emitted(self.state, ORG, (QUOTA, facts))
        for fact in facts:
            self.fed(fact)
        return list(facts)

    def fed(self, fact: Struct) -> None:
        position = self.history.add(QUOTA, fact)
        self.books.feed(position, self.history.entry(position))

    def share(self, scope: str, guaranteed: int, lendable: int, limit: int) -> None:
        above = [*self.plain.above(scope), ""][0]
        command = lending.SetShare(scope, above, MODEL, guaranteed, lendable, limit, self.now)
        with contextlib.suppress(DomainError):
            self.decide(command)
            self.plain.shares[scope] = (guaranteed, lendable, limit)

    @initialize(spread=st.lists(st.integers(0, 6), min_size=6, max_size=6))
    def stand(self, spread: list[int]) -> None:
        """A tree that guarantees what it has, and lends some of it."""
        self.share(ORG, 12, 0, 14)
        self.decide(lending.SetShare(ORG, "", OTHER_MODEL, 5, 0, 5, 0))
        self.decide(lending.SetShare(DEPARTMENTS[0], ORG, OTHER_MODEL, 5, 2, 5, 0))
        for scope, lendable in zip(SCOPES[1:], spread, strict=True):
            guaranteed = 6 if scope in DEPARTMENTS else 3
            self.share(scope, guaranteed, min(lendable, guaranteed), 12)

    @rule(
        scope=st.sampled_from(SCOPES), guaranteed=st.integers(0, 8), lendable=st.integers(0, 8),
        limit=st.integers(0, 16),
    )  # fmt: skip
    def set_share(self, scope: str, guaranteed: int, lendable: int, limit: int) -> None:
        self.share(scope, guaranteed, min(lendable, guaranteed) if scope != ORG else 0, limit)

    @rule(project=st.sampled_from(list(PROJECTS)), milli=SIZES)
    def commit(self, project: str, milli: int) -> None:
        """What fits is never refused, what does not is; a refusal says what would fit, exactly."""
        self.number += 1
        self.now += 1
        name = stream("runtime", self.number)
        command = quota.Commit(name, PROJECTS[project], project, MODEL, milli, self.now)
        try:
            self.decide(command)
        except DomainError as error:
            assert not self.plain.fits(project, milli)
            fits = error.facts["fits_milli"]
            assert isinstance(fits, int)
            assert fits == 0 or self.plain.fits(project, fits)
            assert not self.plain.fits(project, fits + 1)
            self.said(error, project, milli)
            self.auditor_refuses(quota.commitment(command, self.tree)[0])
        else:
            assert self.plain.fits(project, milli)
            self.plain.held[name] = (project, milli)

    def said(self, error: DomainError, project: str, milli: int) -> None:
        """Which scope said no, its limit and its use; `lent` only of what is guaranteed."""
        scope = str(error.facts["scope"])
        scope = ORG if scope == "organization" else scope
        assert error.facts["used_milli"] == self.plain.use(scope)
        assert error.facts["limit_milli"] == self.plain.shares[scope][2]
        guaranteed = self.plain.shares.get(project, (0, 0, 0))[0]
        if project in self.plain.shares:
            within = self.plain.use(project) + milli <= guaranteed
            assert (error.code == "quota.lent") == within

    def auditor_refuses(self, fact: Struct) -> None:
        """Books that read all of it so far, and then this fact."""
        self.history.add(QUOTA, fact)
        with Books(None) as books, pytest.raises(Invalid, match=r"books\.quota"):
            self.history.feed(books)
        self.history.facts.pop()

    @rule(pick=st.integers(0, 100))
    def release(self, pick: int) -> None:
        if self.plain.held:
            name = sorted(self.plain.held)[pick % len(self.plain.held)]
            self.decide(quota.Release(name, self.now))
            del self.plain.held[name]

    @rule(scope=st.sampled_from(SCOPES[1:]), milli=SIZES)
    def claim(self, scope: str, milli: int) -> None:
        """Once those that were named are gone the claimant has what it claimed, unless others above
        its guarantee would have to go that a claim before this one leaves alone.
        """
        self.now += 1
        command = lending.Claim(scope, MODEL, milli, self.now, self.now + 5, self.now)
        guaranteed = self.plain.shares.get(scope, (0, 0, 0))[0]
        if milli > guaranteed:
            with pytest.raises(DomainError, match=r"quota\.claim_invalid"):
                self.decide(command)
            return
        facts = self.decide(command)
        self.plain.claims[scope] = milli
        named = {one for fact in facts[1:] for one in fact.runtimes}  # type: ignore[attr-defined]
        assert named <= set(self.plain.held)
        gone = {one: of for one, of in self.plain.held.items() if one in self.tree.lent.named}
        assert named <= set(gone)
        for one in gone:
            del self.plain.held[one]
        for above in self.plain.above(scope):
            assert self.plain.total(above, claims=True) <= self.plain.shares[above][2]
        want = milli - self.plain.use(scope)
        if scope in PROJECTS and want > 0:
            assert self.plain.fits(scope, want)
        self.plain.held.update(gone)

    @rule(scope=st.sampled_from(SCOPES[1:]))
    def unclaim(self, scope: str) -> None:
        """Given up, or nothing to give up."""
        facts = self.decide(lending.Unclaim(scope, MODEL, "unneeded", self.now))
        assert bool(facts) == (self.plain.claims.pop(scope, None) is not None)

    @invariant()
    def sums_are_what_they_sum(self) -> None:
        """Kept along the way at each fact, they are what a walk through the whole tree finds."""
        lent, used = self.tree.lent, self.tree.used
        for sums, claims in ((lent.kept, False), (lent.pledged, True)):
            for scope in ("organization", *SCOPES[1:]):
                walked = lending.spare(lent, used, (scope, MODEL), claims=claims)
                mine = sums.own.get((scope, MODEL), 0)
                assert mine == (walked if lent.claims or not claims else 0)
        kept = lending.spare(lent, used, ("organization", OTHER_MODEL), claims=False)
        assert lent.kept.own.get(("organization", OTHER_MODEL), 0) == kept
        assert lent.pledged.own.get(("organization", OTHER_MODEL), 0) == (
            kept if lent.claims else 0
        )

    @invariant()
    def own_is_own(self) -> None:
        """While no limit is below what is firm, what a project keeps is there, whatever others do."""
        if any(
            self.plain.total(one, claims=False) > share[2]
            for one, share in self.plain.shares.items()
        ):
            return
        for project, department in PROJECTS.items():
            guaranteed, lendable, _ = self.plain.shares.get(project, (0, 0, 0))
            own = guaranteed - lendable - self.plain.use(project)
            if own > 0:
                of = (department, project, MODEL)
                assert quota.excess(self.tree, of, own) is None


TestLending = Lending.TestCase
TestLending.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
