"""Processes in namespaces by bubblewrap: for laptops, without images' storage and without limits.

Its network is a loopback of its own and nothing else: a door on a loopback port of the machine
leads to its sshd (doorway.py), nothing leads out. The root of the image is read-only. Memory, CPU
and pids are NOT limited here; use Podman where tenants are strangers.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from agent import doorway
from agent.engine import (
    SSH_INSIDE,
    Container,
    Counted,
    EngineError,
    Order,
    Run,
    Settings,
    detached,
    environment,
)
from agent.podman import sshd

_GONE_S = 10.0
_STARTED_S = 10.0
# What sshd needs to become its user; root here is root of nothing outside the namespaces.
_CAPABILITIES = (
    *("CAP_SETUID", "CAP_SETGID", "CAP_SYS_CHROOT", "CAP_CHOWN", "CAP_DAC_OVERRIDE"),
    *("CAP_FOWNER", "CAP_KILL", "CAP_AUDIT_WRITE", "CAP_NET_BIND_SERVICE"),
)
_NAMES = ("NODE", "BOOT", "ALLOCATION", "EPOCH", "PORT")


class Bubblewrap:
    """Stateless: a runtime is the first process of its namespace, known by its environment."""

    def __init__(self, settings: Settings, run: Run) -> None:
        self._settings = settings
        self._run = run

    def create(self, order: Order) -> None:
        """As Engine.create: the image is there unpacked, a port is chosen. Nothing runs yet."""
        self._root(order)
        port = Path(order.folder) / "port"
        if not port.exists():
            port.write_text(str(_free_port()))

    def start(self, order: Order) -> None:
        if (found := self.adopt(order)) is not None:
            self._open(order, found)
            return
        folder = Path(order.folder)
        port = int((folder / "port").read_text())
        values = (order.node, order.boot, order.allocation, str(order.epoch), str(port))
        marks = {f"GPUAAS_{name}": value for name, value in zip(_NAMES, values, strict=True)}
        argv = [*self._settings.bwrap, *self._options(order, port), *sshd()]
        detached(argv, folder / "log", {**environment(), **marks})
        deadline = time.monotonic() + _STARTED_S
        while (found := self.adopt(order)) is None:
            if time.monotonic() > deadline:
                raise EngineError("engine.failed", _tail(folder / "log"))
            time.sleep(0.02)
        self._open(order, found)

    def _open(self, order: Order, found: Container) -> None:
        """Its door is there, or on its way. Two at once: the lock lets one live."""
        folder = Path(order.folder)
        if not doorway.is_open(folder):
            argv = [sys.executable, "-m", "agent.doorway", str(folder)]
            env = {**environment(), "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
            detached([*argv, str(found.pid), str(found.port)], folder / "door.log", env)

    def adopt(self, order: Order) -> Container | None:
        for one in self.list_all(order.node):
            if (one.allocation, one.epoch) == (order.allocation, order.epoch):
                return one
        return None

    def stop(self, order: Order) -> None:
        for one in self.list_all(order.node):
            if (one.allocation, one.epoch) == (order.allocation, order.epoch):
                self.remove(one)

    def shell(self, order: Order, pid: int) -> tuple[str, ...]:  # noqa: ARG002  the contract's
        inside = ("--mount", "--pid", "--ipc", "--uts", "--net", "--root", "--wd", "/bin/sh")
        return ("nsenter", "--target", str(pid), *inside)

    def guard(self, order: Order, *, fresh: bool) -> Counted:  # noqa: ARG002  the contract's
        """As Engine.guard: no wall, but a door that somebody killed is there again."""
        found = self.adopt(order)
        if found is not None:
            self._open(order, found)
        return Counted()

    def clear(self, node: str, kept: Callable[[], Sequence[str]], place: Path) -> int:  # noqa: ARG002
        return 0

    def list_all(self, node: str) -> list[Container]:
        return [one for one in _running() if one.name.startswith(f"{node} ")]

    def remove(self, container: Container) -> None:
        # The first process of a pid namespace: the kernel kills all others of it with it.
        deadline = time.monotonic() + _GONE_S
        while container.pid in {one.pid for one in _running() if one.name == container.name}:
            try:
                os.kill(container.pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            if time.monotonic() > deadline:
                raise EngineError("engine.timeout", f"process {container.pid} does not end")
            time.sleep(0.02)

    def _root(self, order: Order) -> Path:
        root = Path(self._settings.rootfs) / order.spec.digest.removeprefix("sha256:")
        if not (root / "usr").is_dir():
            raise EngineError("image.missing", f"{order.spec.image} is not unpacked here")
        return root

    def _options(self, order: Order, port: int) -> list[str]:
        folder = Path(order.folder)
        options = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", "gpuaas"]
        options += ["--unshare-net"]
        options += ["--ro-bind", str(self._root(order)), "/", "--dev", "/dev", "--proc", "/proc"]
        for place in ("/run", "/tmp", "/root", "/var/tmp"):  # noqa: S108  inside the sandbox
            options += ["--tmpfs", place]
        options += ["--dir", "/run/sshd", "--ro-bind", str(folder / "ssh"), SSH_INSIDE]
        for device in order.devices:
            for node in device.nodes:
                options += ["--dev-bind", node.host, node.inside]
            for name, value in device.env:
                options += ["--setenv", name, value]
        if os.geteuid() == 0:
            for capability in _CAPABILITIES:
                options += ["--cap-add", capability]
        _listen_on(folder / "ssh" / "sshd_config", port)
        return options


def _listen_on(config: Path, port: int) -> None:
    lines = [one for one in config.read_text().splitlines() if not one.startswith(("Port", "List"))]
    config.write_text("\n".join([f"Port {port}", "ListenAddress 127.0.0.1", *lines, ""]))


def _running() -> Iterator[Container]:
    """Every first process of a namespace that carries our marks, whoever's node it is."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            status = (folder / "status").read_text()
            if not _is_first(status):
                continue
            found = _environ(folder)
        except OSError:
            continue  # it ended, or is not ours to look at
        if all(f"GPUAAS_{name}" in found for name in _NAMES):
            yield Container(
                node=found["GPUAAS_NODE"],
                allocation=found["GPUAAS_ALLOCATION"],
                epoch=int(found["GPUAAS_EPOCH"]),
                boot=found["GPUAAS_BOOT"],
                name=f"{found['GPUAAS_NODE']} {found['GPUAAS_ALLOCATION']}",
                running=True,
                pid=int(folder.name),
                address="127.0.0.1",
                port=int(found["GPUAAS_PORT"]),
            )


def _is_first(status: str) -> bool:
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    numbers = lines.get("NSpid", "").split()
    return len(numbers) > 1 and numbers[-1] == "1" and "Z" not in lines.get("State", "")


def _environ(folder: Path) -> dict[str, str]:
    raw = (folder / "environ").read_bytes().decode(errors="replace")
    return dict(entry.split("=", 1) for entry in raw.split("\0") if "=" in entry)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tail(path: Path) -> str:
    return path.read_bytes()[-300:].decode(errors="replace").strip()
