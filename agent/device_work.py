"""Orders that take a while: a device is tested, or its memory is overwritten and read back.

The order is done when it is in the table here, in the agent's database; its result is a word of
the node later. A crash or reboot in between does the work again: both kinds may be repeated.
"""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from agent.cuda_fill import Filled
from agent.device_watch import Desk, Unit, heal, look, say
from agent.health import LEFT_BEHIND, Health, obstacle
from agent.preflight import left_behind
from agent.spool import Spool
from agent.store import Store
from contracts.devices import DEVICE_TESTED, SANITIZED, CheckDevices, SanitizeDevices
from contracts.fleet import Said

type Kind = Literal["test", "sanitize"]

_ADD: Final = """
INSERT INTO device_work (number, kind, devices) VALUES (:number, :kind, :devices)
ON CONFLICT (number) DO NOTHING"""
_NEXT: Final = "SELECT number, kind, devices FROM device_work ORDER BY number LIMIT 1"
_DONE: Final = "DELETE FROM device_work WHERE number = :number"

_FILL_S: Final = 600
_SETTLE_S: Final = 0.2
SIMULATED: Final = "SIMULATED"
FILL: Final = "cuda_fill_verify"
READ: Final = "nvml_read"


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


class Covered(Struct, frozen=True):
    """`method` says how, or `refused:<why>` with nothing covered."""

    method: str
    covered_bytes: int = 0
    residual: int = 0


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


async def carry_out(desk: Desk, spool: Spool, means: Means, job: Job, now_us: int) -> None:
    """The result is in the spool and the order is out of the table, in one transaction.

    Raises: DeviceError nvml.* when the driver does not answer: the order stays, for the next try.
    """
    began = time.monotonic_ns()
    units = [desk.unit(index) for index in job.devices]
    covered = await _clean(desk, means, units) if job.kind == "sanitize" else None
    seen = await desk.ask(lambda: look(desk.source, tuple(units)))
    desk.ledger.count(seen.events)
    passed, method, cause = await _verdict(desk, means, units, spool.boot, covered)
    duration_us = (time.monotonic_ns() - began) // 1000
    said: Said
    if covered is not None:
        ecc = [reading.ecc_uncorrected for reading in seen.readings.values()]
        said = {
            "devices": list(job.devices),
            "method": covered.method,
            "bytes_covered": covered.covered_bytes,
            "duration_us": duration_us,
            "driver": desk.source.origin.driver,
            "ecc_uncorrected": None if None in ecc else sum(n for n in ecc if n is not None),
            "residual_processes": covered.residual,
        }
    else:
        said = {
            "devices": list(job.devices),
            "command": job.number,
            "passed": passed,
            "method": method,
            "cause": cause,
            "duration_us": duration_us,
        }
    with desk.store.transaction() as conn:
        if cause == "memory.differs":
            broken = Health("failed", cause)
            say(desk, spool, units, broken, now_us, seen.readings[units[0].gpu])
        elif covered is None and passed:
            heal(desk, units)
        tag = DEVICE_TESTED if covered is None else SANITIZED
        spool.add(tag, spool.node, now_us, said)
        conn.execute(_DONE, {"number": job.number})


async def _verdict(
    desk: Desk, means: Means, units: list[Unit], boot: str, covered: Covered | None
) -> tuple[bool, str, str]:
    """(passed, method, cause of not): a fresh reading, and memory where nobody uses the device."""
    if covered is not None:
        return False, "", covered.method.removeprefix("refused:")
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
    if desk.source.origin.simulated or means.cuda is None:
        return True, _reading_method(desk), ""
    if any([await _occupants(desk, unit) != 0 for unit in units]):
        return True, READ, ""
    filled = await _fill(means.cuda, units)
    if filled.method != FILL:
        return False, FILL, filled.method.removeprefix("refused:")
    return True, FILL, ""


async def _clean(desk: Desk, means: Means, units: list[Unit]) -> Covered:
    """What was overwritten and read back, after everybody had left."""
    until = time.monotonic_ns() + means.patience_us * 1000
    while True:
        counts = [await _occupants(desk, unit) for unit in units]
        if None in counts:
            return Covered("refused:occupancy_unknown")
        residual = sum(count for count in counts if count)
        if not residual:
            break
        if time.monotonic_ns() >= until:
            return Covered("refused:occupied", 0, residual)
        await asyncio.sleep(_SETTLE_S)
    if desk.source.origin.simulated:
        there = await desk.ask(desk.source.inventory)
        wanted = {unit.uuid for unit in units}
        return Covered(SIMULATED, sum(one.memory_bytes for one in there if one.uuid in wanted))
    if means.cuda is None:
        # NVML has no call that resets a GPU or clears its memory (API reference, 2025).
        return Covered("refused:no_means")
    return await _fill(means.cuda, units)


async def _occupants(desk: Desk, unit: Unit) -> int | None:
    found = await desk.ask(lambda: desk.source.occupants(unit.gpu))
    return None if found is None else len(found)


async def _fill(cuda: Path, units: list[Unit]) -> Covered:
    """All of these devices, one after the other; the first that fails ends it."""
    total = 0
    for unit in units:
        answer = await asyncio.to_thread(_filled, cuda, unit.uuid)
        if isinstance(answer, str):
            return Covered(f"refused:{answer}")
        if answer.differing_bytes or answer.covered_bytes == 0:
            return Covered("refused:memory.differs" if answer.differing_bytes else "refused:none")
        total += answer.covered_bytes
    return Covered(FILL, total)


def _filled(cuda: Path, uuid: str) -> Filled | str:
    # A child: its context on the GPU ends with it, however it ends.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": uuid, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "agent.cuda_fill", str(cuda)],
            env=environment, capture_output=True, timeout=_FILL_S, check=False,
            cwd=Path(__file__).parent.parent,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "fill_timeout"
    if done.returncode != 0:
        return "fill_failed"
    try:
        return msgspec.json.decode(done.stdout, type=Filled)
    except msgspec.DecodeError:
        return "fill_failed"


def _was_left(desk: Desk, unit: Unit) -> bool:
    return desk.ledger.of(unit.uuid).cause in LEFT_BEHIND


def _reading_method(desk: Desk) -> str:
    return SIMULATED if desk.source.origin.simulated else READ
