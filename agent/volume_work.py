"""Orders about volumes: fenced by number, done one after the other, answered by a word each.

The order is done when it is in the table here, in the agent's database; its result is a word of
the node later, or a refusal that names the order's number. A crash in between does it again.
"""

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from agent.clock import boottime_us
from agent.engine import EngineError, environment
from agent.spool import Spool
from agent.store import Store
from agent.volume_images import Outcome, may_resize
from agent.volume_places import holder_of, place_of
from contracts import fleet, volumes
from contracts.signing import FleetError
from contracts.volumes import (
    MIB,
    CreateVolume,
    GrowVolume,
    RestoreVolume,
    SnapshotVolume,
    VolumeOrder,
    WipeStray,
    WipeVolume,
)

_FENCE: Final = "SELECT number FROM volume_fence WHERE volume = :volume"
_SET_FENCE: Final = """
INSERT INTO volume_fence (volume, number) VALUES (:volume, :number)
ON CONFLICT (volume) DO UPDATE SET number = excluded.number"""
_ADD: Final = """
INSERT INTO volume_work (number, work) VALUES (:number, :work) ON CONFLICT (number) DO NOTHING"""
_NEXT: Final = "SELECT number, work FROM volume_work ORDER BY number"
_DONE: Final = "DELETE FROM volume_work WHERE number = :number"

_ROOT: Final = str(Path(__file__).resolve().parents[1])
SIMULATED: Final = "SIMULATED"
_IDLE_S: Final = 0.2
_AGAIN_S: Final = 5.0
_MOST_S: Final = 3600.0
_TAGS: Final[dict[type, str]] = {
    CreateVolume: volumes.FORMATTED,
    GrowVolume: volumes.GROWN,
    SnapshotVolume: volumes.SNAPSHOTTED,
    RestoreVolume: volumes.RESTORED,
    WipeVolume: volumes.WIPED,
    WipeStray: volumes.STRAY_WIPED,
}


class Job(Struct, frozen=True):
    number: int
    order: VolumeOrder


def check(store: Store, number: int, order: VolumeOrder) -> None:
    """Raises: FleetError command.stale for an order behind the last one about its volume."""
    row = store.conn.execute(_FENCE, {"volume": order.volume}).fetchone()
    if row is not None and number < row[0]:
        raise FleetError("command.stale", f"behind command {row[0]} of {order.volume}")


def fence(store: Store, number: int, order: VolumeOrder) -> None:
    """From now on older orders about its volume are stale; durable with the transaction around."""
    with store.transaction() as conn:
        conn.execute(_SET_FENCE, {"volume": order.volume, "number": number})


def enqueue(store: Store, number: int, order: VolumeOrder) -> None:
    """Durable with the surrounding transaction; a repeat changes nothing."""
    with store.transaction() as conn:
        conn.execute(_ADD, {"number": number, "work": msgspec.json.encode(order)})


def waiting(store: Store, later: Callable[[VolumeOrder], bool] = lambda _: False) -> Job | None:
    """The oldest order that has no result yet, but those that can only be done `later`."""
    for number, work in store.conn.execute(_NEXT).fetchall():
        order: VolumeOrder = msgspec.json.decode(work, type=VolumeOrder.__value__)
        if not later(order):
            return Job(number, order)
    return None


def awaits_detachment(state: Path, order: VolumeOrder) -> bool:
    """A growth, where the kernel does not let us resize what a runtime has mounted."""
    if not isinstance(order, GrowVolume) or may_resize():
        return False
    try:
        return bool(holder_of(place_of(state, order.volume)).allocation)
    except EngineError:
        return False


def answer(store: Store, spool: Spool, job: Job, outcome: Outcome) -> None:
    """The result is in the spool and the order out of the table, in one transaction."""
    with store.transaction() as conn:
        if outcome.code:
            sha256 = hashlib.sha256(msgspec.json.encode(job)).hexdigest()
            said: fleet.Said = {"command": job.number, "code": outcome.code, "sha256": sha256}
            spool.add(fleet.COMMAND_REFUSED, spool.node, boottime_us(), said)
        else:
            said = {"command": job.number, **outcome.said}
            stream = job.order.volume
            if isinstance(job.order, WipeStray):  # the volume is over: its node says it of itself
                said, stream = {"volume": stream, **said}, spool.node
            spool.add(_TAGS[type(job.order)], stream, boottime_us(), said)
        conn.execute(_DONE, {"number": job.number})


def simulated(order: VolumeOrder) -> Outcome:
    """SIMULATED: nothing is stored anywhere, and it says so."""
    match order:
        case CreateVolume(_, size_mib):
            return Outcome({"method": SIMULATED, "bytes": size_mib * MIB})
        case GrowVolume(_, size_mib):
            return Outcome({"size_mib": size_mib})
        case SnapshotVolume(_, snapshot):
            return Outcome({"snapshot": snapshot, "bytes": 0, "frozen_us": 0})
        case RestoreVolume(_, snapshot):
            return Outcome({"snapshot": snapshot})
        case WipeVolume() | WipeStray():
            # It covers what was never written: as large as a volume can be.
            return Outcome({"method": SIMULATED, "bytes_covered": 1 << 44, "duration_us": 0})


async def carry_out(state: Path, order: VolumeOrder) -> Outcome | None:
    """What the program said; None when it did not get to say anything: it is asked again.

    A program of its own goes on while the agent is dead; the next one waits for it.
    """
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent.volume_images", str(state), msgspec.json.encode(order)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**environment(), "PYTHONPATH": _ROOT},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_MOST_S):
            said, _ = await child.communicate()
    except TimeoutError:
        return None
    try:
        return msgspec.json.decode(said, type=Outcome)
    except msgspec.DecodeError:
        return None


async def work(store: Store, spool: Spool, state: Path | None, wake: asyncio.Event) -> None:
    """Never returns: one order at a time, the oldest first. Without `state` it is SIMULATED."""

    def later(order: VolumeOrder) -> bool:
        return state is not None and awaits_detachment(state, order)

    while True:
        job = waiting(store, later)
        if job is None:
            await asyncio.sleep(_IDLE_S)
            continue
        found = simulated(job.order) if state is None else await carry_out(state, job.order)
        # Attached between our look and the work: it waits for its turn again.
        if found is None or (found.code == "volume.attached" and later(job.order)):
            await asyncio.sleep(_AGAIN_S)
            continue
        answer(store, spool, job, found)
        wake.set()
