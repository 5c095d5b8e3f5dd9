"""All small organizations with a guardrail, and every edit that somebody below it might try.

What a guardrail forbids, it forbids whoever is bound to what: that is judged in each of these worlds
by both evaluators. It goes on forbidding as long as it stands and what lay under it lies under it:
that is kept by every edit that the evaluator lets somebody do who has no authority at the
guardrail's scope or above it. And nobody comes to have such authority by such an edit, so whoever
edits next stands below too: by induction, no sequence of edits from below widens anything.
"""

from collections.abc import Iterator
from itertools import combinations, islice, product

from msgspec import Struct
from msgspec.structs import replace

from api.authorization.cedar import PLATFORM, Call, Policies
from domain.binding import Binding, Guardrail
from tests.authority_oracle import Asked, covers, decided, takes

ORG = "organization-1"
_NEAR = ("10.0.0.0/8",)
_INSIDE, _OUTSIDE = "10.1.2.3", "8.8.8.8"
_SCOPES = ("department-1", "department-2", "project-1", "project-2", "runtime-1")
_LIES = (
    ("department-1", ORG), ("department-2", ORG), ("project-1", "department-1"),
    ("project-2", "department-2"), ("runtime-1", "project-1"),
)  # fmt: skip
_WORDS = (("*",), ("volume.*", "binding.grant"), ("administrative",))
_ACTIONS = ("volume.create", "binding.grant", "guardrail.lift", "runtime.read")
PEOPLE = ("user-a", "user-b")
WORLDS = 1674  # so many there are


class Small(Struct, frozen=True):
    """`lies`: each thing and what it lies in; `joined`: who is in the one group."""

    lies: tuple[tuple[str, str], ...]
    joined: frozenset[str]
    bindings: tuple[Binding, ...]
    guardrails: tuple[Guardrail, ...]

    def place(self, scope: str) -> tuple[str, ...]:
        """With all that it lies in, up to the platform."""
        if scope == PLATFORM:
            return (PLATFORM,)
        return (scope, *self.place(dict(self.lies).get(scope, PLATFORM)))

    def groups(self, who: str) -> frozenset[str]:
        return frozenset({"group-x"} if who in self.joined else ())

    def scopes(self) -> tuple[str, ...]:
        return (ORG, *(name for name, _ in self.lies))

    def lets(self, asked: Asked) -> bool:
        return decided(self.bindings, self.guardrails, asked)[0]


class Edit(Struct, frozen=True):
    """What it would make of the world, and where which actions must be allowed for it."""

    needs: tuple[tuple[str, str], ...]
    after: Small


def worlds() -> Iterator[Small]:
    """A guardrail of each form at each level of one branch; somebody bound below it once or twice,
    alone or by a group, with each condition; nobody has anything at its scope or above.
    """
    rails = [
        Guardrail("guardrail-0", words, scope, unless_mfa=mfa, unless_networks=near)
        for words, scope, (mfa, near) in product(
            _WORDS, (ORG, "department-1", "project-1"), ((False, ()), (True, ()), (True, _NEAR))
        )
    ]
    wheres = [(one,) for one in _SCOPES] + list(combinations(_SCOPES, 2))
    for rail, where, who, (mfa, until_us) in product(
        rails, wheres, ("user-a", "group-x"), ((False, 0), (True, 0), (False, 5))
    ):
        bindings = tuple(
            Binding(f"binding-{at}", who, "owner", scope, mfa=mfa, until_us=until_us)
            for at, scope in enumerate(where)
            if not scope.startswith("runtime-")
        ) or (Binding("binding-0", who, "member", "runtime-1", mfa=mfa, until_us=until_us),)
        one = Small(_LIES, frozenset({"user-a"}), bindings, (rail,))
        if not above(one, rail):
            yield one


def above(of: Small, rail: Guardrail) -> bool:
    """Whether anybody is bound at the guardrail's scope or above it."""
    return any(one.scope in of.place(rail.scope) for one in of.bindings)


def edits(of: Small) -> Iterator[Edit]:
    """Bindings, members of the group, guardrails, moves, new things: what routes do, and what their
    handlers ask (`api/bindings.py`, `groups.py`, `members.py`, `projects.py`, `departments.py`).
    """
    for who, role, scope, mfa in product(
        (*PEOPLE, "group-x"), ("owner", "member"), of.scopes(), (False, True)
    ):
        new = Binding(f"binding-{who}", who, role, scope, mfa=mfa)
        owning = ((ORG, "binding.grant_owner"),) if role == "owner" else ()
        yield Edit(((scope, "binding.grant"), *owning), replace(of, bindings=(*of.bindings, new)))
    for one in of.bindings:
        left = tuple(other for other in of.bindings if other != one)
        yield Edit(((one.scope, "binding.revoke"),), replace(of, bindings=left))
    for who in PEOPLE:
        yield Edit(((ORG, "group.add_member"),), replace(of, joined=of.joined | {who}))
        yield Edit(((ORG, "group.remove_member"),), replace(of, joined=of.joined - {who}))
        kept = tuple(one for one in of.bindings if one.principal != who)
        gone = replace(of, joined=of.joined - {who}, bindings=kept)
        yield Edit(((ORG, "member.remove"),), gone)
    for scope, words, mfa in product(of.scopes(), _WORDS, (False, True)):
        rail = Guardrail("guardrail-1", words, scope, unless_mfa=mfa)
        yield Edit(((scope, "guardrail.set"),), replace(of, guardrails=(*of.guardrails, rail)))
    for rail in of.guardrails:
        lifted = tuple(other for other in of.guardrails if other != rail)
        yield Edit(((rail.scope, "guardrail.lift"),), replace(of, guardrails=lifted))
    # An account is the organization's: who moves or makes a project is asked there too.
    for project, to in (("project-1", "department-2"), ("project-2", "department-1")):
        lies = tuple((name, to if name == project else at) for name, at in of.lies)
        asked = ((project, "project.move"), (to, "project.move"), (ORG, "project.move"))
        yield Edit(asked, replace(of, lies=lies))
    for to in ("department-1", "department-2"):
        more = (*of.lies, ("project-9", to))
        yield Edit(((to, "project.create"), (ORG, "project.create")), replace(of, lies=more))
    more = (*of.lies, ("department-9", ORG))
    yield Edit(((ORG, "department.create"),), replace(of, lies=more))


def may(of: Small, edit: Edit, who: str, known: dict[tuple[str, str, str], bool]) -> bool:
    """At best: with a second factor, from inside, before anything ends."""
    for scope, action in edit.needs:
        key = (who, scope, action)
        if key not in known:
            place, groups = of.place(scope), of.groups(who)
            known[key] = of.lets(Asked(who, groups, action, place, 0, True, _INSIDE, False, None))
        if not known[key]:
            return False
    return True


def kept(before: Small, after: Small) -> bool:
    """The guardrail stands, what lay under it lies under it, and nobody stands above it."""
    rail = before.guardrails[0]
    under = [one for one in before.scopes() if rail.scope in before.place(one)]
    return (
        rail in after.guardrails
        and all(rail.scope in after.place(one) for one in under)
        and not above(after, rail)
    )


def questions(of: Small, every: int) -> Iterator[Asked]:
    """Everything that the first guardrail forbids here, or a part of it."""
    rail = of.guardrails[0]
    asks = product(PEOPLE, _ACTIONS, of.scopes(), (False, True), (_INSIDE, _OUTSIDE), (0, 5))
    for who, action, scope, mfa, source, now_us in islice(asks, 0, None, every):
        if rail.scope in of.place(scope) and any(covers(word, action) for word in rail.actions):
            place = of.place(scope)
            asked = Asked(who, of.groups(who), action, place, now_us, mfa, source, False, None)
            if takes(rail, asked):
                yield asked


def holds(of: Small, *, whole: bool) -> tuple[int, int]:
    """How many edits were tried and how many of them allowed; none undoes what the guardrail
    forbids. `whole`: every question to both evaluators, here and after each edit; otherwise a few.
    """
    tried = allowed = 0
    known: dict[tuple[str, str, str], bool] = {}
    _judged(of, 1 if whole else 7, cedar=whole)
    for edit in edits(of):
        tried += 1
        if any(may(of, edit, who, known) for who in PEOPLE):
            allowed += 1
            assert kept(of, edit.after), (of, edit)
            _judged(edit.after, 1 if whole else 61, cedar=whole)
    return tried, allowed


def _judged(of: Small, every: int, *, cedar: bool) -> None:
    asking = PEOPLE if cedar else ()
    sets = {who: Policies(of.bindings, of.guardrails, tuple(of.groups(who))) for who in asking}
    for asked in questions(of, every):
        assert not of.lets(asked), (of, asked)
        if sets:
            call = Call(asked.mfa, asked.source, asked.operator, asked.scopes)
            of_who = (asked.who, asked.action, asked.place, call, asked.now_us)
            assert not sets[asked.who].decide(*of_who).allowed, (of, asked)


def hold(numbers: range) -> tuple[int, int, int]:
    """Of these worlds, whole: how many there are, how many edits were tried, and let."""
    found = [holds(one, whole=True) for one in islice(worlds(), numbers.start, numbers.stop)]
    return len(found), sum(tried for tried, _ in found), sum(allowed for _, allowed in found)
