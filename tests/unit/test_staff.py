"""By whom, and since when, one is of the platform's staff; and when an organization is founded."""

import pytest
from msgspec import Struct

from api.authorization.staff import NOT_INDEPENDENT, TOO_NEW, Staff
from api.demands import glass_age_s
from domain import authority_facts as facts
from domain import department, issuer, session
from domain.binding import Binding
from domain.errors import DomainError
from evidence.reader import Recorded
from tests.unit.domain_world import NAME

ORG, WHO, OTHER, THIRD, AT = "organization-1", "user-who", "user-other", "user-third", 100
ISSUER, GROUP = "token-issuer", "group-1"


def told(*said: tuple[str, Struct], org: str = "-", staff: Staff | None = None) -> Staff:
    """By whom, and what."""
    found = staff or Staff()
    for actor, fact in said:
        stream = ISSUER if isinstance(fact, issuer.Trusted) else "access-1"
        found.apply(Recorded(0, stream, 1, "", org, actor, "", AT, fact))
    return found


def bound(to: str) -> facts.BindingGranted:
    return facts.BindingGranted("binding-1", to, "support", "-", False, (), 0, (), AT)


def trusted(at_us: int = AT) -> issuer.Trusted:
    return issuer.Trusted("https://id.example", "app", "-", ("RS256",), (), at_us)


JOINED = facts.GroupJoined(GROUP, WHO, (), AT)
SIGNED = session.Opened(ISSUER, WHO, "-", "aa", (), "", 50, 5)


@pytest.mark.parametrize(
    ("said", "to", "why"),
    [
        (((THIRD, bound(WHO)),), WHO, ""),
        (((OTHER, bound(WHO)),), WHO, NOT_INDEPENDENT),
        (((THIRD, bound(GROUP)), (THIRD, JOINED)), GROUP, ""),
        (((THIRD, bound(GROUP)), (OTHER, JOINED)), GROUP, NOT_INDEPENDENT),
        (((OTHER, bound(GROUP)), (THIRD, JOINED)), GROUP, NOT_INDEPENDENT),
        (((THIRD, bound(WHO)), (OTHER, trusted()), (WHO, SIGNED)), WHO, NOT_INDEPENDENT),
        (((THIRD, bound(WHO)), (OTHER, trusted())), WHO, ""),
        (
            ((THIRD, bound(WHO)), (OTHER, trusted()), (WHO, SIGNED), (THIRD, trusted())),
            *(WHO, ""),
        ),
        (((THIRD, bound(WHO)), (THIRD, trusted(AT + 1)), (WHO, SIGNED)), WHO, TOO_NEW),
    ],
)
def test_who_made_somebody_staff_is_no_second_person(
    said: tuple[tuple[str, Struct], ...], to: str, why: str
) -> None:
    """By the binding, the place in the group that has it, or the issuer: whoever did it last."""
    assert told(*said).unsettled(WHO, {OTHER}, Binding("binding-1", to, "support", "-"), AT) == why


def test_who_is_new_is_no_second_person() -> None:
    """Until the first instant at which it is so for long enough."""
    found, one = told((THIRD, bound(WHO))), Binding("binding-1", WHO, "support", "-")
    assert [found.unsettled(WHO, {OTHER}, one, at) for at in (AT - 1, AT)] == [TOO_NEW, ""]


ADDED = facts.MemberAdded(WHO, "", (), AT)
MADE = department.Created(ORG, NAME, AT)


@pytest.mark.parametrize(
    ("actor", "fact", "over"),
    [
        (WHO, facts.MemberAdded("user-boss", "", (), AT), False),
        (WHO, MADE, False),
        (WHO, bound("user-boss"), True),
        (OTHER, MADE, True),
        (OTHER, facts.GroupCreated(GROUP, NAME, (), AT), True),
        ("system-authority", facts.GlassEnded("glass-1", "", (), AT), False),
        (OTHER, SIGNED, False),
    ],
)
def test_an_organization_acts_by_itself_once_for_all(
    actor: str, fact: Struct, *, over: bool
) -> None:
    """From a binding on, or an act of who was never of the staff; leaving changes nothing."""
    found = told((THIRD, ADDED))
    assert found.founding(ORG)
    told((actor, fact), org=ORG, staff=found)
    told((actor, facts.BindingRevoked("binding-1", "", (), AT)), staff=found)
    assert found.founding(ORG) is not over


def test_how_long_is_a_setting() -> None:
    """A day; no time at all only where one key makes anybody."""
    name = "GPUAAS_BREAK_GLASS_AGE_S"
    assert [glass_age_s(env, embedded=False) for env in ({}, {name: ""}, {name: "60"})] == [
        *(86_400, 86_400, 60),
    ]
    assert glass_age_s({name: "0"}, embedded=True) == 0
    for wrong in ("0", "-1", "1.5", "day"):
        with pytest.raises(DomainError, match=r"config\.malformed"):
            glass_age_s({name: wrong}, embedded=False)
