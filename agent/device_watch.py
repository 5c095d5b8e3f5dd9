"""Devices of this machine as the agent keeps them: looked at, compared, and each change said once.

A unit is what was enrolled under an index: a GPU or a MIG slice. NVML is asked on one thread of its
own, because a sick driver may answer late or never; the agent's own loop never waits for it.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from msgspec import Struct

from agent.devices import Device, DeviceError, DeviceSource, Reading, XidEvent
from agent.health import HEALTHY, LEFT_BEHIND, Health, Ledger, assess
from agent.runtimes import Observed
from agent.spool import Spool
from agent.store import Store
from agent.turns import Turns
from contracts.devices import DEVICE_DESCRIBED, DEVICE_REPORTED, DEVICE_XID
from contracts.fleet import Said

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS described (
  idx INTEGER PRIMARY KEY, words TEXT NOT NULL) STRICT;
"""
_DESCRIBED: Final = "SELECT words FROM described WHERE idx = :idx"
_DESCRIBE: Final = """
INSERT INTO described (idx, words) VALUES (:idx, :words)
ON CONFLICT (idx) DO UPDATE SET words = excluded.words"""
ANSWER_S: Final = 30.0
SILENT: Final = Health("suspect", "driver.silent")


class Unit(Struct, frozen=True):
    """A device as it was enrolled; `gpu` is the uuid of the whole GPU."""

    index: int
    uuid: str
    gpu: str


class Look(Struct, frozen=True):
    """What one look at all devices saw."""

    there: dict[str, Device]
    readings: dict[str, Reading]
    events: tuple[XidEvent, ...]


class Desk:
    """The source, what was said of its devices, and the one thread that may ask it.

    `holders`: the runtimes of this node as they are now; whoever opens these sets it.
    """

    def __init__(self, source: DeviceSource, store: Store, units: tuple[Unit, ...]) -> None:
        self.source = source
        self.store = store
        self.units = units
        self.ledger = Ledger(store)
        self.holders: Callable[[], list[Observed]] = list
        self.turns = Turns()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="devices")
        self._asking: asyncio.Future[object] | None = None
        self._silent = False
        self._turn = asyncio.Lock()
        store.conn.executescript(_SCHEMA)

    def close(self) -> None:
        """Waits for no answer: a driver that hangs would hold the agent up."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._asking is None or self._asking.done():
            self.source.close()

    async def ask[T](self, question: Callable[[], T]) -> T:
        """The answer of the source. Raises: DeviceError nvml.silent after ANSWER_S."""
        async with self._turn:
            if self._asking is not None and not self._asking.done():
                # Whoever asked may just have been given up, which makes no driver silent.
                if not self._silent:
                    await asyncio.wait([self._asking], timeout=ANSWER_S)
                self._silent = not self._asking.done()
                if self._silent:
                    raise DeviceError("nvml.silent", "an earlier question has no answer yet")
            asked = asyncio.get_running_loop().run_in_executor(self._thread, question)
            self._asking = asked  # type: ignore[assignment]
            done, _ = await asyncio.wait([asked], timeout=ANSWER_S)
            self._silent = not done
            if self._silent:
                raise DeviceError("nvml.silent", f"no answer in {ANSWER_S:.0f} s")
            return asked.result()

    def illness(self, devices: tuple[int, ...]) -> DeviceError | None:
        """Why one of these takes no new work, as last said of it; None when all are healthy."""
        for index in devices:
            known = self.ledger.of(self.units[index].uuid) if index < len(self.units) else HEALTHY
            if known.state != "healthy":
                code = known.cause if known.cause in LEFT_BEHIND else "device.unhealthy"
                return DeviceError(code, f"device {index} is {known.state}: {known.cause}")
        return None

    def unit(self, index: int) -> Unit:
        """Raises: DeviceError device.unknown."""
        if not 0 <= index < len(self.units):
            raise DeviceError("device.unknown", f"no device {index} here")
        return self.units[index]


def look(source: DeviceSource, units: tuple[Unit, ...]) -> Look:
    """Blocking; on the source's thread. Raises: DeviceError nvml.*."""
    there = {device.uuid: device for device in source.inventory()}
    readings = {gpu: source.read(gpu) for gpu in dict.fromkeys(unit.gpu for unit in units)}
    return Look(there, readings, source.events())


def report(desk: Desk, spool: Spool, seen: Look, now_us: int) -> int:
    """How many things were said: descriptions, XIDs, and states that are worse than before.

    All of one look is in the spool together or not at all; events were taken from the source, so
    a crash before that loses them, and the recovery action still tells.
    """
    said = 0
    with desk.store.transaction():
        desk.ledger.count(seen.events)
        for unit in desk.units:
            device = seen.there.get(unit.uuid)
            if device is not None:
                said += _describe(desk, spool, unit, device, now_us)
        for gpu, reading in seen.readings.items():
            said += _tell_xids(desk, spool, gpu, now_us)
            fresh = tuple(event.xid for event in seen.events if event.uuid == gpu)
            gone = [u for u in desk.units if u.gpu == gpu and u.uuid not in seen.there]
            found = assess(reading, fresh)
            if gone and found.state != "failed":
                missing = Health("failed", "device.missing")
                said += say(desk, spool, gone, missing, now_us, reading)
            said += say(desk, spool, _of(desk, gpu), found, now_us, reading)
    return said


def report_silence(desk: Desk, spool: Spool, now_us: int) -> int:
    """The driver does not answer: every device is suspect until it does and a test passed."""
    with desk.store.transaction():
        gpus = dict.fromkeys(unit.gpu for unit in desk.units)
        return sum(
            say(desk, spool, _of(desk, gpu), SILENT, now_us, Reading(uuid=gpu)) for gpu in gpus
        )


def say(
    desk: Desk, spool: Spool, units: list[Unit], found: Health, now_us: int, reading: Reading
) -> int:
    """1 when some of the units are worse than was last said of them, and it is in the spool."""
    worse = [unit for unit in units if found.worse_than(desk.ledger.of(unit.uuid))]
    if not worse:
        return 0
    for unit in worse:
        now = Health(found.state, found.cause, found.xid, spool.boot)
        desk.ledger.keep(unit.uuid, now)
    said: Said = {
        "devices": [unit.index for unit in worse],
        "uuid": worse[0].gpu,
        "state": found.state,
        "cause": found.cause,
        "xid": found.xid,
        "ecc_uncorrected": reading.ecc_uncorrected,
    }
    spool.add(DEVICE_REPORTED, spool.node, now_us, said)
    return 1


def heal(desk: Desk, units: list[Unit]) -> None:
    """A test passed. Durable with the surrounding transaction, which says so."""
    for unit in units:
        desk.ledger.keep(unit.uuid, HEALTHY)


def _describe(desk: Desk, spool: Spool, unit: Unit, device: Device, now_us: int) -> int:
    origin = desk.source.origin
    if origin.simulated:  # enrolment said so, and there is no hardware to describe
        return 0
    said: Said = {
        "devices": [unit.index],
        "uuid": unit.uuid,
        "product": device.product,
        "memory_bytes": device.memory_bytes,
        "serial": device.serial,
        "driver": origin.driver,
        "library": origin.library_sha256,
    }
    words = repr(said)
    row = desk.store.conn.execute(_DESCRIBED, {"idx": unit.index}).fetchone()
    if row is not None and row[0] == words:
        return 0
    desk.store.conn.execute(_DESCRIBE, {"idx": unit.index, "words": words})
    spool.add(DEVICE_DESCRIBED, spool.node, now_us, said)
    return 1


def _tell_xids(desk: Desk, spool: Spool, gpu: str, now_us: int) -> int:
    untold = desk.ledger.untold(gpu, now_us)
    for xid, count in untold:
        said: Said = {
            "devices": [unit.index for unit in _of(desk, gpu)],
            "uuid": gpu,
            "xid": xid,
            "count": count,
        }
        spool.add(DEVICE_XID, spool.node, now_us, said)
        desk.ledger.told(gpu, xid, count, now_us)
    return len(untold)


def _of(desk: Desk, gpu: str) -> list[Unit]:
    return [unit for unit in desk.units if unit.gpu == gpu]
