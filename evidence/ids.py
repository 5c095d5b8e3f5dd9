"""Stream ids: a kind and a UUIDv7 made by the server, never client text (EVIDENCE.md section 1)."""

import os
import re
import time
from typing import Final

STREAM: Final = re.compile(
    r"[a-z][a-z_]{0,30}-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)
_KIND: Final = re.compile(r"[a-z][a-z_]{0,30}")
_RANDOM_DIGITS: Final = 18
_POOL: Final[list[str]] = []
_KINDS: Final[set[str]] = set()


def new_id(kind: str) -> str:
    """`kind-` and a fresh lowercase UUIDv7: ordered by millisecond, 70 random bits after it."""
    if kind not in _KINDS:
        assert _KIND.fullmatch(kind), kind
        _KINDS.add(kind)
    if not _POOL:
        _fill()
    millisecond = f"{time.time_ns() // 1_000_000:012x}"
    return f"{kind}-{millisecond[:8]}-{millisecond[8:]}-{_POOL.pop()}"


def _fill() -> None:
    # One system call for many ids; each digit is used once. The variant's nibble is 8 of 8..b.
    digits = os.urandom(_RANDOM_DIGITS * 256).hex()
    for at in range(0, len(digits), _RANDOM_DIGITS):
        d = digits[at : at + _RANDOM_DIGITS]
        _POOL.append(f"7{d[:3]}-8{d[3:6]}-{d[6:]}")


# A fork would repeat what is left in the pool.
os.register_at_fork(after_in_child=_POOL.clear)
