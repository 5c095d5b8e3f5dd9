"""Stream ids: a kind and a UUIDv7 made by the server, never client text (EVIDENCE.md section 1)."""

import os
import re
import time
from typing import Final

STREAM: Final = re.compile(
    r"[a-z][a-z_]{0,30}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)
_KIND: Final = re.compile(r"[a-z][a-z_]{0,30}")
_ENTROPY_BYTES: Final = 10
_POOL: Final = bytearray()


def new_id(kind: str) -> str:
    """`kind-` and a fresh lowercase UUIDv7: ordered by millisecond, 74 random bits after it."""
    assert _KIND.fullmatch(kind), kind
    random = int.from_bytes(_entropy())
    high = (random >> 68) & 0xFFF
    low = random & 0x3FFFFFFFFFFFFFFF
    value = (time.time_ns() // 1_000_000 << 80) | (0x7000 | high) << 64 | 1 << 63 | low
    digits = f"{value:032x}"
    return f"{kind}-{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _entropy() -> bytes:
    # One system call for many ids; each byte is used once. A fork would repeat the pool's rest.
    if len(_POOL) < _ENTROPY_BYTES:
        _POOL.extend(os.urandom(_ENTROPY_BYTES * 256))
    taken = bytes(_POOL[:_ENTROPY_BYTES])
    del _POOL[:_ENTROPY_BYTES]
    return taken


os.register_at_fork(after_in_child=_POOL.clear)
