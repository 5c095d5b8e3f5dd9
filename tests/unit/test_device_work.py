"""Tests and sanitizations of devices: what the receipt says is what was done."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent import device_work
from agent.device_work import Means
from agent.devices import DeviceError
from agent.machine import model_of, one_model
from contracts.devices import CheckDevices, SanitizeDevices
from tests.device_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.close()


def test_a_simulated_receipt_says_so(world: World) -> None:
    """Method and driver are SIMULATED; bytes are those of the devices named."""
    asyncio.run(world.order(7, SanitizeDevices((0, 1))))
    [receipt] = world.said("sanitized")
    duration = receipt.pop("duration_us")
    assert duration >= 0
    assert receipt == {
        "devices": [0, 1], "method": "SIMULATED", "bytes_covered": 160 << 30,
        "driver": "SIMULATED", "ecc_uncorrected": 0, "residual_processes": 0,
    }  # fmt: skip
    assert device_work.waiting(world.store) is None


def test_a_canary_is_said_before_the_receipt_and_is_gone(world: World) -> None:
    """One place a SIMULATED device, by the number of the order; memory that keeps what wipes it is
    told by the canary, whatever the receipt says.
    """
    asyncio.run(world.order(7, SanitizeDevices((0, 1))))
    world.source.keep(world.gpu, keeps=True)
    asyncio.run(world.order(8, SanitizeDevices((0, 1))))
    world.source.keep(world.gpu, keeps=False)
    asyncio.run(world.order(9, SanitizeDevices((0, 1))))
    found = []
    for number, looked in zip((7, 8, 9), world.said("canary_looked"), strict=True):
        assert looked.pop("duration_us") >= 0
        found.append(looked.pop("found"))
        assert looked == {
            "devices": [0, 1], "command": number, "method": "SIMULATED", "planted": 2, "looked": 2,
        }  # fmt: skip
    assert found == [0, 1, 0]
    assert {one["bytes_covered"] for one in world.said("sanitized")} == {160 << 30}
    assert world.tags()[:2] == ["canary_looked", "sanitized"]


def test_a_device_in_use_gets_no_clean_receipt(world: World) -> None:
    """A process left behind is named by number, nothing was covered, and no canary planted."""
    world.source.occupy(world.gpu, 4242)
    asyncio.run(world.order(7, SanitizeDevices((0,))))
    [receipt] = world.said("sanitized")
    assert (receipt["bytes_covered"], receipt["residual_processes"]) == (0, 1)
    assert receipt["method"] == "refused:occupied"
    assert world.said("canary_looked") == []


def test_one_that_leaves_in_time_is_waited_for(world: World) -> None:
    """A process on its way out does not spoil the receipt."""

    async def leaving() -> None:
        world.source.occupy(world.gpu, 4242)
        ordered = asyncio.create_task(
            world.order(7, SanitizeDevices((0,)), Means(patience_us=60_000_000))
        )
        await asyncio.sleep(0.3)
        world.source.leave(world.gpu)
        await ordered

    asyncio.run(leaving())
    assert world.said("sanitized")[0]["bytes_covered"] == 80 << 30


def test_an_order_survives_a_crash_and_a_reboot(world: World) -> None:
    """Taken and not done: done after the restart, under the new boot, once."""
    device_work.enqueue(world.store, 9, SanitizeDevices((1,)))
    device_work.enqueue(world.store, 9, SanitizeDevices((1,)))
    world = world.reopen("c" * 32)
    job = device_work.waiting(world.store)
    assert job == device_work.Job(9, "sanitize", (1,))
    asyncio.run(world.order(9, SanitizeDevices((1,))))
    assert len(world.said("sanitized")) == 1
    assert device_work.waiting(world.store) is None
    world.close()


def test_a_suspect_is_well_after_a_test_and_ill_before_the_reset(world: World) -> None:
    """The test fails while the recovery action stands, passes when it is gone; then a new illness
    is a new report.
    """
    world.source.break_down(world.gpu, recovery="reset")
    world.look()
    asyncio.run(world.order(7, CheckDevices((0,))))
    world.source.break_down(world.gpu)
    asyncio.run(world.order(8, CheckDevices((0,))))
    first, second = world.said("device_tested")
    assert (first["passed"], first["cause"], first["method"]) == (
        False,
        "recovery.reset",
        "SIMULATED",
    )
    assert (second["passed"], second["cause"], second["command"]) == (True, "", 8)
    assert world.desk.ledger.of(world.gpu).state == "healthy"
    world.source.raise_xid(world.gpu, 48)
    world.look()
    assert len(world.said("device_reported")) == 2


def test_an_unknown_device_is_refused_by_name(world: World) -> None:
    """No work on a device that was never enrolled."""
    with pytest.raises(DeviceError) as error:
        asyncio.run(world.order(7, CheckDevices((2,))))
    assert error.value.code == "device.unknown"


def test_models_are_what_prices_speak_of() -> None:
    """Product names become the words of the price book; a slice keeps its profile."""
    names = {
        "NVIDIA H100 80GB HBM3": "H100", "Tesla T4": "T4", "NVIDIA A100-SXM4-40GB": "A100",
        "NVIDIA GeForce RTX 4090": "RTX 4090", "NVIDIA L40S": "L40S", "Tesla V100-SXM2-32GB": "V100",
        "NVIDIA H100 80GB HBM3 MIG 1g.10gb": "H100 MIG 1g.10gb", "": "",
    }  # fmt: skip
    assert {name: model_of(name) for name in names} == names


def test_a_machine_of_two_models_is_not_enrolled(world: World) -> None:
    """One node, one model: a mixture is said, not silently taken for its first device."""
    first, second = world.source.inventory()
    with pytest.raises(DeviceError) as error:
        one_model((first, replace(second, product="Tesla T4")))
    assert error.value.code == "device.mixed"
    with pytest.raises(DeviceError) as error:
        one_model(())
    assert error.value.code == "device.none"
