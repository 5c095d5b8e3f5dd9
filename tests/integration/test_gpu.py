"""A real GPU, where there is one: the same source, the real library."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.device_nodes import DEV
from tests.nvml.library import Asker

pytestmark = pytest.mark.gpu
LIBRARIES = (
    Path("/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1"),
    Path("/usr/lib64/libnvidia-ml.so.1"),
)


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    """A process with the machine's own NVML; absent is a named skip."""
    found = [path for path in LIBRARIES if path.exists()]
    if not found or not (DEV / "nvidiactl").exists():
        pytest.skip("this machine has no NVIDIA GPU (no libnvidia-ml.so.1 or no /dev/nvidiactl)")
    with Asker(found[0], tmp_path / "unused", "") as one:
        assert one.opened == "open"
        yield one


def test_a_real_gpu_is_described_and_read(asker: Asker) -> None:
    """Uuid, product, memory and a node in /dev for each; a reading with memory and without fault;
    occupants and events answer.
    """
    units: list[dict[str, Any]] = asker.ask("inventory")
    assert units
    for unit in units:
        assert unit["uuid"].startswith(("GPU-", "MIG-"))
        assert unit["memory_bytes"] > 1 << 30
        gpu = unit["parent"] or unit["uuid"]
        read = asker.ask("read", gpu)
        assert read["memory_total_bytes"] >= unit["memory_bytes"]
        assert read["fault"] == ""
        assert isinstance(asker.ask("occupants", gpu), list)
    assert asker.ask("events") == []
    nodes = asker.ask("nodes", "/dev", "/proc/driver/nvidia/capabilities")
    assert all(Path(path).exists() for one in nodes for path in one["paths"])


def test_a_real_gpu_agrees_with_the_drivers_own_tool(asker: Asker) -> None:
    """`nvidia-smi -L` names the same uuids as our inventory."""
    listed = subprocess.run(["nvidia-smi", "-L"], check=True, capture_output=True, text=True).stdout
    for unit in asker.ask("inventory"):
        assert unit["uuid"] in listed
