"""Which devices this machine has: opened by its settings, enrolled once, known by index since."""

import hashlib
import re
from pathlib import Path
from typing import Final

import msgspec

from agent import cdi
from agent.config import Config
from agent.device_nodes import LIBRARY_FOLDERS, libraries, nodes_of
from agent.device_watch import Desk, Unit
from agent.devices import Device, DeviceError, DeviceSource
from agent.identity import write_durably
from agent.nvml import open_nvml
from agent.simulated_devices import SimulatedDevices
from agent.store import Store
from contracts.enrolment import Gpu

_BRAND: Final = re.compile(r"^(NVIDIA|Tesla|Quadro|GeForce)\s+", re.IGNORECASE)
_SLICE: Final = re.compile(r"\bMIG\s+\S+$")


def open_source(config: Config, seed: str) -> DeviceSource:
    """The devices of this machine; `seed` names the SIMULATED ones. Raises: DeviceError nvml.*."""
    if config.devices == "simulated":
        path = config.state / "simulated-devices.db"
        return SimulatedDevices(path, seed, config.gpus, config.model)
    if config.nvml_library is None:
        raise DeviceError("nvml.library", "name the library: --nvml-library /absolute/path")
    return open_nvml(config.nvml_library)


def model_of(product: str) -> str:
    """The model that prices and quotas speak of, from the product's name.

    `NVIDIA H100 80GB HBM3` is an `H100`, `NVIDIA A100-SXM4-40GB` an `A100`, `NVIDIA GeForce RTX
    4090` an `RTX 4090`; a slice keeps its profile: `H100 MIG 1g.10gb`.
    """
    profile = _SLICE.search(product)
    name = product[: profile.start()].strip() if profile else product.strip()
    while _BRAND.match(name):
        name = _BRAND.sub("", name)
    words = name.split()
    kept = words[:2] if words and words[0] in {"RTX", "GTX"} else words[:1]
    model = " ".join(kept).split("-")[0]
    return f"{model} {profile.group()}" if profile and model else model


def one_model(devices: tuple[Device, ...]) -> str:
    """The model of all of them. Raises: DeviceError device.none | device.mixed."""
    models = sorted({model_of(device.product) for device in devices})
    if not models:
        raise DeviceError("device.none", "no device answers on this machine")
    if len(models) > 1:
        raise DeviceError("device.mixed", f"one node, one model: {', '.join(models)}")
    return models[0]


def serial_of(devices: tuple[Device, ...]) -> str:
    """What names this machine's hardware: the boards' serials, else their uuids, as one digest."""
    names = sorted({device.serial or device.gpu for device in devices})
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:32]


def enrolled(state: Path, devices: tuple[Device, ...]) -> tuple[Gpu, ...]:
    """The list to enrol, durable before it is sent: from here on index 3 is that uuid."""
    units = [Unit(device.index, device.uuid, device.gpu) for device in devices]
    write_durably(_path(state), msgspec.json.encode(units))
    return tuple(Gpu(unit.index, unit.uuid) for unit in units)


def open_desk(config: Config, store: Store, source: DeviceSource) -> Desk:
    """The desk over what was enrolled; nodes enrolled before there was a list have SIMULATED
    devices, which name themselves the same every time.
    """
    path = _path(config.state)
    if not path.exists():
        enrolled(config.state, source.inventory())
    units = msgspec.json.decode(path.read_bytes(), type=tuple[Unit, ...])
    return Desk(source, store, units)


def given_to_containers(desk: Desk) -> tuple[cdi.Device, ...]:
    """What a container is given of each enrolled device, by index.

    One that does not answer now has no node: its index is kept, and a container ordered on it
    never gets to be usable.
    """
    here = {device.uuid: device for device in desk.source.inventory()}
    found = libraries(desk.source.origin.driver, LIBRARY_FOLDERS)
    own = tuple(cdi.DeviceNode(_loaded_as(path), path) for path in found)
    return tuple(_given(unit, here.get(unit.uuid), own) for unit in desk.units)


def _loaded_as(path: str) -> str:
    """Where a program looks for it: `libcuda.so.550.1` is loaded as `libcuda.so.1`."""
    return f"{path.partition('.so.')[0]}.so.1"


def _given(unit: Unit, device: Device | None, libraries: tuple[cdi.DeviceNode, ...]) -> cdi.Device:
    if device is None:
        return cdi.Device(unit.uuid, (cdi.DeviceNode(f"/dev/gpuaas-lost{unit.index}", ""),))
    if device.minor < 0:
        return cdi.simulated(unit.index, unit.uuid)
    nodes = nodes_of(device)
    pairs = (one.partition("=") for one in nodes.env)
    return cdi.Device(
        unit.uuid,
        tuple(cdi.DeviceNode(path, path) for path in nodes.paths),
        tuple((name, value) for name, _, value in pairs),
        libraries,
    )


def _path(state: Path) -> Path:
    return state / "devices.json"
