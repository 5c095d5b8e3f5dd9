"""Policies, blocks, reservations and explanations, by example; the laws are in tests/property."""

import pytest
from msgspec.structs import replace

from domain import node_facts as f
from domain import reservation, runtime, together
from domain.errors import DomainError
from domain.explain import explain
from domain.launch import Launch, admit, end, reads
from domain.placing import grouped
from domain.words import Share
from tests.unit.domain_world import World, fact_of, launch, word

NODES = (("T4", 8), ("T4", 8), ("T4", 8))


def placed(world: World, wanted: Launch) -> runtime.Allocated:
    return fact_of(admit(world.state, wanted), runtime.Allocated)


def world_of(*zones: str, group: int = 4) -> World:
    """Nodes of 8 devices in groups, one zone each."""
    world = World([("T4", 8)] * len(zones))
    for number, zone in enumerate(zones, 1):
        world.say(f"node-{number}", f.TopologySet(zone, group, 1))
    return world


def test_pack_takes_the_fullest_node_and_spread_the_emptiest() -> None:
    """Both from the same index: the one leaves least, the other most."""
    world = World(NODES)
    assert placed(world, launch(1)).node == "node-1"
    assert placed(world, launch(2)).node == "node-1"
    assert placed(world, replace(launch(3), policy="spread")).node == "node-2"
    assert placed(world, replace(launch(4), policy="spread")).node == "node-3"
    part = replace(launch(5, 500), policy="spread")
    assert placed(world, part).node == "node-2"
    assert placed(world, replace(launch(6, 500), policy="spread")).node == "node-3"
    assert placed(world, launch(7, 500)).node == "node-2", "a part that is begun, tightest first"


def test_topology_keeps_the_devices_of_a_runtime_in_one_group() -> None:
    """Four of eight in groups of four: never two from each side while one side has four."""
    world = world_of("a")
    first = placed(world, replace(launch(1, devices=2), policy="topology"))
    four = placed(world, replace(launch(2, devices=4), policy="topology"))
    assert [share.index for share in first.devices] == [0, 1]
    assert [share.index for share in four.devices] == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("free", "count", "group", "then"),
    [
        ([0, 1, 4, 5, 6, 7], 4, 4, [4, 5, 6, 7]),
        ([0, 1, 4, 5, 6], 2, 4, [0, 1]),
        ([0, 2, 3, 4, 5, 6], 5, 4, [0, 2, 3, 4, 5]),
        ([0, 1, 2, 3], 2, 0, [0, 1]),
        ([0, 2, 4, 6], 3, 2, [0, 2, 4]),
    ],
)
def test_groups_are_filled_by_the_tightest_that_suffices(
    free: list[int], count: int, group: int, then: list[int]
) -> None:
    """As few groups as can be; what is missing comes from the smallest that has it."""
    assert sorted(grouped(free, count, group)) == then


def test_a_block_with_topology_stays_in_one_zone() -> None:
    """In the zone with the least room that has it for all; over zones only when none has."""
    for count, nodes in ((1, {"node-1"}), (2, {"node-2", "node-3"}), (4, None)):
        world = world_of("a", "b", "b", "c", "c", "c", group=0)
        block = tuple(replace(launch(n, devices=8), policy="topology") for n in range(count))
        emits = together.admit_block(world.state, "block-1", block)
        found = {emit.stream for emit in emits if emit.stream.startswith("node-")}
        if nodes is None:
            assert {"node-4", "node-5", "node-6"} < found
        else:
            assert found == nodes


def test_a_block_is_placed_whole_or_not_at_all() -> None:
    """Three times eight fit on three nodes; four times do not, and nothing of them stays."""
    world = World(NODES)
    before = dict(world.state.versions)
    block = tuple(launch(n, devices=8) for n in range(4))
    with pytest.raises(DomainError) as error:
        together.admit_block(world.state, "block-1", block)
    assert (error.value.code, error.value.facts["placed"]) == ("capacity.none_fits", 3)
    assert world.state.versions == before
    emits = together.admit_block(world.state, "block-1", block[:3])
    assert sum(len(emit.facts) for emit in emits) == 3 * 4 + 1
    assert len({emit.stream for emit in emits}) == len(emits)


def reserved(world: World, devices: int = 2) -> together.Reserve:
    ids = ("reservation-1", "organization-1", "project-1", "T4")
    wanted = together.Reserve(*ids, devices, 100, 5)
    together.reserve(world.state, wanted)
    return wanted


def test_a_launch_draws_on_its_reservation_again_and_again() -> None:
    """What ends on it leaves it claimed; others get none of it; after its end everybody does."""
    world = World([("T4", 2)], organizations=2)
    reserved(world)
    with pytest.raises(DomainError, match=r"capacity\.none_fits"):
        admit(world.state, launch(1))
    drawn = replace(launch(2), reservation="reservation-1")
    assert ("reservation-1", 1) in reads(world.state, drawn)
    admit(world.state, drawn)
    stopped = runtime.Stopped(9, 9, 9, word())
    end(world.state, "runtime-2", stopped)
    with pytest.raises(DomainError, match=r"capacity\.none_fits"):
        admit(world.state, launch(3, org=2))
    admit(world.state, replace(launch(4), reservation="reservation-1"))
    together.end_reservation(world.state, "reservation-1", "expired", 100)
    admit(world.state, launch(5, org=2))


@pytest.mark.parametrize(
    ("project", "name", "now_us", "code"),
    [
        ("project-1", "reservation-9", 5, "reservation.unknown"),
        ("project-2", "reservation-1", 5, "reservation.unknown"),
        ("project-1", "reservation-1", 100, "reservation.ended"),
    ],
)
def test_only_its_own_project_draws_on_it_while_it_stands(
    project: str, name: str, now_us: int, code: str
) -> None:
    """Another project's, one that is not there and one that is over: refused by name."""
    world = World([("T4", 2)], organizations=2)
    reserved(world)
    org = int(project[-1])
    wanted = replace(launch(1, org=org, now_us=now_us), reservation=name)
    with pytest.raises(DomainError) as error:
        admit(world.state, wanted)
    assert error.value.code == code


def test_a_reservation_ends_once_and_not_before_its_time() -> None:
    """Expiry is a fact about time; giving it back is one about a will."""
    made = reservation.Made("project-1", "T4", 1, ("node-1",), 100, 5)
    standing = reservation.Standing(made)
    early = reservation.End("expired", 99)
    with pytest.raises(DomainError, match=r"reservation\.not_over"):
        reservation.decide(early, standing)
    assert reservation.decide(reservation.End("unused", 99), standing) == [
        reservation.Over("unused", 99)
    ]
    assert reservation.decide(reservation.End("x", 1), reservation.Ended(made)) == []
    with pytest.raises(DomainError, match=r"reservation\.unknown"):
        reservation.decide(early, reservation.Missing())
    with pytest.raises(DomainError, match=r"reservation\.invalid"):
        reservation.decide(
            reservation.Make("project-1", "T4", 1, ("node-1",), 5, 5), reservation.Missing()
        )


def test_every_reason_why_not_is_told() -> None:
    """One node for each, from the state that decides; the one that fits is chosen."""
    world = World([("T4", 2)] * 9, strict=frozenset({"node-8"}), organizations=2)
    ends = f.Allocated("allocation-7", "runtime-7", "organization-2", (Share(0, 9),), 1, 1)
    full = (Share(0, 1000), Share(1, 1000))
    for name, *facts in (
        ("node-1", f.Cordoned(1)),
        ("node-2", f.DrainStarted("operator", "fan", 1), f.Drained(1)),
        ("node-3", f.Quarantined((1,), "xid", 1)),
        ("node-4", f.Unreachable(1)),
        ("node-5", f.Retired("old", 1)),
        ("node-6", f.Allocated("allocation-1", "runtime-1", "organization-2", full, 1, 1)),
        ("node-7", f.Reserved("reservation-9", "organization-2", (0,), 9, 1)),
        ("node-8", ends, f.Released("allocation-7", "runtime-7", 2)),
    ):
        world.say(name, *facts)
    told = {one.node: one for one in explain(world.state, launch(1, devices=2))}
    assert [told[f"node-{number}"].why for number in range(1, 10)] == [
        *("cordoned", "drained", "quarantined", "unreachable", "retired", "too_few_free"),
        *("reserved", "awaiting_receipt", "chosen"),
    ]
    assert told["node-2"].facts == {"owner": "operator", "reason": "fan"}
    assert told["node-3"].facts["reason"] == "xid"
    other = {one.why for one in explain(world.state, launch(1, models=("H100",)))}
    assert other == {"model", "retired"}
