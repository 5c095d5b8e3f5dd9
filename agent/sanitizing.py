"""Devices emptied and their memory overwritten: what a receipt may say of it, and its canary."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from agent.canary import Canary
from agent.device_memory import Memory
from agent.device_watch import Desk, Unit
from agent.preflight import is_held

_SETTLE_S: Final = 0.2
SIMULATED: Final = "SIMULATED"
FILL: Final = "cuda_fill_verify"


class Covered(Struct, frozen=True):
    """`method` says how, or `refused:<why>` with nothing covered.

    `ended`: every byte that could be had was written, whatever was read back.
    """

    method: str
    covered_bytes: int = 0
    residual: int = 0
    ended: bool = False


async def sanitize(
    desk: Desk,
    memory: Memory | None,
    patience_us: int,
    units: Sequence[Unit],
    canary: Canary | None,
) -> Covered:
    """What was overwritten and read back, after everybody had left; the canary around it.

    Raises: DeviceError nvml.*.
    """
    left = await _emptied(desk, patience_us, units)
    if left is not None:
        return left
    if memory is None or canary is None:
        # NVML has no call that resets a GPU or clears its memory (API reference, 2025).
        return Covered("refused:no_means")
    await canary.plant(units)
    covered = await overwrite(memory, units)
    if covered.ended:
        await canary.look(units)
    return covered


async def overwrite(memory: Memory, units: Sequence[Unit]) -> Covered:
    """All of these devices, one after the other; the first that cannot be written ends it."""
    total, why = 0, ""
    for unit in units:
        answer = await memory.fill(unit.uuid)
        if isinstance(answer, str):
            return Covered(f"refused:{answer}")
        if answer.differing_bytes or answer.covered_bytes == 0:
            why = why or ("memory.differs" if answer.differing_bytes else "none")
        total += answer.covered_bytes
    if why:
        return Covered(f"refused:{why}", ended=True)
    return Covered(SIMULATED if memory.simulated else FILL, total, ended=True)


async def occupants(desk: Desk, unit: Unit) -> int | None:
    """How many processes are on its GPU; None: not known. Raises: DeviceError nvml.*."""
    found = await desk.ask(lambda: desk.source.occupants(unit.gpu))
    return None if found is None else len(found)


async def _emptied(desk: Desk, patience_us: int, units: Sequence[Unit]) -> Covered | None:
    """None when nobody is on them any more; those on their way out are waited for.

    A runtime of ours that holds one counts, though it does nothing there yet.
    """
    until = time.monotonic_ns() + patience_us * 1000
    while True:
        counts = [await occupants(desk, unit) for unit in units]
        if None in counts:
            return Covered("refused:occupancy_unknown")
        residual = sum(count for count in counts if count)
        held = any(is_held(desk, unit) for unit in units)
        if not (residual or held):
            return None
        if time.monotonic_ns() >= until:
            return Covered("refused:occupied" if residual else "refused:held", 0, residual)
        await asyncio.sleep(_SETTLE_S)
