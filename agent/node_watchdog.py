"""The node's last resort: a program that keeps the machine from being reset while all is in order.

    python -m agent.node_watchdog <state> <device> [--timeout-s N] [--grace-us N]

It holds a Linux watchdog device open and pets it while no container of this node is alive longer
past its deadline than the grace. Then it stops, for good: whatever could not be ended, by keeper,
agent, engine or kernel, ends with the machine. Killed, hung or not scheduled it pets nothing, too.

    <state>/watchdog/  lock  word.json (what it said last, fsynced)  end (asked for)  log

It outlives the agent, which adopts it; the lock makes two of one node impossible. Asked to end, by
the agent that stops or by SIGTERM, it closes the device so that nothing resets the machine, but
not before the last container is gone; one that cannot be disarmed it pets for good.
"""

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, NoReturn

import msgspec
from msgspec import Struct

from agent.clock import boottime_us, machine_boot
from agent.engine import detached, environment
from agent.files import replace_file
from agent.keeper import locked
from agent.lives import Lives
from agent.watchdog_device import Device, Watchdog, open_device
from contracts.signing import FleetError

_PETS: Final = 4  # in a timeout, at least
_MOST_S: Final = 2.0
_BEGIN_S: Final = 30.0
_TICK_S: Final = 0.05
_LOCK_TRIES: Final = 40


type State = Literal["armed", "refused", "expired", "closed"]


class Word(Struct, frozen=True):
    """What the program said last, in which boot of the machine (the kernel's id)."""

    state: State
    machine: str
    pid: int
    device: str
    why: str = ""
    code: str = ""


class NodeWatchdog:
    """One armed device and what it is petted for."""

    def __init__(self, place: Path, wanted: Watchdog, lives: Lives) -> None:
        self.place = place
        self.wanted = wanted
        self.lives = lives
        self.blind_s: float | None = None
        self.noted = ""
        self.unsaid: Word | None = None

    def run(self) -> int:
        """0 once it was closed as it was asked to, 1 when it was never armed."""
        self.place.joinpath("ending").unlink(missing_ok=True)
        try:
            # What cannot look must not arm: it would reset the machine for nothing.
            self.lives.look(boottime_us(), time.monotonic())
            device = open_device(self.wanted)
        except FleetError as error:
            self._say("refused", error.detail, error.code)
            return 1
        except OSError as error:
            self._say("refused", f"nobody can tell what runs: {error}", "watchdog.refused")
            return 1
        self._say("armed", f"{device.named}, {device.timeout_s} s")
        return self._watch(device)

    def _watch(self, device: Device) -> int:
        every_s = min(device.timeout_s / _PETS, _MOST_S)
        while True:
            began = time.monotonic()
            for_s, why = self._look(began)
            if for_s * 1e6 >= self.wanted.grace_us:
                self._let_go(why)
            if not device.for_good and self._asked_to_end():
                self._say("closed", "asked to end, and nothing runs")
                self._written(device.close)
                return 0
            self._written(device.pet)
            self._put()
            time.sleep(max(0.0, began + every_s - time.monotonic()))

    def _written(self, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as error:
            self._note(f"{self.wanted.device} cannot be written: {error.strerror}")

    def _look(self, at_s: float) -> tuple[float, str]:
        """As Lives.look; where nobody can tell, that is late as a container is."""
        try:
            found = self.lives.look(boottime_us(), at_s)
        except OSError as error:
            self.blind_s = at_s if self.blind_s is None else self.blind_s
            return at_s - self.blind_s, f"nobody can tell what runs: {error}"
        self.blind_s = None
        return found

    def _let_go(self, why: str) -> NoReturn:
        """Never petted again; what a crash here loses is the cause, not the reset."""
        self._say("expired", f"{why}: nothing ends it, the machine will be reset")
        while True:  # the device stays open, the lock held
            time.sleep(_MOST_S)
            self._put()

    def _asked_to_end(self) -> bool:
        if not self.lives.empty:
            return False
        if not self.place.exists():
            return True  # the node's state was removed: nobody can ask, or order anything
        # An agent that comes back takes `end` away: whoever of the two is first has it.
        try:
            (self.place / "end").rename(self.place / "ending")
        except OSError:
            return False
        return True

    def _say(self, state: State, why: str, code: str = "") -> None:
        self._note(f"{state}: {why}")
        self.unsaid = Word(state, machine_boot(), os.getpid(), self.wanted.device, why, code)
        self._put()

    def _put(self) -> None:
        """On disk, or tried again: a full one must not keep the device from its pets."""
        if self.unsaid is None:
            return
        try:
            replace_file(self.place / "word.json", msgspec.json.encode(self.unsaid))
            folder = os.open(self.place, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        except OSError as error:
            self._note(f"what it says is not on disk: {error}")
        else:
            self.unsaid = None

    def _note(self, line: str) -> None:
        # Once a change, and never the reason to stop: the disk may be full.
        if line != self.noted:
            self.noted = line
            with contextlib.suppress(OSError):
                sys.stderr.write(f"watchdog: {line}\n")
                sys.stderr.flush()


def begin(state: Path, wanted: Watchdog) -> str:
    """What is armed, once it is: begun now, or adopted as it was begun.

    Raises: FleetError watchdog.* of `open_device` | watchdog.expired | watchdog.elsewhere |
    watchdog.silent.
    """
    place = state.absolute() / "watchdog"
    place.mkdir(mode=0o700, exist_ok=True)
    until, child = time.monotonic() + _BEGIN_S, 0
    while time.monotonic() < until:
        word = read_word(place)
        if word is not None and word.machine == machine_boot():
            if word.state == "expired":
                raise FleetError("watchdog.expired", word.why)
            if word.state == "refused" and word.pid == child:
                raise FleetError(word.code, word.why)
            if word.state == "armed" and word.pid == child:
                return word.why
            if word.state == "armed" and not child and _adopted(place):
                if word.device != wanted.device:
                    raise FleetError("watchdog.elsewhere", f"this node's holds {word.device}")
                return word.why
        if not child or os.waitpid(child, os.WNOHANG)[0]:
            child = _begun(place, wanted)
        time.sleep(_TICK_S)
    raise FleetError("watchdog.silent", f"it does not begin: {place / 'log'}")


def _adopted(place: Path) -> bool:
    """Whether one is there and goes on: what asked it to end is taken back, if in time."""
    handle = locked(place)
    if handle >= 0:
        os.close(handle)
        return False
    (place / "end").unlink(missing_ok=True)
    return not (place / "ending").exists()


def _begun(place: Path, wanted: Watchdog) -> int:
    argv = [sys.executable, "-m", "agent.node_watchdog", str(place.parent), wanted.device]
    argv += ["--timeout-s", str(wanted.timeout_s), "--grace-us", str(wanted.grace_us)]
    argv += ["--stand-in"] if wanted.stand_in else []
    (place / "end").unlink(missing_ok=True)
    env = {**environment(), "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    return detached(argv, place / "log", env)


def ask_to_end(state: Path) -> None:
    """It closes its device once no container is left, unless an agent begins again before."""
    with contextlib.suppress(OSError):
        (state.absolute() / "watchdog" / "end").touch()


def cause_of_reset(state: Path) -> str:
    """Why the watchdog let the machine be reset before this boot; said once, else empty."""
    place = state.absolute() / "watchdog"
    word = read_word(place)
    if word is None or word.machine == machine_boot() or word.state != "expired":
        return ""
    (place / "word.json").rename(place / "last-reset.json")
    return word.why


def read_word(place: Path) -> Word | None:
    """None where it never said anything, or nobody can read it."""
    try:
        return msgspec.json.decode((place / "word.json").read_bytes(), type=Word)
    except (OSError, msgspec.DecodeError):
        return None


def main(arguments: list[str] | None = None) -> int:
    """0 when it was closed as asked, or another holds the lock; 1 when nothing is armed."""
    parser = argparse.ArgumentParser(prog="python -m agent.node_watchdog")
    parser.add_argument("state", type=Path)
    parser.add_argument("device")
    parser.add_argument("--timeout-s", type=int, default=Watchdog(device="").timeout_s)
    parser.add_argument("--grace-us", type=int, default=Watchdog(device="").grace_us)
    parser.add_argument("--stand-in", action="store_true", help="tests: no watchdog, SIMULATED")
    given = parser.parse_args(arguments)
    state = given.state.absolute()
    place = state / "watchdog"
    # Whoever looks whether we live holds the lock for a moment: that is no other of us.
    if locked(place, _LOCK_TRIES) < 0:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: ask_to_end(state))
    with contextlib.suppress(OSError):
        # Memory that tenants use up must not take the program that guards them.
        Path("/proc/self/oom_score_adj").write_text("-1000")
    os.chdir("/")
    wanted = Watchdog(
        device=given.device,
        timeout_s=given.timeout_s,
        grace_us=given.grace_us,
        stand_in=given.stand_in,
    )
    return NodeWatchdog(place, wanted, Lives(state / "runtimes")).run()


if __name__ == "__main__":
    sys.exit(main())
