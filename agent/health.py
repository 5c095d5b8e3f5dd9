"""From what a device shows to what the agent says of it: each change once, nothing forgotten.

NVML's recovery action first, then the XID catalogue. A state only gets worse here: what looked ill
is healthy again when a test passed, never because nobody looked.
"""

from typing import Final, Literal

from msgspec import Struct

from agent.devices import Device, Reading, XidEvent
from agent.store import Store
from agent.xid import remedy

type State = Literal["healthy", "suspect", "failed"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS device (
  uuid TEXT PRIMARY KEY, state TEXT NOT NULL, cause TEXT NOT NULL, xid INTEGER NOT NULL,
  boot TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS xid_count (
  uuid TEXT NOT NULL, xid INTEGER NOT NULL, count INTEGER NOT NULL, told INTEGER NOT NULL,
  told_us INTEGER NOT NULL, PRIMARY KEY (uuid, xid)) STRICT;
"""
_KNOWN: Final = "SELECT state, cause, xid, boot FROM device WHERE uuid = :uuid"
_KEEP: Final = """
INSERT INTO device (uuid, state, cause, xid, boot) VALUES (:uuid, :state, :cause, :xid, :boot)
ON CONFLICT (uuid) DO UPDATE SET state = excluded.state, cause = excluded.cause,
  xid = excluded.xid, boot = excluded.boot"""
_COUNT: Final = """
INSERT INTO xid_count (uuid, xid, count, told, told_us) VALUES (:uuid, :xid, 1, 0, 0)
ON CONFLICT (uuid, xid) DO UPDATE SET count = count + 1"""
_UNTOLD: Final = """
SELECT xid, count FROM xid_count
WHERE uuid = :uuid AND count > told AND (told = 0 OR :now_us - told_us >= :pause_us OR
  :now_us < told_us) ORDER BY xid"""
_TOLD: Final = """
UPDATE xid_count SET told = :count, told_us = :now_us WHERE uuid = :uuid AND xid = :xid"""

# One XID again and again fills no log: the count says how often, at most once in this time.
XID_PAUSE_US: Final = 60_000_000
_RANK: Final[tuple[State, ...]] = ("healthy", "suspect", "failed")


class Health(Struct, frozen=True):
    """`xid`: the one that made it so, 0 for none. `boot`: the boot in which it became so."""

    state: State
    cause: str
    xid: int = 0
    boot: str = ""

    def worse_than(self, other: "Health") -> bool:
        return _RANK.index(self.state) > _RANK.index(other.state)


HEALTHY: Final = Health("healthy", "")
# Of a pre-flight: what somebody else left on a device. It is well when a look finds it no more.
OCCUPIED: Final = "device.occupied"
LEFT_MEMORY: Final = "device.memory_left"
UNKNOWN_OCCUPANTS: Final = "device.occupants_unknown"
LEFT_BEHIND: Final = (OCCUPIED, LEFT_MEMORY, UNKNOWN_OCCUPANTS)


def assess(reading: Reading, xids: tuple[int, ...] = ()) -> Health:
    """The worst that the reading and the XIDs since the last one say; the reading first."""
    found = _of_reading(reading)
    for code in xids:
        told = _of_xid(code)
        if told.worse_than(found):
            found = told
    return found


def _of_reading(reading: Reading) -> Health:
    if reading.fault == "lost":
        return Health("failed", "gpu.lost")
    if reading.recovery not in {None, "none"}:
        return Health("suspect", f"recovery.{reading.recovery}")
    # A pending row is no illness: NVIDIA lets new work start, the remap comes with the next reset.
    if reading.row_failure:
        return Health("failed", "rows.failed")
    if reading.fault:
        return Health("suspect", f"gpu.{reading.fault}")
    return HEALTHY


def _of_xid(code: int) -> Health:
    match remedy(code):
        case "reset" | "reboot":
            return Health("suspect", "xid", code)
        case "hands":
            return Health("failed", "xid", code)
        case _:
            return HEALTHY


def obstacle(health: Health, reading: Reading, boot: str) -> str:
    """Why a device with this history may not be called healthy now; "" when it may.

    What an XID or a recovery action asked for must have happened: a reset shows as a recovery
    action that is `none` again, a reboot as another boot. A person's work shows nowhere.
    """
    now = _of_reading(reading)
    if now.state != "healthy":
        return now.cause
    asked = remedy(health.xid) if health.xid else health.cause.removeprefix("recovery.")
    if asked == "hands" or health.cause == "rows.failed":
        return "needs.hands"
    if health.boot != boot:
        return ""
    if asked == "reboot" or health.cause == "gpu.lost":
        return "needs.reboot"
    if asked == "reset" and reading.recovery is None:
        return "needs.reset"
    return ""


class Ledger:
    """Health and XID counts of this machine's GPUs, in the agent's database."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.conn.executescript(_SCHEMA)

    def of(self, gpu: str) -> Health:
        """What was last said of the GPU; healthy when nothing was."""
        row = self._store.conn.execute(_KNOWN, {"uuid": gpu}).fetchone()
        return HEALTHY if row is None else Health(row[0], row[1], row[2], row[3])

    def keep(self, gpu: str, health: Health) -> None:
        """Durable with the surrounding transaction."""
        with self._store.transaction() as conn:
            conn.execute(
                _KEEP,
                {
                    "uuid": gpu, "state": health.state, "cause": health.cause,
                    "xid": health.xid, "boot": health.boot,
                },
            )  # fmt: skip

    def count(self, events: tuple[XidEvent, ...]) -> None:
        """Each event counts once, whatever it means."""
        with self._store.transaction() as conn:
            for event in events:
                conn.execute(_COUNT, {"uuid": event.uuid, "xid": event.xid})

    def untold(self, gpu: str, now_us: int) -> list[tuple[int, int]]:
        """(xid, how often since ever) that is to be said now: the first time at once."""
        asked = {"uuid": gpu, "now_us": now_us, "pause_us": XID_PAUSE_US}
        return [(row[0], row[1]) for row in self._store.conn.execute(_UNTOLD, asked).fetchall()]

    def told(self, gpu: str, xid: int, count: int, now_us: int) -> None:
        """Durable with the surrounding transaction."""
        with self._store.transaction() as conn:
            conn.execute(_TOLD, {"uuid": gpu, "xid": xid, "count": count, "now_us": now_us})


def units_of(devices: tuple[Device, ...], gpu: str) -> list[Device]:
    """The units that are this GPU or slices of it."""
    return [unit for unit in devices if unit.gpu == gpu]
