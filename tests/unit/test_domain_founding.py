"""How an organization gets its first owner, and the platform its first operator: once."""

import pytest

from domain.authority import DECIDER
from domain.authority_commands import Accept, AddMember, Command, Found, Grant, Invite, Wish
from domain.authority_facts import (
    BindingGranted,
    Event,
    InvitationWithdrawn,
    MemberAdded,
    PlatformFounded,
)
from domain.binding import Binding
from tests.unit.domain_world import NAME, decided, refused

ORG, BOSS, OP = "organization-1", "user-boss", "user-op"
STAFF = frozenset({OP})
BY_STAFF, BY_TOKEN = ("binding-staff",), ("token:operator",)


def founding(what: Wish, *, so: bool = True) -> Command:
    return Command(what, ORG, BY_STAFF, 10, founding=so, staff=STAFF)


def told(*wishes: Wish, policies: tuple[str, ...] = BY_STAFF) -> list[Event]:
    facts: list[Event] = []
    for what in wishes:
        facts += decided(DECIDER, facts, Command(what, ORG, policies, 5))
    return facts


def invite(name: str) -> Invite:
    return Invite(name, NAME, "owner", ORG, f"secret-{name}", 90)


OWNS = Binding("binding-1", BOSS, "owner", ORG)


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (AddMember(OP), "authority.of_staff"),
        (Grant(Binding("b", OP, "owner", ORG)), "authority.of_staff"),
        (Accept("invitation-1", "secret-invitation-1", BOSS, "b"), "authority.of_staff"),
        (Grant(Binding("b", BOSS, "admin", ORG)), "authority.founding"),
        (Grant(Binding("b", BOSS, "owner", "project-1")), "authority.founding"),
        (Grant(Binding("b", BOSS, "owner", ORG, mfa=True)), "authority.founding"),
        (Grant(Binding("b", BOSS, "owner", ORG, until_us=90)), "authority.founding"),
        (Grant(Binding("b", BOSS, "owner", ORG, networks=("::/0",))), "authority.founding"),
        (Invite("i", NAME, "admin", ORG, "s", 90), "authority.founding"),
        (Invite("i", NAME, "owner", "project-1", "s", 90), "authority.founding"),
    ],
)
def test_staff_makes_one_owner_of_the_whole_and_none_of_itself(what: Wish, code: str) -> None:
    """Neither another role, nor a part, nor under a condition; and a platform session accepts
    nothing.
    """
    facts = told(AddMember(BOSS), invite("invitation-1"))
    assert refused(DECIDER, facts, founding(what)) == code
    assert decided(DECIDER, facts, founding(Grant(OWNS)))[-1] == BindingGranted(
        *("binding-1", BOSS, "owner", ORG, False, (), 0, BY_STAFF, 10)
    )


def test_none_of_the_staff_accepts_whoever_invited() -> None:
    """In whatever session."""
    facts = told(invite("invitation-1"), policies=BY_TOKEN)
    wish = Accept("invitation-1", "secret-invitation-1", OP, "b")
    assert refused(DECIDER, facts, founding(wish, so=False)) == "authority.of_staff"


@pytest.mark.parametrize("what", [AddMember("user-2"), Grant(OWNS), invite("invitation-2")])
def test_founding_ends_with_the_first_binding(what: Wish) -> None:
    """Whatever role and condition it has, and when it is gone."""
    first = Grant(Binding("binding-0", BOSS, "viewer", ORG, mfa=True))
    facts = told(AddMember(BOSS), first)
    assert refused(DECIDER, facts, founding(what)) == "authority.founding"
    assert decided(DECIDER, facts, founding(what, so=False))


def test_with_the_first_binding_the_staffs_other_invitations_are_gone() -> None:
    """But for the one that is accepted by it, and what was not the staff's."""
    facts = told(invite("invitation-1"), invite("invitation-2"))
    facts += told(invite("invitation-3"), policies=BY_TOKEN)
    gone = [InvitationWithdrawn(f"invitation-{n}", BY_STAFF, 10) for n in (1, 2)]
    added = [MemberAdded(BOSS, "", BY_STAFF, 5)]
    bound = decided(DECIDER, [*facts, *added], founding(Grant(OWNS)))
    assert bound[:-1] == gone
    wish = Accept("invitation-2", "secret-invitation-2", BOSS, "b")
    accepted = decided(DECIDER, facts, founding(wish, so=False))
    assert accepted[:1] == gone[:1]
    assert [type(one) for one in accepted[1:]] == [MemberAdded, BindingGranted]
    later = decided(DECIDER, [*facts, *accepted], founding(invite("invitation-4"), so=False))
    again = Grant(Binding("binding-9", BOSS, "viewer", ORG))
    third = decided(DECIDER, [*facts, *accepted, *later], founding(again, so=False))
    assert [type(one) for one in third] == [BindingGranted]


PLATFORM = "-"
FIRST, SECOND = "user-first", "user-second"


def found(who: str, *, alone: bool = True) -> Command:
    return Command(Found(who, f"binding-{who}", "token-issuer", alone), PLATFORM, ("founding",), 10)


def operating(who: str, *, recovered: bool = False) -> list[Event]:
    by = (("founding",), 10)
    return [
        PlatformFounded(who, "token-issuer", recovered, *by),
        MemberAdded(who, "", *by),
        BindingGranted(f"binding-{who}", who, "operator", PLATFORM, False, (), 0, *by),
    ]


def test_the_platform_is_founded_once() -> None:
    """Its first operator; again it is so, and nobody else is, whatever binds the one there is."""
    facts = decided(DECIDER, [], found(FIRST))
    assert facts == operating(FIRST)
    assert decided(DECIDER, facts, found(FIRST, alone=False)) == []
    assert refused(DECIDER, facts, found(SECOND, alone=False)) == "platform.founded"
    ends = Binding("binding-1", FIRST, "operator", PLATFORM, mfa=True, until_us=11)
    bound = [MemberAdded(FIRST, "", (), 1), *told_of(ends)]
    assert refused(DECIDER, bound, found(SECOND, alone=False)) == "platform.founded"
    assert refused(DECIDER, bound, found(FIRST, alone=False)) == "platform.founded"


def test_a_platform_that_nobody_can_operate_any_more_is_recovered() -> None:
    """No operator's binding stands, or no issuer at which one signs in: the fact says so, and who
    is bound already is not bound twice.
    """
    over = Binding("binding-1", FIRST, "operator", PLATFORM, until_us=10)
    bound = [MemberAdded(FIRST, "", (), 1), *told_of(over)]
    assert decided(DECIDER, bound, found(SECOND, alone=False)) == operating(SECOND, recovered=True)
    facts = decided(DECIDER, [], found(FIRST))
    assert decided(DECIDER, facts, found(SECOND)) == operating(SECOND, recovered=True)
    assert decided(DECIDER, facts, found(FIRST)) == operating(FIRST, recovered=True)[:1]


def told_of(one: Binding) -> list[Event]:
    return [
        BindingGranted(
            *(one.id, one.principal, one.role, one.scope, one.mfa, one.networks, one.until_us),
            *((), 1),
        )
    ]
