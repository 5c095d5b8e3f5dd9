"""Volumes: one writer, one order at a time, epochs that only rise; and what admission makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from api.admission.deciding import decide
from api.admission.wire import VolumeAsk
from domain import identity, log, meter, node, pricebook, runtime, storage, volume
from domain.decider import Emit, fold
from domain.errors import DomainError
from domain.launch import admit, end
from domain.placing import Launch, Mount
from domain.volume_paths import check_paths
from projections.months import derived_id
from tests.unit.domain_world import ANCHOR, NAME, World, decided, fact_of, launch, refused, word

MIB = volume.MIB
CREATED = volume.Created("project-1", "department-1", "account-1", "node-1", NAME, 64, 10)
CREATE = volume.Create("project-1", "department-1", "account-1", "node-1", NAME, 64, 10)
FORMATTED = volume.Formatted(7, "ext4_loop", 64 * MIB, 20, 20, 25, word())
SNAPSHOT = "snapshot-1"
HAS = volume.Attached("runtime-1", "allocation-1", 3, "/data", 30)
READY = (CREATED, FORMATTED)
ATTACHED = (*READY, HAS)
WIPING = (*READY, volume.WipeRequested(40))


def said(at: int = 50, now: int = 60, of: str = "node-1", boot: str = "b1") -> volume.Word:
    return volume.Word(7, at, ANCHOR, word(of, boot), now)


def attach(number: int = 1, epoch: int = 4, **changes: object) -> volume.Attach:
    names = (f"runtime-{number}", f"allocation-{number}", "node-1", "project-1")
    return replace(volume.Attach(*names, epoch, "/data", 70), **changes)


def test_a_volume_is_usable_once_its_node_has_made_it() -> None:
    """Created asks for it; formatted, at the attested instant, answers; only then is it attached."""
    assert decided(volume.DECIDER, [], CREATE) == [CREATED]
    assert decided(volume.DECIDER, [CREATED], CREATE) == []
    assert refused(volume.DECIDER, [CREATED], attach()) == "volume.busy"
    report = volume.ReportFormatted(said(20, 25), "ext4_loop", 64 * MIB)
    assert decided(volume.DECIDER, [CREATED], report) == [FORMATTED]
    assert [type(one) for one in decided(volume.DECIDER, READY, attach())] == [volume.Attached]


@pytest.mark.parametrize("size", [15, 0, -1, volume.LARGEST_MIB + 1])
def test_a_volume_of_no_size_is_refused(size: int) -> None:
    """From 16 MiB to 16 TiB."""
    made = replace(CREATE, size_mib=size)
    assert refused(volume.DECIDER, [], made) == "volume.size_invalid"


@pytest.mark.parametrize(
    ("given", "when", "code"),
    [
        (ATTACHED, attach(2), "volume.attached"),
        (READY, attach(node="node-2"), "volume.other_node"),
        (READY, attach(project="project-2"), "volume.unknown"),
        (ATTACHED, volume.Wipe(50), "volume.attached"),
        (ATTACHED, volume.Restore(SNAPSHOT, 50), "volume.attached"),
        (ATTACHED, volume.Detach("allocation-1", 2, "stopped", 50), "volume.stale_epoch"),
        (ATTACHED, volume.Detach("allocation-2", 3, "stopped", 50), "volume.stale_epoch"),
        (READY, volume.Grow(63, 50), "volume.shrinks"),
        (READY, volume.Restore(SNAPSHOT, 50), "volume.snapshot_unknown"),
        (WIPING, attach(), "volume.busy"),
        (WIPING, volume.Grow(128, 50), "volume.busy"),
        ((*WIPING, volume.Deleted(60)), attach(), "volume.deleted"),
        ((), attach(), "volume.unknown"),
        (READY, volume.ReportGrown(said(), 128), "volume.not_asked"),
        (WIPING, volume.ReportWiped(said(of="node-2"), "x", 64 * MIB, 1), "volume.foreign_node"),
        (WIPING, volume.ReportWiped(said(boot="b0"), "x", 64 * MIB, 1), "volume.foreign_boot"),
        (WIPING, volume.ReportWiped(said(), "x", 64 * MIB - 1, 1), "volume.receipt_short"),
        (READY, attach(path="/etc"), "volume.path_refused"),
    ],
)
def test_what_is_refused_is_refused_by_name(
    given: tuple[volume.Event, ...], when: volume.Command, code: str
) -> None:
    """One writer; stale epochs neither attach nor detach; no shrinking; no wipe under a writer."""
    assert refused(volume.DECIDER, given, when) == code


def test_an_epoch_that_was_passed_never_attaches_again() -> None:
    """Fenced off stays fenced off, also after the later one has let go."""
    freed = (*ATTACHED, volume.Detached("allocation-1", 3, "stopped", 40))
    assert refused(volume.DECIDER, freed, attach(2, epoch=3)) == "volume.stale_epoch"
    assert decided(volume.DECIDER, freed, volume.Detach("allocation-1", 3, "stopped", 50)) == []
    assert len(decided(volume.DECIDER, freed, attach(2, epoch=4))) == 1


def test_grow_and_snapshot_need_no_detaching() -> None:
    """Asked of the node while a runtime has it; the answer counts only for what was asked."""
    asked = (*ATTACHED, *decided(volume.DECIDER, ATTACHED, volume.Grow(128, 50)))
    assert refused(volume.DECIDER, asked, volume.ReportGrown(said(), 127)) == "volume.not_asked"
    grown = decided(volume.DECIDER, asked, volume.ReportGrown(said(), 128))
    state = fold(volume.DECIDER, (*asked, *grown))
    assert isinstance(state, volume.Held)
    assert (state.size_mib, state.asked, state.attached) == (128, None, HAS)
    wanted = volume.Snapshot(SNAPSHOT, 50)
    shot = (*ATTACHED, *decided(volume.DECIDER, ATTACHED, wanted))
    report = volume.ReportSnapshotted(said(), SNAPSHOT, 4096, 100)
    kept = fold(volume.DECIDER, (*shot, *decided(volume.DECIDER, shot, report)))
    assert isinstance(kept, volume.Held)
    assert kept.snapshots == (SNAPSHOT,)


def test_a_refused_order_is_over_and_leaves_the_volume() -> None:
    """The node could not: nothing is under way any more, and a later order is possible."""
    asked = (*READY, volume.GrowRequested(128, 50))
    facts = decided(volume.DECIDER, asked, volume.RefuseOrder(9, "volume.no_space", 60))
    assert facts == [volume.OrderRefused(9, "grow", "volume.no_space", 60)]
    assert decided(volume.DECIDER, (*asked, *facts), volume.Wipe(70)) == [volume.WipeRequested(70)]


def test_a_wipe_ends_it_with_its_receipt() -> None:
    """Receipt and deletion are one decision, the attested instant clamped; repeats give nothing."""
    report = volume.ReportWiped(said(5), "overwrite", 64 * MIB, 9)
    wiped, deleted = decided(volume.DECIDER, WIPING, report)
    assert isinstance(wiped, volume.Wiped)
    assert (wiped.wiped_us, deleted) == (20, volume.Deleted(60))
    gone = (*WIPING, wiped, deleted)
    assert decided(volume.DECIDER, gone, report) == []
    assert decided(volume.DECIDER, gone, volume.Wipe(80)) == []
    never_made = (CREATED, volume.OrderRefused(7, "create", "volume.no_space", 12))
    asked = (*never_made, *decided(volume.DECIDER, never_made, volume.Wipe(30)))
    assert len(decided(volume.DECIDER, asked, volume.ReportWiped(said(), "absent", 0, 0))) == 2


@pytest.mark.parametrize(
    ("paths", "fine"),
    [
        (("/data",), True), (("/data", "/data2"), True), (("/srv/me/x",), True), (("/",), False),
        (("data",), False), (("/data/",), False), (("/data/../etc",), False), (("/a//b",), False),
        (("/etc/ssh",), False), (("/run",), False), (("/data:ro",), False), (("/d,x",), False),
        (("/data", "/data"), False), (("/data", "/data/x"), False), (("/a b",), False),
        (("/.ssh",), False),
    ],
)  # fmt: skip
def test_a_volume_has_a_place_of_its_own(paths: tuple[str, ...], fine: bool) -> None:
    """Plain paths outside the system's folders, none inside another."""
    if fine:
        check_paths(paths)
        return
    with pytest.raises(DomainError, match=r"volume\.path_refused"):
        check_paths(paths)


def world(*nodes: tuple[str, int]) -> World:
    """One ready volume, `volume-1`, on node 1 of these."""
    made = World(nodes or (("T4", 2), ("T4", 8)))
    made.say("volume-1", *READY)
    return made


def wanting(number: int, **changes: object) -> Launch:
    return replace(launch(number), **{"volumes": (Mount("volume-1", "/data"),), **changes})


def code(made: World, wanted: Launch) -> str:
    with pytest.raises(DomainError) as error:
        admit(made.state, wanted)
    return error.value.code


def test_a_launch_goes_where_its_volumes_lie() -> None:
    """One atomic decision: the volume is attached under the allocation's epoch, and detached by
    the append that ends the runtime.
    """
    made = world()
    emits = admit(made.state, wanting(1))
    placed = fact_of(emits, runtime.Allocated)
    attached = fact_of(emits, volume.Attached)
    assert placed.node == "node-1"
    assert (attached.allocation, attached.epoch) == (placed.allocation, placed.epoch)
    assert emits[-1] == Emit("volume-1", "organization-1", 2, (attached,))
    assert code(made, wanting(2)) == "volume.attached"
    over = end(made.state, "runtime-1", runtime.Stopped(1, 1, 1, word()))
    detached = fact_of(over, volume.Detached)
    assert (detached.allocation, detached.epoch, detached.reason) == ("allocation-1", 1, "stopped")
    assert fact_of(admit(made.state, wanting(3)), volume.Attached).epoch == 2


def test_a_launch_that_cannot_be_there_says_why() -> None:
    """No room on that node, another model, foreign or unknown volumes, two nodes."""
    made = world(("T4", 1), ("T4", 8))
    admit(made.state, launch(9))
    assert code(made, wanting(1)) == "volume.no_room"
    assert code(made, wanting(1, models=("A10",))) == "capacity.none_fits"
    assert code(made, wanting(1, volumes=(Mount("volume-9", "/x"),))) == "volume.unknown"
    twice = (Mount("volume-1", "/x"), Mount("volume-1", "/y"))
    assert code(world(), wanting(1, volumes=twice)) == "volume.attached"
    freed = world(("T4", 1), ("T4", 8))
    freed.say("volume-2", replace(CREATED, node="node-2"), FORMATTED)
    both = (Mount("volume-1", "/x"), Mount("volume-2", "/y"))
    assert code(freed, wanting(1, volumes=both)) == "volume.other_node"


def test_a_new_volume_goes_to_the_node_with_the_fewest() -> None:
    """Named nodes are obeyed; one that takes nothing new is none."""
    made = world()
    asked = storage.NewVolume("volume-2", "organization-1", "project-1", NAME, 64, 5)
    assert fact_of(storage.create(made.state, asked), volume.Created).node == "node-2"
    assert storage.create(made.state, asked) == ()
    there = replace(asked, volume="volume-3", node="node-1")
    assert fact_of(storage.create(made.state, there), volume.Created).node == "node-1"
    for wrong in (replace(there, node="node-9"), replace(there, node="", models=("A10",))):
        with pytest.raises(DomainError, match=r"volume\.no_node"):
            storage.create(made.state, replace(wrong, volume="volume-4"))


def lost(seen: int = 0, *, gone: bool = True) -> volume.DeclareLost:
    return volume.DeclareLost(seen, gone, 90)


def test_a_volume_is_given_up_where_nobody_can_wipe_it() -> None:
    """Its bill ends with the last that its node said, not before the volume's own last instant; a
    living node wipes it instead, unless it has it no more; nothing comes after.
    """
    assert decided(volume.DECIDER, READY, lost(80)) == [volume.Lost(80, 90)]
    assert decided(volume.DECIDER, READY, lost(5)) == [volume.Lost(20, 90)]
    assert decided(volume.DECIDER, [CREATED], lost()) == [volume.Lost(10, 90)]
    assert decided(volume.DECIDER, WIPING, lost(80)) == [volume.Lost(80, 90)]
    assert refused(volume.DECIDER, ATTACHED, lost()) == "volume.attached"
    assert refused(volume.DECIDER, READY, lost(gone=False)) == "volume.node_lives"
    missing = (*WIPING, volume.OrderRefused(9, "wipe", "volume.missing", 45))
    assert decided(volume.DECIDER, missing, lost(80, gone=False)) == [volume.Lost(80, 90)]
    slow = (*missing, volume.WipeRequested(46), volume.OrderRefused(9, "wipe", "volume.slow", 47))
    assert refused(volume.DECIDER, slow, lost(gone=False)) == "volume.node_lives"
    over = (*READY, volume.Lost(80, 90))
    assert decided(volume.DECIDER, over, lost()) == []
    assert refused(volume.DECIDER, over, attach()) == "volume.deleted"


def test_what_a_node_last_said_outlives_its_identity() -> None:
    """Anchors and renewals of any of its lives; unreachable, barred and retired are gone."""
    made = world()
    node_id = "node-1"

    def command() -> volume.DeclareLost:
        return storage.lost_with(made.state.stock.states[node_id], 90)

    assert command() == volume.DeclareLost(0, False, 90)
    made.say(node_id, node.Anchored("b2", 0, 40, word()))
    made.say(node_id, node.LeaseRenewed((), 10, 30, 60, word()))
    assert command() == volume.DeclareLost(40, False, 90)
    made.say(node_id, node.LeaseRenewed((), 10, 50, 60, word()), node.Unreachable(60))
    assert command() == volume.DeclareLost(50, True, 90)
    made.say(node_id, identity.Revoked("operator.said", 61))
    assert command() == volume.DeclareLost(50, True, 90)
    assert storage.lost_with(node.Missing(), 90) == volume.DeclareLost(0, True, 90)


def test_a_volume_loses_to_a_node_that_is_being_closed() -> None:
    """Its append reads its node, so that none is put on one that was retired meanwhile, and its
    account, whose terms and standing it rests on.
    """
    made = world()
    asked = storage.NewVolume("volume-2", "organization-1", "project-1", NAME, 64, 5)
    emits = storage.create(made.state, asked)
    of = fact_of(emits, volume.Created).node
    read = {name: made.state.version(name) for name in (of, "account-1")}
    assert dict(emits[1].reads) == read


def test_a_metered_volume_is_admitted_with_a_price_only() -> None:
    """Registered before, a volume that nothing prices in its account's currency is refused and
    nothing is remembered; under a meter of another unit nothing is metered.
    """
    made = world()
    asked = storage.NewVolume("volume-2", "organization-1", "project-1", NAME, 64, 5)
    registered = meter.Registered("storage.capacity", "MiB-us", "lifecycle", "sum", 1)
    made.say("meter-1", replace(registered, unit="GiB-h"))
    assert storage.create(made.state, asked)
    made.say("meter-2", registered)
    unpriced = replace(asked, volume="volume-3")
    scope = ("default", "storage.capacity", "local", "-", "existing")
    made.say("pricebook-2", pricebook.EntryPublished(*scope, "EUR", 0, 0, 1, 1))
    made.say("pricebook-2", pricebook.EntryPublished(*scope, "USD", 6, 0, 1, 1))
    with pytest.raises(DomainError, match=r"volume\.no_price"):
        storage.create(made.state, unpriced)
    assert "volume-3" not in made.state.volumes
    assert storage.create(made.state, replace(unpriced, now_us=6))


def test_a_volume_decided_without_the_meter_loses_to_its_registration() -> None:
    """Its append reads the stream that the registration would open: else it would be metered with
    no price, and rating would stop.
    """
    made = world()
    log_stream = "log-01890000-0000-7000-8000-000000000000"
    made.say(log_stream, log.Opened("gpuaas-log/1", "o/1", "v"))
    asked = storage.NewVolume("volume-2", "organization-1", "project-1", NAME, 64, 5)
    where = derived_id("meter", log_stream, "storage.capacity")
    _, append = decide(made.state, VolumeAsk(asked, "user-1", "cmd:1", ()))
    assert (where, 0) in append.reads
    made.say(where, meter.Registered("storage.capacity", "MiB-us", "lifecycle", "sum", 1))
    scope = ("default", "storage.capacity", "local", "-", "existing")
    made.say("pricebook-2", pricebook.EntryPublished(*scope, "USD", 0, 0, 1, 1))
    again = replace(asked, volume="volume-3")
    _, append = decide(made.state, VolumeAsk(again, "user-1", "cmd:2", ()))
    assert (where, 1) in append.reads


@given(st.lists(st.sampled_from(["launch", "lost launch", "stop", "lost stop"]), max_size=12))
def test_one_writer_whatever_is_refused(acts: list[str]) -> None:
    """Launches and ends in any order, appends that lost undone: at every moment at most one live
    runtime has the volume, its epoch above all before, and the state says the same.
    """
    made, live, last = world(), "", 0
    for number, act in enumerate(acts, 1):
        if act.endswith("launch") and live:
            assert code(made, wanting(number)) == "volume.attached"
        elif act.endswith("launch"):
            emits = admit(made.state, wanting(number))
            epoch = fact_of(emits, volume.Attached).epoch
            assert epoch > last
            if act.startswith("lost"):
                made.state.undo(emits)
            else:
                live, last = f"runtime-{number}", epoch
        elif live:
            emits = end(made.state, live, runtime.Stopped(1, 1, 1, word()))
            assert fact_of(emits, volume.Detached).epoch == last
            if act.startswith("lost"):
                made.state.undo(emits)
            else:
                live = ""
        held = made.state.volumes["volume-1"].state.attached
        assert (held.runtime if held else "") == live
        assert made.state.attached == ({live: ("volume-1",)} if live else {})
