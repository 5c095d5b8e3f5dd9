"""What operators may set of how often somebody asks, and of how many things there may be."""

import os
from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

from domain.bounds import BOUNDS, Bounds
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
_RATE, _PUBLIC, _MOST_OF = "GPUAAS_RATE", "GPUAAS_PUBLIC_RATE", "GPUAAS_MOST"


def rate_of(env: Mapping[str, str] = os.environ) -> Rate:
    """GPUAAS_RATE_PER_S and GPUAAS_RATE_BURST, default 2,000 and 10,000.

    Raises: DomainError config.malformed unless each is 1 to 1,000,000.
    """
    return _read(env, _RATE, RATE)


def public_rate_of(env: Mapping[str, str] = os.environ) -> Rate:
    """As `rate_of`: GPUAAS_PUBLIC_RATE_PER_S and GPUAAS_PUBLIC_RATE_BURST, 1,000 and 10,000."""
    return _read(env, _PUBLIC, PUBLIC_RATE)


def bounds_of(env: Mapping[str, str] = os.environ) -> Bounds:
    """GPUAAS_MOST_API_KEYS, GPUAAS_MOST_SESSIONS, … as `domain/bounds.py` has them.

    Raises: DomainError config.malformed unless each is 1 to 1,000,000.
    """
    return Bounds(**_numbers(env, _MOST_OF, asdict(BOUNDS)))


def variables(rate: Rate, public: Rate, bounds: Bounds) -> dict[str, str]:
    """As `rate_of`, `public_rate_of` and `bounds_of` read them."""
    most = {f"{_MOST_OF}_{name.upper()}": str(number) for name, number in asdict(bounds).items()}
    return most | {
        f"{name}_{what}": str(number)
        for name, one in ((_RATE, rate), (_PUBLIC, public))
        for what, number in (("PER_S", one.per_second), ("BURST", one.burst))
    }


def _read(env: Mapping[str, str], prefix: str, otherwise: Rate) -> Rate:
    names = {"per_s": otherwise.per_second, "burst": otherwise.burst}
    return Rate(*_numbers(env, prefix, names).values())


def _numbers(env: Mapping[str, str], prefix: str, otherwise: Mapping[str, int]) -> dict[str, int]:
    """Each as the environment has it, else as it is without."""
    found: dict[str, int] = {}
    for word, default in otherwise.items():
        name = f"{prefix}_{word.upper()}"
        text = env.get(name) or str(default)
        if not text.isascii() or not text.isdigit() or len(text) > 7 or not 0 < int(text) <= _MOST:
            raise DomainError("config.malformed", f"{name} is not 1 to 1,000,000: {text!r}")
        found[word] = int(text)
    return found
