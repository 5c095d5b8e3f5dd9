"""Field types that several facts share (contracts/facts.md, head of the page)."""

import re
from typing import Final

from msgspec import Struct

MILLI: Final = 1000  # one whole device, in milli-GPU
MOST_DEVICES: Final = 1024  # of one runtime
ANY_MODEL: Final = "*"
ANY_METER: Final = "*"
NOWHERE: Final = "-"  # the region of what is in none; of a price, a commitment: wherever it is
_REGION: Final = re.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST: Final = 32


def is_region(word: str) -> bool:
    """Whether the word names a region: `eu-de-1`."""
    return len(word) <= _LONGEST and _REGION.fullmatch(word) is not None


def one_of(regions: set[str]) -> str:
    """The region, if it is one; none of several."""
    return next(iter(regions)) if len(regions) == 1 else NOWHERE


class Private(Struct, frozen=True, forbid_unknown_fields=True):
    """A person's word by its digest; the text lives in a table that may be erased."""

    private: str


class Attested(Struct, frozen=True, forbid_unknown_fields=True):
    """A node's signed word: base64 of the bytes it signed, and under which boot and number."""

    node: str
    key: str
    boot: str
    seq: int
    body: str
    sig: str


class Share(Struct, frozen=True, forbid_unknown_fields=True):
    """`milli` (1..1000) of the device with this index on its node."""

    index: int
    milli: int


class Gpu(Struct, frozen=True, forbid_unknown_fields=True):
    index: int
    uuid: str


class Continues(Struct, frozen=True, forbid_unknown_fields=True):
    """What a new log says about the one it continues (EVIDENCE.md section 4, restore)."""

    origin: str
    note: str
    first_lost: int
    lost_count: int
