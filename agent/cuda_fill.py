"""`python -m agent.cuda_fill LIBRARY`: overwrites a GPU's memory and reads all of it back.

Prints `Filled` as `agent.cuda.answer` does. All that the driver will give is allocated first and
filled then; what the driver and this context keep for themselves is not covered, so the receipt
says how many bytes were.
"""

import sys
from pathlib import Path
from typing import Final

from msgspec import Struct

from agent.cuda import Cuda, answer

# Small enough to be compared in a processor's cache.
_WINDOW: Final = 4 << 20
# Written and read back in this order; what stays is zeros.
PATTERNS: Final = (0xA5, 0x00)


class Filled(Struct, frozen=True):
    """`covered_bytes` were written and read back equal; `total_bytes` is all the device has."""

    covered_bytes: int
    total_bytes: int
    differing_bytes: int


def fill(library: Path) -> Filled:
    """What was covered. Raises: CudaError, OSError when the library cannot be loaded."""
    cuda = Cuda(library)
    pieces = cuda.allocate_all()
    window = cuda.window(_WINDOW)
    wrong = 0
    for byte in PATTERNS:
        # All is written before any is read: an address that answers for another would show.
        for address, size in pieces:
            cuda.fill(address, size, byte)
        wrong += sum(_differing(cuda, address, size, byte, window) for address, size in pieces)
    return Filled(sum(size for _, size in pieces), cuda.total(), wrong)


def _differing(cuda: Cuda, address: int, size: int, byte: int, window: bytearray) -> int:
    """How many bytes are not `byte`. Equal windows are compared, ten times faster than counted."""
    wrong = 0
    expected = bytes((byte,)) * len(window)
    for start in range(0, size, len(window)):
        part = min(len(window), size - start)
        cuda.read(address + start, part, window)
        if part < len(window) or window != expected:
            wrong += part - window.count(byte, 0, part)
    return wrong


if __name__ == "__main__":
    sys.exit(answer(lambda: fill(Path(sys.argv[1]))))
