"""`python -m agent.cuda_canary plant|look LIBRARY MARKER`: a marker (hex) all over a GPU's memory.

Prints `Planted` or `Looked` as `agent.cuda.answer` does. Sparse: one place in each PAGE of all that
the driver will give. A page that comes to another context lies there at another address, with the
marker at the same place within it.
"""

import sys
from pathlib import Path
from typing import Final

from msgspec import Struct

from agent.cuda import Cuda, answer

# What a GPU's memory is given out by. Source: CUDA Driver API, cuMemGetAllocationGranularity.
PAGE: Final = 2 << 20


class Planted(Struct, frozen=True):
    """In so many places the marker was read back after it had been written to all of them."""

    places: int


class Looked(Struct, frozen=True):
    """At so many places was looked, and in `found` of them the marker was."""

    places: int
    found: int


def plant(library: Path, marker: bytes) -> Planted:
    """Raises: CudaError, OSError when the library cannot be loaded."""
    cuda = Cuda(library)
    places = _places(cuda)
    for address in places:
        cuda.write(address, marker)
    return Planted(_count(cuda, places, marker))


def look(library: Path, marker: bytes) -> Looked:
    """Raises: CudaError, OSError when the library cannot be loaded."""
    cuda = Cuda(library)
    places = _places(cuda)
    return Looked(len(places), _count(cuda, places, marker))


def _places(cuda: Cuda) -> list[int]:
    pieces = cuda.allocate_all()
    return [at for address, size in pieces for at in range(address, address + size, PAGE)]


def _count(cuda: Cuda, places: list[int], marker: bytes) -> int:
    found = 0
    window = bytearray(len(marker))
    for address in places:
        cuda.read(address, len(marker), window)
        found += window == marker
    return found


if __name__ == "__main__":
    verb, path, text = sys.argv[1:]
    work = plant if verb == "plant" else look
    sys.exit(answer(lambda: work(Path(path), bytes.fromhex(text))))
