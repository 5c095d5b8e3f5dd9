"""What operators may set of how often one principal asks, or one address that is nobody yet."""

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


# Of one source address at what needs no token: nodes behind one address enrol there as well.
PUBLIC_RATE: Final = Rate(1_000, 10_000)
_RATE, _PUBLIC = "GPUAAS_RATE", "GPUAAS_PUBLIC_RATE"


def rate_of(env: Mapping[str, str] = os.environ) -> Rate:
    """GPUAAS_RATE_PER_S and GPUAAS_RATE_BURST, default 2,000 and 10,000.

    Raises: DomainError config.malformed unless each is 1 to 1,000,000.
    """
    return _read(env, _RATE, RATE)


def public_rate_of(env: Mapping[str, str] = os.environ) -> Rate:
    """As `rate_of`: GPUAAS_PUBLIC_RATE_PER_S and GPUAAS_PUBLIC_RATE_BURST, 1,000 and 10,000."""
    return _read(env, _PUBLIC, PUBLIC_RATE)


def variables(rate: Rate, public: Rate) -> dict[str, str]:
    """As `rate_of` and `public_rate_of` read them."""
    return {
        f"{name}_{what}": str(number)
        for name, one in ((_RATE, rate), (_PUBLIC, public))
        for what, number in (("PER_S", one.per_second), ("BURST", one.burst))
    }


def _read(env: Mapping[str, str], prefix: str, otherwise: Rate) -> Rate:
    found = []
    names = {f"{prefix}_PER_S": otherwise.per_second, f"{prefix}_BURST": otherwise.burst}
    for name, default in names.items():
        text = env.get(name) or str(default)
        if not text.isascii() or not text.isdigit() or len(text) > 7 or not 0 < int(text) <= _MOST:
            raise DomainError("config.malformed", f"{name} is not 1 to 1,000,000: {text!r}")
        found.append(int(text))
    return Rate(*found)
