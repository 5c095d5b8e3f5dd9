"""Policies of a principal are parsed again when something of that principal changed, and only then."""

import pytest
from msgspec import Struct
from msgspec.structs import replace

from api.authorization.directory import Directory
from api.authorization.door import Door
from api.authorization.principal import Principal
from domain import authority_facts, department, project
from domain.binding import NEVER
from domain.errors import DomainError
from domain.words import Private
from evidence.reader import Recorded

ORG = "organization-00000000-0000-7000-8000-000000000001"
ACCESS = "access-00000000-0000-7000-8000-000000000001"
DEPARTMENT = "department-00000000-0000-7000-8000-000000000002"
READER = Principal("user-reader", "", ORG)
NAME = Private("0" * 64)


class World:
    def __init__(self) -> None:
        self.directory = Directory()
        self.door = Door(self.directory, lambda: 5)
        self.tell(authority_facts.MemberAdded("user-reader", "", (), 1))
        self.tell(bound("binding-1", "user-reader"))

    def tell(self, fact: Struct, stream: str = ACCESS) -> None:
        at = self.directory.applied
        self.directory.apply(Recorded(at, stream, at + 1, "", ORG, "user-1", "", 1, fact))
        self.directory.applied = at + 1

    def may(self, action: str = "runtime.read", scope: str = ORG) -> bool:
        place = self.directory.place(scope, ORG)
        return self.door.decide(READER, action, place).allowed


def bound(name: str, who: str, role: str = "viewer", scope: str = ORG) -> Struct:
    return authority_facts.BindingGranted(name, who, role, scope, False, (), NEVER, (), 1)


OTHERS = [
    authority_facts.MemberAdded("user-other", "", (), 1),
    bound("binding-2", "user-other"),
    authority_facts.BindingRevoked("binding-2", "why", (), 1),
    authority_facts.GroupCreated("group-1", NAME, (), 1),
    bound("binding-3", "group-1", "owner"),
    authority_facts.MemberRemoved("user-other", "why", (), 1),
]


def test_what_is_decided_of_others_changes_nothing() -> None:
    """Members, groups and bindings of others, and new departments, leave the parsed policies, and a
    decision in the department made meanwhile counts at once.
    """
    world = World()
    assert world.may()
    before = world.door.policies(READER, ORG)
    for fact in OTHERS:
        world.tell(fact)
        assert world.door.policies(READER, ORG) is before
    world.tell(department.Created(ORG, NAME, 1), DEPARTMENT)
    assert world.door.policies(READER, ORG) is before
    assert world.may(scope=DEPARTMENT)


@pytest.mark.parametrize(
    ("fact", "allowed"),
    [
        (bound("binding-9", "user-reader", "owner"), (True, True)),
        (bound("binding-1", "user-reader", "billing"), (False, False)),
        (bound("binding-1", "user-reader", "viewer", DEPARTMENT), (False, False)),
        (authority_facts.BindingRevoked("binding-1", "why", (), 1), (False, False)),
        (authority_facts.MemberRemoved("user-reader", "why", (), 1), (False, False)),
        (authority_facts.GroupJoined("group-1", "user-reader", (), 1), (True, True)),
        (
            authority_facts.GuardrailSet(
                "guardrail-1", ("runtime.*",), ORG, False, (), "why", (), 1
            ),
            (False, False),
        ),
    ],
)
def test_what_is_decided_of_oneself_counts_at_once(
    fact: Struct, allowed: tuple[bool, bool]
) -> None:
    """Each kind of change that may give or take: the next decision knows it."""
    world = World()
    for other in OTHERS:
        world.tell(other)
    assert world.may()
    assert not world.may("runtime.stop")
    before = world.door.policies(READER, ORG)
    world.tell(fact)
    assert (world.may(), world.may("runtime.stop")) == allowed
    assert world.door.policies(READER, ORG) is not before


def test_a_reach_is_remembered_until_it_may_be_another() -> None:
    """Asked again it is the same thing; a project made meanwhile, a binding, a guardrail and an end
    in time count at once.
    """
    clock, world = [5], World()
    world.door = Door(world.directory, lambda: clock[0])
    part = authority_facts.BindingGranted(
        *("binding-1", "user-reader", "viewer", DEPARTMENT, False, (), 9), (), 1
    )

    def scopes() -> set[str]:
        reach = world.door.reach(READER, "runtime.list", ORG)
        assert reach == world.door.reach(READER, "runtime.list", ORG)
        return {ORG} if reach.everywhere else set(reach.scopes)

    assert scopes() == {ORG}
    world.tell(department.Created(ORG, NAME, 1), DEPARTMENT)
    world.tell(part)
    before = world.door.reach(READER, "runtime.list", ORG)
    assert world.door.reach(READER, "runtime.list", ORG) is before
    assert scopes() == {DEPARTMENT}
    world.tell(project.Created(ORG, DEPARTMENT, "account-1", NAME, 1), "project-1")
    assert scopes() == {DEPARTMENT, "project-1"}
    rail = authority_facts.GuardrailSet("g", ("runtime.*",), "project-1", False, (), "", (), 1)
    world.tell(rail)
    assert scopes() == {DEPARTMENT}
    clock[0] = 9
    assert scopes() == set()


CONDITIONS = {
    "binding": authority_facts.BindingGranted(
        *("binding-1", "user-reader", "viewer", ORG, False, ("10.0.0.0/8",)), NEVER, (), 1
    ),
    "guardrail": authority_facts.GuardrailSet(
        "guardrail-1", ("runtime.*",), ORG, False, ("10.0.0.0/8",), "why", (), 1
    ),
}


def test_from_where_a_call_comes_counts_only_where_a_policy_asks() -> None:
    """What is remembered of a reach is the same for every address until a policy looks at them."""
    world = World()
    for action in ("runtime.list", "runtime.read"):
        near, far = (replace(READER, source=one, action=action) for one in ("10.1.1.1", "8.8.8.8"))
        assert world.door.reach(near, action, ORG) is world.door.reach(far, action, ORG)
        assert world.door.somewhere(near, action) is world.door.somewhere(far, action)
    assert len(world.door._reaches) == len(world.door._firsts) == 2


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_network_decides_by_the_address_of_each_call(condition: str) -> None:
    """A condition of a binding or of a guardrail, set after both were remembered: who calls from
    elsewhere has nothing, in any order of asking, and again what it had once that is lifted.
    """
    world = World()
    near, far = (replace(READER, source=one) for one in ("10.1.1.1", "8.8.8.8"))

    def everywhere() -> list[bool]:
        asked = (near, far, near, far, replace(READER, source=""))
        return [world.door.reach(one, "runtime.list", ORG).everywhere for one in asked]

    assert everywhere() == [True] * 5
    world.tell(CONDITIONS[condition])
    assert everywhere() == [True, False, True, False, False]
    assert world.door.somewhere(near, "runtime.list")
    with pytest.raises(DomainError):
        world.door.somewhere(far, "runtime.list")
    lifted = {
        "binding": bound("binding-1", "user-reader"),
        "guardrail": authority_facts.GuardrailLifted("guardrail-1", "why", (), 1),
    }
    world.tell(lifted[condition])
    assert everywhere() == [True] * 5


def test_bindings_keep_their_order() -> None:
    """A principal's own and its groups' come as they were granted, whoever else was granted some."""
    world = World()
    for fact in (*OTHERS, authority_facts.GroupJoined("group-1", "user-reader", (), 1)):
        world.tell(fact)
    world.tell(bound("binding-4", "user-reader"))
    found = world.directory.bindings(ORG, "user-reader")
    assert [one.id for one in found] == ["binding-1", "binding-3", "binding-4"]
    assert world.directory.bindings(ORG, "user-nobody") == ()
    assert replace(found[0], id="") == replace(found[2], id="")
