"""What may be done to the memory of a device that nobody uses: through CUDA, or SIMULATED.

Each call through CUDA is a program of its own with a context of its own (`agent/cuda.py`), gone
when it returns; the device is looked at before by whoever asks. What cannot be done is a word, as
receipts carry it, never an exception.
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from agent.cuda_canary import Looked, Planted
from agent.cuda_copy import Copied
from agent.cuda_fill import Filled
from agent.device_watch import Desk
from agent.simulated_devices import SimulatedDevices

_FILL_S: Final = 600.0
_CANARY_S: Final = 120.0
_COPY_S: Final = 30.0
_DIES_S: Final = 5.0


class Memory(Protocol):
    """The memory of this machine's devices, by uuid. One call at a time on one device.

    Durable when a call returns, whatever becomes of the agent then; a call that is cancelled has
    done some of it, and nothing of it goes on. Nobody retries.
    """

    @property
    def simulated(self) -> bool:
        """Whether all this is SIMULATED; what is said of it then says so."""
        ...

    async def fill(self, uuid: str) -> Filled | str:
        """All of it overwritten and read back."""
        ...

    async def plant(self, uuid: str, marker: bytes) -> Planted | str:
        """The marker in many places."""
        ...

    async def look(self, uuid: str, marker: bytes) -> Looked | str:
        """In how many of those it is; a process that planted nothing looks."""
        ...


class CudaMemory:
    """Through the driver's library at this absolute path."""

    def __init__(self, library: Path) -> None:
        self._library = str(library)

    @property
    def simulated(self) -> bool:
        return False

    async def fill(self, uuid: str) -> Filled | str:
        return await _child(uuid, "fill", Filled, _FILL_S, "agent.cuda_fill", self._library)

    async def plant(self, uuid: str, marker: bytes) -> Planted | str:
        argv = ("agent.cuda_canary", "plant", self._library, marker.hex())
        return await _child(uuid, "plant", Planted, _CANARY_S, *argv)

    async def look(self, uuid: str, marker: bytes) -> Looked | str:
        argv = ("agent.cuda_canary", "look", self._library, marker.hex())
        return await _child(uuid, "look", Looked, _CANARY_S, *argv)

    async def copy(self, uuid: str) -> Copied | str:
        """How fast it copies within itself."""
        return await _child(uuid, "copy", Copied, _COPY_S, "agent.cuda_copy", self._library)


class SimulatedMemory:
    """One place a device, in the file of the SIMULATED devices."""

    def __init__(self, desk: Desk, source: SimulatedDevices) -> None:
        self._desk = desk
        self._source = source

    @property
    def simulated(self) -> bool:
        return True

    async def fill(self, uuid: str) -> Filled | str:
        def wipe() -> int:
            self._source.wipe(uuid)
            return sum(one.memory_bytes for one in self._source.inventory() if one.uuid == uuid)

        size = await self._desk.ask(wipe)
        return Filled(size, size, 0)

    async def plant(self, uuid: str, marker: bytes) -> Planted | str:
        await self._desk.ask(lambda: self._source.write(uuid, marker))
        return Planted(1)

    async def look(self, uuid: str, marker: bytes) -> Looked | str:
        there = await self._desk.ask(lambda: self._source.holds(uuid, marker))
        return Looked(1, int(there))


def memory_of(desk: Desk, cuda: Path | None) -> CudaMemory | SimulatedMemory | None:
    """None where there are no means: NVML has no call that clears memory or resets a GPU."""
    if isinstance(desk.source, SimulatedDevices):
        return SimulatedMemory(desk, desk.source)
    return None if cuda is None else CudaMemory(cuda)


async def _child[T: Struct](
    uuid: str, what: str, kind: type[T], within_s: float, *argv: str
) -> T | str:
    """What the program printed; `<what>_failed` or `<what>_timeout` else."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": uuid, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *argv),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=Path(__file__).parent.parent,
    )
    try:
        async with asyncio.timeout(within_s):
            said, _ = await child.communicate()
    except TimeoutError:
        return f"{what}_timeout"
    finally:
        # Also when the session with the control plane ends: the order is begun anew then.
        await _gone(child)
    if child.returncode != 0:
        return f"{what}_failed"
    try:
        return msgspec.json.decode(said, type=kind)
    except msgspec.DecodeError:
        return f"{what}_failed"


async def _gone(child: asyncio.subprocess.Process) -> None:
    """Killed, and waited for; not for ever: what hangs in a driver ends when the driver lets it."""
    if child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DIES_S):
            await child.wait()
