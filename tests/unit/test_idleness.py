"""When an agent says that a runtime is idle, and when that it is used; SIMULATED, a clock by hand."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import idleness, orders, watch
from agent.device_watch import Desk, Unit
from agent.idle_bounds import Bounds
from agent.orders import Node
from agent.simulated_devices import SimulatedDevices
from agent.terminal import wire
from contracts import fleet
from tests.unit.test_agent_orders import NAME, S, closed, opened, said, sent, start

AFTER = 10


class Clock:
    """A node with one usable runtime on device 0, looked at each second."""

    def __init__(self, node: Node, tmp: Path) -> None:
        self.now_us = 7 * S
        self.node = node
        self.source = SimulatedDevices(tmp / "devices.db", "seed", 2, "T4")
        units = tuple(Unit(one.index, one.uuid, one.gpu) for one in self.source.inventory())
        self.desk = Desk(self.source, node.store, units)
        orders.handle(node, sent(start()), 5 * S)
        watch.report(node, self.now_us)
        self.begin()

    @property
    def gpu(self) -> str:
        return self.desk.units[0].gpu

    def begin(self) -> None:
        """The agent's process begins: it remembers nothing."""
        self.watcher = idleness.Watcher(self.node, self.desk, Bounds(AFTER * S, 5))

    def pass_s(self, seconds: int) -> list[tuple[str, int, Any]]:
        """Each word that was said in these seconds: tag, at which second, what."""
        for _ in range(seconds):
            self.now_us += S
            asyncio.run(self.watcher.look())
        words = [one for one in said(self.node) if one.tag in {fleet.IDLE, fleet.BUSY}]
        found = [(one.tag.split(".")[2], one.boottime_us // S, one.said) for one in words]
        told, self.told = found[self.told :], len(found)
        return told

    told = 0


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    node = opened(tmp_path)
    made = Clock(node, tmp_path)
    now: Callable[[], int] = lambda: made.now_us  # noqa: E731
    monkeypatch.setattr(idleness, "boottime_us", now)
    yield made
    made.desk.close()
    closed(node)


def test_each_change_is_said_once_with_for_how_long(clock: Clock) -> None:
    """Ten seconds of nothing: idle, once. Work on its device: used, once. Up to the bound is none."""
    assert clock.pass_s(AFTER) == []
    assert clock.pass_s(5) == [("idle", 18, {"idle_us": 10 * S})]
    clock.source.load(clock.gpu, 6)
    assert clock.pass_s(3) == [("busy", 23, {})]
    clock.source.load(clock.gpu, 5)
    assert clock.pass_s(AFTER - 1) == []
    assert clock.pass_s(2) == [("idle", 35, {"idle_us": 10 * S})]


def test_a_device_that_does_not_say_counts_as_used(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather never idle than wrongly; another device's work is not its own."""
    clock.source.load(clock.desk.units[1].gpu, 99)
    monkeypatch.setattr(clock.source, "utilisation", lambda uuid: None)
    assert clock.pass_s(3 * AFTER) == []
    monkeypatch.undo()


def test_a_slice_is_asked_for_itself(clock: Clock) -> None:
    """What works on another slice of its GPU, or on that as a whole, is not its own work."""
    gpu = clock.gpu
    clock.desk.units = (Unit(0, "MIG-mine", gpu), Unit(1, "MIG-other", gpu))
    for other in (gpu, "MIG-other"):
        clock.source.load(other, 99)
    assert [one[0] for one in clock.pass_s(AFTER + 2)] == ["idle"]
    clock.source.load("MIG-mine", 99)
    assert [one[0] for one in clock.pass_s(1)] == ["busy"]


def test_where_nobody_looked_nothing_is_known(clock: Clock) -> None:
    """A pause counts as use before it was idle, and says nothing of one that was."""
    clock.pass_s(AFTER - 1)
    clock.now_us += 60 * S
    assert clock.pass_s(AFTER) == []
    assert [one[0] for one in clock.pass_s(2)] == ["idle"]
    clock.now_us += 60 * S
    assert clock.pass_s(2 * AFTER) == []


def test_a_restart_says_nothing_twice(clock: Clock) -> None:
    """What was said stands until it is seen to be used; idle is not said again."""
    clock.pass_s(AFTER + 2)
    clock.begin()
    assert clock.pass_s(2 * AFTER) == []
    clock.source.load(clock.gpu, 50)
    clock.begin()
    assert [one[0] for one in clock.pass_s(1)] == ["busy"]


def test_a_terminal_is_somebody_in_it(clock: Clock) -> None:
    """While one of its own is open it is used; one of another runtime's is not its."""
    place = clock.node.terminals.folder / "access-01936f00-0000-7000-8000-000000000000"
    place.mkdir(parents=True)
    settings = wire.Settings(
        node=NAME, session=place.name, allocation="allocation-other", key="", argv=(), until_us=0,
        environment={}, banner="", user=-1, columns=80, rows=25,
    )  # fmt: skip
    (place / wire.SETTINGS).write_bytes(msgspec.json.encode(settings))
    assert [one[0] for one in clock.pass_s(AFTER + 1)] == ["idle"]
    mine = msgspec.structs.replace(settings, allocation="allocation-runtime-1")
    (place / wire.SETTINGS).write_bytes(msgspec.json.encode(mine))
    assert [one[0] for one in clock.pass_s(2 * AFTER)] == ["busy"]


def test_only_what_is_usable_is_idle(clock: Clock) -> None:
    """Nothing is said of what is degraded or over, however long nobody uses it."""
    clock.pass_s(3)
    clock.node.runtimes.degrade("runtime-1", clock.now_us)  # type: ignore[attr-defined]
    assert clock.pass_s(2 * AFTER) == []
    clock.node.runtimes.stop("allocation-runtime-1", clock.now_us)
    assert clock.pass_s(2 * AFTER) == []
