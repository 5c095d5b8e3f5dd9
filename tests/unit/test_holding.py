"""Whoever is inside stays as long as what it came with, and what let it in, stand."""

import pytest
from msgspec import Struct

from api.authorization.directory import Directory
from api.authorization.door import Door
from api.authorization.holding import Entered, Holds, by_token, holding
from api.authorization.principal import Principal
from domain import api_key, department, issuer, project, session
from domain import authority_facts as facts
from evidence.reader import Recorded
from tests.unit.domain_world import NAME

ORG, USER, ISSUER = "organization-1", "user-1", "token-issuer"
BY = ((), 5)
KEY = api_key.KeyCreated(USER, NAME, "gpuaas_", "aa", (), 50, *BY)
SESSION = session.Opened(ISSUER, USER, ORG, "bb", (), "", 50, 5)
BEFORE: tuple[tuple[str, Struct], ...] = (
    ("department-1", department.Created(ORG, NAME, 5)),
    ("project-1", project.Created(ORG, "department-1", "account-1", NAME, 5)),
    ("access-1", facts.MemberAdded(USER, "", *BY)),
    ("access-1", facts.BindingGranted("binding-1", USER, "member", "project-1", False, (), 0, *BY)),
    ("token-key", KEY),
    ("token-session", SESSION),
)


class Inside:
    """A directory, its clock, and somebody who entered with a credential."""

    def __init__(
        self,
        credential: str,
        *told: tuple[str, Struct],
        implied: bool = False,
        resource: str = "",
        at: tuple[tuple[str, Struct, str], ...] = (),
    ) -> None:
        self.directory = Directory()
        self.now_us = 10
        self.position = 0
        for stream, fact, org in (*at, *((*one, ORG) for one in told)):
            self.tell(stream, fact, org)
        door = Door(self.directory, lambda: self.now_us)
        entered = Entered(*(USER, ORG, "terminal.open", "project-1", credential, implied), resource)
        self.holds: Holds = holding(self.directory, door, entered, lambda: self.now_us)

    def tell(self, stream: str, fact: Struct, org: str = ORG) -> None:
        self.directory.apply(Recorded(self.position, stream, 1, "", org, USER, "", 5, fact))
        self.position += 1


@pytest.mark.parametrize(
    ("credential", "over"),
    [
        ("token-key", ("token-key", api_key.KeyRevoked("", *BY))),
        ("token-session", ("token-session", session.Ended("", 6))),
        ("", ("access-1", facts.BindingRevoked("binding-1", "", *BY))),
        ("", ("access-1", facts.MemberRemoved(USER, "", *BY))),
        ("", ("access-1", facts.GuardrailSet("g", ("*",), "project-1", False, (), "", *BY))),
    ],
)
def test_what_is_taken_back_ends_it(credential: str, over: tuple[str, Struct]) -> None:
    """The key, the session, or what the organization bound the user to."""
    inside = Inside(credential, *BEFORE)
    assert inside.holds()
    inside.tell(*over)
    assert not inside.holds()


REQUIRED = facts.SsoRequired("token-other", ("user-9",), *BY)


@pytest.mark.parametrize("credential", ["token-key", "token-session", ""])
@pytest.mark.parametrize("implied", [True, False])
def test_a_required_issuer_ends_what_was_entered_in_another_way(
    credential: str, *, implied: bool
) -> None:
    """By a key, a session of another issuer, a token of the embedded one; lifted, whoever is
    outside enters again.
    """
    inside = Inside(credential, *BEFORE, implied=implied)
    assert inside.holds()
    inside.tell("access-1", REQUIRED)
    assert not inside.holds()
    inside.tell("access-1", facts.SsoLifted("", *BY))
    assert inside.holds()


def test_a_required_issuer_leaves_its_own_sessions_inside() -> None:
    """And whoever is exempt."""
    own, exempt = Inside("token-session", *BEFORE), Inside("", *BEFORE)
    own.tell("access-1", facts.SsoRequired(ISSUER, ("user-9",), *BY))
    exempt.tell("access-1", facts.SsoRequired("token-other", (USER,), *BY))
    assert own.holds()
    assert exempt.holds()


def test_staff_is_inside_by_its_grant_whatever_issuer_is_required() -> None:
    """As at the door; not by what the tenant bound the same person to, once it came as staff."""
    session_of_staff = session.Opened(ISSUER, USER, "-", "cc", (), "", 50, 5)
    asked = facts.GlassRequested("glass-1", USER, "member", ORG, NAME, "T", 60, *BY)
    approved = facts.GlassApproved("glass-1", "user-9", 40, *BY)
    at_platform = (
        ("access-0", facts.MemberAdded(USER, "", *BY), "-"),
        ("access-0", facts.BindingGranted("b", USER, "support", "-", False, (), 0, *BY), "-"),
        ("token-staff", session_of_staff, "-"),
    )
    for over in (
        ("access-1", facts.GlassEnded("glass-1", "", *BY), ORG),
        ("access-0", facts.BindingRevoked("b", "", *BY), "-"),
    ):
        inside = Inside("token-staff", *BEFORE, at=at_platform)
        assert not inside.holds(), "a binding of its own, but no grant"
        inside = Inside(
            "token-staff",
            *BEFORE,
            *(("access-1", REQUIRED), ("access-1", asked), ("access-1", approved)),
            at=at_platform,
        )
        assert inside.holds()
        inside.tell(*over)
        assert not inside.holds()
    own = ("token-session", session.Opened(ISSUER, USER, "organization-2", "dd", (), "", 50, 5))
    granted = (*BEFORE[:2], own, ("access-1", asked), ("access-1", approved))
    assert not Inside("token-session", *granted, at=at_platform).holds(), "not as staff"


@pytest.mark.parametrize(
    ("near", "over"),
    [
        (
            facts.BindingGranted("near", USER, "member", ORG, False, ("10.0.0.0/8",), 0, *BY),
            facts.BindingRevoked("near", "", *BY),
        ),
        (
            facts.BindingGranted("strict", USER, "member", ORG, True, ("10.0.0.0/8",), 0, *BY),
            facts.MemberRemoved(USER, "", *BY),
        ),
    ],
)
def test_a_binding_from_networks_keeps_who_is_inside_and_ends_it(
    near: facts.BindingGranted, over: Struct
) -> None:
    """Where it came from was asked at the door; gone, the binding is gone for it as well."""
    inside = Inside("", *BEFORE[:3], ("access-1", near))
    assert inside.holds()
    inside.tell("access-1", over)
    assert not inside.holds()


def test_a_guardrail_with_networks_ends_nothing_and_hides_no_revocation() -> None:
    """It stands when somebody enters and comes while it is inside: the binding still decides."""
    rail = facts.GuardrailSet("g", ("*",), "project-1", False, ("10.0.0.0/8",), "", *BY)
    inside = Inside("", *BEFORE, ("access-1", rail))
    inside.tell("access-1", facts.GuardrailSet("h", ("*",), ORG, True, ("::/0",), "", *BY))
    assert inside.holds()
    inside.tell("access-1", facts.BindingRevoked("binding-1", "", *BY))
    assert not inside.holds()


STAFF = "user-staff"
GLASS = "break_glass-1"
ASKED = facts.GlassRequested(GLASS, STAFF, "member", ORG, NAME, "T-1", 60, *BY)
STANDING = facts.GlassApproved(GLASS, "user-second", 50, *BY)


class Helping(Inside):
    """Somebody of the staff in a terminal of a tenant, by break-glass until 50."""

    def __init__(self, *told: tuple[str, Struct]) -> None:
        self.directory, self.now_us, self.position = Directory(), 10, 0
        self.platform(facts.MemberAdded(STAFF, "", *BY))
        self.platform(facts.BindingGranted("b", STAFF, "support", "-", False, (), 0, *BY))
        for stream, fact in (*BEFORE, ("access-1", ASKED), ("access-1", STANDING), *told):
            self.tell(stream, fact)
        door = Door(self.directory, lambda: self.now_us)
        entered = Entered(STAFF, ORG, "terminal.open", "project-1")
        self.holds = holding(self.directory, door, entered, lambda: self.now_us)

    def platform(self, fact: Struct) -> None:
        self.directory.apply(Recorded(self.position, "access-0", 1, "", "-", USER, "", 5, fact))
        self.position += 1


def test_break_glass_lets_nobody_stay_beyond_its_end() -> None:
    """At the first instant after it, whether a fact says so or not."""
    inside = Helping()
    inside.now_us = 49
    assert inside.holds()
    inside.now_us = 50
    assert not inside.holds()


@pytest.mark.parametrize(
    "over",
    [
        facts.GlassEnded(GLASS, "enough", *BY),
        facts.GuardrailSet("g", ("terminal.*",), ORG, False, (), "", *BY),
    ],
)
def test_the_tenant_ends_break_glass_and_what_it_opened(over: Struct) -> None:
    """By revoking it, and by a guardrail, which binds staff there."""
    inside = Helping()
    assert inside.holds()
    inside.tell("access-1", over)
    assert not inside.holds()


@pytest.mark.parametrize(
    "over",
    [facts.BindingRevoked("b", "", *BY), facts.MemberRemoved(STAFF, "", *BY)],
)
def test_who_is_no_staff_any_more_is_in_no_tenant(over: Struct) -> None:
    """Its grant gives nothing from then on, though it stands."""
    inside = Helping()
    assert inside.holds()
    if isinstance(over, facts.MemberRemoved):
        inside.platform(facts.BindingRevoked("b", "", *BY))
    inside.platform(over)
    assert not inside.holds()


def test_a_required_issuer_is_of_the_tenants_people_not_of_staff() -> None:
    """Who is there by break-glass signed in at the platform's."""
    assert Helping(("access-1", REQUIRED)).holds()


@pytest.mark.parametrize("credential", ["token-key", "token-session"])
def test_what_ends_by_its_time_ends_it(credential: str) -> None:
    """At the first instant at which it is over."""
    inside = Inside(credential, *BEFORE)
    inside.now_us = 49
    assert inside.holds()
    inside.now_us = 50
    assert not inside.holds()


def test_a_distrusted_issuers_sessions_are_over() -> None:
    """Whom nobody vouches for any more is not inside."""
    trusted = issuer.Trusted("https://id.example", "app", ORG, ("RS256",), (), 5)
    inside = Inside("token-session", (ISSUER, trusted), *BEFORE)
    assert inside.holds()
    inside.tell(ISSUER, issuer.Distrusted("", 6))
    assert not inside.holds()


def test_who_was_never_let_in_by_a_binding_stays() -> None:
    """What a token alone implied is not the organization's to take back this way."""
    inside = Inside("", *BEFORE[:2], implied=True)
    assert inside.holds()
    inside.tell("access-1", facts.GuardrailSet("g", ("*",), "project-1", False, (), "", *BY))
    assert inside.holds()


@pytest.mark.parametrize(
    "over", [facts.BindingRevoked("binding-1", "", *BY), facts.MemberRemoved(USER, "", *BY)]
)
def test_a_right_that_was_taken_before_the_entrance_opens_nothing(over: Struct) -> None:
    """A ticket, a revocation, and then the ticket is used: out at the first look, for ever."""
    inside = Inside("token-session", *BEFORE, ("access-1", over))
    assert not inside.holds()
    assert not Inside("", *BEFORE[:2]).holds(), "nor was there ever a binding"


@pytest.mark.parametrize(
    ("role", "given"), [("", False), ("auditor", False), ("admin", True), ("member", True)]
)
def test_a_token_gives_what_its_role_holds(role: str, *, given: bool) -> None:
    """Only then is its bearer left inside without a binding."""
    assert by_token(Principal(USER, role, ORG), "terminal.open") is given


def test_a_binding_at_the_one_resource_holds_whoever_is_inside() -> None:
    """Until it is revoked, or a guardrail of what the resource lies in forbids it; at no other."""
    placed = facts.ResourcePlaced("runtime-1", "project-1", *BY)
    at = facts.BindingGranted("binding-2", USER, "member", "runtime-1", False, (), 0, *BY)
    before = (*BEFORE[:3], ("access-1", placed), ("access-1", at))
    rail = facts.GuardrailSet("g", ("terminal.*",), "department-1", False, (), "", *BY)
    for over in (facts.BindingRevoked("binding-2", "", *BY), rail):
        inside = Inside("", *before, resource="runtime-1")
        assert inside.holds()
        inside.tell("access-1", over)
        assert not inside.holds()
    assert not Inside("", *before, resource="runtime-2").holds()
    assert not Inside("", *before).holds(), "the rest of its project"
