"""Real runtimes without an agent around them: one node's source, its keepers, its containers."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from agent.cdi import Device
from agent.clock import boottime_us
from agent.engines import engine_of
from agent.keeper import locked, read_seen
from agent.kept import KeptRuntimes, end_all
from agent.runtimes import Observed
from contracts.fleet import Share
from evidence.ids import new_id
from tests.containers import Image, devices, until

BOOT = "b" * 32
S = 1_000_000
WHOLE = (Share(0, 1000),)


class Stage:
    """One node's runtimes; `opened` is the agent starting anew on the same state."""

    def __init__(self, image: Image, state: Path) -> None:
        self.image = image
        self.state = state
        self.node = new_id("node")
        self.devices: tuple[Device, ...] = ()

    def opened(self, boot: str = BOOT) -> KeptRuntimes:
        return KeptRuntimes(self.state, self.node, boot, self.image.settings, self.devices)

    def start(self, source: KeptRuntimes, within_s: float = 300, **changes: object) -> str:
        name, at = new_id("allocation"), boottime_us()
        spec = self.image.spec(**changes)
        source.start(name, new_id("runtime"), 1, WHOLE, at, at + int(within_s * S), spec)
        return name

    def containers(self) -> list[str]:
        found = engine_of(self.image.settings).list_all(self.node)
        return [one.allocation for one in found]

    def pid(self, name: str) -> int:
        [one] = [
            one
            for one in engine_of(self.image.settings).list_all(self.node)
            if one.allocation == name
        ]
        return one.pid


@contextmanager
def staged(image: Image, state: Path) -> Iterator[Stage]:
    """A node of its own; at the end neither a container nor a keeper of it is left."""
    made = Stage(image, state)
    with devices(1) as made.devices:
        try:
            yield made
        finally:
            end_all(state, made.node, image.settings)
            for folder in (state / "runtimes").iterdir():
                until(partial(free, folder), "its keeper has left", 60)


def free(folder: Path) -> bool:
    handle = locked(folder)
    if handle >= 0:
        os.close(handle)
    return handle >= 0


def seen(source: KeptRuntimes, name: str) -> Observed:
    return next(one for one in source.observe(boottime_us()) if one.allocation == name)


def is_in(source: KeptRuntimes, name: str, state: str, within_s: float = 60) -> Observed:
    until(lambda: seen(source, name).state == state, f"{name} is {state}", within_s)
    return seen(source, name)


def keepers(folder: Path) -> list[int]:
    """Pids of the folder's keeper, outer and inner, whoever their parents are now."""
    return running("agent.keeper", folder)


def kill_keepers(folder: Path) -> None:
    """SIGKILL to the folder's keepers until none is left: an outer killed between its fork and its
    listing leaves an inner that no list of before had.
    """

    def killed() -> bool:
        left = keepers(folder)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    until(killed, "no keeper is left")


def running(module: str, folder: Path) -> list[int]:
    """Pids of this program of ours that is about the folder."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            said = (place / "cmdline").read_text() if place.name.isdigit() else ""
            if module in said and str(folder) in said:
                found.append(int(place.name))
        except OSError:
            continue
    return sorted(found)


def restarts(folder: Path) -> int:
    said = read_seen(folder)
    return 0 if said is None else said.restarts


def alive(pid: int) -> bool:
    """True while the process runs; one that only waits to be reaped does not."""
    try:
        return ") Z " not in Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return False
