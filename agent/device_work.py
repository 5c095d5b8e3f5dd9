"""Orders that take a while: a device is tested, or its memory is overwritten and read back.

The order is done when it is in the table here, in the agent's database; its result is a word of
the node later. A crash or reboot in between does the work again: both kinds may be repeated.
"""

import time
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from agent import bandwidth
from agent.bandwidth import Probe
from agent.canary import Canary, marker_of
from agent.device_memory import CudaMemory, memory_of
from agent.device_watch import Desk, Unit, heal, look, say
from agent.devices import Reading
from agent.health import LEFT_BEHIND, Health, obstacle
from agent.preflight import left_behind, tenancy
from agent.sanitizing import FILL, SIMULATED, occupants, overwrite, sanitize
from agent.spool import Spool
from agent.store import Store
from contracts.devices import (
    CANARY_LOOKED,
    DEVICE_TESTED,
    SANITIZED,
    CheckDevices,
    SanitizeDevices,
)
from contracts.fleet import Said

type Kind = Literal["test", "sanitize"]

_ADD: Final = """
INSERT INTO device_work (number, kind, devices) VALUES (:number, :kind, :devices)
ON CONFLICT (number) DO NOTHING"""
_NEXT: Final = "SELECT number, kind, devices FROM device_work ORDER BY number LIMIT 1"
_DONE: Final = "DELETE FROM device_work WHERE number = :number"

READ: Final = "nvml_read"
_DIFFERS: Final = "memory.differs"


class Job(Struct, frozen=True):
    number: int
    kind: Kind
    devices: tuple[int, ...]


class Means(Struct, frozen=True):
    """`cuda`: the library that fills memory, by absolute path; None where there is none.

    `patience_us`: how long processes that are on their way out are waited for.
    """

    cuda: Path | None = None
    patience_us: int = 10_000_000


class Result(Struct, frozen=True):
    """What an order came to: words, in the order in which they are said, and what is known since.

    `method`, `cause`: of the test or the receipt. `reading`: of the first device.
    """

    words: tuple[tuple[str, Said], ...]
    method: str
    cause: str
    reading: Reading
    passed: bool = False


def enqueue(store: Store, number: int, order: CheckDevices | SanitizeDevices) -> None:
    """Durable with the surrounding transaction; a repeat changes nothing."""
    kind: Kind = "sanitize" if isinstance(order, SanitizeDevices) else "test"
    with store.transaction() as conn:
        devices = msgspec.json.encode(order.devices)
        conn.execute(_ADD, {"number": number, "kind": kind, "devices": devices})


def waiting(store: Store) -> Job | None:
    """The oldest order that has no result yet."""
    row = store.conn.execute(_NEXT).fetchone()
    if row is None:
        return None
    return Job(row[0], row[1], msgspec.json.decode(row[2], type=tuple[int, ...]))


def gpus_of(desk: Desk, job: Job) -> tuple[str, ...]:
    """The GPUs that the order is about; of an index that is not here, none."""
    return tuple(unit.gpu for unit in desk.units if unit.index in job.devices)


async def carry_out(desk: Desk, spool: Spool, means: Means, job: Job, now_us: int) -> None:
    """The result is in the spool and the order is out of the table, in one transaction.

    Raises: DeviceError nvml.* when the driver does not answer: the order stays, for the next try.
    """
    units = [desk.unit(index) for index in job.devices]
    of = _sanitized if job.kind == "sanitize" else _tested
    result = await of(desk, spool, means, job, units)
    probes: list[Probe] = []
    memory = memory_of(desk, means.cuda)
    if result.method == FILL and isinstance(memory, CudaMemory):
        # Its memory was overwritten a moment ago: nobody is on it.
        probes = [await bandwidth.measure(memory, unit) for unit in units]
    with desk.store.transaction() as conn:
        if result.cause == _DIFFERS:
            say(desk, spool, units, Health("failed", _DIFFERS), now_us, result.reading)
        elif result.passed:
            heal(desk, units)
        bandwidth.say(desk, spool, probes, now_us)
        for tag, said in result.words:
            spool.add(tag, spool.node, now_us, said)
        conn.execute(_DONE, {"number": job.number})


async def _sanitized(desk: Desk, spool: Spool, means: Means, job: Job, units: list[Unit]) -> Result:
    """A receipt, and before it what became of the canary, where there are means for one."""
    began = time.monotonic_ns()
    memory = memory_of(desk, means.cuda)
    canary = None if memory is None else Canary(memory, marker_of(spool.node, job.number))
    covered = await sanitize(desk, memory, means.patience_us, units, canary)
    seen = await desk.ask(lambda: look(desk.source, tuple(units)))
    desk.ledger.count(seen.events)
    ecc = [reading.ecc_uncorrected for reading in seen.readings.values()]
    receipt: Said = {
        "devices": list(job.devices),
        "method": covered.method,
        "bytes_covered": covered.covered_bytes,
        "duration_us": (time.monotonic_ns() - began) // 1000,
        "driver": desk.source.origin.driver,
        "ecc_uncorrected": None if None in ecc else sum(n for n in ecc if n is not None),
        "residual_processes": covered.residual,
    }
    looked = None if canary is None else canary.said(job.devices, job.number)
    words = ((SANITIZED, receipt),)
    return Result(
        words if looked is None else ((CANARY_LOOKED, looked), *words),
        covered.method,
        covered.method.removeprefix("refused:"),
        seen.readings[units[0].gpu],
    )


async def _tested(desk: Desk, spool: Spool, means: Means, job: Job, units: list[Unit]) -> Result:
    began = time.monotonic_ns()
    seen = await desk.ask(lambda: look(desk.source, tuple(units)))
    desk.ledger.count(seen.events)
    passed, method, cause = await _verdict(desk, means, units, spool.boot)
    said: Said = {
        "devices": list(job.devices),
        "command": job.number,
        "passed": passed,
        "method": method,
        "cause": cause,
        "duration_us": (time.monotonic_ns() - began) // 1000,
    }
    reading = seen.readings[units[0].gpu]
    return Result(((DEVICE_TESTED, said),), method, cause, reading, passed)


async def _verdict(desk: Desk, means: Means, units: list[Unit], boot: str) -> tuple[bool, str, str]:
    """(passed, method, cause of not): a fresh reading, and memory where nobody uses the device."""
    seen = await desk.ask(lambda: look(desk.source, tuple(units)))
    for unit in units:
        if unit.uuid not in seen.there:
            return False, READ, "device.missing"
        cause = obstacle(desk.ledger.of(unit.uuid), seen.readings[unit.gpu], boot)
        if cause:
            return False, _reading_method(desk), cause
    still, _ = await left_behind(desk, [one for one in units if _was_left(desk, one)])
    if still:
        return False, _reading_method(desk), still[0][1]
    memory = memory_of(desk, means.cuda)
    if memory is None or memory.simulated:
        return True, _reading_method(desk), ""
    if any([await _in_use(desk, unit) for unit in units]):
        return True, READ, ""
    filled = await overwrite(memory, units)
    if filled.method != FILL:
        return False, FILL, filled.method.removeprefix("refused:")
    return True, FILL, ""


async def _in_use(desk: Desk, unit: Unit) -> bool:
    """Whether somebody may miss its memory: a runtime of ours that does nothing yet included."""
    return tenancy(desk, unit.gpu).held or await occupants(desk, unit) != 0


def _was_left(desk: Desk, unit: Unit) -> bool:
    return desk.ledger.of(unit.uuid).cause in LEFT_BEHIND


def _reading_method(desk: Desk) -> str:
    return SIMULATED if desk.source.origin.simulated else READ
