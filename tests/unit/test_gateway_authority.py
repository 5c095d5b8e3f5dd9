"""Who is behind a gateway's doors by a binding is out when no binding gives it any more."""

import pytest
from msgspec import Struct

from api.gateway.authority import Authorized
from api.gateway.doors import Doors
from domain import authority_facts as facts
from domain import department, project
from evidence.reader import Recorded
from tests.unit.domain_world import NAME
from tests.unit.test_gateway_doors import HERE, LIVE, NOW, ORG

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


def test_who_came_by_a_token_alone_stays() -> None:
    """A grant that no binding gave is not ended by what bindings do; another binding keeps one."""
    viewer = bound(role="viewer")
    lost = (STREAM, facts.BindingRevoked("binding-1", "", *BY))
    made = after([NOW], PART, PROJECT, (STREAM, MEMBER), (STREAM, viewer), *LIVE, lost)
    assert made.doors.why_not(HERE, NOW) is None
    second = facts.BindingGranted(*("binding-2", "user-1", "admin", "project-1", False, (), 0), *BY)
    made = after([NOW], *granted(), (STREAM, second), lost)
    assert made.doors.why_not(HERE, NOW) is None
