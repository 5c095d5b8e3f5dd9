import pytest
from msgspec import Struct

from domain import node, organization, period, quota, runtime
from domain.decider import Emit
from domain.errors import DomainError
from domain.instants import LEASE_US, hold_end
from domain.launch import admit, capacity, end, lose, reads, set_limit, step
from domain.words import Share
from tests.unit.domain_world import ANCHOR, NAME, World, enrolled, fact_of, launch, price, word

T4X2 = (("T4", 2),)


def refused(world: World, number: int, milli: int = 1000, **how: object) -> DomainError:
    with pytest.raises(DomainError) as error:
        admit(world.state, launch(number, milli, **how))  # type: ignore[arg-type]
    return error.value


def test_an_admission_is_one_decision_over_runtime_node_and_quota() -> None:
    """Requested, allocated, node.allocated and quota.committed are appended together."""
    world = World(T4X2)
    emits = admit(world.state, launch(1, 250))
    assert [(e.stream, e.org, e.expected) for e in emits] == [
        ("runtime-1", "organization-1", 0),
        ("node-1", "-", 3),
        ("quota-1", "organization-1", 0),
    ]
    placed = runtime.Allocated("allocation-1", "node-1", "T4", (Share(0, 250),), 1, 1)
    requested = runtime.Requested("project-1", "department-1", "account-1", NAME, 1, 250, (), 1)
    assert emits[0].facts == (requested, placed)
    assert emits[1].facts == (
        node.Allocated("allocation-1", "runtime-1", "organization-1", (Share(0, 250),), 1, 1),
    )
    assert emits[2].facts == (
        quota.Committed("runtime-1", "department-1", "project-1", "T4", 250, 1),
    )


def test_a_launch_known_already_decides_nothing() -> None:
    """A repeat of a command already done returns nothing, also after the end."""
    world = World(T4X2)
    admit(world.state, launch(1))
    assert admit(world.state, launch(1)) == ()
    end(world.state, "runtime-1", runtime.Stopped(1, 1, 1, word()))
    assert admit(world.state, launch(1)) == ()


def test_a_launch_rests_on_its_organization_and_project() -> None:
    """A launch must lose to a suspension that it did not see, and to another budget or other terms."""
    world = World(T4X2)
    rests = (("organization-1", 1), ("project-1", 1), ("budget-1", 0), ("account-1", 1))
    assert reads(world.state, launch(1)) == rests
    world.say("organization-1", organization.Suspended("unpaid", 5))
    assert reads(world.state, launch(1))[0] == ("organization-1", 2)
    error = refused(world, 1)
    assert (error.code, error.facts) == ("organization.suspended", {"reason": "unpaid"})
    world.say("organization-1", organization.Reactivated("paid", 6))
    assert admit(world.state, launch(1))


def test_a_decision_on_a_node_loses_with_the_one_before_it() -> None:
    """The node's version alone could be made up by a lease; the other's quota stream cannot."""
    world = World(T4X2, organizations=2)
    first = admit(world.state, launch(1))
    second = admit(world.state, launch(2, org=2))
    ended = end(world.state, "runtime-1", runtime.Stopped(1, 1, 1, word()))
    same = admit(world.state, launch(3, 500))
    assert [emits[1].reads for emits in (first, second, ended, same)] == [
        (),
        (("quota-1", 1),),
        (("quota-2", 1),),
        (),
    ]


def test_refusal_of_capacity_says_what_would_fit() -> None:
    """A refusal names what is wanted and the most that fits now."""
    world = World((("T4", 2), ("A10", 1)))
    admit(world.state, launch(1, 700, models=("T4",)))
    error = refused(world, 2, devices=2, models=("T4", "A10"))
    assert (error.code, error.facts) == (
        "capacity.none_fits",
        {
            "models": "T4|A10",
            "wanted_devices": 2,
            "wanted_milli": 2000,
            "most_devices": 1,
            "most_milli": 1000,
        },
    )


def test_refusal_of_quota_says_whose_limit_its_use_and_what_would_fit() -> None:
    """The smallest room of all limits decides, and is named."""
    world = World(T4X2)
    world.say("quota-1", quota.LimitSet("organization-1", "*", 1500, 1))
    world.say("quota-1", quota.LimitSet("department-1", "T4", 900, 1))
    admit(world.state, launch(1, 600))
    error = refused(world, 2, 400)
    assert (error.code, error.facts) == (
        "quota.exceeded",
        {
            "scope": "department-1",
            "model": "T4",
            "limit_milli": 900,
            "used_milli": 600,
            "wanted_milli": 400,
            "fits_milli": 300,
        },
    )
    assert admit(world.state, launch(3, 300))


def test_a_lowered_limit_accepts_only_releases() -> None:
    """Nothing is taken away, nothing is added until the use is below the limit."""
    world = World(T4X2)
    admit(world.state, launch(1, 600))
    admit(world.state, launch(2, 600))
    set_limit(world.state, "organization-1", quota.SetLimit("project-1", "*", 700, 5))
    assert refused(world, 3, 1).facts["fits_milli"] == 0
    end(world.state, "runtime-1", runtime.Stopped(1, 1, 1, word()))
    assert refused(world, 3, 101).facts["fits_milli"] == 100
    assert admit(world.state, launch(4, 100))


def test_another_accepted_model_is_taken_when_quota_bars_the_first() -> None:
    """What fits is never refused: every accepted model is looked at."""
    world = World((("T4", 1), ("A10", 1)))
    world.say("quota-1", quota.LimitSet("project-1", "A10", 0, 1))
    emits = admit(world.state, launch(1, 500, models=("A10", "T4")))
    assert fact_of(emits, runtime.Allocated).model == "T4"


def test_a_model_without_a_price_is_not_given_away() -> None:
    """Rating could not charge it, so it is refused before it runs."""
    world = World(())
    world.say("node-1", *enrolled("H100", 1))
    assert refused(world, 1).code == "price.none"
    world.say("pricebook-1", price("H100", since_us=5))
    assert refused(world, 1).code == "price.none"
    assert admit(world.state, launch(1, now_us=5))


def test_no_period_no_launch() -> None:
    """Every microsecond of use falls into a period, so there must be one."""
    world = World(T4X2)
    world.state.first_period_us.clear()
    assert refused(world, 1).code == "period.none"
    world.say("period-9", period.Opened("account-1", 1, 50, 60, "UTC", "x", 0))
    assert refused(world, 1).code == "period.none"
    assert admit(world.state, launch(1, now_us=50))


@pytest.mark.parametrize(("devices", "milli"), [(0, 1000), (1, 0), (2, 500), (1, 1001)])
def test_odd_shapes_are_refused_before_placement(devices: int, milli: int) -> None:
    """The shape is the caller's mistake, not a lack of capacity."""
    assert refused(World(T4X2), 1, milli, devices=devices).code == "runtime.shape_invalid"


def test_foreign_project_is_unknown() -> None:
    """A caller learns nothing of another organization's project."""
    world = World(T4X2, organizations=2)
    wanted = launch(1)
    foreign = type(wanted)(
        "organization-2", *[getattr(wanted, f) for f in wanted.__struct_fields__[1:]]
    )
    with pytest.raises(DomainError, match=r"project\.unknown"):
        admit(world.state, foreign)


def test_parts_pack_onto_the_fullest_shared_device() -> None:
    """Best fit leaves whole devices whole."""
    world = World((("T4", 3),))
    places = [
        fact_of(admit(world.state, launch(number, milli)), runtime.Allocated).devices
        for number, milli in enumerate((600, 700, 250, 400, 1000), 1)
    ]
    assert [share[0].index for share in places] == [0, 1, 1, 0, 2]


def test_whole_devices_go_to_the_node_with_the_fewest_that_suffice() -> None:
    """Large requests keep their nodes."""
    world = World((("T4", 8), ("T4", 2), ("T4", 4)))
    nodes = [
        fact_of(admit(world.state, launch(n, devices=d)), runtime.Allocated).node
        for n, d in enumerate((1, 2, 1, 4), 1)
    ]
    assert nodes == ["node-2", "node-3", "node-2", "node-1"]


def test_cordoned_and_unreachable_nodes_get_nothing_and_lose_nothing() -> None:
    """New work only; what runs goes on, and counts again when the node is back."""
    world = World(T4X2)
    admit(world.state, launch(1, 300))
    for off, on in (
        (node.Cordoned(1), node.Uncordoned(2)),
        (node.Unreachable(1), node.Reachable(2)),
    ):
        world.say("node-1", off)
        assert capacity(world.state, "organization-1")[0].most_milli == 0
        assert refused(world, 2, 1).code == "capacity.none_fits"
        world.say("node-1", on)
        assert capacity(world.state, "organization-1")[0].most_devices == 1
    assert admit(world.state, launch(2, 700))


def test_an_end_frees_node_and_quota_at_once() -> None:
    """The end of a runtime, node.released and quota.released are appended together."""
    world = World(T4X2)
    admit(world.state, launch(1))
    stopped = runtime.Stopped(9, 9, 12, word())
    emits = end(world.state, "runtime-1", stopped)
    assert [(e.stream, e.expected, e.facts) for e in emits] == [
        ("runtime-1", 2, (stopped,)),
        ("node-1", 4, (node.Released("allocation-1", "runtime-1", 12),)),
        ("quota-1", 1, (quota.Released("runtime-1", 12),)),
    ]
    assert end(world.state, "runtime-1", stopped) == ()
    with pytest.raises(DomainError, match=r"runtime\.ended"):
        end(world.state, "runtime-1", runtime.Lost(1, 2))
    with pytest.raises(DomainError, match=r"runtime\.unknown"):
        end(world.state, "runtime-9", stopped)


def test_step_decides_and_ends() -> None:
    """A command that ends the runtime frees what it held; another writes its stream only."""
    world = World(T4X2)
    admit(world.state, launch(1))
    [started] = step(world.state, "runtime-1", runtime.Start(1, 5))
    assert started.facts == (runtime.Starting(1, 5),)
    assert step(world.state, "runtime-1", runtime.Start(1, 5)) == ()
    said = runtime.ReportStopped(7, ANCHOR, word(), 9)
    emits = step(world.state, "runtime-1", said)
    assert [emit.stream for emit in emits] == ["runtime-1", "node-1", "quota-1"]
    assert step(world.state, "runtime-1", said) == ()


def test_lost_frees_the_device_only_after_the_lease_is_over() -> None:
    """Without any lease the time counts from the allocation, as if it had been leased then."""
    world = World(T4X2)
    admit(world.state, launch(1, now_us=100))
    over = hold_end(100 + LEASE_US)
    with pytest.raises(DomainError, match=r"runtime\.lease_not_over"):
        lose(world.state, "runtime-1", over - 1)
    emits = lose(world.state, "runtime-1", over)
    assert fact_of(emits, runtime.Lost) == runtime.Lost(100, over)
    assert lose(world.state, "runtime-1", over) == ()


def test_another_boot_proves_that_the_old_runtimes_are_gone() -> None:
    """A new boot id voids the leases of the old one: no waiting, billed to the last renewal."""
    world = World(T4X2)
    world.say("node-1", node.Anchored("b1", 0, 0, word()))
    admit(world.state, launch(1))
    world.say("node-1", node.LeaseRenewed(("runtime-1",), 70, 70, 70 + LEASE_US, word()))
    with pytest.raises(DomainError, match=r"runtime\.lease_not_over"):
        lose(world.state, "runtime-1", 80)
    world.say("node-1", node.Anchored("b2", 0, 75, word(boot="b2")))
    assert fact_of(lose(world.state, "runtime-1", 80), runtime.Lost) == runtime.Lost(70, 80)


def test_a_refused_append_is_undone_and_the_stream_read_again() -> None:
    """After undo and the facts that won, the state is the log's."""
    world = World(T4X2)
    lost = admit(world.state, launch(1))
    world.state.undo(lost)
    assert world.state.version("node-1") == 3
    world.state.apply("node-1", 4, node.Cordoned(4))
    assert refused(world, 1).code == "capacity.none_fits"
    world.state.apply("node-1", 4, node.Cordoned(4))
    assert world.state.version("node-1") == 4


def test_a_gap_in_a_stream_is_refused() -> None:
    """A state that missed a fact must not decide as if it had not happened."""
    world = World(T4X2)
    with pytest.raises(DomainError, match=r"admission\.behind"):
        world.state.apply("node-1", 5, node.Cordoned(4))


def renewed(at: int) -> node.LeaseRenewed:
    return node.LeaseRenewed(("runtime-1",), at, at, at + LEASE_US, word())


@pytest.mark.parametrize(
    ("event", "since"),
    [
        (runtime.Stopped(9, 9, 12, word()), [node.Anchored("b2", 0, 10, word(boot="b2"))]),
        (runtime.Failed("oom", 9, 9, 12, word()), [node.Anchored("b2", 0, 10, word(boot="b2"))]),
        (runtime.Stopped(9, 9, 12, word()), [runtime.Usable(11, 11, 11, word())]),
        (runtime.Lost(70, 10**12), [renewed(80)]),
        (runtime.Lost(70, 10**12), [runtime.Usable(75, 75, 75, word())]),
        (runtime.Cancelled("node.silent", 12), [runtime.Starting(1, 11)]),
    ],
)
def test_an_end_decided_on_an_older_state_is_refused(
    event: runtime.Final, since: list[Struct]
) -> None:
    """What the log's fence is set for decides: a boot, a lease or a start in between counts."""
    world = World(T4X2)
    admit(world.state, launch(1))
    world.say("node-1", renewed(70))
    before = dict(world.state.versions)
    for fact in since:
        stream = "runtime-1" if isinstance(fact, runtime.Usable | runtime.Starting) else "node-1"
        world.say(stream, fact)
        before[stream] += 1
    with pytest.raises(DomainError, match=r"runtime\.end_stale"):
        end(world.state, "runtime-1", event)
    assert world.state.versions == before, "a refusal changes nothing"
    again = World(T4X2)
    admit(again.state, launch(1))
    again.say("node-1", renewed(70))
    assert end(again.state, "runtime-1", event)[0].facts == (event,), "without it, it stands"


def test_an_undone_end_leaves_the_lease_as_it_was() -> None:
    """A runtime that did not end is still leased: it cannot be declared lost early."""
    world = World(T4X2)
    world.say("node-1", node.Anchored("b1", 0, 0, word()))
    admit(world.state, launch(1))
    world.say("node-1", node.LeaseRenewed(("runtime-1",), 70, 70, 70 + LEASE_US, word()))
    before = world.state.stock.states["node-1"]
    world.state.undo(end(world.state, "runtime-1", runtime.Stopped(80, 80, 80, word())))
    assert world.state.stock.states["node-1"] == before
    over = hold_end(70 + LEASE_US)
    assert fact_of(lose(world.state, "runtime-1", over), runtime.Lost).lost_us == 70


def test_what_is_stopping_follows_what_is_undone() -> None:
    """A stop that was not written stops nothing; an end that was not leaves it stopping."""
    world = World(T4X2)
    world.say("node-1", node.Anchored("b1", 0, 0, word()))
    admit(world.state, launch(1))
    world.state.undo(step(world.state, "runtime-1", runtime.Stop("asked", 5)))
    assert world.state.stopping == set()
    step(world.state, "runtime-1", runtime.Stop("asked", 5))
    lost = end(world.state, "runtime-1", runtime.Stopped(80, 80, 80, word()))
    assert world.state.stopping == set()
    world.state.undo(lost)
    assert world.state.stopping == {"runtime-1"}


def test_equal_fits_go_to_the_model_named_first() -> None:
    """The caller's order of models decides between places that are equally tight."""
    world = World((("T4", 1), ("A10", 1)))
    emits = admit(world.state, launch(1, 500, models=("T4", "A10")))
    assert fact_of(emits, runtime.Allocated).model == "T4"


def test_a_lease_in_the_place_of_a_lost_end_does_not_give_the_device_away() -> None:
    """The end loses, a lease has its number, and the launch that wanted its device loses too."""
    world = World((("T4", 1),), organizations=2)
    admit(world.state, launch(1))
    stored = dict(world.state.versions)
    ended = end(world.state, "runtime-1", runtime.Stopped(9, 9, 9, word()))
    after = admit(world.state, launch(2, org=2))
    stored["node-1"] += 1  # the lease, committed by somebody else in between

    def stale(emits: tuple[Emit, ...]) -> set[str]:
        expected = [(e.stream, e.expected) for e in emits] + [r for e in emits for r in e.reads]
        return {stream for stream, version in expected if stored.get(stream, 0) != version}

    assert stale(ended) == {"node-1"}
    assert stale(after) == {"quota-1"}
    world.state.undo(after)
    world.state.undo(ended)
    assert world.state.version("node-1") == stored["node-1"] - 1
    assert refused(world, 2, org=2).code == "capacity.none_fits"
