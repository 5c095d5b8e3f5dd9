"""CDI specs written by us, one file per device: `--device <kind>=<uuid>` then means that device.

Source: Container Device Interface 0.5.0 (cncf-tags/container-device-interface, SPEC.md).
"""

import hashlib
import json
import os
from pathlib import Path

from msgspec import Struct

KIND = "nvidia.com/gpu"
_VERSION = "0.5.0"
_READ_ONLY = ["ro", "nosuid", "nodev", "bind"]


class DeviceNode(Struct, frozen=True):
    """`host` as this machine names it, `inside` as the container does."""

    inside: str
    host: str


class Device(Struct, frozen=True):
    """One GPU (or MIG part) by its uuid: what of it a container is given.

    `libraries` are the driver's own files, mounted read-only: a container must speak the driver's
    version, not its image's.
    """

    uuid: str
    nodes: tuple[DeviceNode, ...]
    env: tuple[tuple[str, str], ...] = ()
    libraries: tuple[DeviceNode, ...] = ()


def simulated(index: int, uuid: str) -> Device:
    """A SIMULATED GPU: a harmless node that reads as empty, so that it can be seen to be there."""
    return Device(
        uuid,
        (DeviceNode(f"/dev/gpuaas-simulated{index}", "/dev/null"),),
        ((f"GPUAAS_SIMULATED_GPU_{index}", uuid),),
    )


def write(directory: Path, device: Device) -> Path:
    """The device's file, whole or not at all for whoever reads meanwhile; a repeat is the same."""
    directory.mkdir(parents=True, exist_ok=True)
    edits = {
        "env": [f"{name}={value}" for name, value in device.env],
        "deviceNodes": [{"path": one.inside, "hostPath": one.host} for one in device.nodes],
        "mounts": [
            {"hostPath": one.host, "containerPath": one.inside, "options": _READ_ONLY}
            for one in device.libraries
        ],
    }
    spec = {
        "cdiVersion": _VERSION,
        "kind": KIND,
        "devices": [{"name": device.uuid, "containerEdits": edits}],
    }
    path = _path(directory, device.uuid)
    # CDI reads *.json only: the unfinished file has another ending.
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(spec))
    fresh.replace(path)
    return path


def is_known(directory: Path, uuid: str) -> bool:
    """True when a container may be given the device by this name."""
    return _path(directory, uuid).exists()


def remove(directory: Path, uuid: str) -> None:
    """No new container gets the device by this name; running ones keep it."""
    _path(directory, uuid).unlink(missing_ok=True)


def _path(directory: Path, uuid: str) -> Path:
    return directory / f"gpuaas-{hashlib.sha256(uuid.encode()).hexdigest()[:32]}.json"
