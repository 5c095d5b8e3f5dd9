"""What a device must show before anything starts on it; SIMULATED devices, real processes."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent import preflight
from agent.devices import Reading
from agent.preflight import is_inside
from agent.runtimes import Observed
from contracts.devices import CheckDevices
from tests.device_world import World
from tests.machine import need


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(preflight, "PATIENCE_S", 0.0)
    one = World(tmp_path)
    yield one
    one.close()


def examined(world: World, *devices: int) -> str:
    """The code with which a start on these devices would be refused; empty when it would not."""
    asyncio.run(preflight.examine(world.desk, world.spool, devices, 7))
    refused = world.desk.illness(devices)
    return "" if refused is None else refused.code


def holder(pid: int, *devices: int, state: str = "usable") -> Observed:
    return Observed("allocation-1", "runtime-1", state, 0, devices=devices, pid=pid)  # type: ignore[arg-type]


def test_a_clean_device_is_started_on_and_nothing_is_said(world: World) -> None:
    """Nobody there, nothing left: no word, no refusal, of an index that is not here either."""
    assert examined(world, 0, 1) == ""
    assert examined(world, 9) == ""
    assert world.spool.pending() == []


def test_a_foreign_process_makes_its_device_suspect_once(world: World) -> None:
    """Refused by its own code; said once however often it is met; the other device is well."""
    world.source.occupy(world.gpu, 4242)
    assert examined(world, 0) == "device.occupied"
    assert examined(world, 1, 0) == "device.occupied"
    assert examined(world, 1) == ""
    [report] = world.said("device_reported")
    assert (report["devices"], report["state"], report["cause"]) == (
        [0],
        "suspect",
        "device.occupied",
    )


def test_memory_that_nobody_owns_is_found_and_a_drivers_own_is_not(world: World) -> None:
    """More than what a driver keeps is somebody's data; beside a runtime of ours it may be its."""
    world.source.fill(world.gpu, preflight.LEFT_BYTES)
    assert examined(world, 0) == ""
    world.source.fill(world.gpu, preflight.LEFT_BYTES + 1)
    world.desk.holders = lambda: [holder(0, 0)]
    assert examined(world, 0) == ""
    world.desk.holders = lambda: [holder(0, 0, state="stopped"), holder(0, 1)]
    assert examined(world, 0) == "device.memory_left"


def test_an_old_driver_counts_its_own_memory_as_used() -> None:
    """Where it does not tell the two apart, only what no driver keeps counts."""
    old = Reading(uuid="GPU-a", memory_total_bytes=16 << 30, memory_used_bytes=600 << 20)
    assert not preflight._has_left(old)
    assert preflight._has_left(replace(old, memory_used_bytes=2 << 30))
    assert preflight._has_left(replace(old, memory_reserved_bytes=500 << 20))


def test_a_test_passes_when_what_was_left_is_gone_and_not_before(world: World) -> None:
    """Suspect until a look no longer finds it; then healthy, and the next one is said again."""
    world.source.occupy(world.gpu, 4242)
    examined(world, 0)
    asyncio.run(world.order(7, CheckDevices((0,))))
    world.source.leave(world.gpu)
    asyncio.run(world.order(8, CheckDevices((0,))))
    first, second = world.said("device_tested")
    assert (first["passed"], first["cause"]) == (False, "device.occupied")
    assert (second["passed"], second["cause"]) == (True, "")
    assert examined(world, 0) == ""
    world.source.fill(world.gpu, 1 << 30)
    assert examined(world, 0) == "device.memory_left"


def test_who_leaves_in_time_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was killed a moment ago costs no device."""
    monkeypatch.setattr(preflight, "PATIENCE_S", 60.0)
    world.source.occupy(world.gpu, 4242)

    async def leaving() -> None:
        looking = asyncio.create_task(preflight.examine(world.desk, world.spool, (0,), 7))
        await asyncio.sleep(0.3)
        assert not looking.done()
        world.source.leave(world.gpu)
        await looking

    asyncio.run(leaving())
    assert world.desk.illness((0,)) is None


def test_a_driver_that_does_not_answer_lets_nothing_start(world: World) -> None:
    """Its silence is said, as the probe would; the start is refused."""
    world.source.close()
    world.source.inventory = world.source.read = _silent  # type: ignore[assignment,method-assign]
    assert examined(world, 0) == "device.unhealthy"
    assert world.said("device_reported")[0]["cause"] == "driver.silent"


def _silent(*_: object) -> None:
    from agent.devices import DeviceError

    raise DeviceError("nvml.unavailable", "no driver")


@pytest.mark.machine
def test_processes_of_our_own_runtimes_are_not_foreign(world: World) -> None:
    """Whatever runs in the pid namespace of a holder's first process, or below it; nobody else."""
    need("unshare", root=True)
    argv = ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", "sleep 60 & echo in; wait"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as outer:
        try:
            assert outer.stdout is not None
            assert outer.stdout.readline() == b"in\n"
            first, *_ = _children(outer.pid)
            inside = _children(first)[0]
            assert is_inside(inside, [first])
            assert not is_inside(os.getpid(), [first])
            assert not is_inside(inside, [])
            assert not is_inside(inside, [0, 10**7])
            world.source.occupy(world.gpu, inside)
            world.desk.holders = lambda: [holder(first, 0)]
            assert examined(world, 0) == ""
            world.desk.holders = lambda: [holder(first, 1)]
            assert examined(world, 0) == "device.occupied", "ours, on a device it was not given"
        finally:
            outer.kill()


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
