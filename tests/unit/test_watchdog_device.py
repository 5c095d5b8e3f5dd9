"""What is armed, and what is refused, by the answers of a watchdog's driver; SIMULATED ones."""

import errno
import os
import struct
from pathlib import Path

import pytest

from agent.__main__ import parsed
from agent.watchdog_device import Watchdog, has_no_way_out, open_device, refusal
from contracts.fleet import STOP_LATENCY_US
from contracts.signing import FleetError

SUPPORT, BOOT_STATUS, SET_TIMEOUT, GET_TIMEOUT = 0x80285700, 0x80045702, 0xC0045706, 0x80045707
CHARACTERS = Watchdog(device="/dev/null", timeout_s=30)


class Driver:
    """Answers as a driver would; `most_s`: the longest timeout it takes, 0 for none."""

    def __init__(self, options: int = 0x8180, most_s: int = 60, status: int = 0) -> None:
        self.options = options
        self.most_s = most_s
        self.status = status
        self.timeout_s = 60

    def ioctl(self, _handle: int, request: int, given: bytes) -> bytes:
        if request == SUPPORT:
            return struct.pack("II32s", self.options, 0, b"Software Watchdog")
        if request == BOOT_STATUS:
            return struct.pack("i", self.status)
        if request == SET_TIMEOUT:
            (asked,) = struct.unpack("i", given)
            if asked > self.most_s:
                raise OSError(errno.EINVAL, "Invalid argument")
            self.timeout_s = asked
        return struct.pack("i", self.timeout_s)


def test_the_timeout_is_what_the_driver_took() -> None:
    """Ours where it can be set and is in range, else its own; a reset of before is told."""
    device = open_device(CHARACTERS, Driver().ioctl)
    assert (device.timeout_s, device.named) == (30, "/dev/null: Software Watchdog")
    device.pet()
    device.close()
    for driver in (Driver(most_s=20), Driver(options=0x8100)):
        other = open_device(CHARACTERS, driver.ioctl)
        assert other.timeout_s == 60
        other.close()
    reset = open_device(CHARACTERS, Driver(status=0x20).ioctl)
    assert reset.named.endswith("which says that it reset this machine")
    reset.close()


def test_a_driver_that_a_kill_disarms_is_refused() -> None:
    """Without magic close any end of the program would be a clean one; no descriptor is left."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FleetError) as error:
        open_device(CHARACTERS, Driver(options=0x8080).ioctl)
    assert error.value.code == "watchdog.disarms"
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_cannot_be_disarmed_is_known(tmp_path: Path) -> None:
    """By the kernel's word on the device, or on the first of them for the older name."""
    for place in ("dev/char/250:1", "class/watchdog/watchdog0"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "nowayout").write_text("1\n")
    assert has_no_way_out(os.makedev(250, 1), tmp_path)
    assert has_no_way_out(os.makedev(10, 130), tmp_path)
    assert not has_no_way_out(os.makedev(250, 2), tmp_path)
    (tmp_path / "class" / "watchdog" / "watchdog0" / "nowayout").write_text("0\n")
    assert not has_no_way_out(os.makedev(10, 130), tmp_path)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.EBUSY, "watchdog.busy"),
        (errno.ENOENT, "watchdog.missing"),
        (errno.ENODEV, "watchdog.missing"),
        (errno.EACCES, "watchdog.refused"),
    ],
)
def test_why_it_cannot_be_opened_is_said_by_name(number: int, code: str) -> None:
    """Two of everything: who has it is another's to stop, what is missing another's to load."""
    found = refusal("/dev/watchdog", OSError(number, os.strerror(number)))
    assert found.code == code
    assert "/dev/watchdog" in str(found)


def test_an_agent_is_told_of_it_only_with_real_containers() -> None:
    """Off unless a device is named; the grace is more than the platform gives a stop; a watchdog of
    SIMULATED runtimes, or one without time, is refused.
    """
    words = ["--state", "/x", "--engine", "bubblewrap"]
    assert parsed(words).watchdog is None
    named = [*words, "--watchdog-device", "/dev/watchdog"]
    assert parsed(named).watchdog == Watchdog(device="/dev/watchdog")
    assert Watchdog(device="").grace_us > STOP_LATENCY_US
    for wrong in (
        ["--state", "/x", *named[4:]],
        [*named, "--watchdog-timeout-s", "0"],
        [*named, "--watchdog-grace-us", "999999"],
    ):
        with pytest.raises(FleetError) as error:
            parsed(wrong)
        assert error.value.code == "config.malformed"
