import hashlib
import time
from pathlib import Path

_MACHINE_BOOT = Path("/proc/sys/kernel/random/boot_id")


def boottime_us() -> int:
    """CLOCK_BOOTTIME in us: never set back, counts through suspend, starts anew at a reboot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def machine_boot() -> str:
    """The kernel's id of this boot; equal as long as the machine has not rebooted."""
    return _MACHINE_BOOT.read_text(encoding="ascii").strip()


def boot_of(node: str, machine: str) -> str:
    """32 hex digits naming one boot of one node.

    Hashed with the node: the kernel's own id names the machine to every program on it, and two
    simulated nodes on one machine must not share a boot.
    """
    return hashlib.sha256(f"gpuaas-boot/1\n{node}\n{machine}".encode()).hexdigest()[:32]
