"""SIMULATED devices: deterministic from a seed, ill only on request, named SIMULATED throughout.

Like `simulated.py` the file plays the outside world: faults are put into it by whoever tests, and
the agent meets them as it would meet a GPU's.
"""

import sqlite3
from pathlib import Path
from typing import Final

from agent.devices import Device, Fault, Occupant, Origin, Reading, Recovery, XidEvent
from agent.simulated import inventory

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS fault (
  uuid TEXT PRIMARY KEY, fault TEXT NOT NULL, recovery TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS xid (
  id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL, xid INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS occupant (uuid TEXT NOT NULL, pid INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS shown (
  uuid TEXT NOT NULL, what TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (uuid, what)) STRICT;
CREATE TABLE IF NOT EXISTS memory (uuid TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
"""
_FAULT: Final = "SELECT fault, recovery FROM fault WHERE uuid = :uuid"
_SET_FAULT: Final = """
INSERT INTO fault (uuid, fault, recovery) VALUES (:uuid, :fault, :recovery)
ON CONFLICT (uuid) DO UPDATE SET fault = excluded.fault, recovery = excluded.recovery"""
_ADD_XID: Final = "INSERT INTO xid (uuid, xid) VALUES (:uuid, :xid)"
_TAKE_XIDS: Final = "DELETE FROM xid RETURNING id, uuid, xid"
_OCCUPY: Final = "INSERT INTO occupant (uuid, pid) VALUES (:uuid, :pid)"
_LEAVE: Final = "DELETE FROM occupant WHERE uuid = :uuid"
_OCCUPANTS: Final = "SELECT pid FROM occupant WHERE uuid = :uuid ORDER BY pid"

_SHOWN: Final = "SELECT value FROM shown WHERE uuid = :uuid AND what = :what"
_SHOW: Final = """
INSERT INTO shown (uuid, what, value) VALUES (:uuid, :what, :value)
ON CONFLICT (uuid, what) DO UPDATE SET value = excluded.value"""
_WRITE: Final = """
INSERT INTO memory (uuid, content) VALUES (:uuid, :content)
ON CONFLICT (uuid) DO UPDATE SET content = excluded.content"""
_WIPE: Final = "DELETE FROM memory WHERE uuid = :uuid"
_HOLDS: Final = "SELECT 1 FROM memory WHERE uuid = :uuid AND content = :content"

DRIVER: Final = "SIMULATED"
_GIB: Final = 1 << 30
_MEMORY_GIB: Final = {
    "T4": 16,
    "A100": 80,
    "H100": 80,
    "H200": 141,
    "L4": 24,
    "A10": 24,
    "V100": 32,
}


class SimulatedDevices:
    """A source of `count` devices of `model`. Safe to use from one thread at a time."""

    def __init__(self, path: Path, seed: str, count: int, model: str) -> None:
        self._conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._conn.execute("PRAGMA journal_mode=WAL")
        self._conn.executescript(_SCHEMA)
        memory = _MEMORY_GIB.get(model, 16) * _GIB
        self._devices = tuple(
            Device(gpu.index, gpu.uuid, f"SIMULATED {model}", memory, minor=-1)
            for gpu in inventory(seed, count)
        )

    @property
    def origin(self) -> Origin:
        return Origin(simulated=True, driver=DRIVER)

    def inventory(self) -> tuple[Device, ...]:
        """All but those that are lost, as NVML would have it."""
        return tuple(one for one in self._devices if self._fault(one.uuid)[0] != "lost")

    def read(self, gpu: str) -> Reading:
        fault, recovery = self._fault(gpu)
        device = next((one for one in self._devices if one.uuid == gpu), None)
        if device is None or fault == "lost":
            return Reading(uuid=gpu, fault="lost")
        return Reading(
            uuid=gpu,
            fault=fault,
            recovery=recovery,
            utilisation_percent=self.utilisation(gpu),
            memory_total_bytes=device.memory_bytes,
            memory_used_bytes=self._shown(gpu, "used"),
            memory_reserved_bytes=0,
            power_mw=25_000,
            temperature_c=30,
            ecc_corrected=0,
            ecc_uncorrected=0,
            rows_corrected=0,
            rows_uncorrected=0,
            row_pending=False,
            row_failure=False,
        )

    def occupants(self, gpu: str) -> tuple[Occupant, ...] | None:
        rows = self._conn.execute(_OCCUPANTS, {"uuid": gpu}).fetchall()
        return tuple(Occupant(row[0], None) for row in rows)

    def utilisation(self, uuid: str) -> int | None:
        return self._shown(uuid, "utilisation")

    def events(self) -> tuple[XidEvent, ...]:
        rows = sorted(self._conn.execute(_TAKE_XIDS).fetchall())
        return tuple(XidEvent(row[1], row[2]) for row in rows)

    def write(self, gpu: str, content: bytes) -> None:
        """All that is in the device's memory."""
        self._conn.execute(_WRITE, {"uuid": gpu, "content": content})

    def wipe(self, gpu: str) -> None:
        """Its memory holds nothing, unless it `keeps`."""
        if not self._shown(gpu, "keeps"):
            self._conn.execute(_WIPE, {"uuid": gpu})

    def holds(self, gpu: str, content: bytes) -> bool:
        """Whether this is in its memory."""
        asked = {"uuid": gpu, "content": content}
        return self._conn.execute(_HOLDS, asked).fetchone() is not None

    def close(self) -> None:
        """Faults stay in the file."""
        self._conn.close()

    def raise_xid(self, gpu: str, xid: int) -> None:
        """A fault to inject: the next `events` has it."""
        self._conn.execute(_ADD_XID, {"uuid": gpu, "xid": xid})

    def break_down(self, gpu: str, fault: Fault = "", recovery: Recovery = "none") -> None:
        """A fault to inject, or with neither the end of one."""
        self._conn.execute(_SET_FAULT, {"uuid": gpu, "fault": fault, "recovery": recovery})

    def occupy(self, gpu: str, pid: int) -> None:
        """A process that is left on the device."""
        self._conn.execute(_OCCUPY, {"uuid": gpu, "pid": pid})

    def leave(self, gpu: str) -> None:
        """Undoes `occupy`."""
        self._conn.execute(_LEAVE, {"uuid": gpu})

    def fill(self, gpu: str, used_bytes: int) -> None:
        """Memory that is in use, by whomever; 0 undoes it."""
        self._conn.execute(_SHOW, {"uuid": gpu, "what": "used", "value": used_bytes})

    def keep(self, gpu: str, *, keeps: bool) -> None:
        """A fault to inject: its memory outlives what wipes it."""
        self._conn.execute(_SHOW, {"uuid": gpu, "what": "keeps", "value": int(keeps)})

    def load(self, gpu: str, percent: int) -> None:
        """Something runs on it; 0 undoes it."""
        self._conn.execute(_SHOW, {"uuid": gpu, "what": "utilisation", "value": percent})

    def _shown(self, gpu: str, what: str) -> int:
        row = self._conn.execute(_SHOWN, {"uuid": gpu, "what": what}).fetchone()
        return 0 if row is None else int(row[0])

    def _fault(self, gpu: str) -> tuple[Fault, Recovery]:
        row = self._conn.execute(_FAULT, {"uuid": gpu}).fetchone()
        return ("", "none") if row is None else (row[0], row[1])
