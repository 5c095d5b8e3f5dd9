"""A canary: a marker planted on a device as a tenant would, and looked for after its sanitization.

It is a miss when the marker is there still, and when nobody can say that it is not: none was
planted, or far fewer places were looked at than it was planted in. A miss is no proof of a theft;
it is proof that this node's receipts prove nothing.
"""

from typing import Final

from msgspec import Struct

from domain.words import Attested

FOUND: Final = "canary.found"
NOT_PLANTED: Final = "canary.not_planted"
NOT_LOOKED: Final = "canary.not_looked"


class CanaryLooked(
    Struct, frozen=True, forbid_unknown_fields=True, tag="gpuaas.node.canary_looked.v1"
):
    """`planted`, `looked`, `found`: places. `duration_us`: of both, the wipe between them not."""

    devices: tuple[int, ...]
    command: int
    method: str
    planted: int
    looked: int
    found: int
    duration_us: int
    boottime_us: int
    decided_us: int
    attested: Attested


def miss(word: CanaryLooked) -> str:
    """Why it bars its devices; "" when it does not."""
    if word.found > 0:
        return FOUND
    if word.planted <= 0:
        return NOT_PLANTED
    return NOT_LOOKED if 10 * word.looked < 9 * word.planted else ""
