"""`python -m agent.cuda_fill LIBRARY`: overwrites a GPU's memory and reads all of it back.

A process of its own, so that the agent never holds a context on a GPU; the device is the one that
CUDA_VISIBLE_DEVICES names. Prints one line of JSON: `Filled`, or `{"error": text}` with status 1.
Source: CUDA Driver API (docs.nvidia.com/cuda/cuda-driver-api). All that the driver will give is
allocated first and filled then; what the driver and this context keep for themselves is not
covered, so the receipt says how many bytes were.
"""

import ctypes
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

_CHUNK: Final = 256 << 20
_SMALLEST: Final = 1 << 20
_WINDOW: Final = 32 << 20
# Written and read back in this order; what stays is zeros.
PATTERNS: Final = (0xA5, 0x00)
_OUT_OF_MEMORY: Final = 2


class Filled(Struct, frozen=True):
    """`covered_bytes` were written and read back equal; `total_bytes` is all the device has."""

    covered_bytes: int
    total_bytes: int
    differing_bytes: int


class CudaError(Exception):
    """A call failed; its name and code."""


class Cuda:
    """One context on the one visible device."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuInit", ctypes.c_uint(0))
        self.call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
        self.call("cuCtxCreate_v2", ctypes.byref(context), ctypes.c_uint(0), device)

    def call(self, name: str, *given: Any) -> None:
        code = getattr(self._library, name)(*given)
        if code != 0:
            raise CudaError(name, code)

    def total(self) -> int:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return total.value

    def allocate_all(self) -> list[tuple[int, int]]:
        """(address, bytes) of everything that can be had, largest pieces first."""
        pieces = []
        size = _CHUNK
        while size >= _SMALLEST:
            address = ctypes.c_uint64()
            try:
                self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
            except CudaError as error:
                if error.args[1] != _OUT_OF_MEMORY:
                    raise
                size //= 2
            else:
                pieces.append((address.value, size))
        return pieces

    def fill(self, address: int, size: int, byte: int) -> None:
        self.call(
            "cuMemsetD8_v2", ctypes.c_uint64(address), ctypes.c_ubyte(byte), ctypes.c_size_t(size)
        )

    def differing(self, address: int, size: int, byte: int, window: bytearray) -> int:
        """How many bytes are not `byte`."""
        wrong = 0
        view = (ctypes.c_char * len(window)).from_buffer(window)
        for start in range(0, size, len(window)):
            part = min(len(window), size - start)
            self.call(
                "cuMemcpyDtoH_v2", view, ctypes.c_uint64(address + start), ctypes.c_size_t(part)
            )
            wrong += part - window.count(byte, 0, part)
        return wrong


def fill(library: Path) -> Filled:
    """What was covered. Raises: CudaError, OSError when the library cannot be loaded."""
    cuda = Cuda(library)
    pieces = cuda.allocate_all()
    window = bytearray(_WINDOW)
    wrong = 0
    for byte in PATTERNS:
        # All is written before any is read: an address that answers for another would show.
        for address, size in pieces:
            cuda.fill(address, size, byte)
        wrong += sum(cuda.differing(address, size, byte, window) for address, size in pieces)
    return Filled(sum(size for _, size in pieces), cuda.total(), wrong)


def main() -> int:
    """0 with `Filled` on stdout, 1 with the reason."""
    try:
        said = msgspec.json.encode(fill(Path(sys.argv[1])))
        status = 0
    except (CudaError, OSError, AttributeError) as error:
        said, status = msgspec.json.encode({"error": str(error)[:300]}), 1
    sys.stdout.buffer.write(said + b"\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
