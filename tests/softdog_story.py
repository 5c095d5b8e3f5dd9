"""`python -m tests.softdog_story SCENARIO MODULE`, as the first program of a machine of its own.

That machine has the kernel's software watchdog (softdog) and /mnt, which outlives its reset. What
happens is told in lines that begin with STORY.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from agent.clock import boottime_us, machine_boot
from agent.engine import Order, Settings
from agent.keeper import Seen
from agent.node_watchdog import begin, cause_of_reset, read_word
from agent.watchdog_device import Watchdog
from contracts.signing import FleetError
from contracts.spec import Spec

S = 1_000_000
TIMEOUT_S = 3
_FINIT_MODULE = 313  # x86-64
_POWER_OFF = 0x4321FEDC
_MOUNT = Path("/mnt")


def say(*words: object) -> None:
    print("STORY", *words, flush=True)


def refused(state: Path, device: str) -> str:
    try:
        return begin(state, Watchdog(device=device))
    except FleetError as error:
        return error.code


def made(name: str) -> Path:
    (_MOUNT / name / "runtimes").mkdir(parents=True, exist_ok=True)
    return _MOUNT / name


def a_late_container(state: Path) -> None:
    """A first process of a pid namespace, and a keeper's folder that names it."""
    outer = subprocess.Popen(["unshare", "--pid", "--fork", "sleep", "1000"])
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    while not (found := children.read_text().split()):
        time.sleep(0.1)
    folder = state / "runtimes" / "allocation-late"
    folder.mkdir()
    spec = Spec("x:1", "sha256:" + "0" * 64, 500, 2**26, 64)
    order = Order(
        *("node-1", "b" * 32, folder.name, "runtime-1", 1, boottime_us(), (), (), str(folder)),
        *(spec, "", Settings(kind="bubblewrap")),
    )
    seen = Seen("usable", boottime_us(), pid=int(found[0]))
    (folder / "seen.json").write_bytes(msgspec.json.encode(seen))
    (folder / "deadline").write_text(str(boottime_us() + 2 * S))
    (folder / "order.json").write_bytes(msgspec.json.encode(order))


def device() -> str:
    found = sorted(str(one) for one in Path("/dev").glob("watchdog[0-9]*"))
    return found[-1] if found else "/dev/watchdog"


def happens(scenario: str, state: Path, pid: int) -> None:
    match scenario:
        case "closed":
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
        case "killed":
            os.kill(pid, signal.SIGKILL)
        case "stopped":
            os.kill(pid, signal.SIGSTOP)
        case "late":
            a_late_container(state)
        case _:
            raise AssertionError(scenario)


def main(scenario: str, module: str) -> None:
    libc = ctypes.CDLL(None)
    handle = os.open(module, os.O_RDONLY)
    assert libc.syscall(_FINIT_MODULE, handle, b"nowayout=0", 0) == 0
    state, boots = made("state"), _MOUNT / "boots"
    if boots.exists():
        say("reset", boots.read_text() != machine_boot(), repr(cause_of_reset(state)))
    else:
        boots.write_text(machine_boot())
        say("refused", refused(state, "/dev/null"), refused(state, "/dev/nothing"))
        wanted = Watchdog(device=device(), timeout_s=TIMEOUT_S, grace_us=2 * S)
        say("armed", begin(state, wanted))
        say("refused", refused(made("other"), wanted.device))
        time.sleep(3 * TIMEOUT_S)
        say("petted")
        word = read_word(state / "watchdog")
        assert word is not None
        happens(scenario, state, word.pid)
        time.sleep(2 * S / S + 2 + 3 * TIMEOUT_S)
        say("not reset")
    os.sync()
    libc.reboot(_POWER_OFF)


if __name__ == "__main__":
    main(*sys.argv[1:])
