"""Whether a runtime can be used: its sshd answers, and its GPUs are there inside."""

import socket
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from agent.cdi import Device

_PATIENCE_S = 1.0
_LEAST_S = 0.05


def banner(address: str, port: int, most_s: float = _PATIENCE_S) -> bool:
    """True when an SSH server greets on the runtime's own address; takes a second, or `most_s`."""
    return bool(address) and _answers(address, port, max(_LEAST_S, min(most_s, _PATIENCE_S)))


def _answers(address: str, port: int, timeout_s: float) -> bool:
    until = time.monotonic() + timeout_s
    try:
        with socket.create_connection((address, port), timeout=timeout_s) as peer:
            peer.settimeout(max(0.001, until - time.monotonic()))
            return peer.recv(8) == b"SSH-2.0-"
    except OSError:
        return False


def devices_visible(pid: int, devices: Iterable[Device]) -> bool:
    """True when every node of every device is in the runtime, the same device as out here.

    Seen through the first process's root: nothing inside has to be asked, or trusted.
    """
    return all(
        _same_device(Path(f"/proc/{pid}/root{node.inside}"), Path(node.host))
        for device in devices
        for node in device.nodes
    )


def _same_device(inside: Path, host: Path) -> bool:
    try:
        one, other = inside.lstat(), host.stat()
    except OSError:
        return False
    return stat.S_ISCHR(one.st_mode) and one.st_rdev == other.st_rdev
