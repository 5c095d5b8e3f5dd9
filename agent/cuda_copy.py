"""`python -m agent.cuda_copy LIBRARY`: how fast a GPU copies within its own memory.

Prints `Copied` as `agent.cuda.answer` does. Timed by the GPU's own clock (events), so that a busy
machine makes no GPU slow. The buffers are larger than any GPU's cache, so what is measured is the
memory; a copy reads and writes it.
"""

import ctypes
import sys
from pathlib import Path
from typing import Final

from msgspec import Struct

from agent.cuda import Cuda, CudaError, answer

_BUFFER: Final = 256 << 20
_SMALLEST: Final = 1 << 20
_AT_ONCE: Final = 8
_LONG_ENOUGH_US: Final = 100_000
_MOST_TURNS: Final = 2_000


class Copied(Struct, frozen=True):
    """`moved_bytes` were read and written in `duration_us`."""

    moved_bytes: int
    duration_us: int


def copy(library: Path) -> Copied:
    """Raises: CudaError, OSError when the library cannot be loaded."""
    cuda = Cuda(library)
    size, source, target = _buffers(cuda)
    began, ended = _event(cuda), _event(cuda)
    _turn(cuda, size, source, target, began, ended)  # the first one wakes clocks up
    moved = duration_us = turns = 0
    while duration_us < _LONG_ENOUGH_US and turns < _MOST_TURNS:
        duration_us += _turn(cuda, size, source, target, began, ended)
        moved += 2 * size * _AT_ONCE
        turns += 1
    return Copied(moved, duration_us)


def _buffers(cuda: Cuda) -> tuple[int, int, int]:
    """(bytes, address, address) of two buffers, as large as there is room for."""
    size = _BUFFER
    source = cuda.allocate(size)
    target = cuda.allocate(size)
    while source is None or target is None:
        for address in (source, target):
            if address is not None:
                cuda.call("cuMemFree_v2", ctypes.c_uint64(address))
        size //= 2
        if size < _SMALLEST:
            raise CudaError("cuMemAlloc_v2", "no room")
        source, target = cuda.allocate(size), cuda.allocate(size)
    return size, source, target


def _event(cuda: Cuda) -> ctypes.c_void_p:
    event = ctypes.c_void_p()
    cuda.call("cuEventCreate", ctypes.byref(event), ctypes.c_uint(0))
    return event


def _turn(
    cuda: Cuda, size: int, source: int, target: int, began: ctypes.c_void_p, ended: ctypes.c_void_p
) -> int:
    """Microseconds that _AT_ONCE copies took."""
    cuda.call("cuCtxSynchronize")
    cuda.call("cuEventRecord", began, None)
    for _ in range(_AT_ONCE):
        cuda.call(
            *("cuMemcpyDtoD_v2", ctypes.c_uint64(target), ctypes.c_uint64(source)),
            ctypes.c_size_t(size),
        )
    cuda.call("cuEventRecord", ended, None)
    cuda.call("cuEventSynchronize", ended)
    elapsed_ms = ctypes.c_float()
    cuda.call("cuEventElapsedTime", ctypes.byref(elapsed_ms), began, ended)
    return round(elapsed_ms.value * 1000)


if __name__ == "__main__":
    sys.exit(answer(lambda: copy(Path(sys.argv[1]))))
