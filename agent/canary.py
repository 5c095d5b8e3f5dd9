"""A canary on devices that are about to be sanitized: a marker that must be gone afterwards.

One program plants it, as a tenant leaves something behind; the sanitization, which knows nothing of
it, comes next; another program looks for it, as the next tenant would. So it shows what reading
back cannot: memory that is wiped for whoever wipes it and for nobody else.
"""

import hashlib
import time
from collections.abc import Sequence
from typing import Final

from agent.device_memory import Memory
from agent.device_watch import Unit
from contracts.fleet import Said

METHOD: Final = "cuda_marker"
SIMULATED: Final = "SIMULATED"


def marker_of(node: str, number: int) -> bytes:
    """32 bytes that are on a device only if this order put them there; the same each time."""
    return hashlib.sha256(f"gpuaas-canary/1\n{node}\n{number}".encode()).digest()


class Canary:
    """One order's, on all its devices together: what cannot be done on one is not done."""

    def __init__(self, memory: Memory, marker: bytes) -> None:
        self._memory = memory
        self._marker = marker
        self._method = SIMULATED if memory.simulated else METHOD
        self._planted = self._looked = self._found = self._duration_us = 0
        self._over = False

    async def plant(self, units: Sequence[Unit]) -> None:
        """In what is said, 0 places where it failed on any of them."""
        began = time.monotonic_ns()
        for unit in units:
            done = await self._memory.plant(unit.uuid, self._marker)
            if isinstance(done, str):
                self._method, self._planted = f"refused:{done}", 0
                break
            self._planted += done.places
        self._duration_us += (time.monotonic_ns() - began) // 1000

    async def look(self, units: Sequence[Unit]) -> None:
        """After a sanitization that ran to its end, whatever its receipt says."""
        began = time.monotonic_ns()
        for unit in units if self._planted else ():
            done = await self._memory.look(unit.uuid, self._marker)
            if isinstance(done, str):
                self._method, self._looked = f"refused:{done}", 0
                break
            self._looked += done.places
            self._found += done.found
        self._duration_us += (time.monotonic_ns() - began) // 1000
        self._over = True

    def said(self, devices: Sequence[int], number: int) -> Said | None:
        """The word; None when no sanitization followed: what nobody wiped is there, of course."""
        if not self._over:
            return None
        return {
            "devices": list(devices),
            "command": number,
            "method": self._method,
            "planted": self._planted,
            "looked": self._looked,
            "found": self._found,
            "duration_us": self._duration_us,
        }
