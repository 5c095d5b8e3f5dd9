"""Whether a device's memory is as fast as its model's: a wrong model shows, a busy bus does not.

Public memory bandwidth in GB/s (10**9 bytes) of the slowest variant of each model, from NVIDIA's
data sheets: T4 320, L4 300, A10 600, L40S 864, V100 900 (SXM2; PCIe 900, V100S 1134), A100 1555
(40 GB; 80 GB PCIe 1935, SXM 2039), H100 2000 (PCIe; SXM 3350, NVL 3900), H200 4800 (SXM and NVL),
B200 7700 (HGX; DGX 8000). A copy reaches some three quarters of that, so half of it is the floor:
models less than a factor of two apart are not told apart by it.
"""

from typing import Final

_SLOWEST_GB_S: Final[dict[str, int]] = {
    "T4": 320, "L4": 300, "A10": 600, "L40S": 864, "V100": 900, "A100": 1555, "H100": 2000,
    "H200": 4800, "B200": 7700,
}  # fmt: skip


def falls_short(model: str, moved_bytes: int, duration_us: int) -> bool:
    """True when so many bytes in that time are less than half of what the slowest of the model
    moves. False for a model that is not in the table, slices included, and where nothing moved:
    that measures nothing.
    """
    if moved_bytes <= 0:
        return False
    # bytes / us is MB/s; the table is in GB/s, and half of it counts.
    return 2 * moved_bytes < _SLOWEST_GB_S.get(model, 0) * 1000 * duration_us
