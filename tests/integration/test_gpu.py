"""A real GPU, where there is one: the same source, the real library."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.cuda_fill import PATTERNS, Filled
from agent.device_nodes import DEV
from tests.nvml.library import ROOT, Asker

pytestmark = pytest.mark.gpu
LIBRARIES = (
    Path("/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1"),
    Path("/usr/lib64/libnvidia-ml.so.1"),
)
CUDA_LIBRARIES = tuple(path.with_name("libcuda.so.1") for path in LIBRARIES)


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


def test_a_real_gpus_memory_is_filled_and_read_back(asker: Asker) -> None:
    """Nine tenths of an idle GPU's memory at least are covered and verified, both ways at more than
    1 GB/s: a bus that is slower than any PCIe link of this century is a fault to see.
    """
    cuda = next((path for path in CUDA_LIBRARIES if path.exists()), None)
    if cuda is None:
        pytest.skip("this machine has no libcuda.so.1")
    unit = asker.ask("inventory")[0]
    if asker.ask("occupants", unit["parent"] or unit["uuid"]) != []:
        pytest.skip("somebody works on the GPU")
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "agent.cuda_fill", str(cuda)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": unit["uuid"]},
        check=True,
        capture_output=True,
        cwd=ROOT,
    )
    seconds = time.monotonic() - began
    filled = msgspec.json.decode(done.stdout, type=Filled)
    assert filled.differing_bytes == 0
    assert filled.covered_bytes >= unit["memory_bytes"] * 9 // 10
    assert len(PATTERNS) * filled.covered_bytes / seconds > 1e9
