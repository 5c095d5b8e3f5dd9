"""How fast each device's memory is, said so that the platform can hold it to the expected model.

Measured while nobody can be given the device: after a test or sanitization that overwrote its
memory, and once a boot before the agent first hears any order. A start that came in between would
meet our own program on its device and be refused; before the link is up none can come.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from agent import device_watch
from agent.clock import boottime_us
from agent.device_memory import CudaMemory, memory_of
from agent.device_watch import Desk, Unit
from agent.devices import DeviceError
from agent.preflight import tenancy
from agent.spool import Spool
from contracts.devices import DEVICE_PROBED
from contracts.fleet import Said

_PROBED: Final = "SELECT 1 FROM probed WHERE idx = :idx AND boot = :boot"
_KEEP: Final = """
INSERT INTO probed (idx, boot) VALUES (:idx, :boot)
ON CONFLICT (idx) DO UPDATE SET boot = excluded.boot"""
METHOD: Final = "cuda_copy"


class Probe(Struct, frozen=True):
    """`moved_bytes` of the device's memory in `duration_us`; 0: `method` says why not."""

    unit: Unit
    method: str
    moved_bytes: int = 0
    duration_us: int = 0


async def measure(memory: CudaMemory, unit: Unit) -> Probe:
    """Nobody else is on the device, which the caller knows."""
    copied = await memory.copy(unit.uuid)
    if isinstance(copied, str):
        return Probe(unit, f"refused:{copied}")
    return Probe(unit, METHOD, copied.moved_bytes, copied.duration_us)


def say(desk: Desk, spool: Spool, probes: Sequence[Probe], now_us: int) -> None:
    """In the spool, with the boot in which each was measured; in the surrounding transaction."""
    with desk.store.transaction() as conn:
        for probe in probes:
            said: Said = {
                "devices": [probe.unit.index],
                "uuid": probe.unit.uuid,
                "method": probe.method,
                "bytes": probe.moved_bytes,
                "duration_us": probe.duration_us,
            }
            spool.add(DEVICE_PROBED, spool.node, now_us, said)
            conn.execute(_KEEP, {"idx": probe.unit.index, "boot": spool.boot})


async def measure_once_a_boot(desk: Desk, spool: Spool, cuda: Path | None) -> None:
    """Those that were not measured in this boot and that nothing is on, all at once; described
    before. The others wait for a test or a sanitization.

    A driver that does not answer, or that holds the programs, costs half a minute.
    """
    memory = memory_of(desk, cuda)
    if not isinstance(memory, CudaMemory):
        return  # no means, or SIMULATED memory, which has no speed
    try:
        seen = await desk.ask(lambda: device_watch.look(desk.source, desk.units))
        device_watch.report(desk, spool, seen, boottime_us())
        there = [unit for unit in desk.units if unit.uuid in seen.there]
        due = [unit for unit in there if await _is_due(desk, spool, unit)]
    except DeviceError:
        return  # which the probe of the driver says
    probes = await asyncio.gather(*(measure(memory, unit) for unit in due))
    say(desk, spool, probes, boottime_us())


async def _is_due(desk: Desk, spool: Spool, unit: Unit) -> bool:
    asked = {"idx": unit.index, "boot": spool.boot}
    if desk.store.conn.execute(_PROBED, asked).fetchone() is not None:
        return False
    if desk.ledger.of(unit.uuid).state != "healthy" or tenancy(desk, unit.gpu).held:
        return False
    return await desk.ask(lambda: desk.source.occupants(unit.gpu)) == ()
