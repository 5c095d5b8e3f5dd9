"""Which nodes of /dev a device is, and no more."""

import json
from pathlib import Path

import pytest

from agent import cdi
from agent.device_nodes import libraries, nodes_of
from agent.devices import Device, DeviceError

GPU = Device(0, "GPU-a", "NVIDIA H100", 80 << 30, minor=3)
SLICE = Device(
    1, "MIG-b", "NVIDIA H100 MIG", 10 << 30, minor=3, parent="GPU-a", gpu_instance=7,
    compute_instance=0,
)  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, Path]:
    """A /dev and a capability folder as a driver makes them."""
    dev, capabilities = tmp_path / "dev", tmp_path / "capabilities"
    for name in ("nvidia2", "nvidia3", "nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap66",
                 "nvidia-caps/nvidia-cap67", "nvidia-caps/nvidia-cap75"):  # fmt: skip
        (dev / name).parent.mkdir(parents=True, exist_ok=True)
        (dev / name).touch()
    for place, minor in (("gi7", 66), ("gi7/ci0", 67), ("gi8", 75)):
        folder = capabilities / "gpu3" / "mig" / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "access").write_text(f"DeviceFileMinor: {minor}\nDeviceFileMode: 292\n")
    return dev, capabilities


def test_a_gpu_is_its_minor_and_the_control_nodes(machine: tuple[Path, Path]) -> None:
    """`/dev/nvidia<minor>`, control and unified memory; no other GPU's node; the hook of NVIDIA's
    own runtime is told to add nothing.
    """
    nodes = nodes_of(GPU, *machine)
    dev = machine[0]
    assert nodes.paths == tuple(str(dev / n) for n in ("nvidia3", "nvidiactl", "nvidia-uvm"))
    assert nodes.env == ("NVIDIA_VISIBLE_DEVICES=void", "CUDA_VISIBLE_DEVICES=GPU-a")


def test_a_slice_is_its_own_capabilities_only(machine: tuple[Path, Path]) -> None:
    """The two capabilities of its instances, not those of its neighbour on the same GPU."""
    dev = machine[0]
    caps = [path for path in nodes_of(SLICE, *machine).paths if "caps" in path]
    assert caps == [str(dev / "nvidia-caps" / f"nvidia-cap{minor}") for minor in (66, 67)]


@pytest.mark.parametrize("gone", ["dev/nvidia3", "dev/nvidia-uvm", "dev/nvidia-caps/nvidia-cap67",
                                  "capabilities/gpu3/mig/gi7/access"])  # fmt: skip
def test_a_node_that_is_not_there_is_named(
    gone: str, machine: tuple[Path, Path], tmp_path: Path
) -> None:
    """A container without its device is refused before it starts, not found out inside."""
    (tmp_path / gone).unlink()
    with pytest.raises(DeviceError, match=gone.split("/", 1)[1]) as error:
        nodes_of(SLICE, *machine)
    assert error.value.code == "device.no_node"


def test_rubbish_in_a_capability_is_refused(machine: tuple[Path, Path]) -> None:
    """A capability file without a minor opens nothing."""
    (machine[1] / "gpu3/mig/gi7/access").write_text("DeviceFileMode: 292\n")
    with pytest.raises(DeviceError, match="names no minor"):
        nodes_of(SLICE, *machine)


def test_libraries_are_of_the_driver_that_runs(tmp_path: Path) -> None:
    """Only files of exactly the driver's version: another version would not speak to it."""
    for name in ("libcuda.so.550.1", "libcuda.so.535.9", "libnvidia-ml.so.550.1", "libcuda.so.1"):
        (tmp_path / name).touch()
    assert libraries("550.1", (tmp_path, tmp_path / "none")) == (
        str(tmp_path / "libcuda.so.550.1"), str(tmp_path / "libnvidia-ml.so.550.1"),
    )  # fmt: skip


def test_a_cdi_spec_is_valid_and_names_the_uuid(machine: tuple[Path, Path], tmp_path: Path) -> None:
    """JSON of kind `nvidia.com/gpu` whose one device is the uuid: its nodes, its environment, the
    driver's libraries read-only under the name a program loads.
    """
    nodes = nodes_of(SLICE, *machine)
    library = cdi.DeviceNode("/usr/lib/x/libcuda.so.1", "/usr/lib/x/libcuda.so.550.1")
    pairs = tuple((one.split("=")[0], one.split("=")[1]) for one in nodes.env)
    given = cdi.Device(
        SLICE.uuid, tuple(cdi.DeviceNode(path, path) for path in nodes.paths), pairs, (library,)
    )
    spec = json.loads(cdi.write(tmp_path / "cdi", given).read_text())
    assert (spec["cdiVersion"], spec["kind"]) == ("0.5.0", "nvidia.com/gpu")
    [one] = spec["devices"]
    assert one["name"] == "MIG-b"
    edits = one["containerEdits"]
    assert [node["hostPath"] for node in edits["deviceNodes"]] == list(nodes.paths)
    assert "CUDA_VISIBLE_DEVICES=MIG-b" in edits["env"]
    assert edits["mounts"] == [
        {
            "hostPath": "/usr/lib/x/libcuda.so.550.1",
            "containerPath": "/usr/lib/x/libcuda.so.1",
            "options": ["ro", "nosuid", "nodev", "bind"],
        }
    ]
