"""The CUDA driver through ctypes, for the programs here that touch a GPU's memory.

Each is a child of its own, as a tenant's program would be, so that the agent never holds a context
on a GPU. The device is the one that CUDA_VISIBLE_DEVICES names; a child dies with its agent.
Source: CUDA Driver API (docs.nvidia.com/cuda/cuda-driver-api).
"""

import contextlib
import ctypes
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

_CHUNK: Final = 256 << 20
_SMALLEST: Final = 1 << 20
_OUT_OF_MEMORY: Final = 2
_PDEATHSIG: Final = 1  # linux/prctl.h


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

    def allocate(self, size: int) -> int | None:
        """The address of so many bytes; None when there is no room for them."""
        address = ctypes.c_uint64()
        try:
            self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        except CudaError as error:
            if error.args[1] != _OUT_OF_MEMORY:
                raise
            return None
        return address.value

    def allocate_all(self) -> list[tuple[int, int]]:
        """(address, bytes) of everything that can be had, largest pieces first."""
        pieces = []
        size = _CHUNK
        while size >= _SMALLEST:
            address = self.allocate(size)
            if address is None:
                size //= 2
            else:
                pieces.append((address, size))
        return pieces

    def fill(self, address: int, size: int, byte: int) -> None:
        self.call(
            "cuMemsetD8_v2", ctypes.c_uint64(address), ctypes.c_ubyte(byte), ctypes.c_size_t(size)
        )

    def write(self, address: int, content: bytes) -> None:
        self.call(
            "cuMemcpyHtoD_v2", ctypes.c_uint64(address), content, ctypes.c_size_t(len(content))
        )

    def window(self, size: int) -> bytearray:
        """Memory of this process to read into, for as long as it lives: locked where the driver can
        lock it, which makes reads several times faster.
        """
        window = bytearray(size)
        view = (ctypes.c_char * size).from_buffer(window)
        with contextlib.suppress(CudaError):
            self.call("cuMemHostRegister_v2", view, ctypes.c_size_t(size), ctypes.c_uint(0))
        return window

    def read(self, address: int, size: int, window: bytearray) -> None:
        """Into the beginning of `window`, which has room for it."""
        view = (ctypes.c_char * len(window)).from_buffer(window)
        self.call("cuMemcpyDtoH_v2", view, ctypes.c_uint64(address), ctypes.c_size_t(size))


def answer(work: Callable[[], Struct]) -> int:
    """0 with what `work` made as one line of JSON on stdout, 1 with `{"error": text}`."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    try:
        said, status = msgspec.json.encode(work()), 0
    except (CudaError, OSError, AttributeError) as error:
        said, status = msgspec.json.encode({"error": str(error)[:300]}), 1
    sys.stdout.buffer.write(said + b"\n")
    return status
