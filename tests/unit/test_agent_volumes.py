"""Orders about volumes on one node: fenced by number, done once, answered by one word each."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from agent import orders, volume_work
from agent.orders import Node
from agent.volume_images import WIPED, Outcome, do, may_resize
from agent.volume_places import Holder, lying
from contracts import fleet, volumes
from contracts.fleet import Command
from contracts.volumes import (
    CreateVolume,
    GrowVolume,
    SnapshotVolume,
    VolumeOrder,
    WipeStray,
    WipeVolume,
)
from tests.unit.test_agent_orders import BOOT, LEASE_END, NAME, S, closed, opened, said, sent

VOLUME = "volume-01936f00-0000-7000-8000-000000000001"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    opening = opened(tmp_path)
    yield opening
    closed(opening)


def about(number: int, order: VolumeOrder) -> Command:
    return Command("gpuaas-command/1", number, NAME, BOOT, "", 0, "n", LEASE_END, order)


def done(node: Node, outcome: Outcome | None = None) -> int:
    """How many orders waited; each gets its answer."""
    count = 0
    while (job := volume_work.waiting(node.store)) is not None:
        found = outcome or volume_work.simulated(job.order)
        volume_work.answer(node.store, node.spool, job, found)
        count += 1
    return count


def test_an_order_delivered_twice_is_done_once(node: Node) -> None:
    """At-least-once delivery, one effect, one word; also when the second comes after the answer."""
    raw = sent(about(10, CreateVolume(VOLUME, 64)))
    assert orders.handle(node, raw, 1 * S).refused == ""
    assert orders.handle(node, raw, 2 * S).refused == ""
    assert done(node) == 1
    again = sent(replace(about(10, CreateVolume(VOLUME, 64)), expires_boottime_us=2 * LEASE_END))
    assert orders.handle(node, again, 3 * S).refused == ""
    assert done(node) == 0
    [word] = said(node)
    assert (word.tag, word.stream) == (volumes.FORMATTED, VOLUME)
    assert word.said == {"command": 10, "method": "SIMULATED", "bytes": 64 * volumes.MIB}


def test_a_stale_or_replayed_order_is_refused(node: Node) -> None:
    """Behind the last order about the same volume, or under a number that was another's; orders
    about other volumes are not behind it.
    """
    other = VOLUME[:-1] + "2"
    assert orders.handle(node, sent(about(20, WipeVolume(VOLUME))), 1 * S).refused == ""
    assert orders.handle(node, sent(about(12, GrowVolume(VOLUME, 128))), 1 * S).refused == (
        "command.stale"
    )
    assert orders.handle(node, sent(about(20, WipeVolume(other))), 1 * S).refused == (
        "command.replayed"
    )
    assert orders.handle(node, sent(about(12, GrowVolume(other, 128))), 1 * S).refused == ""
    late = replace(about(30, WipeVolume(VOLUME)), expires_boottime_us=1 * S)
    assert orders.handle(node, sent(late), 2 * S).refused == "command.expired"
    elsewhere = replace(about(31, WipeVolume(VOLUME)), node=NAME[:-1] + "9")
    assert orders.handle(node, sent(elsewhere), 2 * S).refused == "command.wrong_node"
    assert done(node) == 2


def test_what_cannot_be_done_is_refused_with_our_signature(node: Node) -> None:
    """The refusal names the order's number and why; the order is over."""
    orders.handle(node, sent(about(10, CreateVolume(VOLUME, 64))), 1 * S)
    assert done(node, Outcome(code="volume.no_space", detail="full")) == 1
    [word] = said(node)
    assert word.tag == fleet.COMMAND_REFUSED
    assert (word.said["command"], word.said["code"]) == (10, "volume.no_space")


def test_a_crash_before_the_work_does_it_after_the_restart(tmp_path: Path) -> None:
    """Also under another boot: an order about a volume outlives it."""
    first = opened(tmp_path)
    orders.handle(first, sent(about(10, CreateVolume(VOLUME, 64))), 1 * S)
    closed(first)
    second = opened(tmp_path, "c" * 32)
    try:
        orders.resume(second, 2 * S)
        assert done(second) == 1
        assert [(word.tag, word.boot) for word in said(second)] == [(volumes.FORMATTED, "c" * 32)]
    finally:
        closed(second)


def test_what_is_nobodys_any_more_is_answered_as_the_nodes_own(node: Node) -> None:
    """The volume is over: the receipt is a word on the node's stream that names it."""
    assert orders.handle(node, sent(about(10, WipeStray(VOLUME))), 1 * S).refused == ""
    assert done(node, Outcome({"method": "zero", "bytes_covered": 7, "duration_us": 1})) == 1
    [word] = said(node)
    assert (word.tag, word.stream) == (volumes.STRAY_WIPED, NAME)
    assert word.said == {
        "volume": VOLUME, "command": 10, "method": "zero", "bytes_covered": 7, "duration_us": 1,
    }  # fmt: skip


def test_what_lies_on_the_disk_is_listed(tmp_path: Path) -> None:
    """Images, half-made ones and snapshots; what was wiped is listed no more."""
    for name, file in (("a", "image"), ("b", "image.partial"), ("c", "snapshots/x"), ("d", "lock")):
        path = tmp_path / "volumes" / f"volume-{name}" / file
        path.parent.mkdir(parents=True)
        path.touch()
    assert lying(tmp_path) == ["volume-a", "volume-b", "volume-c"]
    said = do(tmp_path, WipeStray("volume-a")).said
    assert (said["method"], said["bytes_covered"]) == (WIPED, 0)
    assert lying(tmp_path) == ["volume-b", "volume-c"]
    assert do(tmp_path, WipeStray("volume-e")).said["method"] == "absent"


def test_a_growth_waits_until_it_is_detached_and_holds_up_nobody(
    node: Node, tmp_path: Path
) -> None:
    """Where what is mounted cannot be resized; whoever comes after it is served meanwhile."""
    held = tmp_path / "volumes" / VOLUME / "holder.json"
    held.parent.mkdir(parents=True)
    held.write_bytes(msgspec.json.encode(Holder("allocation-1", 3)))
    grow, snapshot = GrowVolume(VOLUME, 128), SnapshotVolume(VOLUME[:-1] + "2", "snapshot-1")
    for number, order in ((10, grow), (11, snapshot)):
        assert orders.handle(node, sent(about(number, order)), 1 * S).refused == ""

    def turn() -> VolumeOrder | None:
        later = partial(volume_work.awaits_detachment, tmp_path)
        job = volume_work.waiting(node.store, later)
        return None if job is None else job.order

    assert turn() == (grow if may_resize() else snapshot)
    held.write_bytes(msgspec.json.encode(Holder("", 3)))
    assert turn() == grow
    assert not volume_work.awaits_detachment(tmp_path, GrowVolume("../etc", 128))
