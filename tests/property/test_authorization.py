"""What Cedar decides is what the rules mean, and nothing below a guardrail widens it."""

from collections import Counter
from itertools import product

import cedarpy
import psycopg
import pytest

from api.authorization.cedar import PLATFORM, STATIC, Call, Policies, forbid, permit
from contracts.authorization import schema
from contracts.authorization.registry import ACTIONS, DESK, FOUNDING
from domain.binding import STAFF_ROLES, Binding, Guardrail
from projections.asof import held
from projections.reach import terms
from tests import authority_edits, authority_worlds
from tests.authority_edits import WORLDS, holds, worlds
from tests.authority_worlds import agree, reaches
from tests.conftest import Database

ORG, PART, PROJECT, THING = "organization-1", "department-1", "project-1", "runtime-1"
PLACES = (
    *((THING, PROJECT, PART, ORG, PLATFORM), (PROJECT, PART, ORG, PLATFORM)),
    *((PART, ORG, PLATFORM), (ORG, PLATFORM)),
)
CALLS = (Call(), Call(mfa=True), Call(mfa_demanded=True))


def test_both_evaluators_agree_on_random_worlds() -> None:
    """Each decision, and the ids that made it, are those of the evaluator written from the page."""
    allowed = [agree(seed, 50) for seed in range(120)]
    assert 300 < sum(allowed) < 5_700, "the worlds allow some, and refuse some"


def test_the_oracle_sees_a_forgotten_guardrail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that lost its guardrails would not agree: the comparison can fail."""
    monkeypatch.setattr(
        authority_worlds, "Policies", lambda bindings, _, groups: Policies(bindings, (), groups)
    )
    with pytest.raises(AssertionError):
        sum(agree(seed, 50) for seed in range(120))


def test_lists_show_what_a_decision_about_each_thing_would() -> None:
    """Of random trees and bindings, for random callers and actions: no more, and no less."""
    counted, times = Counter[str](), 0
    for seed in range(150):
        found, judged = reaches(seed, 10)
        counted += found
        times += len(judged)
    assert times == 1_500
    assert min(counted["all"], counted["some"], counted["nothing"]) > 30, counted


def test_the_condition_of_lists_in_sql_is_the_reach(database: Database) -> None:
    """What `[reach …]` lets through is what `Reach.covers` says, of all that random worlds have."""
    query = held(_ROWS, None)
    with psycopg.connect(database.app_url) as conn:
        for seed in range(60):
            for reach, items in reaches(seed, 2)[1]:
                rows = {
                    "scopes_": [one.scope for one in items],
                    "resources_": [one.resource for one in items],
                }
                found = conn.execute(query, {**terms(reach), **rows}).fetchall()
                wanted = [(one.scope, one.resource) for one in items if one.shown]
                assert found == wanted, (seed, reach)


_ROWS = """
SELECT t.scope, t.resource
FROM unnest(%(scopes_)s::text[], %(resources_)s::text[]) WITH ORDINALITY t (scope, resource, n)
WHERE [reach t.scope t.resource] ORDER BY t.n
"""


def test_every_policy_is_valid_by_the_schema() -> None:
    """Of each form that is compiled, beside those that hold for everybody."""
    near = ("10.0.0.0/8", "::/0")
    bindings = [
        Binding("binding-1", "user-1", "member", ORG),
        Binding("binding-2", "service-1", "owner", PART, until_us=5),
        Binding("binding-3", "group-1", "viewer", PROJECT, mfa=True, networks=near, until_us=5),
        Binding("binding-4", "user-1", "operator", PLATFORM, networks=near),
        Binding("binding-5", "user-1", "support", PLATFORM, desk=True),
        Binding("break_glass-1", "user-1", "member", ORG, until_us=5),
        Binding("binding-5", "user-1", "member", THING, mfa=True, until_us=5),
        Binding("binding-6", "user-1", "viewer", "volume-1"),
        Binding("binding-7", "group-1", "viewer", "network-1", networks=near),
    ]
    guardrails = [
        Guardrail("guardrail-1", ("*",), ORG),
        Guardrail("guardrail-2", ("runtime.*", "volume.create"), PART, unless_mfa=True),
        Guardrail("guardrail-4", ("administrative",), ORG, unless_mfa=True),
        Guardrail("guardrail-3", ("runtime.launch",), PROJECT, True, near),
        Guardrail("guardrail-4", ("runtime.stop",), THING, True, near),
    ]
    text = "\n".join([STATIC, *map(permit, bindings), *map(forbid, guardrails)])
    found = cedarpy.validate_policies(text, schema.text())
    assert found.validation_passed, [str(error) for error in found.errors]


def test_staff_has_in_tenants_what_its_desk_has_and_no_more() -> None:
    """Every action of every staff role at an organization: the table, or a grant of break-glass; a
    founding act only while nobody owns it. At the platform, what its role holds, but no token.
    """
    here = (ORG, PLATFORM)
    for role, (name, action) in product(STAFF_ROLES, ACTIONS.items()):
        desk = Binding("binding-1", "user-1", role, PLATFORM, desk=True)
        alone = Policies((desk,), ())
        held = role in action.roles
        there = alone.decide("user-1", name, (PLATFORM,), Call(), 0).allowed
        assert there == (held and name != "token.issue"), name
        if action.level != "tenant":
            continue
        owned = alone.decide("user-1", name, here, Call(owned=True), 0).allowed
        unowned = alone.decide("user-1", name, here, Call(owned=False), 0).allowed
        assert owned == (held and name in DESK), name
        assert unowned == (held and name in DESK | FOUNDING), name
        glass = Binding("break_glass-1", "user-1", "member", ORG, until_us=9)
        given = Policies((desk, glass), ())
        found = given.decide("user-1", name, here, Call(), 8)
        assert found.allowed == (owned or "member" in action.roles), name
        assert given.decide("user-1", name, here, Call(), 9).allowed == owned
    assert not DESK & FOUNDING


def test_no_edit_below_a_guardrail_widens_it() -> None:
    """Small organizations, every second one of all (all of them, and every question to Cedar too, by
    `make chaos`): after whatever somebody below a guardrail is let do to bindings, groups, members,
    guardrails, projects and departments, it stands, what lay under it lies under it, what it forbade
    is refused, and nobody stands above it who did not before, so that the next edit is from below.
    """
    every = list(worlds())
    assert len(every) == WORLDS
    tried = allowed = 0
    for one in every[::2]:
        found = holds(one, whole=False)
        tried, allowed = tried + found[0], allowed + found[1]
    assert tried > 90_000
    assert tried > allowed > 10_000


def test_an_edit_that_would_widen_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a server that let anybody do what the table of edits lists: the comparison can fail."""
    monkeypatch.setattr(authority_edits, "may", lambda *_: True)
    with pytest.raises(AssertionError):
        holds(next(worlds()), whole=False)


def test_both_evaluators_forbid_in_a_small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that lost its guardrails would not: the comparison can fail."""
    every = [one for one in worlds() if one.guardrails[0].actions == ("*",)]
    bound = next(one for one in every if one.bindings[0].role == "owner")
    holds(bound, whole=True)
    monkeypatch.setattr(
        authority_edits, "Policies", lambda bindings, _, groups: Policies(bindings, (), groups)
    )
    with pytest.raises(AssertionError):
        holds(bound, whole=True)


def test_what_was_decided_is_remembered_until_a_binding_ends() -> None:
    """The first instant at which a binding does not stand any more is refused, asked before or not."""
    policies = Policies((Binding("binding-1", "user-1", "member", ORG, until_us=10),), ())
    asked = ("user-1", "runtime.launch", (ORG, PLATFORM), Call())
    assert [policies.decide(*asked, now).allowed for now in (8, 9, 10, 11)] == [
        *(True, True, False, False),
    ]


def test_no_word_of_a_policy_breaks_out_of_it() -> None:
    """Ids are checked before they are written into a policy, whoever chose them."""
    for word in ('user-1" ', "user-1\n", 'group-"); permit(principal,action,resource); //'):
        with pytest.raises(AssertionError):
            permit(Binding("binding-1", word, "member", ORG))
        with pytest.raises(AssertionError):
            forbid(Guardrail(word, ("*",), ORG))
    assert len(ACTIONS) > 100
