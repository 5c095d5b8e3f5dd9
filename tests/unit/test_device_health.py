"""When a device is ill, what is said of it, how often, and when it may be well again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.devices import Reading, XidEvent
from agent.health import HEALTHY, XID_PAUSE_US, Health, assess, obstacle
from tests.device_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.close()


@pytest.mark.parametrize(
    ("reading", "xids", "health"),
    [
        ({}, (), HEALTHY),
        ({"recovery": "none"}, (13, 31, 43, 45, 63, 94), HEALTHY),
        ({"recovery": "reset"}, (79,), Health("suspect", "recovery.reset")),
        ({"recovery": "none"}, (13, 48), Health("suspect", "xid", 48)),
        ({}, (79,), Health("suspect", "xid", 79)),
        ({}, (48, 54), Health("failed", "xid", 54)),
        ({}, (4711,), Health("suspect", "xid", 4711)),
        ({"fault": "lost", "recovery": "reset"}, (48,), Health("failed", "gpu.lost")),
        ({"fault": "inforom"}, (), Health("suspect", "gpu.inforom")),
        ({"row_failure": True}, (), Health("failed", "rows.failed")),
        ({"row_pending": True}, (), HEALTHY),
        ({"ecc_uncorrected": 3}, (94,), HEALTHY),
    ],
)
def test_the_recovery_action_comes_before_the_catalogue(
    reading: dict[str, object], xids: tuple[int, ...], health: Health
) -> None:
    """The reading decides, then the worst XID; a program's XID and a pending row take no device."""
    assert assess(Reading(uuid="GPU-a", **reading), xids) == health  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("was", "reading", "boot", "why"),
    [
        (Health("suspect", "xid", 48, "b1"), {"recovery": "none"}, "b1", ""),
        (Health("suspect", "xid", 48, "b1"), {}, "b1", "needs.reset"),
        (Health("suspect", "xid", 48, "b1"), {}, "b2", ""),
        (Health("suspect", "xid", 48, "b1"), {"recovery": "reset"}, "b2", "recovery.reset"),
        (Health("suspect", "xid", 79, "b1"), {"recovery": "none"}, "b1", "needs.reboot"),
        (Health("suspect", "xid", 79, "b1"), {"recovery": "none"}, "b2", ""),
        (Health("suspect", "recovery.reboot", 0, "b1"), {"recovery": "none"}, "b1", "needs.reboot"),
        (Health("failed", "xid", 54, "b1"), {"recovery": "none"}, "b2", "needs.hands"),
        (Health("failed", "rows.failed", 0, "b1"), {}, "b2", "needs.hands"),
        (Health("failed", "gpu.lost", 0, "b1"), {"recovery": "none"}, "b1", "needs.reboot"),
        (Health("failed", "gpu.lost", 0, "b1"), {"recovery": "none"}, "b2", ""),
        (HEALTHY, {"fault": "lost"}, "b1", "gpu.lost"),
    ],
)
def test_what_was_asked_for_must_have_happened(
    was: Health, reading: dict[str, object], boot: str, why: str
) -> None:
    """No device is called healthy because time went by: a reset or a reboot must show."""
    assert obstacle(was, Reading(uuid="GPU-a", **reading), boot) == why  # type: ignore[arg-type]


def test_a_change_is_said_once_over_restarts(world: World) -> None:
    """One report a change, whoever restarts; the state sticks although the XID is over."""
    assert world.look() == 0  # nothing is wrong, and a SIMULATED device describes no hardware
    world.source.raise_xid(world.gpu, 48)
    world.look()
    for _ in range(2):
        world.look()
        world = world.reopen()
    world.look()
    [report] = world.said("device_reported")
    assert report == {
        "devices": [0], "uuid": world.gpu, "state": "suspect", "cause": "xid", "xid": 48,
        "ecc_uncorrected": 0,
    }  # fmt: skip
    assert world.said("device_described") == []
    world.close()


def test_it_gets_worse_but_not_better_by_itself(world: World) -> None:
    """From suspect to failed is another report; the fault gone is none."""
    world.source.break_down(world.gpu, recovery="reset")
    world.look()
    world.source.break_down(world.gpu, fault="lost")
    world.look()
    world.source.break_down(world.gpu)
    world.look()
    assert [(one["state"], one["cause"]) for one in world.said("device_reported")] == [
        ("suspect", "recovery.reset"), ("failed", "gpu.lost"),
    ]  # fmt: skip


def test_xids_are_counted_and_a_flood_fills_no_log(world: World) -> None:
    """A thousand of one kind: the first is said at once, the rest as one count a minute later;
    none is lost from the count, and another kind is said by itself.
    """
    for _ in range(1000):
        world.source.raise_xid(world.gpu, 31)
        if len(world.said("device_xid")) < 1:
            world.look(1)
    world.source.raise_xid(world.gpu, 13)
    world.look(2)
    first = [(one["xid"], one["count"]) for one in world.said("device_xid")]
    assert first == [(31, 1), (13, 1)]
    world.look(2 + XID_PAUSE_US)
    world.look(3 + XID_PAUSE_US)
    assert [(one["xid"], one["count"]) for one in world.said("device_xid")][2:] == [(31, 1000)]
    assert world.said("device_reported") == []


def test_a_crash_between_event_and_word_counts_nothing_twice(world: World) -> None:
    """Counting and saying are one transaction: undone together."""
    event = XidEvent(world.gpu, 31)
    store = world.store
    store.conn.execute("BEGIN")
    world.desk.ledger.count((event,))
    store.conn.execute("ROLLBACK")
    world.look()
    assert world.said("device_xid") == []


def test_a_slice_that_is_gone_is_missed(world: World) -> None:
    """A device of the enrolled list that the driver no longer lists is failed, by its index."""
    second = world.desk.units[1]
    world.source.break_down(second.gpu, fault="lost")
    world.look()
    [report] = world.said("device_reported")
    assert (report["devices"], report["state"], report["cause"]) == ([1], "failed", "gpu.lost")
