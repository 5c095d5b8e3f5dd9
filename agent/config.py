from pathlib import Path
from typing import Literal

from msgspec import Struct

from agent.engine import Settings
from agent.idle_bounds import Bounds
from agent.usage import SLICE_US
from agent.watchdog_device import Watchdog
from contracts import fleet


class Config(Struct, frozen=True, kw_only=True):
    """Settings of one agent. `state` is its only durable place; losing it means enrolling anew.

    `token` and `api_url` are needed once, until the node is enrolled. `model`, `gpus` and
    `usable_after_us` describe the SIMULATED machine. `nvml_library` and `cuda_library` are
    absolute paths; without the second, memory cannot be overwritten. `engine`: what runs real
    containers, None for SIMULATED runtimes. `lease_us`: how long a runtime runs at most without a
    word of the platform, though it grants more. `watchdog`: what resets this machine when nothing
    else ends a container. Times in us.
    """

    state: Path
    api_url: str = ""
    token: str = ""
    ca_file: Path | None = None
    devices: Literal["simulated", "nvml"] = "simulated"
    nvml_library: Path | None = None
    cuda_library: Path | None = None
    device_probe_us: int = 5_000_000
    model: str = "T4"
    gpus: int = 8
    usable_after_us: int = 500_000
    observe_us: int = 100_000
    heartbeat_us: int = fleet.HEARTBEAT_US
    lease_us: int = fleet.LEASE_US
    renew_us: int = fleet.RENEW_US
    resend_us: int = 2_000_000
    machine_boot: str = ""
    nats_url: str = ""
    engine: Settings | None = None
    tend_us: int = 10_000_000
    usage_us: int = SLICE_US
    idle: Bounds = Bounds()
    watchdog: Watchdog | None = None
