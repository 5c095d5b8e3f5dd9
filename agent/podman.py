"""Containers by Podman's command line: no daemon, so a container is nobody's child but conmon's."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from agent import cdi
from agent.engine import SSH_INSIDE, Container, Counted, EngineError, Order, Run, Settings
from agent.terminal.wire import MARK
from agent.volume_places import mounts_of
from agent.walls import NAMESPACES, Walls, address_of, mark_of, names_of

_SSH_PORT = 22
_PATIENCE_S = 60.0
_REMOVALS = 4
_CLEANUP_S = 0.5
_LABELS = ("node", "boot", "runtime", "allocation", "epoch")


class Podman:
    """Stateless: Podman's own storage is what is known. Source: podman-create(1), 4.3."""

    def __init__(self, settings: Settings, run: Run) -> None:
        self._settings = settings
        self._run = run
        self._walls = None if settings.network else Walls(settings, run)

    def create(self, order: Order) -> None:
        """As Engine.create. The image runs by its id: its name may be moved meanwhile."""
        if self._walls is not None:
            self._walls.build(order, order.policy())
        try:
            self._podman("create", *self._options(order), self._image(order), *sshd())
        except EngineError:
            # Its name is taken: by itself, made before a crash. Else it is the failure it is.
            if self._inspect(order.name) is None:
                raise

    def start(self, order: Order) -> None:
        self._podman("start", order.name)

    def adopt(self, order: Order) -> Container | None:
        found = self._inspect(order.name)
        if found is None or self._walls is None:
            return found
        return replace(found, address=address_of(order))

    def stop(self, order: Order) -> None:
        self._remove(order.node, order.name)

    def shell(self, order: Order, pid: int) -> tuple[str, ...]:  # noqa: ARG002  the contract's
        enter = ("exec", "--interactive", "--tty", "--env", MARK)
        return (*self._settings.podman, *enter, order.name, "/bin/sh")

    def list_all(self, node: str) -> list[Container]:
        said = self._podman(
            *("ps", "--all", "--no-trunc", "--format", "json"),
            *("--filter", f"label=gpuaas.node={node}"),
        )
        return [_listed(one) for one in json.loads(said or "[]") or []]

    def remove(self, container: Container) -> None:
        self._remove(container.node, container.name)

    def guard(self, order: Order, *, fresh: bool) -> Counted:
        if self._walls is None:
            return Counted()
        return self._walls.guard(order, order.policy(), fresh=fresh)

    def clear(self, node: str, kept: Callable[[], Sequence[str]], place: Path) -> int:
        return 0 if self._walls is None else self._walls.clear(node, kept, place)

    def _options(self, order: Order) -> list[str]:
        spec = order.spec
        values = (order.node, order.boot, order.runtime, order.allocation, str(order.epoch))
        options = ["--name", order.name, "--pull", "never", "--restart", "no"]
        for name, value in zip(_LABELS, values, strict=True):
            options += ["--label", f"gpuaas.{name}={value}"]
        options += ["--memory", str(spec.memory_bytes), "--memory-swap", str(spec.memory_bytes)]
        options += ["--cpus", f"{spec.cpu_milli // 1000}.{spec.cpu_milli % 1000:03}"]
        options += ["--pids-limit", str(spec.pids), "--network", self._network(order)]
        for device in order.devices:
            if not cdi.is_known(Path(self._settings.cdi), device.uuid):
                raise EngineError("engine.failed", f"no CDI spec names {device.uuid}")
            options += ["--device", f"{cdi.KIND}={device.uuid}"]
        options += ["--volume", f"{order.folder}/ssh:{SSH_INSIDE}:ro"]
        for place, inside in mounts_of(order):
            options += ["--volume", f"{place.mnt}:{inside}:rw,nosuid,nodev"]
        options += ["--tmpfs", "/run/sshd:mode=0755"]
        options += ["--log-driver", "k8s-file", "--log-opt", f"path={order.folder}/log"]
        options += ["--log-opt", f"max-size={self._settings.log_bytes}"]
        return [*options, *self._settings.create]

    def _image(self, order: Order) -> str:
        """The image's id, its digest compared with the order's."""
        try:
            said = self._podman("image", "inspect", order.spec.image)
        except EngineError as error:
            if error.code != "engine.failed":
                raise
            raise EngineError("image.missing", f"{order.spec.image}: {error.detail}") from error
        found = json.loads(said)[0]
        if found["Digest"] != order.spec.digest:
            detail = f"{order.spec.image} is {found['Digest']}, ordered {order.spec.digest}"
            raise EngineError("image.digest", detail)
        return str(found["Id"])

    def _inspect(self, name: str) -> Container | None:
        try:
            said = self._podman("container", "inspect", name)
        except EngineError as error:
            if "no such container" in error.detail.lower():
                return None
            raise
        return _inspected(json.loads(said)[0])

    def _remove(self, node: str, name: str) -> None:
        """Podman's own cleanup of a container that just ended may stand in the way of its removal
        ("container state improper: stopped"): it is asked again.
        """
        for left in range(_REMOVALS, 0, -1):
            try:
                self._podman("rm", "--force", "--ignore", "--time", "0", "--volumes", name)
                break
            except EngineError as error:
                if left == 1 or "state improper" not in error.detail:
                    raise
                time.sleep(_CLEANUP_S)
        _end_half_started(name)
        if self._walls is not None:
            self._walls.raze(node, mark_of(name))

    def _network(self, order: Order) -> str:
        if self._walls is None:
            return self._settings.network
        return f"ns:{NAMESPACES / names_of(order)[0]}"

    def _podman(self, *arguments: str) -> str:
        return self._run((*self._settings.podman, *arguments), _PATIENCE_S)


def _end_half_started(name: str) -> None:
    """No monitor of a container of that name is left, nor what it began.

    A `podman start` that is killed before it wrote down what it did leaves both behind, and Podman
    does not know of them. A tenant's process that calls itself so ends only itself.
    """
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            argv = (place / "cmdline").read_bytes().split(b"\0")
            if argv[0].rpartition(b"/")[2] != b"conmon" or (b"-n", name.encode()) not in pairwise(
                argv
            ):
                continue
            begun = (place / "task" / place.name / "children").read_text().split()
            for pid in (*begun, place.name):
                os.kill(int(pid), signal.SIGKILL)


def sshd() -> tuple[str, ...]:
    """The runtime's first process: sshd in the foreground, its words to the log."""
    return ("/usr/sbin/sshd", "-D", "-e", "-f", f"{SSH_INSIDE}/sshd_config")


def _inspected(found: dict[str, Any]) -> Container:
    state, labels = found["State"], found["Config"]["Labels"] or {}
    networks = found["NetworkSettings"].get("Networks") or {}
    addresses = [one["IPAddress"] for one in networks.values() if one.get("IPAddress")]
    running = state["Status"] == "running"
    return Container(
        node=labels.get("gpuaas.node", ""),
        allocation=labels.get("gpuaas.allocation", ""),
        epoch=int(labels.get("gpuaas.epoch", "0")),
        boot=labels.get("gpuaas.boot", ""),
        name=found["Name"],
        running=running,
        pid=state["Pid"] if running else 0,
        address=addresses[0] if addresses else "",
        port=_SSH_PORT,
        exit_code=state["ExitCode"],
        out_of_memory=bool(state.get("OOMKilled")),
    )


def _listed(found: dict[str, Any]) -> Container:
    labels = found.get("Labels") or {}
    return Container(
        node=labels.get("gpuaas.node", ""),
        allocation=labels.get("gpuaas.allocation", ""),
        epoch=int(labels.get("gpuaas.epoch", "0")),
        boot=labels.get("gpuaas.boot", ""),
        name=found["Names"][0],
        running=found.get("State") == "running",
        pid=int(found.get("Pid") or 0),
        exit_code=int(found.get("ExitCode") or 0),
    )
