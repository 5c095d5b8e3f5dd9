"""A Linux watchdog device: opening arms it, each write puts the machine's reset off.

Closed without the magic `V` it goes on counting and resets the machine: that is its use. Source:
Documentation/watchdog/watchdog-api.rst and include/uapi/linux/watchdog.h.
"""

import contextlib
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from contracts.fleet import STOP_LATENCY_US
from contracts.signing import FleetError

_GET_SUPPORT: Final = 0x80285700
_GET_BOOT_STATUS: Final = 0x80045702
_SET_TIMEOUT: Final = 0xC0045706
_GET_TIMEOUT: Final = 0x80045707
_CARD_RESET: Final = 0x0020
_TIMEOUT_CAN_BE_SET: Final = 0x0080
_MAGIC_CLOSE: Final = 0x0100
_MISC: Final = 10
_INFO: Final = struct.Struct("II32s")
_INT: Final = struct.Struct("i")

# What the kernel is asked about the device, as fcntl.ioctl.
type Ioctl = Callable[[int, int, bytes], bytes]


class Watchdog(Struct, frozen=True, kw_only=True):
    """What the node's watchdog is told: the device, after how long without a word from us it
    resets the machine, and how long past its deadline a container may be alive.

    `stand_in` (tests): `device` is a file or FIFO that resets nothing, SIMULATED.
    """

    device: str
    timeout_s: int = 30
    grace_us: int = STOP_LATENCY_US + 10_000_000
    stand_in: bool = False


class Device:
    """An armed device. It stays open, and counts, until `close`.

    `for_good`: its driver lets nobody disarm it, so it must be petted until the machine goes down.
    """

    def __init__(self, handle: int, timeout_s: int, named: str, *, for_good: bool = False) -> None:
        self._handle = handle
        self.timeout_s = timeout_s
        self.named = named
        self.for_good = for_good

    def pet(self) -> None:
        """The reset is put off by the timeout. Raises: OSError."""
        os.write(self._handle, b"\0")

    def close(self) -> None:
        """Disarmed, unless it is so for good. Raises: OSError."""
        os.write(self._handle, b"V")
        os.close(self._handle)


def open_device(wanted: Watchdog, ioctl: Ioctl = fcntl.ioctl) -> Device:
    """The device, armed.

    Raises: FleetError watchdog.missing | watchdog.busy | watchdog.refused | watchdog.not_one |
    watchdog.disarms.
    """
    path = wanted.device
    try:
        if not wanted.stand_in and not stat.S_ISCHR(Path(path).stat().st_mode):
            raise FleetError("watchdog.not_one", f"{path} is not a device")
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise refusal(path, error) from error
    if wanted.stand_in:
        return Device(handle, wanted.timeout_s, f"SIMULATED: {path} resets nothing")
    try:
        return _armed(handle, wanted, ioctl)
    except FleetError:
        os.close(handle)
        raise


def _armed(handle: int, wanted: Watchdog, ioctl: Ioctl) -> Device:
    try:
        options, _, name = _INFO.unpack(ioctl(handle, _GET_SUPPORT, bytes(_INFO.size)))
    except OSError as error:
        # Nothing is written to it: what answers this is a watchdog, and nothing else is.
        raise FleetError("watchdog.not_one", f"{wanted.device}: {error.strerror}") from error
    if not options & _MAGIC_CLOSE:
        # It stops at any close: that of a killed program, too.
        raise FleetError("watchdog.disarms", f"{wanted.device}: its driver has no magic close")
    if options & _TIMEOUT_CAN_BE_SET:
        with contextlib.suppress(OSError):  # out of its range: it keeps its own
            ioctl(handle, _SET_TIMEOUT, _INT.pack(wanted.timeout_s))
    try:
        (timeout_s,) = _INT.unpack(ioctl(handle, _GET_TIMEOUT, bytes(_INT.size)))
    except OSError:
        timeout_s = wanted.timeout_s
    named = name.rstrip(b"\0").decode(errors="replace")
    with contextlib.suppress(OSError):
        (status,) = _INT.unpack(ioctl(handle, _GET_BOOT_STATUS, bytes(_INT.size)))
        if status & _CARD_RESET:
            named += ", which says that it reset this machine"
    for_good = has_no_way_out(os.fstat(handle).st_rdev)
    if for_good:
        named += ", which cannot be disarmed (nowayout)"
    return Device(handle, max(1, timeout_s), f"{wanted.device}: {named}", for_good=for_good)


def has_no_way_out(number: int, sys: Path = Path("/sys")) -> bool:
    """Whether the driver of this device was loaded with `nowayout`; False where the kernel does not
    say so (CONFIG_WATCHDOG_SYSFS).
    """
    place = sys / "dev" / "char" / f"{os.major(number)}:{os.minor(number)}"
    if os.major(number) == _MISC:  # /dev/watchdog is the first of them by its older name
        place = sys / "class" / "watchdog" / "watchdog0"
    with contextlib.suppress(OSError):
        return (place / "nowayout").read_text().strip() == "1"
    return False


def refusal(path: str, error: OSError) -> FleetError:
    """Why a device cannot be opened, in words that say who can do something about it."""
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return FleetError("watchdog.missing", f"there is no {path}")
    if error.errno == errno.EBUSY:
        return FleetError("watchdog.busy", f"another program has {path}")
    return FleetError("watchdog.refused", f"{path}: {error.strerror}")
