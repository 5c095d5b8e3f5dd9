"""Before anything starts on a device: nobody else's process is on it, nobody left memory behind.

Looked at afresh for each start, by the one thread that may ask the driver. What is found makes the
device suspect, as an XID would, so that the platform takes it away until a test no longer finds it.
Source of the numbers: NVML API reference, `nvmlMemory_v2_t` (`used` without `reserved`).
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from agent.device_watch import Desk, Unit, report_silence, say
from agent.devices import DeviceError, DeviceSource, Reading
from agent.health import LEFT_MEMORY, OCCUPIED, UNKNOWN_OCCUPANTS, Health
from agent.runtimes import Observed
from agent.spool import Spool

# What a driver keeps on a GPU that nobody uses is counted as reserved where it tells the two apart.
LEFT_BYTES: Final = 256 << 20
_OLD_SHARE: Final = 16
# A process that was killed a moment ago may still be listed.
PATIENCE_S: Final = 2.0
_AGAIN_S: Final = 0.2
_OVER: Final = ("stopped", "failed")


class Tenancy(Struct, frozen=True):
    """Who of ours is on a GPU: first processes of the runtimes that hold some of it."""

    pids: tuple[int, ...] = ()
    held: bool = False


async def examine(desk: Desk, spool: Spool, devices: Sequence[int], now_us: int) -> None:
    """What nobody may start on is suspect, durably, and said; a healthy device is left as it is.

    What we do there ourselves gives way.
    """
    units = [desk.units[index] for index in devices if 0 <= index < len(desk.units)]
    await desk.turns.give_way([unit.gpu for unit in units])
    until = time.monotonic() + PATIENCE_S
    try:
        while True:
            found, readings = await left_behind(desk, units)
            if not found or time.monotonic() > until:
                break
            await asyncio.sleep(_AGAIN_S)
    except DeviceError:
        report_silence(desk, spool, now_us)
        return
    with desk.store.transaction():
        for unit, cause in found:
            say(desk, spool, [unit], Health("suspect", cause), now_us, readings[unit.gpu])


async def left_behind(
    desk: Desk, units: Sequence[Unit]
) -> tuple[list[tuple[Unit, str]], dict[str, Reading]]:
    """The units with something foreign on them and its cause, and the readings that showed it.

    Raises: DeviceError nvml.* when the driver does not answer.
    """
    ours = {unit.gpu: tenancy(desk, unit.gpu) for unit in units}
    return await desk.ask(lambda: _look(desk.source, units, ours))


def tenancy(desk: Desk, gpu: str) -> Tenancy:
    """Whose processes may be on this GPU, slices of it included."""
    holding = [one for one in desk.holders() if one.state not in _OVER and _is_on(desk, one, gpu)]
    return Tenancy(tuple(one.pid for one in holding if one.pid), held=bool(holding))


def is_held(desk: Desk, unit: Unit) -> bool:
    """Whether a runtime of ours has some of this very unit."""
    return any(unit.index in one.devices for one in desk.holders() if one.state not in _OVER)


def is_inside(pid: int, first: Iterable[int]) -> bool:
    """True when the process runs in the pid namespace of one of these, or in one below it."""
    spaces = {_space(one) for one in first} - {""}
    while spaces and pid > 1:
        if _space(pid) in spaces:
            return True
        pid = _parent(pid)
    return False


def _look(
    source: DeviceSource, units: Sequence[Unit], ours: dict[str, Tenancy]
) -> tuple[list[tuple[Unit, str]], dict[str, Reading]]:
    readings = {gpu: source.read(gpu) for gpu in ours}
    causes = {gpu: _cause(source, readings[gpu], ours[gpu]) for gpu in ours}
    return [(unit, causes[unit.gpu]) for unit in units if causes[unit.gpu]], readings


def _cause(source: DeviceSource, reading: Reading, ours: Tenancy) -> str:
    if reading.fault:
        return ""  # it is ill in another way, which the probe says
    occupants = source.occupants(reading.uuid)
    if occupants is None:
        return UNKNOWN_OCCUPANTS
    if any(not is_inside(one.pid, ours.pids) for one in occupants):
        return OCCUPIED
    # Beside a runtime of ours nobody can tell whose memory it is.
    return "" if ours.held or not _has_left(reading) else LEFT_MEMORY


def _has_left(reading: Reading) -> bool:
    used, total = reading.memory_used_bytes or 0, reading.memory_total_bytes or 0
    if reading.memory_reserved_bytes is None:
        return used > total // _OLD_SHARE
    return used > LEFT_BYTES


def _is_on(desk: Desk, one: Observed, gpu: str) -> bool:
    return any(desk.units[at].gpu == gpu for at in one.devices if at < len(desk.units))


def _space(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
