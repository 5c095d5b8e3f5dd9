"""What runs a runtime: the contract of engines, and the order each of them is given."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from agent.cdi import Device
from contracts.network import Policy
from contracts.spec import Spec

SSH_INSIDE = "/run/gpuaas/ssh"
_TICK_S = 0.05
_SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"


type State = Literal["starting", "usable", "degraded", "stopped", "failed"]


class EngineError(Exception):
    """The engine could not do it now. `code` is stable and dotted; the caller may try again."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Settings(Struct, frozen=True, kw_only=True):
    """How this machine runs containers. Sizes in bytes, times in us.

    `podman` and `bwrap`: program and its own options; `create`: more options of `podman create`
    (ulimits). `images`: the allow-list, reference -> digest. `rootfs`: where unpacked images lie
    by the hex of their digest (bubblewrap). `end_ahead_us`: how long before its deadline a runtime
    is ended. `network`: empty for namespaces of our own, default deny; else a network of Podman's,
    where NOTHING is denied by us.

    Of our own namespaces: `range`, IPv4 addresses for runtimes, the first one the node's own;
    `opened`, private ranges that policies may name; `denied`, what no policy opens (the control
    plane); `gateways`, who but this node may open connections to runtimes.
    """

    kind: Literal["podman", "bubblewrap"]
    podman: tuple[str, ...] = ("podman",)
    create: tuple[str, ...] = ()
    bwrap: tuple[str, ...] = ("bwrap",)
    network: str = ""
    range: str = "10.213.0.0/16"
    opened: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    images: dict[str, str] = {}
    rootfs: str = ""
    cdi: str = "/var/run/cdi"
    probe_us: int = 60_000_000
    ready_us: int = 300_000_000
    end_ahead_us: int = 1_000_000
    log_bytes: int = 1_048_576


class Order(Struct, frozen=True):
    """One runtime to keep, as it lies in its folder; never changed once written."""

    node: str
    boot: str
    allocation: str
    runtime: str
    epoch: int
    started_us: int
    shares: tuple[tuple[int, int], ...]
    devices: tuple[Device, ...]
    folder: str
    spec: Spec
    host_key: str
    settings: Settings

    @property
    def name(self) -> str:
        """The container's name: one per allocation and epoch, so it cannot exist twice."""
        return f"gpuaas-{self.allocation.removeprefix('allocation-')}-{self.epoch}"

    def policy(self) -> Policy | None:
        """What it may reach now: as ordered, or as its network was changed since."""
        ordered = self.spec.network
        try:
            raw = (Path(self.folder) / "policy.json").read_bytes()
            found = msgspec.json.decode(raw, type=Policy)
        except FileNotFoundError:
            return ordered
        except (OSError, msgspec.DecodeError):
            return None  # nobody can tell what is allowed: nothing is
        newer = ordered is None or found.version > ordered.version
        return found if newer else ordered


class Container(Struct, frozen=True):
    """One of this node's containers as the engine has it.

    `pid` is 0 when it does not run, `exit_code` when it ended.
    """

    node: str
    allocation: str
    epoch: int
    boot: str
    name: str
    running: bool
    pid: int = 0
    address: str = ""
    port: int = 0
    exit_code: int = 0
    out_of_memory: bool = False


type Run = Callable[[Sequence[str], float], str]


class Counted(Struct, frozen=True):
    """Bytes of IP packets that crossed a runtime's wall by its policy, since it was created."""

    sent_bytes: int = 0
    received_bytes: int = 0


class Engine(Protocol):
    """Containers of one node by their labels (node, boot, allocation, epoch).

    Durable: a container outlives whoever made it. Ordered and concurrent: one keeper per
    allocation calls all but `list_all` and `remove`; those may be called beside it. Who retries:
    the caller; every call may be repeated, `create` and `start` change nothing then. Every call
    may take seconds. Raises: EngineError engine.failed | engine.timeout | image.missing |
    image.digest.
    """

    def create(self, order: Order) -> None:
        """It exists with its limits, devices and network, and does not run yet."""

    def start(self, order: Order) -> None:
        """It runs; one that ended runs anew."""

    def adopt(self, order: Order) -> Container | None:
        """The order's container however it stands; None when there is none."""

    def stop(self, order: Order) -> None:
        """It is gone, its processes and itself; what it wrote to its log stays."""

    def shell(self, order: Order, pid: int) -> tuple[str, ...]:
        """The program that is a shell inside, on a terminal; `pid`: of the first process."""

    def guard(self, order: Order, *, fresh: bool) -> Counted:
        """Its wall stands, with its policy as it is now when `fresh`; what was counted.

        Nothing where the engine has no walls.
        """

    def list_all(self, node: str) -> list[Container]:
        """Every container of this node, those that ended too."""

    def remove(self, container: Container) -> None:
        """As `stop`, for one whose order nobody has."""

    def clear(self, node: str, kept: Callable[[], Sequence[str]], place: Path) -> int:
        """How many walls were taken down: those of none of these containers, by name.

        `kept` is asked after the walls were looked at, so that none with an order is taken for one
        without. `place`: the folder of all orders; nobody raises a wall there meanwhile.
        """


def run_plain(argv: Sequence[str], timeout_s: float) -> str:
    """What the program printed. Raises: EngineError engine.failed | engine.timeout."""
    return run_watched(argv, timeout_s, lambda: None)


def run_watched(argv: Sequence[str], timeout_s: float, watch: Callable[[], None]) -> str:
    """As `run_plain`; `watch` is called each 50 ms and may raise, which ends the program.

    Never waits for what the program left behind: such may hold its output open for ever.
    """
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
    except OSError as error:
        raise EngineError("engine.failed", str(error)) from error
    until = time.monotonic() + timeout_s
    try:
        while True:
            try:
                said, error_said = child.communicate(timeout=_TICK_S)
            except subprocess.TimeoutExpired:
                watch()
                if time.monotonic() > until:
                    raise EngineError("engine.timeout", f"{argv[0]} took too long") from None
            else:
                return _printed(child.returncode, said, error_said)
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


def _printed(status: int, said: bytes, error: bytes) -> str:
    if status != 0:
        raise EngineError("engine.failed", error.decode(errors="replace")[-500:].strip())
    return said.decode(errors="replace")


def detached(argv: Sequence[str], output: Path, env: dict[str, str]) -> int:
    """The pid of a program in a session of its own, that outlives us; its words go to `output`."""
    program = shutil.which(argv[0], path=env["PATH"])
    if program is None:
        raise EngineError("engine.failed", f"there is no {argv[0]}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(output), flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(program, list(argv), env, file_actions=actions, setsid=True)


def environment() -> dict[str, str]:
    """What engines' programs get of ours: never a secret."""
    kept = ("PATH", "HOME", "LANG", "XDG_RUNTIME_DIR", "TMPDIR")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {**found, "PATH": found.get("PATH", "/usr/bin:/bin") + _SBIN}


def read_order(folder: Path) -> Order | None:
    """The order in the folder; None when there is none (any more)."""
    try:
        return msgspec.json.decode((folder / "order.json").read_bytes(), type=Order)
    except (OSError, msgspec.DecodeError):
        return None
