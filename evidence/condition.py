"""What each part of the evidence last said of itself, for readiness: a small file, not durable.

`status/<part>` under the storage root. A reader judges age itself: a part that died says nothing
new.
"""

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from domain.errors import DomainError
from evidence.storage import Storage
from gpuaas_verify.errors import Invalid

PARTS: Final = ("integrator", "signer", "scrubber", "heartbeat")


class Fault(Struct, frozen=True):
    """The first thing found wrong; `position`, or `table` and `row`, where it has one."""

    code: str
    detail: str
    position: int | None
    since_us: int
    table: str | None = None
    row: int | None = None


class Condition(Struct, frozen=True):
    """`fault` None means that all was well at `at_us`.

    integrator: `done` entries are signed, `waiting` more were seen. scrubber: `done` is the next
    position of the pass, `passes` the complete ones, `passed_us` the end of the last clean one.
    signer: `done` entries are signed, `refused` trees were refused since its key was made.
    """

    at_us: int
    done: int = 0
    waiting: int = 0
    passes: int = 0
    passed_us: int | None = None
    fault: Fault | None = None
    refused: int = 0


def now_us() -> int:
    """The edge where a clock is read: microseconds since the epoch, UTC."""
    return time.time_ns() // 1000


def be_nice(niceness: int) -> None:
    """The calling thread, and it alone, yields to others by this much (Linux: per thread)."""
    thread = threading.get_native_id()
    if os.getpriority(os.PRIO_PROCESS, thread) < niceness:
        os.setpriority(os.PRIO_PROCESS, thread, niceness)


def fault_of(error: Exception) -> Fault:
    """The fault as readiness shows it: an Invalid with its place, a refusal, or the environment."""
    if isinstance(error, Invalid):
        place = (error.table, error.row)
        return Fault(error.code, str(error), error.position, now_us(), *place)
    if isinstance(error, DomainError):
        return Fault(error.code, error.detail, None, now_us())
    return Fault("environment", f"{type(error).__name__}: {error}".strip(), None, now_us())


def report(storage: Storage, part: str, condition: Condition) -> None:
    """Replaces what the part said before. A full disk is not the part's fault to die of.

    There the old file is written over in place, which needs no room; where even that fails the
    part falls silent, and readiness sees its age.
    """
    folder = storage.root / "status"
    fresh = folder / f"{part}~{os.getpid()}"
    said = msgspec.json.encode(condition)
    try:
        folder.mkdir(exist_ok=True)
        fresh.write_bytes(said)
        fresh.rename(folder / part)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
            _write_over(folder / part, said)


def _write_over(path: Path, data: bytes) -> None:
    """One write of the file's whole length at least, so that nobody reads two mixed."""
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(handle, data.ljust(os.fstat(handle).st_size), 0)
    finally:
        os.close(handle)


def read_condition(storage: Storage, part: str) -> Condition | None:
    """What the part last said, or None when it never did."""
    raw = storage.read(f"status/{part}")
    return None if raw is None else msgspec.json.decode(raw, type=Condition)
