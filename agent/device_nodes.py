"""What a container needs of a device: nodes under /dev, libraries of the driver, environment.

Data for CDI specs (`agent/cdi.py`), nothing is opened here. Source for MIG: NVIDIA "MIG User
Guide", "Device Nodes and Capabilities": each instance has an `access` file that names the minor of
its `/dev/nvidia-caps/nvidia-cap<minor>`.
"""

import re
from pathlib import Path
from typing import Final

from msgspec import Struct

from agent.devices import Device, DeviceError

DEV: Final = Path("/dev")
CAPABILITIES: Final = Path("/proc/driver/nvidia/capabilities")
_CONTROL: Final = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
_REQUIRED: Final = ("nvidiactl", "nvidia-uvm")
_MINOR: Final = re.compile(r"^DeviceFileMinor:\s*(\d+)\s*$", re.MULTILINE)
LIBRARY_FOLDERS: Final = (Path("/usr/lib/x86_64-linux-gnu"), Path("/usr/lib64"))
# What CUDA needs of the driver inside a container; the rest of the driver stays outside.
_LIBRARIES: Final = ("libcuda.so", "libnvidia-ml.so", "libnvidia-ptxjitcompiler.so")


class Nodes(Struct, frozen=True):
    """Absolute paths as on the host, and `NAME=value`; all empty for a SIMULATED device."""

    paths: tuple[str, ...] = ()
    env: tuple[str, ...] = ()


def nodes_of(device: Device, dev: Path = DEV, capabilities: Path = CAPABILITIES) -> Nodes:
    """The nodes of this device and of no other: a slice gets its own two capabilities only.

    Raises: DeviceError device.no_node when the driver has not made one that it must have.
    """
    if device.minor < 0:
        return Nodes(env=(f"GPUAAS_SIMULATED_DEVICE={device.uuid}",))
    paths = [dev / f"nvidia{device.minor}"]
    paths += [dev / name for name in _CONTROL if name in _REQUIRED or (dev / name).exists()]
    if device.parent:
        paths += _slice_nodes(device, dev, capabilities)
    for path in paths:
        if not path.exists():
            raise DeviceError("device.no_node", f"{path} does not exist")
    # "void": nvidia-container-runtime, where it is installed too, must add nothing to this.
    return Nodes(
        tuple(str(path) for path in paths),
        ("NVIDIA_VISIBLE_DEVICES=void", f"CUDA_VISIBLE_DEVICES={device.uuid}"),
    )


def libraries(driver: str, folders: tuple[Path, ...]) -> tuple[str, ...]:
    """Absolute paths of the driver's libraries of exactly this version, in order of name."""
    found = {folder / f"{name}.{driver}" for folder in folders for name in _LIBRARIES}
    return tuple(sorted(str(path) for path in found if path.is_file()))


def _slice_nodes(device: Device, dev: Path, capabilities: Path) -> list[Path]:
    instance = capabilities / f"gpu{device.minor}" / "mig" / f"gi{device.gpu_instance}"
    made = []
    for access in (instance / "access", instance / f"ci{device.compute_instance}" / "access"):
        try:
            minor = _MINOR.search(access.read_text())
        except OSError as error:
            raise DeviceError("device.no_node", f"{access}: {error.strerror}") from error
        if minor is None:
            raise DeviceError("device.no_node", f"{access} names no minor")
        made.append(dev / "nvidia-caps" / f"nvidia-cap{minor.group(1)}")
    return made
