"""When a runtime counts as idle: a setting of the node's operator."""

from typing import Final

from msgspec import Struct

_MOST_US: Final = 5_000_000
_LEAST_US: Final = 1_000_000


class Bounds(Struct, frozen=True):
    """Idle for `after_us`: no device above `gpu_percent`, less CPU than `cpu_milli` of a core."""

    after_us: int = 600_000_000
    gpu_percent: int = 5
    cpu_milli: int = 50

    @property
    def every_us(self) -> int:
        """Between two looks."""
        return max(_LEAST_US, min(_MOST_US, self.after_us // 10))
