"""An organization's authority: who belongs to it, what is bound, what is forbidden."""

from typing import Any

import pytest
from msgspec.structs import replace

from domain import authority_checks
from domain.authority import DECIDER
from domain.authority_commands import (
    Accept,
    AddMember,
    Command,
    CreateAccount,
    CreateGroup,
    DeleteAccount,
    DeleteGroup,
    Grant,
    Invite,
    JoinGroup,
    LeaveGroup,
    LiftGuardrail,
    LiftSso,
    RemoveMember,
    RenameGroup,
    RequireSso,
    Revoke,
    SetGuardrail,
    Wish,
    Withdraw,
)
from domain.authority_facts import (
    BindingGranted,
    BindingRevoked,
    Event,
    GroupLeft,
    MemberAdded,
    MemberRemoved,
    ResourcePlaced,
    SsoRequired,
)
from domain.authority_state import Authority
from domain.binding import Binding, Guardrail
from domain.bounds import Bounds
from domain.decider import fold
from domain.words import Private
from tests.unit.domain_world import NAME, decided, refused

ORG = "organization-1"
NOW = 1_000


def wish(what: Wish, now_us: int = NOW) -> Command:
    return Command(what, ORG, ("token:owner",), now_us)


def told(*wishes: Wish) -> list[Event]:
    """The facts of these wishes, one after the other."""
    facts: list[Event] = []
    for one in wishes:
        facts += decided(DECIDER, facts, wish(one))
    return facts


def binding(name: str = "1", who: str = "user-1", role: str = "owner", **more: object) -> Binding:
    return Binding(f"binding-{name}", who, role, ORG, **more)  # type: ignore[arg-type]


OWNED = (AddMember("user-1"), Grant(binding()))
INVITED = Invite("invitation-1", NAME, "member", "project-1", "aa", NOW + 10)


def test_a_group_is_renamed_while_it_is_there() -> None:
    """The same name again is nothing; who is in it stays; a deleted one is gone, an unknown one
    unknown.
    """
    other = Private("cc")
    given = told(*OWNED, CreateGroup("group-1", NAME), JoinGroup("group-1", "user-1"))
    assert decided(DECIDER, given, wish(RenameGroup("group-1", NAME))) == []
    facts = decided(DECIDER, given, wish(RenameGroup("group-1", other)))
    state = fold(DECIDER, (*given, *facts))
    assert state.names == {"group-1": other}
    assert state.groups == {"group-1": {"user-1"}}
    over = (*given, *decided(DECIDER, given, wish(DeleteGroup("group-1"))))
    assert not fold(DECIDER, over).names
    assert refused(DECIDER, over, wish(RenameGroup("group-1", other))) == "authority.gone"
    assert refused(DECIDER, given, wish(RenameGroup("group-2", other))) == "authority.unknown"


def test_who_leaves_loses_every_binding_and_group_at_once() -> None:
    """One append: bindings, groups, then the member; what nobody holds any more gives nothing."""
    given = told(
        *OWNED,
        AddMember("user-2"),
        CreateGroup("group-1", NAME),
        JoinGroup("group-1", "user-2"),
        Grant(binding("2", "user-2", "member")),
        Grant(binding("3", "user-2", "viewer")),
    )
    facts = decided(DECIDER, given, wish(RemoveMember("user-2", "left")))
    kinds = [type(one) for one in facts]
    assert kinds == [BindingRevoked, BindingRevoked, GroupLeft, MemberRemoved]
    after = fold(DECIDER, [*given, *facts])
    assert not after.knows("user-2")
    assert [one.id for one in after.bindings.values()] == ["binding-1"]
    assert decided(DECIDER, [*given, *facts], wish(RemoveMember("user-2", "again"))) == []


def test_an_organization_keeps_an_owner() -> None:
    """The last binding of owner without end or condition is not revoked, nor its principal removed."""
    given = told(*OWNED)
    assert refused(DECIDER, given, wish(Revoke("binding-1", ""))) == "authority.last_owner"
    assert refused(DECIDER, given, wish(RemoveMember("user-1", ""))) == "authority.last_owner"
    for weak in (binding("2", "user-2", until_us=NOW + 1), binding("2", "user-2", mfa=True)):
        more = [*given, *told(AddMember("user-2"))]
        more += decided(DECIDER, more, wish(Grant(weak)))
        assert refused(DECIDER, more, wish(Revoke("binding-1", ""))) == "authority.last_owner"
    strong = told(*OWNED, AddMember("user-2"), Grant(binding("2", "user-2")))
    assert len(decided(DECIDER, strong, wish(Revoke("binding-1", "")))) == 1


def test_a_group_of_owners_owns_while_somebody_is_in_it() -> None:
    """The last one cannot leave the group that owns the organization."""
    given = told(
        *OWNED,
        CreateGroup("group-1", NAME),
        JoinGroup("group-1", "user-1"),
        Grant(binding("2", "group-1")),
        Revoke("binding-1", ""),
    )
    assert refused(DECIDER, given, wish(LeaveGroup("group-1", "user-1"))) == "authority.last_owner"
    assert refused(DECIDER, given, wish(DeleteGroup("group-1"))) == "authority.last_owner"


def test_only_who_belongs_is_bound() -> None:
    """Members, groups and service accounts; roles of tenants; ends ahead; canonical networks."""
    given = told(*OWNED, CreateAccount("service-1", NAME))
    cases = [
        (binding("2", "user-9"), "authority.principal_unknown"),
        (binding("2", "service-1", "operator"), "authority.role_unknown"),
        (binding("2", "service-1", "support"), "authority.role_unknown"),
        (binding("2", "service-1", until_us=NOW), "authority.until_invalid"),
        (binding("2", "service-1", networks=("10.0.0.1/8",)), "authority.network_invalid"),
        (binding("2", "service-1", networks=("nowhere",)), "authority.network_invalid"),
    ]
    for wanted, code in cases:
        assert refused(DECIDER, given, wish(Grant(wanted))) == code
    [fact] = decided(DECIDER, given, wish(Grant(binding("2", "service-1", "member"))))
    assert isinstance(fact, BindingGranted)
    assert fact.policies == ("token:owner",)


def test_the_same_binding_is_granted_once() -> None:
    """Another id for the same words is no second binding; a revoked id is over for good."""
    given = told(*OWNED, AddMember("user-2"), Grant(binding("2", "user-2")))
    assert decided(DECIDER, given, wish(Grant(binding("9", "user-2")))) == []
    over = [*given, *decided(DECIDER, given, wish(Revoke("binding-2", "")))]
    assert decided(DECIDER, over, wish(Revoke("binding-2", ""))) == []
    assert len(decided(DECIDER, over, wish(Grant(binding("9", "user-2"))))) == 1
    assert refused(DECIDER, over, wish(Revoke("binding-8", ""))) == "authority.unknown"


def test_an_invitation_is_accepted_once_with_its_secret_in_time() -> None:
    """Then it is a member with the binding that was offered, and the invitation is over."""
    given = told(*OWNED, INVITED)
    accept = Accept("invitation-1", "aa", "user-2", "binding-2")
    for bad in (
        wish(Accept("invitation-1", "bb", "user-2", "binding-2")),
        wish(Accept("invitation-2", "aa", "user-2", "binding-2")),
        wish(accept, INVITED.until_us),
    ):
        assert refused(DECIDER, given, bad) == "authority.secret_wrong"
    facts = decided(DECIDER, given, wish(accept, INVITED.until_us - 1))
    assert [type(one) for one in facts] == [MemberAdded, BindingGranted]
    after = [*given, *facts]
    assert fold(DECIDER, after).bindings["binding-2"].scope == "project-1"
    assert refused(DECIDER, after, wish(accept)) == "authority.secret_wrong"
    withdrawn = told(*OWNED, INVITED, Withdraw("invitation-1"))
    assert refused(DECIDER, withdrawn, wish(accept)) == "authority.secret_wrong"
    assert decided(DECIDER, withdrawn, wish(Withdraw("invitation-1"))) == []


def test_a_deleted_account_and_group_take_their_bindings_along() -> None:
    """What is bound to nobody is not left standing for who might get the name."""
    given = told(
        *OWNED,
        CreateAccount("service-1", NAME),
        CreateGroup("group-1", NAME),
        JoinGroup("group-1", "service-1"),
        Grant(binding("2", "service-1", "member")),
        Grant(binding("3", "group-1", "viewer")),
        DeleteAccount("service-1"),
        DeleteGroup("group-1"),
    )
    after = fold(DECIDER, given)
    assert list(after.bindings) == ["binding-1"]
    assert (after.accounts, dict(after.groups)) == (frozenset(), {})
    assert refused(DECIDER, given, wish(JoinGroup("group-1", "user-1"))) == "authority.gone"
    assert decided(DECIDER, given, wish(DeleteAccount("service-1"))) == []


REQUIRED = RequireSso("token-1", ("user-1",))


def test_an_issuer_is_required_once_and_lifted_once() -> None:
    """A repeat says nothing; who is exempt, and programs, may come in another way."""
    facts = told(*OWNED, AddMember("user-2"), REQUIRED)
    assert isinstance(facts[-1], SsoRequired)
    assert decided(DECIDER, facts, wish(REQUIRED)) == []
    sso = fold(DECIDER, facts).sso
    assert sso is not None
    assert sso.bars("user-2", "")
    assert sso.bars("user-2", "token-2")
    assert not sso.bars("user-2", "token-1")
    assert not sso.bars("user-1", "token-2")
    assert not sso.bars("service-1", "")
    lifted = [*facts, *decided(DECIDER, facts, wish(LiftSso("x")))]
    assert fold(DECIDER, lifted).sso is None
    assert decided(DECIDER, lifted, wish(LiftSso("x"))) == []


@pytest.mark.parametrize(
    ("exempt", "code"),
    [
        (("user-9",), "authority.principal_unknown"),
        ((), "authority.sso_locks_out"),
        (("user-2",), "authority.sso_locks_out"),
        (("user-1", "user-2"), ""),
    ],
)
def test_an_owner_is_exempt(exempt: tuple[str, ...], code: str) -> None:
    """A member that owns the whole without condition; others may be as well."""
    facts = told(*OWNED, AddMember("user-2"), Grant(binding("2", "user-2", role="admin")))
    wanted = wish(RequireSso("token-1", exempt))
    if code:
        assert refused(DECIDER, facts, wanted) == code
    else:
        assert len(decided(DECIDER, facts, wanted)) == 1


def test_the_exempt_owner_stays_while_the_requirement_stands() -> None:
    """Another owner is not enough; another exempt owner is."""
    facts = told(*OWNED, AddMember("user-2"), Grant(binding("2", "user-2")), REQUIRED)
    for taking in (RemoveMember("user-1", "x"), Revoke("binding-1", "x")):
        assert refused(DECIDER, facts, wish(taking)) == "authority.sso_locks_out"
    facts += decided(DECIDER, facts, wish(RequireSso("token-1", ("user-1", "user-2"))))
    assert decided(DECIDER, facts, wish(Revoke("binding-1", "x")))


@pytest.mark.parametrize("word", ["*", "guardrail.*", "guardrail.lift", "administrative"])
def test_no_guardrail_of_the_whole_locks_everybody_out(word: str) -> None:
    """One that could never be lifted is refused; with a condition, or below, it stands."""
    given = told(*OWNED)
    flat = Guardrail("guardrail-1", (word,), ORG)
    assert refused(DECIDER, given, wish(SetGuardrail(flat, ""))) == "authority.locks_out"
    for fits in (
        Guardrail("guardrail-1", (word,), ORG, unless_mfa=True),
        Guardrail("guardrail-1", (word,), "project-1"),
    ):
        facts = [*given, *decided(DECIDER, given, wish(SetGuardrail(fits, "")))]
        assert fold(DECIDER, facts).guardrails == {"guardrail-1": fits}
        lifted = [*facts, *decided(DECIDER, facts, wish(LiftGuardrail("guardrail-1", "")))]
        assert fold(DECIDER, lifted).guardrails == {}
        assert decided(DECIDER, lifted, wish(LiftGuardrail("guardrail-1", ""))) == []


def test_there_is_room_for_so_many() -> None:
    """A stream that is folded for each decision stays small: of each kind as many as are set."""
    given = told(*OWNED, INVITED, CreateGroup("group-1", NAME), CreateAccount("service-1", NAME))
    few = Bounds(members=1, groups=1, service_accounts=1, bindings=1, invitations=1)
    for one in (
        AddMember("user-3"),
        CreateGroup("group-2", NAME),
        CreateAccount("service-2", NAME),
        Grant(binding("2", "user-1", "viewer")),
        Invite("invitation-2", NAME, "viewer", ORG, "aa", NOW + 10),
    ):
        assert refused(DECIDER, given, replace(wish(one), bounds=few)) == "authority.too_many", one
        assert decided(DECIDER, given, wish(one)), one
    assert Authority().owners(ORG) == set()


def test_who_could_invite_leaves_no_invitation_behind() -> None:
    """Its secret would bring it back: all that are open are withdrawn; a viewer's leaving does not."""
    open_one = (*OWNED, INVITED, AddMember("user-2"))
    for role, kept in (("admin", False), ("viewer", True)):
        facts = told(*open_one, Grant(binding("2", "user-2", role)), RemoveMember("user-2", "x"))
        assert bool(fold(DECIDER, facts).invitations) is kept
    grouped = told(
        *open_one,
        CreateGroup("group-1", NAME),
        JoinGroup("group-1", "user-2"),
        Grant(binding("2", "group-1", "admin")),
        RemoveMember("user-2", "x"),
    )
    assert not fold(DECIDER, grouped).invitations


def test_whose_right_to_invite_is_taken_keeps_no_secret_that_counts() -> None:
    """By its binding or by its group's, as a person or a program: what was offered by that binding
    is withdrawn, and what by another one stays.
    """
    by = {"binding-2": "invitation-2", "binding-1": "invitation-1", "binding-3": "invitation-3"}
    given = told(
        *OWNED,
        AddMember("user-2"),
        Grant(binding("2", "user-2", "admin")),
        CreateGroup("group-1", NAME),
        JoinGroup("group-1", "user-2"),
        Grant(binding("3", "group-1", "admin")),
    )
    for ruling, name in by.items():
        offer = Invite(name, NAME, "admin", ORG, "aa", NOW + 10)
        given += decided(DECIDER, given, Command(offer, ORG, (ruling,), NOW))
    for taking, lost in (
        (Revoke("binding-2", "x"), "invitation-2"),
        (LeaveGroup("group-1", "user-2"), "invitation-3"),
        (DeleteGroup("group-1"), "invitation-3"),
    ):
        facts = [*given, *decided(DECIDER, given, wish(taking))]
        left = set(fold(DECIDER, facts).invitations)
        assert left == set(by.values()) - {lost}, taking
        back = wish(Accept(lost, "aa", "user-2", "binding-9"))
        assert refused(DECIDER, facts, back) == "authority.secret_wrong"


def test_one_decision_looks_at_few_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns an organization keeps nobody else waiting: a principal has so many bindings and
    no more, by itself and by its groups, however it comes to them; and so many guardrails.
    """
    monkeypatch.setattr(authority_checks, "MOST_RIGHTS", 3)
    facts = told(
        *OWNED,
        Invite("invitation-1", NAME, "viewer", "project-9", "aa", NOW + 10),
        Grant(binding("2", "user-1", "viewer")),
        CreateGroup("group-1", NAME),
        JoinGroup("group-1", "user-1"),
        Grant(binding("3", "group-1", "viewer")),
        CreateGroup("group-2", NAME),
        Grant(binding("4", "group-2", "viewer")),
    )
    for one in (
        Grant(binding("5", "user-1", "billing")),
        Grant(binding("5", "group-1", "billing")),
        JoinGroup("group-2", "user-1"),
        Accept("invitation-1", "aa", "user-1", "binding-5"),
    ):
        assert refused(DECIDER, facts, wish(one)) == "authority.too_many", one
    assert decided(DECIDER, facts, wish(Grant(binding("5", "group-2", "billing"))))
    for number in range(authority_checks.MOST_GUARDRAILS):
        rail = Guardrail(f"guardrail-{number}", ("runtime.launch",), f"project-{number}")
        facts += decided(DECIDER, facts, wish(SetGuardrail(rail, "x")))
    more = Guardrail("guardrail-x", ("runtime.launch",), ORG)
    assert refused(DECIDER, facts, wish(SetGuardrail(more, "x"))) == "authority.too_many"


def test_a_program_alone_owns_nothing_for_people() -> None:
    """A group of service accounts is no owner that stays."""
    facts = told(
        *OWNED,
        CreateAccount("service-1", NAME),
        CreateGroup("group-1", NAME),
        JoinGroup("group-1", "service-1"),
        Grant(binding("2", "group-1")),
    )
    assert refused(DECIDER, facts, wish(RemoveMember("user-1", "x"))) == "authority.last_owner"


def test_no_guardrail_of_the_whole_keeps_itself_there() -> None:
    """Nor one that only an impossible address would get past."""
    rail = Guardrail("guardrail-1", ("*",), ORG, unless_networks=("192.0.2.1/32",))
    assert refused(DECIDER, told(*OWNED), wish(SetGuardrail(rail, "x"))) == "authority.locks_out"


def test_what_is_so_already_is_told_at_the_limit_too() -> None:
    """A repeat says nothing, also when there is no room for one more; an acceptance needs room."""
    facts = told(*OWNED, INVITED, CreateGroup("group-1", NAME), JoinGroup("group-1", "user-1"))
    few = Bounds(members=1)
    for one in (AddMember("user-1"), JoinGroup("group-1", "user-1")):
        assert decided(DECIDER, facts, replace(wish(one), bounds=few)) == []
    accept = replace(wish(Accept("invitation-1", "aa", "user-2", "binding-9")), bounds=few)
    assert refused(DECIDER, facts, accept) == "authority.too_many"


def test_a_binding_covers_what_is_no_looser() -> None:
    """In time, by a second factor, by address; the same covers itself."""
    free, tight = binding(), binding(mfa=True, networks=("10.0.0.0/8",), until_us=9)
    assert free.covers(tight)
    assert free.covers(free)
    assert tight.covers(tight)
    assert tight.covers(binding(mfa=True, networks=("10.1.0.0/16",), until_us=8))
    looser: tuple[dict[str, Any], ...] = (
        {"networks": ("10.0.0.0/8",), "until_us": 9},
        {"mfa": True, "until_us": 9},
        {"mfa": True, "networks": ("10.0.0.0/8",)},
        {"mfa": True, "networks": ("10.0.0.0/8",), "until_us": 10},
        {"mfa": True, "networks": ("10.0.0.0/8", "11.0.0.0/8"), "until_us": 9},
        {"mfa": True, "networks": ("fd00::/8",), "until_us": 9},
    )
    for one in looser:
        assert not tight.covers(binding(**one))


def test_one_resource_is_a_scope_for_those_who_read_it_or_work_in_it() -> None:
    """Where it lies is said once, before what is first bound or forbidden there; it stays known
    when nothing is; other roles are for more than one thing.
    """
    thing = replace(binding("2", "user-1", "member"), scope="runtime-1")
    facts = told(*OWNED, Grant(thing, "project-1"))
    assert facts[-2:] == [
        ResourcePlaced("runtime-1", "project-1", ("token:owner",), NOW),
        BindingGranted(
            *("binding-2", "user-1", "member", "runtime-1", False, (), 0), ("token:owner",), NOW
        ),
    ]
    rail = SetGuardrail(Guardrail("guardrail-1", ("*",), "runtime-1"), "", "project-1")
    other = SetGuardrail(Guardrail("guardrail-2", ("*",), "volume-1"), "", "project-2")
    facts = told(*OWNED, Grant(thing, "project-1"), rail, other, Revoke("binding-2", ""))
    placed = [one.resource for one in facts if isinstance(one, ResourcePlaced)]
    assert placed == ["runtime-1", "volume-1"]
    state = fold(DECIDER, facts)
    assert dict(state.resources) == {"runtime-1": "project-1", "volume-1": "project-2"}
    for role in ("owner", "admin", "billing", "auditor"):
        wide = Grant(replace(thing, role=role), "project-1")
        assert refused(DECIDER, told(*OWNED), wish(wide)) == "authority.role_scope"
