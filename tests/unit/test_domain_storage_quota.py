"""Quota of storage: what volumes may take, in MiB, whatever is created, grown, refused and undone."""

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import launch, quota, storage, volume
from domain import storage_quota as q
from domain.decider import Emit
from domain.errors import DomainError
from domain.tariff import LOCAL
from tests.unit.domain_world import NAME, World, fact_of, word

ORG, DEPARTMENT, PROJECT = "organization-1", "department-1", "project-1"
SHELF = quota.quota_stream(ORG)
LIMITS = (ORG, DEPARTMENT, PROJECT)


def asked(number: int, size: int) -> storage.NewVolume:
    return storage.NewVolume(f"volume-{number}", ORG, PROJECT, NAME, size, 5)


def limited(world: World, scope: str, mib: int) -> None:
    launch.set_limit(world.state, ORG, q.SetLimit(scope, LOCAL, mib, 1))


def refusal(act: Callable[[], object]) -> DomainError:
    with pytest.raises(DomainError) as error:
        act()
    return error.value


@pytest.mark.parametrize("scope", LIMITS)
def test_a_limit_of_any_scope_refuses_what_does_not_fit(scope: str) -> None:
    """By the scope that is in the way, with what would fit; what fits is taken to the MiB."""
    world = World([("T4", 1)])
    limited(world, scope, 100)
    assert storage.create(world.state, asked(1, 60))
    error = refusal(lambda: storage.create(world.state, asked(2, 41)))
    assert error.code == "quota.exceeded"
    assert error.facts == {
        "scope": "organization" if scope == ORG else scope, "model": "local", "limit_mib": 100,
        "used_mib": 60, "wanted_mib": 41, "fits_mib": 40,
    }  # fmt: skip
    assert storage.create(world.state, asked(2, 40))


def test_the_quota_is_told_with_the_volume_before_it() -> None:
    """Both in one append, each at the version that its stream has: one that lost takes neither."""
    world = World([("T4", 1)])
    first, second = storage.create(world.state, asked(1, 60))
    assert (first.stream, second.stream) == (SHELF, "volume-1")
    assert first.facts == (q.Committed("volume-1", DEPARTMENT, PROJECT, LOCAL, 60, 5),)
    assert (first.expected, second.expected) == (0, 0)
    world.state.undo((first, second))
    assert world.state.quotas[SHELF].shelf == q.new_shelf()
    assert storage.create(world.state, asked(1, 60)) == (first, second)


def test_growing_counts_what_is_added_and_a_refusal_gives_it_back() -> None:
    """Asked: all of the new size; refused by its node: the old one; deleted: nothing."""
    world = World([("T4", 1)])
    limited(world, PROJECT, 100)
    storage.create(world.state, asked(1, 60))
    world.say("volume-1", volume.Formatted(7, "x", 60 * volume.MIB, 1, 5, 5, word()))
    grow = storage.GrowVolume("volume-1", ORG, 101, 6)
    assert refusal(lambda: storage.grow(world.state, grow)).facts["fits_mib"] == 40
    emits = storage.grow(world.state, storage.GrowVolume("volume-1", ORG, 100, 6))
    assert fact_of(emits, q.Committed).size_mib == 100
    assert storage.grow(world.state, storage.GrowVolume("volume-1", ORG, 100, 7)) == ()
    assert refusal(lambda: storage.create(world.state, asked(2, 16))).code == "quota.exceeded"
    world.say("volume-1", volume.OrderRefused(8, "grow", "volume.no_space", 8))
    assert world.state.quotas[SHELF].shelf.used[PROJECT, LOCAL] == 60
    assert storage.create(world.state, asked(2, 40))
    wiped = volume.Wiped(9, "x", 60 * volume.MIB, 1, 9, 9, 9, word())
    world.say("volume-1", volume.WipeRequested(9), wiped, volume.Deleted(9))
    assert world.state.quotas[SHELF].shelf.used[PROJECT, LOCAL] == 40
    gone = refusal(lambda: storage.grow(world.state, grow))
    assert gone.code == "volume.unknown"
    world.say("volume-2", volume.Lost(9, 9))
    assert world.state.quotas[SHELF].shelf.used == {}


def test_a_growth_that_lost_to_the_volumes_end_leaves_nothing() -> None:
    """The end may be read before the loss is heard, and again after it is undone."""
    world = World([("T4", 1)])
    storage.create(world.state, asked(1, 60))
    world.say("volume-1", volume.Formatted(7, "x", 60 * volume.MIB, 1, 5, 5, word()))
    emits = storage.grow(world.state, storage.GrowVolume("volume-1", ORG, 100, 6))
    world.say("volume-1", volume.Lost(9, 9))
    world.state.undo(emits)
    world.say("volume-1", volume.Lost(9, 9))
    assert world.state.quotas[SHELF].shelf.used == {}
    assert "volume-1" not in world.state.volumes


def test_limits_of_gpus_and_of_storage_are_apart() -> None:
    """`*` of milli-GPU holds no volume back, no MiB a runtime."""
    world = World([("T4", 1)])
    launch.set_limit(world.state, ORG, quota.SetLimit(ORG, "*", 0, 1))
    assert storage.create(world.state, asked(1, 60))
    limited(world, ORG, 0)
    assert refusal(lambda: storage.create(world.state, asked(2, 16))).facts["fits_mib"] == 0
    assert launch.set_limit(world.state, ORG, q.SetLimit(ORG, LOCAL, 0, 2)) == ()
    assert refusal(lambda: limited(world, ORG, -1)).code == "quota.limit_invalid"


ACTS = st.tuples(
    st.sampled_from(["create", "grow", "lost", "made", "refused", "deleted", "limit"]),
    st.integers(0, 5),
    st.integers(16, 90),
    st.sampled_from(LIMITS),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTS, max_size=40))
def test_no_use_rises_above_a_limit_and_what_fits_is_taken(
    acts: list[tuple[str, int, int, str]],
) -> None:
    """Against a plain reading of what stands: after every act the use is the sum of the volumes'
    sizes, asked ones included, and a decision refuses exactly what would pass a limit.
    """
    world = World([("T4", 1)])
    sizes: dict[str, int] = {}
    limits: dict[str, int] = {}
    for act, number, size, scope in acts:
        name = f"volume-{number}"
        held = world.state.volumes.get(name)
        room = min((limit - sum(sizes.values()) for limit in limits.values()), default=10**9)
        before = dict(sizes)
        if act == "limit":
            limited(world, scope, size * 3)
            limits[scope] = size * 3
        elif act == "deleted" and held is not None:
            world.say(name, volume.Deleted(9))
            del sizes[name]
        elif held is not None and act in {"made", "refused"} and held.state.asked is not None:
            settle(world, name, held.state, sizes, made=act == "made")
        elif act in {"create", "grow", "lost"} and (held is None or held.state.asked is None):
            has = 0 if held is None else held.state.size_mib
            want = size if held is None else has + size
            if want - has > room:
                assert refusal(partial(placed, world, number, want)).code == "quota.exceeded"
            else:
                emits = placed(world, number, want)
                sizes[name] = want
                if act == "lost":
                    world.state.undo(emits)
                    sizes = before
        tree = world.state.quotas.get(SHELF)
        used = {} if tree is None else tree.shelf.used
        for one in ("organization", DEPARTMENT, PROJECT):
            assert used.get((one, LOCAL), 0) == sum(sizes.values())


def placed(world: World, number: int, size: int) -> tuple[Emit, ...]:
    name = f"volume-{number}"
    if name not in world.state.volumes:
        return storage.create(world.state, asked(number, size))
    return storage.grow(world.state, storage.GrowVolume(name, ORG, size, 6))


def settle(
    world: World, name: str, held: volume.Held, sizes: dict[str, int], *, made: bool
) -> None:
    """Its node answers what was asked of it."""
    if isinstance(held.asked, volume.GrowRequested):
        if made:
            world.say(name, volume.Grown(0, held.asked.size_mib, 7, 7, 7, word()))
        else:
            world.say(name, volume.OrderRefused(0, "grow", "volume.no_space", 7))
            sizes[name] = held.size_mib
    elif made:
        world.say(name, volume.Formatted(0, "x", held.size_mib * volume.MIB, 5, 5, 5, word()))
    else:
        world.say(name, volume.Deleted(9))
        del sizes[name]
