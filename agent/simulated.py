"""SIMULATED GPUs and runtimes: deterministic, durable, and gone wrong only on request.

The file plays the outside world: like a container it lives on while the agent is dead, and like
a systemd timer its deadline stops a runtime that no agent is there to stop.
"""

import hashlib
import sqlite3
from pathlib import Path

import msgspec

from agent.engine import State
from agent.runtimes import Observed
from contracts.enrolment import Gpu
from contracts.fleet import Share
from contracts.network import Policy
from contracts.signing import FleetError
from contracts.spec import Spec

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runtime (
  allocation TEXT PRIMARY KEY, boot TEXT NOT NULL, runtime TEXT NOT NULL, epoch INTEGER NOT NULL,
  devices BLOB NOT NULL, started_us INTEGER NOT NULL, deadline_us INTEGER NOT NULL,
  stopped_us INTEGER, degraded_us INTEGER, failed_us INTEGER, code TEXT) STRICT;
"""
_VOID = "DELETE FROM runtime WHERE boot <> :boot"
_LIVE = """
SELECT devices, runtime FROM runtime
WHERE stopped_us IS NULL AND failed_us IS NULL AND deadline_us > :now_us"""
_START = """
INSERT INTO runtime (allocation, boot, runtime, epoch, devices, started_us, deadline_us)
VALUES (:allocation, :boot, :runtime, :epoch, :devices, :now_us, :deadline_us)
ON CONFLICT (allocation) DO NOTHING"""
_KNOWN = "SELECT 1 FROM runtime WHERE allocation = :allocation"
_STOP = """
UPDATE runtime SET stopped_us = min(:now_us, deadline_us)
WHERE allocation = :allocation AND stopped_us IS NULL AND failed_us IS NULL"""
_ARM = """
UPDATE runtime SET deadline_us = max(deadline_us, :deadline_us)
WHERE stopped_us IS NULL AND failed_us IS NULL AND deadline_us > :now_us"""
_ALL = """
SELECT allocation, runtime, started_us, deadline_us, stopped_us, degraded_us, failed_us, code,
  devices
FROM runtime ORDER BY started_us, allocation"""
_DEGRADE = "UPDATE runtime SET degraded_us = :now_us WHERE runtime = :runtime"
_RECOVER = "UPDATE runtime SET degraded_us = NULL WHERE runtime = :runtime"
_FAIL = "UPDATE runtime SET failed_us = :now_us, code = :code WHERE runtime = :runtime"


def inventory(node_seed: str, count: int) -> tuple[Gpu, ...]:
    """`count` SIMULATED devices; the same seed names the same devices every time."""
    return tuple(
        Gpu(index, f"GPU-SIMULATED-{hashlib.sha256(f'{node_seed}/{index}'.encode()).hexdigest()}")
        for index in range(count)
    )


class SimulatedRuntimes:
    """Start -> usable after a fixed delay; stop -> stopped at once; deadline -> stopped by itself.

    Nothing here is bound to the agent's life. A new boot id empties it, as a reboot would.
    """

    def __init__(self, path: Path, boot: str, gpus: int, usable_after_us: int) -> None:
        self._conn = sqlite3.connect(path, isolation_level=None)
        self._conn.execute("PRAGMA journal_mode=WAL")
        self._conn.execute("PRAGMA synchronous=FULL")
        self._conn.executescript(_SCHEMA)
        self._conn.execute(_VOID, {"boot": boot})
        self._boot = boot
        self._gpus = gpus
        self._usable_after_us = usable_after_us

    def logs(self, allocation: str, most_bytes: int) -> bytes:
        """As Runtimes.logs: no program runs, so nothing is said."""
        return f"SIMULATED: nothing runs in {allocation}\n".encode()[-most_bytes:]

    def close(self) -> None:
        """Runtimes go on without us."""
        self._conn.close()

    def start(
        self,
        allocation: str,
        runtime: str,
        epoch: int,
        devices: tuple[Share, ...],
        now_us: int,
        deadline_us: int,
        spec: Spec | None = None,  # noqa: ARG002  the contract's
    ) -> None:
        """Runs at least until `deadline_us`; a repeat changes nothing. SIMULATED: no image runs.

        Raises: FleetError device.unknown | device.busy (pre-flight, nothing was started).
        """
        if self._conn.execute(_KNOWN, {"allocation": allocation}).fetchone() is not None:
            return
        self._preflight(devices, now_us)
        self._conn.execute(
            _START,
            {
                "allocation": allocation,
                "boot": self._boot,
                "runtime": runtime,
                "epoch": epoch,
                "devices": msgspec.json.encode(devices),
                "now_us": now_us,
                "deadline_us": deadline_us,
            },
        )

    def stop(self, allocation: str, now_us: int) -> bool:
        """False when no such runtime was ever started here; a repeat changes nothing."""
        if self._conn.execute(_KNOWN, {"allocation": allocation}).fetchone() is None:
            return False
        self._conn.execute(_STOP, {"allocation": allocation, "now_us": now_us})
        return True

    def arm(self, deadline_us: int, now_us: int) -> None:
        """All live runtimes may run until `deadline_us`; one already past its own stays stopped."""
        self._conn.execute(_ARM, {"deadline_us": deadline_us, "now_us": now_us})

    def obey(self, policy: Policy, now_us: int) -> None:
        """SIMULATED runtimes reach nothing."""

    def observe(self, now_us: int) -> list[Observed]:
        """Every runtime of this boot as it is at `now_us`, oldest first."""
        return [self._seen(row, now_us) for row in self._conn.execute(_ALL).fetchall()]

    def tend(self, now_us: int) -> None:
        """Nothing to tend: a row ends by itself."""

    def degrade(self, runtime: str, now_us: int) -> None:
        """The GPU vanishes inside: a fault to inject."""
        self._conn.execute(_DEGRADE, {"runtime": runtime, "now_us": now_us})

    def recover(self, runtime: str) -> None:
        """Undoes `degrade`."""
        self._conn.execute(_RECOVER, {"runtime": runtime})

    def fail(self, runtime: str, code: str, now_us: int) -> None:
        """The runtime dies by itself: a fault to inject."""
        self._conn.execute(_FAIL, {"runtime": runtime, "code": code, "now_us": now_us})

    def _preflight(self, devices: tuple[Share, ...], now_us: int) -> None:
        used: dict[int, int] = {}
        for raw, _runtime in self._conn.execute(_LIVE, {"now_us": now_us}).fetchall():
            for share in msgspec.json.decode(raw, type=tuple[Share, ...]):
                used[share.index] = used.get(share.index, 0) + share.milli
        for share in devices:
            if not 0 <= share.index < self._gpus:
                raise FleetError("device.unknown", f"no device {share.index} here")
            if used.get(share.index, 0) + share.milli > 1000:
                raise FleetError("device.busy", f"device {share.index} is taken")

    def _seen(
        self,
        row: tuple[str, str, int, int, int | None, int | None, int | None, str | None, bytes],
        now_us: int,
    ) -> Observed:
        allocation, runtime, started, deadline, stopped, degraded, failed, code, raw = row
        devices = tuple(one.index for one in msgspec.json.decode(raw, type=tuple[Share, ...]))
        if failed is not None:
            return Observed(allocation, runtime, "failed", failed, code or "runtime.failed")
        if stopped is None and now_us >= deadline:
            stopped = deadline
        if stopped is not None:
            return Observed(allocation, runtime, "stopped", stopped)
        if degraded is not None:
            return Observed(allocation, runtime, "degraded", degraded, devices=devices)
        ready = started + self._usable_after_us
        state: State = "usable" if now_us >= ready else "starting"
        return Observed(allocation, runtime, state, max(ready, started), devices=devices)
