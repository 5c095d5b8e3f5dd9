"""Who is behind a gateway's doors by a binding is out when no binding gives it any more."""

import pytest
from msgspec import Struct

from api.gateway.authority import Authorized
from api.gateway.doors import Doors
from domain import api_key, department, grant, project, session
from domain import authority_facts as facts
from evidence.reader import Recorded
from tests.unit.domain_world import NAME
from tests.unit.test_gateway_doors import GRANT, HERE, LIVE, NOW, ORG

STREAM = "access-org"
BY = ((), NOW)
MEMBER = facts.MemberAdded("user-1", "", *BY)
PART = ("department-1", department.Created(ORG, NAME, NOW))
PROJECT = ("project-1", project.Created(ORG, "department-1", "account-1", NAME, NOW))


def bound(until_us: int = 0, role: str = "member") -> facts.BindingGranted:
    return facts.BindingGranted(
        *("binding-1", "user-1", role, "department-1", True, (), until_us), *BY
    )


def after(clock: list[int], *told: tuple[str, Struct]) -> Authorized:
    """A gateway after these facts, and after it looked."""
    made = Authorized(Doors("gateway-1"), lambda: clock[0])
    for position, (stream, fact) in enumerate(told):
        made.apply(Recorded(position, stream, 1, "", ORG, "user-1", "", NOW, fact))
        made.applied = position + 1
        made.look(every=False)
    return made


def granted(until_us: int = 0) -> tuple[tuple[str, Struct], ...]:
    return (PART, PROJECT, (STREAM, MEMBER), (STREAM, bound(until_us)), *LIVE)


@pytest.mark.parametrize(
    "lost",
    [
        facts.BindingRevoked("binding-1", "", *BY),
        facts.GuardrailSet("guardrail-1", ("access.*",), "project-1", False, (), "", *BY),
    ],
)
def test_what_takes_the_right_ends_the_grant(lost: Struct) -> None:
    """A revoked binding, and a guardrail: `revoked` from the step that read them on."""
    made = after([NOW], *granted())
    assert made.doors.why_not(HERE, NOW) is None
    made = after([NOW], *granted(), (STREAM, lost))
    assert made.doors.why_not(HERE, NOW) == "revoked"
    assert made.applied == len(granted()) + 1


def test_a_binding_that_ends_by_itself_ends_the_grant_at_the_next_sweep() -> None:
    """No fact says it: the sweep of each second asks about all."""
    clock = [NOW]
    made = after(clock, *granted(until_us=NOW + 5))
    clock[0] = NOW + 4
    made.look(every=True)
    assert made.doors.why_not(HERE, NOW) is None
    clock[0] = NOW + 5
    made.look(every=True)
    assert made.doors.why_not(HERE, NOW) == "revoked"


LOST = (STREAM, facts.BindingRevoked("binding-1", "", *BY))
GONE = (STREAM, facts.MemberRemoved("user-1", "", *BY))


def test_networks_are_the_doors_and_a_revocation_is_still_one() -> None:
    """A binding from networks and a guardrail outside of some let stay who was let in, and no more:
    the grant ends with the binding.
    """
    rail = facts.GuardrailSet("guardrail-1", ("*",), ORG, False, ("10.0.0.0/8",), "", *BY)
    near = facts.BindingGranted(
        *("binding-1", "user-1", "member", "project-1", True, ("10.0.0.0/8",), 0), *BY
    )
    told = (PART, PROJECT, (STREAM, MEMBER), (STREAM, near), (STREAM, rail), *LIVE)
    assert after([NOW], *told).doors.why_not(HERE, NOW) is None
    assert after([NOW], *told, LOST).doors.why_not(HERE, NOW) == "revoked"


@pytest.mark.parametrize("lost", [(LOST,), (LOST, GONE)])
def test_a_grant_written_after_its_binding_was_gone_opens_nothing(
    lost: tuple[tuple[str, Struct], ...],
) -> None:
    """Whoever granted it had not heard of the revocation; the log has, from the same step on."""
    told = (PART, PROJECT, (STREAM, MEMBER), (STREAM, bound()), *lost, *LIVE)
    assert after([NOW], *told).doors.why_not(HERE, NOW) == "revoked"


ASKED = facts.GlassRequested("break_glass-1", "user-1", "member", ORG, NAME, "T-1", 60, *BY)
GLASS = (
    (STREAM, ASKED),
    (STREAM, facts.GlassApproved("break_glass-1", "user-2", NOW + 5, *BY)),
)


def test_a_grant_by_break_glass_ends_with_it() -> None:
    """By itself, and when it is revoked: whoever came in by it belongs to no organization."""
    clock = [NOW]
    told = (PART, PROJECT, *GLASS, *LIVE)
    made = after(clock, *told)
    clock[0] = NOW + 4
    made.look(every=True)
    assert made.doors.why_not(HERE, NOW) is None
    clock[0] = NOW + 5
    made.look(every=True)
    assert made.doors.why_not(HERE, NOW) == "revoked"
    ended = (STREAM, facts.GlassEnded("break_glass-1", "enough", *BY))
    assert after([NOW], *told, ended).doors.why_not(HERE, NOW) == "revoked"


REQUIRED = (STREAM, facts.SsoRequired("token-i", ("user-9",), *BY))
KEY, SESSION = "token-key", "token-session"
KEYED = (
    KEY,
    api_key.KeyCreated("user-1", NAME, "gpuaas_abcde", "cd" * 32, (), NOW + 5, (), NOW),
)
SIGNED = (
    SESSION,
    session.Opened("token-i", "user-1", ORG, "ef" * 32, (), "", NOW + 5, NOW),
)


def obtained(credential: str, *, implied: bool = False) -> tuple[tuple[str, Struct], ...]:
    how = (GRANT, grant.Obtained(credential, implied, NOW))
    return (*LIVE[:3], how, LIVE[3])


@pytest.mark.parametrize(
    ("made", "over"),
    [
        (KEYED, (KEY, api_key.KeyRevoked("stolen", *BY))),
        (SIGNED, (SESSION, session.Ended("stolen", NOW))),
    ],
)
def test_a_grant_ends_with_what_it_was_obtained_with(
    made: tuple[str, Struct], over: tuple[str, Struct]
) -> None:
    """A revoked key and an ended session, from the step that read it on; also by their own time;
    what was obtained with another credential of the same person stays.
    """
    bindings = granted()[:4]
    clock = [NOW]
    told = (*bindings, made, *obtained(made[0]))
    gateway = after(clock, *told)
    assert gateway.doors.why_not(HERE, NOW) is None
    clock[0] = NOW + 5
    gateway.look(every=True)
    assert gateway.doors.why_not(HERE, NOW) == "revoked"
    assert after([NOW], *told, over).doors.why_not(HERE, NOW) == "revoked"
    assert after([NOW], *bindings, made, over, *obtained(made[0])).doors.why_not(HERE, NOW)
    other = KEYED if made is SIGNED else SIGNED
    both = (*bindings, made, other, *obtained(other[0]), over)
    assert after([NOW], *both).doors.why_not(HERE, NOW) is None


def test_whom_its_own_token_let_in_needs_no_binding() -> None:
    """A member by name only whose token gives the right stays in; one whom a binding let in as well
    goes with that; and one whose token gives nothing never enters.
    """
    nameless = (PART, PROJECT, (STREAM, MEMBER))
    assert after([NOW], *nameless, *obtained("", implied=True)).doors.why_not(HERE, NOW) is None
    assert after([NOW], *nameless, *obtained("")).doors.why_not(HERE, NOW) == "revoked"
    both = (*granted()[:4], *obtained("", implied=True))
    assert after([NOW], *both).doors.why_not(HERE, NOW) is None
    assert after([NOW], *both, LOST).doors.why_not(HERE, NOW) == "revoked"


def test_who_came_by_a_token_alone_stays() -> None:
    """A grant to nobody's member is not ended by what bindings do; another binding keeps one."""
    rail = facts.GuardrailSet("guardrail-1", ("*",), ORG, False, (), "", *BY)
    made = after([NOW], PART, PROJECT, *LIVE, (STREAM, MEMBER), (STREAM, rail))
    assert made.doors.why_not(HERE, NOW) is None
    second = facts.BindingGranted(*("binding-2", "user-1", "admin", "project-1", False, (), 0), *BY)
    made = after([NOW], *granted(), (STREAM, second), LOST)
    assert made.doors.why_not(HERE, NOW) is None


@pytest.mark.parametrize(("credential", "stays"), [(KEY, False), ("", False), (SESSION, True)])
def test_a_required_issuer_lets_its_own_sessions_grants_stand(
    credential: str, *, stays: bool
) -> None:
    """What was granted to a key, or to a token of the embedded issuer, opens nothing any more."""
    before = (PART, PROJECT, (STREAM, MEMBER), (STREAM, bound()), KEYED, SIGNED)
    told = (*before, *obtained(credential))
    assert after([NOW], *told).doors.why_not(HERE, NOW) is None
    made = after([NOW], *told, REQUIRED)
    assert made.doors.why_not(HERE, NOW) == (None if stays else "revoked")


def test_a_session_of_another_organization_ends_what_it_obtained_here_at_once() -> None:
    """A person acts with one session in each organization it belongs to; the fact is the other's."""
    made = after([NOW], *granted()[:4], SIGNED, *obtained(SESSION))
    assert made.doors.why_not(HERE, NOW) is None
    over = session.Ended("stolen", NOW)
    made.apply(Recorded(99, SESSION, 2, "", "organization-2", "user-1", "", NOW, over))
    made.look(every=False)
    assert made.doors.why_not(HERE, NOW) == "revoked"
