"""Break-glass: two persons, a time, and every step a fact of the organization's own stream."""

import pytest
from msgspec.structs import replace

from domain.authority import DECIDER
from domain.authority_commands import (
    AddMember,
    Approve,
    Ask,
    Command,
    Grant,
    Put,
    Refuse,
    RemoveMember,
    Use,
    Wish,
)
from domain.authority_facts import (
    Event,
    GlassApproved,
    GlassEnded,
    GlassRefused,
    GlassRequested,
    GlassUsed,
)
from domain.authority_state import Authority
from domain.binding import Binding
from domain.break_glass import LAPSE_US, ROLES
from domain.decider import fold
from tests.unit.domain_world import NAME, decided, refused

ORG, STAFF, OTHER, GLASS = "organization-1", "user-staff", "user-other", "break_glass-1"
BY = ("token:operator",)
ASK = Ask(GLASS, STAFF, "support", ORG, NAME, "T-1", 60)
MINUTE = 60_000_000


def wish(what: Wish, now_us: int = 1_000, org: str = ORG) -> Command:
    return Command(what, org, BY, now_us)


def told(*wishes: tuple[Wish, int]) -> list[Event]:
    facts: list[Event] = []
    for what, now_us in wishes:
        facts += decided(DECIDER, facts, wish(what, now_us))
    return facts


ASKED = (ASK, 1_000)
APPROVED = (ASKED, (Approve(GLASS, OTHER), 2_000))


def test_from_a_request_to_its_end() -> None:
    """Each step says by which policies; it stands from the approval on, for what was asked."""
    facts = told(*APPROVED, (Use(GLASS, "runtime.list", ORG), 3_000), (Put(GLASS, "done"), 4_000))
    until = 2_000 + MINUTE
    assert facts == [
        GlassRequested(GLASS, STAFF, "support", ORG, NAME, "T-1", 60, BY, 1_000),
        GlassApproved(GLASS, OTHER, until, BY, 2_000),
        GlassUsed(GLASS, "runtime.list", ORG, BY, 3_000),
        GlassEnded(GLASS, "done", BY, 4_000),
    ]
    grant = fold(DECIDER, facts[:2]).glass[GLASS]
    assert grant.binding() == Binding(GLASS, STAFF, "support", ORG, until_us=until)
    assert [grant.stands(at) for at in (until - 1, until)] == [True, False]
    assert not fold(DECIDER, facts).glass[GLASS].stands(3_000)


@pytest.mark.parametrize(
    ("base", "until"), [(0, 2_000 + MINUTE), (5_000, 5_000), (3 * MINUTE, 2_000 + MINUTE)]
)
def test_a_grant_is_under_the_conditions_of_a_binding_to_the_staff(base: int, until: int) -> None:
    """Its factor, its networks, and the end of the two that is first."""
    grant = fold(DECIDER, told(*APPROVED)).glass[GLASS]
    near = ("10.0.0.0/8",)
    found = grant.binding(Binding("binding-1", STAFF, "operator", "-", True, near, base))
    assert found == Binding(GLASS, STAFF, "support", ORG, True, near, until)


def test_nobody_approves_their_own() -> None:
    """Whatever the policies said before."""
    facts = told(ASKED)
    assert refused(DECIDER, facts, wish(Approve(GLASS, STAFF))) == "break_glass.same_person"


def test_a_step_repeated_is_done() -> None:
    """An approval, an end, a use that is known already."""
    facts = told(*APPROVED, (Use(GLASS, "runtime.list", ORG), 3_000))
    assert decided(DECIDER, facts, wish(Approve(GLASS, "user-third"), 4_000)) == []
    assert decided(DECIDER, facts, wish(Use(GLASS, "runtime.list", "project-1"), 4_000)) == []
    over = told(*APPROVED, (Put(GLASS, "done"), 4_000))
    assert decided(DECIDER, over, wish(Put(GLASS, "again"), 5_000)) == []


def test_a_use_that_is_written_down_late_is_written_down() -> None:
    """Whoever was let in before the end was heard of, or while nothing could be written, was in."""
    use, over = Use(GLASS, "runtime.read", ORG), told(*APPROVED, (Put(GLASS, "done"), 4_000))
    late = decided(DECIDER, over, wish(use, 5_000))
    assert late == [GlassUsed(GLASS, "runtime.read", ORG, BY, 5_000)]
    assert decided(DECIDER, [*over, *late], wish(use, 6_000)) == []
    assert decided(DECIDER, told(ASKED), wish(use, 5_000)) == [], "nobody was let in by it"


@pytest.mark.parametrize(
    ("facts", "late_us", "why"),
    [
        (told(ASKED), 1_000 + LAPSE_US, "lapsed"),
        (told(*APPROVED), 2_000 + MINUTE, "expired"),
    ],
)
def test_what_is_over_by_itself_says_why(facts: list[Event], late_us: int, why: str) -> None:
    """At the first instant, and whatever reason was given; nobody can approve it then."""
    grant = fold(DECIDER, facts).glass[GLASS]
    assert [grant.due(at) for at in (late_us - 1, late_us)] == ["", why]
    assert decided(DECIDER, facts, wish(Put(GLASS, "done"), late_us)) == [
        GlassEnded(GLASS, why, BY, late_us)
    ]
    assert refused(DECIDER, facts, wish(Approve(GLASS, OTHER), late_us)) == "break_glass.over"


def test_refused_is_over() -> None:
    """Before it was approved; afterwards it is revoked."""
    facts = told(ASKED, (Refuse(GLASS, "no"), 2_000))
    assert facts[-1] == GlassRefused(GLASS, "no", BY, 2_000)
    assert refused(DECIDER, facts, wish(Approve(GLASS, OTHER))) == "break_glass.over"
    assert refused(DECIDER, told(*APPROVED), wish(Refuse(GLASS, "no"))) == "break_glass.over"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"role": "owner"}, "authority.role_unknown"),
        ({"role": "admin"}, "authority.role_unknown"),
        ({"seconds": 59}, "break_glass.duration_invalid"),
        ({"seconds": 14_401}, "break_glass.duration_invalid"),
        ({"ticket": "two words"}, "break_glass.ticket_invalid"),
    ],
)
def test_what_may_not_be_asked_for(changed: dict[str, str | int], code: str) -> None:
    """No role by which something stays when it ends; four hours at most; a ticket."""
    assert refused(DECIDER, [], wish(replace(ASK, **changed))) == code
    assert "owner" not in ROLES
    assert refused(DECIDER, [], wish(Approve("break_glass-2", OTHER))) == "authority.unknown"


def test_the_platforms_staff_keeps_an_operator() -> None:
    """Its roles are its own; the last operator without condition or end stays."""
    first = Binding("binding-1", STAFF, "operator", "-")
    facts: list[Event] = []
    for what in (AddMember(STAFF), Grant(first)):
        facts += decided(DECIDER, facts, wish(what, org="-"))
    assert fold(DECIDER, facts).owners("-") == {STAFF}
    gone = wish(RemoveMember(STAFF, "left"), org="-")
    assert refused(DECIDER, facts, gone) == "authority.last_owner"
    owner = Grant(Binding("binding-2", STAFF, "owner", "-"))
    assert refused(DECIDER, facts, wish(owner, org="-")) == "authority.role_unknown"
    tenant = [*decided(DECIDER, [], wish(AddMember(STAFF)))]
    operator = Grant(replace(first, scope=ORG))
    assert refused(DECIDER, tenant, wish(operator)) == "authority.role_unknown"
    assert Authority().glass == {}
