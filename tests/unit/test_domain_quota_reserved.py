"""Reservations are use of a quota, whole, and what draws on them is part of it; by example."""

import pytest
from msgspec import Struct
from msgspec.structs import replace

from domain import quota, runtime, together
from domain.errors import DomainError
from domain.launch import admit, end, set_limit
from tests.unit.domain_world import World, launch, word


def reserve(world: World, number: int, devices: int, *, org: int = 1) -> None:
    ids = (f"reservation-{number}", f"organization-{org}", f"project-{org}", "T4")
    together.reserve(world.state, together.Reserve(*ids, devices, 100, 5))


def limited(milli: int, scope: str = "organization-1") -> World:
    world = World([("T4", 8), ("T4", 8)], organizations=2)
    set_limit(world.state, "organization-1", quota.SetLimit(scope, "T4", milli, 1))
    return world


def used(world: World) -> int:
    return world.state.quotas["quota-1"].used.get(("organization", "T4"), 0)


@pytest.mark.parametrize("scope", ["organization-1", "department-1", "project-1"])
def test_reservations_together_never_exceed_a_limit(scope: str) -> None:
    """The second one is refused like a launch: whose limit, its use, what would fit."""
    world = limited(4_000, scope)
    reserve(world, 1, 3)
    with pytest.raises(DomainError) as refused:
        reserve(world, 2, 2)
    key = scope.replace("organization-1", "organization")
    assert (refused.value.code, refused.value.facts) == (
        "quota.exceeded",
        {
            "scope": key,
            "model": "T4",
            "limit_milli": 4_000,
            "used_milli": 3_000,
            "wanted_milli": 2_000,
            "fits_milli": 1_000,
        },
    )
    reserve(world, 3, 1)
    reserve(world, 4, 8, org=2)


def test_what_others_reserved_is_no_room_for_a_launch_and_ones_own_is() -> None:
    """A launch beside the reservation needs quota of its own; one on it has it already."""
    world = limited(2_000)
    reserve(world, 1, 2)
    with pytest.raises(DomainError, match=r"quota\.exceeded"):
        admit(world.state, launch(1))
    emits = admit(world.state, replace(launch(2), reservation="reservation-1"))
    assert [fact for emit in emits if emit.stream == "quota-1" for fact in emit.facts] == [
        quota.Drawn("runtime-2", "reservation-1", 1),
        quota.Committed("runtime-2", "department-1", "project-1", "T4", 1000, 1),
    ]
    assert used(world) == 2_000
    end(world.state, "runtime-2", runtime.Stopped(9, 9, 9, word()))
    assert used(world) == 2_000


def test_the_end_of_a_reservation_gives_back_what_nothing_runs_on() -> None:
    """Exactly: what still runs on it counts by itself until it stops."""
    world = limited(4_000)
    reserve(world, 1, 3)
    admit(world.state, replace(launch(1, 300), reservation="reservation-1"))
    emits = together.end_reservation(world.state, "reservation-1", "expired", 100)
    assert [emit.stream for emit in emits] == ["reservation-1", "quota-1", "node-1"]
    assert used(world) == 300
    with pytest.raises(DomainError, match=r"quota\.exceeded"):
        reserve(world, 2, 4)
    end(world.state, "runtime-1", runtime.Stopped(9, 9, 9, word()))
    reserve(world, 3, 4)


def test_a_lowered_limit_leaves_a_reservation_whole() -> None:
    """It takes nothing away: launches on what is reserved add no use."""
    world = limited(2_000)
    reserve(world, 1, 2)
    set_limit(world.state, "organization-1", quota.SetLimit("organization-1", "T4", 0, 6))
    admit(world.state, replace(launch(1, devices=2), reservation="reservation-1"))
    assert used(world) == 2_000


def test_a_reservation_of_an_earlier_release_does_not_count_and_what_runs_on_it_does() -> None:
    """Its log says nothing of quota, and goes on as it was."""
    wanted = together.Reserve("reservation-1", "organization-1", "project-1", "T4", 2, 100, 5)
    written = together.reserve(limited(2_000).state, wanted)
    world = limited(1_000)
    for emit in written:
        if emit.stream != "quota-1":
            world.say(emit.stream, *emit.facts)
    admit(world.state, replace(launch(1), reservation="reservation-1"))
    assert used(world) == 1_000
    with pytest.raises(DomainError, match=r"quota\.exceeded"):
        admit(world.state, replace(launch(2), reservation="reservation-1"))
    emits = together.end_reservation(world.state, "reservation-1", "expired", 100)
    assert [emit.stream for emit in emits] == ["reservation-1", "node-1"]
    assert used(world) == 1_000


def test_what_comes_after_the_end_of_a_reservation_is_new() -> None:
    """Its time is over: nothing more is placed on it, also before its end is said as a fact; until
    that its use stands. Afterwards a launch has what is free then, as one that knew no reservation.
    """
    world = limited(2_000)
    reserve(world, 1, 2)
    late = replace(launch(1, now_us=100), reservation="reservation-1")
    with pytest.raises(DomainError, match=r"reservation\.ended"):
        admit(world.state, late)
    with pytest.raises(DomainError, match=r"quota\.exceeded"):
        admit(world.state, launch(2, now_us=100))
    assert together.due(world.state, 100) == ["reservation-1"]
    together.end_reservation(world.state, "reservation-1", "expired", 100)
    with pytest.raises(DomainError, match=r"reservation\.ended"):
        admit(world.state, late)
    admit(world.state, launch(3, devices=2, now_us=100))
    with pytest.raises(DomainError, match=r"quota\.exceeded"):
        admit(world.state, launch(4, now_us=100))


OF = ("department-1", "project-1", "T4")


def test_a_commitment_on_a_reservation_that_is_over_is_one_of_its_own() -> None:
    """The decider itself, whatever was claimed: it counts, needs room, and says nothing was drawn."""
    limit = quota.SetLimit("organization-1", "T4", 1_000, 1)
    tree = said(
        limit,
        quota.Reserve("reservation-1", *OF, 1_000, 5),
        quota.Unreserve("reservation-1", 9),
    )
    commit = quota.Commit("runtime-1", *OF, 700, 10, "reservation-1")
    facts = quota.decide(commit, tree)
    assert facts == [quota.Committed("runtime-1", *OF, 700, 10)]
    with pytest.raises(DomainError) as refused:
        quota.decide(replace(commit, runtime="runtime-2"), quota.evolve(tree, facts[0]))
    assert refused.value.facts["fits_milli"] == 300


def said(*commands: quota.Command) -> quota.Tree:
    tree = quota.DECIDER.initial
    for command in commands:
        for fact in quota.decide(command, tree):
            tree = quota.evolve(tree, fact)
    return tree


def test_no_more_is_drawn_on_a_reservation_than_it_has() -> None:
    """The decider itself refuses it, whatever devices were claimed; a repeat is nothing."""
    reserved = quota.Reserve("reservation-1", *OF, 2_000, 5)
    tree = said(reserved, quota.Commit("runtime-1", *OF, 1_500, 5, "reservation-1"))
    with pytest.raises(DomainError) as refused:
        quota.decide(quota.Commit("runtime-2", *OF, 501, 5, "reservation-1"), tree)
    assert refused.value.facts["fits_milli"] == 500
    assert refused.value.facts["scope"] == "reservation-1"
    nothing: list[Struct] = []
    assert quota.decide(reserved, tree) == nothing
    assert quota.decide(quota.Unreserve("reservation-2", 5), tree) == nothing
    over = said(
        reserved,
        quota.Commit("runtime-1", *OF, 1_500, 5, "reservation-1"),
        quota.Unreserve("reservation-1", 9),
        quota.Release("runtime-1", 9),
    )
    assert over == quota.DECIDER.initial
