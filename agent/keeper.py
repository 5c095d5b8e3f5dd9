"""A keeper: one program per runtime, outside the agent, that starts it, looks at it and ENDS it.

    python -m agent.keeper <folder>

It obeys files that the agent replaces atomically: `order.json` (never changes; gone = end it),
`deadline` (us of CLOCK_BOOTTIME), `stop`, `policy.json` (what it may reach, if not as ordered).
It says what it saw in `seen.json`. The agent may be alive, killed, hung or stopped: the runtime
ends at its deadline all the same. Of the keeper itself there are two processes: the outer one
begins the inner one again when that is killed.
A lock on the folder makes two keepers of one runtime impossible.
"""

import contextlib
import fcntl
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec import Struct

from agent import volume_mounts
from agent.clock import boottime_us
from agent.engine import (
    Container,
    Counted,
    Engine,
    EngineError,
    Order,
    State,
    read_order,
    run_watched,
)
from agent.engines import engine_of
from agent.files import replace_file
from agent.probing import banner, devices_visible
from agent.rule_watch import RuleWatch
from agent.walls import table_of

_TICK_S = 0.05
_LOCK_TRIES = 40
_RETRY_S = 0.5
_STARTING_S = 0.1
_DEGRADED_S = 5.0
_KILLED_S = 5.0
_TRIES = 3


class Seen(Struct, frozen=True):
    """What the keeper saw last; `started`: the container was begun at least once.

    `counted`: all that passed its wall; `meter`: what the wall's counter said then.
    """

    state: State
    since_us: int
    code: str = ""
    started: bool = False
    address: str = ""
    port: int = 0
    pid: int = 0
    restarts: int = 0
    counted: Counted = Counted()
    meter: Counted = Counted()


class Over(Exception):  # noqa: N818 - it is a state of the order, not a fault
    """The runtime must end now: `why` is deadline, stop or void."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Keeper:
    """Of one folder, whose lock is held. Its memory may be lost at any line: the folder decides."""

    def __init__(self, folder: Path, order: Order) -> None:
        self.folder = folder
        self.order = order
        self.engine: Engine = engine_of(order.settings, self._run)
        self.blunt: Engine = engine_of(order.settings)
        self.seen = read_seen(folder) or Seen("starting", order.started_us)
        self.pidfd = -1
        self.ended_us = 0
        self.unsaid = False
        self.noted = ""
        # Of the policy in force; 0: as ordered, -1: not known to this keeper.
        self.policy_ns = -1
        self.rules = RuleWatch(table_of(order.node))

    def keep(self) -> None:
        """Returns when the runtime is gone for good and `seen.json` says how."""
        if self.seen.state in ("stopped", "failed"):
            self._gone()
            return
        try:
            self._rest(0)
            self._begin()
            while True:
                self._look()
        except Over:
            self._end("stopped", "")

    def due(self) -> str:
        """Why the runtime must end now; empty while it may run."""
        if read_order(self.folder) != self.order:
            return "void"
        if (self.folder / "stop").exists():
            return "stop"
        return "" if may_run_us(self.folder, self.order) > 0 else "deadline"

    def _begin(self) -> None:
        """It runs, adopted or started. A crash anywhere here: the next keeper finds it by name."""
        for attempt in range(_TRIES):
            try:
                if not self.seen.started:
                    volume_mounts.mount(self.order, self._run)
                    self.engine.create(self.order)
                    self.engine.start(self.order)
                found = self.engine.adopt(self.order)
            except EngineError as error:
                self._note(error)
                if attempt + 1 == _TRIES or error.code.startswith("image."):
                    self._end("failed", error.code)
                self._clear_half_made()
                self._rest(_RETRY_S)
            else:
                self._hold(found)
                return

    def _clear_half_made(self) -> None:
        # A create that was cut short may have taken the name: the next one needs it.
        if not self.seen.started:
            with contextlib.suppress(EngineError):
                self.engine.stop(self.order)

    def _hold(self, found: Container | None) -> None:
        if found is None or not found.running:
            self._ended_itself(found)
            return
        self._release()
        try:
            self.pidfd = os.pidfd_open(found.pid)
        except ProcessLookupError:
            self._ended_itself(self.engine.adopt(self.order))
            return
        self._say(
            msgspec.structs.replace(
                self.seen, pid=found.pid, address=found.address, port=found.port, started=True
            )
        )

    def _look(self) -> None:
        """One probe and what follows from it, then rest until the next."""
        # A probe may not outlast the deadline: whatever is inside decides how long it takes.
        left_s = (read_deadline(self.folder) - boottime_us()) / 1e6
        ready = banner(self.seen.address, self.seen.port, left_s) and devices_visible(
            self.seen.pid, self.order.devices
        )
        now_us = boottime_us()
        self._guard()
        if self.unsaid:
            self._say(self.seen)
        settings, state = self.order.settings, self.seen.state
        if ready and state != "usable":
            self._say(msgspec.structs.replace(self.seen, state="usable", since_us=now_us))
        elif not ready and state == "usable" and not self._has_ended():
            self._say(msgspec.structs.replace(self.seen, state="degraded", since_us=now_us))
        elif state == "starting" and now_us - self.order.started_us > settings.ready_us:
            self._end("failed", "runtime.never_ready")
        probe_s = settings.probe_us / 1e6
        slow = {"usable": probe_s, "degraded": min(probe_s, _DEGRADED_S)}
        self._rest(slow.get(self.seen.state, _STARTING_S))
        if self._has_ended():
            self._ended_itself(self.engine.adopt(self.order))

    def _guard(self, *, fell: bool = False) -> None:
        """Its wall stands and is the newest; what was counted is in `seen`. `fell`: it does not.

        Where the rules cannot be set it is tried again in a moment: the old ones stand meanwhile.
        """
        changed_ns = _changed_ns(self.folder / "policy.json")
        try:
            counted = self.engine.guard(self.order, fresh=fell or changed_ns != self.policy_ns)
        except EngineError as error:
            self._note(error)
            self.policy_ns = -1
            return
        self.policy_ns = changed_ns
        if counted != self.seen.meter:
            self._say(self._metered(counted))

    def _stand(self) -> None:
        """What cannot wait for the next probe: another policy, and rules that somebody flushed."""
        fell = self.rules.fell()
        if fell:
            self._note(EngineError("network.flushed", "somebody deleted the rules: set again"))
        if fell or _changed_ns(self.folder / "policy.json") != self.policy_ns:
            self._guard(fell=fell)

    def _metered(self, meter: Counted) -> Seen:
        """What was seen, with what passed since the meter was read last."""
        counted, last = self.seen.counted, self.seen.meter
        if meter.sent_bytes < last.sent_bytes or meter.received_bytes < last.received_bytes:
            last = Counted()  # somebody flushed the rules: it counts from nothing again
        total = Counted(
            counted.sent_bytes + meter.sent_bytes - last.sent_bytes,
            counted.received_bytes + meter.received_bytes - last.received_bytes,
        )
        return msgspec.structs.replace(self.seen, counted=total, meter=meter)

    def _ended_itself(self, found: Container | None) -> None:
        """Again if its order allows, else its end. Raises: SystemExit when it is over."""
        if found is not None and found.exit_code == 0 and not found.running:
            self._end("stopped", "")
        elif self.seen.restarts < self.order.spec.restarts:
            state: State = "starting" if self.seen.state == "starting" else "degraded"
            self._say(
                msgspec.structs.replace(
                    self.seen, state=state, since_us=boottime_us(), restarts=self.seen.restarts + 1
                )
            )
            if found is None:
                self.engine.create(self.order)
            self.engine.start(self.order)
            self._hold(self.engine.adopt(self.order))
        elif found is None:
            self._end("failed", "runtime.vanished")
        else:
            code = "runtime.out_of_memory" if found.out_of_memory else "runtime.exited"
            self._end("failed", code)

    def _end(self, state: State, code: str) -> NoReturn:
        """Nothing of it is left, and said so. Raises: SystemExit."""
        self._gone()
        # What it took to clear up is no time that it ran.
        since_us = self.ended_us or boottime_us()
        if read_order(self.folder) == self.order:
            said, counted = self.seen.restarts, self.seen.counted
            self._say(Seen(state, since_us, code, started=True, restarts=said, counted=counted))
        raise SystemExit(0)

    def _gone(self) -> None:
        """Returns when it is gone, and its volumes are unmounted. First by the kernel, which no
        hanging engine can delay; who waits for a frozen volume could not be killed.
        """
        volume_mounts.wake(self.order)
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            if select.select([self.pidfd], [], [], _KILLED_S)[0]:
                self.ended_us = boottime_us()
        # The last count, before the counter goes with the rest; one that fails keeps nobody.
        with contextlib.suppress(EngineError):
            self.seen = self._metered(self.blunt.guard(self.order, fresh=False))
        while True:
            try:
                self.blunt.stop(self.order)
                if self.blunt.adopt(self.order) is None:
                    volume_mounts.unmount(self.order)
                    return
            except EngineError as error:
                self._note(error)
            time.sleep(_RETRY_S)

    def _has_ended(self) -> bool:
        return bool(select.select([self.pidfd], [], [], 0)[0]) if self.pidfd >= 0 else True

    def _release(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def _rest(self, seconds: float) -> None:
        """Waits, but no longer than until the runtime ends or must. Raises: Over."""
        until = time.monotonic() + seconds
        while True:
            why = self.due()
            if why:
                raise Over(why)
            left = until - time.monotonic()
            if self.pidfd >= 0:
                self._stand()
            if left <= 0 or (self.pidfd >= 0 and self._has_ended()):
                return
            time.sleep(min(left, _TICK_S))

    def _run(self, argv: Sequence[str], timeout_s: float) -> str:
        """As `engine.run_plain`, cut short when the runtime must end. Raises: Over, EngineError."""

        def watch() -> None:
            why = self.due()
            if why:
                raise Over(why)

        return run_watched(argv, timeout_s, watch)

    def _say(self, seen: Seen) -> None:
        """On disk, or said again at the next probe: a full disk must not keep it from its end."""
        self.seen = seen
        try:
            replace_file(self.folder / "seen.json", msgspec.json.encode(seen))
        except OSError as error:
            self.unsaid = True
            self._note(error)
        else:
            self.unsaid = False

    def _note(self, error: Exception) -> None:
        # Once a change: what fails twice a second for a day must not fill the disk.
        if str(error) != self.noted:
            self.noted = str(error)
            with contextlib.suppress(OSError):
                sys.stderr.write(f"{error}\n")
                sys.stderr.flush()


def may_run_us(folder: Path, order: Order) -> int:
    """How long it may still run, by its deadline; 0 or less when it must end, or was told to."""
    if (folder / "stop").exists():
        return 0
    return read_deadline(folder) - order.settings.end_ahead_us - boottime_us()


def read_seen(folder: Path) -> Seen | None:
    """What a keeper saw last; None before it saw anything."""
    try:
        return msgspec.json.decode((folder / "seen.json").read_bytes(), type=Seen)
    except (OSError, msgspec.DecodeError):
        return None


def read_deadline(folder: Path) -> int:
    """Boot time until when the runtime may run; 0, long past, when nobody can tell."""
    try:
        return int((folder / "deadline").read_bytes())
    except (OSError, ValueError):
        return 0


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def locked(folder: Path, tries: int = 1) -> int:
    """The folder's lock as a descriptor, -1 while another process has it or it is gone."""
    try:
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return -1
    for attempt in range(tries):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt + 1 < tries:
                time.sleep(_TICK_S)
        else:
            return handle
    os.close(handle)
    return -1


def main(folder: Path) -> int:
    """0 when the runtime is over or another keeper has it."""
    # Whoever looks whether we live holds the lock for a moment: that is no other keeper.
    if locked(folder, _LOCK_TRIES) < 0:
        return 0
    os.chdir("/")
    while True:
        child = os.fork()
        if child == 0:
            # The lock came along: it is held while either of the two lives.
            order = read_order(folder)
            if order is not None:
                Keeper(folder, order).keep()
            return 0
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
            return 0
        # Killed, or a fault of ours: the runtime may still be there and must not be left alone.
        time.sleep(_RETRY_S)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
