"""What operators may set of how often one principal asks."""

import os
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from domain.errors import DomainError

_MOST: Final = 1_000_000


class Rate(Struct, frozen=True):
    """Requests of one principal at one process: `burst` at once, then `per_second`."""

    per_second: int
    burst: int


# Far above what a person or a well-behaved program does, below what would starve others.
RATE: Final = Rate(2_000, 10_000)


def rate_of(env: Mapping[str, str] = os.environ) -> Rate:
    """GPUAAS_RATE_PER_S and GPUAAS_RATE_BURST, default 2,000 and 10,000.

    Raises: DomainError config.malformed unless each is 1 to 1,000,000.
    """
    found = []
    names = {"GPUAAS_RATE_PER_S": RATE.per_second, "GPUAAS_RATE_BURST": RATE.burst}
    for name, default in names.items():
        text = env.get(name) or str(default)
        if not text.isascii() or not text.isdigit() or len(text) > 7 or not 0 < int(text) <= _MOST:
            raise DomainError("config.malformed", f"{name} is not 1 to 1,000,000: {text!r}")
        found.append(int(text))
    return Rate(*found)
