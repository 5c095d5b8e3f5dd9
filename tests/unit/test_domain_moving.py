"""A project that moves, as the admission decides it; by example."""

from collections.abc import Iterable

import pytest
from msgspec import Struct

from domain import lending, moving, project, quota, relocating, storage_quota
from domain.decider import Emit
from domain.errors import DomainError
from domain.launch import admit, set_limit
from domain.relocating import MoveProject
from tests.unit.domain_world import World, launch
from tests.unit.test_domain_quota_reserved import reserve

OTHER = "department-9"


def move(world: World, to: str = OTHER, account: str = "account-1") -> tuple[Emit, ...]:
    return relocating.move(world.state, MoveProject("organization-1", "project-1", to, account, 7))


def limit(world: World, scope: str, milli: int) -> None:
    set_limit(world.state, "organization-1", quota.SetLimit(scope, "T4", milli, 1))


def use(world: World, scope: str) -> int:
    return world.state.quotas["quota-1"].used.get((scope, "T4"), 0)


def busy() -> World:
    """Two runtimes, a reservation of two and a volume of 8 MiB."""
    world = World([("T4", 8)])
    for number in (1, 2):
        admit(world.state, launch(number))
    reserve(world, 1, 2)
    stored = storage_quota.Committed("volume-1", "department-1", "project-1", "local", 8, 0)
    world.say("quota-1", stored)
    return world


def test_all_that_it_uses_goes_with_it() -> None:
    """In one append; what begins afterwards is of the new place."""
    world = busy()
    emits = move(world)
    assert [emit.stream for emit in emits] == ["project-1", "quota-1"]
    assert [fact for emit in emits for fact in emit.facts] == [
        project.Moved(OTHER, "account-1", 7), moving.Moved("project-1", OTHER, 7),
    ]  # fmt: skip
    assert (use(world, "department-1"), use(world, OTHER), use(world, "project-1")) == (
        *(0, 4000, 4000),
    )
    assert world.state.quotas["quota-1"].shelf.used[OTHER, "local"] == 8
    emits = admit(world.state, launch(3))
    asked = [fact for emit in emits for fact in emit.facts if hasattr(fact, "department")]
    assert {fact.department for fact in asked} == {OTHER}
    assert move(world) == ()


def test_a_refused_move_is_as_if_it_had_never_been() -> None:
    """`undo` puts back use, shares and the place, under whatever was decided meanwhile."""
    world = busy()
    for scope, parent in (("organization-1", ""), ("department-1", "organization-1"),
                          ("project-1", "department-1")):  # fmt: skip
        set_limit(
            world.state, "organization-1",
            lending.SetShare(scope, parent, "T4", 0, 0, 9000, 1),
        )  # fmt: skip
    before = seen(world)
    emits = move(world)
    assert seen(world) != before
    later = admit(world.state, launch(3))
    world.state.undo(later)
    world.state.undo(emits)
    assert seen(world) == before
    again = move(world)
    assert [emit.expected for emit in again] == [emit.expected for emit in emits]


def seen(world: World) -> tuple[object, ...]:
    tree = world.state.quotas["quota-1"]
    return (
        *(dict(tree.used), dict(tree.live), dict(tree.reserved), dict(tree.shelf.used)),
        *(dict(tree.lent.shares), dict(tree.lent.below), world.state.places.state("project-1")),
    )


def refusal(world: World, **to: str) -> DomainError:
    before = seen(world)
    with pytest.raises(DomainError) as caught:
        move(world, **to)
    assert seen(world) == before
    return caught.value


def test_it_must_fit_and_the_refusal_says_what_would() -> None:
    """Of GPUs, of storage, and of a share, which counts what others keep there."""
    world = busy()
    limit(world, OTHER, 3999)
    found = refusal(world)
    assert (found.code, found.facts) == (
        "quota.exceeded",
        {
            "scope": OTHER, "model": "T4", "limit_milli": 3999, "used_milli": 0,
            "wanted_milli": 4000, "fits_milli": 3999,
        },
    )  # fmt: skip
    limit(world, OTHER, 4000)
    world.say("quota-1", storage_quota.LimitSet(OTHER, "local", 7, 0))
    assert refusal(world).facts["fits_mib"] == 7
    world.say("quota-1", storage_quota.LimitSet(OTHER, "local", 8, 0))
    shares: Iterable[Struct] = (
        lending.ShareSet("organization-1", "", "T4", 5000, 0, 5000, 0),
        lending.ShareSet("department-1", "organization-1", "T4", 2000, 0, 5000, 0),
        lending.ShareSet(OTHER, "organization-1", "T4", 0, 0, 5000, 0),
    )
    world.say("quota-1", *shares)
    # The first department keeps 2000 and then uses none of it: with 4000 that is above 5000.
    assert refusal(world).facts["scope"] == "organization"


def test_a_guarantee_or_a_claim_keeps_it() -> None:
    """They are its department's own."""
    world = busy()
    world.say(
        "quota-1",
        lending.ShareSet("organization-1", "", "T4", 9000, 0, 9000, 0),
        lending.ShareSet("department-1", "organization-1", "T4", 9000, 0, 9000, 0),
        lending.ShareSet("project-1", "department-1", "T4", 1, 0, 9000, 0),
    )
    assert refusal(world).code == "project.guaranteed"


def test_an_account_alone_moves_no_use_and_what_runs_keeps_its_own() -> None:
    """Its next runtime is paid by the new one."""
    world = World([("T4", 8)], organizations=2)
    admit(world.state, launch(1))
    emits = move(world, "department-1", "account-2")
    assert isinstance(emits[0].facts[0], project.Moved)
    assert use(world, "department-1") == 1000
    assert world.state.runtimes["runtime-1"].account == "account-1"
    admit(world.state, launch(2))
    assert world.state.runtimes["runtime-2"].account == "account-2"


def test_a_project_is_never_in_two_places_at_an_instant() -> None:
    """A slower clock's move comes right after the one before; unknown ones and others' do not."""
    world = World([("T4", 8)], organizations=2)
    move(world)
    [fact] = move(world, "department-1")[0].facts
    assert fact == project.Moved("department-1", "account-1", 8)
    for org, name in (("organization-2", "project-1"), ("organization-1", "project-9")):
        wanted = MoveProject(org, name, OTHER, "account-1", 9)
        with pytest.raises(DomainError, match=r"project\.unknown"):
            relocating.move(world.state, wanted)
